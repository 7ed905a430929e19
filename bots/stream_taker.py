"""A taker on the WebSocket stream: follows the books there and sends its orders there.

The stream connects again by itself; what ends it for good makes the taker open a new one.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Mapping
from typing import Final

import structlog

from bots.appetite import Appetite
from bots.book import Best, best_of
from bots.grid import Grid, traded
from tandem_client import (
    ApiError,
    Disconnected,
    Reconnect,
    Reconnected,
    Stream,
    StreamSettings,
    TandemError,
)

SETTINGS: Final = StreamSettings(
    timeout_s=5.0, reconnect=Reconnect(first_s=0.5, longest_s=4.0), trust_env=False
)
LISTEN_S: Final = 0.5
"""The longest time that it listens before it checks whether to stop."""
RETRY_FIRST_S: Final = 0.5
RETRY_MAX_S: Final = 4.0
NOTHING: Final = Best(0, 0)
_log: Final = structlog.get_logger("bots.stream_taker")


class StreamTaker:
    """Runs on its own thread until ``stop`` is set."""

    def __init__(
        self, url: str, key: str, secret: str, appetite: Appetite,
        quantities: Mapping[str, str], stop: threading.Event,
    ) -> None:  # fmt: skip
        self._url = url
        self._key = key
        self._secret = secret
        self._appetite = appetite
        self._quantities = quantities
        self._stop = stop
        self._numbers = itertools.count(1)
        self._began = format(time.time_ns() // 1_000_000, "x")
        self.active = threading.Event()
        self.orders_sent = self.failures = 0

    def run(self) -> None:
        """Take until stopped, across all failures of the venue."""
        pause_s = RETRY_FIRST_S
        while not self._stop.is_set():
            try:
                with Stream(self._url, self._key, self._secret, settings=SETTINGS) as stream:
                    self._stay(stream)
                pause_s = RETRY_FIRST_S
            except TandemError as error:
                if self.active.is_set():
                    pause_s = RETRY_FIRST_S
                self._lost(str(error), pause_s)
                self._stop.wait(pause_s)
                pause_s = min(2 * pause_s, RETRY_MAX_S)

    def _lost(self, reason: str, pause_s: float) -> None:
        self.failures += 1
        self.active.clear()
        _log.warning("waiting", reason=reason, seconds=pause_s)

    def _stay(self, stream: Stream) -> None:
        """Follow the books, and take at random times. Raises TandemError."""
        stream.cancel_on_disconnect("connection")
        rows = stream.get_instruments().instruments
        grids = traded(rows)
        stream.subscribe("book", symbols=sorted(grids))
        self.active.set()
        due = self._due()
        while not self._stop.is_set():
            if time.monotonic() >= due:
                self._take(stream, grids)
                due = self._due()
            item = stream.receive(min(LISTEN_S, max(0.0, due - time.monotonic())))
            if isinstance(item, Disconnected):
                self._lost(item.reason, SETTINGS.reconnect.first_s)
            elif isinstance(item, Reconnected):
                self.active.set()

    def _due(self) -> float:
        """Return when the next order is due, on the monotonic clock."""
        return time.monotonic() + self._appetite.pause_s()

    def _take(self, stream: Stream, grids: Mapping[str, Grid]) -> None:
        grid = grids[self._appetite.symbol(sorted(grids))]
        typical = grid.lots(self._quantities.get(grid.base, "1"))
        side = self._appetite.side(grid, typical)
        book = stream.book(grid.symbol)
        price = (NOTHING if book.stale else best_of(book, grid)).limit(side)
        if not price:
            return
        try:
            order = stream.create_order(
                client_order_id=f"ws-{self._began}-{next(self._numbers)}",
                symbol=grid.symbol,
                side=side,
                quantity=grid.quantity_text(self._appetite.lots(grid, typical)),
                price=grid.price_text(price),
                time_in_force="ioc",
                strategy="taker",
            )
        except ApiError:
            return  # The market has moved, or the instrument is halted.
        finally:
            self.orders_sent += 1
        self._appetite.filled(grid.symbol, side, grid.lots(order.filled_quantity))
