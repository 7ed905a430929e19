"""The TCP listener beside strangers: nobody without a certificate costs those who have one."""

from __future__ import annotations

import os
import socket
import ssl
import struct
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import wire
from engine.server.ipc import Connection, Gone, Item, Limits, Malformed, Server
from engine.server.tls import (
    RECEIVE_BYTES,
    Contexts,
    TlsSocket,
    scratch,
    split_address,
)
from tests.cluster.members import Leader, Owner, files, plain, raw
from tests.support.waiting import until

Lead: TypeAlias = "Callable[..., Leader]"
Own: TypeAlias = "Callable[..., Owner]"


def ended(sock: socket.socket) -> bool:
    """Wait until the other side has ended the connection, whatever it says before."""
    try:
        while sock.recv(65536):
            pass
    except ConnectionResetError:
        pass
    return True


def echo(server: Server, connection: Connection, item: Item) -> None:
    if isinstance(item, wire.Ask):
        server.send(connection, wire.Answer(item.id, 7, wire.EMPTY))


def works(owner: Owner) -> None:
    """A question is answered."""
    assert owner.link.send(wire.encode_frame(wire.Ask(5, "q", {})))
    owner.wait_for(lambda item: isinstance(item, wire.Answer))


@pytest.mark.parametrize(
    "garbage",
    [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", os.urandom(70_000), b"\0" * 5, wire.encode_frame(
        wire.Hello(1, "plain")), b"\x16\x03\x01\xff\xff" + b"\x01" * 70_000],
    ids=["http", "random", "zeros", "frame", "tls"],
)  # fmt: skip
def test_garbage_before_the_handshake_ends_that_connection_only(
    lead: Lead, own: Own, garbage: bytes
) -> None:
    leader = lead(echo)
    owner = own()
    owner.link.follow(leader.address)
    owner.connected()
    with plain(leader.address) as sock:
        try:
            sock.sendall(garbage)
            assert ended(sock)
        except (BrokenPipeError, ConnectionResetError):
            pass  # It was ended before all had been sent.
    until(lambda: leader.tcp.refused == 1, "it counts")
    works(owner)
    assert len(leader.server.connections) == 1


def test_handshakes_that_never_end_are_ended_beside_working_clients(lead: Lead, own: Own) -> None:
    leader = lead(echo, handshake_s=0.3)
    silent = [plain(leader.address) for _ in range(5)]
    owner = own()
    owner.link.follow(leader.address)
    owner.connected()
    works(owner)
    for sock in silent:
        assert ended(sock)
        sock.close()
    until(lambda: leader.tcp.refused == 5, "each is counted")
    works(owner)


def test_of_too_many_handshakes_the_oldest_end_and_a_new_member_still_gets_in(
    lead: Lead, own: Own
) -> None:
    leader = lead(echo, handshakes_max=8, handshake_s=600.0)
    silent = [plain(leader.address) for _ in range(8)]
    first = plain(leader.address)
    owner = own()
    owner.link.follow(leader.address)
    owner.connected()
    for sock in silent[:2]:
        assert ended(sock)
    works(owner)
    silent[5].settimeout(0.05)
    with pytest.raises(TimeoutError):
        silent[5].recv(1)
    assert leader.tcp.refused == 2
    for sock in (*silent, first):
        sock.close()
    until(lambda: leader.tcp.refused == 9, "those that left are counted")


def test_who_hangs_up_in_the_handshake_leaves_nothing_behind(lead: Lead, own: Own) -> None:
    leader = lead(echo)
    for _ in range(20):
        sock = plain(leader.address)
        # A reset, not an orderly end.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
    until(lambda: leader.tcp.refused == 20, "each is counted")
    owner = own()
    owner.link.follow(leader.address)
    owner.connected()
    assert len(leader.server._selector.get_map()) == 4, "two listeners, the pipe and the owner"


def test_no_certificate_no_service_and_tls_1_2_is_not_spoken(
    lead: Lead, authority_folder: Path
) -> None:
    leader = lead(echo)
    with raw(leader.address, None) as sock:
        with pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"):
            sock.recv(1)
    context = ssl.create_default_context(cafile=files(authority_folder, "b").ca)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        context.wrap_socket(plain(leader.address), server_hostname="127.0.0.1")
    until(lambda: leader.tcp.refused == 2, "each is counted")
    assert not leader.server.connections


def test_hello_right_behind_the_handshake_is_not_waited_for(
    lead: Lead, authority_folder: Path
) -> None:
    """It is in the same segment as the end of the handshake: no selector will tell of it."""
    leader = lead(echo)
    client, far = socket.socketpair()
    near = plain(leader.address)
    context = Contexts(files(authority_folder, "b"), server_side=False).current()
    tls = TlsSocket(client, context, scratch(), "here", server_side=False, host="127.0.0.1")
    client.setblocking(False)
    far.setblocking(False)
    while not tls.handshake():
        if data := _take(far):
            near.sendall(data)
        else:
            far.sendall(near.recv(65536))
    tls.send(wire.encode_frame(wire.Hello(1, "quick")) + wire.encode_frame(wire.Ask(1, "q", {})))
    near.sendall(_take(far))
    leader.wait_for(lambda item: isinstance(item, wire.Ask))
    for sock in (near, far, client):
        sock.close()
    leader.wait_for(lambda item: isinstance(item, Gone))


def _take(sock: socket.socket) -> bytes:
    found = b""
    while True:
        try:
            found += sock.recv(65536)
        except BlockingIOError:
            return found


