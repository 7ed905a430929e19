"""Ports that are free, for what is told its port before it listens; and a port that is not."""

from __future__ import annotations

import errno
import fcntl
import os
import random
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

LOWEST: Final = 10_000
"""Below it lie the ports that services are known by."""
OUTGOING: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
OUTGOING_FIRST: Final = 32_768
TRIES_MAX: Final = 1_000
TAKE_AGAIN_S: Final = 0.1
TELL_EVERY_S: Final = 30.0
PROMISED_MAX: Final = 512
"""So many ports are kept for those to whom they were told; one is listened on within seconds."""
_random: Final = random.SystemRandom()
_promised: Final[deque[int]] = deque()
_promising: Final = threading.Lock()
_register: int | None = None


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """TCP ports of an interface ("": of all) that are free at this moment, all different.

    Between now and the moment at which somebody listens there, the kernel gives none of them
    to an outgoing connection, as it would do with those that it picks itself, and no other process
    of this user gets one from here. Raises OSError when none can be found.
    """
    sockets: list[socket.socket] = []
    try:
        for _ in range(count):
            sockets.append(_bound(host))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()


def take(
    host: str, port: int, stopping: threading.Event, tell: Callable[[str], None]
) -> socket.socket | None:
    """Return a socket bound to a port and not listening: nobody is let in, and nobody else has it.

    While somebody else has the port it is tried again, until ``stopping`` is set (None), and
    ``tell`` is told why now and then. Raises OSError where trying again does not help.
    """
    told_at = -TELL_EVERY_S
    while not stopping.is_set():
        one = socket.socket()
        try:
            # Connections of the process before may linger; they do not listen.
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind((host, port))
            return one
        except OSError as error:
            one.close()
            if error.errno != errno.EADDRINUSE:
                raise OSError(
                    error.errno, f"cannot listen on {host} port {port}: {error.strerror}"
                ) from error
        if time.monotonic() - told_at >= TELL_EVERY_S:
            told_at = time.monotonic()
            tell(_taken(host, port))
        stopping.wait(TAKE_AGAIN_S)
    return None


def _taken(host: str, port: int) -> str:
    """Return the sentence for a port that somebody else has."""
    text = f"{host} port {port} is taken by another program; it is tried again until it is free"
    first = _outgoing_first()
    if port < first:
        return text
    return (
        f"{text}. From {first} on the kernel gives ports to outgoing connections, which keep them "
        "for as long as they live: choose a lower one"
    )


def _bound(host: str) -> socket.socket:
    """Return a socket bound to a port that nobody else has."""
    last = _outgoing_first() - 1
    for number in range(TRIES_MAX):
        one = socket.socket()
        try:
            # Where the kernel uses nearly all ports for outgoing connections it has to pick.
            one.bind((host, _random.randint(LOWEST, last) if last > 2 * LOWEST else 0))
            if _promise(int(one.getsockname()[1])):
                return one
            raise OSError(errno.EADDRINUSE, "every port is taken or promised")
        except OSError:
            one.close()
            if number == TRIES_MAX - 1:
                raise
    raise AssertionError("unreachable")


def _promise(port: int) -> bool:
    """Note that a port is promised, for other processes too: by a lock on one byte of a file,
    which ends with this process. False if it is promised already."""
    with _promising:
        if port in _promised:
            return False
        register = _opened()
        if register is not None:
            try:
                fcntl.lockf(register, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
            except OSError:
                return False
        _promised.append(port)
        if len(_promised) > PROMISED_MAX:
            old = _promised.popleft()
            if register is not None:
                fcntl.lockf(register, fcntl.LOCK_UN, 1, old)
        return True


def _opened() -> int | None:
    """Return the file of promises; None where there can be none, and luck has to do."""
    global _register
    if _register is None:
        path = Path(os.environ.get("TMPDIR") or "/tmp") / f"tandem-ports-{os.getuid()}"
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            _register = os.open(path, flags, 0o600)
        except OSError:
            return None
    return _register


def _outgoing_first() -> int:
    """Return the lowest port that the kernel gives to outgoing connections."""
    try:
        return int(OUTGOING.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return OUTGOING_FIRST  # Linux's own setting; another system may use it all the same.
