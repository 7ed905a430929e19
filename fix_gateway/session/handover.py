"""Hands an accepted client to QuickFIX: its socket, not its bytes.

QuickFIX can only listen on every interface of a TCP port, so right after its start we put a
Unix socket of our own, in a folder that only we may enter, in the place of its listening
socket (``dup2``). Strangers on the network or on this machine find nothing to connect to.

To hand a client over we connect to that Unix socket, find the descriptor under which
QuickFIX has accepted it, and send a Logon on this stand-in: not the client's, which the door has
judged and taken off the stream, but one with the door's stamp. As soon as QuickFIX has read it,
and before it answers, its own thread puts the client's socket in the stand-in's place, again
by ``dup2``: from there on it is as if the client had come to it directly. The Logon comes by
itself because QuickFIX reads all that there is and then looks at one message only: what the
client sent in one piece behind its Logon would wait until something more came.
``spec/decisions/0004-front-door.md`` says why this and not a relay.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import select
import shutil
import socket
import stat
import tempfile
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from fix_gateway.quickfix_import import quickfix

INNER: Final = "inner"
"""The folder, beside the stores, of the socket by which QuickFIX is reached."""
ACCEPT_TIMEOUT_S: Final = 5.0
ACCEPT_POLL_S: Final = 0.0005
"""The kernel tells nobody that a connection was accepted, so we look again this often."""


REGISTERED_WAIT_S: Final = 2.0
REGISTERED_POLL_S: Final = 0.002
"""QuickFIX tells nobody that it has let go of a connection, so we look again this often."""


class HandOverError(Exception):
    """QuickFIX did not take the connection over; the message says why."""


def own_folder(parent: Path) -> tuple[Path, int]:
    """Make a folder in ``parent`` for this process alone; return it and the lock's descriptor.

    The descriptor holds a lock, which ends with the process; folders of others without one,
    which were killed, are removed.
    """
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in parent.iterdir():
        held = _hold(left)
        if held is not None:
            shutil.rmtree(left, ignore_errors=True)
            os.close(held)
    folder = Path(tempfile.mkdtemp(dir=parent))
    held = _hold(folder)
    if held is None:
        raise HandOverError(f"the folder {folder} was taken by another process; start again")
    return folder, held


def _hold(folder: Path) -> int | None:
    """Return a descriptor with the lock of a folder, None while another process has it."""
    try:
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None  # Removed meanwhile, or no folder of ours.
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(held)
        return None
    return held


def let_go(session_id: quickfix.SessionID) -> bool:
    """Wait until QuickFIX has let go of a session's last connection; False if it does not in time.

    Until then it refuses every other connection of the session. There is no event to wait for:
    ``onLogout`` comes before, as does the end of the socket, and nothing comes after.
    """
    deadline = time.monotonic() + REGISTERED_WAIT_S
    while quickfix.Session.isSessionRegistered(session_id):
        if time.monotonic() > deadline:
            return False
        time.sleep(REGISTERED_POLL_S)
    return True


class InnerListener:
    """The Unix socket in the place of QuickFIX's listening socket."""

    def __init__(self, port: int, parent: Path) -> None:
        """Take the place of the socket that listens on ``port`` in this process.

        The Unix socket gets a folder of its own in ``parent``.
        """
        self._folder, self._held = own_folder(parent)
        # By way of the descriptor, since the kernel allows a path of 107 bytes only.
        self._path = f"/proc/self/fd/{self._held}/inner"
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(self._path)
        listener.listen(64)
        listener.setblocking(False)
        number = self._quickfix_listener(port)
        self._await_quickfix(port)
        os.dup2(listener.fileno(), number, inheritable=False)
        listener.close()
        self._wake(port)

    @staticmethod
    def _quickfix_listener(port: int) -> int:
        """Wait until QuickFIX listens; return its descriptor. Raises HandOverError."""
        deadline = time.monotonic() + ACCEPT_TIMEOUT_S
        while time.monotonic() < deadline:
            number = _listening(port)
            if number is not None:
                return number
            time.sleep(ACCEPT_POLL_S)
        raise HandOverError(f"QuickFIX does not listen on port {port}")

    @staticmethod
    def _await_quickfix(port: int) -> None:
        """Return when QuickFIX takes connections.

        It listens as soon as it has seen its first session, and for every further one it asks
        the socket for its port. A session that it comes to when the socket is ours already
        would be none of this port's: nobody could log on to it.
        """
        with socket.create_connection(("127.0.0.1", port), ACCEPT_TIMEOUT_S) as probe:
            _accepted(socket.AF_INET, probe.getsockname())

    def _wake(self, port: int) -> None:
        """Make QuickFIX's poll, which may still wait on the old socket, see the new one.

        The poll wakes by the old socket and then looks at what the descriptor means now; it
        goes back to sleep unless there is something to accept, so there is.
        """
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as something:
            something.connect(self._path)
            with socket.socket() as waker:
                waker.settimeout(1.0)
                try:
                    waker.connect(("127.0.0.1", port))
                except OSError:
                    pass  # The old socket is gone already, so nobody waits on it.

    def close(self) -> None:
        """Remove the socket's folder."""
        shutil.rmtree(self._folder, ignore_errors=True)
        os.close(self._held)

    def handover(self, client: socket.socket, logon: bytes, stamped: bytes) -> Handover:
        """Make ready to give QuickFIX the client's socket, whose first bytes are ``logon``.

        QuickFIX gets ``stamped`` in the place of those. The caller's own handle stays valid.
        Raises HandOverError when QuickFIX does not accept in time or the client has gone.
        """
        name = f"\0tandem-{os.getpid()}-{secrets.token_hex(8)}"
        stand_in = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            stand_in.bind(name)
            stand_in.settimeout(ACCEPT_TIMEOUT_S)
            stand_in.connect(self._path)
            number = _accepted(socket.AF_UNIX, name.encode("ascii"))
            return Handover(client, len(logon), stamped, stand_in, number)
        except OSError as error:
            stand_in.close()
            raise HandOverError(f"QuickFIX does not listen: {error}") from error
        except HandOverError:
            stand_in.close()
            raise


