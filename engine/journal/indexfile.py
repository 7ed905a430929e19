"""The file of the indexes, ``index.db``, attached to the newest segment as ``idx``."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Final

INDEX_CACHE_KIB: Final = 65_536
"""Each create looks up its client order id among the retired ones, which are on random pages."""

_INDEX_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS idx.progress (last_seq INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS idx.marks (
    account TEXT NOT NULL, account_seq INTEGER NOT NULL, seq INTEGER NOT NULL,
    PRIMARY KEY (account, account_seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS idx.retired (
    account TEXT NOT NULL, client_order_id TEXT NOT NULL, seq INTEGER NOT NULL,
    body BLOB NOT NULL, PRIMARY KEY (account, client_order_id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS idx.waiting (
    number INTEGER PRIMARY KEY, seq INTEGER NOT NULL, body BLOB NOT NULL);
"""


def attach(connection: sqlite3.Connection, folder: Path) -> int:
    """Attach the file, creating it if it is missing; return the last seq that it covers."""
    path = folder / "index.db"
    connection.execute("ATTACH DATABASE ? AS idx", (str(path),))
    os.chmod(path, 0o600)
    connection.execute("PRAGMA idx.journal_mode = WAL")
    connection.execute("PRAGMA idx.synchronous = NORMAL")
    connection.execute(f"PRAGMA idx.cache_size = -{INDEX_CACHE_KIB}")
    for statement in _INDEX_SCHEMA.split(";"):
        if statement.strip():
            connection.execute(statement)
    if connection.execute("SELECT count(*) FROM idx.progress").fetchone() == (0,):
        connection.execute("INSERT INTO idx.progress VALUES (0)")
    return int(connection.execute("SELECT last_seq FROM idx.progress").fetchone()[0])
