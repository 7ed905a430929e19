"""Records the examples of the REST reference: ``python -m tests.docs.examples`` writes them.

The steps below are played on the application itself, with the real exchange behind it and a clock
that stands still, so that a recording does not change without a reason. What is drawn at random
(request ids, keys and their secrets) is replaced by a value of the same form. The result is
``account_api/examples/rest.json``, from which the OpenAPI document and the reference page take
their examples.
"""

from __future__ import annotations

import itertools
import json
import logging
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import structlog

from account_api.configuration import api_settings
from account_api.crypto_addresses import simulated_deposit_address
from account_api.http.app import create_app
from account_api.routes import ROUTES
from config.settings import DEMO_FILE, load
from config.shipped import shipped
from engine.core.commands import OpenSession
from engine.core.types import CancelScope, Origin
from engine.history.queries import open_reader
from tests.api.client import Caller
from tests.api.inprocess import Clock, InProcessEngine
from tests.docs.blocks import ROOT
from tests.docs.recorded import in_order
from tests.support.signing import signed_headers

FILE: Final = ROOT / "account_api" / "examples" / "rest.json"
SHOWN_HEADERS: Final = (
    "Content-Type", "Idempotent-Replayed", "Location", "RateLimit-Policy", "RateLimit",
    "Retry-After", "X-Request-Id",
)  # fmt: skip
READER: Final = "demo-alice-read"
TRADER: Final = "demo-alice-trade"
TREASURER: Final = "demo-alice-withdraw"
APPROVER: Final = "demo-alice-approve"
BOOKKEEPER: Final = "demo-alice-address"
KEYMAKER: Final = "demo-alice-keys"
OPERATOR: Final = "demo-operator"
BITCOIN: Final = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
ETHEREUM: Final = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"


@dataclass(frozen=True)
class Step:
    """One request; without a title it only prepares and is not shown.

    ``{name}`` in the target is a member of an earlier response, which ``keep`` has stored.
    """

    title: str
    key: str
    method: str
    target: str
    body: dict[str, Any] | None = None
    idempotency_key: str = ""
    keep: str = ""


def _limit(name: str, side: str, quantity: str, price: str, **more: Any) -> dict[str, Any]:
    return {"client_order_id": name, "symbol": "BTC-USD", "side": side, "type": "limit",
            "quantity": quantity, "price": price, **more}  # fmt: skip


def _payout(name: str, amount: str) -> dict[str, Any]:
    return {"client_withdrawal_id": name, "asset": "BTC", "network": "bitcoin",
            "address": BITCOIN, "amount": amount}  # fmt: skip


