"""Writing collected rows, a few statements per commit.

Statements are made once for each table and database, and rows go straight to the driver. New rows
are tuples in the order of the columns that a statement names: SQLite inserts them with one prepared
statement, PostgreSQL takes them by COPY. Stored orders are updated in the columns that change,
without being read: from a temporary table on PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cache
from operator import itemgetter
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import OperationalError

from engine.core.types import Route
from engine.history import schema
from engine.history.collected import STATE, TERMS, Rows, SqlRow
from engine.history.rows import Fill, LedgerEntry, PublicTrade

Tuples = Collection[tuple[Any, ...]]

_FIRST_SEEN: Final = frozenset(("first_seq", "first_index"))
_DIALECTS: Final[dict[str, Any]] = {"sqlite": sqlite, "postgresql": postgresql}
_TERMS: Final = (*TERMS, *Route._fields)
_IDS: Final = ("account", "client_order_id", "order_id")
_NEVER_AMENDED: Final = frozenset(("order_id", "account", "symbol", "first_client_order_id"))


class MissingOrder(LookupError):
    """An order that changed is not stored."""


class _Update(NamedTuple):
    """An update of stored orders: ``columns`` are those of its rows, the last one the order's id.

    ``added`` are increased by their value, ``once`` are set if it is true.
    """

    name: str
    columns: tuple[str, ...]
    kept: frozenset[str] = frozenset()
    added: frozenset[str] = frozenset()
    once: frozenset[str] = frozenset()


_STATES: Final = _Update(
    "new_states", (*STATE, "order_id"), added=frozenset(("fees", "held")),
    once=frozenset(("triggered",)),
)  # fmt: skip
_AMENDED: Final = _Update("new_terms", (*_TERMS[1:], "order_id"), kept=_NEVER_AMENDED)


def write_rows(connection: Connection, rows: Rows) -> None:
    """Write collected rows. Raises MissingOrder."""
    insert, update, name_ids = (
        (_copy, _update_from, _name_from)
        if connection.dialect.name == "postgresql"
        else (_insert_many, _update_many, _name_many)
    )
    new, states = rows.orders, rows.states
    insert(connection, schema.ledger, LedgerEntry._fields, rows.ledger)
    insert(connection, schema.fills, Fill._fields, rows.fills)
    insert(connection, schema.trades, PublicTrade._fields, rows.trades)
    insert(
        connection, schema.orders, (*_TERMS, "hold_asset", "first_seq", *STATE),
        [(*terms, *states[order_id]) for order_id, terms in new.items()],
    )  # fmt: skip
    update(
        connection, _STATES,
        [(*state, order_id) for order_id, state in states.items() if order_id not in new],
    )  # fmt: skip
    update(connection, _AMENDED, [(*terms[1:], key) for key, terms in rows.amended.items()])
    name_ids(connection, [(*key, order_id) for key, order_id in rows.client_ids.items()])
    _write(connection, _insert, schema.transfers, rows.transfers)
    _write(connection, _insert, schema.money_events, rows.money_events)
    _write(connection, _upsert, schema.assets, rows.assets.values())
    _write(connection, _upsert, schema.instruments, rows.instruments.values())
    _write(connection, _upsert, schema.accounts, rows.accounts.values())
    _write(
        connection, _upsert, schema.balances,
        [
            {"account": account, "asset": asset, "available": available, "held": held}
            for (account, asset), (available, held) in rows.balances.items()
        ],
    )  # fmt: skip
    _write(connection, _upsert, schema.candles, rows.candles.values())
    _write(connection, _upsert, schema.deposits, rows.deposits.values())
    _write(connection, _upsert, schema.withdrawals, rows.withdrawals.values())


# SQLite


def _insert_many(
    connection: Connection, table: Table, columns: Sequence[str], rows: Tuples
) -> None:
    if rows:
        _run_many(connection, _insert_text(table, tuple(columns)), rows)


def _update_many(connection: Connection, update: _Update, rows: Tuples) -> None:
    if rows:
        changed = _run_many(connection, _update_text(update), rows)
        _check_all(changed, rows)


def _name_many(connection: Connection, rows: Tuples) -> None:
    if rows:
        text = _insert_text(schema.client_ids, _IDS).replace("INSERT", "INSERT OR REPLACE", 1)
        _run_many(connection, text, rows)


def _run_many(connection: Connection, text: str, rows: Tuples) -> int:
    """Run a statement for each row; return how many rows it changed."""
    changed: int = connection.exec_driver_sql(text, rows).rowcount  # type: ignore[arg-type]
    return changed


@cache
def _insert_text(table: Table, columns: tuple[str, ...]) -> str:
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    return f"INSERT INTO {table.name} ({names}) VALUES ({marks})"


@cache
def _update_text(update: _Update) -> str:
    # Numbered, as what is kept has a value in the rows as well.
    changes = _changes(update, {name: f"?{at}" for at, name in enumerate(update.columns, 1)})
    return f"UPDATE orders SET {changes} WHERE order_id = ?{len(update.columns)}"


def _changes(update: _Update, values: dict[str, str]) -> str:
    """Return what an update sets; ``values`` are the expressions of its columns."""
    parts = []
    for name in update.columns[:-1]:
        if name in update.added:
            parts.append(f"{name} = orders.{name} + {values[name]}")
        elif name in update.once:
            parts.append(f"{name} = orders.{name} OR {values[name]}")
        elif name not in update.kept:
            parts.append(f"{name} = {values[name]}")
    return ", ".join(parts)


def _check_all(changed: int, rows: Tuples) -> None:
    if changed != len(rows):
        raise MissingOrder(f"of {len(rows)} orders that changed {changed} are stored")


# PostgreSQL


def _copy(connection: Connection, table: Table, columns: Sequence[str], rows: Tuples) -> None:
    if rows:
        _copy_into(connection, table.name, columns, rows)


def _update_from(connection: Connection, update: _Update, rows: Tuples) -> None:
    if rows:
        _stage(connection, update.name, "orders", update.columns, rows)
        changes = _changes(update, {name: f"n.{name}" for name in update.columns})
        changed = connection.exec_driver_sql(
            f"UPDATE orders SET {changes} FROM {update.name} n WHERE orders.order_id = n.order_id"
        ).rowcount
        _check_all(changed, rows)


def _name_from(connection: Connection, rows: Tuples) -> None:
    if rows:
        _stage(connection, "new_client_ids", "client_ids", _IDS, rows)
        names = ", ".join(_IDS)
        connection.exec_driver_sql(
            f"INSERT INTO client_ids ({names}) SELECT {names} FROM new_client_ids "
            "ON CONFLICT (account, client_order_id) DO UPDATE SET order_id = excluded.order_id"
        )


def _stage(
    connection: Connection, name: str, like: str, columns: Sequence[str], rows: Tuples
) -> None:
    """Fill a temporary table with columns of another, which the next commit empties."""
    connection.exec_driver_sql(
        f"CREATE TEMPORARY TABLE IF NOT EXISTS {name} ON COMMIT DELETE ROWS "
        f"AS SELECT {', '.join(columns)} FROM {like} LIMIT 0"
    )
    _copy_into(connection, name, columns, rows)


def _copy_into(
    connection: Connection, name: str, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]
) -> None:
    driver: Any = connection.connection.driver_connection
    text = f"COPY {name} ({', '.join(columns)}) FROM STDIN"
    try:
        with driver.cursor() as cursor, cursor.copy(text) as copy:
            for row in rows:
                copy.write_row(row)
    except _psycopg_error() as error:
        # As SQLAlchemy raises it for its own statements.
        raise OperationalError(text, None, error) from error


@cache
def _psycopg_error() -> type[Exception]:
    """Return the base class of the driver's errors; the driver is not always installed."""
    import psycopg

    return psycopg.Error


# Tables with few rows


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
    return _DIALECTS[backend].insert(table)


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
