"""Market data sessions and their connections, in the process that serves them.

A session's numbers begin at 1 with every Logon and nothing is kept of it, so a connection is all
that there is: it dies with its subscriptions. What a session may go through is ``session.life``.
"""

from __future__ import annotations

import socket
import threading
import time
from typing import Final

import structlog

from config.model import SessionSettings
from fix_gateway.codec.context import SessionContext
from fix_gateway.codec.message import envelope
from fix_gateway.codec.responses import Response, SharedResponse
from fix_gateway.market_data.prepared import prepared
from fix_gateway.quickfix_import import quickfix
from fix_gateway.session.handover import Handover
from fix_gateway.session.life import Event, Life, Phase
from fix_gateway.session.session import Link, LogonMark
from fix_gateway.settings import GatewaySettings, session_id

log = structlog.get_logger()

SEND_BUFFERS: Final = 4
"""The kernel holds so many times what a session may leave unread, so that QuickFIX, whose queue
cannot be seen, holds nothing before that is reached."""
HEADER_BYTES: Final = 256
"""No header and trailer of a message are longer."""


class MarketSession:
    """One market data session of the configuration.

    The gate is held around what is sent from outside QuickFIX's own thread, and around the moment
    when the numbers begin again: what was meant for one connection never goes to the next.
    """

    def __init__(self, settings: SessionSettings, gateway: GatewaySettings) -> None:
        self.settings = settings
        self.comp_id = settings.comp_id
        self.id = session_id(gateway, settings.comp_id)
        self.key: str = self.id.toString()
        self.context = SessionContext(settings, gateway.stale_after_us)
        self.qf: quickfix.Session | None = None
        self.gate = threading.RLock()
        self.life: Life[MarketConnection] = Life()
        self.handover: Handover | None = None
        self.logon_due: LogonMark | None = None
        self.says_reset = True
        """Every answer to a Logon says ResetSeqNumFlag(141)=Y: both sides begin at 1."""
        self.confirms_reset = False
        self.expects_next = False
        self.logon_num = 1
        self.ask_up_to = 0
        self.heartbeat_s = 30

    @property
    def connection(self) -> MarketConnection | None:
        """Its connection, None while it has none."""
        return self.life.connection

    @property
    def live(self) -> bool:
        """True while it is logged on."""
        return self.life.phase is Phase.LIVE

    def handle(self, event: Event, connection: MarketConnection | None = None) -> None:
        """Take in an event, of this connection if one is named; see ``life.TABLE``."""
        before, handover = self.life.phase, self.handover
        after = self.life.handle(event, connection).phase
        if after is Phase.FREE and before is not Phase.FREE and handover is not None:
            handover.abandon()

    def logon_read(self) -> None:
        """Take in that QuickFIX has read the Logon; from a callback about this connection."""
        if self.handover is not None:
            self.handover.complete()

    @property
    def undecided(self) -> bool:
        """True while QuickFIX has not come to the Logon yet."""
        return self.handover is not None and not self.handover.read

    def update(self, settings: SessionSettings, gateway: GatewaySettings) -> None:
        """Take changed settings, live."""
        self.settings = settings
        self.context = SessionContext(settings, gateway.stale_after_us)
        if not settings.enabled and self.connection is not None:
            self.connection.link.cut()


class MarketConnection:
    """A client's connection, and what is counted of it; a ``Receiver`` of the service."""

    def __init__(
        self,
        session: MarketSession,
        client: socket.socket,
        address: str,
        dictionary: quickfix.DataDictionary,
        slow_bytes: int,
    ) -> None:
        self.session = session
        self.link = Link(client, address)
        self._dictionary = dictionary
        self._slow_bytes = slow_bytes
        self.sent_at = self.received_at = time.monotonic()
        self.messages = self.messages_seen = 0
        self.received_base = 0
        self.asked = ""
        """TestReqID(112) of our TestRequest that is not answered, "" for none."""
        self.ending_at = 0.0
        """When we logged it out, by the monotonic clock; 0 while we did not."""
        self.reason = ""
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFERS * slow_bytes)
        granted = client.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        # The kernel counts its own costs into the buffer, so half of it may be bytes of ours.
        self._unread_max = min(slow_bytes, granted // (2 * SEND_BUFFERS))
        self._unread_most = 0
        """What was unread when the kernel was last asked, and what was sent since."""

    @property
    def name(self) -> str:
        """The CompID."""
        return self.session.comp_id

    @property
    def conflation_ms(self) -> int:
        """How long changes are gathered before they are told."""
        return self.session.settings.conflation_ms

    def send(self, response: Response | SharedResponse) -> bool:
        """Send a message; return False if the session has gone."""
        message = prepared(response, self._dictionary)
        session, life = self.session, self.session.life
        with session.gate:
            if life.connection is not self or life.phase is not Phase.LIVE or self.ending_at:
                return False
            sent = session.qf is not None and bool(session.qf.send(message))
        self._unread_most += HEADER_BYTES + len(response.header) + len(response.body)
        self.sent_at = time.monotonic()
        return sent

    def cork(self, corked: bool) -> None:
        """Keep what is sent until packets are full, or send what is left."""
        self.link.cork(corked)

    def admin(self, content: str) -> None:
        """Send an administrative message, given from its MsgType on."""
        session = self.session
        with session.gate:
            if session.connection is self and session.qf is not None:
                session.qf.send(quickfix.Message(envelope(f"{content}\x01"), False))
        self.sent_at = time.monotonic()

    def unread(self) -> int:
        """Return how many bytes at most the client has not read yet, more than the bound if too
        many; the kernel is asked only where the answer may matter."""
        if self._unread_most <= self._unread_max:
            return self._unread_most
        count = self._unread_most = self.link.bytes_unread()
        return count if count <= self._unread_max else max(count, self._slow_bytes + 1)

    def end(self, reason: str) -> None:
        """Log the session out with this text; who does not answer is cut a little later."""
        if self.ending_at:
            return
        log.warning("cut", session=self.name, reason=reason)
        # Not by QuickFIX's logout, which is looked at only when no session has sent anything.
        self.reason = reason
        self.admin(f"5\x0158={reason}")
        self.ending_at = time.monotonic()
