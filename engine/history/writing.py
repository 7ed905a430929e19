"""Writing collected rows, one statement per table.

Statements are made by SQLAlchemy once for each table and database; the rows then go straight
to the driver, which is about twice as fast as letting SQLAlchemy process every value. The two
tables with the most rows get tuples in the order of their columns.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import cache
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import Connection, Table, insert
from sqlalchemy.dialects import postgresql, sqlite

from engine.history import schema
from engine.history.fold import Rows, SqlRow

_FIRST_SEEN: Final = frozenset(("first_seq", "first_index"))
_DIALECTS: Final[dict[str, Any]] = {"sqlite": sqlite, "postgresql": postgresql}


def write_rows(connection: Connection, rows: Rows) -> None:
    """Write collected rows, one statement per table."""
    _write_tuples(connection, schema.ledger, rows.ledger)
    _write_tuples(connection, schema.fills, rows.fills)
    _write(connection, _insert, schema.trades, rows.trades)
    _write(connection, _insert, schema.transfers, rows.transfers)
    _write(connection, _insert, schema.money_events, rows.money_events)
    _write(connection, _upsert, schema.assets, rows.assets.values())
    _write(connection, _upsert, schema.instruments, rows.instruments.values())
    _write(connection, _upsert, schema.accounts, rows.accounts.values())
    _write(connection, _upsert, schema.balances, rows.balances.values())
    _write(connection, _upsert, schema.orders, rows.orders.values())
    _write(connection, _upsert, schema.client_ids, rows.client_ids.values())
    _write(connection, _upsert, schema.candles, rows.candles.values())
    _write(connection, _upsert, schema.deposits, rows.deposits.values())
    _write(connection, _upsert, schema.withdrawals, rows.withdrawals.values())


def _write(
    connection: Connection,
    make: Callable[[Table, str], Any],
    table: Table,
    rows: Collection[SqlRow],
) -> None:
    if not rows:
        return
    wide = _wide_columns(table)
    if wide:
        rows = [row | {name: str(row[name]) for name in wide} for row in rows]
    text, values = _compiled(make, table, connection.dialect.name)
    connection.exec_driver_sql(text, list(map(values, rows)))


def _write_tuples(connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows that have the order of the table's columns already."""
    if rows:
        connection.exec_driver_sql(_compiled(_insert, table, connection.dialect.name)[0], rows)


@cache
def _wide_columns(table: Table) -> tuple[str, ...]:
    """Return the columns whose integers may have any size."""
    return tuple(
        column.name for column in table.columns if isinstance(column.type, schema.WideInteger)
    )


@cache
def _compiled(
    make: Callable[[Table, str], Any], table: Table, backend: str
) -> tuple[str, Callable[[SqlRow], tuple[Any, ...]]]:
    """Return a statement in the driver's form, and what takes its values out of a row."""
    dialect = _DIALECTS[backend].dialect()
    if backend == "postgresql":
        dialect.paramstyle, dialect.positional = "format", True
    names = [column.name for column in table.columns]
    compiled = make(table, backend).compile(dialect=dialect, column_keys=names)
    assert compiled.positiontup == names, f"the values of {table.name} have another order"
    return str(compiled), itemgetter(*names)


def _insert(table: Table, backend: str) -> Any:
    return insert(table)


def _upsert(table: Table, backend: str) -> Any:
    """Insert rows, or update them by primary key; columns about the first occurrence are kept."""
    statement = _DIALECTS[backend].insert(table)
    keys = [column.name for column in table.primary_key]
    changes = {
        column.name: statement.excluded[column.name]
        for column in table.columns
        if column.name not in keys and column.name not in _FIRST_SEEN
    }
    return statement.on_conflict_do_update(index_elements=keys, set_=changes)
