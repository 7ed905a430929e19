"""FIX sessions at run time: whose they are, which epoch they are in, where delivery stands.

What a session may go through, and which lock is taken when, is said in ``life.py``.
"""

from __future__ import annotations

import fcntl
import select
import socket
import struct
import termios
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias

import structlog
from msgspec import structs

from config.model import SessionSettings
from engine.client import Transaction
from engine.core.commands import CloseSession, OpenSession, RecordRefusal
from engine.core.types import CancelScope, Origin, RejectReason, RequestKind, SessionRow
from fix_gateway.codec.context import SessionContext
from fix_gateway.quickfix_import import quickfix
from fix_gateway.session.handover import Handover
from fix_gateway.session.keeper import Keeper
from fix_gateway.session.life import Action, Event, Life, Move, Phase
from fix_gateway.session.pending_requests import PendingRequests
from fix_gateway.session.store import LAST_INDEX, NO_REPEATS, Cursor, Repeats, SessionStore
from fix_gateway.session.throttle import Throttle
from fix_gateway.settings import GatewaySettings, session_id

log = structlog.get_logger()

GRACE_S_MAX: Final = 86_400
ROOM_WITHOUT_END: Final = 1 << 62
STORING_WAIT_S: Final = 1.0
"""Longer than QuickFIX takes to look into a store, or market data to go out."""
LEAVING_S: Final = 0.2
"""How much later than the next Logon the end of a session's last connection may be seen."""
_TCP_INFO_BYTES: Final = 136
_INT: Final = struct.Struct("@i")
_TCP_BYTES_RECEIVED: Final = struct.Struct("@Q")


LogonMark: TypeAlias = tuple[str, str]
"""MsgSeqNum and SendingTime of a Logon that QuickFIX was handed, by which it is known again."""


class Link:
    """Our own handle on a client's connection, apart from the one that QuickFIX reads."""

    def __init__(self, client: socket.socket, address: str) -> None:
        self.socket = client
        self.address = address
        self.ended = threading.Event()

    def cut(self) -> None:
        """End the connection. QuickFIX sees the end of the stream on its own thread."""
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # It has ended already, which is what was wanted.

    @property
    def peer_has_left(self) -> bool:
        """True once the client has ended its side."""
        if self.socket.fileno() < 0:
            return True
        poller = select.poll()
        poller.register(self.socket, select.POLLRDHUP)
        return bool(poller.poll(0))

    def cork(self, corked: bool) -> None:
        """Have the kernel send full packets only; ``False`` sends what is left, and so on."""
        try:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, corked)
        except OSError:
            pass  # The connection has ended.

    def bytes_received(self) -> int:
        """Return how many bytes the client has sent so far, by the kernel's count."""
        try:
            info = self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
        except OSError:
            return 0
        if len(info) < _TCP_INFO_BYTES:
            return 0
        count: int = _TCP_BYTES_RECEIVED.unpack_from(info, 128)[0]
        return count

    def bytes_unread(self) -> int:
        """Return how many bytes were sent that the client's kernel has not acknowledged."""
        try:
            answer = fcntl.ioctl(self.socket, termios.TIOCOUTQ, b"\0\0\0\0")
        except (OSError, ValueError):
            return 0  # The connection has ended.
        count: int = _INT.unpack(answer)[0]
        return count


