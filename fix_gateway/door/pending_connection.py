"""A connection whose Logon has not been accepted, as the door keeps it."""

from __future__ import annotations

import socket


class PendingConnection:
    """One client that waits at the door, until ``deadline`` of the monotonic clock.

    ``proxied`` says that a PROXY header must come first; ``seen`` counts the bytes that the last
    look found.
    """

    __slots__ = ("address", "deadline", "proxied", "seen", "socket")

    def __init__(self, client: socket.socket, address: str, proxied: bool, deadline: float) -> None:
        self.socket = client
        self.address = address
        self.proxied = proxied
        self.deadline = deadline
        self.seen = 0
