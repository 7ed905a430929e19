"""Random batches, stops, replaces and self-trades through the doors of REST and WebSocket.

The core's own flows never pass a door, so whatever a door makes of a turn is tried here: every
answer is compared with the transaction that it is about and with the orders read afterwards.
TANDEM_REST_REQUESTS sets how many requests a flow has (default 150).
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from account_api.configuration import api_settings
from account_api.errors import Problem
from account_api.http.app import create_app
from account_api.routes import ROUTES
from account_api.stream.operations import Operations
from account_api.stream.principal import StreamPrincipal
from config.settings import DEMO_FILE, load
from engine.core.commands import Deposit, Tick, Transfer
from engine.core.events import OrderFilled
from engine.core.exchange import Exchange
from engine.core.types import Origin
from engine.history.queries import open_reader
from engine.journal.statecodec import decode_state, encode_state
from tests.api.client import Caller
from tests.api.inprocess import ENGINE, Clock, InProcessEngine
from tests.support.venue import violations

REQUESTS: Final = int(os.environ.get("TANDEM_REST_REQUESTS", "150"))
FIRST_SEED: Final = int(os.environ.get("TANDEM_SEED", "1"))
FIRMS: Final = ("alice", "bob", "carol")
SUB: Final = "alice:desk"
"""A sub-account that alice's keys name."""
SYMBOLS: Final = (("BTC-USD", 100), ("ETH-USD", 50))
STPS: Final = ("none", "cancel_newest", "cancel_oldest", "cancel_both", "decrement")
Operation = dict[str, Any]


