"""Ports that are free, for what is told its port before it listens."""

from __future__ import annotations

import random
import socket
from pathlib import Path
from typing import Final

LOWEST: Final = 10_000
"""Below it lie the ports that services are known by."""
OUTGOING: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
OUTGOING_FIRST: Final = 32_768
TRIES_MAX: Final = 1_000
_random: Final = random.SystemRandom()


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """TCP ports of an interface ("": of all) that are free at this moment, all different.

    Between now and the moment at which somebody listens there, the kernel gives none of them
    to an outgoing connection, as it would do with those that it picks itself. Raises OSError
    when none can be found.
    """
    sockets: list[socket.socket] = []
    try:
        for _ in range(count):
            sockets.append(_bound(host))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _bound(host: str) -> socket.socket:
    """Return a socket bound to a port that nobody else has."""
    last = _outgoing_first() - 1
    for number in range(TRIES_MAX):
        one = socket.socket()
        try:
            # Where the kernel uses nearly all ports for outgoing connections it has to pick.
            one.bind((host, _random.randint(LOWEST, last) if last > 2 * LOWEST else 0))
            return one
        except OSError:
            one.close()
            if number == TRIES_MAX - 1:
                raise
    raise AssertionError("unreachable")


def _outgoing_first() -> int:
    """Return the lowest port that the kernel gives to outgoing connections."""
    try:
        return int(OUTGOING.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return OUTGOING_FIRST  # Linux's own setting; another system may use it all the same.
