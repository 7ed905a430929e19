"""Who is not let in: how it ends for the client, and what the log and the console say of it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

import structlog

from fix_gateway.door.agenda import Agenda
from fix_gateway.door.credentials import Failures
from fix_gateway.door.explanations import Explanations, Stranger
from fix_gateway.door.logon import Logon, Wishes
from fix_gateway.door.passage import PassedSession
from fix_gateway.door.pending_connection import PendingConnection
from fix_gateway.session.session import Link, Session
from fix_gateway.settings import GatewaySettings

log = structlog.get_logger()

FAREWELL_S: Final = 1.0
"""How long a client that was told why it is not let in may take to read that and go."""

Served = Session | PassedSession
Enter = Callable[[Session, Logon, Wishes, Link], str]
"""Hands a checked client to QuickFIX; gives the reason if it must be refused after all. Raises
TurnedAway where the client is to be told the reason."""
Farewell = Callable[[Session, Link, str], bytes]
"""The Logout with this text that a client gets which cannot be let in, b"" if it gets none."""


class TurnedAway(Exception):
    """A client with right credentials is not let in; the message tells it why."""


class Doorway(Protocol):
    """What the door does with the connections that it keeps."""

    def is_here(self, pending: PendingConnection) -> bool:
        """Return True if a connection was not closed meanwhile."""

    def stop_watching(self, pending: PendingConnection) -> None:
        """Let a connection that has said enough rest."""

    def close(self, pending: PendingConnection) -> None:
        """Close a connection."""


class Refusals:
    """Used by the door's thread alone. ``count`` is of all connections that were turned away."""

    def __init__(
        self,
        settings: GatewaySettings,
        explain: Explanations,
        failures: Failures,
        agenda: Agenda,
        hands: ThreadPoolExecutor,
        door: Doorway,
    ) -> None:
        self.count = 0
        self._delay_s = settings.refusal_delay_s
        self._explain = explain
        self._failures = failures
        self._at, self._call = agenda.at, agenda.call
        self._hands = hands
        self._door = door

    def refuse(
        self,
        pending: PendingConnection,
        comp_id: str,
        reason: str,
        *,
        failed: bool = True,
        stranger: Stranger | None = None,
    ) -> None:
        """Close after the same delay for every cause; without a word, unless it is explained."""
        if not self._door.is_here(pending):
            return
        told = self._explain.words(reason, stranger)
        self._note(pending, comp_id, reason, told)
        now = time.monotonic()
        if failed:
            self._failures.add(pending.address, now)
        if pending.deadline:
            self._door.stop_watching(pending)

        def end() -> None:
            if told and stranger is not None:
                link = Link(pending.socket, pending.address)
                self._part(pending, lambda: self._explain.logout(stranger, link, told))
            else:
                self._door.close(pending)

        self._at(now + self._delay_s, end)

    def turn_away(
        self, pending: PendingConnection, session: Served, link: Link, text: str
    ) -> None:
        """Tell a client whose credentials are right why it is not let in, and end it."""
        self._note(pending, session.comp_id, text)

        def logout() -> bytes:
            if isinstance(session, PassedSession):
                return session.farewell(text)
            return self._explain.farewell(session, link, text)

        self._part(pending, logout)

    def _note(
        self, pending: PendingConnection, comp_id: str, reason: str, told: str = ""
    ) -> None:
        self.count += 1
        address, name = pending.address, comp_id[:32]
        shown = self._explain.line(name, address, told or reason)
        log.warning("refused", address=address, comp_id=name, reason=reason, **shown)

    def _part(self, pending: PendingConnection, logout: Callable[[], bytes]) -> None:
        """Send a client the Logout that ``logout`` makes on another thread, and end it."""

        def say() -> None:
            try:
                text = logout()
            except Exception:
                log.exception("farewell_failed", address=pending.address)
                text = b""
            self._call(lambda: said(text))

        def said(text: bytes) -> None:
            try:
                pending.socket.send(text)
                pending.socket.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # The client has gone.
            self._at(time.monotonic() + FAREWELL_S, lambda: self._door.close(pending))

        self._hands.submit(say)
