"""One delivery over a real socket: bounded in time, no redirect, whatever the receiver does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from ipaddress import ip_address, ip_network

import pytest

from account_api.webhooks.post import Answer, Poster, shown
from account_api.webhooks.targets import Address, Policy

HERE = Policy((ip_network("127.0.0.0/8"),), https_only=False)
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def posted(serve: Serve, timeout_s: float = 5.0, policy: Policy = HERE) -> Answer:
    """What comes of a delivery to a receiver that behaves like ``serve``."""

    async def run() -> Answer:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        poster = Poster(policy, timeout_s)
        try:
            return await poster.post(
                f"http://127.0.0.1:{port}/hook?a=b", [("webhook-id", "evt_1_0")], b'{"x":1}'
            )
        finally:
            poster.close()
            server.close()

    return asyncio.run(run())


def answering(text: bytes, requests: list[bytes] | None = None) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b'{"x":1}')
        if requests is not None:
            requests.append(request)
        writer.write(text)
        await writer.drain()
        writer.close()

    return serve


def test_a_delivery_is_one_plain_post() -> None:
    requests: list[bytes] = []
    answer = posted(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", requests))
    assert answer.delivered and (answer.status, answer.error, answer.body) == (200, "", b"ok")
    head, _, body = requests[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /hook?a=b HTTP/1.1" and body == b'{"x":1}'
    assert {"webhook-id: evt_1_0", "Content-Length: 7"} < {*lines}
    assert "Content-Type: application/json" in lines


@pytest.mark.parametrize(
    ("text", "status", "error"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
        (b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 201 C\r\nContent-Length: 0\r\n\r\n", 201, ""),
        (b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", 500, "status 500"),
        (b"HTTP/1.1 302 F\r\nLocation: http://127.0.0.1/\r\n\r\n", 302, "not followed"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz", 200, ""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", 200, ""),
        (b"SSH-2.0-OpenSSH\r\n\r\n", 0, "not HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"a: " + b"b" * 20_000, 0, "not HTTP"),
        (b"", 0, "connection"),
    ],
)
def test_the_status_says_all(text: bytes, status: int, error: str) -> None:
    answer = posted(answering(text))
    assert answer.status == status and error in answer.error
    assert answer.delivered == (error == "")


def test_of_a_long_answer_the_first_bytes_are_kept() -> None:
    answer = posted(answering(b"HTTP/1.1 200 OK\r\n\r\n" + b"y" * 100_000))
    assert answer.body == b"y" * 256
    assert shown(answer.body) == "y" * 256 and shown(b"a\x00\xff") == "a\\x00\\xff"


@pytest.mark.parametrize("drip", [b"", b"H"])
def test_who_does_not_answer_in_time_has_not_answered(drip: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while drip and not writer.is_closing():
            writer.write(drip)
            await asyncio.sleep(0.02)
        await reader.read(-1)

    answer = posted(serve, timeout_s=0.3)
    assert (answer.status, answer.error) == (0, "no answer within 0.3 s")
    assert answer.latency_us >= 300_000


def test_a_pause_that_the_receiver_asks_for_is_told() -> None:
    answer = posted(answering(b"HTTP/1.1 429 Slow\r\nRetry-After: 17\r\n\r\n"))
    assert (answer.status, answer.retry_after_s) == (429, 17)


def test_a_name_is_judged_at_each_delivery_and_nobody_is_connected_to() -> None:
    """A name that was public when it was registered leads to loopback now."""
    touched: list[bytes] = []

    async def run() -> Answer:
        server = await asyncio.start_server(answering(b"", touched), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        asked: list[tuple[str, int]] = []

        def rebinding(host: str, port: int) -> list[Address]:
            asked.append((host, port))
            return [ip_address("127.0.0.1")]

        poster = Poster(Policy(), 5.0, rebinding)
        answer = await poster.post(f"https://hook.example:{port}/", [], b"{}")
        assert asked == [("hook.example", port)]
        poster.close()
        server.close()
        return answer

    answer = asyncio.run(run())
    assert answer.status == 0 and "127.0.0.1, which is not a public address" in answer.error
    assert touched == []


def test_what_nobody_listens_to_is_a_failure_like_any_other() -> None:
    async def run() -> Answer:
        server = await asyncio.start_server(answering(b""), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        poster = Poster(HERE, 5.0)
        answer = await poster.post(f"http://127.0.0.1:{port}/", [], b"{}")
        poster.close()
        return answer

    answer = asyncio.run(run())
    assert answer.status == 0 and answer.error.startswith("the connection failed")