STEPS: Final = (
    # Orders.
    Step("A limit order", TRADER, "POST", "/v1/orders",
         _limit("order-1001", "buy", "0.5", "60000", strategy="mm1")),
    Step("A stop-limit order", TRADER, "POST", "/v1/orders",
         {"client_order_id": "stop-1001", "symbol": "BTC-USD", "side": "sell",
          "type": "stop_limit", "quantity": "0.5", "price": "58900", "stop_price": "59000"}),
    Step("Refused: not enough money", TRADER, "POST", "/v1/orders",
         _limit("order-1002", "buy", "9000", "60000")),
    Step("", "demo-bob-trade", "POST", "/v1/orders",
         _limit("order-2001", "sell", "0.2", "60000")),
    Step("One order", READER, "GET", "/v1/orders/client:order-1001"),
    Step("Open orders of one symbol", READER, "GET", "/v1/orders?symbol=BTC-USD"),
    Step("Fills of one symbol", READER, "GET", "/v1/fills?symbol=BTC-USD&after_trade_id=0"),
    Step("Reduce the quantity", TRADER, "PATCH", "/v1/orders/client:order-1001",
         {"quantity": "0.4"}),
    Step("Cancel one order, create another", TRADER, "POST", "/v1/orders/batch",
         {"operations": [
             {"op": "cancel", "order": "client:stop-1001"},
             {"op": "create", "client_order_id": "order-1003", "symbol": "ETH-USD",
              "side": "sell", "type": "limit", "quantity": "1", "price": "5000",
              "strategy": "mm1"}]}),
    Step("Cancel all unless renewed within 30 s", TRADER, "PUT", "/v1/dead-man-switch",
         {"timeout_s": 30}),
    Step("", TRADER, "PUT", "/v1/dead-man-switch", {"timeout_s": 0}),
    # The market.
    Step("The time", "", "GET", "/v1/time"),
    Step("Every asset", "", "GET", "/v1/assets"),
    Step("Every network", "", "GET", "/v1/networks"),
    Step("Every instrument", "", "GET", "/v1/instruments"),
    Step("Five levels of each side", "", "GET", "/v1/books/BTC-USD?depth=5"),
    Step("No such instrument", "", "GET", "/v1/books/XRP-USD"),
    Step("Trades from the first on", "", "GET", "/v1/trades?symbol=BTC-USD&after_trade_id=0"),
    Step("Candles of one minute", "", "GET", "/v1/candles?symbol=BTC-USD&interval=1m"),
    Step("The last 24 hours", "", "GET", "/v1/tickers?symbol=BTC-USD"),
    # Balances.
    Step("The firm's accounts", READER, "GET", "/v1/accounts"),
    Step("Every balance", READER, "GET", "/v1/balances"),
    Step("The ledger of one asset", READER, "GET", "/v1/ledger?asset=BTC"),
    Step("Every hold", READER, "GET", "/v1/holds"),
    Step("Fees", READER, "GET", "/v1/fees"),
    Step("Limits", READER, "GET", "/v1/limits"),
    Step("Cancel one order", TRADER, "DELETE", "/v1/orders/client:order-1001"),
    Step("Cancel the orders of one strategy", TRADER, "DELETE", "/v1/orders?strategy=mm1"),
    # Money in.
    Step("A deposit with all its confirmations", OPERATOR, "POST", "/v1/deposits",
         {"deposit_id": "deposit-1001", "account": "alice", "asset": "BTC", "network": "bitcoin",
          "amount": "2", "confirmations": 2}),
    Step("Deposits", READER, "GET", "/v1/deposits"),
    Step("Test coins", TRADER, "POST", "/v1/faucet", {"asset": "BTC"}),
    Step("An address for Bitcoin", BOOKKEEPER, "POST", "/v1/deposit-addresses", {"asset": "BTC"}),
    Step("Deposit addresses", READER, "GET", "/v1/deposit-addresses"),
    # Money out.
    Step("Add an address", BOOKKEEPER, "POST", "/v1/addresses",
         {"asset": "ETH", "address": ETHEREUM, "label": "cold storage"}, keep="address_id"),
    Step("The address book", BOOKKEEPER, "GET", "/v1/addresses"),
    Step("Remove an address", BOOKKEEPER, "DELETE", "/v1/addresses/{address_id}"),
    Step("A quote for 2 ETH", TREASURER, "POST", "/v1/withdrawals/quotes",
         {"asset": "ETH", "amount": "2"}, "quote-1001"),
    Step("Withdraw 0.5 BTC", TREASURER, "POST", "/v1/withdrawals", _payout("payout-1001", "0.5")),
    Step("Refused: more than is available", TREASURER, "POST", "/v1/withdrawals",
         _payout("payout-1002", "5000")),
    Step("", TREASURER, "POST", "/v1/withdrawals", _payout("payout-1003", "20")),
    Step("Approve", APPROVER, "POST", "/v1/withdrawals/client:payout-1003/approve"),
    Step("", TREASURER, "POST", "/v1/withdrawals", _payout("payout-1004", "20")),
    Step("Reject", APPROVER, "POST", "/v1/withdrawals/client:payout-1004/reject",
         {"note": "unknown recipient"}),
    Step("", TREASURER, "POST", "/v1/withdrawals", _payout("payout-1005", "20")),
    Step("Cancel", TREASURER, "DELETE", "/v1/withdrawals/client:payout-1005"),
    Step("One withdrawal", READER, "GET", "/v1/withdrawals/client:payout-1001"),
    Step("Withdrawals", READER, "GET", "/v1/withdrawals?status=all"),
    Step("Move 1,000 USD to a sub-account", TREASURER, "POST", "/v1/transfers",
         {"client_transfer_id": "transfer-1001", "to_account": "alice:desk", "asset": "USD",
          "amount": "1000"}),
    Step("Transfers", READER, "GET", "/v1/transfers"),
    # Sessions and keys.
    Step("Sessions", READER, "GET", "/v1/sessions"),
    Step("Orders that the session sent, as the venue read them", READER, "GET",
         "/v1/sessions/fix:ALICE/messages?type=D"),
    Step("A key for trading", KEYMAKER, "POST", "/v1/api-keys",
         {"name": "desk-1001", "kind": "hmac", "scopes": ["read", "trade"]}, keep="key"),
    Step("Every key", READER, "GET", "/v1/api-keys"),
    Step("Revoke a key", KEYMAKER, "DELETE", "/v1/api-keys/{key}"),
    Step("", KEYMAKER, "POST", "/v1/api-keys",
         {"name": "treasury-1001", "kind": "hmac", "scopes": ["read", "withdraw"]}, keep="key"),
    Step("Approve a key", APPROVER, "POST", "/v1/api-keys/{key}/approve"),
    # Webhooks.
    Step("An endpoint for withdrawals and credited deposits", KEYMAKER, "POST", "/v1/webhooks",
         {"name": "treasury", "url": "https://treasury.example.com/tandem",
          "events": ["withdrawal.*", "deposit.credited"]}, keep="webhook_id"),
    Step("Refused: a private address", KEYMAKER, "POST", "/v1/webhooks",
         {"name": "inside", "url": "https://10.0.0.5/tandem", "events": ["*"]}),
    Step("Every endpoint", READER, "GET", "/v1/webhooks"),
    Step("One endpoint", READER, "GET", "/v1/webhooks/{webhook_id}"),
    Step("Choose other events", KEYMAKER, "PATCH", "/v1/webhooks/{webhook_id}",
         {"events": ["withdrawal.completed", "withdrawal.failed", "deposit.credited"]}),
    Step("A new secret, the old one valid for an hour", KEYMAKER, "POST",
         "/v1/webhooks/{webhook_id}/rotate-secret", {"old_valid_s": 3600}),
    Step("Send a test", KEYMAKER, "POST", "/v1/webhooks/{webhook_id}/ping"),
    Step("Send a range again", KEYMAKER, "POST", "/v1/webhooks/{webhook_id}/resend",
         {"from_seq": 1, "to_seq": 40}),
    Step("The log of deliveries", READER, "GET", "/v1/webhooks/{webhook_id}/deliveries?limit=10"),
    Step("Delete an endpoint", KEYMAKER, "DELETE", "/v1/webhooks/{webhook_id}"),
    # The operator.
    Step("Halt trading", OPERATOR, "PUT", "/v1/instruments/ETH-BTC/status",
         {"status": "halted", "note": "maintenance"}),
    Step("", OPERATOR, "PUT", "/v1/instruments/ETH-BTC/status", {"status": "open"}),
    Step("Center the price band", OPERATOR, "PUT", "/v1/instruments/ETH-USD/reference-price",
         {"price": "3000", "note": "opening"}),
    Step("Suspend an account", OPERATOR, "PUT", "/v1/accounts/carol/status",
         {"status": "suspended", "note": "a runaway algorithm"}),
    Step("", OPERATOR, "PUT", "/v1/accounts/carol/status", {"status": "active"}),
    # Health.
    Step("Alive", "", "GET", "/healthz"),
    Step("Ready", "", "GET", "/readyz"),
)  # fmt: skip
"""Every operation of the table of routes, in an order in which each has something to show."""

