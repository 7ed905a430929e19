"""What one command may do to everybody else: the sequencer's share of rule M-10."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine import wire
from engine.client import EngineRefused, queries
from engine.core.commands import Batch, MassCancel, NewOrder, RecordRefusal
from engine.core.events import ClientIdsRetired, MassCanceled, OrderCanceled, OrderFilled
from engine.core.exchange import RETIRED_IDS_MAX, Exchange
from engine.core.purges import AFFECTED_MAX
from engine.core.types import (
    INT64_MAX,
    BatchMode,
    CancelReason,
    Liquidity,
    OrderTerms,
    OrdStatus,
    OrdType,
    Origin,
    RejectReason,
    RequestKind,
    RetiredId,
    SelfTrade,
    Side,
    TimeInForce,
)
from engine.journal.base import Record
from engine.journal.local import LocalJournal
from engine.server.query_child import QueryChild
from engine.server.query_queue import INLINE_ROWS
from engine.server.terms import Bounds, EngineStopped
from tests.support import pace
from tests.support.waiting import until
from tests.unit.engine_shell.harness import WAIT_S, Collector, EngineThread, Start, new_order

LARGEST = INT64_MAX
ID = "i" * 64


def fill_book(engine: EngineThread, count: int) -> None:
    """``count`` sells of one lot, of bob and carol in turn."""
    client = engine.client("filler")
    for start in range(0, count, 400):
        client.post(
            new_order(
                number, side=Side.SELL, price=10,
                account=("bob", "carol")[number % 2], origin=Origin("api:bob"),
            )
            for number in range(start, min(start + 400, count))
        )  # fmt: skip
    client.fetch(queries.Status())
    client.close()


def sweep(count: int) -> NewOrder:
    return new_order("sweep", qty=count, price=10)


def taken(collector: Collector) -> list[Any]:
    return [
        event
        for transaction in list(collector.transactions)
        for event in transaction.events
        if isinstance(event, OrderFilled) and event.liquidity is Liquidity.TAKER
    ]


MANY = {"venue": {"open_orders_max": 100_000}}


@pytest.mark.parametrize("count", [10_000, 20_000])
def test_M10_a_sweep_through_the_whole_book_lets_others_in(start: Start, count: int) -> None:
    """At the default bound; others' commands stand between its pieces, each answered at once."""
    engine = start(**MANY)
    fill_book(engine, count)
    client, other, collector = engine.client(), engine.client("other"), Collector()
    client.subscribe(engine.exchange.seq + 1, collector)
    first = client.submit(sweep(count)).transaction
    assert len(first.events) == 1 + 2 * 500
    between = 0
    while not (fills := taken(collector)) or fills[-1].status is not OrdStatus.FILLED:
        other.submit(new_order(f"other{between}", account="alice2"))
        between += 1
    assert between >= 5, "one command of others for each few pieces at the very least"
    assert len(fills) == count
    assert [f.trade_id for f in fills] == list(range(fills[0].trade_id, fills[0].trade_id + count))
    largest = max(len(t.events) for t in collector.transactions)
    assert largest <= 2 * 500 + 2
    client.close()
    other.close()


class Batches:
    """A journal that remembers which records came with one commit."""

    def __init__(self, journal: LocalJournal) -> None:
        self._journal = journal
        self.seqs: list[list[int]] = []

    def append(self, records: Sequence[Record], *rest: Any) -> None:
        self._journal.append(records, *rest)
        self.seqs.append([record.seq for record in records])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)


def test_M10_a_command_that_comes_between_waits_for_no_more_than_one_piece(start: Start) -> None:
    """It is durable and answered before the next piece, which has a commit of its own."""
    journals: list[Batches] = []

    def wrap(journal: LocalJournal) -> Any:
        journals.append(Batches(journal))
        return journals[0]

    engine = start(wrap=wrap, **MANY)
    fill_book(engine, 10_000)
    client, other = engine.client(), engine.client("other")
    first = client.submit(sweep(10_000)).transaction.seq
    mine = [
        other.submit(new_order(f"p{n}", account="alice2")).transaction.seq for n in range(5)
    ]
    until(lambda: not engine.exchange.busy, "the sweep ends")
    pieces = {
        record.seq
        for record in engine.local.read(first, 1_000)
        if len(wire.decode_transaction(record.body).events) > 2
    }
    assert 20 <= len(pieces) <= 25, "each of about five hundred trades"
    together = [seqs for seqs in journals[0].seqs if pieces & {*seqs}]
    assert all(len(seqs) == 1 for seqs in together), "a piece shares its commit with nothing"
    assert mine[0] < max(pieces), "they came between"
    client.close()
    other.close()


