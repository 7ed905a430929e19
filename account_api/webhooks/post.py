"""One delivery over HTTP/1.1: one request, one answer, within one bound of time.

The address is resolved and judged here, for this delivery, and the connection goes to the address
that was judged; certificates are checked against the name in the URL. Redirects are answers like
any other. h11 reads the answer, of which only the status and the first bytes matter.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_address
from typing import Final, TypeAlias

import h11

from account_api.webhooks.targets import Address, Policy, Target, TargetRefused

ANSWER_BYTES_MAX: Final = 256
"""Of an answer's body that are kept in the log."""
_READ_BYTES: Final = 4_096
_HEAD_BYTES_MAX: Final = 16_384
_RESOLVERS: Final = 16
_BODY_S: Final = 1.0
_USER_AGENT: Final = "Tandem-Webhooks/1"

Resolver: TypeAlias = Callable[[str, int], Sequence[Address]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a delivery. ``status`` is 0 where no answer came, and ``error`` says why.

    ``retry_after_s`` is what the receiver asked for, 0 for nothing.
    """

    status: int
    latency_us: int
    error: str = ""
    body: bytes = b""
    retry_after_s: int = 0

    @property
    def delivered(self) -> bool:
        """Whether the receiver took it."""
        return 200 <= self.status < 300


def resolve(host: str, port: int) -> list[Address]:
    """Ask the system for the addresses of a name. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(ip_address(str(where[0])) for *_, where in found))


class Poster:
    """Delivers, to what ``policy`` allows, each within ``timeout_s``."""

    def __init__(self, policy: Policy, timeout_s: float, resolver: Resolver = resolve) -> None:
        self._policy = policy
        self._timeout_s = timeout_s
        self._resolver = resolver
        # Names are looked up apart from all other work: one that is not answered holds a thread.
        self._threads = ThreadPoolExecutor(_RESOLVERS, "webhooks-resolve")

    async def post(self, url: str, headers: list[tuple[str, str]], body: bytes) -> Answer:
        """Send one request; whatever happens is in the answer."""
        began = time.monotonic()

        def took() -> int:
            return int((time.monotonic() - began) * 1_000_000)

        try:
            target = self._policy.target(url)
            async with asyncio.timeout(self._timeout_s):
                status, retry, answer = await self._exchange(target, headers, body)
        except TargetRefused as error:
            return Answer(0, took(), f"the URL {error}")
        except TimeoutError:
            return Answer(0, took(), f"no answer within {self._timeout_s:g} s")
        except ssl.SSLCertVerificationError as error:
            return Answer(0, took(), f"the certificate is not valid: {error.verify_message}")
        except socket.gaierror:
            return Answer(0, took(), "the host has no address")
        except (OSError, ssl.SSLError) as error:
            return Answer(0, took(), f"the connection failed: {error.strerror or error}")
        except h11.RemoteProtocolError as error:
            return Answer(0, took(), f"the answer is not HTTP: {error}")
        note = "" if 200 <= status < 300 else f"status {status}"
        if 300 <= status < 400:
            note += "; redirects are not followed"
        return Answer(status, took(), note, answer, retry)

    def close(self) -> None:
        """End the threads that look up names, without waiting for names."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _exchange(
        self, target: Target, headers: list[tuple[str, str]], body: bytes
    ) -> tuple[int, int, bytes]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._threads, self._resolver, target.host, target.port
        )
        address = self._policy.judge(found, target.host, target.secure)
        reader, writer = await asyncio.open_connection(
            str(address), target.port,
            ssl=_tls() if target.secure else None,
            server_hostname=target.host if target.secure else None,
        )  # fmt: skip
        try:
            connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD_BYTES_MAX)
            head = h11.Request(
                method="POST",
                target=target.path,
                headers=[
                    ("Host", target.authority), ("User-Agent", _USER_AGENT),
                    ("Content-Type", "application/json"), ("Content-Length", str(len(body))),
                    ("Accept", "*/*"), ("Connection", "close"), *headers,
                ],
            )  # fmt: skip
            sent = connection.send(head) or b""
            sent += connection.send(h11.Data(data=body)) or b""
            sent += connection.send(h11.EndOfMessage()) or b""
            writer.write(sent)
            await writer.drain()
            return await _read(connection, reader)
        finally:
            writer.transport.abort()


async def _read(
    connection: h11.Connection, reader: asyncio.StreamReader
) -> tuple[int, int, bytes]:
    """Read the status and the first bytes of the body; the rest is left unread."""
    while True:
        event = await _next(connection, reader)
        if isinstance(event, h11.Response):
            break
    body = b""
    # The status says all: what is wrong with the body, or late, changes nothing.
    with contextlib.suppress(OSError, TimeoutError, h11.RemoteProtocolError):
        async with asyncio.timeout(_BODY_S):
            while len(body) < ANSWER_BYTES_MAX:
                part = await _next(connection, reader)
                if not isinstance(part, h11.Data):
                    break
                body += bytes(part.data)
    return event.status_code, _retry_after(event), body[:ANSWER_BYTES_MAX]


async def _next(connection: h11.Connection, reader: asyncio.StreamReader) -> object:
    while (event := connection.next_event()) is h11.NEED_DATA:
        data = await reader.read(_READ_BYTES)
        if not data and connection.their_state is h11.SEND_RESPONSE:
            raise ConnectionResetError("it ended without an answer")
        connection.receive_data(data)
    return event


def _retry_after(response: h11.Response) -> int:
    for name, value in response.headers:
        if name == b"retry-after" and value.isdigit() and len(value) < 10:
            return int(value)
    return 0


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def shown(body: bytes) -> str:
    """Write the first bytes of an answer so that they can be shown anywhere."""
    with contextlib.suppress(UnicodeDecodeError):
        text = body.decode()
        if text.isprintable():
            return text
    return body.decode("latin-1").encode("unicode_escape").decode("ascii")[: 4 * ANSWER_BYTES_MAX]
