"""Subscriptions: replay then live without gap or duplicate; slow ones dropped; resume."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from engine import wire
from engine.client import AsyncEngineClient, EngineRefused, GapTooOld, SubscriptionDropped, queries
from engine.client.aio import _Connection as Connection
from engine.core.ledger import Account
from engine.core.types import AccountRow
from engine.server.ipc import Limits
from tests.support import pace
from tests.support.waiting import until
from tests.unit.engine_shell.harness import (
    WAIT_S,
    Collector,
    EngineThread,
    Start,
    cancel,
    new_order,
)


def test_replay_then_live_has_neither_gap_nor_duplicate_under_concurrent_writes(
    start: Start,
) -> None:
    engine = start()
    writer = engine.client("writer")
    writer.post(new_order(n) for n in range(500))
    collectors, readers, stop = [], [], threading.Event()

    def write() -> None:
        number = 500
        while not stop.is_set():
            writer.post([new_order(number), cancel(number)])
            number += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for index in range(4):
            reader, collector = engine.client(f"reader{index}"), Collector()
            reader.subscribe(1 + 100 * index, collector)
            readers.append(reader)
            collectors.append(collector)
            collector.wait_for(600 + 300 * index)
    finally:
        stop.set()
        thread.join(pace.seconds(WAIT_S))
    last = writer.submit(new_order("last")).transaction.seq
    for index, collector in enumerate(collectors):
        collector.wait_for(last)
        assert collector.seqs == list(range(1 + 100 * index, last + 1))
    for client in [writer, *readers]:
        client.close()


def test_a_subscriber_sees_its_posted_commands_with_their_origin(start: Start) -> None:
    engine = start()
    client, collector = engine.client(), Collector()
    client.subscribe(engine.exchange.seq + 1, collector)
    order = new_order(1)
    client.post([order._replace(origin=order.origin._replace(epoch=3, num=7))])
    collector.wait_for(engine.exchange.seq)
    assert collector.transactions[-1].command.origin.num == 7
    client.close()


def test_a_filtered_subscription_brings_only_what_concerns_the_accounts(start: Start) -> None:
    engine = start()
    client, replayed, live = engine.client(), Collector(), Collector()
    client.submit(new_order(1))
    client.submit(new_order(2, account="bob"))
    first = engine.client("one")
    first.subscribe(1, replayed, accounts=("bob",))
    second = engine.client("two")
    second.subscribe(engine.exchange.seq + 1, live, accounts=("bob",))
    client.submit(new_order(3))
    last = client.submit(new_order(4, account="bob")).transaction.seq
    for collector in (replayed, live):
        collector.wait_for(last)
        for transaction in collector.transactions:
            assert "bob" in wire.transaction_accounts(transaction)
    assert [t.command.client_order_id for t in live.transactions] == ["o4"]
    orders = [t.command for t in replayed.transactions if hasattr(t.command, "client_order_id")]
    assert [order.client_order_id for order in orders] == ["o2", "o4"]
    for each in (client, first, second):
        each.close()


def test_a_slow_subscriber_is_dropped_with_a_reason_and_resumes_from_its_seq(
    start: Start,
) -> None:
    engine = start(limits=Limits(queue_bytes_max=1 << 20))
    slow = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    slow.settimeout(pace.seconds(WAIT_S))
    slow.connect(str(engine.path))
    slow.sendall(wire.encode_frame(wire.Hello(1, "slow")))
    slow.sendall(wire.encode_frame(wire.Subscribe(1, 1)))
    writer = engine.client("writer")
    for batch in range(40):
        writer.post(new_order(f"{batch}-{n}", strategy="s" * 32) for n in range(400))
        writer.fetch(queries.Status())
    buffer, frames = bytearray(), []
    while data := slow.recv(1 << 20):
        buffer += data
        frames += [wire.decode_engine_frame(b) for b in wire.split_frames(buffer, 1 << 28)]
    dropped = frames[-1]
    assert isinstance(dropped, wire.Dropped)
    assert "slow" in dropped.reason
    seqs = [
        wire.decode_transaction(frame.transaction).seq
        for frame in frames
        if isinstance(frame, wire.Published)
    ]
    assert seqs == list(range(1, dropped.seq + 1))
    last = writer.submit(new_order("last")).transaction.seq
    assert dropped.seq < last
    collector = Collector()
    writer.subscribe(dropped.seq + 1, collector)
    collector.wait_for(last)
    assert collector.seqs == list(range(dropped.seq + 1, last + 1))
    writer.close()


def test_a_subscription_goes_on_by_itself_when_the_engine_comes_back(start: Start) -> None:
    engine = start()
    lost = threading.Event()
    reader = engine.client("reader", on_lost=lambda error: lost.set())
    collector = Collector()
    reader.subscribe(1, collector)
    collector.wait_for(engine.exchange.seq)
    engine.kill()
    assert lost.wait(pace.seconds(WAIT_S))
    again = start()
    writer = again.client("writer")
    last = writer.submit(new_order(1)).transaction.seq
    collector.wait_for(last)
    assert collector.seqs == list(range(1, last + 1))
    reader.close()
    writer.close()


def test_a_dropped_subscriber_of_the_client_is_told_and_resumes(start: Start) -> None:
    engine = start(limits=Limits(queue_bytes_max=1 << 19))
    errors: list[Exception] = []
    gate = threading.Event()
    collector = Collector()

    def slowly(transactions: list[wire.Transaction]) -> None:
        gate.wait(pace.seconds(WAIT_S))
        collector(transactions)

    reader = engine.client("reader", on_lost=errors.append)
    reader.subscribe(engine.exchange.seq + 1, slowly)
    first = engine.exchange.seq + 1
    writer = engine.client("writer")
    for batch in range(40):
        writer.post(new_order(f"{batch}-{n}", strategy="s" * 32) for n in range(400))
        writer.fetch(queries.Status())
    gate.set()
    last = writer.submit(new_order("last")).transaction.seq
    collector.wait_for(last)
    assert collector.seqs == list(range(first, last + 1))
    assert any(isinstance(error, SubscriptionDropped) for error in errors)
    reader.close()
    writer.close()


def test_what_cannot_be_served_is_refused(start: Start) -> None:
    engine = start()
    client = engine.client()
    with pytest.raises(EngineRefused) as ahead:
        client.subscribe(engine.exchange.seq + 2, lambda transactions: None)
    assert ahead.value.code == "seq_ahead"
    engine.local._firsts[0] = 5  # As if the segment before were archived.
    with pytest.raises(GapTooOld):
        client.subscribe(4, lambda transactions: None)
    with pytest.raises(GapTooOld):
        client.fetch(queries.Transaction(4))
    engine.local._firsts[0] = 1
    client.close()


async def test_the_asyncio_client_submits_asks_and_follows(start: Start) -> None:
    engine = start()
    client = AsyncEngineClient(str(engine.path), "async", timeout_s=pace.seconds(5))
    other = AsyncEngineClient(str(engine.path), "writer", timeout_s=pace.seconds(5))
    seqs: list[int] = []

    async def follow() -> None:
        async for batch in client.subscribe(1):
            seqs.extend(transaction.seq for transaction in batch)
            if seqs[-1] >= last:
                return

    outcomes = await asyncio.gather(*[other.submit(new_order(n)) for n in range(50)])
    await other.post([cancel(n) for n in range(50)])
    last = (await other.submit(new_order("last"))).transaction.seq
    await asyncio.wait_for(follow(), pace.seconds(WAIT_S))
    assert len({outcome.transaction.seq for outcome in outcomes}) == 50
    answered = await other.fetch(queries.Balances("alice"), last)
    assert answered.as_of_seq >= last
    rows = (await other.fetch(queries.OpenOrders("alice"))).value
    assert [row.order.client_order_id for row in rows] == ["olast"]
    with pytest.raises(EngineRefused):
        await other.ask("nonsense")
    await other.close()
    await client.close()
    assert seqs == list(range(1, len(seqs) + 1))


def test_the_asyncio_subscription_survives_the_engine(start: Start) -> None:
    engine = start()

    async def run() -> list[int]:
        client = AsyncEngineClient(str(engine.path), "async", timeout_s=pace.seconds(5))
        seqs: list[int] = []
        last = engine.exchange.seq
        restarted = None
        async for batch in client.subscribe(1):
            seqs.extend(transaction.seq for transaction in batch)
            if restarted is None and seqs[-1] == last:
                engine.kill()
                restarted = start()
                writer = restarted.client("writer")
                last = writer.submit(new_order(1)).transaction.seq
                writer.close()
            elif seqs[-1] == last:
                break
        await client.close()
        return seqs

    seqs = asyncio.run(asyncio.wait_for(run(), pace.seconds(WAIT_S)))
    assert seqs == list(range(1, len(seqs) + 1))


@pytest.mark.parametrize("what", ["welcome", "answer"])
def test_a_cancellation_that_comes_with_the_answer_is_not_lost(
    start: Start, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """A service that is told to stop in that moment would never end."""
    engine = start()
    received = Connection.data_received

    async def run() -> None:
        client = AsyncEngineClient(str(engine.path), "async", timeout_s=pace.seconds(5))
        if what == "answer":
            await client.connect()

        def then_cancel(connection: Connection, data: bytes) -> None:
            received(connection, data)
            task.cancel()

        monkeypatch.setattr(Connection, "data_received", then_cancel)
        task = asyncio.create_task(client.submit(new_order(1)))
        await asyncio.wait((task,), timeout=pace.seconds(WAIT_S))
        assert task.cancelled()
        assert client.connected is (what == "answer")
        await client.close()

    asyncio.run(run())


def _mute(engine: EngineThread, frames: bytes) -> socket.socket:
    """A client that sends and never reads."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(pace.seconds(WAIT_S))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(str(engine.path))
    sock.sendall(wire.encode_frame(wire.Hello(1, "mute")) + frames)
    return sock


