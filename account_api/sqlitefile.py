"""SQLite files that all processes of the account API share, readable by their owner alone."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Final

WAIT_S: Final = 5.0
"""How long others may keep a file to themselves."""
PAUSE_S: Final = 0.01


def open_private(path: str, *statements: str) -> sqlite3.Connection:
    """Open a file, made if it is not there, and run statements; ":memory:" is none.

    A commit is on disk when it returns. Transactions are the caller's, and so is the lock of
    those threads that share the connection. ``statements`` may be run more than once. Raises
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
                "pragma journal_mode = wal", "pragma synchronous = full", *statements,
            ):  # fmt: skip
                database.execute(statement)
        except sqlite3.Error as error:
            database.close()
            # To become WAL, or to be recovered as it, SQLite does not always wait for another
            # process that opens or closes the file at the same moment.
            if not _is_busy(error) or time.monotonic() > deadline:
                raise
        else:
            return database
        time.sleep(PAUSE_S)


def _is_busy(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF == sqlite3.SQLITE_BUSY
