"""A taker that speaks FIX: a QuickFIX initiator that sends immediate-or-cancel orders.

It starts at sequence number 1 with every logon (141=Y): its orders never rest, so there is
nothing to request again. QuickFIX reconnects after any disconnect.
"""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import quickfix
import structlog

from bots.appetite import Appetite
from bots.book import best_of
from bots.grid import Grid, traded
from tandem_client import Client, TandemError

ANSWER_S: Final = 5.0
RETRY_S: Final = 2.0
END_S: Final = 3.0
SOH: Final = "\x01"
_FINAL: Final = frozenset("248C")
"""OrdStatus(39) of a closed order: filled, canceled, rejected, expired."""
_SIDES: Final = {"buy": "1", "sell": "2"}
_log: Final = structlog.get_logger("bots.fix_taker")


@dataclass(frozen=True, slots=True)
class FixAccess:
    """The venue's address and the credentials of the session."""

    host: str
    port: int
    comp_id: str
    target: str
    username: str
    password: str

    def __repr__(self) -> str:
        return f"FixAccess(comp_id={self.comp_id!r}, …)"


class FixTaker(quickfix.Application):  # type: ignore[misc]
    """Runs on its own thread until ``stop`` is set; reads the book before it takes."""

    def __init__(
        self, access: FixAccess, venue: Client, appetite: Appetite,
        quantities: Mapping[str, str], stop: threading.Event,
    ) -> None:  # fmt: skip
        super().__init__()
        self._access = access
        self._venue = venue
        self._appetite = appetite
        self._quantities = quantities
        self._stop = stop
        self._reports: queue.SimpleQueue[dict[str, str]] = queue.SimpleQueue()
        self._session = quickfix.SessionID("FIX.4.4", access.comp_id, access.target)
        self.active = threading.Event()
        self.orders_sent = self.failures = 0

    def onCreate(self, session: Any) -> None:  # noqa: N802
        """QuickFIX created the session."""

    def onLogon(self, session: Any) -> None:  # noqa: N802
        """The venue accepted the Logon."""
        self.active.set()

    def onLogout(self, session: Any) -> None:  # noqa: N802
        """The session ended; QuickFIX reconnects by itself."""
        self.active.clear()

    def toAdmin(self, message: Any, session: Any) -> None:  # noqa: N802
        """Add the credentials to the Logon."""
        if message.getHeader().getField(35) == "A":
            message.setField(553, self._access.username)
            message.setField(554, self._access.password)

    def fromAdmin(self, message: Any, session: Any) -> None:  # noqa: N802
        """QuickFIX handles session messages."""

    def toApp(self, message: Any, session: Any) -> None:  # noqa: N802
        """Nothing to add."""

    def fromApp(self, message: Any, session: Any) -> None:  # noqa: N802
        """Queue a message of the venue for the other thread."""
        text = message.toString()
        pairs = (part.split("=", 1) for part in text.split(SOH) if "=" in part)
        self._reports.put({pair[0]: pair[1] for pair in pairs})

    def run(self) -> None:
        """Take until told to stop."""
        settings = self._settings()
        store = quickfix.MemoryStoreFactory()
        initiator = quickfix.SocketInitiator(self, store, settings)
        # On a thread of Python's own, which ends before the interpreter does.
        engine = threading.Thread(target=initiator.block, name="quickfix", daemon=True)
        engine.start()
        began = format(time.time_ns() // 1_000_000, "x")
        grids: dict[str, Grid] = {}
        for number in itertools.count(1):
            if self._stop.wait(self._appetite.pause_s()):
                break
            try:
                grids = grids or traded(self._venue.get_instruments().instruments)
                self._take(f"fx-{began}-{number}", grids)
            except TandemError as error:
                self.failures += 1
                _log.warning("waiting", reason=str(error))
                self._stop.wait(RETRY_S)
        initiator.stop()
        engine.join(END_S)

    def _take(self, client_order_id: str, grids: Mapping[str, Grid]) -> None:
        if not self.active.is_set():
            return
        grid = grids[self._appetite.symbol(sorted(grids))]
        typical = grid.lots(self._quantities.get(grid.base, "1"))
        side = self._appetite.side(grid, typical)
        price = best_of(self._venue.get_book(grid.symbol, depth=1), grid).limit(side)
        if not price:
            return
        lots = self._appetite.lots(grid, typical)
        self._send(client_order_id, grid, side, lots, price)
        filled = self._outcome(client_order_id)
        self._appetite.filled(grid.symbol, side, grid.lots(filled))

    def _send(self, client_order_id: str, grid: Grid, side: str, lots: int, price: int) -> None:
        message = quickfix.Message()
        message.getHeader().setField(8, "FIX.4.4")
        message.getHeader().setField(35, "D")
        now = datetime.now(UTC).strftime("%Y%m%d-%H:%M:%S.%f")[:-3]
        for tag, value in (
            (11, client_order_id), (55, grid.symbol), (54, _SIDES[side]), (60, now),
            (38, grid.quantity_text(lots)), (40, "2"), (44, grid.price_text(price)), (59, "3"),
        ):  # fmt: skip
            message.setField(tag, value)
        quickfix.Session.sendToTarget(message, self._session)
        self.orders_sent += 1

    def _outcome(self, client_order_id: str) -> str:
        """Return how much of an order was executed, from the reports within a bounded time."""
        deadline = time.monotonic() + ANSWER_S
        filled = "0"
        while (left := deadline - time.monotonic()) > 0 and not self._stop.is_set():
            try:
                report = self._reports.get(timeout=min(left, 0.5))
            except queue.Empty:
                continue
            if report.get("11") != client_order_id:
                continue
            filled = report.get("14", "0")
            if report.get("39") in _FINAL:
                break
        return filled

    def _settings(self) -> Any:
        access = self._access
        values = {
            "ConnectionType": "initiator",
            "SocketConnectHost": access.host,
            "SocketConnectPort": str(access.port),
            "StartTime": "00:00:00",
            "EndTime": "00:00:00",
            "NonStopSession": "Y",
            "ReconnectInterval": "1",
            "HeartBtInt": "30",
            "ResetOnLogon": "Y",
            "UseDataDictionary": "N",
        }
        dictionary = quickfix.Dictionary()
        for name, value in values.items():
            dictionary.setString(name, value)
        settings = quickfix.SessionSettings()
        settings.set(self._session, dictionary)
        return settings
