"""Frames: any split of the stream gives the same frames; bad ones end their connection only."""

from __future__ import annotations

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import wire
from engine.client import EngineUnavailable
from engine.server.ipc import Limits, Server
from tests.support import pace
from tests.unit.engine_shell.harness import WAIT_S, EngineThread, Start, new_order


def _stream(count: int) -> bytes:
    frames = [wire.encode_frame(wire.Ask(n, "status", {"account": "x" * n})) for n in range(count)]
    return b"".join(frames)


def test_frames_split_at_every_byte_are_the_same() -> None:
    data = _stream(5)
    whole = wire.split_frames(bytearray(data), 1 << 20)
    assert len(whole) == 5
    for cut in range(len(data) + 1):
        buffer = bytearray()
        frames = []
        for piece in (data[:cut], data[cut:]):
            buffer += piece
            frames += wire.split_frames(buffer, 1 << 20)
        assert frames == whole
        assert not buffer


@given(st.lists(st.binary(max_size=40), max_size=8), st.lists(st.integers(1, 30)))
def test_frames_split_anyhow_are_the_same(bodies: list[bytes], cuts: list[int]) -> None:
    data = b"".join(struct.pack(">I", len(body)) + body for body in bodies)
    buffer, frames, position = bytearray(), [], 0
    for cut in [*cuts, len(data)]:
        buffer += data[position : position + cut]
        position += cut
        frames += wire.split_frames(buffer, 64)
    assert frames == bodies


def test_a_frame_too_long_is_refused_before_it_is_read_and_earlier_ones_count() -> None:
    good = wire.encode_frame(wire.Hello(1, "a"))
    buffer = bytearray(good + struct.pack(">I", 1 << 30))
    with pytest.raises(wire.FrameTooLong) as refused:
        wire.split_frames(buffer, 1 << 20)
    assert refused.value.frames == [good[4:]]


def _raw(engine: EngineThread) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(pace.seconds(WAIT_S))
    sock.connect(str(engine.path))
    return sock


def _until_closed(sock: socket.socket) -> list[wire.EngineFrame]:
    buffer, frames = bytearray(), []
    while True:
        data = sock.recv(65536)
        if not data:
            return frames
        buffer += data
        frames += [wire.decode_engine_frame(b) for b in wire.split_frames(buffer, 1 << 28)]


@pytest.mark.parametrize(
    "bad",
    [
        struct.pack(">I", 1 << 30),
        struct.pack(">I", 3) + b"\xc1\xc1\xc1",
        struct.pack(">I", 2) + b"\x91\x63",
        wire.encode_frame(wire.Welcome(1, "x", 1, 1)),
        wire.encode_frame(wire.Submit(7, 999, wire.EMPTY)),
        wire.encode_frame(wire.Submit(7, 1, wire.EMPTY)),
        struct.pack(">I", 9000) + b"\x91" * 9000,
    ],
)
def test_a_bad_frame_fails_that_connection_only_and_says_why(start: Start, bad: bytes) -> None:
    engine = start()
    other = engine.client()
    before = other.submit(new_order(1)).transaction.seq
    sock = _raw(engine)
    submit = wire.Submit(5, 1, wire.encode_command(new_order(2)))
    hello = wire.encode_frame(wire.Hello(1, "bad"))
    sock.sendall(hello + wire.encode_frame(submit) + bad + hello)
    frames = _until_closed(sock)
    assert [type(frame).__name__ for frame in frames] == ["Welcome", "Result", "Failed"]
    assert isinstance(frames[-1], wire.Failed)
    assert frames[-1].code == "malformed"
    assert other.submit(new_order(3)).transaction.seq == before + 2
    other.close()


def test_frames_that_drip_in_byte_by_byte_are_served(start: Start) -> None:
    engine = start()
    sock = _raw(engine)
    data = wire.encode_frame(wire.Hello(1, "drip")) + wire.encode_frame(wire.Ask(1, "status", {}))
    for index in range(len(data)):
        sock.sendall(data[index : index + 1])
    buffer, kinds = bytearray(), []
    while len(kinds) < 2:
        buffer += sock.recv(65536)
        for body in wire.split_frames(buffer, 1 << 28):
            kinds.append(type(wire.decode_engine_frame(body)))
    assert kinds == [wire.Welcome, wire.Answer]
    sock.close()


def test_a_command_before_hello_is_refused(start: Start) -> None:
    engine = start()
    before = engine.exchange.seq
    sock = _raw(engine)
    sock.sendall(wire.encode_frame(wire.Submit(1, 1, wire.encode_command(new_order(1)))))
    (failed,) = _until_closed(sock)
    assert isinstance(failed, wire.Failed)
    assert engine.exchange.seq == before


def test_a_client_above_the_bound_is_turned_away(start: Start) -> None:
    engine = start(limits=Limits(clients_max=1))
    first = engine.client()
    first.connect()
    sock = _raw(engine)
    (failed,) = _until_closed(sock)
    assert isinstance(failed, wire.Failed)
    assert failed.code == "too_many_clients"
    second = engine.client(timeout_s=1.0)
    with pytest.raises(EngineUnavailable) as refused:
        second.connect()
    assert refused.value.outcome == "not_applied"
    first.close()
    second.close()


def test_socket_and_folder_are_private(start: Start) -> None:
    engine = start()
    assert engine.path.stat().st_mode & 0o777 == 0o600
    assert engine.path.parent.stat().st_mode & 0o777 == 0o700
    for path in (engine.folder / "journal").iterdir():
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_socket_file_of_a_dead_engine_is_replaced_and_one_in_use_is_not(start: Start) -> None:
    engine = start()
    with pytest.raises(OSError, match="another engine"):
        Server(engine.path, Limits())
    engine.kill()
    left = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    left.bind(str(engine.path))
    left.close()
    again = start()
    client = again.client()
    assert client.connect().boot_id == "test"
    client.close()