def test_M10_a_kill_in_the_middle_of_a_turn_loses_nothing(start: Start, tmp_path: Path) -> None:
    engine = start(**MANY)
    fill_book(engine, 3_000)
    client = engine.client()
    client.submit(sweep(3_000))
    engine.kill()
    assert len(engine.exchange.orders) > 0
    again = start()
    assert again.local.last_seq >= engine.exchange.seq
    collector = Collector()
    again.client().subscribe(1, collector)
    until(
        lambda: bool(fills := taken(collector)) and fills[-1].status is OrdStatus.FILLED,
        "the sweep goes on after a restart by itself", 6 * WAIT_S,
    )
    assert sum(fill.last_qty for fill in taken(collector)) == 3_000
    again.stop()


def test_M10_a_snapshot_in_the_middle_of_a_turn_is_gone_on_from(start: Start) -> None:
    engine = start(**MANY)
    fill_book(engine, 3_000)
    client = engine.client()
    client.submit(sweep(3_000))
    engine.stop()
    interrupted = bool(engine.exchange.busy)
    again = start()
    assert again.recovered_from == engine.exchange.seq
    until(lambda: not again.exchange.busy, "the sweep ends", 6 * WAIT_S)
    assert again.exchange.next_trade_id == 3_001
    assert interrupted, "three thousand trades are six pieces, and the stop came after the first"
    again.stop()


def test_C10_a_mass_cancel_in_pieces_ends_with_its_summary(start: Start) -> None:
    engine = start(**MANY)
    fill_book(engine, 3_000)
    client, collector = engine.client(), Collector()
    client.subscribe(engine.exchange.seq + 1, collector)
    ask = MassCancel(Origin("api:bob"), "bob", "q")
    first = client.submit(ask).transaction.events[-1]
    assert isinstance(first, MassCanceled)
    assert (first.total, first.complete) == (500, False)

    def summaries() -> list[MassCanceled]:
        return [
            event
            for transaction in list(collector.transactions)
            for event in transaction.events
            if isinstance(event, MassCanceled)
        ]

    until(lambda: len(summaries()) == 2, "the summary comes", 6 * WAIT_S)
    last = summaries()[-1]
    assert (last.total, last.complete, len(last.affected)) == (1_500, True, AFFECTED_MAX)
    client.close()


def test_connections_take_turns_when_one_brings_more_than_a_turn_can_do(start: Start) -> None:
    """With turns so short that each is over after its first command."""
    engine = start(bounds=Bounds(turn_ms_max=0.001))
    flood, ping = engine.client("flood"), engine.client("ping")
    ping.connect()
    flood.post(new_order(n) for n in range(300))
    flood.post(new_order(300 + n) for n in range(300))
    outcome = ping.submit(new_order("ping", account="bob"))
    orders = engine.exchange.accounts["alice"].orders
    until(lambda: len(orders) == 600, "the flood is done", 6 * WAIT_S)
    before = outcome.transaction.seq
    mine = [o.order_id for o in engine.exchange.accounts["alice"].orders.values()]
    assert mine == sorted(mine), "each connection's commands are done in its own order"
    assert before < engine.exchange.seq, "the ping did not wait for the whole flood"
    flood.close()
    ping.close()


