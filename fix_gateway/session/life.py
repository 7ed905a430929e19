"""The life of a FIX session: its phases, why its reports are held back, and what ends either.

The laws:

1. A session's phase, its holds, its connection and the progress of its delivery change here
   alone, by the two tables below. A style test refuses any assignment to them elsewhere.
2. What comes from outside (QuickFIX, the client's kernel, a disk, a timer) has a row in every
   phase: it may come late or twice. The steps of our own (``CLAIM`` to ``RESET_DONE``, ``HELD``)
   have rows only where they belong. Anything else is refused: it raises ``OutOfOrder`` and
   changes nothing.
3. Only the thread that claimed a session takes it from ``CLAIMED`` to ``ENTERING`` or back.
   What QuickFIX says of the connection before does not touch the claim. A session that is
   ``RESETTING`` is claimed, by the thread that judges the Logon, as soon as QuickFIX has let go.
4. An event that names a connection which is not the session's own is too late, and changes
   nothing.
5. ``AWAY`` holds only a session whose next Logon empties its store (``reset_on_logon``): QuickFIX
   drops what it is given while both numbers are 1. Every other session is sent its reports
   while it is away; they wait in its store, and a resend brings them.
6. While there is a hold nothing is sent. Who sends looks at ``holds`` before each message,
   since a hold may come at any moment from a thread that has no lock but this one.
7. Whom the engine was told to be there it is told of when he has gone, whatever way the session
   became free; a reset within a session is no going.

The locks, in the order in which they are taken:

1. The session's ``gate`` is held around everything that sends to the session from outside
   QuickFIX's own thread, around a change of its epoch, and around each step of ``progress``.
   Whoever must be sure that nothing is on its way adds the hold and then passes the gate once.
2. QuickFIX's own lock of the session, which it holds while it stores and sends, and may hold when
   it calls ``onLogout`` and ``toApp``. So these two never take the gate.
3. The lock in ``Life``, around one look into the table. Nothing else is called under it, so every
   thread may bring an event, whatever it holds.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from enum import Enum, auto
from typing import Final, Generic, NamedTuple, TypeVar


class Phase(Enum):
    """Who has the session."""

    FREE = auto()
    """Nobody: there is no connection."""
    CLAIMED = auto()
    """One thread of ours, which readies it for a Logon, writes a Logout or resets its numbers."""
    ENTERING = auto()
    """QuickFIX, which has been handed the connection and has not answered the Logon."""
    LIVE = auto()
    """The client: it is logged on."""
    RESETTING = auto()
    """The client, whose Logon begins the numbers again; QuickFIX lets go of the connection."""


class Hold(Enum):
    """A reason for which nothing is sent to a session."""

    AWAY = auto()
    """It is not logged on, and its next Logon empties its store (law 5)."""
    LOGON = auto()
    """Its Logon is under way: until that is answered, what is sent would be stored only."""
    RESET = auto()
    """Its numbers begin again, and the new epoch records how far it has been told."""
    STORE = auto()
    """Its store cannot be written."""
    UNREAD = auto()
    """Its client leaves too much unread."""
    ELSEWHERE = auto()
    """Another gateway holds it."""


class Event(Enum):
    """What happens to a session."""

    CLAIM = auto()
    """A thread wants it for itself."""
    START = auto()
    """The process begins."""
    PREPARE = auto()
    """The claim is for a Logon."""
    HAND_OVER = auto()
    """QuickFIX is given the connection and the Logon."""
    GIVE_BACK = auto()
    """Who claimed it has done, or could not hand it over."""
    RESET_BEGINS = auto()
    """The engine is about to be asked for a new epoch."""
    RESET_DONE = auto()
    """The new epoch has begun, or could not."""
    LOGGED_ON = auto()
    """QuickFIX has answered the Logon."""
    RESET_ASKED = auto()
    """A Logon with ResetSeqNumFlag(141)=Y came within the session."""
    LOGOUT_READ = auto()
    """The client's Logout came; QuickFIX answers it and ends the connection next."""
    LOGGED_OUT = auto()
    """QuickFIX has seen the end of a connection whose Logon it had read."""
    DISCONNECTED = auto()
    """The connection is closed on both sides, before QuickFIX has answered a Logon on it."""
    UNREAD_LIMIT = auto()
    """The client leaves too much unread."""
    READ = auto()
    """The client has read enough."""
    STORE_FAILED = auto()
    """A message could not be stored."""
    STORE_REOPENED = auto()
    """The store takes messages again."""
    ELSEWHERE = auto()
    """Another gateway has taken it."""
    HELD = auto()
    """Who claimed it has taken it from another gateway."""


