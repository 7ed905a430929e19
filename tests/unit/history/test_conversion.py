"""The history of the version before: it becomes one of this version with every row it has."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Index,
    MetaData,
    Table,
    Text,
    insert,
    inspect,
    select,
    update,
)

from engine.history import queries, schema
from engine.history.conversion import CONVERTED_VERSION
from engine.history.projector import Projector
from engine.history.store import open_writer
from tests.unit.history.by_hand import day
from tests.unit.history.test_projector import dump

STORED = 8
"""Transactions of the day that the earlier version wrote."""


@pytest.fixture
def writer(url: str) -> Any:
    engine = open_writer(url)
    yield engine
    engine.dispose()


def go_back(connection: Connection) -> None:
    """Give the tables the keys and indexes that version 4 had."""
    earlier = MetaData()
    for table, key in (
        (schema.ledger, ("seq", "event_index", "line")),
        (schema.client_ids, ("account", "client_order_id")),
    ):
        rows = [dict(row._mapping) for row in connection.execute(select(table))]
        table.drop(connection)
        kinds = {Text: Text, BigInteger: BigInteger}
        columns = [
            Column(
                column.name,
                kinds[Text if column.type.python_type is str else BigInteger],
                primary_key=column.name in key, nullable=False, autoincrement=False,
            )
            for column in table.columns
        ]  # fmt: skip
        before = Table(table.name, earlier, *columns)
        if table is schema.ledger:
            Index("ledger_by_account", before.c.account, before.c.seq)
            Index("ledger_by_account_asset", before.c.account, before.c.asset, before.c.seq)
        before.create(connection)
        if rows:
            connection.execute(insert(before), rows)
    connection.exec_driver_sql("CREATE INDEX orders_open ON orders (account, open, order_id)")
    connection.execute(update(schema.meta).values(schema_version=CONVERTED_VERSION))


def names(engine: Engine) -> set[str]:
    """Every index and key that there is, with its columns."""
    found = inspect(engine)
    shapes = set()
    for table in found.get_table_names():
        shapes |= {f"{i['name']} {i['column_names']}" for i in found.get_indexes(table)}
        shapes.add(f"{table} {found.get_pk_constraint(table)['constrained_columns']}")
    return shapes


def test_the_tables_of_the_version_before_are_converted_with_all_rows(
    writer: Engine, url: str
) -> None:
    Projector(writer).apply(day()[:STORED])
    rows, shapes = dump(writer), names(writer)
    assert rows["ledger"] and rows["client_ids"]
    with writer.begin() as connection:
        go_back(connection)
    assert names(writer) != shapes
    projector = Projector(writer)
    assert projector.last_seq == STORED
    assert (dump(writer), names(writer)) == (rows, shapes)
    # It goes on, and who asks gets what was before and after.
    projector.apply(day()[STORED:])
    with writer.connect() as connection:
        page = queries.ledger(connection, ["alice", "bob"], limit=1000).rows
        places = [(row.seq, row.event_index, row.line) for row in page]
    assert places == sorted(places) and places[0][0] < STORED < places[-1][0]


def test_a_conversion_that_fails_leaves_everything_as_it_was(
    writer: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    Projector(writer).apply(day()[:STORED])
    with writer.begin() as connection:
        go_back(connection)
    rows, shapes = dump(writer), names(writer)

    def fails(*_: Any) -> Any:
        raise RuntimeError("out of room")

    monkeypatch.setattr("engine.history.conversion.update", fails)
    with pytest.raises(RuntimeError, match="out of room"):
        Projector(writer)
    assert (dump(writer), names(writer)) == (rows, shapes)
