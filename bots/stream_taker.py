"""A taker on the WebSocket stream: follows the books there and sends its orders there.

Any error on the connection ends it; after a pause the taker opens a new one and starts without
state.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

import structlog
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from bots.appetite import Appetite
from bots.book import Best
from bots.grid import Grid
from bots.rest import Rest

ANSWER_S: Final = 5.0
LISTEN_S: Final = 0.5
"""The longest time that it listens before it checks whether to stop."""
RETRY_FIRST_S: Final = 0.5
RETRY_MAX_S: Final = 4.0
_log: Final = structlog.get_logger("bots.stream_taker")


class StreamTaker:
    """Runs on its own thread until ``stop`` is set. ``rest`` signs its login."""

    def __init__(
        self, url: str, rest: Rest, appetite: Appetite,
        quantities: Mapping[str, str], stop: threading.Event,
    ) -> None:  # fmt: skip
        self._url = url
        self._rest = rest
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
                with connect(self._url, open_timeout=ANSWER_S, proxy=None) as connection:
                    Visit(self, connection).stay()
                pause_s = RETRY_FIRST_S
            except (OSError, TimeoutError, WebSocketException, VisitError) as error:
                self.failures += 1
                if self.active.is_set():
                    pause_s = RETRY_FIRST_S
                _log.warning("waiting", reason=str(error) or repr(error), seconds=pause_s)
                self.active.clear()
                self._stop.wait(pause_s)
                pause_s = min(2 * pause_s, RETRY_MAX_S)

    @property
    def stopping(self) -> bool:
        """Return whether it is to stop."""
        return self._stop.is_set()

    def credentials(self) -> dict[str, str]:
        """Return the members of a login."""
        return self._rest.credentials("GET", "/v1/stream")

    def due(self) -> float:
        """Return when the next order is due, on the monotonic clock."""
        return time.monotonic() + self._appetite.pause_s()

    def order(self, grids: Mapping[str, Grid], best: Mapping[str, Best]) -> dict[str, Any] | None:
        """Return the next order; None if the chosen book has nothing to take."""
        grid = grids[self._appetite.symbol(sorted(grids))]
        typical = grid.lots(self._quantities.get(grid.base, "1"))
        side = self._appetite.side(grid, typical)
        price = best.get(grid.symbol, Best(0, 0)).limit(side)
        if not price:
            return None
        return {
            "client_order_id": f"ws-{self._began}-{next(self._numbers)}",
            "symbol": grid.symbol,
            "side": side,
            "quantity": grid.quantity_text(self._appetite.lots(grid, typical)),
            "price": grid.price_text(price),
            "time_in_force": "ioc",
            "strategy": "taker",
        }

    def filled(self, grid: Grid, side: str, quantity: str) -> None:
        """Record the result of an order."""
        self._appetite.filled(grid.symbol, side, grid.lots(quantity))


class VisitError(RuntimeError):
    """The stream sent something that ends this connection."""


class Visit:
    """One connection: the books from the stream, and the orders sent on it."""

    def __init__(self, taker: StreamTaker, connection: ClientConnection) -> None:
        self._taker = taker
        self._connection = connection
        self._requests = itertools.count(1)
        self._grids: dict[str, Grid] = {}
        self._sides: dict[str, tuple[dict[int, int], dict[int, int]]] = {}

    def stay(self) -> None:
        """Log in, follow the books, and take at random times. Raises VisitError."""
        self._ask("login", self._taker.credentials())
        self._ask("cancel_on_disconnect", {"scope": "connection"})
        rows = self._ask("get_instruments", {})["data"]["instruments"]
        self._grids = {row["symbol"]: Grid.of(row) for row in rows}
        self._ask("subscribe", {"channels": ["book"], "symbols": sorted(self._grids)})
        self._taker.active.set()
        due = self._taker.due()
        while not self._taker.stopping:
            if time.monotonic() >= due:
                self._take()
                due = self._taker.due()
            try:
                self._hear(self._connection.recv(min(LISTEN_S, max(0.0, due - time.monotonic()))))
            except TimeoutError:
                continue

    def _take(self) -> None:
        order = self._taker.order(self._grids, {s: self._best(s) for s in self._sides})
        if order is None:
            return
        answer = self._ask("create_order", order, must=False)
        self._taker.orders_sent += 1
        if answer["ok"]:
            grid = self._grids[order["symbol"]]
            self._taker.filled(grid, order["side"], answer["data"]["filled_quantity"])

    def _ask(self, op: str, params: dict[str, Any], must: bool = True) -> dict[str, Any]:
        """Send a request and wait for its response, processing messages that arrive before it."""
        number = next(self._requests)
        self._connection.send(json.dumps({"op": op, "req_id": number, "params": params}))
        deadline = time.monotonic() + ANSWER_S
        while True:
            answer = self._hear(self._connection.recv(max(0.0, deadline - time.monotonic())))
            if answer is not None and answer.get("req_id") == number:
                break
        if must and not answer["ok"]:
            raise VisitError(f"{op}: {answer['error'].get('detail')}")
        return answer

    def _hear(self, text: str | bytes) -> dict[str, Any] | None:
        """Process a message; return it if it answers a request."""
        message: dict[str, Any] = json.loads(text)
        if "op" in message:
            return message
        if message["channel"] == "book":
            data = message["data"]
            grid = self._grids[data["symbol"]]
            if message["type"] == "snapshot":
                self._sides[grid.symbol] = ({}, {})
            for levels, name in zip(self._sides[grid.symbol], ("bids", "asks"), strict=True):
                for price, quantity, _ in data[name]:
                    levels[grid.ticks(price)] = grid.lots(quantity)
                    if not levels[grid.ticks(price)]:
                        del levels[grid.ticks(price)]
        return None

    def _best(self, symbol: str) -> Best:
        bids, asks = self._sides[symbol]
        return Best(max(bids, default=0), min(asks, default=0))
