"""Copy SQLite files that are in use: each copy is the original as of one moment, and flushed."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Final

BUSY_S: Final = 10.0


def copy_database(source: Path, target: Path) -> None:
    """Copy a database as it is now, log included. Raises OSError or sqlite3.Error.

    The original may be written meanwhile; its writers are not delayed.
    """
    reading = sqlite3.connect(f"file:{source}?mode=ro", uri=True, timeout=BUSY_S)
    try:
        # Opened first, so that it is private from its first byte on.
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        writing = sqlite3.connect(target, timeout=BUSY_S)
        try:
            reading.backup(writing)
            # One file alone, which may be read where nothing can be written.
            writing.execute("PRAGMA journal_mode = DELETE")
        finally:
            writing.close()
    finally:
        reading.close()
    flush(target)


def copy_file(source: Path, target: Path) -> None:
    """Copy a file, privately and flushed."""
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as writing, source.open("rb") as reading:
        while piece := reading.read(1 << 20):
            writing.write(piece)
        writing.flush()
        os.fsync(writing.fileno())


def flush(path: Path) -> None:
    """Flush a file, or the names in a folder, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