Send = Callable[[Step, str], tuple[dict[str, str], int, dict[str, str], Any]]
"""Sends a step to a target; returns the headers of the request, and the answer."""


def play(send: Send) -> dict[str, list[dict[str, Any]]]:
    """Play all steps; returns the shown ones by their operation, in the order of the routes."""
    found: dict[str, list[dict[str, Any]]] = {route.name: [] for route in ROUTES}
    known: dict[str, str] = {}
    for step in STEPS:
        target = step.target.format(**known) if "{" in step.target else step.target
        request_headers, status, headers, body = send(step, target)
        if step.keep:
            known[step.keep] = body[step.keep]
        request: dict[str, Any] = {
            "key": step.key, "method": step.method, "target": target, "headers": request_headers,
        }  # fmt: skip
        if step.body is not None:
            request["body"] = step.body
        if step.title:
            found[operation(step.method, target)].append({
                "title": step.title,
                "request": request,
                "response": {"status": status, "headers": headers, "body": body},
            })  # fmt: skip
        else:
            assert status < 300, (step, body)
    return found


def operation(method: str, target: str) -> str:
    """Return the name of the operation that serves a request."""
    path = target.partition("?")[0]
    matches = [
        route for route in ROUTES
        if route.method == method
        and re.fullmatch(re.sub(r"\{\w+\}", r"[^/]+", route.path), path)
    ]  # fmt: skip
    return min(matches, key=lambda route: route.path.count("{")).name


