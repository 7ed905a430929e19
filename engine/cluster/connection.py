"""One kept connection to an endpoint of etcd: a request, and its answer by a deadline.

A machine that is gone answers nothing and refuses nothing, so that every step has a deadline, and
an idle connection is probed by TCP.
"""

from __future__ import annotations

import select
import socket
import ssl
import time
from http.client import HTTPException, HTTPResponse
from typing import Final, NamedTuple

from engine.server.tls import keep_alive

READ_BYTES: Final = 1 << 16
ANSWER_BYTES_MAX: Final = 1 << 28


class NotConnected(Exception):
    """There is no connection: nothing of the request can have arrived."""


class NoAnswer(Exception):
    """The connection was lost, or the deadline passed: the request may have arrived."""


class Tls(NamedTuple):
    """Files in PEM: who may answer, and who we are."""

    ca: str
    certificate: str
    key: str

    def context(self) -> ssl.SSLContext:
        """Read the files. Raises OSError (ssl.SSLError is one)."""
        context = ssl.create_default_context(cafile=self.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.certificate, self.key)
        return context


class Connection:
    """A connection to ``host``:``port``; the files of ``tls`` are read anew for each.

    Raises NotConnected when it is not made by the deadline (monotonic seconds).
    """

    def __init__(self, host: str, port: int, tls: Tls | None, deadline: float) -> None:
        self.address = host, port
        try:
            self._socket = socket.create_connection((host, port), _left(deadline))
        except OSError as error:
            raise NotConnected(str(error)) from error
        try:
            keep_alive(self._socket)
            if tls is not None:
                self._socket.settimeout(_left(deadline))
                self._socket = tls.context().wrap_socket(self._socket, server_hostname=host)
        except OSError as error:
            self._socket.close()
            raise NotConnected(str(error)) from error
        self._host = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    @property
    def usable(self) -> bool:
        """Whether nothing has come that nobody asked for, such as the other side's end."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN | select.POLLHUP | select.POLLERR)
        return not poll.poll(0)

    def post(self, path: str, token: str, body: bytes, deadline: float) -> tuple[int, bytes]:
        """Return status and body of the answer. Raises NoAnswer; the connection is closed then."""
        head = f"POST {path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Length: {len(body)}\r\n"
        if token:
            head += f"Authorization: {token}\r\n"
        try:
            self._socket.settimeout(_left(deadline))
            self._socket.sendall(f"{head}\r\n".encode("ascii") + body)
            answer = HTTPResponse(self._socket, method="POST")
            answer.begin()
            content = self._read(answer, deadline)
        except (OSError, HTTPException) as error:
            self.close()
            raise NoAnswer(str(error) or type(error).__name__) from error
        if answer.will_close:
            self.close()
        return answer.status, content

    def _read(self, answer: HTTPResponse, deadline: float) -> bytes:
        """The body. Each piece has what is left until the deadline."""
        parts: list[bytes] = []
        size = 0
        while part := answer.read(READ_BYTES):
            parts.append(part)
            size += len(part)
            if size > ANSWER_BYTES_MAX:
                raise HTTPException(f"an answer has more than {ANSWER_BYTES_MAX} bytes")
            self._socket.settimeout(_left(deadline))
        return b"".join(parts)

    @property
    def closed(self) -> bool:
        """Whether it was closed by this side."""
        return self._socket.fileno() < 0

    def close(self) -> None:
        """Close it; more than once does nothing."""
        self._socket.close()


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the deadline has passed")
    return left
