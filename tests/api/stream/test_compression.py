"""permessage-deflate: for whom, from which size on, shared among connections, and bounded."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode

from account_api.stream.compression import WINDOW_BITS, Deflate, _Shared
from tests.api.stream.harness import Client, running_stream
from tests.support.processes import EngineProcess


def agreed(client: Client) -> Any:
    return client.connection.protocol.extensions


def counted(client: Client) -> list[tuple[int, bool]]:
    """The size on the wire and whether it is compressed of each message from now on."""
    found: list[tuple[int, bool]] = []
    (extension,) = agreed(client)
    decode = extension.decode

    def counting(frame: Frame, **options: Any) -> Frame:
        found.append((len(frame.data), frame.rsv1))
        return decode(frame, **options)  # type: ignore[no-any-return]

    extension.decode = counting
    return found


async def fill(client: Client, levels: int) -> None:
    for start in range(0, levels, 50):
        answer = await client.ask("batch", operations=[
            {"op": "create", "client_order_id": f"c-{number}", "symbol": "BTC-USD",
             "side": "buy", "quantity": "1", "price": str(100 + number)}
            for number in range(start, min(levels, start + 50))
        ])  # fmt: skip
        assert answer["ok"], answer


async def test_large_messages_are_compressed_and_small_ones_are_not(engine: EngineProcess) -> None:
    async with running_stream(engine) as stream, stream.client("demo-alice-trade") as maker:
        await fill(maker, 100)
        async with stream.client(compression="deflate") as client:
            (extension,) = agreed(client)
            assert extension.remote_no_context_takeover and extension.local_no_context_takeover
            assert extension.remote_max_window_bits == WINDOW_BITS
            sizes = counted(client)
            await client.ask("subscribe", channels=["book"], symbols=["BTC-USD"])
            while not client.received:
                await client.receive()
            (book,) = client.received
            assert len(book["data"]["bids"]) == 100
            whole = len(json.dumps(book, separators=(",", ":")))
            (answer, small), (snapshot, large) = sizes
            assert (small, large) == (False, True) and answer < 1024
            assert snapshot < whole / 3


async def test_who_does_not_offer_it_gets_plain_messages(engine: EngineProcess) -> None:
    async with running_stream(engine) as stream, stream.client() as client:
        assert agreed(client) == []
        assert (await client.ask("ping"))["ok"]


async def test_it_can_be_switched_off(engine: EngineProcess) -> None:
    async with running_stream(engine, deflate_bytes_min=0) as stream:
        async with stream.client(compression="deflate") as client:
            assert agreed(client) == []
            assert (await client.ask("ping"))["ok"]


async def test_what_a_client_compresses_may_not_be_larger_than_another_message(
    engine: EngineProcess,
) -> None:
    async with running_stream(engine) as stream:
        async with stream.client(compression="deflate") as client:
            fitting = json.dumps({"op": "ping", "req_id": 1, "params": {}}) + " " * 60_000
            await client.connection.send(fitting)
            assert (await client.receive())["ok"]
            await client.connection.send(" " * 50_000_000)
            with pytest.raises(ConnectionClosedError) as closed:
                await client.receive()
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1009


def extension(shared: _Shared, bits: int = WINDOW_BITS) -> Deflate:
    return Deflate(PerMessageDeflate(True, True, bits, bits), shared)


def test_one_message_to_many_is_compressed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    original = zlib.compressobj

    def counted_compressor(**options: Any) -> Any:
        made.append(1)
        return original(**options)

    monkeypatch.setattr(zlib, "compressobj", counted_compressor)
    shared = _Shared(100)
    many = [extension(shared) for _ in range(50)]
    narrow = extension(shared, 10)
    data = b'{"price":"60000.01"}' * 40
    frame = Frame(Opcode.TEXT, data)
    sent = [one.encode(frame) for one in (*many, narrow)]
    assert len(made) == 2, "once for each window"
    assert all(one.rsv1 and len(one.data) < len(data) / 4 for one in sent)
    reader = PerMessageDeflate(True, True, WINDOW_BITS, WINDOW_BITS)
    for one in sent:
        assert bytes(reader.decode(one).data) == data
    again = Frame(Opcode.TEXT, bytes(bytearray(data)))
    assert bytes(many[0].encode(again).data) == bytes(sent[0].data)
    assert len(made) == 3


def test_a_connection_keeps_nothing_between_messages() -> None:
    one = extension(_Shared(10))
    one.encode(Frame(Opcode.TEXT, b"x" * 5000))
    one.decode(one.encode(Frame(Opcode.TEXT, b"y" * 5000)))
    assert not hasattr(one, "encoder") and not hasattr(one, "decoder")


def test_control_frames_and_small_messages_are_left_alone() -> None:
    one = extension(_Shared(1024))
    for frame in (Frame(Opcode.PING, b"z" * 100), Frame(Opcode.TEXT, b"z" * 1023)):
        assert one.encode(frame) is frame