def record(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Play the steps on an application of its own, with nothing left to chance."""
    clock = Clock()
    engine = InProcessEngine(folder, clock)
    engine.submit(OpenSession(Origin("fix:ALICE"), "alice", CancelScope.NONE, 0))
    settings = replace(
        api_settings(load(DEMO_FILE, {"TANDEM_DATA": str(folder)})),
        fix_messages=_fix_messages, fix_dictionary=shipped("spec/FIX44.xml"),
    )  # fmt: skip
    formats = {(asset, network): form for asset, network, form in settings.address_formats}
    app = create_app(
        settings, lambda: engine, lambda: open_reader(engine.history_url), clock,
        simulated_deposit_address(formats),
    )  # fmt: skip
    http = app.test_client()

    def send(step: Step, target: str) -> tuple[dict[str, str], int, dict[str, str], Any]:
        bearer = step.key.endswith("-read")
        one = Caller(http, clock, "" if bearer else step.key, step.key if bearer else "")
        raw = b"" if step.body is None else json.dumps(step.body).encode()
        signed = one.headers(step.method, target, raw, step.idempotency_key)
        answer = one.send(step.method, target, raw or None, signed)
        sent = dict(signed)
        if raw:
            sent["Content-Type"] = "application/json"
        shown = {name: answer.headers[name] for name in SHOWN_HEADERS if name in answer.headers}
        return sent, answer.status, shown, answer.json

    return constant(play(send))


def _fix_messages(comp_id: str, cursor: str, limit: int) -> str:
    """What a gateway answers that has had one order."""
    order = (
        f"8=FIX.4.4|9=141|35=D|34=2|49={comp_id}|52=20260105-09:30:00.000|56=TANDEM|11=fix-1|"
        "55=BTC-USD|54=1|60=20260105-09:30:00.000|38=0.5|40=2|44=60000|59=1|10=127|"
    )
    came = [[1, "20260105-09:30:00.000412000", order]]
    return json.dumps({"in": came, "out": [], "cursor": "1.1.0", "again": False})


_RANDOM: Final = (
    (re.compile(r"\btk-[0-9a-f]{20}\b"), "tk-{:020x}"),
    (re.compile(r"\bwh_[0-9a-f]{20}\b"), "wh_{:020x}"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "{:032x}"),
    (re.compile(r"(?<=\"secret\": \")[^\"]+"), "shown-only-in-this-response"),
)  # fmt: skip


def constant(recording: Any) -> Any:
    """Replace what is drawn at random, each value by one of the same form."""
    found = json.loads(in_order(json.dumps(recording), _RANDOM))
    for example in itertools.chain.from_iterable(found.values()):
        example["request"]["headers"] |= signature(example["request"])
    return found


def signature(request: dict[str, Any]) -> dict[str, str]:
    """The headers that sign a recorded request, at the time that it states; none if unsigned."""
    stamp = request["headers"].get("X-Tandem-Timestamp")
    if stamp is None:
        return {}
    raw = json.dumps(request["body"]).encode() if "body" in request else b""
    once = request["headers"].get("Idempotency-Key", "")
    return signed_headers(request["key"], stamp, request["method"], request["target"], raw, once)


def written(recording: dict[str, list[dict[str, Any]]]) -> str:
    """The text of the file."""
    return json.dumps(recording, indent=1, ensure_ascii=False) + "\n"


def kept() -> dict[str, list[dict[str, Any]]]:
    """The recording that the tree has."""
    found: dict[str, list[dict[str, Any]]] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def shape(value: Any) -> Any:
    """The members and types of a value; of a list those of all its items together."""
    if isinstance(value, dict):
        return {name: shape(part) for name, part in value.items()}
    if isinstance(value, list):
        return [merged([shape(part) for part in value])] if value else []
    return None if value is None else type(value).__name__


def merged(shapes: list[Any]) -> Any:
    """One shape for several: what only some have is there, and null gives way."""
    known = [one for one in shapes if one is not None]
    if not known:
        return None
    if all(isinstance(one, dict) for one in known):
        names = dict.fromkeys(name for one in known for name in one)
        return {name: merged([one.get(name) for one in known]) for name in names}
    if all(isinstance(one, list) for one in known):
        inner = [part for one in known for part in one]
        return [merged(inner)] if inner else []
    return known[0]


def differs(kept: Any, now: Any, where: str = "") -> str:
    """Return where two shapes differ; "" where they agree. Null and an empty list fit anything."""
    if kept is None or now is None or kept == [] or now == []:
        return ""
    if isinstance(kept, dict) and isinstance(now, dict):
        if kept.keys() != now.keys():
            return f"{where}: {sorted(kept.keys() ^ now.keys())}"
        found = (differs(kept[name], now[name], f"{where}.{name}") for name in kept)
        return next((one for one in found if one), "")
    if isinstance(kept, list) and isinstance(now, list):
        return differs(kept[0], now[0], f"{where}[]")
    return "" if kept == now else f"{where}: {kept} and {now}"


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory() as name:
        text = written(record(Path(name)))
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(text, encoding="utf-8")