class Handover:
    """One client on its way to QuickFIX; it ends with ``complete`` or ``abandon``.

    A client that begins its numbers again comes back by ``take_back``.
    """

    def __init__(
        self,
        client: socket.socket,
        logon_bytes: int,
        stamped: bytes,
        stand_in: socket.socket,
        number: int,
    ) -> None:
        self._logon_bytes = logon_bytes
        self._stamped = stamped
        self._stand_in = stand_in
        self._number = number
        self._lock = threading.Lock()
        client.setblocking(False)
        # A handle of our own, which nobody else closes and whose number nobody else gets.
        self._client = client.dup()

    def start(self) -> None:
        """Let QuickFIX read the Logon. Raises OSError when either side has gone."""
        left = self._logon_bytes
        while left:
            more = self._client.recv(left)
            if not more:
                raise BrokenPipeError("the client has gone")
            left -= len(more)
        self._stand_in.sendall(self._stamped)

    def complete(self) -> None:
        """Put the client in the place of the stand-in: QuickFIX's thread has the Logon in hand.

        Must be called from a callback about this connection, so that QuickFIX still has it.
        """
        with self._lock:
            if self._client.fileno() >= 0:
                os.dup2(self._client.fileno(), self._number, inheritable=False)
            self._close()

    def take_back(self) -> socket.socket:
        """Take the client's connection from QuickFIX, which keeps the end of a pair of our own.

        What QuickFIX has still to send comes out of the end that is returned; when that is
        closed QuickFIX sees the end of its connection, and the client's stays. Must be called as
        ``complete``, and after it. Raises OSError, and has done nothing then.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            os.dup2(theirs.fileno(), self._number, inheritable=False)
        return ours

    @property
    def read(self) -> bool:
        """True once QuickFIX has read the Logon, or has let go of the stand-in."""
        with self._lock:
            if self._stand_in.fileno() < 0:
                return True
            poller = select.poll()
            poller.register(self._stand_in, 0)
            unread = fcntl.ioctl(self._stand_in, termios.TIOCOUTQ, b"\0\0\0\0")
            return bool(poller.poll(0)) or unread == b"\0\0\0\0"

    def abandon(self) -> None:
        """Give up; QuickFIX sees the end of the stand-in's stream."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        self._client.close()
        self._stand_in.close()


def _sockets(family: int) -> Iterator[tuple[int, socket.socket]]:
    """Yield the process's sockets, each borrowed for one step of the loop.

    The newest descriptors come first. A socket object on a borrowed descriptor is detached
    at once, so that it never closes what is not ours.
    """
    for number in sorted((int(name) for name in os.listdir("/proc/self/fd")), reverse=True):
        try:
            if not stat.S_ISSOCK(os.fstat(number).st_mode):
                continue
            borrowed = socket.socket(family, socket.SOCK_STREAM, fileno=number)
        except OSError:
            continue  # Closed since it was listed.
        try:
            yield number, borrowed
        finally:
            borrowed.detach()


def _accepted(family: int, name: object) -> int:
    """Wait until QuickFIX has accepted the peer called ``name``; return its descriptor.

    Each look goes through all descriptors of the process, the newest first. Raises HandOverError.
    """
    deadline = time.monotonic() + ACCEPT_TIMEOUT_S
    while time.monotonic() < deadline:
        for number, sock in _sockets(family):
            try:
                if sock.getpeername() == name:
                    return number
            except OSError:
                continue  # Not connected, or closed meanwhile by its owner.
        time.sleep(ACCEPT_POLL_S)
    raise HandOverError("QuickFIX did not accept the connection in time")


def _listening(port: int) -> int | None:
    """Return the descriptor that listens on a TCP port, None if there is none."""
    for number, sock in _sockets(socket.AF_INET):
        try:
            if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                continue
            address = sock.getsockname()
        except OSError:
            continue  # Closed since it was listed.
        if isinstance(address, tuple) and len(address) == 2 and address[1] == port:
            return number
    return None
