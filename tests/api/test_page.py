"""The page at / as it is served: what it may load, what it is told, and what it is not."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace

import pytest
from flask import Flask

from account_api.http.app import create_app
from account_api.http.web_page import WEB, policy
from account_api.settings import Page
from engine.history.queries import open_reader
from tests.api.client import CallerOf
from tests.api.inprocess import Clock, InProcessEngine

FILES = sorted(str(path.relative_to(WEB)) for path in WEB.rglob("*")
               if path.is_file() and "vendor" not in path.parts)  # fmt: skip
VENDOR = WEB / "vendor"
LINES_MAX = 360


def test_the_page_may_run_its_own_scripts_and_nothing_else(caller: CallerOf) -> None:
    answer = caller("").get("/")
    assert answer.status == 200
    rules = dict(
        rule.strip().split(" ", 1) for rule in answer.headers["Content-Security-Policy"].split(";")
    )
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["img-src"] == "'self'"
    assert rules["connect-src"] == "'self' ws://localhost:8081 wss://localhost:8081"
    assert rules["frame-ancestors"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("page", "host", "source"),
    [
        (Page(stream_port=8081), "127.0.0.1:8080", " ws://127.0.0.1:8081 wss://127.0.0.1:8081"),
        (Page(stream_port=8081), "[::1]:8080", " ws://[::1]:8081 wss://[::1]:8081"),
        (Page(stream_port=8081), "evil.example; script-src *", ""),
        (Page(stream_port=8081), "a b", ""),
        (Page(stream_url="wss://venue.example/v1/stream", stream_port=1), "x",
         " wss://venue.example"),
        (Page(stream_url="/v1/stream"), "venue.example:8443",
         " ws://venue.example:8443 wss://venue.example:8443"),
        (Page(stream_url="/v1/stream"), "*", ""),
        (Page(stream_url="javascript:alert(1)"), "x", ""),
    ],
)  # fmt: skip
def test_a_strange_host_cannot_widen_the_policy(page: Page, host: str, source: str) -> None:
    assert f"connect-src 'self'{source};" in policy(page, host)


def test_every_file_is_served_once_and_then_known(app: Flask, caller: CallerOf) -> None:
    kinds = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
    for name in FILES:
        if name.endswith(".html"):
            continue
        answer = caller("").get(f"/web/{name}")
        assert answer.status == 200, name
        assert answer.headers["Content-Type"].startswith(kinds[name.rpartition(".")[2]])
        again = app.test_client().get(
            f"/web/{name}", headers={"If-None-Match": answer.headers["ETag"]}
        )
        assert again.status_code == 304 and again.data == b""


@pytest.mark.parametrize(
    "name",
    ["nothing.js", "../page.py", "..%2fpage.py", "index.html", "missing.html", ""],
)
def test_nothing_else_is_served(caller: CallerOf, name: str) -> None:
    caller("").get(f"/web/{name}").problem(404, "not_found")


BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.mark.parametrize("path", ["/nothing", "/v1/nothing", "/docs/nothing.html", "/errors/none"])
def test_a_browser_is_shown_a_page_where_there_is_nothing(caller: CallerOf, path: str) -> None:
    answer = caller("").send("GET", path, headers={"Accept": BROWSER})
    assert answer.status == 404
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert {part.strip() for part in answer.headers["Vary"].split(",")} >= {"Accept"}
    text = answer.raw.decode()
    sentence = "There is no error with this code." if "errors" in path else (
        "There is nothing at this path."
    )  # fmt: skip
    assert f"<p>{sentence}</p>" in text and 'href="/"' in text and 'href="/docs"' in text
    rules = answer.headers["Content-Security-Policy"]
    assert rules.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in rules and "frame-ancestors 'none'" in rules
    for loaded in re.findall(r'(?:href|src)="(/web/[^"]+)"', text):
        assert caller("").get(loaded).status == 200, loaded


@pytest.mark.parametrize(
    "accept", ["", "*/*", "application/json", "application/json, text/html", "text/html;q=0, */*",
               "application/problem+json, text/html;q=0.9", "nonsense", "text/plain"],
)  # fmt: skip
def test_a_program_gets_the_problem_where_there_is_nothing(caller: CallerOf, accept: str) -> None:
    headers = {"Accept": accept} if accept else {}
    answer = caller("").send("GET", "/nothing", headers=headers)
    answer.problem(404, "not_found")
    assert answer.headers["Vary"].startswith("Accept")


def test_only_a_missing_page_is_a_page(caller: CallerOf) -> None:
    """A missing instrument, another method, a fault: a browser gets what a program gets."""
    headers = {"Accept": BROWSER}
    caller("").send("GET", "/v1/books/XRP-USD", headers=headers).problem(404, "unknown_symbol")
    caller("").send("POST", "/nothing", headers=headers).problem(404, "not_found")
    caller("").send("DELETE", "/", headers=headers).problem(405, "method_not_allowed")


def test_what_a_path_holds_is_not_in_the_page_as_markup(caller: CallerOf) -> None:
    path = "/v1/<b>/"
    text = caller("").send("GET", path, headers={"Accept": BROWSER}).raw.decode()
    assert "<b>" not in text
    slashed = caller("").send("GET", "/v1/time/", headers={"Accept": BROWSER}).raw.decode()
    assert "Paths end without a slash: /v1/time." in slashed


def test_the_page_names_what_is_public_and_no_secret(
    app: Flask, caller: CallerOf, engine: InProcessEngine, clock: Clock
) -> None:
    text = caller("").get("/").raw.decode()
    told = dict(re.findall(r'data-([a-z-]+)="([^"]*)"', text.partition("<head>")[0]))
    assert told == {
        "environment": "demo", "stream-url": "", "stream-port": "8081", "faucet": "BTC ETH USD",
        "demo-keys": " ".join(
            f"demo-{firm}-{what}" for firm in ("alice", "bob", "carol", "cert")
            for what in ("trade", "withdraw", "approve", "keys")
            if what != "keys" or firm == "alice"
        ) + " demo-operator",
    }  # fmt: skip
    assert "%" not in "".join(told.values()) and "-secret" not in text
    settings = replace(
        app.extensions["tandem"].settings, faucet=None, page=Page("production", stream_port=9)
    )
    one = create_app(settings, lambda: engine, lambda: open_reader(engine.history_url), clock)
    text = one.test_client().get("/").data.decode()
    assert 'data-demo-keys="" data-faucet=""' in text and "demo-alice" not in text


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_short_and_names_no_other_place(name: str) -> None:
    text = (WEB / name).read_text(encoding="utf-8")
    assert text.count("\n") <= LINES_MAX
    # The namespace of SVG is a name, and nothing is loaded from it.
    places = set(re.findall(r"https?://[^\s\"'`)]+", text)) - {"http://www.w3.org/2000/svg"}
    # What the notice of the charts asks for is a link, from which nothing is loaded either.
    assert places <= ({"https://www.tradingview.com/"} if name == "index.html" else set())
    assert "innerHTML" not in text and "eval(" not in text and "document.write" not in text
    assert not re.search(r"\son[a-z]+=\"|\sstyle=\"", text) or not name.endswith(".html")


def test_files_of_others_are_as_published_with_licence_and_notice(caller: CallerOf) -> None:
    """Each folder under vendor/ is a row of its README, and the file is the one named there."""
    readme = (VENDOR / "README.md").read_text(encoding="utf-8")
    rows = [[cell.strip(" `") for cell in line.strip("|").split("|")]
            for line in readme.splitlines() if line.startswith("| `")]  # fmt: skip
    assert {row[0] for row in rows} == {path.name for path in VENDOR.iterdir() if path.is_dir()}
    for name, version, licence, _, _, digest in rows:
        script = f"vendor/{name}/{name}.js"
        content = (WEB / script).read_bytes()
        assert hashlib.sha256(content).hexdigest() == digest, name
        package = VENDOR / name / "package.json"
        said = json.loads(package.read_text(encoding="utf-8"))["version"] if (
            package.exists()
        ) else content[:500].decode()  # fmt: skip
        assert version in said
        served = caller("").get(f"/web/{script}")
        assert served.raw == content and "javascript" in served.headers["Content-Type"]
        assert licence in ("Apache-2.0", "MIT", "BSD-3-Clause")
        words = caller("").get(f"/web/vendor/{name}/LICENSE.txt").raw.decode()
        assert "Apache License" in words if licence == "Apache-2.0" else "Permission" in words
    notice = (VENDOR / "lightweight-charts/NOTICE.txt").read_text(encoding="utf-8").splitlines()
    page = caller("").get("/").raw.decode()
    assert all(line.split(" https")[0].removesuffix("™") in page for line in notice)
    assert page.count('href="https://www.tradingview.com/"') >= 2


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".js")])
def test_money_is_no_float_in_the_scripts(name: str) -> None:
    """Only decimal.js makes a float of an amount, by the name ``pixels``, for the charts."""
    text = (WEB / name).read_text(encoding="utf-8")
    assert "parseFloat" not in text
    if name not in ("js/lib/decimal.js", "js/view/chart.js", "js/view/depth.js", "js/view/book.js"):
        assert "pixels" not in text
    if name != "js/lib/decimal.js":
        assert not re.search(r"\bNumber\((?!BigInt)", text)
