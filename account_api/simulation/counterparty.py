"""Trades with, and cancels, orders of a simulated symbol as their quantity says.

It asks the engine for the symbol's book, a few times a second: there are few orders in it, and what
is to be done follows from each of them. A command that is sent twice, after a restart or a lost
connection, is refused by its client order id, or finds no order any more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import structlog

from account_api.ports import EnginePort
from account_api.simulation.scripts import SCRIPTS, due
from engine.client import EngineError, queries
from engine.core.commands import CancelOrder, NewOrder
from engine.core.types import OrdType, Origin, ShownOrder, Side, TimeInForce

SOURCE: Final = "simulator"
POLL_S: Final = 0.1
_OTHER: Final = {Side.BUY: Side.SELL, Side.SELL: Side.BUY}
_log: Final = structlog.get_logger("simulation")


class Counterparty:
    """Works on one symbol for ``account``, which has both of its assets in plenty."""

    def __init__(
        self, engine: EnginePort, symbol: str, account: str, clock_us: Callable[[], int]
    ) -> None:
        self._engine = engine
        self._symbol = symbol
        self._account = account
        self._clock_us = clock_us
        self._unit = 0

    def run(self, stopping: threading.Event) -> None:
        """Work until ``stopping``; wait for an engine that is away."""
        away = False
        while not stopping.wait(POLL_S):
            try:
                self.turn()
                away = False
            except EngineError as error:
                if not away:
                    _log.warning("engine_away", reason=str(error))
                away = True

    def turn(self) -> int:
        """Do what is due now; returns the number of steps. Raises EngineError."""
        book = self._engine.fetch(queries.BookOrders(self._symbol)).value
        if book is None:
            return 0
        return sum(self._step(shown) for shown in book.orders)

    def _step(self, shown: ShownOrder) -> int:
        unit = self._lots_of_one()
        row = self._engine.fetch(queries.Order("", order_id=shown.order_id)).value
        if row is None or row.order.account == self._account or row.order.qty % unit:
            return 0
        order = row.order
        quantity = order.qty // unit
        if quantity not in SCRIPTS:
            return 0
        step = due(quantity, row.cum // unit, (self._clock_us() - order.created_at) / 1e6)
        if step is None:
            return 0
        if step.fill:
            self._engine.submit(
                NewOrder(
                    Origin(SOURCE), self._account, f"sim-{order.order_id}-{row.cum}",
                    self._symbol, _OTHER[order.side], OrdType.LIMIT, TimeInForce.IOC,
                    step.fill * unit, order.price,
                )
            )  # fmt: skip
        else:
            self._engine.submit(
                # Without an id of a request: nobody asked for it.
                CancelOrder(Origin(SOURCE), order.account, "", order_id=order.order_id)
            )
        return 1

    def _lots_of_one(self) -> int:
        """Return how many lots one unit of the base asset is."""
        if not self._unit:
            found = self._engine.fetch(queries.Instruments()).value
            instrument = next(one for one in found if one.symbol == self._symbol)
            self._unit = instrument.quantity("1", "quantity")
        return self._unit
