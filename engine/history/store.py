"""Opening the history's database: SQLite by default, PostgreSQL by URL."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, make_url

BUSY_TIMEOUT_MS: Final = 5_000
CHECKPOINT_PAGES: Final = 8_000
"""Of 4 KiB: the log beside the file grows to 32 MiB."""
POSTGRESQL_BOUNDS: Final = {"connect_timeout": "3", "tcp_user_timeout": "5000"}
"""Seconds for a connection, and milliseconds for what was sent on it: without them whoever asks a
machine that is gone waits for minutes. A URL may say otherwise."""


class StoreError(RuntimeError):
    """The history's database cannot be used; the message says which and why."""


def open_writer(url: str | URL) -> Engine:
    """Open for the projector. On SQLite a transaction takes the write lock at its start."""
    return _open(url, read_only=False)


def open_reader(url: str | URL) -> Engine:
    """Open for queries; nothing can be written through it. Readers never block the writer."""
    return _open(url, read_only=True)


def _open(url: str | URL, *, read_only: bool) -> Engine:
    address = make_url(url)
    backend = address.get_backend_name()
    if backend == "sqlite":
        engine = create_engine(address)
        _prepare_sqlite(engine, read_only=read_only)
        return engine
    if backend == "postgresql":
        try:
            return _open_postgresql(address, read_only=read_only)
        except ModuleNotFoundError:
            raise StoreError(
                "a history in PostgreSQL needs the package psycopg; install tandem-venue[postgres]"
            ) from None
    raise StoreError(f"history.url names {backend}; sqlite:///path or postgresql://… would do")


def _open_postgresql(address: URL, *, read_only: bool) -> Engine:
    # One statement after another in a page must see one state, as in SQLite.
    bounds = {k: v for k, v in POSTGRESQL_BOUNDS.items() if k not in address.query}
    engine = create_engine(
        address.set(drivername="postgresql+psycopg").update_query_dict(bounds),
        isolation_level="REPEATABLE READ" if read_only else "READ COMMITTED",
        pool_pre_ping=True,
    )
    if read_only:

        @event.listens_for(engine, "begin")
        def begin(connection: Any) -> None:
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")

    return engine


def _prepare_sqlite(engine: Engine, *, read_only: bool) -> None:
    @event.listens_for(engine, "connect")
    def connect(connection: Any, _record: Any) -> None:
        # The driver must not begin transactions by itself: it would begin them late.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        if read_only:
            cursor.execute("PRAGMA query_only=ON")
        else:
            # NORMAL may lose the newest transactions in a power cut, whole ones, together
            # with their mark; the projector then takes them from the journal again.
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA synchronous=NORMAL")
            # With SQLite's own thousand pages nearly every commit of a busy venue would copy
            # the same pages into the file again, and flush it.
            cursor.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
        cursor.close()

    statement = "BEGIN" if read_only else "BEGIN IMMEDIATE"

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql(statement)