def test_a_bad_frame_over_tls_is_answered_and_ends_that_connection_only(
    lead: Lead, own: Own, authority_folder: Path
) -> None:
    def serve(server: Server, connection: Connection, item: Item) -> None:
        echo(server, connection, item)
        if isinstance(item, Malformed):
            server.fail(connection, item.id, "malformed", item.text)

    leader = lead(serve)
    owner = own()
    owner.link.follow(leader.address)
    owner.connected()
    with raw(leader.address, files(authority_folder, "b")) as sock:
        sock.sendall(wire.encode_frame(wire.Hello(1, "bad")) + struct.pack(">I", 1 << 30))
        received = bytearray()
        while data := sock.recv(65536):
            received += data
        bodies = wire.split_frames(received, 1 << 20)
        kinds = [type(wire.decode_engine_frame(body)) for body in bodies]
        assert kinds == [wire.Welcome, wire.Failed]
    works(owner)


def test_broken_tls_in_the_middle_of_a_stream_ends_it(lead: Lead, own: Own) -> None:
    leader = lead(echo)
    owner = own()
    owner.link.follow(leader.address)
    owner.connected()
    first = leader.wait_for(lambda item: isinstance(item, wire.Hello))
    # Bytes that were not encrypted by TLS, as if somebody in between had changed some.
    leader.do(lambda: first.socket.socket.send(b"\x17\x03\x03\x00\x20" + bytes(32)))  # type: ignore[union-attr]
    assert "bad record mac" in owner.lost().reason
    leader.wait_for(lambda item: isinstance(item, Gone))
    owner.connected()


def test_members_above_the_bound_are_told_so(lead: Lead, own: Own, authority_folder: Path) -> None:
    leader = lead(echo, limits=Limits(clients_max=1))
    owner = own()
    owner.link.follow(leader.address)
    owner.connected()
    second = own()
    second.link.follow(leader.address)
    until(lambda: second.link.trouble, enough=lambda text: "serves 1 clients already" in text)
    works(owner)


def test_addresses_are_read_and_what_is_none_is_refused() -> None:
    assert split_address("10.0.0.1:9000") == ("10.0.0.1", 9000)
    assert split_address("[::1]:0") == ("::1", 0)
    for wrong in ("", "a", "a:", ":1", "a:b", "a:65536", "a:-1", "a:1\u0663"):
        with pytest.raises(ValueError, match=r"expected"):
            split_address(wrong)


class End:
    """One end of a connection: what it has still to send, and what it has received."""

    def __init__(self, tls: TlsSocket, data: bytes) -> None:
        self.tls = tls
        self.left = memoryview(data)
        self.received = bytearray()
        self.shaken = False

    def act(self, buffer: memoryview) -> None:
        """Do what can be done without waiting, as the engine does."""
        if not self.shaken:
            self.shaken = self.tls.handshake()
            return
        try:
            size = self.tls.recv_into(buffer)
            assert size, "nobody has closed anything"
            self.received += buffer[:size]
        except BlockingIOError:
            pass
        try:
            while self.left:
                self.left = self.left[self.tls.send(self.left) :]
        except BlockingIOError:
            pass


def move(source: socket.socket, target: socket.socket, held: bytearray, size: int) -> None:
    """Take at most so many bytes from one socket, and give as many to another."""
    try:
        held += source.recv(size)
    except BlockingIOError:
        pass
    try:
        del held[: target.send(held[:size])]
    except BlockingIOError:
        pass


@pytest.fixture(scope="module")
def contexts(authority_folder: Path) -> tuple[Contexts, Contexts]:
    """Of a member that connects, and of one that listens."""
    return (
        Contexts(files(authority_folder, "b"), server_side=False),
        Contexts(files(authority_folder, "a"), server_side=True),
    )


@settings(deadline=None, max_examples=20)
@given(
    st.lists(st.integers(0, 60_000), max_size=8),
    st.lists(st.integers(0, 60_000), max_size=8),
    st.integers(0, 1 << 32),
)
def test_frames_arrive_whole_and_in_order_however_the_bytes_are_cut(
    contexts: tuple[Contexts, Contexts], there: list[int], back: list[int], seed: int
) -> None:
    """In both directions at once; the stream is cut anywhere, and the sockets are often full."""
    choose = Random(seed)
    sockets = [*socket.socketpair(), *socket.socketpair()]
    for sock in sockets:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
    near, near_far, far_near, far = sockets
    sent = [[bytes([index]) * size for index, size in enumerate(sizes)] for sizes in (there, back)]
    streams = [b"".join(wire.HEADER.pack(len(f)) + f for f in frames) for frames in sent]
    client, server = (each.current() for each in contexts)
    shared, buffer = scratch(), memoryview(bytearray(RECEIVE_BYTES))
    one = End(
        TlsSocket(near, client, shared, "far", server_side=False, host="127.0.0.1"), streams[0]
    )
    other = End(TlsSocket(far, server, shared, "near", server_side=True), streams[1])
    held = bytearray(), bytearray()
    for _ in range(50_000):
        if len(one.received) == len(streams[1]) and len(other.received) == len(streams[0]):
            if one.shaken and other.shaken:
                break
        size = choose.choice((1, 7, 500, 16_400, 70_000))
        match choose.randrange(4):
            case 0:
                one.act(buffer)
            case 1:
                other.act(buffer)
            case 2:
                move(near_far, far_near, held[0], size)
            case _:
                move(far_near, near_far, held[1], size)
    for sock in sockets:
        sock.close()
    assert (one.tls.peer, other.tls.peer) == ("a", "b")
    assert wire.split_frames(other.received, 1 << 20) == sent[0] and not other.received
    assert wire.split_frames(one.received, 1 << 20) == sent[1] and not one.received
