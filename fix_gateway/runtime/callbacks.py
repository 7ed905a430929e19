"""QuickFIX's callbacks: from its thread to ours, and never an exception back.

An exception that leaves a callback ends QuickFIX's only thread without a word, and every
session with it, so each callback is guarded. The callbacks run on that one thread (``toApp``
also on those that send), which therefore never waits for the engine.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Final, Protocol, get_args

import structlog

from engine.core.commands import Command
from engine.core.instruments import Instrument
from engine.core.types import RejectReason
from fix_gateway.codec import responses
from fix_gateway.codec.decode import refuse, translate
from fix_gateway.codec.message import FixMessage, envelope
from fix_gateway.codec.requests import MarketRequest, Query
from fix_gateway.codec.third_party import answer_header
from fix_gateway.quickfix_import import quickfix
from fix_gateway.runtime import admin
from fix_gateway.runtime.guard import QUICKFIX_ERRORS, guarded
from fix_gateway.runtime.outbox import Outbox
from fix_gateway.session.life import Phase
from fix_gateway.session.sender import Sender
from fix_gateway.session.session import STORING_WAIT_S, Clock, Session, Sessions
from fix_gateway.session.throttle import Throttle, weight

log = structlog.get_logger()
_COMMANDS: Final = frozenset(get_args(Command))
AWAY_TEXT: Final = "The matching engine is not available; log on again in a moment"
BUSY_TEXT: Final = "Too many requests wait; send this one again in a moment"
WITHIN_TEXT: Final = (
    "A Logon within a session is taken with ResetSeqNumFlag(141)=Y only, which begins the numbers "
    "again at 1; this one has changed nothing"
)
_REPORT_BYTES: Final = 512
"""What one resent report is reckoned to weigh."""


class Events(Protocol):
    """What happens to sessions, for the gateway; called on QuickFIX's thread."""

    def on_logon(self, session: Session) -> None:
        """Take in that the Logon was answered."""

    def on_logout(self, session: Session) -> None:
        """Take in the client's Logout; QuickFIX answers it and ends the connection next."""

    def on_disconnect(self, session: Session) -> None:
        """Take in that the connection is gone; QuickFIX may hold its lock of the session."""

    def on_test_response(self, session: Session) -> None:
        """Take in that a TestRequest of ours was answered."""

    def on_request(self, session: Session, query: Query, text: str) -> bool:
        """Take in a request and its message; return False when too many wait already."""

    def on_market_request(self, session: Session, num: int, text: str) -> None:
        """Answer request ``num`` for market data, given as it came."""

    def on_flood(self, session: Session) -> None:
        """Log a session out that goes on and on above its limit."""

    def on_overload(self, session: Session, num: int) -> None:
        """End a session whose message ``num`` could not be taken up; it comes back for it."""

    def on_reset(self, session: Session, answer: quickfix.Message) -> bool:
        """Take in a Logon within a session, which QuickFIX rejects by ``answer``.

        Return False where it does not ask for numbers to begin again, or cannot be read.
        """

    def on_violation(self, session: Session, text: str) -> None:
        """Log a session out that has broken the rules, with this text."""

    def on_gap(self, session: Session, up_to: int) -> None:
        """Ask for what is missing before a ResendRequest, number ``up_to``, behind a gap.

        What is sent from another thread goes when QuickFIX has answered the ResendRequest.
        """


