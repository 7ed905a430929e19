"""The link to the leader: frames whole and in order, from Connected to Lost of a connection."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeAlias

import pytest

from engine import wire
from engine.cluster.dial import Fresh, LinkLimits
from engine.cluster.link import Connected, Lost
from engine.core.commands import COMMAND_KINDS, NewOrder
from engine.server.ipc import Connection, Gone, Item, Limits, Server
from engine.server.tcp import TcpListener
from tests.cluster.members import HOST, Leader, Owner, files
from tests.support import pace
from tests.support.waiting import until
from tests.unit.engine_shell.harness import EngineThread, new_order

Lead: TypeAlias = "Callable[..., Leader]"
Own: TypeAlias = "Callable[..., Owner]"


def published(number: int, size: int = 0) -> bytes:
    """A frame whose transaction is any msgpack value: here number and filling."""
    return wire.published_frame(wire.encode_value([number, b"x" * size]))


def number_of(item: object) -> int:
    assert isinstance(item, wire.Published), item
    found: int = wire.msgspec.msgpack.decode(item.transaction)[0]
    return found


def test_commands_go_to_an_engine_and_their_results_come_back(
    tmp_path: Path, authority_folder: Path, own: Own
) -> None:
    tcp = TcpListener(f"{HOST}:0", files(authority_folder, "a"))
    engine = EngineThread(tmp_path, tcp=tcp)
    owner = own()
    owner.link.follow(f"{HOST}:{tcp.port}")
    connected = owner.connected()
    assert (connected.welcome.boot_id, connected.peer) == ("test", "a")
    assert connected.welcome.seq == engine.exchange.seq
    (connection,) = engine.server.connections.values()
    assert (connection.remote, connection.peer, connection.name) == (True, "b", "b")
    kind = COMMAND_KINDS[NewOrder]
    frames = [
        wire.encode_frame(wire.Submit(number, kind, wire.encode_command(new_order(number))))
        for number in range(1, 201)
    ]
    assert owner.link.send(frames[0])
    assert owner.link.send(b"".join(frames[1:]))
    for number in range(1, 201):
        result = owner.wait_for(lambda item: isinstance(item, wire.Result))
        assert isinstance(result, wire.Result)
        assert result.id == number and not result.duplicate
    # Beside it the Unix socket serves as ever, and is not remote.
    client = engine.client()
    client.submit(new_order("u"))
    assert [each.remote for each in engine.server.connections.values()] == [True, False]
    client.close()
    engine.stop()
    assert owner.lost().address == connected.address


def test_frames_of_four_megabytes_arrive_whole_both_ways_among_small_ones(
    lead: Lead, own: Own
) -> None:
    size = 4 << 20
    got: list[int] = []

    def serve(server: Server, connection: Connection, item: Item) -> None:
        if isinstance(item, wire.Ask):
            got.append(len(item.arguments["text"]))
            server.queue(connection, published(len(got), got[-1]))

    leader = lead(serve, limits=Limits(frame_bytes_max=8 << 20))
    owner = own()
    owner.link.follow(leader.address)
    owner.connected()
    sizes = [1, size, 3, size, size, 0]
    for number, length in enumerate(sizes, 1):
        body = wire.encode_value([3, number, "q", {"text": "x" * length}, 0])
        assert owner.link.send(wire.HEADER.pack(len(body)) + body)
    for number, length in enumerate(sizes, 1):
        item = owner.wait_for(lambda item: isinstance(item, wire.Published))
        assert number_of(item) == number
        assert isinstance(item, wire.Published) and len(bytes(item.transaction)) >= length
    assert got == sizes


def test_many_frames_in_both_directions_at_once_keep_their_order(lead: Lead, own: Own) -> None:
    count = 20_000

    def serve(server: Server, connection: Connection, item: Item) -> None:
        if isinstance(item, wire.Ask):
            server.queue(connection, published(item.id, item.id % 97))

    leader = lead(serve)
    owner = own()
    owner.link.follow(leader.address)
    owner.connected()
    choose = random.Random(1)
    number = 0
    while number < count:
        several = [
            wire.encode_frame(wire.Ask(each, "q", {}))
            for each in range(number + 1, min(count, number + choose.randint(1, 500)) + 1)
        ]
        number += len(several)
        assert owner.link.send(b"".join(several))
    for number in range(1, count + 1):
        assert number_of(owner.wait_for(lambda item: True)) == number


def test_who_is_left_is_connected_to_again_after_a_pause(lead: Lead, own: Own) -> None:
    leader = lead()
    owner = own()
    owner.link.follow(leader.address)
    owner.connected()
    owner.link.leave()
    assert owner.lost().reason == f"{leader.address} does not lead"
    assert owner.connected().address == leader.address


def test_nothing_is_sent_on_a_connection_whose_beginning_was_not_taken(
    lead: Lead, own: Own
) -> None:
    leader = lead()
    owner = own()
    assert not owner.link.send(b"x"), "there is none yet"
    owner.link.follow(leader.address)
    owner.connected()
    first = leader.wait_for(lambda item: isinstance(item, wire.Hello))
    leader.do(lambda: leader.server.end(first))
    leader.wait_for(lambda item: isinstance(item, wire.Hello), count=2)
    # The second connection is up or about to be; its Connected has not been taken.
    assert not owner.link.send(wire.encode_frame(wire.Ask(1, "stray", {})))
    assert "closed" in owner.lost().reason
    assert owner.connected().address == leader.address
    assert owner.link.send(wire.encode_frame(wire.Ask(2, "meant", {})))
    leader.wait_for(lambda item: isinstance(item, wire.Ask) and item.query == "meant")
    assert not [i for _, i in leader.items if isinstance(i, wire.Ask) and i.query == "stray"]


def test_it_follows_to_another_address_and_to_none(lead: Lead, own: Own) -> None:
    first, second = lead(), lead()
    owner = own()
    with pytest.raises(ValueError, match="expected host:port"):
        owner.link.follow("nowhere")
    owner.link.follow(first.address)
    assert owner.connected().address == first.address
    owner.link.follow(second.address)
    assert owner.lost().address == first.address
    assert owner.connected().address == second.address
    first.wait_for(lambda item: isinstance(item, Gone))
    owner.link.follow(None)
    assert owner.lost() == Lost("it is not followed any more", second.address)
    second.wait_for(lambda item: isinstance(item, Gone))
    assert not owner.link.send(b"x")


def test_it_connects_as_soon_as_somebody_listens(lead: Lead, own: Own) -> None:
    leader = lead()
    port = leader.tcp.port
    leader.stop()
    owner = own()
    owner.link.follow(f"{HOST}:{port}")
    until(lambda: owner.link.trouble, enough=lambda trouble: "Connection refused" in trouble)
    lead(port=port)
    assert owner.connected().welcome.boot_id == "boot"
    assert owner.link.trouble == ""


def test_what_came_before_the_end_is_taken_before_the_loss(lead: Lead, own: Own) -> None:
    def serve(server: Server, connection: Connection, item: Item) -> None:
        if isinstance(item, wire.Ask):
            for number in range(100):
                server.queue(connection, published(number, 1000))
            server.fail(connection, 0, "malformed", "that was the last word")

    leader = lead(serve)
    owner = own()
    owner.link.follow(leader.address)
    owner.connected()
    owner.link.send(wire.encode_frame(wire.Ask(1, "q", {})))
    for number in range(100):
        assert number_of(owner.wait_for(lambda item: True)) == number
    failed = owner.wait_for(lambda item: True)
    assert isinstance(failed, wire.Failed) and failed.code == "malformed"
    assert owner.lost().reason.endswith("closed the connection: that was the last word")


def test_a_leader_that_greets_nobody_is_not_waited_for_longer_than_allowed(
    lead: Lead, own: Own
) -> None:
    leader = lead(greets=False)
    owner = own(LinkLimits(welcome_s=0.3))
    owner.link.follow(leader.address)
    leader.wait_for(lambda item: isinstance(item, Gone), count=2)
    assert owner.link.trouble == f"no Welcome from {leader.address} within 0.3 s"
    assert owner.link.take() == []


def test_an_idle_connection_stays_and_a_leader_that_hangs_is_lost(lead: Lead, own: Own) -> None:
    hang, hung = threading.Event(), threading.Event()

    def serve(server: Server, connection: Connection, item: Item) -> None:
        if isinstance(item, wire.Ask):
            hung.set()
            hang.wait(pace.seconds(30))

    leader = lead(serve)
    owner = own(LinkLimits(ping_s=0.2, silence_s=0.6))
    owner.link.follow(leader.address)
    owner.connected()
    leader.wait_for(lambda item: isinstance(item, wire.Ask) and item.query == "standing", count=5)
    told = owner.link.take()
    assert len(told) >= 4 and {type(item) for item in told} == {Fresh}, "the answers are its own"
    assert all(before.at < after.at for before, after in itertools.pairwise(told))
    assert {each.seq for each in told} == {7}, "as of the leader's seq, whatever has arrived here"
    owner.link.send(wire.encode_frame(wire.Ask(1, "hang", {})))
    assert hung.wait(pace.seconds(10))
    began = time.monotonic()
    lost = owner.lost()
    assert lost.reason == f"nothing heard from {leader.address} for 0.6 s"
    assert time.monotonic() - began >= 0.35
    hang.set()
    owner.connected()


def test_a_frame_larger_than_the_inbox_arrives_whole(lead: Lead, own: Own) -> None:
    leader = lead()
    owner = own(LinkLimits(inbox_bytes_max=1 << 16))
    owner.link.follow(leader.address)
    owner.connected()
    connection = leader.wait_for(lambda item: isinstance(item, wire.Hello))
    for number in range(3):
        leader.do(partial(leader.server.reply, connection, published(number, 4 << 20)))
    assert [number_of(owner.wait_for(lambda item: True)) for _ in range(3)] == [0, 1, 2]


def test_an_owner_that_takes_nothing_holds_the_leader_up_and_is_dropped_by_it(
    lead: Lead, own: Own
) -> None:
    """Nothing grows without bound on either side, and nothing is lost without being told."""

    leader = lead(limits=Limits(queue_bytes_max=4 << 20))
    owner = own(LinkLimits(inbox_bytes_max=1 << 20))
    owner.link.follow(leader.address)
    owner.connected()
    connection = leader.wait_for(lambda item: isinstance(item, wire.Hello))
    sent = 0
    while not connection.closing:
        assert sent < 64, "this client holds nothing up"
        leader.do(partial(leader.server.reply, connection, published(sent, 1 << 20)))
        sent += 1
    number = 0
    while isinstance(item := owner.wait_for(lambda item: True), wire.Published):
        assert number_of(item) == number
        number += 1
    assert isinstance(item, wire.Dropped) and "does not read" in item.reason
    assert 0 < number < sent
    assert leader.server.dropped == 1
    assert "does not read" in owner.lost().reason


def test_a_leader_that_reads_nothing_is_lost_when_the_queue_is_full(lead: Lead, own: Own) -> None:
    hang, hung = threading.Event(), threading.Event()

    def serve(server: Server, connection: Connection, item: Item) -> None:
        if isinstance(item, wire.Ask):
            hung.set()
            hang.wait(pace.seconds(30))

    leader = lead(serve)
    owner = own(LinkLimits(outbox_bytes_max=8 << 20, silence_s=60.0))
    owner.link.follow(leader.address)
    owner.connected()
    ask = wire.encode_frame(wire.Ask(1, "hang", {}))
    owner.link.send(ask)
    assert hung.wait(pace.seconds(10))
    filling = ask * 1000
    for _ in range(10_000):
        if not owner.link.send(filling):
            break
    else:
        pytest.fail("the queue has no bound")
    assert owner.lost().reason == f"{leader.address} leaves too much unread"
    hang.set()


def test_a_frame_above_the_bound_ends_the_connection_and_those_before_it_count(
    lead: Lead, own: Own
) -> None:
    def serve(server: Server, connection: Connection, item: Item) -> None:
        if isinstance(item, wire.Ask):
            server.queue(connection, published(1) + published(2, 5000))

    leader = lead(serve)
    owner = own(LinkLimits(frame_bytes_max=1000))
    owner.link.follow(leader.address)
    owner.connected()
    owner.link.send(wire.encode_frame(wire.Ask(1, "q", {})))
    assert number_of(owner.wait_for(lambda item: True)) == 1
    assert "above the limit of 1000 bytes" in owner.lost().reason


def test_closing_a_link_ends_its_thread_and_its_connection(lead: Lead, own: Own) -> None:
    leader = lead()
    owner = own()
    owner.link.follow(leader.address)
    owner.connected()
    owner.link.close()
    assert not owner.link._thread.is_alive()
    assert [type(item) for item in owner.link.take()] == [Lost]
    assert not owner.link.send(b"x")
    leader.wait_for(lambda item: isinstance(item, Gone))
    assert Connected.__name__ not in map(str, owner.arrived)
