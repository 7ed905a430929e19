"""The maker against a venue that says what a test wants it to."""

from __future__ import annotations

import threading
from typing import Any

from bots.maker import Maker, Plan
from bots.rest import Refused, Unavailable
from tests.support import pace

INSTRUMENT = {
    "symbol": "BTC-USD", "base": "BTC", "quote": "USD", "tick": "0.01", "lot": "0.00001",
    "max_price": "1000000", "max_quantity": "10000", "status": "open", "last_price": None,
}  # fmt: skip
PLAN = Plan(1, 0.0, 2, {"BTC-USD": "60000"}, {"BTC": "0.5"})


class Venue:
    """Accepts every quote; ``faults`` are raised by the calls with these numbers."""

    def __init__(self, steps: int, faults: dict[int, Exception] | None = None) -> None:
        self.stop = threading.Event()
        self.steps = steps
        self.faults = faults or {}
        self.calls: list[tuple[str, str]] = []
        self.open: dict[str, dict[str, Any]] = {}
        self.batches: list[list[dict[str, Any]]] = []
        self.status = "open"

    def call(self, method: str, target: str, body: Any = None) -> dict[str, Any]:
        self.calls.append((method, target))
        fault = self.faults.get(len(self.calls))
        if fault is not None:
            raise fault
        if target == "/v1/instruments":
            return {"instruments": [{**INSTRUMENT, "status": self.status}]}
        if target.startswith("/v1/orders?"):
            return {"orders": list(self.open.values())}
        if method == "DELETE":
            name = target.removeprefix("/v1/orders").removeprefix("/client:")
            for one in [name] if name else list(self.open):
                del self.open[one]
        if target == "/v1/orders/batch":
            return self.batch(body["operations"])
        return {}

    def batch(self, operations: list[dict[str, Any]]) -> dict[str, Any]:
        self.batches.append(operations)
        if len(self.batches) == self.steps:
            self.stop.set()
        return {"results": [self.one(operation) for operation in operations]}

    def one(self, operation: dict[str, Any]) -> dict[str, Any]:
        name = operation.get("client_order_id") or operation["order"].removeprefix("client:")
        if operation["op"] == "replace" and name not in self.open:
            return {"accepted": False, "order": None, "error": {"code": "too_late"}}
        order = {
            "client_order_id": name, "price": operation["price"], "status": "new",
            "leaves_quantity": operation["quantity"], "filled_quantity": "0",
        }  # fmt: skip
        self.open[name] = order
        return {"accepted": True, "order": order, "error": None}

    def run(self) -> None:
        thread = threading.Thread(target=Maker(self, PLAN, self.stop).run)  # type: ignore[arg-type]
        thread.start()
        thread.join(pace.seconds(10))
        assert not thread.is_alive()


def test_it_begins_and_ends_with_an_empty_book_and_arms_the_switch() -> None:
    venue = Venue(steps=5)
    venue.open["left-over"] = {}
    venue.run()
    assert venue.calls[:3] == [
        ("GET", "/v1/instruments"), ("DELETE", "/v1/orders"), ("PUT", "/v1/dead-man-switch"),
    ]  # fmt: skip
    assert venue.calls[-1] == ("DELETE", "/v1/orders") and venue.open == {}
    assert [operation["op"] for operation in venue.batches[0]] == ["create"] * 4
    assert {operation["op"] for batch in venue.batches[1:] for operation in batch} == {"replace"}


def test_a_quote_that_was_taken_is_made_again() -> None:
    venue = Venue(steps=30)
    taken: list[str] = []
    batch = venue.batch

    def take(operations: list[dict[str, Any]]) -> dict[str, Any]:
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
    for fault in (Unavailable("no answer"), Refused("outside_window", "late")):
        venue = Venue(steps=3, faults={5: fault})
        venue.run()
        assert venue.calls[5:7] == [("GET", "/v1/instruments"), ("DELETE", "/v1/orders")]
        assert {len(batch) for batch in venue.batches} == {4}


def test_an_instrument_that_is_halted_is_left_alone() -> None:
    venue = Venue(steps=99)
    venue.status = "halted"
    counted = venue.call

    def call(method: str, target: str, body: Any = None) -> dict[str, Any]:
        if len(venue.calls) > 6:
            venue.stop.set()
        return counted(method, target, body)

    venue.call = call  # type: ignore[method-assign]
    venue.run()
    assert venue.batches == []
