"""A connection that sends frames without end costs the others nothing, whatever frames they are."""

from __future__ import annotations

import asyncio
import json

import pytest
from websockets.exceptions import ConnectionClosed

from account_api.stream.pacing import (
    CONTROLS,
    FRAGMENTS_MAX,
    PIECE_BYTES,
    STRANGER,
    Budget,
    Pace,
    PacedConnection,
)
from tests.api.stream.harness import Client, Stream, running_stream
from tests.support.processes import EngineProcess

MASK = b"\x80\0\0\0\0"
FLOODS = {
    "empty PINGs": (b"\x89" + MASK, CONTROLS),
    "empty PONGs": (b"\x8a" + MASK, CONTROLS),
    "empty texts": (b"\x81" + MASK, STRANGER),
    "empty binary messages": (b"\x82" + MASK, STRANGER),
}
FRAMES = 40_000


async def connection_of(stream: Stream, client: Client) -> PacedConnection:
    """The server's side of a client's connection; the answer to a request says that it is up."""
    await client.ask("ping")
    port = client.connection.local_address[1]
    for peer in stream.server.hub.peers:
        if peer.connection.remote_address[1] == port:
            assert isinstance(peer.connection, PacedConnection)
            return peer.connection
    raise AssertionError("the server does not know the connection")


@pytest.mark.parametrize("kind", sorted(FLOODS))
async def test_a_flood_before_a_login_waits_in_its_own_socket(
    engine: EngineProcess, kind: str
) -> None:
    frame, pace = FLOODS[kind]
    async with running_stream(engine) as stream:
        async with stream.client() as flooding, stream.client("demo-alice-trade") as other:
            loop = asyncio.get_running_loop()
            served = await connection_of(stream, flooding)
            before, began = served.frames, loop.time()
            flooding.connection.transport.write(frame * FRAMES)
            for _ in range(50):
                answer = await other.ask("ping")
                assert answer["ok"]
            taken, took_s = served.frames - before, loop.time() - began
            allowed = pace.burst + pace.per_s * took_s + PIECE_BYTES / len(frame) + 1
            assert 0 < taken <= allowed, (taken, took_s)


async def test_a_message_in_endless_fragments_is_refused(engine: EngineProcess) -> None:
    async with running_stream(engine) as stream, stream.client("demo-alice-trade") as client:
        frames = b"\x01" + MASK + (b"\x00" + MASK) * (FRAGMENTS_MAX + 10)
        client.connection.transport.write(frames)
        with pytest.raises(ConnectionClosed) as ended:
            while True:
                await client.receive()
        assert ended.value.rcvd is not None and ended.value.rcvd.code == 1008
        assert "fragments" in ended.value.rcvd.reason


async def test_many_orders_at_once_are_done_as_they_come_after_a_login(
    engine: EngineProcess,
) -> None:
    """The budget of strangers ends with the login; more messages than it holds pass at once."""
    count = STRANGER.burst * 2
    async with running_stream(engine) as stream, stream.client("demo-alice-trade") as client:
        for number in range(count):
            request = {"op": "ping", "req_id": 10_000 + number}
            await client.connection.send(json.dumps(request))
        seen = [await client.receive() for _ in range(count)]
        answered = [message["req_id"] for message in seen if "req_id" in message]
        assert answered == list(range(10_000, 10_000 + len(answered)))
        assert len(answered) > STRANGER.burst + STRANGER.per_s


async def test_a_long_message_in_many_pieces_is_whole(engine: EngineProcess) -> None:
    async with running_stream(engine) as stream, stream.client("demo-alice-trade") as client:
        operations = [
            {"op": "cancel", "order": f"client:{'x' * 60}{number}"} for number in range(50)
        ]
        answer = await client.ask("batch", operations=operations)
        assert len(answer["data"]["results"]) == 50


def test_a_budget_fills_up_with_time_and_no_further() -> None:
    budget = Budget(Pace(8, 3), 100.0)
    for _ in range(3):
        assert budget.wait_s(100.0) == 0.0
        budget.spend()
    assert budget.wait_s(100.0) == 0.125
    assert budget.wait_s(100.125) == 0.0
    for _ in range(20):
        budget.spend()
    assert budget.wait_s(100.125) == 2.5
    assert budget.wait_s(200.0) == 0.0
    for _ in range(3):
        budget.spend()
    assert budget.wait_s(200.0) > 0
