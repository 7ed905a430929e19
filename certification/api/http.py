"""HTTP/1.1 between a client under test and the account API of its venue, on h11.

A request has a Content-Length or no body; a response may have any form. What a client signs
(method, target, body) is forwarded byte for byte, so the signature stays valid.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import h11

from certification.gate import Gate

READ_BYTES: Final = 16_384
HEAD_BYTES_MAX: Final = 32_768
BODY_BYTES_MAX: Final = 1_048_576
ANSWER_BYTES_MAX: Final = 8_388_608
CONNECTIONS_MAX: Final = 64
VENUE_S: Final = 30.0
IDLE_S: Final = 300.0
LAST_ANSWER_S: Final = 3.0
ENCODING: Final = "accept-encoding"
VERDICT_HEADER: Final = "X-Certification"
_HOP_BY_HOP: Final = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "content-length", "expect"}
)
"""Headers of one connection: h11 and this module write their own."""
Headers = tuple[tuple[str, str], ...]


class HttpFault(Exception):
    """The peer violated HTTP or a limit of this module; ``status`` is the response to it."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it was received."""

    method: str
    target: str
    headers: Headers
    body: bytes

    def header(self, name: str) -> str:
        """Return a header by its name in lower case, "" if it is absent."""
        return next((value for key, value in self.headers if key.lower() == name), "")

    @property
    def path(self) -> str:
        """Return the target without its query."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        """Return the parameters of the query."""
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    @property
    def document(self) -> Any:
        """Return the body as JSON, None if it is not JSON."""
        return as_json(self.body)

    def shown(self) -> str:
        """Return the request as text for reports, without token and signature."""
        key = self.header("x-tandem-key") or ("token" if self.header("authorization") else "nobody")
        text = self.body.decode("utf-8", "replace")
        return f"{self.method} {self.target} as {key} {text}".rstrip()


@dataclass(frozen=True, slots=True)
class Reply:
    """A response."""

    status: int
    headers: Headers
    body: bytes

    @property
    def document(self) -> Any:
        """Return the body as JSON, None if it is not JSON."""
        return as_json(self.body)

    def shown(self) -> str:
        """Return the response as text for reports."""
        return f"{self.status} {self.body.decode('utf-8', 'replace')}".rstrip()


def as_json(body: str | bytes) -> Any:
    """Return a body as JSON, None if it is not JSON."""
    try:
        return json.loads(body) if body else None
    except ValueError:
        return None


def problem(status: int, code: str, detail: str, outcome: str, *more: tuple[str, str]) -> Reply:
    """Build an error in the account API's format, which the certifier sends itself."""
    document = {
        "type": f"/errors/{code}", "title": code.replace("_", " "), "status": status,
        "detail": detail, "code": code, "request_id": "certifier", "retryable": status >= 429,
        "outcome": outcome,
    }  # fmt: skip
    return Reply(
        status, (("Content-Type", "application/problem+json"), *more), json.dumps(document).encode()
    )


Serve = Callable[[Request], Awaitable[Reply | None]]


