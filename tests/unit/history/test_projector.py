"""The projector: exactly once, whatever dies; ledger rows that balance."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, func, select, update
from sqlalchemy.exc import OperationalError

from engine.core import events as ev
from engine.core.types import CancelReason, OrdStatus, Route, Side
from engine.history import projector as projector_module
from engine.history import queries, schema
from engine.history.fold import HistoryFault
from engine.history.postings import FEES_ACCOUNT, SETTLEMENT_ACCOUNT
from engine.history.projector import Projector, SchemaChanged
from engine.history.store import open_reader, open_writer
from tests.unit.history.by_hand import Journal, day, terms


def dump(engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    with engine.connect() as connection:
        return {
            table.name: sorted(tuple(row) for row in connection.execute(select(table)))
            for table in schema.metadata.sorted_tables
        }


@pytest.fixture
def writer(url: str) -> Any:
    engine = open_writer(url)
    yield engine
    engine.dispose()


@pytest.fixture
def reference(tmp_path: Any) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of the day, projected in one go into a database of its own."""
    engine = open_writer(f"sqlite:///{tmp_path / 'reference.db'}")
    Projector(engine).apply(day())
    rows = dump(engine)
    engine.dispose()
    return rows


def balances(connection: Connection) -> dict[tuple[str, str], tuple[int, int]]:
    return {
        (row.account, row.asset): (row.available, row.held)
        for row in connection.execute(select(schema.balances))
    }


def test_L1_ledger_lines_sum_to_zero_per_asset_and_transaction(writer: Engine) -> None:
    Projector(writer).apply(day())
    sums: dict[tuple[int, str], int] = defaultdict(int)
    with writer.connect() as connection:
        rows = connection.execute(select(schema.ledger)).all()
    for row in rows:
        sums[row.seq, row.asset] += row.available_change + row.held_change
    assert len(sums) > 5
    assert set(sums.values()) == {0}


def test_balances_follow_the_arithmetic_of_fills_holds_and_withdrawals(writer: Engine) -> None:
    Projector(writer).apply(day())
    with writer.connect() as connection:
        found = balances(connection)
    assert found == {
        # 10,000 less 1,400 paid, 1 fee, 100 transferred; the withdrawal came back whole.
        ("alice", "USD"): (10_000 - 1_400 - 1 - 100, 0),
        ("alice", "BTC"): (35, 0),
        ("bob", "USD"): (1_400 - 2 + 100, 0),
        ("bob", "BTC"): (1_000 - 35, 0),
        (FEES_ACCOUNT, "USD"): (3, 0),
        (SETTLEMENT_ACCOUNT, "USD"): (-10_000, 0),
        (SETTLEMENT_ACCOUNT, "BTC"): (-1_000, 0),
    }


def test_running_balance_of_each_line_is_the_sum_of_the_changes(writer: Engine) -> None:
    Projector(writer).apply(day())
    running: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    key = (schema.ledger.c.seq, schema.ledger.c.event_index, schema.ledger.c.line)
    with writer.connect() as connection:
        for row in connection.execute(select(schema.ledger).order_by(*key)):
            sums = running[row.account, row.asset]
            sums[0] += row.available_change
            sums[1] += row.held_change
            assert (row.available, row.held) == tuple(sums), row


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_any_batching_gives_the_same_rows(
    writer: Engine, reference: dict[str, Any], size: int
) -> None:
    transactions = day()
    projector = Projector(writer)
    for start in range(0, len(transactions), size):
        projector.apply(transactions[start : start + size])
    assert dump(writer) == reference


def test_killed_between_any_two_transactions_nothing_is_doubled(
    url: str, writer: Engine, reference: dict[str, Any]
) -> None:
    transactions = day()
    for number in range(1, len(transactions) + 1):
        engine = open_writer(url)
        # The new one knows nothing but the database, and the engine repeats the past.
        assert Projector(engine).last_seq == number - 1
        assert Projector(engine).apply(transactions[:number]) == number
        engine.dispose()
    assert dump(writer) == reference