class Session:
    """One FIX session. What the callbacks touch on the fast path are plain attributes."""

    def __init__(self, settings: SessionSettings, gateway: GatewaySettings) -> None:
        self.gateway = gateway
        self.comp_id = settings.comp_id
        self.id = session_id(gateway, settings.comp_id)
        self.key: str = self.id.toString()
        self.store = SessionStore(gateway.store, gateway.comp_id, settings.comp_id)
        self.pending_requests = PendingRequests(self.store.path(".asked"))
        self.qf: quickfix.Session | None = None
        self.settings = settings
        self.context = SessionContext(settings, gateway.stale_after_us)
        self.source = self.context.source
        self.throttle = _throttle(settings)
        self.epoch = 0
        self.last_num_applied = 0
        self.gate = threading.RLock()
        self.delivery = DeliveryState()
        self.flow = Flow()
        self.life: Life[Link] = Life(settings.reset_on_logon)
        self.scope = CancelScope.NONE
        self.grace_us = 0
        self.heartbeat_s = 30
        self.logout_received = False
        self.logout_text = ""
        """The Text of our own Logout on this connection."""
        self.logout_sent_at = 0.0
        """When that was sent, by the monotonic clock; 0 while it was not."""
        self.snapshot_wanted = False
        self.handover: Handover | None = None
        """The last connection that was on its way to QuickFIX; it has ended where it is done."""
        self.logon_due: LogonMark | None = None
        """The Logon that QuickFIX has been handed and has not read yet."""
        self.answer_num = 0
        """The number of QuickFIX's last answer to a Logon that has not been let in, 0 when there
        is none. Where the store does not hold that number, it could not be written."""
        self.says_reset = False
        """The answer to the Logon says ResetSeqNumFlag(141)=Y."""
        self.confirms_reset = False
        """The client did not ask for that, and may confirm it by a Logon of its own."""
        self.expects_next = False
        """The Logon had NextExpectedMsgSeqNum(789), so its answer has one too."""
        self.logon_num = 0
        """MsgSeqNum of the Logon that was handed over."""
        self.asked_from = 0
        """BeginSeqNo of our last ResendRequest on this connection, 0 if there was none."""
        self.ask_up_to = 0
        """A ResendRequest came under this number, which is above the expected one; 0 if none."""
        self.rewind_to = 0
        """The first message that was not taken up, 0 if none; asked for at the next Logon."""
        self.lost_from = 0
        """While the client's Logon within the session is judged: the number from which on what is
        sent has gone nowhere, because QuickFIX has no connection any more; 0 otherwise."""
        self.lost_input = False
        """Something of the client came behind that Logon, before QuickFIX had let go."""
        self.second_logon = False
        """A second Logon did."""
        self.reset_within = False
        """The numbers have begun again within the session, and the answer is under way."""
        self.epoch_due = False
        """The engine has recorded an epoch with which the store could not begin again yet."""
        self.term = 0
        """The term in which we hold it, 0 where sessions have no holder."""
        self.keeper = Keeper()
        self.held = True
        """It is ours to serve; False while another gateway holds it."""
        self.lost_term = 0
        """The last term that another gateway is known to have had."""
        self.reserved = 0
        """The highest outgoing number that may be used."""
        self.room = ROOM_WITHOUT_END
        """How many numbers that leaves."""
        self.confirmed: Cursor = (0, 0, 0)
        """The client is known to have everything up to here, ..."""
        self.recorded: Cursor = (0, 0, 0)
        """... and the engine knows it of this."""
        self.numbers_asked_at = self.recorded_at = 0.0
        """When the last block of numbers, and the last record of that, was asked for."""
        self.closed_elsewhere = threading.Event()
        """Set when the engine says that the session has been closed."""
        self.gone: Callable[[Session], None] = _nobody
        """Has the engine told that the session has gone."""

    def update(self, settings: SessionSettings) -> None:
        """Take new credentials, limits or permission, live."""
        before = self.throttle
        if before is None or (before.rate, before.burst) != (
            settings.throttle_rate, settings.throttle_burst,
        ):  # fmt: skip
            self.throttle = _throttle(settings)
        self.settings = settings
        self.life.resets_on_logon = settings.reset_on_logon
        self.set_term(self.term)

    def set_term(self, term: int) -> None:
        """Hold the session in this term: every command of it says so."""
        self.term = term
        self.context = SessionContext(self.settings, self.gateway.stale_after_us, term)

    def origin(self, num: int = 0) -> Origin:
        """Return the identity of a command of this session in its epoch."""
        return Origin(self.source, self.epoch, num, term=self.term)

    def restore(self, row: SessionRow | None) -> None:
        """Take over what the engine remembers."""
        if row is not None:
            self.epoch, self.last_num_applied = row.epoch, row.last_num_applied
            self.keeper.restore(row)

    def repeat(self, repeats: Repeats) -> None:
        """Go back to a cursor: what is after it is sent once more and says so. Raises OSError.

        Written down first, since what tells that it is a repeat may go with the next step.
        """
        self.store.set_repeats(repeats)
        self.delivery.repeats, self.delivery.cursor = repeats, repeats.cursor

    def stored_cursor(self, below: int = 0) -> Cursor:
        """Return how far the store has been told, under numbers lower than ``below`` if given.

        While reports are repeated, what it was told before says nothing.
        """
        place = self.delivery
        first = place.repeats.number
        if below and below <= first:
            first = 0
        told = self.store.newest_cursor(below, first)
        return told or (max(place.begun, place.repeats.cursor) if first else place.begun)

    @property
    def phase(self) -> Phase:
        """Who has the session."""
        return self.life.phase

    @property
    def link(self) -> Link | None:
        """Its connection, None while it is free."""
        return self.life.connection

    def claim(self, link: Link) -> bool:
        """Take the session for a connection; return False if it has one."""
        if not self.life.claim(link):
            return False
        self.begin()
        return True

    def begin(self) -> None:
        """Forget what belonged to the last Logon; the session must be claimed."""
        self.logout_text, self.logout_sent_at = "", 0.0
        self.says_reset = self.confirms_reset = self.expects_next = False
        self.logon_num = self.asked_from = self.ask_up_to = 0
        self.lost_from, self.reset_within = 0, False

    def handle(self, event: Event, link: Link | None = None) -> Move:
        """Take in an event, of this connection if one is named; see ``life.TABLE``.

        What the row wants done with the connection is done here, and the engine is told of an
        end. Raises OutOfOrder.
        """
        before, handover = self.life.phase, self.handover
        move = self.life.handle(event, link)
        if Action.CUT in move.does:
            self.cut()
        if move.phase is Phase.FREE and before is not Phase.FREE and handover is not None:
            handover.abandon()
        if Action.CLOSE in move.does:
            self.gone(self)
        return move

    def hand_over(self, handover: Handover) -> None:
        """Let QuickFIX read the Logon. Raises OSError when either side has gone."""
        self.handover = handover
        self.handle(Event.HAND_OVER)
        handover.start()

    @property
    def undecided(self) -> bool:
        """True while QuickFIX has not come to the Logon yet; until then the session is entering."""
        handover = self.handover
        return handover is not None and not handover.read

    def goes_nowhere(self, message: quickfix.Message) -> bool:
        """Return True if a message that was sent has not reached the client and never will.

        The gate must be held since before it was sent.
        """
        first = self.lost_from
        return bool(first) and int(message.getHeader().getField(34)) >= first

    def logon_read(self) -> None:
        """Take in that QuickFIX has read the Logon; from a callback about this connection."""
        if self.handover is not None:
            self.handover.complete()

    def store_failed(self) -> None:
        """Hold delivery and end the connection: the store cannot be written.

        There is no Logout, which would have to be stored as well.
        """
        if Action.CUT in self.handle(Event.STORE_FAILED).does:
            log.error("cut", session=self.comp_id, reason="its store cannot be written")

    def disconnect_reason(self, now: float) -> str:
        """Say why the connection has ended, for the log; ``now`` is monotonic, in seconds."""
        if self.logout_text:
            return self.logout_text
        if self.logout_received:
            return "logged out by itself"
        if now - self.flow.received_at > 2 * self.heartbeat_s:
            return "silent"
        return "the connection has ended"

    def cut(self) -> None:
        """End the connection, if there is one."""
        link = self.link
        if link is not None:
            link.cut()

    def open_command(self) -> OpenSession:
        """Return the command that says that the session is there, and what to do when it is not."""
        return OpenSession(self.origin(), self.settings.account, self.scope, self.grace_us)

    def mark_command(self, epoch: int, num: int, text: str) -> RecordRefusal:
        """Return the command that has the engine remember this message as done with, and why."""
        return RecordRefusal(
            Origin(self.source, epoch, num, term=self.term), self.settings.account,
            RequestKind.OTHER, RejectReason.INVALID_FIELD, text, mark_only=True,
        )  # fmt: skip

    def close_command(self) -> CloseSession:
        """Return the command that says that the session has gone."""
        return CloseSession(self.origin(), self.logout_received)