def test_a_client_that_never_reads_its_answers_is_dropped_and_others_go_on(
    start: Start,
) -> None:
    engine = start(limits=Limits(queue_bytes_max=1 << 20, stall_s=0.3))
    ask = wire.encode_frame(wire.Ask(1, "instruments", {}))
    mute = _mute(engine, b"")
    try:
        for _ in range(2_000):
            mute.sendall(ask * 50)
    except OSError:
        pass  # The engine has closed the connection, which is what is tested.
    client = engine.client()
    assert client.submit(new_order(1)).transaction.seq == engine.exchange.seq
    assert client.fetch(queries.Status()).value.clients <= 2
    assert all(c.bytes <= 1 << 21 for c in list(engine.server.connections.values()))
    mute.close()
    client.close()


def test_a_subscriber_that_is_behind_and_stalls_is_ended(start: Start) -> None:
    engine = start(limits=Limits(stall_s=0.2))
    writer = engine.client("writer")
    for batch in range(30):
        writer.post(new_order(f"{batch}-{n}", strategy="s" * 32) for n in range(400))
        writer.fetch(queries.Status())
    mute = _mute(engine, wire.encode_frame(wire.Subscribe(1, 1)))
    until(lambda: engine.server._last_number >= 2, "the mute client has not come")
    until(
        lambda: writer.fetch(queries.Status()).value.clients == 1,
        "the stalled client is still there", WAIT_S,
    )  # fmt: skip
    mute.close()
    writer.close()


def test_a_fault_in_a_query_does_not_stop_trading(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = start()
    client = engine.client()
    client.connect()

    def broken(account: Account) -> AccountRow:
        raise RuntimeError("a bug")

    monkeypatch.setattr("engine.server.queries.account_row", broken)
    with pytest.raises(EngineRefused) as refused:
        client.fetch(queries.Accounts())
    assert refused.value.code == "internal"
    assert client.submit(new_order(1)).transaction.seq == engine.exchange.seq
    client.close()