def test_a_record_that_nobody_could_be_told_stops_the_engine_before_the_commit(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = start()
    client = engine.client()
    client.connect()
    seq = engine.local.last_seq
    monkeypatch.setattr(wire, "RECORD_BYTES_MAX", 100)
    client.post([new_order(1)])
    engine.thread.join(pace.seconds(WAIT_S))
    assert isinstance(engine.error, EngineStopped)
    assert "above the limit of 100" in str(engine.error)
    assert engine.local.last_seq == seq
    client.close()


def test_a_result_that_is_too_large_for_a_frame_says_so_and_nothing_ends(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = start()
    client = engine.client()
    client.connect()
    monkeypatch.setattr(wire, "ENGINE_FRAME_BYTES_MAX", 300)
    with pytest.raises(EngineRefused) as refused:
        client.submit(new_order(1, strategy="s" * 32, client_order_id="c" * 64))
    assert refused.value.code == "too_large"
    assert "was done as seq" in str(refused.value)
    monkeypatch.undo()
    assert client.submit(new_order(2)).transaction.seq == engine.exchange.seq
    client.close()


def test_a_record_from_before_that_no_frame_can_hold_is_told_without_its_events(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A subscriber gets past it, instead of asking for it for ever."""
    engine = start()
    client = engine.client()
    fill_book(engine, 100)
    large = client.submit(sweep(100)).transaction
    last = client.submit(new_order("last")).transaction.seq
    monkeypatch.setattr(wire, "ENGINE_FRAME_BYTES_MAX", 10_000)
    collector = Collector()
    engine.client("reader").subscribe(1, collector)
    collector.wait_for(last)
    assert collector.seqs == list(range(1, last + 1))
    assert collector.transactions[large.seq - 1].events == ()
    assert collector.transactions[last - 1].events != ()
    client.close()


def test_the_largest_transaction_that_can_be_is_far_below_what_can_be_told() -> None:
    """By arithmetic: every event of a command at its largest, all of them at once."""
    terms = OrderTerms(
        LARGEST, ID, ID, ID, ID, Side.SELL, OrdType.STOP_LIMIT, TimeInForce.GTD, LARGEST,
        LARGEST, LARGEST, LARGEST, LARGEST, LARGEST, LARGEST, True, SelfTrade.DECREMENT,
        "s" * 32, True, "fix:" + ID, LARGEST,
    )  # fmt: skip
    fill = OrderFilled(
        ID, LARGEST, terms, OrdStatus.EXPIRED, LARGEST, LARGEST, LARGEST, LARGEST, LARGEST,
        LARGEST, Liquidity.TAKER, LARGEST, LARGEST, LARGEST, LARGEST, -LARGEST, LARGEST,
    )  # fmt: skip
    gone = OrderCanceled(
        ID, LARGEST, terms, OrdStatus.EXPIRED, LARGEST, LARGEST, CancelReason.POST_ONLY, ID,
        "fix:" + ID, -LARGEST,
    )  # fmt: skip
    summary = MassCanceled(
        ID, LARGEST, ID, ((ID, ID, LARGEST),) * AFFECTED_MAX, ID, Side.SELL, "s" * 32, ID, True,
        RejectReason.THROTTLED, "", LARGEST, True, "fix:" + ID,
    )  # fmt: skip
    retired = RetiredId(ID, ID, LARGEST, OrdStatus.EXPIRED, LARGEST, LARGEST, LARGEST)
    work_max = 10_000  # The most that a configuration can say; 500 is the default.
    ids = ClientIdsRetired("", 0, (retired,) * (RETIRED_IDS_MAX + 1_101))
    entry = RecordRefusal(
        Origin(ID), ID, RequestKind.NEW, RejectReason.INVALID_PRICE, "t" * 1_000, ID,
        echo="e" * 10_000,
    )  # fmt: skip
    batch = Batch(Origin("fix:" + ID, token="f" * 64), ID, ID, BatchMode.INDEPENDENT, (entry,) * 50)
    for work, share in ((500, 16), (work_max, 2)):
        events = [*[fill, fill] * work, *[gone] * work, summary, ids]
        size = len(wire.encode_transaction(LARGEST, LARGEST, batch, events))
        assert size < wire.RECORD_BYTES_MAX // share
    assert wire.RECORD_BYTES_MAX * 16 <= wire.ENGINE_FRAME_BYTES_MAX


def test_a_subscriber_meets_the_largest_transaction_there_is(start: Start) -> None:
    """At the edges: the longest ids, 500 trades and the retirement of as many orders' ids."""
    engine = start(
        venue={"open_orders_max": 100_000, "closed_orders_kept": 1, "work_max": 10_000}
    )
    client, collector = engine.client(), Collector()
    for start_at in range(0, 12_000, 400):
        client.post(
            new_order(
                n, client_order_id=f"{n:064}", side=Side.SELL, price=10, account="bob",
                strategy="s" * 32, origin=Origin("api:" + "b" * 60),
            )
            for n in range(start_at, start_at + 400)
        )  # fmt: skip
    large = client.submit(sweep(12_000)).transaction
    assert sum(isinstance(event, OrderFilled) for event in large.events) == 20_000
    engine.client("reader").subscribe(large.seq, collector)
    collector.wait_for(large.seq)
    assert collector.transactions[0] == large
    (record,) = engine.local.read(large.seq, 1)
    assert len(record.body) < wire.RECORD_BYTES_MAX // 2
    client.close()


def child_answers(engine: EngineThread, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The pids of children that are asked for answers, as they begin."""
    begun: list[int] = []
    start_child = QueryChild.start

    def start(child: QueryChild, makers: Sequence[Callable[[], bytes]]) -> None:
        start_child(child, makers)
        begun.append(child._child)

    monkeypatch.setattr(QueryChild, "start", start)
    return begun


LARGE_QUERIES: list[queries.Query[Any]] = [
    queries.Check(),
    queries.StateHash(),
    queries.OpenOrders("bob"),
    queries.Holds("bob"),
    queries.AccountSnapshot("bob"),
]


@pytest.mark.parametrize("query", LARGE_QUERIES, ids=lambda query: query.name)
def test_a_large_query_is_answered_by_a_child_as_it_would_be_at_once(
    start: Start, monkeypatch: pytest.MonkeyPatch, query: queries.Query[Any]
) -> None:
    engine = start(**MANY)
    fill_book(engine, 2 * INLINE_ROWS + 4)
    client = engine.client()
    begun = child_answers(engine, monkeypatch)
    found = client.fetch(query)
    assert len(begun) == 1
    assert found.as_of_seq == engine.exchange.seq
    arguments = msgspec.to_builtins(query)
    answer = engine.sequencer._desk._queries.answer(query.name, arguments)
    assert wire.encode_value(found.value) == wire.encode_value(answer)
    assert client.fetch(queries.Order("bob", "o0")).value is not None
    assert len(begun) == 1, "a small one is answered at once"
    client.close()


def test_others_are_served_while_a_child_makes_an_answer(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child is held back until a command of another client has been done."""
    engine = start()
    release, held = os.pipe()
    os.set_inheritable(release, True)
    held_back = os.dup2(release, 2_000)  # Closed in the child only by the sweep of descriptors.
    client, other = engine.client(), engine.client("other")
    client.connect()
    begun = child_answers(engine, monkeypatch)
    reply: list[Any] = []
    sweep_of = os.closerange

    def closerange(low: int, high: int) -> None:
        if low <= held_back < high:
            os.read(held_back, 1)
        sweep_of(low, high)

    monkeypatch.setattr(os, "closerange", closerange)
    asker = threading.Thread(target=lambda: reply.append(client.fetch(queries.StateHash())))
    asker.start()
    until(lambda: bool(begun), "a child has begun")
    before = engine.exchange.seq
    done = other.submit(new_order("meanwhile")).transaction.seq
    assert not reply
    os.write(held, b"x")
    asker.join(pace.seconds(WAIT_S))
    assert reply[0].as_of_seq == before < done
    for descriptor in (release, held, held_back):
        os.close(descriptor)
    client.close()
    other.close()


def test_a_child_that_dies_is_told_to_those_who_asked(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = start()
    client = engine.client()
    client.connect()
    monkeypatch.setattr(Exchange, "state_hash", lambda exchange: os._exit(9))
    with pytest.raises(EngineRefused) as refused:
        client.fetch(queries.StateHash())
    assert refused.value.code == "internal"
    assert client.fetch(queries.Check()).value == []
    client.close()


def test_a_child_that_cannot_be_begun_is_told_to_those_who_asked(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = start()
    client = engine.client()
    client.connect()

    def fork() -> int:
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(os, "fork", fork)
    with pytest.raises(EngineRefused) as refused:
        client.fetch(queries.Check())
    assert refused.value.code == "internal"
    monkeypatch.undo()
    assert client.fetch(queries.Check()).value == []
    client.close()
