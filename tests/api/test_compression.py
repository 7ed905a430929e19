"""Responses compressed with gzip: for whom, which, and what the other headers say then."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from account_api.configuration import api_settings
from account_api.http.app import create_app
from account_api.http.compression import KEPT_BYTES_MAX, _Kept, accepts_gzip, compressed
from config.settings import DEMO_FILE, load
from engine.history.queries import open_reader
from tests.api.client import Caller, CallerOf
from tests.api.inprocess import Clock, InProcessEngine

GZIP = {"Accept-Encoding": "br, gzip;q=0.8"}


def orders(alice: Caller, count: int) -> None:
    for number in range(count):
        alice.post("/v1/orders", {
            "client_order_id": f"c-{number}", "symbol": "BTC-USD", "side": "buy",
            "quantity": "1", "price": str(100 + number),
        }).ok(201)  # fmt: skip


def test_a_list_is_compressed_for_who_asks_and_is_the_same(alice: Caller) -> None:
    orders(alice, 5)
    target = "/v1/orders"
    plain = alice.send("GET", target)
    assert plain.headers["Vary"] == "Accept-Encoding" and "Content-Encoding" not in plain.headers
    answer = alice.send("GET", target, headers=alice.headers("GET", target, b"") | GZIP)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert int(answer.headers["Content-Length"]) == len(answer.raw) < len(plain.raw) / 2
    assert json.loads(gzip.decompress(answer.raw)) == plain.json
    assert answer.headers["Cache-Control"] == "no-store"


def test_what_is_small_failed_or_changes_something_is_not_compressed(alice: Caller) -> None:
    small = alice.send("GET", "/v1/time", headers=GZIP)
    assert "Vary" not in small.headers and "Content-Encoding" not in small.headers
    orders(alice, 5)
    body = json.dumps({"operations": [
        {"op": "cancel", "order": f"client:c-{number}"} for number in range(5)
    ]}).encode()  # fmt: skip
    target = "/v1/orders/batch"
    batch = alice.send("POST", target, body, alice.headers("POST", target, body) | GZIP)
    assert len(batch.raw) > 1024 and "Content-Encoding" not in batch.headers
    target = "/v1/orders?nothing=" + "x" * 1500
    wrong = alice.send("GET", target, headers=alice.headers("GET", target, b"") | GZIP)
    assert wrong.status == 400 and "Content-Encoding" not in wrong.headers


def test_a_document_has_an_etag_for_each_form(app: Flask) -> None:
    http = app.test_client()
    plain = http.get("/openapi.json")
    packed = http.get("/openapi.json", headers=GZIP)
    assert packed.headers["ETag"] == plain.headers["ETag"][:-1] + '-gzip"'
    assert len(packed.data) < len(plain.data) / 6
    assert gzip.decompress(packed.data) == plain.data
    for given, accepted, status, told in (
        (packed.headers["ETag"], "gzip", 304, packed.headers["ETag"]),
        (plain.headers["ETag"], "identity", 304, plain.headers["ETag"]),
        (plain.headers["ETag"], "gzip", 304, plain.headers["ETag"]),
        ('"other-gzip"', "gzip", 200, packed.headers["ETag"]),
    ):
        headers = {"If-None-Match": given, "Accept-Encoding": accepted}
        answer = http.get("/openapi.json", headers=headers)
        assert (answer.status_code, answer.headers["ETag"]) == (status, told)
        assert answer.headers["Vary"] == "Accept-Encoding"
        assert (answer.data == b"") == (status == 304)
    head = http.head("/openapi.json", headers=GZIP)
    assert head.data == b"" and "Content-Encoding" not in head.headers


def test_files_of_the_page_and_the_documents_are_compressed(app: Flask) -> None:
    http = app.test_client()
    for path in ("/", "/web/js/app.js", "/web/css/layout.css", "/FIX44.xml"):
        answer = http.get(path, headers=GZIP)
        if len(http.get(path).data) >= 1024:
            assert answer.headers["Content-Encoding"] == "gzip", path
            assert gzip.decompress(answer.data) == http.get(path).data


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("", False), ("gzip", True), ("GZIP", True), ("br", False), ("*", True),
        ("gzip;q=0", False),
        ("deflate, gzip;q=0.1", True), ("*;q=0", False), ("*;q=0, gzip", True),
        ("gzip;q=0, *", False), ("gzip;q=x", False), ("identity", False), ("x-gzip", False),
    ],
)  # fmt: skip
def test_accept_encoding_is_read_as_http_says(header: str, accepted: bool) -> None:
    assert accepts_gzip(header) is accepted


def answer_of(
    fields: list[tuple[str, str]], body: bytes, headers: dict[str, str] | None = None
) -> tuple[dict[str, str], bytes, list[str]]:
    """What the wrapper makes of an application's answer, and what was done to its body."""
    done: list[str] = []

    class Body:
        def __iter__(self) -> Any:
            yield body[:3]
            yield body[3:]

        def close(self) -> None:
            done.append("closed")

    def application(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        start("200 OK", [*fields, ("Content-Length", str(len(body)))])
        return Body()

    told: dict[str, str] = {}

    def start(status: str, named: list[tuple[str, str]]) -> None:
        assert len({name.lower() for name, _ in named}) == len(named), named
        told.update(named)

    environ = {"REQUEST_METHOD": "GET", "HTTP_ACCEPT_ENCODING": "gzip", **(headers or {})}
    made = compressed(application, 10)(environ, start)
    data = b"".join(made)
    if hasattr(made, "close"):
        made.close()
    return told, data, done


def test_what_is_no_text_or_encoded_already_goes_out_as_it_is() -> None:
    for fields in (
        [("Content-Type", "image/png")], [("Content-Type", "font/woff2")],
        [("Content-Type", "text/css"), ("Content-Encoding", "br")],
    ):  # fmt: skip
        told, data, done = answer_of(fields, b"0123456789ab")
        assert data == b"0123456789ab" and told["Content-Length"] == "12" and done == ["closed"]


def test_vary_is_added_to_and_ranges_are_offered_of_the_plain_form_alone() -> None:
    fields = [("Content-Type", "text/css"), ("Vary", "Origin"), ("Accept-Ranges", "bytes")]
    told, data, done = answer_of(fields, b"0" * 500)
    assert told["Vary"] == "Origin, Accept-Encoding" and "Accept-Ranges" not in told
    assert gzip.decompress(data) == b"0" * 500 and done == ["closed"]
    told, data, _ = answer_of(fields, b"0" * 500, {"HTTP_ACCEPT_ENCODING": ""})
    assert told["Vary"] == "Origin, Accept-Encoding" and told["Accept-Ranges"] == "bytes"
    assert data == b"0" * 500


def test_what_is_kept_is_bounded() -> None:
    kept = _Kept()
    size = KEPT_BYTES_MAX // 8
    for number in range(20):
        kept.put(f'"{number}"', bytes(size))
    assert [n for n in range(20) if kept.get(f'"{n}"') is not None] == list(range(12, 20))
    kept.put('"big"', bytes(KEPT_BYTES_MAX // 2))
    kept.put("", b"x")
    assert kept.get('"big"') is None and kept.get("") is None


def test_it_can_be_switched_off(
    engine: InProcessEngine, clock: Clock, tmp_path: Path, caller: CallerOf
) -> None:
    settings = api_settings(load(DEMO_FILE, {"TANDEM_DATA": str(tmp_path)}))
    settings = replace(settings, gzip_bytes_min=0)
    app = create_app(settings, lambda: engine, lambda: open_reader(engine.history_url), clock)
    answer = app.test_client().get("/openapi.json", headers=GZIP)
    assert "Content-Encoding" not in answer.headers and "Vary" not in answer.headers
