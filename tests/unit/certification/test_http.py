"""The HTTP proxy of the certifier: what is signed stays as it is, and h11 does the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from certification.api import http
from certification.api.http import HttpFault, HttpGate, Reply, Request

HEAD = b"HTTP/1.1 200 OK\r\n"


async def exchanged(venue_says: bytes, request: Request) -> tuple[bytes, Reply]:
    """Forward a request to a venue that answers with these bytes; what it got, and the reply."""
    got = bytearray()

    async def venue(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.extend(await reader.readuntil(b"\r\n\r\n"))
        got.extend(await reader.readexactly(len(request.body)))
        writer.write(venue_says)
        writer.close()

    server = await asyncio.start_server(venue, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        reply = await http.forward(request, "127.0.0.1", port)
    return bytes(got), reply


async def answered(
    serve: Callable[[Request], Awaitable[Reply | None]], data: bytes
) -> bytes:
    """Everything that a gate answers to a client that sends these bytes and no more."""
    gate = HttpGate(serve)
    await gate.start("127.0.0.1", 0)
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
        writer.write(data)
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        return answer
    finally:
        await gate.stop()


async def echo(request: Request) -> Reply:
    return Reply(200, (("X-Target", request.target),), request.body)


def test_method_target_body_and_the_clients_headers_are_forwarded_byte_for_byte() -> None:
    target = "/v1/orders/client:a%2Fb?x=%C3%A9&x=&y=a+b"
    body = b'{ "quantity":"1.50",\r\n"x":"\xc3\xa9"}'
    headers = (("Host", "venue.example"), ("X-TANDEM-Key", "k"), ("connection", "Keep-Alive"),
               ("Content-Length", str(len(body))))  # fmt: skip
    got, _ = asyncio.run(
        exchanged(HEAD + b"Content-Length: 0\r\n\r\n", Request("PATCH", target, headers, body))
    )
    head, _, sent = got.partition(b"\r\n\r\n")
    lines = head.decode("ascii").split("\r\n")
    assert lines[0] == f"PATCH {target} HTTP/1.1" and sent == body
    assert {"Host: venue.example", "X-TANDEM-Key: k", "Connection: close"} <= set(lines)
    assert sum(line.lower().startswith("content-length:") for line in lines) == 1


@pytest.mark.parametrize(
    ("said", "status", "body"),
    [
        (HEAD + b"Content-Length: 2\r\n\r\n{}", 200, b"{}"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;x=y\r\n{\r\n1\r\n}\r\n0\r\n\r\n", 200, b"{}"),
        (HEAD + b"\r\n{}", 200, b"{}"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", 204, b""),
    ],
)
def test_a_response_of_any_form_is_read(said: bytes, status: int, body: bytes) -> None:
    _, reply = asyncio.run(exchanged(said, Request("GET", "/", (), b"")))
    assert (reply.status, reply.body) == (status, body)
    assert not reply.headers


@pytest.mark.parametrize(
    "said",
    [b"", b"nonsense\r\n\r\n", HEAD + b"Content-Length: 9\r\n\r\n{}", b"HTTP/1.1 200 OK\r\nA: ",
     HEAD + b"\r\n" + b"x" * (http.ANSWER_BYTES_MAX + 1)],
    ids=["nothing", "nonsense", "short", "cut", "long"],
)  # fmt: skip
def test_a_response_that_is_none_is_a_fault(said: bytes) -> None:
    with pytest.raises(HttpFault):
        asyncio.run(exchanged(said, Request("GET", "/", (), b"")))


def test_requests_of_one_connection_are_answered_in_turn() -> None:
    one = b"POST /%d HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nab%d"
    said = asyncio.run(answered(echo, b"".join(one % (n, n) for n in range(3))))
    assert said.count(b"HTTP/1.1 200 OK\r\n") == 3
    wanted = [text for n in range(3) for text in (b"X-Target: /%d\r\n" % n, b"ab%d" % n)]
    places = [said.index(text) for text in wanted]
    assert places == sorted(places)


def test_a_response_to_head_has_the_length_and_not_the_body() -> None:
    async def serve(request: Request) -> Reply:
        return Reply(200, (), b"content")

    said = asyncio.run(answered(serve, b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"))
    assert b"Content-Length: 7\r\n" in said and said.endswith(b"\r\n\r\n")


async def test_a_client_that_asks_first_whether_to_send_its_body_is_told_to() -> None:
    data = b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    gate = HttpGate(echo)
    await gate.start("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    writer.write(data)
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 \r\n\r\n"
    writer.write(b"{}")
    writer.write_eof()
    assert (await reader.read()).endswith(b"{}")
    writer.close()
    await gate.stop()


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_a_connection_that_takes_no_more_requests_says_so(version: bytes) -> None:
    more = b"" if version == b"1.0" else b"Connection: close\r\n"
    data = b"GET / HTTP/%s\r\nHost: x\r\n%s\r\n" % (version, more)
    said = asyncio.run(answered(echo, data * 2))
    assert said.count(b"HTTP/1.1 200") == 1 and b"Connection: close\r\n" in said


def test_no_answer_is_a_connection_that_ends() -> None:
    async def serve(request: Request) -> None:
        return None

    assert asyncio.run(answered(serve, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")) == b""