class RestFlow:
    """Requests of three firms on one venue in this process."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.random = random.Random(seed)
        self.clock = Clock()
        self.engine = InProcessEngine(folder, self.clock)
        self.engine.exchange.cascade_max = self.random.choice((1, 3, 1000))
        self.engine.exchange.work_max = self.random.choice((2, 6, 500))
        settings = api_settings(load(DEMO_FILE, {"TANDEM_DATA": str(folder)}))
        settings = replace(settings, rate_limits=())
        app = create_app(
            settings, lambda: self.engine, lambda: open_reader(self.engine.history_url), self.clock
        )
        for asset, atoms in (("USD", 10**15), ("BTC", 10**10), ("ETH", 10**11)):
            self.engine.submit(Transfer(Origin("api:alice"), "alice", SUB, asset, atoms, asset))
        services = app.extensions["tandem"]
        self.callers = {f: Caller(app.test_client(), self.clock, f"demo-{f}-trade") for f in FIRMS}
        self.operations = Operations(ROUTES, services, 1)
        self.principals = {
            key.account: StreamPrincipal(key=key, connection="c")
            for key in settings.keys
            if key.key == f"demo-{key.account}-trade"
        }
        self.ids: dict[str, list[str]] = {firm: ["unknown"] for firm in FIRMS}
        self.met: Counter[str] = Counter()

    def name(self, firm: str) -> str:
        """A new client order id, or now and then one that is taken."""
        pick = self.random
        if pick.random() < 0.05:
            return pick.choice(self.ids[firm])
        self.ids[firm].append(f"{firm}-{len(self.ids[firm])}")
        return self.ids[firm][-1]

    def known(self, firm: str) -> str:
        return f"client:{self.random.choice(self.ids[firm][-12:])}"

    def price(self, middle: int) -> str:
        return str(middle + self.random.randint(-3, 3))

    def account(self, firm: str) -> Operation:
        """The account that a request of a firm names, if any."""
        return {"account": SUB} if firm == "alice" and self.random.random() < 0.3 else {}

    def create(self, firm: str) -> Operation:
        pick = self.random
        symbol, middle = pick.choice(SYMBOLS)
        order: Operation = {
            "client_order_id": self.name(firm), "symbol": symbol,
            "quantity": str(pick.randint(1, 5)), "side": pick.choice(("buy", "sell")),
            "self_trade_prevention": pick.choice(STPS),
        }  # fmt: skip
        kind = pick.random()
        if kind < 0.3:
            order |= {"type": "stop", "stop_price": self.price(middle)}
        elif kind < 0.4:
            order |= {"type": "stop_limit", "stop_price": self.price(middle),
                      "price": self.price(middle)}  # fmt: skip
        elif kind < 0.5:
            order |= {"type": "market"}
        else:
            order |= {"price": self.price(middle)}
            if pick.random() < 0.2:
                order["time_in_force"] = pick.choice(("ioc", "fok"))
            elif pick.random() < 0.2:
                order["display_quantity"] = "1"
        return order

    def operation(self, firm: str) -> Operation:
        pick, kind = self.random, self.random.random()
        if kind < 0.6:
            return {"op": "create", **self.create(firm)}
        if kind < 0.8:
            return {"op": "cancel", "order": self.known(firm)}
        change: Operation = {"op": "replace", "order": self.known(firm)}
        change[pick.choice(("price", "quantity"))] = str(pick.randint(1, 103))
        if pick.random() < 0.5:
            change["client_order_id"] = self.name(firm)
        return change

    def step(self) -> None:
        """One request by one of the doors, and what must be true of its answer."""
        pick = self.random
        firm = pick.choice(FIRMS)
        before = self.engine.exchange.seq
        if pick.random() < 0.4:
            self.go_on()
            body = self.account(firm) | self.create(firm)
            answer = self.callers[firm].post("/v1/orders", body)
            assert answer.status < 500, answer.json
            if answer.status == 201:
                fills, own = answer.json["fills"], {answer.json["order_id"]}
                self.check_fills(firm, answer.json["as_of_seq"], fills, own)
            return
        mode = "validate_all" if pick.random() < 0.2 else "independent"
        count = pick.randint(1, 6)
        known = set(self.ids[firm])
        operations = [self.operation(firm) for _ in range(count)]
        body = {"operations": operations, "mode": mode, **self.account(firm)}
        made = [f"client:{name}" for name in self.ids[firm] if name not in known]
        self.met["batches that name what they make"] += any(
            operation.get("order") in made for operation in operations
        )
        self.go_on()
        found = self.batch(firm, body)
        if found is None:
            return
        assert [row["index"] for row in found["results"]] == list(range(count))
        assert found["accepted"] == sum(row["accepted"] for row in found["results"])
        assert found["as_of_seq"] > before
        fills: list[Any] = []
        for row in found["results"]:
            assert (row["order"] is None) is not (row["error"] is None)
            if row["error"] is not None:
                assert row["error"]["status"] < 500, row
                continue
            fills += row["order"]["fills"]
            if row["op"] == "create":
                target = f"/v1/orders/{row['order']['order_id']}"
                now = self.callers[firm].get(target).ok()
                told = {n: v for n, v in row["order"].items() if n not in ("as_of_seq", "fills")}
                assert told == {n: now[n] for n in told}, row
        named = {row["order"]["order_id"] for row in found["results"] if row["order"] is not None}
        self.check_fills(firm, found["as_of_seq"], fills, named)
        self.met["batches"] += 1
        last = type(self.engine.transactions[found["as_of_seq"] - 1].events[-1]).__name__
        self.met["batches that set off stops"] += last != "BatchDone"

    def go_on(self) -> None:
        """Now and then the engine has time for what a command left over (rule M-10)."""
        exchange = self.engine.exchange
        while exchange.next_timer() == exchange.time_us and self.random.random() < 0.7:
            self.engine.submit(Tick(ENGINE))
            self.met["Ticks that went on"] += 1

    def batch(self, firm: str, body: Operation) -> Any:
        """Send a batch by one door or the other; None where it was refused as a whole."""
        if self.random.random() < 0.5:
            answer = self.callers[firm].post("/v1/orders/batch", body)
            assert answer.status in (200, 400), answer.json
            return answer.json if answer.status == 200 else None
        self.met["WebSocket"] += 1
        try:
            done = asyncio.run(self.operations.run("batch", body, self.principals[firm], "r"))
        except Problem as problem:
            assert problem.status < 500, problem.detail
            return None
        return msgspec.to_builtins(done.body)

    def check_fills(self, firm: str, seq: int, told: list[Any], named: set[str]) -> None:
        """Every fill of the orders that were named is told once, with its order."""
        happened = [
            (event.trade_id, str(event.order.order_id))
            for event in self.engine.transactions[seq - 1].events
            if isinstance(event, OrderFilled)
            and event.account in (firm, SUB)
            and str(event.order.order_id) in named
        ]
        found = [(fill["trade_id"], fill["order_id"]) for fill in told]
        assert sorted(found) == sorted(happened), seq


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + 4))
def test_answers_tell_their_own_turn_whatever_it_set_off(seed: int, tmp_path: Path) -> None:
    flow = RestFlow(seed, tmp_path)
    for _ in range(REQUESTS):
        flow.step()
    flow.operations.close()
    assert violations(flow.engine.exchange) == []
    assert flow.met["batches that set off stops"] > 3, flow.met
    assert flow.met["WebSocket"] > 10, flow.met
    assert flow.met["batches that name what they make"] > 3, flow.met


class WideFlow(RestFlow):
    """Orders as large and as dear as the configuration allows, by firms that can pay for them."""

    def __init__(self, seed: int, folder: Path) -> None:
        super().__init__(seed, folder)
        self.instruments = self.engine.exchange.books
        for firm in FIRMS:
            for asset, atoms in (("USD", 2 * 10**18), ("BTC", 10**15), ("ETH", 10**16)):
                self.engine.submit(Deposit(ENGINE, f"wide:{firm}:{asset}", firm, asset, atoms))

    def any_of(self, largest: int, least: int = 1) -> int:
        """A whole number up to a bound: the bound, one off it, or of any size."""
        pick = self.random
        size = least + int((largest - least) * pick.random() ** pick.choice((1, 8)))
        return pick.choice((size, size, largest, largest - 1, largest + 1))

    def create(self, firm: str) -> Operation:
        pick = self.random
        book = self.instruments[pick.choice(sorted(self.instruments))]
        terms = book.instrument
        return {
            "client_order_id": self.name(firm), "symbol": terms.symbol,
            "side": pick.choice(("buy", "sell")),
            "quantity": terms.quantity_text(self.any_of(terms.max_qty, terms.min_qty)),
            "price": terms.price_text(self.any_of(terms.max_price)),
        }  # fmt: skip

    def restored(self) -> Exchange:
        """What a snapshot of this moment would bring back."""
        return Exchange.restore(decode_state(encode_state(self.engine.exchange.export_state())))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + 2))
def test_N5_what_the_configuration_allows_can_be_done_kept_and_told(
    seed: int, tmp_path: Path
) -> None:
    flow = WideFlow(seed, tmp_path)
    for number in range(REQUESTS):
        flow.step()
        if number % 25 == 0:
            assert flow.restored().state_hash() == flow.engine.exchange.state_hash()
    flow.operations.close()
    exchange = flow.engine.exchange
    assert violations(exchange) == []
    assert flow.restored().state_hash() == exchange.state_hash()
    largest = max(
        event.cash for transaction in flow.engine.transactions for event in transaction.events
        if isinstance(event, OrderFilled)
    )  # fmt: skip
    assert largest > 10**17, "a trade of some billions"
