"""Market data for order sessions, in the gateway's own process: there only while it is read.

A service and its subscription to the engine begin with the first request, and end some seconds
after the last reader has gone, so a gateway whose sessions do not ask for market data pays nothing
for it. Nothing of it is kept for a resend: the session's store is left alone, and whoever asks for
such numbers again is told that they are no more (gap fill).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final, NamedTuple

import structlog

from config.model import Settings
from fix_gateway.codec.market_data_requests import Bounds
from fix_gateway.codec.responses import Response, SharedResponse
from fix_gateway.market_data.desk import DeskBounds
from fix_gateway.market_data.follower import Connect, MarketFollower
from fix_gateway.market_data.prepared import prepared
from fix_gateway.market_data.seeding import OpenHistory
from fix_gateway.market_data.service import MarketDataService, ServiceBounds
from fix_gateway.quickfix_import import quickfix
from fix_gateway.session.life import Hold, Phase
from fix_gateway.session.sender import Sender
from fix_gateway.session.session import STORING_WAIT_S, Session

log = structlog.get_logger()

LINGER_S: Final = 5.0
TURN_S: Final = 0.5


class MarketDataTerms(NamedTuple):
    """What the configuration says of market data, by who holds to it."""

    service: ServiceBounds = ServiceBounds()
    desk: DeskBounds = DeskBounds()
    request: Bounds = Bounds(64, 1_000)
    day_roll_us: int = 0


def market_data_terms(settings: Settings) -> MarketDataTerms:
    """Return what the configuration says of market data."""
    bounds = settings.market_data
    return MarketDataTerms(
        ServiceBounds(bounds.slow_bytes, float(bounds.unread_s_max)),
        DeskBounds(bounds.subscriptions_max, bounds.recent_trades_max),
        Bounds(bounds.symbols_max, bounds.depth_max),
        settings.venue.day_roll_us,
    )


class OrderSessionReader:
    """An order session on one of its connections, as a ``Receiver`` of the service."""

    def __init__(
        self, session: Session, sender: Sender, dictionary: quickfix.DataDictionary
    ) -> None:
        self.session = session
        self.link = session.link
        self._sender = sender
        self._dictionary = dictionary

    @property
    def name(self) -> str:
        """The CompID."""
        return self.session.comp_id

    @property
    def conflation_ms(self) -> int:
        """How long changes are gathered before they are told."""
        return self.session.settings.conflation_ms

    def send(self, response: Response | SharedResponse) -> bool:
        """Send a message without storing it; return False if the session has gone."""
        message = prepared(response, self._dictionary)
        session = self.session
        # Every report is stored under the gate. What is sent from elsewhere meanwhile is QuickFIX's
        # own: administrative, which no resend brings, or the rare j, which one then leaves out.
        with session.gate:
            if session.link is not self.link or session.phase is not Phase.LIVE:
                return False
            if session.qf is None:
                return False
            alone = session.flow.storing.acquire(timeout=STORING_WAIT_S)
            session.qf.setPersistMessages(False)
            try:
                sent = self._sender.send(session, message, len(response.body))
            finally:
                session.qf.setPersistMessages(True)
                if alone:
                    session.flow.storing.release()
            if not sent:
                session.store_failed()
            return sent

    def cork(self, corked: bool) -> None:
        """Leave the cork to the delivery of reports, which has its own bursts."""

    def unread(self) -> int:
        """Return how many bytes the client has not read yet."""
        session, link = self.session, self.link
        if link is None:
            return 0
        bound = session.gateway.outstanding_bytes_max
        if Hold.UNREAD in session.life.holds or (
            session.flow.outstanding > bound // 8 and not self._sender.has_read(session)
        ):
            return max(bound, link.bytes_unread())
        return link.bytes_unread()

    def end(self, reason: str) -> None:
        """Log the session out with this text."""
        session = self.session
        with session.gate:
            if session.link is self.link and session.phase is Phase.LIVE:
                log.warning("cut", session=session.comp_id, reason=reason)
                self._sender.admin(session, f"5\x0158={reason}")


class HostedMarketData:
    """Serves order sessions. ``connect`` makes clients of the engine."""

    def __init__(
        self,
        terms: MarketDataTerms,
        connect: Connect,
        open_history: OpenHistory,
        clock: Callable[[], int],
        sender: Sender,
        dictionary: quickfix.DataDictionary,
    ) -> None:
        self._terms = terms
        self._connect = connect
        self._open_history = open_history
        self._clock = clock
        self._sender = sender
        self._dictionary = dictionary
        self._lock = threading.Lock()
        self._readers: dict[str, OrderSessionReader] = {}
        self._stopping = threading.Event()
        self.service: MarketDataService | None = None

    def request(self, session: Session, text: str) -> None:
        """Answer a request for market data; returns at once, from QuickFIX's thread."""
        with self._lock:
            if self._stopping.is_set():
                return
            service = self.service or self._start()
            reader = self._readers.get(session.comp_id)
            if reader is None or reader.link is not session.link:
                reader = OrderSessionReader(session, self._sender, self._dictionary)
                self._readers[session.comp_id] = reader
            service.request(reader, text)

    def forget(self, session: Session) -> None:
        """Drop a session whose connection has ended."""
        with self._lock:
            reader = self._readers.pop(session.comp_id, None)
            if reader is not None and self.service is not None:
                self.service.forget(reader)

    def stop(self) -> None:
        """Serve nobody any more."""
        self._stopping.set()

    def _start(self) -> MarketDataService:
        """Begin to serve; the lock is held."""
        terms = self._terms
        service = MarketDataService(
            terms.service, terms.desk, terms.request, self._clock, terms.day_roll_us
        )
        follower = MarketFollower(
            service, self._connect, self._open_history, terms.day_roll_us,
            terms.desk.recent_trades_max, lambda: None,
        )  # fmt: skip
        # Requests wait for the market from the start, also while the engine is not reached yet.
        service.expect()
        service.start()
        follower.start()
        self.service = service
        threading.Thread(
            target=self._keep, args=(service, follower), name="fix-market-data", daemon=True
        ).start()
        log.info("market_data_begins")
        return service

    def _keep(self, service: MarketDataService, follower: MarketFollower) -> None:
        """End the service when nobody has read it for a while."""
        idle_since = time.monotonic()
        while True:
            self._stopping.wait(TURN_S)
            now = time.monotonic()
            with self._lock:
                if service.busy:
                    idle_since = now
                if self._stopping.is_set() or now - idle_since > LINGER_S:
                    self.service = None
                    break
        follower.stop()
        service.stop()
        log.info("market_data_ends")
