"""Several gateways of one machine behind one port: which of them a client goes to.

The first one has the port, and judges every Logon. A client whose credentials are right goes to
the gateway that has its session by the engine's record, or else to the one that has the fewest;
with its socket (``session.passing``), and the door keeps nothing. Who cannot be reached is passed
over: its sessions go on at another (``session/holding.py``). Two gateways never serve one session,
whatever is decided here: the engine gives it to one of them (rule S-7).
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

import structlog

from fix_gateway.session import holding
from fix_gateway.session.passing import TAKEN, PassedClient, PassingError, pass_on
from fix_gateway.session.session import Session, Sessions
from fix_gateway.settings import GatewaySettings

log = structlog.get_logger()

PASSING_THREADS: Final = 2
ANSWER_S: Final = 5.0
"""How long a gateway may take to answer that it has received a client."""
AWAY_S: Final = 1.0
SILENT_S: Final = 5.0
"""For so long nobody is offered to a gateway that was away, or that has not answered."""
ON_ITS_WAY_S: Final = 10.0
"""For so long a client counts at the gateway it was passed to, before the engine says that it is
there."""
CROWD: Final = "too many clients wait to be passed on"


class Decision(NamedTuple):
    """What becomes of a client: it enters ``here``, was ``passed`` on, or is refused (``why``).

    ``in_doubt`` says that nobody knows whether another gateway has taken it.
    """

    here: bool = False
    passed: bool = False
    why: str = ""
    in_doubt: bool = False


def best(belonging: Mapping[int, int], home: int) -> int:
    """Return the number of the gateway that a client goes to.

    ``belonging`` says how many other sessions belong to each gateway that is there, ``home`` is the
    one that has this session (0: none). It stays where it is unless that gateway has more than
    twice as many as the emptiest and one: so a gateway that was away gets sessions again.
    """
    emptiest = min(belonging, key=lambda number: (belonging[number], number))
    stays = home in belonging and belonging[home] <= 2 * belonging[emptiest] + 1
    return home if stays else emptiest


class Gateways:
    """The gateways of this machine, of which this is the first. Thread-safe but for ``decide``,
    which the door's thread alone calls."""

    def __init__(
        self, settings: GatewaySettings, sessions: Sessions,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._own = settings.number
        self._all = dict(enumerate(settings.neighbours, 1))
        self._sessions = sessions
        self._waiting_max = settings.connections_max
        self._monotonic = monotonic
        self._pool = ThreadPoolExecutor(PASSING_THREADS, "fix-pass-on")
        self._waiting = 0
        self._lock = threading.Lock()
        self._on_its_way: dict[str, tuple[int, float]] = {}
        """By CompID: the gateway that a client was sent to, and when."""
        self._away_until: dict[int, float] = {}

    def stop(self) -> None:
        """Pass nobody on any more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def home(self, session: Session) -> int:
        """Return the number of the gateway that has a session; 0 for none of this machine."""
        return self._homes().get(session.keeper.holder, 0)

    def decide(
        self,
        session: Session,
        client: socket.socket,
        address: str,
        call: Callable[[Callable[[], None]], None],
        decided: Callable[[Decision], None],
    ) -> None:
        """Pass a client on to the gateway where it belongs, on a thread that may wait.

        ``decided`` is called on the door's thread, by way of ``call``.
        """
        if self._waiting >= self._waiting_max:
            decided(Decision(why=CROWD))
            return
        self._waiting += 1

        def run() -> None:
            try:
                decision = self._decide(session, client, address)
            except Exception as error:
                log.exception("not_passed_on", session=session.comp_id)
                decision = Decision(why=f"not passed on: {type(error).__name__}", in_doubt=True)

            def done() -> None:
                self._waiting -= 1
                decided(decision)

            call(done)

        self._pool.submit(run)

    def _decide(self, session: Session, client: socket.socket, address: str) -> Decision:
        passed = PassedClient(comp_id=session.comp_id, address=address)
        for _ in self._all:
            number = self.choose(session)
            if number == self._own:
                return Decision(here=True)
            try:
                answer = pass_on(self._all[number].passing_socket, passed, client, ANSWER_S)
            except PassingError as error:
                self._passed_over(session, number, str(error), SILENT_S if error.silent else AWAY_S)
                if error.silent:
                    return Decision(why=str(error), in_doubt=True)
                continue
            if answer.said == TAKEN:
                return Decision(passed=True)
            self._passed_over(session, number, "it does not know the session", AWAY_S)
        return Decision(here=True)

    def _passed_over(self, session: Session, number: int, why: str, for_s: float) -> None:
        log.warning("not_passed_on", session=session.comp_id, gateway=number, reason=why)
        with self._lock:
            self._away_until[number] = self._monotonic() + for_s

    def choose(self, session: Session) -> int:
        """Return the gateway that a client is to be offered to, and count it there."""
        homes = self._homes()
        with self._lock:
            now = self._monotonic()
            if _of_old(session):
                return self._own
            belonging = {
                number: 0 for number in self._all if self._away_until.get(number, now) <= now
            }
            for other in self._sessions:
                if other is not session:
                    number = self._place(other, homes, now)
                    if number in belonging:
                        belonging[number] += 1
            number = best(belonging, self._place(session, homes, now))
            self._on_its_way[session.comp_id] = number, now
            return number

    def _place(self, session: Session, homes: Mapping[str, int], now: float) -> int:
        """Return where a session belongs, or is on its way to; 0 for nowhere. The lock is held."""
        number, sent_at = self._on_its_way.get(session.comp_id, (0, 0.0))
        if number and now - sent_at < ON_ITS_WAY_S:
            return number
        keeper = session.keeper
        return homes.get(keeper.holder, 0) if keeper.used else 0

    def _homes(self) -> dict[str, int]:
        """Return the number of each gateway by the name under which it holds sessions.

        Read each time: a gateway that has lost its store comes back under another name.
        """
        found = {}
        for number, one in self._all.items():
            name = holding.known_holder(one.store)
            if name:
                found[name] = number
        return found


def _of_old(session: Session) -> bool:
    """Return whether a session was used here before there were others, which know nothing of it.

    From its next Logon on the engine knows its numbers.
    """
    quickfix_session = session.qf
    if not session.held or session.reserved or quickfix_session is None:
        return False
    sender: int = quickfix_session.getExpectedSenderNum()
    target: int = quickfix_session.getExpectedTargetNum()
    return max(sender, target) > 1
