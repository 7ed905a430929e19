"""Every field of every request, and every part of a path, with what does not belong there.

The fuzz of test_input.py walks at random; this walks through all of them, one wrong value at a
time beside values that are right, so that nothing hides behind an earlier fault.
"""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from flask import Flask

from account_api.configuration import api_settings
from account_api.crypto_addresses import simulated_deposit_address
from account_api.http.app import create_app
from account_api.http.routing import Route
from account_api.routes import ROUTES
from account_api.schema.requests import BatchCancel, BatchCreate, BatchReplace
from config.settings import DEMO_FILE, load
from engine.history.queries import open_reader
from tests.api.client import Answer, Caller
from tests.api.inprocess import Clock, InProcessEngine

KEYS: Final = {
    None: "", "read": "alice-trade", "trade": "alice-trade", "withdraw": "alice-withdraw",
    "address": "alice-address", "approve": "alice-approve", "keys": "alice-keys",
    "operator": "operator",
}  # fmt: skip
PARTS: Final = {
    "order": "client:o", "withdrawal": "1", "symbol": "BTC-USD", "address_id": "1", "key": "tk-1",
    "account": "alice", "session": "fix:ALICE", "webhook": "wh_1",
}  # fmt: skip
ADDRESS: Final = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
ORDER: Final = {
    "client_order_id": "o", "symbol": "BTC-USD", "side": "buy", "quantity": "1", "price": "100",
}  # fmt: skip
BODIES: Final[dict[str, dict[str, Any]]] = {
    "create_order": ORDER,
    "replace_order": {"quantity": "2"},
    "submit_batch": {"operations": [{"op": "create", **ORDER}]},
    "add_address": {"asset": "BTC", "address": ADDRESS},
    "request_withdrawal": {
        "client_withdrawal_id": "w", "asset": "BTC", "address": ADDRESS, "amount": "1",
    },
    "quote_withdrawal": {"asset": "BTC", "amount": "1"},
    "transfer": {
        "client_transfer_id": "t", "to_account": "alice:desk", "asset": "BTC", "amount": "1",
    },
    "report_deposit": {"deposit_id": "d", "account": "alice", "asset": "BTC", "amount": "1"},
    "create_key": {"name": "n", "kind": "hmac", "scopes": ["read"]},
    "create_webhook": {"name": "n", "url": "https://1.1.1.1/", "events": ["*"]},
}  # fmt: skip
TEXTS: Final = [
    "1e5", "NaN", "Infinity", "-1", "+1", "0.5\n", "1\n", "\n", "", "1,5", "٣", "9" * 41,
    "9223372036854775808", "99999999999999999999", "a\0b", "\U0001f600", "null", "a" * 5000,
]  # fmt: skip
OTHERS: Final[list[Any]] = ["\ud800", 1.5, 1e400, -1, 10**30, True, [], {}, [1], {"a": 1}]
NEVER: Final = re.compile(r"[\n\0]")
"""In no field of any request is one of these right."""
AMOUNTS: Final = frozenset(
    "quantity cash_quantity min_quantity display_quantity price stop_price amount".split()
)


class Asked:
    """Sends each request under a key of its own and judges every answer."""

    def __init__(self, app: Flask, clock: Clock) -> None:
        self.http = app.test_client()
        self.clock = clock
        self.count = 0
        self.faults: list[str] = []

    def send(self, route: Route, path: str, body: Any, wrong: Any, name: str) -> None:
        self.count += 1
        who = Caller(self.http, self.clock, key=f"demo-{KEYS[route.scope]}" if route.scope else "")
        key = f"k{self.count}" if route.scope is not None and route.method != "GET" else ""
        answer = who.send(route.method, path, body, idempotency_key=key)
        fault = self.judge(answer, wrong, name)
        if fault:
            self.faults.append(f"{route.name} {name}={wrong!r:.40}: {fault}")

    def judge(self, answer: Answer, wrong: Any, name: str) -> str:
        if answer.status < 300:
            text = isinstance(wrong, str) and NEVER.search(wrong)
            known = text or name in AMOUNTS or isinstance(wrong, float)
            return "was taken" if known else ""
        if answer.status >= 500:
            return answer.raw.decode()
        problem = answer.json
        if problem["code"] == "invalid_request" and not problem.get("field"):
            return f"does not say where: {problem['detail']}"
        return ""


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    folder, clock = tmp_path_factory.mktemp("venue"), Clock()
    engine = InProcessEngine(folder, clock)
    settings = api_settings(load(DEMO_FILE, {"TANDEM_DATA": str(folder)}))
    formats = {(asset, network): form for asset, network, form in settings.address_formats}
    app = create_app(
        settings, lambda: engine, lambda: open_reader(engine.history_url), clock,
        simulated_deposit_address(formats),
    )  # fmt: skip
    yield Asked(app, clock)
    app.extensions["tandem"].close()