class Action(Enum):
    """What whoever brought the event does next."""

    OPEN = auto()
    """Tell the engine that the session is there."""
    CLOSE = auto()
    """Tell the engine that it has gone."""
    RESUME = auto()
    """Have delivery go on, if nothing else holds it."""
    CUT = auto()
    """End the connection."""


class Move(NamedTuple):
    """One row: the phase that follows, the holds that come and go, what is to be done."""

    phase: Phase
    adds: frozenset[Hold] = frozenset()
    drops: frozenset[Hold] = frozenset()
    does: tuple[Action, ...] = ()


Holds = frozenset[Hold]
_NONE: Final[Holds] = frozenset()
_AWAY: Final = frozenset((Hold.AWAY,))
_LOGON: Final = frozenset((Hold.LOGON,))
_RESET: Final = frozenset((Hold.RESET,))
_STORE: Final = frozenset((Hold.STORE,))
_UNREAD: Final = frozenset((Hold.UNREAD,))
_ELSEWHERE: Final = frozenset((Hold.ELSEWHERE,))
_F, _C, _E, _L, _R = Phase.FREE, Phase.CLAIMED, Phase.ENTERING, Phase.LIVE, Phase.RESETTING
_OPEN, _CLOSE = (Action.OPEN,), (Action.CLOSE,)
_RESUME, _CUT = (Action.RESUME,), (Action.CUT,)

