"""Where a gateway without the public port gets its clients: from the door of the first one."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from fix_gateway.door import logon as logons
from fix_gateway.door.logon import Logon, LogonError
from fix_gateway.session import passing
from fix_gateway.session.passing import (
    TAKEN,
    UNAVAILABLE,
    PassedAnswer,
    PassedClient,
    PassingError,
)
from fix_gateway.session.session import Session, Sessions

log = structlog.get_logger()

ACCEPT_PAUSE_S: Final = 0.5
PEER_S: Final = 1.0
"""How long the door may take to say whom it passes on; it does that at once."""
Admit = Callable[[socket.socket, str, Session, Logon], None]
"""Lets in a client at an address, whose Logon was judged."""


class SideDoor:
    """Listens at ``path`` from ``start`` to ``close``; ``admit`` gets each client, on its thread.

    That a client was received is answered first: whoever waits for that in vain ends the
    connection. Its Logon has at most ``logon_bytes_max`` and still lies in the socket.
    """

    def __init__(
        self, path: Path, sessions: Sessions, logon_bytes_max: int, admit: Admit
    ) -> None:
        self._path = path
        self._sessions = sessions
        self._logon_bytes_max = logon_bytes_max
        self._admit = admit
        self._listener = passing.listen(path)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fix-side-door", daemon=True)

    def start(self) -> None:
        """Begin to take clients."""
        self._thread.start()

    def close(self) -> None:
        """Take nobody else."""
        self._path.unlink(missing_ok=True)
        self._closing.set()
        try:
            self._listener.shutdown(socket.SHUT_RDWR)  # Ends a waiting accept.
        finally:
            self._listener.close()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                door, _ = self._listener.accept()
            except OSError as error:
                # It was closed, or no descriptor is left, and the door keeps waiting, and so do we.
                if not self._closing.is_set():
                    log.error("accept_failed", error=str(error))
                    self._closing.wait(ACCEPT_PAUSE_S)
                continue
            with door:
                door.settimeout(PEER_S)
                self._receive(door)

    def _receive(self, door: socket.socket) -> None:
        client: socket.socket | None = None
        try:
            passed, client = passing.receive(door, PassedClient)
            session = self._sessions.by_comp_id.get(passed.comp_id)
            if session is None:
                passing.answer(door, PassedAnswer(UNAVAILABLE))
                raise PassingError(f"{passed.comp_id} is new; this gateway knows it once restarted")
            passing.answer(door, PassedAnswer(TAKEN))
            client.setblocking(False)
            data = client.recv(self._logon_bytes_max, socket.MSG_PEEK)
            message = logons.framed(data, self._logon_bytes_max)
            if message is None:
                raise PassingError("the client has gone")
            self._admit(client, passed.address, session, logons.parse(message))
        except (PassingError, LogonError, OSError) as error:
            log.warning("client_not_taken", reason=str(error))
            if client is not None:
                client.close()
