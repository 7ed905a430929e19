"""Writes the read model: transactions in, rows out, exactly once.

The sequence of the newest transaction is stored in the same SQL transaction as its rows, so
that after any failure the next start continues where the rows end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, Engine, func, insert, inspect, select, tuple_, update

from engine.history import schema
from engine.history.conversion import CONVERTED_VERSION, convert
from engine.history.decoding import Happened
from engine.history.fold import Fold, HistoryFault
from engine.history.postings import Pair
from engine.history.store import StoreError
from engine.history.writing import MissingOrder, write_rows

TRANSACTIONS_PER_COMMIT_MAX: Final = 2_000


class SchemaChanged(StoreError):
    """The stored tables are of another version; only a rebuild from the journal helps."""


class Projector:
    """The one writer of a history. ``last_seq`` is the newest transaction it contains, and
    ``last_time_us`` its time.

    Not thread-safe. After an exception nothing of the failed call is stored, and the
    projector can be used again.
    """

    def __init__(self, engine: Engine, *, any_version: bool = False) -> None:
        """Raises SchemaChanged, unless ``any_version`` is set because ``clear`` follows."""
        self._engine = engine
        self._fold = Fold()
        self._fold_is_current = False
        self.last_seq = self.last_time_us = 0
        self.transactions = self.commits = 0
        """Counted since the start."""
        self._prepare(any_version)

    def apply(self, transactions: Sequence[Happened]) -> int:
        """Store the rows of the transactions; skip those already contained.

        Returns the new ``last_seq``. Raises HistoryFault if a transaction is missing.
        """
        for start in range(0, len(transactions), TRANSACTIONS_PER_COMMIT_MAX):
            self._apply_once(transactions[start : start + TRANSACTIONS_PER_COMMIT_MAX])
        return self.last_seq

    def clear(self) -> None:
        """Delete everything, tables included, to rebuild from transaction 1."""
        self._fold_is_current = False
        with self._engine.begin() as connection:
            schema.metadata.drop_all(connection)
            _create(connection)
        self.last_seq = self.last_time_us = 0

    def _prepare(self, any_version: bool) -> None:
        with self._engine.begin() as connection:
            if not inspect(connection).has_table(schema.meta.name):
                _create(connection)
            version = connection.execute(select(schema.meta.c.schema_version)).scalar_one()
            if version == CONVERTED_VERSION and not any_version:
                convert(connection)
                version = schema.SCHEMA_VERSION
            if version != schema.SCHEMA_VERSION and not any_version:
                raise SchemaChanged(
                    f"the history has tables of version {version}, this program makes version "
                    f"{schema.SCHEMA_VERSION}; rebuild it with "
                    "python -m engine.history.main --rebuild"
                )
            if version == schema.SCHEMA_VERSION:
                schema.money_events.create(connection, checkfirst=True)
            self.last_seq, self.last_time_us = _position(connection)

    def _apply_once(self, transactions: Sequence[Happened]) -> None:
        current, self._fold_is_current = self._fold_is_current, False
        with self._engine.begin() as connection:
            stored, time_us = _position(connection)
            if not current or stored != self.last_seq:
                # The first time, after a failure, or when another projector was at work.
                self._fold = load_fold(connection)
            fresh = [each for each in transactions if each.seq > stored]
            for expected, transaction in enumerate(fresh, stored + 1):
                if transaction.seq != expected:
                    raise HistoryFault(
                        f"transaction {expected} is missing before {transaction.seq}"
                    )
            if fresh:
                for transaction in fresh:
                    self._fold.apply(transaction)
                try:
                    write_rows(connection, self._fold.take())
                except MissingOrder as error:
                    raise HistoryFault(f"an order was never accepted: {error}") from error
                last = fresh[-1]
                connection.execute(
                    update(schema.meta).values(last_seq=last.seq, last_time_us=last.time_us)
                )
                stored, time_us = last.seq, last.time_us
                self.transactions += len(fresh)
                self.commits += 1
        self.last_seq, self.last_time_us = stored, time_us
        self._fold_is_current = True


def load_fold(connection: Connection) -> Fold:
    """Load the state on which rows depend from the tables."""
    fold = Fold()
    table = schema.instruments
    for row in connection.execute(select(table.c.symbol, table.c.base, table.c.quote)):
        fold.pairs[row.symbol] = Pair(row.base, row.quote)
    for row in connection.execute(select(schema.balances)):
        fold.balances[row.account, row.asset] = [row.available, row.held]
    candles = schema.candles
    newest = select(candles.c.symbol, candles.c.interval_us, func.max(candles.c.start_us)).group_by(
        candles.c.symbol, candles.c.interval_us
    )
    key = tuple_(candles.c.symbol, candles.c.interval_us, candles.c.start_us)
    for row in connection.execute(select(candles).where(key.in_(newest))):
        fold.candles[row.symbol, row.interval_us] = dict(row._mapping)
    return fold


def _create(connection: Connection) -> None:
    schema.metadata.create_all(connection)
    connection.execute(
        insert(schema.meta),
        {"id": 1, "schema_version": schema.SCHEMA_VERSION, "last_seq": 0, "last_time_us": 0},
    )


def _position(connection: Connection) -> tuple[int, int]:
    """Return the stored sequence and its time, locked until the end of the SQL transaction."""
    columns = (schema.meta.c.last_seq, schema.meta.c.last_time_us)
    row = connection.execute(select(*columns).with_for_update()).one()
    return row.last_seq, row.last_time_us