def test_failure_within_a_commit_leaves_nothing_and_can_be_repeated(
    writer: Engine, reference: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    transactions = day()
    projector = Projector(writer)
    projector.apply(transactions[:6])
    before = dump(writer)
    real = projector_module.write_rows

    def fails_at_the_end(connection: Connection, rows: Any) -> None:
        real(connection, rows)
        raise OperationalError("INSERT", {}, Exception("disk full"))

    monkeypatch.setattr(projector_module, "write_rows", fails_at_the_end)
    with pytest.raises(OperationalError):
        projector.apply(transactions[6:])
    assert dump(writer) == before
    assert projector.last_seq == 6
    monkeypatch.setattr(projector_module, "write_rows", real)
    projector.apply(transactions[6:])
    assert dump(writer) == reference


def test_two_projectors_on_one_database_do_not_double(
    url: str, writer: Engine, reference: dict[str, Any]
) -> None:
    transactions = day()
    other_engine = open_writer(url)
    one, other = Projector(writer), Projector(other_engine)
    one.apply(transactions[:4])
    other.apply(transactions[:9])
    one.apply(transactions[4:])
    other.apply(transactions[9:])
    assert one.last_seq == other.last_seq == len(transactions)
    assert dump(writer) == reference
    other_engine.dispose()


def test_a_missing_transaction_stops_the_projector(writer: Engine) -> None:
    transactions = day()
    projector = Projector(writer)
    projector.apply(transactions[:3])
    with pytest.raises(HistoryFault, match="transaction 4 is missing before 5"):
        projector.apply(transactions[4:])
    with writer.connect() as connection:
        assert queries.last_seq(connection) == 3


def test_clear_and_rebuild_give_the_same_rows(writer: Engine, reference: dict[str, Any]) -> None:
    projector = Projector(writer)
    projector.apply(day())
    projector.clear()
    assert projector.last_seq == 0
    with writer.connect() as connection:
        assert connection.execute(select(func.count()).select_from(schema.ledger)).scalar() == 0
    projector.apply(day())
    assert dump(writer) == reference


def test_tables_of_another_version_are_refused_but_can_be_cleared(writer: Engine) -> None:
    Projector(writer)
    with writer.begin() as connection:
        connection.execute(update(schema.meta).values(schema_version=schema.SCHEMA_VERSION + 1))
    with pytest.raises(SchemaChanged, match="--rebuild"):
        Projector(writer)
    Projector(writer, any_version=True).clear()
    assert Projector(writer).last_seq == 0


def test_orders_end_as_their_events_say(writer: Engine, url: str) -> None:
    Projector(writer).apply(day())
    reader = open_reader(url)
    with reader.connect() as connection:
        found = queries.order(connection, ["alice"], client_order_id="a-1")
    reader.dispose()
    assert found is not None
    assert found.row.order.client_order_id == "a-2"
    assert found.row.order.first_client_order_id == "a-1"
    assert (found.row.status, found.row.leaves, found.row.cum) == (OrdStatus.CANCELED, 0, 7)
    assert (found.row.notional, found.row.fees, found.row.held) == (700, 1, 0)
    assert found.row.hold_asset == "USD"
    assert found.cancel_reason is CancelReason.REQUESTED
    assert found.seq == 10


def test_an_order_is_kept_with_its_third_parties_until_its_session_changes_them(
    writer: Engine, url: str
) -> None:
    north, south = Route("NORTH", "trader 7", "CRYPTO", "SPOT"), Route("SOUTH")
    journal = Journal()
    journal.transactions = day()
    entered = terms(9, "alice", "c-1", Side.BUY, route=north)
    journal.add(ev.OrderAccepted("alice", 20, entered, 10, 2000, 10))
    plain = terms(10, "alice", "c-2", Side.BUY)
    journal.add(ev.OrderAccepted("alice", 21, plain, 10, 2000, 10))
    projector = Projector(writer)
    projector.apply(journal.transactions)
    reader = open_reader(url)
    with reader.connect() as connection:
        found = queries.order(connection, ["alice"], order_id=9)
        bare = queries.order(connection, ["alice"], order_id=10)
    assert found is not None and found.row.order == entered
    assert bare is not None and bare.row.order == plain
    changed = entered._replace(client_order_id="c-3", route=south)
    before = len(journal.transactions)
    journal.add(
        ev.OrderReplaced(
            "alice", 22, changed, "c-1", OrdStatus.NEW, 10, 0, 0, True, "api:k", 0, 10
        )
    )
    projector.apply(journal.transactions[before:])
    with reader.connect() as connection:
        (found, _) = queries.orders(connection, ["alice"], status="open").rows
        columns = schema.orders.c
        row = connection.execute(
            select(columns.on_behalf_of_comp_id, columns.deliver_to_sub_id).where(
                columns.order_id == 9
            )
        ).one()
    reader.dispose()
    assert found.row.order == changed
    assert tuple(row) == ("SOUTH", "")
