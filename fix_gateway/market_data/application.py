"""QuickFIX's callbacks in the market data process: requests to the service, orders refused."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import structlog

from engine.core.commands import RecordRefusal
from fix_gateway.codec import responses
from fix_gateway.codec.decode import translate
from fix_gateway.codec.message import FixMessage
from fix_gateway.codec.requests import InvalidRequest, MarketRequest, SecurityListQuery
from fix_gateway.market_data.session import MarketConnection, MarketSession
from fix_gateway.quickfix_import import quickfix
from fix_gateway.runtime import admin
from fix_gateway.runtime.guard import QUICKFIX_ERRORS, guarded
from fix_gateway.session.life import Event, Phase

log = structlog.get_logger()

NOT_AUTHORIZED: Final = "6"
"""BusinessRejectReason(380)."""
WITHIN_TEXT: Final = (
    "A Logon within a session is not taken and has changed nothing; to begin again at 1, log out "
    "and log on"
)


class Events(Protocol):
    """What sessions ask for, and their end; called on QuickFIX's thread, and must not wait."""

    def on_market_request(self, connection: MarketConnection, text: str) -> None:
        """Answer a request for market data."""

    def on_security_list(self, connection: MarketConnection, query: SecurityListQuery) -> bool:
        """Answer a SecurityListRequest; return False where too many wait."""

    def on_violation(self, connection: MarketConnection, text: str) -> None:
        """Log a session out that has broken the rules, once QuickFIX has sent what it sends."""

    def on_end(self, connection: MarketConnection) -> None:
        """Forget a connection that has ended."""


class MarketDataApplication(quickfix.Application):  # type: ignore[misc]
    """The callbacks. ``clock`` gives microseconds since 1970."""

    def __init__(
        self, sessions: Mapping[str, MarketSession], events: Events, clock: Callable[[], int]
    ) -> None:
        """``sessions`` are by QuickFIX's name."""
        super().__init__()
        self._sessions = sessions
        self._events = events
        self._clock = clock

    @guarded
    def onCreate(self, session_id: quickfix.SessionID) -> None:
        """Do nothing: QuickFIX has made a session."""

    @guarded
    def onLogon(self, session_id: quickfix.SessionID) -> None:
        """Take in that the Logon was answered."""
        session = self._sessions[session_id.toString()]
        session.handle(Event.LOGGED_ON)
        log.info("logged_on", session=session.comp_id)

    @guarded
    def onLogout(self, session_id: quickfix.SessionID) -> None:
        """Take in that the session has ended, by a Logout or by the loss of its connection."""
        session = self._sessions[session_id.toString()]
        connection, was = session.connection, session.life.phase
        session.handle(Event.LOGGED_OUT)
        if was in (Phase.FREE, Phase.CLAIMED) or connection is None:
            return  # It speaks of a connection before the one that is coming.
        self._events.on_end(connection)
        log.info("logged_out", session=session.comp_id, reason=connection.reason or "it has ended")

    @guarded
    def toAdmin(self, message: quickfix.Message, session_id: quickfix.SessionID) -> None:
        """Complete the answer to a Logon, and the Reject of one inside the session."""
        session = self._sessions[session_id.toString()]
        session.logon_read()
        connection = session.connection
        if connection is not None:
            connection.sent_at = time.monotonic()
        msg_type = message.getHeader().getField(35)
        if msg_type == "A":
            admin.complete_logon(session, message)
        elif msg_type == "5" and connection is not None and message.isSetField(58):
            connection.reason = message.getField(58)
        elif msg_type == "3" and message.isSetField(372) and message.getField(372) == "A":
            if not admin.confirms(session, message):
                admin.reject_logon(message, WITHIN_TEXT)
                if connection is not None:
                    self._events.on_violation(connection, WITHIN_TEXT)

    def toApp(self, message: quickfix.Message, session_id: quickfix.SessionID) -> None:
        """Do nothing: nothing is kept, so nothing is sent a second time."""

    @guarded
    def fromAdmin(self, message: quickfix.Message, session_id: quickfix.SessionID) -> None:
        """Take an admin message in; what is wrong with it QuickFIX rejects."""
        session = self._sessions[session_id.toString()]
        header = message.getHeader()
        msg_type = header.getField(35)
        self._received(session)
        session.confirms_reset = session.confirms_reset and msg_type == "A"
        if msg_type not in ("4", "A"):
            admin.check_repeat(header)
        if msg_type == "A":
            session.logon_read()
            due, session.logon_due = session.logon_due, None
            if due != (header.getField(34), header.getField(52)):
                raise quickfix.RejectLogon(WITHIN_TEXT)
        elif msg_type == "2":
            admin.check_resend(session, message)
        elif msg_type == "4" and session.qf is not None and not session.qf.receivedLogon():
            raise quickfix.IncorrectTagValue(36)

    @staticmethod
    def _received(session: MarketSession) -> None:
        connection = session.connection
        if connection is not None:
            connection.received_at = time.monotonic()
            connection.messages += 1
            connection.asked = ""

    def fromApp(self, message: quickfix.Message, session_id: quickfix.SessionID) -> None:
        """Take an application message in; whatever fails, it is answered."""
        try:
            session = self._sessions[session_id.toString()]
            connection, text = session.connection, message.toString()
            if connection is None:
                return
            self._received(session)
            session.confirms_reset = False
            if not text.isascii():
                raise quickfix.IncorrectDataFormat(admin.tag_not_ascii(text))
            self._take(session, connection, text)
        except QUICKFIX_ERRORS:
            raise
        except Exception:
            log.exception("message_failed", session=session_id.toString())
            raise quickfix.UnsupportedMessageType() from None

    def _take(self, session: MarketSession, connection: MarketConnection, text: str) -> None:
        meant = translate(text, session.context, 0, {}, self._clock())
        if isinstance(meant, MarketRequest):
            self._events.on_market_request(connection, text)
        elif isinstance(meant, SecurityListQuery):
            if not self._events.on_security_list(connection, meant):
                refusal = responses.reject_query(meant, "4", "Too many requests wait")
                connection.send(responses.addressed(refusal, meant.route))
        elif isinstance(meant, InvalidRequest):
            answer = responses.answer_invalid_request(meant)
            connection.send(responses.addressed(answer, meant.route))
        elif isinstance(meant, RecordRefusal):
            message = FixMessage(text)
            refusal = responses.business_reject(
                meant.origin.num, message.msg_type, meant.client_order_id, NOT_AUTHORIZED,
                meant.text,
            )  # fmt: skip
            connection.send(responses.addressed(refusal, meant.origin.route))
        else:
            raise quickfix.UnsupportedMessageType()
