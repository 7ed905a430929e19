"""SQLite files that all processes of the account API share, readable only by their owner."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

WAIT_S: Final = 5.0
"""How long to wait while other processes lock a file."""
PAUSE_S: Final = 0.01


def open_private(
    path: str, *statements: str, log: Literal["wal", "truncate"] = "wal"
) -> sqlite3.Connection:
    """Open a file, created if missing, and run statements; ":memory:" is no file.

    ``log`` is SQLite's journal mode. With "wal" readers and a writer do not wait for each other,
    but two more files are created when the first process opens it, even to read. With "truncate"
    an existing file can be read on a full disk.

    A commit is on disk when it returns. Transactions are up to the caller, and so is a lock for
    threads that share the connection. ``statements`` may be run more than once. Raises
    sqlite3.Error and OSError.
    """
    if path != ":memory:":
        file = Path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
    deadline = time.monotonic() + WAIT_S
    while True:
        database = sqlite3.connect(
            path, timeout=WAIT_S, isolation_level=None, check_same_thread=False
        )
        try:
            for statement in (
                f"pragma journal_mode = {log}", "pragma synchronous = full", *statements,
            ):  # fmt: skip
                database.execute(statement)
        except sqlite3.Error as error:
            database.close()
            # To change the journal mode, or to recover, SQLite does not always wait for another
            # process that opens or closes the file at the same moment.
            if not _is_busy(error) or time.monotonic() > deadline:
                raise
        else:
            return database
        time.sleep(PAUSE_S)


def _is_busy(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF == sqlite3.SQLITE_BUSY


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """Run the block as one writing transaction; after any error nothing of it is stored."""
    database.execute("begin immediate")
    try:
        yield
    except BaseException:
        database.execute("rollback")
        raise
    database.execute("commit")
