"""The market maker: both sides of every instrument, moved by one batch per step over HTTP.

It does not rely on its own state for long: every few steps it queries which of its orders are
open, and whenever a response is lost it cancels everything and starts again. A dead man's
switch cancels its quotes if it dies itself.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import structlog

from bots.grid import Grid
from bots.quotes import OPERATIONS_MAX, Operation, Quote, Resting, Slot, ladder, operations
from bots.walk import Prices
from tandem_client import Client, TandemError
from tandem_client.generated.models import BatchResult, InstrumentView, OrderAnswer, OrderView

SWITCH_S: Final = 20
SWITCH_EVERY_S: Final = 6.0
CHECK_EVERY_STEPS: Final = 10
GONE: Final = frozenset(("too_late", "unknown_order"))
"""The order of a refused replace is no longer open."""
RETRY_FIRST_S: Final = 0.5
RETRY_MAX_S: Final = 4.0
_log: Final = structlog.get_logger("bots.maker")


@dataclass(frozen=True, slots=True)
class Plan:
    """The configuration of the market; prices and quantities as decimal text."""

    seed: int
    step_s: float
    levels: int
    prices: Mapping[str, str]
    quantities: Mapping[str, str]


@dataclass(slots=True)
class _Market:
    """The venue's instruments and the maker's quotes in them."""

    grids: dict[str, Grid]
    prices: Prices
    open: set[str]
    resting: dict[Slot, Resting] = field(default_factory=dict)


class Maker:
    """Runs on its own thread until ``stop`` is set; ``active`` is true while it quotes."""

    def __init__(self, venue: Client, plan: Plan, stop: threading.Event) -> None:
        self._venue = venue
        self._plan = plan
        self._stop = stop
        self._draw = random.Random(f"{plan.seed}:maker")
        self.active = threading.Event()
        self.orders_sent = self.failures = 0

    def run(self) -> None:
        """Quote until stopped, across all failures of the venue; then cancel all quotes."""
        pause_s = RETRY_FIRST_S
        while not self._stop.is_set():
            try:
                self._quote()
            except TandemError as error:
                self.failures += 1
                if self.active.is_set():
                    pause_s = RETRY_FIRST_S
                self.active.clear()
                _log.warning("waiting", reason=str(error), seconds=pause_s)
                self._stop.wait(pause_s)
                pause_s = min(2 * pause_s, RETRY_MAX_S)
        try:
            self._venue.cancel_all()
        except TandemError as error:
            # The dead man's switch does it instead.
            _log.warning("not_canceled", reason=str(error))

    def _quote(self) -> None:
        market = self._begin()
        ids = self._ids()
        switch_at = 0.0
        for step in itertools.count(1):
            if time.monotonic() >= switch_at:
                self._venue.set_dead_mans_switch(timeout_s=SWITCH_S)
                switch_at = time.monotonic() + SWITCH_EVERY_S
            if step % CHECK_EVERY_STEPS == 0:
                self._check(market)
            market.prices.step()
            self._send(market, ids)
            if not self.active.is_set() and market.resting:
                self.active.set()
                _log.info("quoting", symbols=sorted({slot[0] for slot in market.resting}))
            if self._stop.wait(self._plan.step_s):
                return

    def _begin(self) -> _Market:
        """Load the instruments, and cancel orders that an earlier run left in the book."""
        rows = self._venue.get_instruments().instruments
        grids = {row.symbol: Grid.of(row) for row in rows}
        anchors = {
            symbol: grids[symbol].ticks(text)
            for symbol, text in self._plan.prices.items()
            if symbol in grids
        }
        prices = Prices(self._plan.seed, grids, anchors)
        for row in rows:
            if row.last_price is not None:
                prices.resume(row.symbol, grids[row.symbol].ticks(row.last_price))
        self._venue.cancel_all()
        return _Market(grids, prices, _open(rows))

    def _ids(self) -> Iterator[str]:
        """Return new client order ids; the start time makes them unique across runs."""
        began = format(time.time_ns() // 1_000_000, "x")
        return (f"mm-{began}-{number}" for number in itertools.count(1))

    def _send(self, market: _Market, ids: Iterator[str]) -> None:
        wanted: dict[Slot, Quote] = {}
        for symbol in market.prices.symbols:
            if symbol in market.open:
                grid = market.grids[symbol]
                quantity = grid.lots(self._plan.quantities.get(grid.base, "1"))
                wanted |= ladder(
                    grid, market.prices.middle(symbol), quantity, self._levels(market), self._draw
                )
        batch = operations(wanted, market.resting, market.grids, ids)
        if not batch:
            return
        results = self._venue.submit_batch(operations=[one for _, one in batch]).results
        self.orders_sent += len(batch)
        for (slot, operation), result in zip(batch, results, strict=True):
            self._learn(market, slot, operation, result)

    def _levels(self, market: _Market) -> int:
        """Return as many levels as one batch can create at once."""
        return max(1, min(self._plan.levels, OPERATIONS_MAX // (2 * len(market.open or "1"))))

    def _learn(
        self, market: _Market, slot: Slot, operation: Operation, result: BatchResult
    ) -> None:
        if result.order is not None:
            market.resting.pop(slot, None)
            self._keep(market, slot, result.order)
        elif operation["op"] == "replace" and result.error and result.error.code in GONE:
            market.resting.pop(slot, None)

    def _keep(self, market: _Market, slot: Slot, order: OrderView | OrderAnswer) -> None:
        grid = market.grids[slot[0]]
        if order.status in ("new", "partially_filled") and order.price is not None:
            market.resting[slot] = Resting(
                order.client_order_id,
                grid.ticks(order.price),
                grid.lots(order.leaves_quantity),
                grid.lots(order.filled_quantity),
            )

    def _check(self, market: _Market) -> None:
        """Query which orders are open and which instruments trade."""
        market.open = _open(self._venue.get_instruments().instruments)
        rows = self._venue.get_orders(limit=1000).orders
        by_id = {row.client_order_id: row for row in rows}
        slots = {slot: known.client_order_id for slot, known in market.resting.items()}
        market.resting.clear()
        for slot, client_order_id in slots.items():
            row = by_id.pop(client_order_id, None)
            if row is not None:
                self._keep(market, slot, row)
        for client_order_id in by_id:
            # Only this bot trades for the account: the order is from before a lost response.
            self._venue.cancel_order(f"client:{client_order_id}")


def _open(rows: list[InstrumentView]) -> set[str]:
    return {row.symbol for row in rows if row.status == "open"}