TABLE: Final[Mapping[tuple[Phase, Event], Move]] = {
    # Steps of our own. Where there is no row the step is refused.
    (_F, Event.START): Move(_F, adds=_AWAY),
    (_F, Event.CLAIM): Move(_C),
    (_C, Event.PREPARE): Move(_C, adds=_LOGON),
    (_C, Event.RESET_BEGINS): Move(_C, adds=_RESET),
    (_C, Event.RESET_DONE): Move(_C, drops=_RESET, does=_RESUME),
    (_C, Event.HAND_OVER): Move(_E, adds=_LOGON),
    (_C, Event.GIVE_BACK): Move(_F, drops=_LOGON | _RESET, does=_RESUME),
    (_E, Event.GIVE_BACK): Move(_F, drops=_LOGON, does=_RESUME),
    # QuickFIX. Before the hand-over it speaks of a connection that has ended: the engine hears
    # of both ends of that one, and the phase is not concerned.
    (_F, Event.LOGGED_ON): Move(_F, does=_OPEN),
    (_C, Event.LOGGED_ON): Move(_C, does=_OPEN),
    (_E, Event.LOGGED_ON): Move(_L, drops=_LOGON | _AWAY, does=(Action.OPEN, Action.RESUME)),
    (_L, Event.LOGGED_ON): Move(_L, does=_OPEN),
    (_R, Event.LOGGED_ON): Move(_R, does=_OPEN),
    (_F, Event.RESET_ASKED): Move(_F),
    (_C, Event.RESET_ASKED): Move(_C),
    (_E, Event.RESET_ASKED): Move(_E),
    (_L, Event.RESET_ASKED): Move(_R, adds=_LOGON | _AWAY, drops=_UNREAD, does=_RESUME),
    (_R, Event.RESET_ASKED): Move(_R),
    (_F, Event.LOGOUT_READ): Move(_F, adds=_AWAY),
    (_C, Event.LOGOUT_READ): Move(_C, adds=_AWAY),
    (_E, Event.LOGOUT_READ): Move(_E, adds=_AWAY),
    (_L, Event.LOGOUT_READ): Move(_L, adds=_AWAY),
    (_R, Event.LOGOUT_READ): Move(_R, adds=_AWAY),
    (_F, Event.LOGGED_OUT): Move(_F, adds=_AWAY, does=_CLOSE),
    (_C, Event.LOGGED_OUT): Move(_C, adds=_AWAY, does=_CLOSE),
    (_E, Event.LOGGED_OUT): Move(
        _F, adds=_AWAY, drops=_LOGON, does=(Action.CLOSE, Action.RESUME)
    ),
    (_L, Event.LOGGED_OUT): Move(
        _F, adds=_AWAY, drops=_UNREAD, does=(Action.CLOSE, Action.RESUME)
    ),
    (_R, Event.LOGGED_OUT): Move(_C, adds=_AWAY),
    # The client's kernel. When QuickFIX has answered the Logon it sees the end as well, and
    # its word is the one that counts.
    (_F, Event.DISCONNECTED): Move(_F),
    (_C, Event.DISCONNECTED): Move(_C),
    (_E, Event.DISCONNECTED): Move(_F, drops=_LOGON, does=_RESUME),
    (_L, Event.DISCONNECTED): Move(_L),
    (_R, Event.DISCONNECTED): Move(_R),
    # What the client has not read. Only who is logged on can leave anything unread.
    (_F, Event.UNREAD_LIMIT): Move(_F),
    (_C, Event.UNREAD_LIMIT): Move(_C),
    (_E, Event.UNREAD_LIMIT): Move(_E),
    (_L, Event.UNREAD_LIMIT): Move(_L, adds=_UNREAD),
    (_R, Event.UNREAD_LIMIT): Move(_R),
    (_F, Event.READ): Move(_F),
    (_C, Event.READ): Move(_C),
    (_E, Event.READ): Move(_E),
    (_L, Event.READ): Move(_L, drops=_UNREAD, does=_RESUME),
    (_R, Event.READ): Move(_R),
    # The disk. Who cannot be told what becomes of its orders must not go on entering them.
    (_F, Event.STORE_FAILED): Move(_F, adds=_STORE),
    (_C, Event.STORE_FAILED): Move(_C, adds=_STORE, does=_CUT),
    (_E, Event.STORE_FAILED): Move(_E, adds=_STORE, does=_CUT),
    (_L, Event.STORE_FAILED): Move(_L, adds=_STORE, does=_CUT),
    (_R, Event.STORE_FAILED): Move(_R, adds=_STORE, does=_CUT),
    (_F, Event.STORE_REOPENED): Move(_F, drops=_STORE, does=_RESUME),
    (_C, Event.STORE_REOPENED): Move(_C, drops=_STORE, does=_RESUME),
    (_E, Event.STORE_REOPENED): Move(_E, drops=_STORE, does=_RESUME),
    (_L, Event.STORE_REOPENED): Move(_L, drops=_STORE, does=_RESUME),
    (_R, Event.STORE_REOPENED): Move(_R, drops=_STORE, does=_RESUME),
    # Other gateways. Who goes on here would speak under numbers that are theirs.
    (_F, Event.ELSEWHERE): Move(_F, adds=_ELSEWHERE),
    (_C, Event.ELSEWHERE): Move(_C, adds=_ELSEWHERE, does=_CUT),
    (_E, Event.ELSEWHERE): Move(_E, adds=_ELSEWHERE, does=_CUT),
    (_L, Event.ELSEWHERE): Move(_L, adds=_ELSEWHERE, does=_CUT),
    (_R, Event.ELSEWHERE): Move(_R, adds=_ELSEWHERE, does=_CUT),
    (_C, Event.HELD): Move(_C, drops=_ELSEWHERE, does=_RESUME),
}


