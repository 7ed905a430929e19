"""A connection whose Logon has not been accepted, as the door keeps it."""

from __future__ import annotations

import socket

from fix_gateway.door.proxy_protocol import ClientCertificate


class PendingConnection:
    """One client that waits at the door, until ``deadline`` of the monotonic clock.

    ``proxied`` says that a PROXY header must come first, ``direct`` that it comes from no proxy;
    ``certificate`` is what the header told. ``seen`` counts the bytes that the last look found.
    """

    __slots__ = ("address", "certificate", "deadline", "direct", "proxied", "seen", "socket")

    def __init__(self, client: socket.socket, address: str, proxied: bool, deadline: float) -> None:
        self.socket = client
        self.address = address
        self.proxied = proxied
        self.direct = not proxied
        self.certificate: ClientCertificate | None = None
        self.deadline = deadline
        self.seen = 0
