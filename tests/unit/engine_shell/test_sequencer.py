"""The sequencer: one commit before anything is seen, duplicates, sessions, time, failure."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from benchmarks.apply import is_compiled
from engine.client import EngineRefused, EngineUnavailable, queries
from engine.core.commands import Batch, Deposit, OpenSession, SetDeadMansSwitch
from engine.core.events import OrderAccepted, OrderCanceled, OrderRejected
from engine.core.types import (
    BatchMode,
    CancelReason,
    CancelScope,
    Origin,
    RejectReason,
    RetiredId,
    Side,
)
from engine.journal.base import AccountMark, JournalFailed, Record
from engine.journal.local import LocalJournal
from engine.server.terms import Bounds, EngineStopped
from tests.support import pace
from tests.support.venue import SYMBOL
from tests.unit.engine_shell.harness import WAIT_S, Collector, Start, cancel, new_order


class FailingJournal:
    """A journal whose writes fail from a chosen batch on, as on a full disk."""

    def __init__(self, journal: LocalJournal) -> None:
        self._journal = journal
        self.failing = False

    def append(
        self,
        records: Sequence[Record],
        marks: Sequence[AccountMark],
        retired: Sequence[tuple[int, RetiredId]],
    ) -> None:
        if self.failing:
            raise JournalFailed("disk I/O error")
        self._journal.append(records, marks, retired)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)


def test_a_failed_commit_publishes_nothing_and_stops_the_engine(start: Start) -> None:
    journals: list[FailingJournal] = []

    def wrap(journal: LocalJournal) -> Any:
        journals.append(FailingJournal(journal))
        return journals[0]

    engine = start(wrap=wrap)
    client, collector = engine.client(), Collector()
    watcher = engine.client("watcher")
    watcher.subscribe(1, collector)
    acknowledged = client.submit(new_order(1)).transaction.seq
    collector.wait_for(acknowledged)
    journals[0].failing = True
    with pytest.raises(EngineUnavailable) as lost:
        client.submit(new_order(2))
    assert lost.value.outcome == "unknown"
    engine.thread.join(pace.seconds(WAIT_S))
    assert isinstance(engine.error, EngineStopped)
    assert engine.error.kind == "journal"
    assert collector.seqs[-1] == acknowledged
    engine.local.close()
    again = start()
    assert again.exchange.seq == acknowledged
    outcome = client.submit(new_order(2))
    assert not outcome.duplicate
    client.close()
    watcher.close()


@pytest.mark.skipif(is_compiled(), reason="a method of a compiled class cannot be replaced")
def test_an_exception_from_apply_stops_the_engine_and_publishes_nothing(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = start()
    client = engine.client()
    acknowledged = client.submit(new_order(1)).transaction.seq

    def broken(seq: int, time_us: int, command: object) -> list[Any]:
        raise RuntimeError("a bug")

    monkeypatch.setattr(engine.exchange, "apply", broken)
    with pytest.raises(EngineUnavailable):
        client.submit(new_order(2))
    engine.thread.join(pace.seconds(WAIT_S))
    assert isinstance(engine.error, EngineStopped)
    assert engine.error.kind == "fault"
    assert "NewOrder" in str(engine.error)
    engine.local.close()
    assert start().exchange.seq == acknowledged
    client.close()


def test_a_signed_request_sent_twice_is_answered_with_the_original(start: Start) -> None:
    engine = start()
    client = engine.client()
    order = new_order(1, origin=Origin("api:alice", token="t1", valid_until=2**60))
    first = client.submit(order)
    client.submit(new_order(2))
    again = client.submit(order)
    assert again.duplicate
    assert not first.duplicate
    assert again.transaction == first.transaction
    assert engine.local.last_seq == first.transaction.seq + 1
    client.close()


def test_a_duplicate_within_one_batch_gets_the_same_transaction(start: Start) -> None:
    engine = start()
    client = engine.client()
    order = new_order(1, origin=Origin("api:alice", token="t1", valid_until=2**60))
    outcomes: list[Any] = []
    threads = [
        threading.Thread(target=lambda: outcomes.append(client.submit(order))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(pace.seconds(WAIT_S))
    assert len({outcome.transaction.seq for outcome in outcomes}) == 1
    assert sorted(outcome.duplicate for outcome in outcomes) == [False] + [True] * 7
    client.close()


def test_I1_a_fix_message_below_the_mark_is_a_duplicate_without_a_journal_record(
    start: Start,
) -> None:
    engine = start()
    client = engine.client()
    session = Origin("fix:ALICE", 0, 5)
    last = client.submit(new_order(1, origin=session)).transaction.seq
    with pytest.raises(EngineRefused) as refused:
        client.submit(new_order(1, origin=session))
    assert refused.value.code == "duplicate"
    assert engine.local.last_seq == last
    client.close()


def test_a_session_whose_connection_dies_is_closed_by_the_engine(start: Start) -> None:
    engine = start()
    gateway, watcher, collector = engine.client("gateway"), engine.client("w"), Collector()
    watcher.subscribe(engine.exchange.seq + 1, collector)
    origin = Origin("fix:ALICE", 1)
    gateway.submit(OpenSession(origin, "alice", CancelScope.SESSION, 0))
    order = gateway.submit(new_order(1, origin=origin)).transaction
    gateway.close()
    collector.wait_for(order.seq + 1)
    events = collector.transactions[-1].events
    canceled = [event for event in events if isinstance(event, OrderCanceled)]
    assert [event.reason for event in canceled] == [CancelReason.DISCONNECT]
    row = watcher.fetch(queries.Session("fix:ALICE")).value
    assert row is not None
    assert not row.connected
    watcher.close()


def test_a_session_taken_over_by_a_new_connection_is_not_closed_by_the_old_ones_death(
    start: Start,
) -> None:
    engine = start()
    old, new = engine.client("old"), engine.client("new")
    opened = OpenSession(Origin("fix:ALICE"), "alice", CancelScope.SESSION, 0)
    old.submit(opened)
    new.submit(opened)
    old.close()
    row = new.fetch(queries.Session("fix:ALICE")).value
    assert row is not None
    assert row.connected
    last = new.submit(new_order(1)).transaction.seq
    assert new.fetch(queries.Status()).value.seq == last
    new.close()


def test_after_a_restart_open_sessions_get_their_grace_and_a_return_stops_it(
    start: Start,
) -> None:
    engine = start()
    client = engine.client()
    opened = OpenSession(Origin("fix:ALICE"), "alice", CancelScope.SESSION, 60_000_000)
    client.submit(opened)
    client.submit(new_order(1, origin=Origin("fix:ALICE")))
    engine.kill()
    again = start()
    other = again.client("other")
    closing = other.fetch(queries.Session("fix:ALICE")).value
    assert closing is not None
    assert not closing.connected
    assert closing.closes_at > 0
    other.submit(opened)
    opened_again = other.fetch(queries.Session("fix:ALICE")).value
    assert opened_again is not None
    assert opened_again.connected
    assert opened_again.closes_at == 0
    assert len(other.fetch(queries.OpenOrders("alice")).value) == 1
    client.close()
    other.close()


def test_a_timer_that_is_due_fires_without_any_traffic(start: Start) -> None:
    engine = start()
    client, collector = engine.client(), Collector()
    client.subscribe(engine.exchange.seq + 1, collector)
    client.submit(new_order(1))
    armed = client.submit(SetDeadMansSwitch(Origin("api:alice"), "alice", 50_000)).transaction
    collector.wait_for(armed.seq + 1)
    fired = collector.transactions[-1]
    assert fired.time_us >= armed.time_us + 50_000
    assert any(
        isinstance(event, OrderCanceled) and event.reason is CancelReason.DEAD_MAN_SWITCH
        for event in fired.events
    )
    client.close()


def test_time_never_goes_back(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = start()
    client = engine.client()
    before = client.submit(new_order(1)).transaction
    monkeypatch.setattr(engine.sequencer, "_clock", lambda: 1)
    after = client.submit(new_order(2)).transaction
    assert after.time_us == before.time_us
    client.close()


def test_a_query_may_wait_for_a_sequence_but_not_for_ever(start: Start) -> None:
    engine = start(bounds=Bounds(min_seq_wait_ms_max=100))
    client = engine.client()
    with pytest.raises(EngineRefused) as behind:
        client.fetch(queries.Balances("alice"), engine.exchange.seq + 1)
    assert behind.value.code == "behind"
    wanted = engine.exchange.seq + 1
    answers: list[Any] = []
    query = queries.Balances("alice")
    thread = threading.Thread(target=lambda: answers.append(client.fetch(query, wanted)))
    thread.start()
    client.submit(new_order(1))
    thread.join(pace.seconds(WAIT_S))
    assert answers[0].as_of_seq >= wanted
    client.close()


def test_I3_a_retired_client_order_id_is_refused_from_the_durable_index(start: Start) -> None:
    engine = start(venue={"closed_orders_kept": 1})
    client = engine.client()
    for number in range(600):
        client.post([new_order(number), cancel(number)])
    client.fetch(queries.Status())
    assert engine.local.find_retired("alice", "o0") is not None
    assert client.fetch(queries.Order("alice", "o0")).value is None
    (event,) = client.submit(new_order(0)).transaction.events
    assert isinstance(event, OrderRejected)
    assert event.reason is RejectReason.DUPLICATE_CLIENT_ORDER_ID
    entries = (new_order(1), new_order("new"))
    batch = Batch(Origin("api:alice"), "alice", "b1", BatchMode.INDEPENDENT, entries)
    events = client.submit(batch).transaction.events
    assert [type(event) for event in events[:2]] == [OrderRejected, OrderAccepted]
    engine.kill()
    again = start()
    (event,) = client.submit(new_order(2)).transaction.events
    assert isinstance(event, OrderRejected)
    again.kill()
    client.close()


def test_what_a_client_claims_to_be_prior_is_not_believed(start: Start) -> None:
    engine = start()
    client = engine.client()
    row = RetiredId("alice", "o1", 7, 2, 1, 1, 1)  # type: ignore[arg-type]
    transaction = client.submit(new_order(1, prior=row)).transaction
    assert transaction.command.prior is None
    assert isinstance(transaction.events[0], OrderAccepted)
    client.close()


def test_locate_finds_every_account_seq(start: Start) -> None:
    engine = start()
    client, collector = engine.client(), Collector()
    client.subscribe(1, collector)
    for number in range(400):
        client.post([new_order(number), cancel(number)])
        if number % 40 == 0:
            client.post([new_order(number, account="bob")])
    last = client.submit(new_order("last")).transaction.seq
    collector.wait_for(last)
    first: dict[tuple[str, int], int] = {}
    for transaction in collector.transactions:
        for event in transaction.events:
            if event.account_seq:
                first.setdefault((event.account, event.account_seq), transaction.seq)
    for (account, number), seq in list(first.items())[::7]:
        assert client.fetch(queries.Locate(account, number)).value == seq, (account, number)
    assert client.fetch(queries.Locate("alice", 10**6)).value == last + 1
    snapshot = client.fetch(queries.AccountSnapshot("alice")).value
    assert snapshot is not None
    assert snapshot.as_of_seq == last
    assert snapshot.account_seq == max(n for a, n in first if a == "alice")
    client.close()


def test_no_query_changes_the_state(start: Start) -> None:
    engine = start()
    client = engine.client()
    client.submit(new_order(1))
    client.submit(Deposit(Origin("operator:x"), "d1", "carol", "BTC", 5, "n", "", "", 0, 3))
    before = client.fetch(queries.StateHash()).value
    asked: list[queries.Query[Any]] = [
        queries.Assets(), queries.Networks(), queries.Instruments(), queries.InstrumentStates(),
        queries.Accounts("alice"), queries.Sessions(), queries.Session("fix:X"),
        queries.Status(), queries.Book(SYMBOL, 5), queries.Withdrawal("alice", 1),
        queries.Check(),
    ]  # fmt: skip
    for account in ("alice", "carol", "nobody"):
        asked += [
            queries.Balances(account), queries.Holds(account), queries.Deposits(account),
            queries.Withdrawals(account), queries.OpenOrders(account, firm_wide=True),
            queries.Order(account, "o1"), queries.AccountSnapshot(account),
        ]  # fmt: skip
    for query in asked:
        client.fetch(query)
    assert client.fetch(queries.StateHash()).value == before
    assert client.fetch(queries.AccountSnapshot("nobody")).value is None
    client.close()


def test_queries_tell_what_is_so(start: Start) -> None:
    engine = start()
    client = engine.client()
    order = client.submit(new_order(1, qty=3, price=7, strategy="s")).transaction
    pending = Deposit(Origin("operator:x"), "d1", "alice", "BTC", 5, "", "", "", 0, 3)
    client.submit(pending)
    usd = {row.asset: row for row in client.fetch(queries.Balances("alice")).value}["USD"]
    assert (usd.held, usd.posted - usd.available) == (21, 21)
    btc = {row.asset: row for row in client.fetch(queries.Balances("alice")).value}["BTC"]
    assert btc.pending == 5
    number = order.events[0].order.order_id  # type: ignore[union-attr]
    assert [(h.hold_id, h.asset, h.amount) for h in client.fetch(queries.Holds("alice")).value] == [
        (f"O{number}", "USD", 21)
    ]
    open_orders = queries.OpenOrders("alice2", firm_wide=True, side=Side.BUY, strategy="s")
    (row,) = client.fetch(open_orders).value
    assert (row.order.order_id, row.leaves, row.hold_asset) == (number, 3, "USD")
    assert client.fetch(queries.OpenOrders("alice", side=Side.SELL)).value == []
    assert client.fetch(queries.Order("bob", order_id=number)).value is None
    found = client.fetch(queries.Order("alice", order_id=number)).value
    assert found == row
    book = client.fetch(queries.Book(SYMBOL, 10)).value
    assert book is not None
    assert [tuple(level) for level in book.bids] == [(7, 3, 1)]
    assert client.fetch(queries.Book("NO-SUCH", 1)).value is None
    assert [d.deposit_id for d in client.fetch(queries.Deposits("alice")).value][-1] == "d1"
    assert client.fetch(queries.Transaction(order.seq)).value == order
    for query, arguments in (("nonsense", {}), ("book", {"depth": "x"}), ("order", {"bad": 1})):
        with pytest.raises(EngineRefused):
            client.ask(query, **arguments)
    with pytest.raises(EngineRefused):
        client.fetch(queries.Book(SYMBOL, 0))
    client.close()
