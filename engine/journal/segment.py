"""One segment of the local journal: a sqlite file with a meta row and the records.

A segment is named after its first seq. Its meta row holds the format, the engine version that
wrote it, and the crc with which the segment before it ended. Specified in spec/JOURNAL.md.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple
from zlib import crc32

from engine.journal import trouble, wal
from engine.journal.base import JournalCorrupt, JournalError, JournalFailed, Record
from engine.journal.trouble import DAMAGE

FORMAT: Final = 1
SUFFIX: Final = ".segment"
PAGE_BYTES: Final = 16_384
AUTOCHECKPOINT_PAGES: Final = 128
"""The commit that fills the log with so many pages copies them into the segment, and everybody
waits for it: 2 MiB take a few milliseconds, sqlite's usual 1,000 pages (16 MiB) more than ten."""
BUSY_S: Final = 5.0

_SCHEMA: Final = """
CREATE TABLE meta (
    format INTEGER NOT NULL, engine_version TEXT NOT NULL, first_seq INTEGER NOT NULL,
    previous_crc INTEGER NOT NULL, checksum INTEGER NOT NULL);
CREATE TABLE records (seq INTEGER PRIMARY KEY, crc INTEGER NOT NULL, body BLOB NOT NULL);
"""


class SegmentMeta(NamedTuple):
    """The meta row: ``previous_crc`` is the crc of record ``first_seq`` - 1."""

    format: int
    engine_version: str
    first_seq: int
    previous_crc: int

    def checksum(self) -> int:
        """Return the checksum that protects the row itself."""
        return crc32(repr(tuple(self)).encode())


def segment_path(folder: Path, first_seq: int) -> Path:
    """Return the path of the segment that begins with ``first_seq``."""
    return folder / f"{first_seq:020d}{SUFFIX}"


def segment_paths(folder: Path) -> list[Path]:
    """Return every segment in the folder, oldest first.

    Raises OSError if the folder may not be read: a glob would find nothing there, and an audit
    has no findings in an empty folder.
    """
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    return sorted(folder / name for name in names if name.endswith(SUFFIX))


def open_reading(path: Path) -> sqlite3.Connection:
    """Return a read-only connection. Raises JournalCorrupt if the file is not a database."""
    try:
        connection = sqlite3.connect(
            f"file:{path}?mode=ro", uri=True, timeout=BUSY_S, isolation_level=None,
            check_same_thread=False,
        )  # fmt: skip
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except DAMAGE as error:
        raise _unreadable(error, path) from error
    return connection


def _unreadable(error: Exception, path: Path) -> JournalError:
    return trouble.of_reading(error, f"segment {path.name} cannot be read", path.parent)


def open_writing(path: Path, flushed: bool = True) -> sqlite3.Connection:
    """Return a connection with the journal's durability settings: WAL, flushed at every commit.

    Without ``flushed`` a commit reaches the kernel only, and the disk with the next checkpoint.
    It is used by one thread at a time, which need not be the one that opened it.
    """
    connection = sqlite3.connect(
        path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
    )
    os.chmod(path, 0o600)
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        connection.close()
        raise JournalError(f"the file system of {path.parent} does not support sqlite's WAL")
    connection.execute(f"PRAGMA synchronous = {'FULL' if flushed else 'NORMAL'}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {AUTOCHECKPOINT_PAGES}")
    return connection


def create_segment(path: Path, meta: SegmentMeta, flushed: bool = True) -> sqlite3.Connection:
    """Create an empty segment durably, including its directory entry."""
    connection = open_writing(path, flushed)
    connection.execute("BEGIN IMMEDIATE")
    for statement in _SCHEMA.split(";"):
        if statement.strip():
            connection.execute(statement)
    connection.execute(
        "INSERT INTO meta VALUES (?, ?, ?, ?, ?)", (*meta, meta.checksum())
    )
    connection.execute("COMMIT")
    sync_folder(path.parent)
    return connection


def sync_folder(folder: Path) -> None:
    """Make created, renamed and removed names of a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Create a folder for this user only; its name survives a power loss."""
    missing = [folder]
    while not missing[-1].parent.exists():
        missing.append(missing[-1].parent)
    for path in reversed(missing):
        if not path.exists():
            path.mkdir(mode=0o700, exist_ok=True)
            sync_folder(path.parent)


