"""Market data sessions around the real service, in memory: no sockets, no thread.

Requests go through QuickFIX with the dictionary that the process gives it, and through the
process's own callbacks; what is told is validated with FIX 4.4 as QuickFIX brings it, as a
client's would, and with our dictionary.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import quickfix

from engine.core.instruments import Instrument
from engine.market_data.market import Market
from engine.wire import Transaction
from fix_gateway.codec.context import SessionContext
from fix_gateway.codec.market_data_requests import Bounds
from fix_gateway.codec.message import SOH
from fix_gateway.codec.requests import SecurityListQuery
from fix_gateway.codec.responses import Response, SharedResponse
from fix_gateway.door.logon_fields import write_stamped
from fix_gateway.market_data.application import MarketDataApplication
from fix_gateway.market_data.desk import DeskBounds
from fix_gateway.market_data.process import JUDGED_LATER
from fix_gateway.market_data.seeding import Seed
from fix_gateway.market_data.service import MarketDataService, ServiceBounds
from tests.support.fix_settings import session_settings

STOCK: Final = Path(sys.prefix) / "share" / "quickfix" / "FIX44.xml"
OWN: Final = Path(__file__).parent.parent.parent / "spec" / "FIX44.xml"
BOUNDS: Final = Bounds(symbols_max=4, depth_max=1_000)
DESK_BOUNDS: Final = DeskBounds(subscriptions_max=8, recent_trades_max=5)
STALE_AFTER_US: Final = 5_000_000


@lru_cache(maxsize=1)
def incoming() -> Any:
    """The dictionary with which the process has QuickFIX read what clients send."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "acceptor.xml"
        write_stamped(OWN, path, "stamp", JUDGED_LATER)
        return quickfix.DataDictionary(str(path))


@lru_cache(maxsize=1)
def outgoing() -> tuple[Any, Any]:
    """The dictionaries to which what is told is held: QuickFIX's own, and ours."""
    stock, own = quickfix.DataDictionary(str(STOCK)), quickfix.DataDictionary(str(OWN))
    stock.checkUserDefinedFields(False)
    return stock, own


class _Client:
    """A session and its only connection. ``told`` are the messages since it was read last."""

    ending_at = 0.0
    unread_bytes = 0

    def __init__(self, comp_id: str, firm: str) -> None:
        self.name = comp_id
        self.conflation_ms = 0
        settings = session_settings(comp_id, firm, firm, kind="market_data", username=firm)
        self.context = SessionContext(settings, STALE_AFTER_US)
        self.confirms_reset = False
        self.messages, self.received_at, self.asked = 0, 0.0, ""
        self.told: list[Response] = []

    @property
    def connection(self) -> _Client:
        return self

    def send(self, response: Response | SharedResponse) -> bool:
        self.told.append(Response(response.msg_type, response.body))
        return True

    def cork(self, corked: bool) -> None:
        """There are no packets."""

    def unread(self) -> int:
        return self.unread_bytes

    def end(self, reason: str) -> None:
        self.told.append(Response("5", f"58={reason}{SOH}"))


class MarketDesk:
    """Sessions of market data. ``send`` and ``take`` return what every session is told."""

    def __init__(
        self, firms: dict[str, str], instruments: dict[str, Instrument], clock: Callable[[], int]
    ) -> None:
        """``firms`` are those of the sessions, by CompID."""
        self._clients = {comp_id: _Client(comp_id, firm) for comp_id, firm in firms.items()}
        self._service = MarketDataService(ServiceBounds(), DESK_BOUNDS, BOUNDS, clock, 0)
        market = Market(instruments, 0, clock())
        self._service.begin(Seed(market, instruments, 1, 0))
        self._ids = {
            comp_id: quickfix.SessionID("FIX.4.4", "TANDEM", comp_id) for comp_id in firms
        }
        by_key = {one.toString(): self._clients[comp_id] for comp_id, one in self._ids.items()}
        self._application = MarketDataApplication(by_key, self, clock)  # type: ignore[arg-type]

    def send(self, comp_id: str, text: str) -> list[tuple[str, Response]]:
        """Let a session send a message, whole as it goes over the wire."""
        message = quickfix.Message(text, incoming(), True)
        incoming().validate(message)
        self._application.fromApp(message, self._ids[comp_id])
        return self._told()

    def take(self, transactions: Iterable[Transaction]) -> list[tuple[str, Response]]:
        """Let something happen in the market."""
        self._service.take(list(transactions))
        return self._told()

    def lose(self) -> list[tuple[str, Response]]:
        """Lose the engine."""
        self._service.lose()
        return self._told()

    def _told(self) -> list[tuple[str, Response]]:
        self._service.turn()
        found = []
        for comp_id, client in self._clients.items():
            found += [(comp_id, response) for response in client.told]
            client.told.clear()
        return found

    # What the process does for the callbacks.

    def on_market_request(self, connection: _Client, text: str) -> None:
        self._service.request(connection, text)

    def on_security_list(self, connection: _Client, query: SecurityListQuery) -> bool:
        raise AssertionError("the list of instruments is asked of the engine")

    def on_end(self, connection: _Client) -> None:
        self._service.forget(connection)
