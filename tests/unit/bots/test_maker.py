"""The maker against a venue that says what a test wants it to."""

from __future__ import annotations

import threading
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from bots.maker import Maker, Plan
from tandem_client import NoAnswer
from tandem_client.document import convert
from tandem_client.errors import api_error
from tandem_client.generated.models import InstrumentView
from tests.support import pace

INSTRUMENT = {
    "symbol": "BTC-USD", "base": "BTC", "quote": "USD", "tick": "0.01", "lot": "0.00001",
    "max_price": "1000000", "max_quantity": "10000", "status": "open", "last_price": None,
    "min_quantity": "0", "band": None, "reference_price": None, "band_low": None, "band_high": None,
}  # fmt: skip
PLAN = Plan(1, 0.0, 2, {"BTC-USD": "60000"}, {"BTC": "0.5"})


class Venue:
    """Accepts every quote; ``faults`` are raised by the calls with these numbers."""

    def __init__(self, steps: int, faults: dict[int, Exception] | None = None) -> None:
        self.stop = threading.Event()
        self.steps = steps
        self.faults = faults or {}
        self.calls: list[str] = []
        self.open: dict[str, Any] = {}
        self.batches: list[list[dict[str, Any]]] = []
        self.status = "open"

    def called(self, name: str) -> None:
        self.calls.append(name)
        fault = self.faults.get(len(self.calls))
        if fault is not None:
            raise fault

    def get_instruments(self) -> Any:
        self.called("get_instruments")
        row = {**INSTRUMENT, "status": self.status}
        return SimpleNamespace(instruments=[convert(row, InstrumentView)])

    def get_orders(self, limit: int) -> Any:
        self.called("get_orders")
        return SimpleNamespace(orders=list(self.open.values()))

    def cancel_all(self) -> None:
        self.called("cancel_all")
        self.open.clear()

    def cancel_order(self, order: str) -> None:
        self.called("cancel_order")
        del self.open[order.removeprefix("client:")]

    def set_dead_mans_switch(self, timeout_s: int) -> None:
        self.called("set_dead_mans_switch")

    def submit_batch(self, operations: list[dict[str, Any]]) -> Any:
        self.called("submit_batch")
        return self.batch(operations)

    def batch(self, operations: list[dict[str, Any]]) -> Any:
        self.batches.append(operations)
        if len(self.batches) == self.steps:
            self.stop.set()
        return SimpleNamespace(results=[self.one(operation) for operation in operations])

    def one(self, operation: dict[str, Any]) -> Any:
        name = operation.get("client_order_id") or operation["order"].removeprefix("client:")
        if operation["op"] == "replace" and name not in self.open:
            return SimpleNamespace(order=None, error=SimpleNamespace(code="too_late"))
        order = SimpleNamespace(
            client_order_id=name, price=Decimal(operation["price"]), status="new",
            leaves_quantity=Decimal(operation["quantity"]), filled_quantity=Decimal(0),
        )  # fmt: skip
        self.open[name] = order
        return SimpleNamespace(order=order, error=None)

    def run(self) -> None:
        thread = threading.Thread(target=Maker(self, PLAN, self.stop).run)  # type: ignore[arg-type]
        thread.start()
        thread.join(pace.seconds(10))
        assert not thread.is_alive()


def test_it_begins_and_ends_with_an_empty_book_and_arms_the_switch() -> None:
    venue = Venue(steps=5)
    venue.open["left-over"] = None
    venue.run()
    assert venue.calls[:3] == ["get_instruments", "cancel_all", "set_dead_mans_switch"]
    assert venue.calls[-1] == "cancel_all" and venue.open == {}
    assert [operation["op"] for operation in venue.batches[0]] == ["create"] * 4
    assert {operation["op"] for batch in venue.batches[1:] for operation in batch} == {"replace"}


def test_a_quote_that_was_taken_is_made_again() -> None:
    venue = Venue(steps=30)
    taken: list[str] = []
    batch = venue.batch

    def take(operations: list[dict[str, Any]]) -> Any:
        answer = batch(operations)
        if len(venue.batches) == 3:
            taken.append(next(iter(venue.open)))
            del venue.open[taken[0]]
        return answer

    venue.batch = take  # type: ignore[method-assign]
    venue.run()
    created = [o["client_order_id"] for b in venue.batches for o in b if o["op"] == "create"]
    assert taken[0] in created and len(created) == len(set(created)) == 5


def test_after_a_lost_answer_or_a_refusal_it_begins_anew() -> None:
    for fault in (NoAnswer("no answer"), api_error({"code": "outside_window", "status": 401})):
        venue = Venue(steps=3, faults={5: fault})
        venue.run()
        assert venue.calls[5:7] == ["get_instruments", "cancel_all"]
        assert {len(batch) for batch in venue.batches} == {4}


def test_an_instrument_that_is_halted_is_left_alone() -> None:
    venue = Venue(steps=99)
    venue.status = "halted"
    counted = venue.called

    def called(name: str) -> None:
        if len(venue.calls) > 6:
            venue.stop.set()
        counted(name)

    venue.called = called  # type: ignore[method-assign]
    venue.run()
    assert venue.batches == []
