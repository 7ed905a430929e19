"""HTTP between a client under test and the account API of its venue, request by request.

Enough of HTTP/1.1 for an API: requests with a Content-Length, answers of any kind. What is
signed (method, target, body) goes on byte for byte, so a signature stays good.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from certification.gate import Gate

HEAD_BYTES_MAX: Final = 32_768
BODY_BYTES_MAX: Final = 1_048_576
ANSWER_BYTES_MAX: Final = 8_388_608
CONNECTIONS_MAX: Final = 64
VENUE_S: Final = 30.0
IDLE_S: Final = 300.0
LAST_ANSWER_S: Final = 3.0
VERDICT_HEADER: Final = "X-Certification"
_NOT_PASSED_ON: Final = frozenset({"connection", "keep-alive", "transfer-encoding",
                                   "content-length"})  # fmt: skip


class HttpFault(Exception):
    """The peer does not speak HTTP as we understand it; ``status`` is what it is told."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        """A header by its name in lower case, "" where there is none."""
        return next((value for key, value in self.headers if key.lower() == name), "")

    @property
    def path(self) -> str:
        """The target without its query."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters."""
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    @property
    def document(self) -> Any:
        """The body as JSON, None where it is none."""
        return as_json(self.body)

    def shown(self) -> str:
        """For reports: no token and no signature."""
        key = self.header("x-tandem-key") or ("token" if self.header("authorization") else "nobody")
        text = self.body.decode("utf-8", "replace")
        return f"{self.method} {self.target} as {key} {text}".rstrip()


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def document(self) -> Any:
        """The body as JSON, None where it is none."""
        return as_json(self.body)

    def shown(self) -> str:
        """For reports."""
        return f"{self.status} {self.body.decode('utf-8', 'replace')}".rstrip()


def as_json(body: bytes) -> Any:
    """A body as JSON, None where it is none."""
    try:
        return json.loads(body) if body else None
    except ValueError:
        return None


