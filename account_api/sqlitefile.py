"""SQLite files that all processes of the account API share, readable by their owner alone."""

from __future__ import annotations

import sqlite3
from pathlib import Path


def open_private(path: str, *statements: str) -> sqlite3.Connection:
    """Open a file, made if it is not there, and run statements; ":memory:" is none.

    A commit is on disk when it returns. Transactions are the caller's, and so is the lock of
    those threads that share the connection. Raises sqlite3.Error and OSError.
    """
    if path != ":memory:":
        file = Path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
    database = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)
    database.execute("pragma journal_mode = wal")
    database.execute("pragma synchronous = full")
    for statement in statements:
        database.execute(statement)
    return database