class HttpGate(Gate):
    """Accepts one client's connections and answers each request with what ``serve`` returns.

    If ``serve`` returns None, the connection is closed without a response. A connection without a
    request is closed after ``idle_s`` seconds.
    """

    def __init__(self, serve: Serve, idle_s: float = IDLE_S) -> None:
        super().__init__(CONNECTIONS_MAX, HEAD_BYTES_MAX)
        self._serve = serve
        self._idle_s = idle_s
        self._serving: set[asyncio.Task[None]] = set()

    async def settle(self) -> None:
        """Wait, at most LAST_ANSWER_S, until every request received has its response."""
        if self._serving:
            await asyncio.wait(self._serving, timeout=LAST_ANSWER_S)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection in order."""
        task = asyncio.current_task()
        assert task is not None
        server = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES_MAX)
        try:
            while self.serving and await self._one(server, reader, writer, task):
                server.start_next_cycle()
        finally:
            self._serving.discard(task)

    async def _one(
        self, server: h11.Connection, reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter, task: asyncio.Task[None],
    ) -> bool:  # fmt: skip
        """Answer one request; return whether the connection can be reused."""
        try:
            async with asyncio.timeout(self._idle_s):
                request = await _receive_request(server, reader, writer)
        except HttpFault as fault:
            refusal = problem(fault.status, "invalid_request", str(fault), "not_applied",
                              ("Connection", "close"))  # fmt: skip
            writer.write(_encoded(server, refusal))
            await writer.drain()
            return False
        if request is None:
            return False
        self._serving.add(task)
        reply = await self._serve(request)
        if reply is None:
            writer.transport.abort()
            return False
        writer.write(_encoded(server, reply, head_only=request.method == "HEAD"))
        await writer.drain()
        self._serving.discard(task)
        return server.our_state is h11.DONE and server.their_state is h11.DONE


async def _receive_request(
    server: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> Request | None:
    """Receive the next request; None at the end of the connection. Raises HttpFault."""
    event = await _next_event(server, reader)
    if not isinstance(event, h11.Request):
        return None
    method, target = event.method.decode("ascii"), event.target.decode("ascii")
    request = Request(method, target, _decoded(event.headers.raw_items()), b"")
    try:
        urlsplit(target)
    except ValueError as error:
        raise HttpFault(400, f"The target is no URL: {error}.") from None
    if request.header("transfer-encoding"):
        raise HttpFault(411, "A body needs a Content-Length.")
    if int(request.header("content-length") or "0") > BODY_BYTES_MAX:
        raise HttpFault(413, "The body is too long.")
    if server.they_are_waiting_for_100_continue:
        writer.write(_sent(server, h11.InformationalResponse(status_code=100, headers=[])))
    body = await _receive_body(server, reader, BODY_BYTES_MAX)
    return Request(method, target, request.headers, body)


async def forward(request: Request, host: str, port: int) -> Reply:
    """Send a request to the venue and return its response, which is not compressed: it is judged.

    Raises OSError, TimeoutError, HttpFault.
    """
    client = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES_MAX)
    async with asyncio.timeout(VENUE_S):
        reader, writer = await asyncio.open_connection(host, port)
        try:
            asked = [one for one in _end_to_end(request.headers) if one[0].lower() != ENCODING]
            headers = [*asked, ("Connection", "close"),
                       ("Content-Length", str(len(request.body)))]  # fmt: skip
            if not request.header("host"):  # HTTP/1.0 does not need it, and 1.1 does.
                headers.append(("Host", f"{host}:{port}"))
            start = h11.Request(method=request.method, target=request.target, headers=headers)
            writer.write(_sent(client, start, h11.Data(data=request.body), h11.EndOfMessage()))
            return await _receive_reply(client, reader)
        finally:
            writer.close()


async def _receive_reply(client: h11.Connection, reader: asyncio.StreamReader) -> Reply:
    event = await _next_event(client, reader)
    while isinstance(event, h11.InformationalResponse):
        event = await _next_event(client, reader)
    if not isinstance(event, h11.Response):
        raise HttpFault(502, "The venue did not answer.")
    body = await _receive_body(client, reader, ANSWER_BYTES_MAX)
    return Reply(event.status_code, _end_to_end(_decoded(event.headers.raw_items())), body)


async def _next_event(connection: h11.Connection, reader: asyncio.StreamReader) -> object:
    """Receive until the peer has sent an event. Raises HttpFault."""
    try:
        while (event := connection.next_event()) is h11.NEED_DATA:
            connection.receive_data(await reader.read(READ_BYTES))
    except h11.RemoteProtocolError as error:
        raise HttpFault(error.error_status_hint, f"This is not HTTP/1.1: {error}.") from None
    return event


async def _receive_body(
    connection: h11.Connection, reader: asyncio.StreamReader, bytes_max: int
) -> bytes:
    """Receive a body to its end. Raises HttpFault."""
    content = bytearray()
    while isinstance(event := await _next_event(connection, reader), h11.Data):
        content += event.data
        if len(content) > bytes_max:
            raise HttpFault(413, "The body is too long.")
    return bytes(content)


def _decoded(raw: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Return headers as text."""
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in raw)


def _end_to_end(headers: Headers) -> Headers:
    """Return the end-to-end headers, which a proxy forwards."""
    return tuple((name, value) for name, value in headers if name.lower() not in _HOP_BY_HOP)


def _encoded(server: h11.Connection, reply: Reply, *, head_only: bool = False) -> bytes:
    """Return the bytes of a response."""
    bodiless = reply.status in (204, 304)
    length = () if bodiless else (("Content-Length", str(len(reply.body))),)
    headers = [(name.encode("latin-1"), value.encode("latin-1", "replace"))
               for name, value in (*reply.headers, *length)]  # fmt: skip
    reason = HTTPStatus(reply.status).phrase if reply.status in _STATUSES else ""
    body = b"" if bodiless or head_only else reply.body
    return _sent(
        server, h11.Response(status_code=reply.status, headers=headers, reason=reason),
        h11.Data(data=body), h11.EndOfMessage(),
    )  # fmt: skip


def _sent(connection: h11.Connection, *events: h11.Event) -> bytes:
    """Return the bytes that send events."""
    return b"".join(connection.send(event) or b"" for event in events)


_STATUSES: Final = frozenset(HTTPStatus)
