"""Market data sessions at the door: judged here like every other, served by another process.

Whose credentials are right is passed on with its socket (``session.passing``); the gateway keeps
no handle on the connection. Whoever waits for the other process waits on threads of its own, so
that no order session waits behind it.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

import structlog

from config.model import SessionSettings
from fix_gateway.codec.message import time_text
from fix_gateway.door import logon as logons
from fix_gateway.door.logon import Logon, Wishes
from fix_gateway.session.passing import BUSY, TAKEN, PassedLogon, PassingError, pass_on
from fix_gateway.settings import BEGIN_STRING

log = structlog.get_logger()

PASSING_THREADS: Final = 2
WAITING_MAX: Final = 64
"""Clients that may wait to be passed on."""
ANSWER_S: Final = 10.0
"""How long the other process may take: it waits for the session's last connection to end."""
AWAY_TEXT: Final = "Market data is not available at the moment; log on again"
CROWD_TEXT: Final = "Too many clients wait for market data; log on again in a moment"


class PassedSession:
    """A market data session as the door knows it; ``server`` is our own CompID."""

    def __init__(
        self, settings: SessionSettings, server: str, clock: Callable[[], int]
    ) -> None:
        self.settings = settings
        self.comp_id = settings.comp_id
        self._server = server
        self._clock = clock

    def farewell(self, text: str) -> bytes:
        """Make the Logout for a client that is not let in; numbers begin at 1 each time."""
        body = (
            f"35=5\x0134=1\x0149={self._server}\x0152={time_text(self._clock())}\x01"
            f"56={self.comp_id}\x0158={text}\x01"
        )
        whole = f"8={BEGIN_STRING}\x019={len(body)}\x01{body}"
        return f"{whole}10={sum(whole.encode('ascii')) % 256:03d}\x01".encode("ascii")


class Outcome(NamedTuple):
    """What has become of a client: passed on, told ``why`` not, or closed without a word.

    ``in_doubt`` says that nobody knows whether the other process has taken it.
    """

    passed: bool
    tell: bool = False
    why: str = ""
    in_doubt: bool = False


class Passage:
    """The way to the market data process, which listens at ``path``.

    ``server`` is our own CompID. Used by the door's thread alone.
    """

    def __init__(
        self,
        path: Path,
        server: str,
        sessions: Iterable[SessionSettings],
        clock: Callable[[], int],
    ) -> None:
        self._path = path
        self.sessions = {one.comp_id: PassedSession(one, server, clock) for one in sessions}
        self._pool = ThreadPoolExecutor(PASSING_THREADS, "fix-pass")
        self._waiting = 0

    def update(self, sessions: Iterable[SessionSettings]) -> list[str]:
        """Take new settings of known sessions; return the CompIDs that need a restart."""
        given = {one.comp_id: one for one in sessions}
        for comp_id in self.sessions.keys() - given.keys():
            del self.sessions[comp_id]
        for comp_id in self.sessions.keys() & given.keys():
            self.sessions[comp_id].settings = given[comp_id]
        return sorted(given.keys() - self.sessions.keys())

    def stop(self) -> None:
        """Pass nobody on any more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def decide(
        self,
        logon: Logon,
        fault: str,
        client: socket.socket,
        address: str,
        call: Callable[[Callable[[], None]], None],
        decided: Callable[[Outcome], None],
    ) -> None:
        """Pass a client on unless there is a ``fault`` in its Logon, on a thread that may wait.

        ``decided`` is called on the door's thread, by way of ``call`` where it had to wait.
        """
        wishes = logons.read(logon) if not fault else None
        objection = fault if wishes is None else self.objection(wishes)
        if wishes is None or objection:
            decided(Outcome(False, True, objection))
            return
        if self._waiting >= WAITING_MAX:
            decided(Outcome(False, True, CROWD_TEXT))
            return
        self._waiting += 1

        def run() -> None:
            outcome = self._pass_on(logon, wishes, client, address)

            def done() -> None:
                self._waiting -= 1
                decided(outcome)

            call(done)

        self._pool.submit(run)

    def _pass_on(
        self, logon: Logon, wishes: Wishes, client: socket.socket, address: str
    ) -> Outcome:
        passed = PassedLogon(
            comp_id=logon.comp_id,
            address=address,
            logon_bytes=len(logon.raw),
            heartbeat_s=wishes.heartbeat_s,
            asks_reset=wishes.reset,
            expects_next=wishes.next_expected is not None,
        )
        try:
            answer = pass_on(self._path, passed, client, ANSWER_S)
        except PassingError as error:
            log.warning("not_passed_on", session=logon.comp_id, reason=str(error))
            return Outcome(False, True, AWAY_TEXT, in_doubt=True)
        if answer.said == TAKEN:
            return Outcome(True)
        if answer.said == BUSY:
            return Outcome(False, False, "session is logged on already")
        log.warning("not_passed_on", session=logon.comp_id, reason=answer.why)
        return Outcome(False, True, AWAY_TEXT)

    @staticmethod
    def objection(wishes: Wishes) -> str:
        """Say what a Logon asks for that a market data session cannot have; "" for nothing."""
        if wishes.scope:
            return (
                f"CancelOnDisconnect(20003) {int(wishes.scope)} is not allowed on a market data "
                "session, which enters no orders; leave it out or use 0"
            )
        if wishes.snapshot:
            return (
                "OpenOrderSnapshot(20006)=Y is not allowed on a market data session, which has no "
                "orders; leave it out or use N"
            )
        return ""
