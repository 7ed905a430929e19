"""How the door passes a client's socket on: to the market data process, or to another gateway.

A Unix socket in the data folder, mode 0600, takes one message for each client: whose Logon it is,
and the client's socket itself (SCM_RIGHTS). The Logon's bytes still lie in the socket. The answer
says whether the client was taken; whoever did not hear it in time must end the connection. Both
sides check that the other is the same user.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import msgspec

TAKEN, BUSY, UNAVAILABLE = "taken", "busy", "unavailable"
MESSAGE_BYTES_MAX: Final = 4096
_CREDENTIALS: Final = struct.Struct("3i")


class PassedClient(msgspec.Struct, frozen=True, kw_only=True):
    """A client whose Logon the door has judged, for another gateway, which reads it again."""

    comp_id: str
    address: str


class PassedLogon(msgspec.Struct, frozen=True, kw_only=True):
    """A Logon that the door has judged, for market data, without what it was judged by.

    ``logon_bytes`` is how many bytes of it lie at the start of what the client has sent.
    """

    comp_id: str
    address: str
    logon_bytes: int
    heartbeat_s: int
    asks_reset: bool
    expects_next: bool


class PassedAnswer(msgspec.Struct, frozen=True):
    """``said`` is TAKEN, BUSY or UNAVAILABLE; ``why`` a reason for the log."""

    said: str
    why: str = ""


class PassingError(Exception):
    """The client could not be passed on, or nobody says that it was; the message says why.

    ``silent``: whoever was to take it is there and did not answer in time, and may take it still.
    """

    def __init__(self, why: str, *, silent: bool = False) -> None:
        super().__init__(why)
        self.silent = silent


Passed = TypeVar("Passed", PassedClient, PassedLogon)


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """Yield the path by way of a descriptor of its folder: the kernel allows 107 bytes only."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def listen(path: Path) -> socket.socket:
    """Return the listening socket at ``path``; one that a dead process left is replaced."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    # Made under another name, so that it is private before anybody can find it.
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    with _short(temporary) as name:
        listener.bind(name)
    temporary.chmod(0o600)
    listener.listen(64)
    temporary.rename(path)
    return listener


def pass_on(
    path: Path, passed: PassedClient | PassedLogon, client: socket.socket, timeout_s: float
) -> PassedAnswer:
    """Pass a client on and wait for the answer. Raises PassingError."""
    try:
        with _short(path) as short, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as to:
            to.settimeout(timeout_s)
            to.connect(short)
            _check_peer(to)
            socket.send_fds(to, [msgspec.json.encode(passed)], [client.fileno()])
            return msgspec.json.decode(to.recv(MESSAGE_BYTES_MAX), type=PassedAnswer)
    except (OSError, msgspec.DecodeError) as error:
        raise PassingError(
            f"{path.stem} cannot be reached: {error}", silent=isinstance(error, TimeoutError)
        ) from error


def receive(
    connection: socket.socket, kind: type[Passed]
) -> tuple[Passed, socket.socket]:
    """Receive a client on an accepted connection. Raises PassingError."""
    numbers: list[int] = []
    try:
        _check_peer(connection)
        data, numbers, _, _ = socket.recv_fds(connection, MESSAGE_BYTES_MAX, 1)
        passed = msgspec.json.decode(data, type=kind)
        if len(numbers) != 1:
            raise PassingError("no socket was passed")
        return passed, socket.socket(fileno=numbers[0])
    except (OSError, msgspec.DecodeError) as error:
        for number in numbers:
            os.close(number)
        raise PassingError(f"no client was passed: {error}") from error


def answer(connection: socket.socket, said: PassedAnswer) -> None:
    """Say what has become of a client. Raises OSError where nobody waits for it any more."""
    connection.send(msgspec.json.encode(said))


def _check_peer(connection: socket.socket) -> None:
    """Raises OSError for a peer of another user."""
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, user, _ = _CREDENTIALS.unpack(data)
    if user not in (os.geteuid(), 0):
        raise PermissionError(f"the other side is user {user}")