class DeliveryState:
    """Where delivery to a session stands; guarded by the session's gate.

    Transactions meant for the session wait in ``backlog`` while it is behind. A message of
    ``repeats`` may have been sent before, and says so (PossResend). ``begun`` is
    the cursor with which the epoch began. ``message`` is used for one report after the other.
    ``told`` is the place of the last message.
    """

    def __init__(self) -> None:
        self.cursor: Cursor = (0, 0, 0)
        self.told: Cursor = (0, 0, 0)
        self.backlog: deque[Transaction] = deque()
        self.begun: Cursor = (0, 0, 0)
        self.repeats = NO_REPEATS
        self.retry_at = 0.0
        self.message = quickfix.Message()

    @property
    def repeating(self) -> bool:
        """Whether reports are still to come that may have been sent before."""
        until = self.repeats.until
        return until > 0 and self.cursor < (until, LAST_INDEX, 0)

    def done_to(self, seq: int) -> None:
        """Count everything up to and including ``seq`` as delivered."""
        self.cursor = max(self.cursor, (seq, LAST_INDEX, 0))


class Flow:
    """What goes out and comes in on a connection, and when; reset at each logon."""

    def __init__(self) -> None:
        self.storing = threading.Lock()
        """Held while market data goes out, which is not stored, and while QuickFIX looks whether
        what is asked for again was stored."""
        self.reset(0.0)

    def reset(self, now: float) -> None:
        """Begin to count for a new connection; ``now`` is monotonic, in seconds."""
        self.sent_at = now
        self.received_at = now
        self.sent_bytes = 0
        self.answered_bytes = 0
        self.checked_bytes = 0
        self.probe = ""
        self.probe_bytes = 0
        self.probe_cursor: Cursor = (0, 0, 0)
        self.probe_at = now
        self.messages = 0
        self.messages_seen = 0
        self.received_base = 0

    @property
    def outstanding(self) -> int:
        """Bytes sent since the client was last known to have read everything."""
        return self.sent_bytes - self.answered_bytes