class Application(quickfix.Application):  # type: ignore[misc]
    """The callbacks. ``instruments`` may grow while it runs."""

    def __init__(
        self,
        sessions: Sessions,
        outbox: Outbox,
        instruments: Mapping[str, Instrument],
        sender: Sender,
        events: Events,
        clock: Clock,
    ) -> None:
        super().__init__()
        self._sessions = sessions.by_key
        self._outbox = outbox
        self._instruments = instruments
        self._sender = sender
        self._events = events
        self._clock = clock
        self._thread = 0
        self._resending: Session | None = None
        self._looking: Session | None = None
        """The session whose store QuickFIX is about to look into for a resend."""
        self._by_comp_id = sessions.by_comp_id

    @guarded
    def onCreate(self, session_id: quickfix.SessionID) -> None:
        """Do nothing: QuickFIX has made a session."""

    @guarded
    def onLogon(self, session_id: quickfix.SessionID) -> None:
        """Take in that the Logon was answered."""
        self._events.on_logon(self._sessions[session_id.toString()])

    @guarded
    def onLogout(self, session_id: quickfix.SessionID) -> None:
        """Take in that the session has ended, by a Logout or by the loss of its connection."""
        self._looked()
        self._events.on_disconnect(self._sessions[session_id.toString()])

    @guarded
    def toAdmin(self, message: quickfix.Message, session_id: quickfix.SessionID) -> None:
        """Look at an admin message that goes out, and complete a Logon or a Reject of one."""
        self._looked()
        session = self._sessions[session_id.toString()]
        session.logon_read()  # QuickFIX answers some Logons without asking us first.
        session.flow.sent_at = time.monotonic()
        header = message.getHeader()
        msg_type = header.getField(35)
        resetting = session.phase is Phase.RESETTING
        claimed = session.phase is Phase.CLAIMED  # QuickFIX writes a Logout for nobody.
        if session.gateway.shared and not claimed and msg_type != "4":
            self._count_number(session, int(header.getField(34)))
        if session.phase is Phase.ENTERING:
            session.answer_num = max(session.answer_num, int(header.getField(34)))
        if msg_type == "5":
            if session.phase is Phase.LIVE:
                session.logout_sent_at = session.flow.sent_at
            if message.isSetField(58):
                session.logout_text = message.getField(58)
            if session.logout_text == "Incorrect BeginString" and session.qf is not None:
                # QuickFIX counts what it refuses so, whatever number it came under.
                session.rewind_to = session.qf.getExpectedTargetNum()
        elif msg_type == "A":
            admin.complete_logon(session, message)
        elif msg_type == "2":
            session.asked_from = int(message.getField(7))
        elif msg_type == "4":
            self._answering(session)
        elif msg_type == "3" and message.isSetField(372) and message.getField(372) == "A":
            self._logon_within(session, message)
        if resetting and msg_type != "0":
            session.lost_input = True  # QuickFIX answers something that came behind the Logon.

    @staticmethod
    def _count_number(session: Session, num: int) -> None:
        """Count a number that QuickFIX uses; one that is not ours to use never leaves.

        A gap fill has the number of the gap, and is not counted.
        """
        session.room = session.reserved - num
        if session.room < 0 or not session.held:
            log.warning("cut", session=session.comp_id, reason="no outgoing numbers are reserved")
            session.cut()

    def _logon_within(self, session: Session, answer: quickfix.Message) -> None:
        """Answer a Logon within a session, which QuickFIX is about to reject."""
        if session.phase is Phase.RESETTING:
            session.second_logon = True
        elif not admin.confirms(session, answer) and not (
            session.phase is Phase.LIVE and self._events.on_reset(session, answer)
        ):
            admin.reject_logon(answer, WITHIN_TEXT)
            self._events.on_violation(session, WITHIN_TEXT)

    def toApp(self, message: quickfix.Message, session_id: quickfix.SessionID) -> None:
        """Count an application message that goes out, if it is a resend; others are counted before.

        This is called for every report. Each call into QuickFIX would give the interpreter
        lock away and wait for it again, so there is none.
        """
        resending = self._resending
        if resending is not None and threading.get_ident() == self._thread:
            self._looked()
            flow = resending.flow
            flow.sent_at = time.monotonic()
            flow.sent_bytes += _REPORT_BYTES
            self._answering(resending)

    def _answering(self, session: Session) -> None:
        """Take in that a ResendRequest is answered; QuickFIX holds its lock until that is done."""
        up_to, session.ask_up_to = session.ask_up_to, 0
        if up_to:
            self._events.on_gap(session, up_to)

    @guarded
    def fromAdmin(self, message: quickfix.Message, session_id: quickfix.SessionID) -> None:
        """Take an admin message in; what is wrong with it QuickFIX rejects."""
        session = self._sessions[session_id.toString()]
        flow = session.flow
        flow.received_at = time.monotonic()
        flow.messages += 1
        self._looked()
        self._resending = None
        header = message.getHeader()
        msg_type = header.getField(35)
        session.confirms_reset = session.confirms_reset and msg_type == "A"
        if session.lost_from and msg_type != "4":
            session.lost_input = True
            return  # It came behind a Logon that begins the numbers again, before the answer.
        if msg_type not in ("4", "A"):
            admin.check_repeat(header)
        if msg_type == "0":
            if message.isSetField(112) and self._sender.answered(session, message.getField(112)):
                self._events.on_test_response(session)
        elif msg_type == "5":
            session.logout_received = True
            self._events.on_logout(session)
        elif msg_type == "A":
            session.logon_read()
            self._admit_logon(session, message)
        elif msg_type == "2":
            session.flow.probe_cursor = (0, 0, 0)  # It has not got all, whatever it answers.
            admin.check_resend(session, message)
            self._resend(session)
        elif msg_type == "4" and session.qf is not None and not session.qf.receivedLogon():
            # It came in one piece behind a Logout. QuickFIX would try to reject a NewSeqNo
            # that is too low, and end its thread because there is nobody to reject it to.
            raise quickfix.IncorrectTagValue(36)

    def _resend(self, session: Session) -> None:
        """Let QuickFIX send again what the client asks for, as soon as we return."""
        self._thread = threading.get_ident()
        self._resending = session
        unread = session.flow.outstanding > session.gateway.outstanding_bytes_max
        if unread and not self._sender.has_read(session):
            log.warning("cut", session=session.comp_id, reason="asks again and reads nothing")
            session.cut()
        # Of a session that stores nothing at the moment QuickFIX resends nothing: it fills the gap.
        if session.flow.storing.acquire(timeout=STORING_WAIT_S):
            self._looking = session

    def _looked(self) -> None:
        """Let market data, which is not stored, go out again, once QuickFIX has looked."""
        session = self._looking
        if session is not None and threading.get_ident() == self._thread:
            self._looking = None
            session.flow.storing.release()

    def _admit_logon(self, session: Session, message: quickfix.Message) -> None:
        """Let in only the Logon that the door has handed over.

        QuickFIX's own dictionary turns away every other one before anything is done with it.
        """
        header = message.getHeader()
        due, session.logon_due = session.logon_due, None
        if due != (header.getField(34), header.getField(52)):
            log.error("cut", session=session.comp_id, reason="Logon that the door did not send")
            raise quickfix.RejectLogon(WITHIN_TEXT)

    def fromApp(self, message: quickfix.Message, session_id: quickfix.SessionID) -> None:
        """Take an application message in; whatever fails, it is answered."""
        try:
            text: str = message.toString()
        except Exception:
            log.exception("message_not_read")
            return
        self.take(text)

    def take(self, text: str) -> None:
        """Take an application message in by its text, as ``fromApp``."""
        try:
            # Asking QuickFIX for the session would give the interpreter lock away once more.
            start = text.index("\x0149=") + 4
            session = self._by_comp_id[text[start : text.index("\x01", start)]]
        except Exception:
            log.exception("message_not_read")
            return
        if self._looking is not None:
            self._looked()
        self._resending = None
        session.confirms_reset = False
        if session.lost_from:
            session.lost_input = True
            return  # As in ``fromAdmin``: it is asked for again.
        try:
            if not text.isascii():
                raise quickfix.IncorrectDataFormat(admin.tag_not_ascii(text))
            if "\x0143=Y\x01" in text and not self._repeats_well(session, text):
                return
            self._take(session, text)
        except QUICKFIX_ERRORS:
            raise
        except Exception:
            log.exception("message_failed", session=session.comp_id)
            self._refuse(session, text)

    def _take(self, session: Session, text: str) -> None:
        flow = session.flow
        flow.received_at = time.monotonic()
        flow.messages += 1
        if session.rewind_to:
            return  # The session is being cut and will send this again.
        now_us = self._clock()
        meant = translate(text, session.context, session.epoch, self._instruments, now_us)
        if meant is None:
            # QuickFIX would say the same, but not to the third party that the message came from.
            self._business_reject(session, FixMessage(text), "3", "Unsupported Message Type")
            return
        if isinstance(meant, MarketRequest):
            self._events.on_market_request(session, meant.num, text)
        elif type(meant) in _COMMANDS:
            command: Command = meant  # type: ignore[assignment]
            if session.throttle is not None:
                command = self._throttled(session, session.throttle, command, text, now_us)
            if not self._outbox.submit(session, command, now_us):
                self._events.on_overload(session, command.origin.num)
        elif not self._events.on_request(session, meant, text):  # type: ignore[arg-type]
            answer = responses.reject_query(meant, "4", BUSY_TEXT)  # type: ignore[arg-type]
            header = answer_header(FixMessage(text).fields)
            self._say(session, f"{answer.msg_type}\x01{header}{answer.body}")

    def _repeats_well(self, session: Session, text: str) -> bool:
        """Return True if a message with PossDupFlag=Y says since when; if not, reject it."""
        message = FixMessage(text)
        fault = admin.fault_of_repeat(message)
        if fault is None:
            return True
        session.flow.received_at = time.monotonic()
        session.flow.messages += 1
        reason, why = fault
        self._sender.admin(
            session,
            f"3\x01{answer_header(message.fields)}45={message.get('34')}\x01371=122\x01"
            f"372={message.msg_type}\x01373={reason}\x0158={why}",
        )
        if reason == admin.SENDING_TIME:
            self._events.on_violation(session, why)
        return False

    def _throttled(
        self, session: Session, throttle: Throttle, command: Command, text: str, now_us: int
    ) -> Command:
        """Return the command, or its refusal where the session is above its limit."""
        count = weight(command)
        if not count or throttle.take(count, now_us):
            return command
        if throttle.flooded:
            self._events.on_flood(session)
        why = f"Above the limit of this session: {throttle.limit}"
        return refuse(
            FixMessage(text), session.context, command.origin, RejectReason.THROTTLED, why
        )

    def _refuse(self, session: Session, text: str) -> None:
        """Say that something in us failed, and commit that this message is done with."""
        try:
            message = FixMessage(text)
            num = int(message.get("34"))
            self._business_reject(
                session, message, "4", "The venue failed to handle this message"
            )
            why = "the gateway failed to handle this message"
            mark = session.mark_command(session.epoch, num, why)
            if not self._outbox.submit(session, mark, self._clock()):
                self._events.on_overload(session, num)
        except Exception:
            log.exception("refusal_failed", session=session.comp_id)
            session.cut()

    def _business_reject(
        self, session: Session, message: FixMessage, reason: str, why: str
    ) -> None:
        """Answer with BusinessMessageReject(j); ``reason`` is BusinessRejectReason(380)."""
        self._say(
            session,
            f"j\x01{answer_header(message.fields)}45={message.get('34')}\x01"
            f"372={message.msg_type}\x01380={reason}\x0158={why}\x01",
        )

    def _say(self, session: Session, content: str) -> None:
        """Send an answer of ours, given from its MsgType on."""
        text = envelope(content)
        self._sender.send(session, quickfix.Message(text, False), len(text))