def problem(status: int, code: str, detail: str, outcome: str, *more: tuple[str, str]) -> Reply:
    """An error of ours in the form of the account API's."""
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
    """Takes connections of one client. ``serve`` answers; None closes without an answer.

    A connection may be silent for ``idle_s``.
    """

    def __init__(self, serve: Serve, idle_s: float = IDLE_S) -> None:
        super().__init__(CONNECTIONS_MAX, HEAD_BYTES_MAX)
        self._serve = serve
        self._idle_s = idle_s
        self._serving: set[asyncio.Task[None]] = set()

    async def settle(self) -> None:
        """Wait until what was asked is answered."""
        if self._serving:
            await asyncio.wait(self._serving, timeout=LAST_ANSWER_S)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request after the other."""
        task = asyncio.current_task()
        assert task is not None
        try:
            while self.serving:
                if not await self._one(reader, writer, task):
                    break
        finally:
            self._serving.discard(task)

    async def _one(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, task: asyncio.Task[None]
    ) -> bool:
        """One request and its answer; False ends the connection."""
        try:
            async with asyncio.timeout(self._idle_s):
                request = await read_request(reader)
        except HttpFault as fault:
            writer.write(encoded(problem(fault.status, "invalid_request", str(fault),
                                         "not_applied"), last=True))  # fmt: skip
            await writer.drain()
            return False
        if request is None:
            return False
        self._serving.add(task)
        reply = await self._serve(request)
        if reply is None:
            writer.transport.abort()
            return False
        last = request.header("connection").lower() == "close"
        writer.write(encoded(reply, last=last, head_only=request.method == "HEAD"))
        await writer.drain()
        self._serving.discard(task)
        return not last


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request; None at the end. Raises HttpFault, IncompleteReadError."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        raise HttpFault(431, "The headers are too long.") from None
    except asyncio.IncompleteReadError as end:
        if end.partial:
            raise
        return None
    first, *rows = head.decode("latin-1").split("\r\n")[:-2]
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise HttpFault(400, "This is no HTTP request.")
    try:
        urlsplit(words[1])
    except ValueError as error:
        raise HttpFault(400, f"The target is no URL: {error}.") from None
    headers = _headers(rows)
    request = Request(words[0], words[1], headers, b"")
    if request.header("transfer-encoding"):
        raise HttpFault(411, "A body needs a Content-Length.")
    length = request.header("content-length") or "0"
    if not length.isdigit():
        raise HttpFault(400, "Content-Length is no number.")
    if int(length) > BODY_BYTES_MAX:
        raise HttpFault(413, "The body is too long.")
    return Request(words[0], words[1], headers, await reader.readexactly(int(length)))


def _headers(rows: list[str]) -> tuple[tuple[str, str], ...]:
    found = []
    for row in rows:
        name, colon, value = row.partition(":")
        if not colon or not name or name != name.strip():
            raise HttpFault(400, "A header is not of the form name: value.")
        found.append((name, value.strip()))
    return tuple(found)


async def forward(request: Request, host: str, port: int) -> Reply:
    """Have the venue answer. Raises OSError, TimeoutError, HttpFault."""
    async with asyncio.timeout(VENUE_S):
        reader, writer = await asyncio.open_connection(host, port, limit=HEAD_BYTES_MAX)
        try:
            rows = [f"{request.method} {request.target} HTTP/1.1"]
            rows += [f"{name}: {value}" for name, value in request.headers
                     if name.lower() not in _NOT_PASSED_ON]  # fmt: skip
            rows += ["Connection: close", f"Content-Length: {len(request.body)}", "", ""]
            writer.write("\r\n".join(rows).encode("latin-1") + request.body)
            return await _read_reply(reader, request.method == "HEAD")
        finally:
            writer.close()


async def _read_reply(reader: asyncio.StreamReader, head_only: bool) -> Reply:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        raise HttpFault(502, "The venue did not answer.") from None
    first, *rows = head.decode("latin-1").split("\r\n")[:-2]
    headers = _headers(rows)
    by_name = {name.lower(): value for name, value in headers}
    status = int(first.split(" ")[1])
    kept = tuple((name, value) for name, value in headers if name.lower() not in _NOT_PASSED_ON)
    if head_only or status in (204, 304):
        return Reply(status, kept, b"")
    if by_name.get("transfer-encoding", "").lower() == "chunked":
        return Reply(status, kept, await _chunks(reader))
    if "content-length" in by_name:
        return Reply(status, kept, await reader.readexactly(int(by_name["content-length"])))
    return Reply(status, kept, await reader.read(ANSWER_BYTES_MAX))


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    content = b""
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        content += await reader.readexactly(size)
        await reader.readexactly(2)
        if len(content) > ANSWER_BYTES_MAX:
            raise HttpFault(502, "The venue's answer is too long.")
    return content


def encoded(reply: Reply, *, last: bool, head_only: bool = False) -> bytes:
    """An answer as it goes to the client."""
    rows = [f"HTTP/1.1 {reply.status} {_REASONS.get(reply.status, 'Status')}"]
    rows += [f"{name}: {value}" for name, value in reply.headers]
    if reply.status not in (204, 304):
        rows.append(f"Content-Length: {len(reply.body)}")
    rows += ["Connection: close" if last else "Connection: keep-alive", "", ""]
    return "\r\n".join(rows).encode("latin-1", "replace") + (b"" if head_only else reply.body)


_REASONS: Final = {
    200: "OK", 201: "Created", 204: "No Content", 304: "Not Modified", 400: "Bad Request",
    401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    409: "Conflict", 411: "Length Required", 413: "Content Too Large",
    422: "Unprocessable Content", 429: "Too Many Requests",
    431: "Request Header Fields Too Large", 502: "Bad Gateway", 503: "Service Unavailable",
}  # fmt: skip