class Sessions:
    """All sessions, by CompID, by QuickFIX's name and by who must hear of what."""

    def __init__(self, gateway: GatewaySettings, settings: Iterable[SessionSettings]) -> None:
        self.by_comp_id = {each.comp_id: Session(each, gateway) for each in settings}
        self.by_key = {session.key: session for session in self}
        self.by_source = {session.source: session for session in self}

    def __iter__(self) -> Iterator[Session]:
        return iter(self.by_comp_id.values())

    def update(self, settings: Iterable[SessionSettings]) -> list[str]:
        """Take new settings of known sessions; return the CompIDs that need a restart."""
        unknown = []
        given = {each.comp_id: each for each in settings}
        for comp_id, each in given.items():
            session = self.by_comp_id.get(comp_id)
            if session is None:
                unknown.append(comp_id)
            else:
                session.update(each)
        for session in self:
            if session.comp_id not in given or not session.settings.enabled:
                disable(session)
        return unknown

    def live(self) -> list[Session]:
        """Return the sessions that are logged on."""
        return [session for session in self if session.phase in (Phase.LIVE, Phase.RESETTING)]


def disable(session: Session) -> None:
    """Let nobody in under this name, and end the connection."""
    if session.settings.enabled:
        session.update(structs.replace(session.settings, enabled=False))
    session.cut()


def _nobody(session: Session) -> None:
    """Tell nobody that a session has gone."""


def _throttle(settings: SessionSettings) -> Throttle | None:
    if not settings.throttle_rate:
        return None
    return Throttle(settings.throttle_rate, settings.throttle_burst)


Clock = Callable[[], int]
"""Microseconds since 1970-01-01 UTC."""