class Progress(Enum):
    """How delivery to a session goes; guarded by the session's gate."""

    IN_STEP = auto()
    """Each transaction is sent as it comes."""
    BEHIND = auto()
    """Transactions wait in the backlog, and are sent from there when nothing holds them."""
    LAGGING = auto()
    """The backlog was full: they are read from the engine again, from the session's cursor."""


class Step(Enum):
    """What changes the progress of delivery."""

    STOP = auto()
    """There is a hold, or a message could not be sent."""
    OVERFLOW = auto()
    """The backlog has no more room."""
    CATCH_UP = auto()
    """Everything that there was has been sent."""


PROGRESS: Final[Mapping[tuple[Progress, Step], Progress]] = {
    (Progress.IN_STEP, Step.STOP): Progress.BEHIND,
    (Progress.BEHIND, Step.STOP): Progress.BEHIND,
    (Progress.BEHIND, Step.OVERFLOW): Progress.LAGGING,
    (Progress.BEHIND, Step.CATCH_UP): Progress.IN_STEP,
    (Progress.LAGGING, Step.STOP): Progress.LAGGING,
    (Progress.LAGGING, Step.CATCH_UP): Progress.IN_STEP,
}


class OutOfOrder(Exception):
    """A step that does not belong where the session is; nothing has changed."""


Connection = TypeVar("Connection")


class Life(Generic[Connection]):
    """Where one session is in its life. Any thread may bring an event, and read anything.

    ``free`` is set while nobody has the session, ``settled`` while nothing is between a claim
    and the answer to a Logon. ``connection`` is there from the claim until the session is free.
    """

    def __init__(self, resets_on_logon: bool = False) -> None:
        self.resets_on_logon = resets_on_logon
        self.phase = Phase.FREE
        self.holds: Holds = _NONE
        self.connection: Connection | None = None
        self.progress = Progress.IN_STEP
        self.open = False
        """The engine was told that the session is there (law 7)."""
        self.free = threading.Event()
        self.free.set()
        self.settled = threading.Event()
        self.settled.set()
        self._lock = threading.Lock()

    def claim(self, connection: Connection) -> bool:
        """Take the session for a connection; return False where somebody has it."""
        with self._lock:
            move = TABLE.get((self.phase, Event.CLAIM))
            if move is None:
                return False
            self.connection = connection
            self._make(move)
            return True

    def handle(self, event: Event, connection: Connection | None = None) -> Move:
        """Take in an event, of this connection if one is named; return the row that was taken.

        Raises OutOfOrder where there is no such row.
        """
        with self._lock:
            if connection is not None and connection is not self.connection:
                return Move(self.phase)
            move = TABLE.get((self.phase, event))
            if move is None or event is Event.CLAIM:
                raise OutOfOrder(f"{event.name} in phase {self.phase.name}")
            left = self.phase is not Phase.FREE and move.phase is Phase.FREE
            self._make(move)
            if Action.OPEN in move.does:
                self.open = True
            elif Action.CLOSE in move.does:
                self.open = False
            elif left and self.open:
                self.open = False
                return move._replace(does=(Action.CLOSE, *move.does))
            return move

    def _make(self, move: Move) -> None:
        adds = move.adds if self.resets_on_logon else move.adds - _AWAY
        self.holds = (self.holds - move.drops) | adds
        self.phase = move.phase
        if move.phase is Phase.FREE:
            self.connection = None
            self.free.set()
        else:
            self.free.clear()
        if move.phase in (Phase.FREE, Phase.LIVE):
            self.settled.set()
        else:
            self.settled.clear()

    def advance(self, step: Step) -> None:
        """Take a step of delivery; the session's gate is held. Raises OutOfOrder."""
        after = PROGRESS.get((self.progress, step))
        if after is None:
            raise OutOfOrder(f"{step.name} while delivery is {self.progress.name}")
        self.progress = after