def path_of(route: Route) -> str:
    return re.sub(r"\{(\w+)\}", lambda part: PARTS[part[1]], route.path)


def body_of(route: Route) -> dict[str, Any] | None:
    """A body that is right, or at least has every member that is required."""
    if route.body is None:
        return None
    fields = msgspec.structs.fields(route.body)
    return BODIES.get(route.name) or {each.name: "1" for each in fields if each.required}


def named(route: Route) -> str:
    return f"{route.method} {route.path}"


@pytest.mark.parametrize("route", [r for r in ROUTES if r.body is not None], ids=named)
def test_every_member_of_every_body(asked: Asked, route: Route) -> None:
    assert route.body is not None
    asked.faults.clear()
    for field in msgspec.structs.fields(route.body):
        for wrong in (*TEXTS, *OTHERS):
            body = {**(body_of(route) or {}), field.name: wrong}
            raw = json.dumps(body, allow_nan=True).encode()
            asked.send(route, path_of(route), raw, wrong, field.name)
    assert not asked.faults, asked.faults[:5]


@pytest.mark.parametrize(
    ("shape", "right"),
    [
        (BatchCreate, {"op": "create", **ORDER}),
        (BatchReplace, {"op": "replace", "order": "client:o", "quantity": "2"}),
        (BatchCancel, {"op": "cancel", "order": "client:o"}),
    ],
)
def test_every_member_of_every_operation_of_a_batch(
    asked: Asked, shape: type[msgspec.Struct], right: dict[str, str]
) -> None:
    """A wrong form refuses the batch and names the place; a wrong value its operation alone."""
    who = Caller(asked.http, asked.clock, key="demo-alice-trade")
    for field in msgspec.structs.fields(shape):
        for wrong in (*TEXTS, *OTHERS):
            operations = [{**right, field.name: wrong}]
            answer = who.post("/v1/orders/batch", json.dumps({"operations": operations}).encode())
            said = f"{field.name}={wrong!r:.40}: {answer.raw[:300]!r}"
            assert answer.status < 500, said
            if answer.status == 400 and answer.json["code"] == "invalid_request":
                assert answer.json["field"].startswith("operations"), said
            elif answer.status < 300 and field.name in AMOUNTS:
                (result,) = answer.json["results"]
                assert result["error"]["field"], said


@pytest.mark.parametrize("route", ROUTES, ids=named)
def test_every_parameter_and_every_part_of_every_path(asked: Asked, route: Route) -> None:
    asked.faults.clear()
    texts = {name: urllib.parse.quote(name, safe="") for name in TEXTS}
    for field in msgspec.structs.fields(route.query):
        for wrong, quoted in texts.items():
            target = f"{path_of(route)}?{field.name}={quoted}"
            asked.send(route, target, body_of(route), wrong, field.name)
    if "{" in route.path:
        for quoted in texts.values():
            target = re.sub(r"\{\w+\}", lambda _, value=quoted: value, route.path)  # type: ignore
            asked.send(route, target, body_of(route), None, "path")
    assert not asked.faults, asked.faults[:5]


def test_the_bodies_are_those_of_routes(tmp_path: Path) -> None:
    assert set(BODIES) <= {route.name for route in ROUTES}
