"""The documentation as a site: it builds without a warning, needs no network, and is served."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient

from account_api.http.docs import add_docs
from config.shipped import downloads
from tests.docs.blocks import ROOT

pytestmark = pytest.mark.xdist_group("site")


@pytest.fixture(scope="module")
def http(site: Path) -> FlaskClient:
    app = Flask("test", static_folder=None)
    add_docs(app, dict, lambda _: "<p>the reference", site, (), lambda response: response)
    return app.test_client()


def pages(site: Path) -> list[Path]:
    return sorted(site.rglob("*.html"))


def test_every_page_of_docs_and_spec_is_there(site: Path) -> None:
    built = {path.relative_to(site).with_suffix("").as_posix() for path in pages(site)}
    wanted = {
        path.relative_to(ROOT / "docs").with_suffix("").as_posix()
        for path in (ROOT / "docs").rglob("*.md")
    } | {path.relative_to(ROOT).with_suffix("").as_posix() for path in (ROOT / "spec").glob("*.md")}
    assert wanted <= built
    menu = (site / "index.html").read_text(encoding="utf-8")
    for name in {*wanted, "changelog", "decisions"} - {"index"}:
        assert f'href="{name}.html"' in menu, name


def test_nothing_is_loaded_from_elsewhere_and_no_script_stands_in_a_page(site: Path) -> None:
    for path in pages(site):
        text = path.read_text(encoding="utf-8")
        loaded = re.findall(r'<(?:script|img|iframe)[^>]*\ssrc="([^"]+)"', text)
        loaded += re.findall(r'<link[^>]*\shref="([^"]+)"', text)
        for target in loaded:
            assert not re.match(r"(?:https?:)?//", target), f"{path.name}: {target}"
            if not target.startswith(("data:", "#")):
                assert (path.parent / target.partition("?")[0]).exists(), f"{path.name}: {target}"
        assert "<script>" not in text, path.name
        assert not re.search(r"<[^>]+\son[a-z]+=", text), path.name
    for path in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?https?:", path.read_text(encoding="utf-8")), path.name


def test_links_between_pages_lead_somewhere(site: Path) -> None:
    for path in pages(site):
        text = path.read_text(encoding="utf-8")
        for target, anchor in re.findall(r'<a[^>]*\shref="([^":#]*)(#[^"]*)?"', text):
            if target in ("/", "/docs/api"):
                continue  # The venue itself.
            file = path if not target else path.parent / target
            served = os.path.relpath(file, site)
            if served.startswith("files/"):
                assert served.removeprefix("files/") in downloads(), f"{path.name}: {target}"
                continue
            assert file.exists(), f"{path.name}: {target}"
            if anchor and file.suffix == ".html" and len(anchor) > 1:
                there = file.read_text(encoding="utf-8")
                assert f'id="{anchor[1:]}"' in there, f"{path.name}: {target}{anchor}"


def test_every_column_of_a_table_has_a_name(site: Path) -> None:
    for path in pages(site):
        heads = re.findall(r"(?s)<th[^>]*>(.*?)</th>", path.read_text(encoding="utf-8"))
        assert all(re.sub(r"<[^>]+>", "", head).strip() for head in heads), path.name


def test_it_is_served_with_a_policy(http: FlaskClient) -> None:
    moved = http.get("/docs")
    assert (moved.status_code, moved.headers["Location"]) == (302, "/docs/")
    for target in ("/docs/", "/docs/money.html", "/docs/spec/FIX.html", "/docs/searchindex.js"):
        answer = http.get(target)
        assert answer.status_code == 200, target
        assert "script-src 'self';" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    again = http.get("/docs/", headers={"If-None-Match": http.get("/docs/").headers["ETag"]})
    assert again.status_code == 304
    reference = http.get("/docs/api/plain")
    assert reference.text == "<p>the reference"
    assert "script" not in reference.headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["../build.py", "%2e%2e/conf.py", "..%2f..%2fetc/passwd", "x"])
def test_nothing_else_is_served(http: FlaskClient, path: str) -> None:
    assert http.get(f"/docs/{path}").status_code == 404


def test_a_site_that_is_built_while_the_venue_runs_is_served(tmp_path: Path) -> None:
    app = Flask("test", static_folder=None)
    site = tmp_path / "docs"
    add_docs(app, dict, lambda _: "<p>the reference", site, (), lambda response: response)
    client = app.test_client()
    for target in ("/docs", "/docs/"):
        assert client.get(target).headers["Location"] == "/docs/api"
    assert client.get("/docs/index.html").status_code == 404
    site.mkdir()
    (site / "index.html").write_text("<h1>Built")
    assert client.get("/docs").headers["Location"] == "/docs/"
    assert client.get("/docs/").get_data(as_text=True) == "<h1>Built"


def test_without_a_site_the_reference_is_all() -> None:
    app = Flask("test", static_folder=None)
    add_docs(app, dict, lambda _: "<p>the reference", None, (), lambda response: response)
    for target in ("/docs", "/docs/"):
        answer: Response = app.test_client().get(target)  # type: ignore[assignment]
        assert (answer.status_code, answer.headers["Location"]) == (302, "/docs/api")