def flush(path: Path) -> None:
    """Bring a segment and its log from the kernel onto the disk; any thread may. Raises OSError."""
    for file in (wal.wal_path(path), path):
        try:
            descriptor = os.open(file, os.O_RDONLY)
        except FileNotFoundError:
            continue
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def has_meta(connection: sqlite3.Connection, path: Path) -> bool:
    """Return False for a segment whose creation was interrupted. Raises JournalFailed.

    A full or failing disk is not evidence that the segment is empty.
    """
    try:
        rows = connection.execute("SELECT name FROM sqlite_master").fetchall()
        return ("meta",) in rows
    except DAMAGE as error:
        found = _unreadable(error, path)
        if isinstance(found, JournalFailed):
            raise found from error
        return False


def is_whole(path: Path) -> bool:
    """Return False for a segment whose creation was interrupted. Raises JournalFailed."""
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
    try:
        return has_meta(connection, path) or path.stat().st_size > 2 * PAGE_BYTES
    finally:
        connection.close()


def read_meta(connection: sqlite3.Connection, path: Path) -> SegmentMeta:
    """Return the meta row, checked. Raises JournalCorrupt or JournalError (unknown format)."""
    try:
        rows = connection.execute(
            "SELECT format, engine_version, first_seq, previous_crc, checksum FROM meta"
        ).fetchall()
    except DAMAGE as error:
        what = f"segment {path.name} has no readable meta row"
        raise trouble.of_reading(error, what, path.parent) from error
    if len(rows) != 1:
        raise JournalCorrupt(f"segment {path.name} has {len(rows)} meta rows instead of one")
    *values, checksum = rows[0]
    meta = SegmentMeta(*values)
    if meta.checksum() != checksum or segment_path(path.parent, meta.first_seq) != path:
        raise JournalCorrupt(f"the meta row of segment {path.name} is not what was written")
    if meta.format != FORMAT:
        raise JournalError(
            f"segment {path.name} has format {meta.format}, this version reads {FORMAT}"
        )
    return meta


def last_record(connection: sqlite3.Connection, meta: SegmentMeta, path: Path) -> tuple[int, int]:
    """Return (seq, crc) of the newest record, or of the one before an empty segment."""
    try:
        row = connection.execute(
            "SELECT seq, crc FROM records ORDER BY seq DESC LIMIT 1"
        ).fetchone()
    except DAMAGE as error:
        raise _unreadable(error, path) from error
    return (meta.first_seq - 1, meta.previous_crc) if row is None else (row[0], row[1])


def crc_of(connection: sqlite3.Connection, meta: SegmentMeta, path: Path, seq: int) -> int:
    """Return the stored crc of record ``seq``, or of the one before the segment."""
    if seq == meta.first_seq - 1:
        return meta.previous_crc
    try:
        row = connection.execute("SELECT crc FROM records WHERE seq = ?", (seq,)).fetchone()
    except DAMAGE as error:
        raise trouble.of_reading(error, f"segment {path.name} seq {seq}", path.parent) from error
    if row is None:
        raise JournalCorrupt(f"segment {path.name} lacks the record of seq {seq}")
    return int(row[0])


def scan(
    connection: sqlite3.Connection, meta: SegmentMeta, path: Path, from_seq: int
) -> Iterator[Record]:
    """Yield records from ``from_seq`` on, each checked: contiguous, and matching the crc chain.

    Raises JournalCorrupt naming the segment and seq of the first that is not.
    """
    crc = crc_of(connection, meta, path, from_seq - 1)
    expected = from_seq
    cursor: sqlite3.Cursor | None = None
    try:
        cursor = connection.execute(
            "SELECT seq, crc, body FROM records WHERE seq >= ? ORDER BY seq", (from_seq,)
        )
        for seq, stored, body in cursor:
            if seq != expected:
                raise JournalCorrupt(
                    f"segment {path.name}: seq {expected} is missing, {seq} follows"
                )
            if type(body) is not bytes or crc32(body, crc) != stored:
                raise JournalCorrupt(
                    f"segment {path.name} seq {seq}: the record does not agree with its checksum"
                )
            crc = stored
            expected += 1
            yield Record(seq, body)
    except DAMAGE as error:
        what = f"segment {path.name} near seq {expected}"
        raise trouble.of_reading(error, what, path.parent) from error
    finally:
        if cursor is not None:
            cursor.close()
