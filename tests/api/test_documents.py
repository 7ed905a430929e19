"""The documents are made from the code and say what it does."""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest
from flask import Flask

from account_api.documents import documents
from account_api.errors import CATALOGUE
from account_api.http.app import create_app
from account_api.http.openapi import codes_of, document
from account_api.routes import ROUTES
from account_api.settings import SCOPES, RateLimit
from engine.core.types import RejectReason
from engine.history.queries import open_reader
from tests.api.client import Caller, CallerOf
from tests.api.inprocess import Clock, InProcessEngine

FIX_ONLY = {
    "stale_resend", "throttled", "stale_epoch", "unknown_session", "too_many_sessions",
}  # fmt: skip
CANNOT_BE_PROVOKED = {
    # The engine's own bounds, which the API's tighter forms keep out of reach.
    "message_too_big", "invalid_client_order_id", "quantity_too_small", "duplicate_definition",
    "invalid_batch", "malformed_http",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(documents()))
def test_a_written_document_is_what_the_code_says(root: Path, name: str) -> None:
    assert (root / "spec" / name).read_text(encoding="utf-8") == documents()[name], (
        "run: python -m account_api.documents spec"
    )


def test_a_document_does_not_change_with_the_release_of_msgspec(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = msgspec.json.schema_components
    expected = document(ROUTES)
    changed = 0

    def older(value: Any) -> Any:
        """As other releases write it: docstrings indented, null first among choices."""
        nonlocal changed
        if isinstance(value, list):
            return [older(item) for item in value]
        if not isinstance(value, dict):
            return value
        value = {key: older(item) for key, item in value.items()}
        if isinstance(value.get("description"), str):
            first, *rest = inspect.cleandoc(value["description"]).splitlines()
            changed += bool(rest)
            lines = (line and f"    {line}" for line in rest)
            value["description"] = "\n".join([first, *lines])
        if "anyOf" in value:
            value["anyOf"].sort(key=lambda choice: choice.get("type") != "null")
        return value

    def schema_components(types: Any, **options: Any) -> Any:
        schemas, components = real(types, **options)
        return schemas, older(components)

    monkeypatch.setattr(msgspec.json, "schema_components", schema_components)
    assert document(ROUTES) == expected and changed


def test_every_reason_of_the_engine_has_a_problem() -> None:
    for reason in RejectReason:
        assert reason.name.lower() in CATALOGUE, reason


def test_every_route_documents_codes_that_exist() -> None:
    for route in ROUTES:
        assert codes_of(route) <= CATALOGUE.keys(), route.path
        assert route.scope is None or route.scope in SCOPES
        assert route.handler.__doc__
    names = [route.name for route in ROUTES]
    assert len(names) == len(set(names))


def test_every_documented_error_is_provoked_by_a_test(root: Path) -> None:
    tests = "".join(
        path.read_text(encoding="utf-8") for path in (root / "tests" / "api").glob("test_*.py")
    )
    tests = re.sub(r"(?s)CANNOT_BE_PROVOKED = \{.*?\}|FIX_ONLY = \{.*?\}", "", tests)
    documented = {code for route in ROUTES for code in codes_of(route)} | {
        "not_found", "method_not_allowed", "already_done",
    }  # fmt: skip
    unprovoked = {code for code in documented if f'"{code}"' not in tests}
    assert unprovoked <= CANNOT_BE_PROVOKED | FIX_ONLY, unprovoked


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if "$ref" in value else set()
        return own.union(*(references(item) for item in value.values()))
    if isinstance(value, list):
        return set().union(*(references(item) for item in value))
    return set()


def test_openapi_is_served_complete_and_portable(caller: CallerOf) -> None:
    content = caller("").get("/openapi.json").ok()
    assert content == json.loads(json.dumps(document(ROUTES)))
    assert content["openapi"] == "3.1.0"
    for reference in references(content):
        assert reference.split("/")[-1] in content["components"]["schemas"]
    assert "\\\\Z" not in json.dumps(content)
    served = {
        (method.upper(), path) for path, one in content["paths"].items() for method in one
    }
    assert served == {(route.method, route.path) for route in ROUTES}


class Links(HTMLParser):
    """Collects what a page would load and where it links to."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.ids: set[str] = set()
        self.anchors: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag in ("script", "link", "img", "iframe"):
            self.loads.append(tag)
        self.ids.add(found.get("id") or "")
        if tag == "a":
            self.anchors.append(found.get("href") or "")


def test_the_readable_page_needs_nothing_from_elsewhere(caller: CallerOf) -> None:
    answer = caller("").get("/docs/api/plain")
    assert answer.status == 200
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    text = answer.raw.decode()
    links = Links()
    links.feed(text)
    assert links.loads == [] and "url(" not in text
    for anchor in links.anchors:
        assert "://" not in anchor
        if anchor.startswith("#"):
            assert anchor[1:] in links.ids, anchor
    for route in ROUTES:
        assert route.path in text and route.summary.split("'")[0] in text


def test_the_type_of_a_problem_leads_to_its_meaning(caller: CallerOf) -> None:
    answer = caller("").get("/errors/insufficient_funds")
    assert answer.status == 200 and b"available balance" in answer.raw
    caller("").get("/errors/none").problem(404, "not_found")


def test_an_answer_has_exactly_the_documented_members(caller: CallerOf) -> None:
    content = document(ROUTES)
    schemas = content["components"]["schemas"]
    body = {"client_order_id": "a1", "symbol": "BTC-USD", "side": "buy", "quantity": "1",
            "price": "1"}  # fmt: skip
    row = caller("alice-trade").post("/v1/orders", body).ok(201)
    assert row.keys() == schemas["OrderAnswer"]["properties"].keys()
    answer = caller("alice-read").get("/v1/balances").ok()
    assert answer.keys() == schemas["BalancesView"]["properties"].keys()


# Rate limits.


@pytest.fixture
def limited(app: Flask, engine: InProcessEngine, clock: Clock) -> Caller:
    settings = replace(
        app.extensions["tandem"].settings, rate_limits=(("trade", RateLimit(4, 2)),)
    )
    one = create_app(settings, lambda: engine, lambda: open_reader(engine.history_url), clock)
    return Caller(one.test_client(), clock, key="demo-alice-trade")


def test_a_key_over_its_limit_waits_and_is_told_how_long(limited: Caller, clock: Clock) -> None:
    def send() -> Any:
        return limited.delete("/v1/orders")

    clock.advance(10)
    first = send()
    assert first.headers["RateLimit-Policy"] == '"trade";q=4;w=2'
    assert first.headers["RateLimit"] == '"trade";r=3;t=1'
    left = [re.search(r"r=(\d+)", send().headers["RateLimit"]) for _ in range(3)]
    assert [match.group(1) for match in left if match] == ["2", "1", "0"]
    refused = send()
    problem = refused.problem(429, "rate_limited")
    assert problem["retryable"] and refused.headers["Retry-After"] == "1"
    assert refused.headers["RateLimit"].startswith('"trade";r=0')
    assert limited.get("/v1/orders").ok() is not None
    clock.advance(0.5)
    send().ok()
    send().problem(429, "rate_limited")
    clock.advance(100)
    assert send().headers["RateLimit"] == '"trade";r=3;t=1'


def test_the_vector_of_the_guide_is_right(root: Path) -> None:
    from account_api.security.auth import sign_hmac

    vector = sign_hmac(
        b"demo-alice-trade-secret", "1900000000000", "DELETE", "/v1/orders?symbol=BTC-USD", b""
    )
    assert vector in (root / "spec" / "REST.md").read_text(encoding="utf-8")
