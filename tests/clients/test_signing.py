"""What to sign, library by library: each row of the table in docs/clients.md sends a request whose
target is easily written in two ways, and is known by its signature."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from account_api.security.auth import sign_hmac
from tests.api.processes import Venue
from tests.support import pace
from tests.support.processes import ROOT

KEY, SECRET = "demo-alice-trade", "demo-alice-trade-secret"
ODD = "a+b/c%d,e~f:g'(h)*i&j=k!l@m;[n]"
QUERY = {"status": "all", "strategy": ODD}
TABLE = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8").partition("## What to sign")[2]
MODULES = Path(os.environ.get("TANDEM_NODE_MODULES", str(ROOT / "build" / "node" / "node_modules")))


def signed(method: str, target: str, body: bytes = b"") -> dict[str, str]:
    stamp = str(time.time_ns() // 1_000_000)
    return {
        "X-Tandem-Key": KEY, "X-Tandem-Timestamp": stamp,
        "X-Tandem-Signature": sign_hmac(SECRET.encode(), stamp, method, target, body),
    }  # fmt: skip


def order(number: int) -> dict[str, Any]:
    return {
        "client_order_id": f"signed-{number}", "symbol": "ETH-USD", "side": "buy", "price": "1",
        "quantity": "1", "strategy": "m/1",
    }  # fmt: skip


def with_requests(url: str) -> list[int]:
    import requests

    session = requests.Session()
    found = []
    for request in (
        requests.Request("GET", url + "/v1/orders", params=QUERY),
        requests.Request("POST", url + "/v1/orders", json=order(1)),
    ):
        prepared = session.prepare_request(request)
        body = prepared.body or b""
        assert isinstance(body, bytes)
        prepared.headers.update(signed(str(prepared.method), prepared.path_url, body))
        found.append(session.send(prepared, timeout=pace.seconds(20)).status_code)
    return found


def with_httpx(url: str) -> list[int]:
    httpx = pytest.importorskip("httpx")
    found = []
    with httpx.Client(timeout=pace.seconds(20)) as client:
        for request in (
            client.build_request("GET", url + "/v1/orders", params=QUERY),
            client.build_request("POST", url + "/v1/orders", json=order(2)),
        ):
            target = request.url.raw_path.decode()
            request.headers.update(signed(request.method, target, request.content))
            found.append(client.send(request).status_code)
    return found


def with_aiohttp(url: str) -> list[int]:
    import asyncio

    aiohttp = pytest.importorskip("aiohttp", reason="aiohttp comes with ccxt: make test")
    from yarl import URL

    async def run() -> list[int]:
        found = []
        async with aiohttp.ClientSession() as session:
            target = URL(url + "/v1/orders").with_query(QUERY)
            headers = signed("GET", target.raw_path_qs)
            async with session.get(target, headers=headers) as answer:
                found.append(answer.status)
            # A target that was written elsewhere goes out as it is.
            text = "/v1/orders?strategy=" + quote(ODD, safe="")
            whole = URL(url + text, encoded=True)
            async with session.get(whole, headers=signed("GET", text)) as answer:
                found.append(answer.status)
            body = json.dumps(order(3)).encode()
            headers = signed("POST", "/v1/orders", body) | {"Content-Type": "application/json"}
            async with session.post(url + "/v1/orders", data=body, headers=headers) as answer:
                found.append(answer.status)
        return found

    return asyncio.run(run())


def with_urllib(url: str) -> list[int]:
    found = []
    target = "/v1/orders?strategy=" + quote(ODD, safe="")
    for request in (
        urllib.request.Request(url + target),
        urllib.request.Request(url + "/v1/orders", data=json.dumps(order(4)).encode(),
                               headers={"Content-Type": "application/json"}),
    ):  # fmt: skip
        body = request.data or b""
        assert isinstance(body, bytes)
        for name, value in signed(request.get_method(), request.selector, body).items():
            request.add_header(name, value)
        with urllib.request.urlopen(request, timeout=pace.seconds(20)) as answer:
            found.append(answer.status)
    return found


def with_curl(url: str) -> list[int]:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl")
    body = json.dumps(order(5))
    found = []
    for target, data in (("/v1/orders?strategy=" + quote(ODD, safe=""), ""), ("/v1/orders", body)):
        method = "POST" if data else "GET"
        headers = signed(method, target, data.encode()) | {"Content-Type": "application/json"}
        done = subprocess.run(
            ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", method, url + target,
             *(part for name, value in headers.items() for part in ("-H", f"{name}: {value}")),
             *(["--data-binary", data] if data else [])],
            capture_output=True, text=True, check=True, timeout=pace.seconds(20),
        )  # fmt: skip
        found.append(int(done.stdout))
    return found


NODE = """
const crypto = require("crypto");
const { base, query, order } = JSON.parse(process.argv[2]);
function signed(method, target, body = "") {
  const stamp = String(Date.now());
  const hash = crypto.createHash("sha256").update(body).digest("hex");
  const text = [stamp, method, target, hash].join("\\n");
  return {
    "X-Tandem-Key": "demo-alice-trade", "X-Tandem-Timestamp": stamp,
    "X-Tandem-Signature":
      crypto.createHmac("sha256", "demo-alice-trade-secret").update(text).digest("hex"),
  };
}
"""
FETCH = """
(async () => {
  const url = new URL("/v1/orders", base);
  for (const name in query) url.searchParams.set(name, query[name]);
  const read = await fetch(url, { headers: signed("GET", url.pathname + url.search) });
  const body = JSON.stringify(order);
  const headers = { ...signed("POST", "/v1/orders", body), "Content-Type": "application/json" };
  const sent = await fetch(new URL("/v1/orders", base), { method: "POST", headers, body });
  console.log(JSON.stringify([read.status, sent.status]));
})();
"""
AXIOS = """
const axios = require("axios");
(async () => {
  const config = { baseURL: base, url: "/v1/orders", params: query, method: "get" };
  const target = axios.getUri(config).slice(base.length);
  const read = await axios.request({ ...config, headers: signed("GET", target) });
  const data = JSON.stringify(order);
  const headers = { ...signed("POST", "/v1/orders", data), "Content-Type": "application/json" };
  const sent = await axios.post(base + "/v1/orders", data, { headers });
  console.log(JSON.stringify([read.status, sent.status]));
})();
"""


def node(program: str, url: str, number: int, env: Mapping[str, str] | None = None) -> list[int]:
    told = json.dumps({"base": url, "query": QUERY, "order": order(number)})
    done = subprocess.run(
        ["node", "-e", NODE.replace("process.argv[2]", "process.argv[1]") + program, told],
        capture_output=True, text=True, check=False, timeout=pace.seconds(30),
        env=os.environ | dict(env or {}),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found: list[int] = json.loads(done.stdout)
    return found


def with_node(url: str) -> list[int]:
    if shutil.which("node") is None:
        pytest.skip("there is no node")
    return node(FETCH, url, 6)


def with_axios(url: str) -> list[int]:
    if shutil.which("node") is None or not (MODULES / "axios").is_dir():
        pytest.skip("there is no axios: npm install --prefix build/node axios")
    return node(AXIOS, url, 7, {"NODE_PATH": str(MODULES)})


ROWS: Mapping[str, Callable[[str], list[int]]] = {
    "requests": with_requests, "httpx": with_httpx, "aiohttp": with_aiohttp,
    "urllib": with_urllib, "Node fetch": with_node, "axios": with_axios, "curl": with_curl,
}  # fmt: skip


@pytest.mark.parametrize("library", ROWS)
def test_what_the_table_says_to_sign_is_what_is_sent(venue: Venue, library: str) -> None:
    found = ROWS[library](venue.url)
    assert set(found[:-1]) == {200} and found[-1] == 201, found


def test_the_table_has_the_libraries_that_are_tested() -> None:
    table = TABLE.partition("\n## ")[0]
    rows = re.findall(r"(?m)^\| ([^|]+?) \| `", table)
    assert rows == list(ROWS)


def test_what_the_table_warns_of_is_refused_and_named(venue: Venue) -> None:
    """``params`` signed as they were given, and JSON signed before it is written."""
    import requests

    wrong = signed("GET", "/v1/orders?strategy=" + ODD)
    answer = requests.get(
        venue.url + "/v1/orders", params={"strategy": ODD}, headers=wrong, timeout=pace.seconds(20)
    )
    assert answer.status_code == 401 and answer.json()["differs"] == "target"
    body = json.dumps(order(8), separators=(",", ":")).encode()
    answer = requests.post(
        venue.url + "/v1/orders", json=order(8), headers=signed("POST", "/v1/orders", body),
        timeout=pace.seconds(20),
    )  # fmt: skip
    assert answer.status_code == 401 and answer.json()["differs"] == "body"
    lines = answer.json()["string_to_sign"].split("\n")
    assert lines[1:3] == ["POST", "/v1/orders"]
    assert lines[3] == hashlib.sha256(json.dumps(order(8)).encode()).hexdigest()
