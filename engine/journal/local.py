"""The local journal: segments of sqlite files, one flushed commit per batch.

It works inline in the engine's thread; spec/JOURNAL.md has the measurements behind that choice.
The two indexes are in ``index.db`` beside the segments, attached, so that they are written in
the same transaction. They are derived data and not flushed by themselves: when the journal is
opened, missing rows are added from the records.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final
from zlib import crc32

import msgspec

from engine import wire
from engine.core.types import ENGINE_VERSION, RetiredId
from engine.journal import indexfile, mark, trouble, wal
from engine.journal import segment as files
from engine.journal.base import (
    AccountMark,
    JournalCorrupt,
    JournalError,
    JournalFailed,
    JournalLocked,
    Record,
)
from engine.journal.index import IndexFeed, RetiredQueue, Waiting
from engine.journal.segment import SegmentMeta
from engine.journal.trouble import DAMAGE

SEGMENT_RECORDS_MAX: Final = 1_000_000
OPEN_READERS_MAX: Final = 4
INDEX_LAG_MAX: Final = 4_096
"""The index records its progress at least this often, which bounds the catch-up at open."""

_DERIVED: Final = "index.db holds nothing but what the segments say; without it, it is made again"
_encode: Final = msgspec.msgpack.Encoder().encode
_decode_retired: Final = msgspec.msgpack.Decoder(RetiredId).decode


class LocalJournal:
    """The ``Journal`` protocol over a folder. One writer at a time, held by a file lock.

    ``on_note(text)`` is called for anything unusual when it is opened. With ``copy`` the journal is
    a member's copy of what the cluster has: commits are not flushed one by one, and an end that is
    missing is noted and fetched again, where it is otherwise a reason not to start. If it cannot be
    opened it raises JournalLocked, JournalForbidden, JournalFailed (the disk is full or fails) or
    JournalCorrupt.
    """

    def __init__(
        self,
        folder: Path,
        *,
        segment_records_max: int = SEGMENT_RECORDS_MAX,
        engine_version: str = ENGINE_VERSION,
        on_note: Callable[[str], None] | None = None,
        copy: bool = False,
    ) -> None:
        self._folder = Path(folder)
        self._copy = copy
        self._segment_records_max = segment_records_max
        self._engine_version = engine_version
        self._note: Callable[[str], None] = on_note or (lambda text: None)
        try:
            files.make_folder(self._folder)
            self._lock, self._mark = self._take_lock()
        except OSError as error:
            raise trouble.of_opening(error, self._folder) from error
        self._failed = False
        self._retired = RetiredQueue()
        self._readers: dict[Path, tuple[sqlite3.Connection, SegmentMeta]] = {}
        try:
            self._open()
        except (*DAMAGE, OSError) as error:
            self._unlock()
            raise self._not_opened(error) from error
        except BaseException:
            self._unlock()
            raise

    @property
    def first_seq(self) -> int:
        return self._firsts[0]

    @property
    def last_seq(self) -> int:
        return self._last_seq

    def append(
        self,
        records: Sequence[Record],
        marks: Sequence[AccountMark],
        retired: Sequence[tuple[int, RetiredId]],
    ) -> None:
        """Make a batch durable with one commit. Raises JournalFailed."""
        if self._failed:
            raise JournalFailed("a write to the journal failed before; the engine must stop")
        if records[0].seq != self._last_seq + 1:
            raise JournalFailed(f"seq {records[0].seq} cannot follow {self._last_seq}")
        try:
            if self._last_seq + 1 - self._meta.first_seq >= self._segment_records_max:
                self._rotate()
            self._write(records, marks, retired)
        except (sqlite3.Error, OSError, JournalError) as error:
            self._failed = True
            raise trouble.of_writing(error, self._folder) from error

    def read(self, from_seq: int, count: int, bytes_max: int = 1 << 22) -> list[Record]:
        """See the protocol."""
        if from_seq < self.first_seq:
            raise JournalError(f"seq {from_seq} is older than the oldest kept, {self.first_seq}")
        found: list[Record] = []
        size = 0
        for record in self.scan(from_seq):
            found.append(record)
            size += len(record.body)
            if len(found) >= count or size >= bytes_max:
                break
        return found

    def scan(self, from_seq: int) -> Iterator[Record]:
        """Yield every record from ``from_seq`` on, checked. Raises JournalCorrupt."""
        expected = from_seq
        while expected <= self._last_seq:
            connection, meta, path = self._reader(expected)
            before = expected
            for record in files.scan(connection, meta, path, expected):
                if record.seq > self._last_seq:
                    return
                yield record
                expected = record.seq + 1
            if expected == before:
                raise JournalCorrupt(f"segment {path.name} lacks the record of seq {expected}")

    def versions_after(self, seq: int) -> set[str]:
        """Return the engine versions that wrote the records after ``seq``."""
        versions = set()
        for first, following in zip(
            self._firsts, [*self._firsts[1:], self._last_seq + 1], strict=True
        ):
            if following - 1 > seq and following > first:
                versions.add(self._reader(first)[1].engine_version)
        return versions

    def crc_at(self, seq: int) -> int:
        """See the protocol."""
        if seq == self.first_seq - 1:
            connection, meta, path = self._reader(self.first_seq)
        else:
            connection, meta, path = self._reader(seq)
        return files.crc_of(connection, meta, path, seq)

    def mark_before(self, account: str, account_seq: int) -> AccountMark | None:
        """See the protocol."""
        row = self._connection.execute(
            "SELECT account, account_seq, seq FROM idx.marks WHERE account = ? AND "
            "account_seq <= ? ORDER BY account_seq DESC LIMIT 1",
            (account, account_seq),
        ).fetchone()
        return None if row is None else AccountMark(*row)

    def last_marks(self) -> list[AccountMark]:
        """See the protocol."""
        rows = self._connection.execute(
            "SELECT account, max(account_seq), seq FROM idx.marks GROUP BY account"
        ).fetchall()
        return [AccountMark(*row) for row in rows]

    def find_retired(self, account: str, client_order_id: str) -> RetiredId | None:
        """See the protocol."""
        waiting = self._retired.find(account, client_order_id)
        if waiting is not None:
            return waiting
        row = self._connection.execute(
            "SELECT body FROM idx.retired WHERE account = ? AND client_order_id = ?",
            (account, client_order_id),
        ).fetchone()
        return None if row is None else _decode_retired(row[0])

    def accounts_with_retired(self) -> set[str]:
        """See the protocol."""
        rows = self._connection.execute("SELECT DISTINCT account FROM idx.retired").fetchall()
        return {account for (account,) in rows} | self._retired.accounts

    def forget_before(self, seq: int) -> None:
        """See the protocol; the files stay, and are found again at the next start.

        The index can no longer be rebuilt from them, so it is flushed first.
        """
        self._connection.execute("PRAGMA idx.wal_checkpoint").fetchall()
        while len(self._firsts) > 1 and self._firsts[1] <= seq:
            path = files.segment_path(self._folder, self._firsts.pop(0))
            known = self._readers.pop(path, None)
            if known is not None:
                known[0].close()

    def flush(self) -> int:
        """See the protocol."""
        return self._last_seq

    def close(self) -> None:
        """See the protocol. The write-ahead log is checkpointed into the segment files."""
        self._close_readers()
        try:
            self._connection.close()
        finally:
            self._unlock()

    def _not_opened(self, error: Exception) -> JournalError:
        if isinstance(error, OSError):
            return trouble.of_opening(error, self._folder)
        what = f"the journal in {self._folder} cannot be opened"
        return trouble.of_reading(error, what, self._folder)

    def _of_index(self, error: Exception) -> JournalError:
        """Return the failure of the index, which can be rebuilt unless the disk failed."""
        what = f"index.db in {self._folder} cannot be used"
        found = trouble.of_reading(error, what, self._folder)
        return JournalCorrupt(f"{found} ({_DERIVED})") if type(found) is JournalCorrupt else found

    def _take_lock(self) -> tuple[int, mark.Mark]:
        descriptor = os.open(self._folder / mark.NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor, mark.Mark(descriptor)
        except BlockingIOError as error:
            os.close(descriptor)
            raise JournalLocked(
                f"the journal in {self._folder} is in use by another engine; stop that one first"
            ) from error
        except OSError:
            os.close(descriptor)
            raise

    def _unlock(self) -> None:
        self._mark.close()
        os.close(self._lock)

    def _open(self) -> None:
        """Find the segments, open the newest for writing or begin a new one."""
        paths = files.segment_paths(self._folder)
        self._without_log = mark.log_missing(paths[-1] if paths else None)
        damage = wal.damage(paths[-1]) if paths else ""
        if damage and self._copy:
            self._note(f"segment {paths[-1].name} ends before {damage}")
        elif damage:
            raise JournalCorrupt(
                f"segment {paths[-1].name} would lose transactions that were durable: {damage}"
            )
        while paths and not files.is_whole(paths[-1]):
            self._check_end(int(paths[-1].name.removesuffix(files.SUFFIX)) - 1)
            self._note(f"removing segment {paths[-1].name}, whose creation was cut short")
            paths.pop().unlink()
        if not paths:
            self._check_end(0)
            self._firsts = [1]
            self._last_seq, self._crc = 0, 0
            self._create(1)
        else:
            self._open_newest(paths)
        self._check_order(paths)
        try:
            self._catch_up_index()
            self._retired = RetiredQueue(self._read_waiting())
        except DAMAGE as error:
            raise self._of_index(error) from error

    def _open_newest(self, paths: list[Path]) -> None:
        path = paths[-1]
        connection = files.open_writing(path, not self._copy)
        try:
            self._meta = files.read_meta(connection, path)
            self._last_seq, self._crc = files.last_record(connection, self._meta, path)
            self._check_end(self._last_seq)
        except BaseException:
            # At once: closing removes the log, even one that was put back meanwhile.
            connection.close()
            raise
        self._firsts = [int(p.name.removesuffix(files.SUFFIX)) for p in paths]
        self._path = path
        if self._meta.engine_version == self._engine_version:
            self._attach(connection)
            return
        self._note(
            f"engine version {self._engine_version} begins a new segment after "
            f"{self._meta.engine_version}"
        )
        connection.close()
        if self._last_seq < self._meta.first_seq:
            path.unlink()
            self._firsts.pop()
        self._create(self._last_seq + 1)

    def _check_end(self, last_seq: int) -> None:
        """Raise JournalCorrupt if the journal ends before what was acknowledged."""
        acknowledged = self._mark.seq
        if last_seq < acknowledged and self._copy:
            self._note(f"seq {last_seq + 1} to {acknowledged} are missing and fetched again")
            self._mark.set(last_seq)
        elif last_seq < acknowledged:
            raise JournalCorrupt(
                mark.lost(self._folder, last_seq, acknowledged, self._without_log)
            )

    def _check_order(self, paths: list[Path]) -> None:
        """Check that each segment continues the seq and the crc with which the last one ended."""
        for path, first in zip(paths, self._firsts[1:], strict=False):
            connection, meta, _ = self._reader(int(path.name.removesuffix(files.SUFFIX)))
            last, crc = files.last_record(connection, meta, path)
            _, follower, after = self._reader(first)
            if last != first - 1 or follower.previous_crc != crc:
                raise JournalCorrupt(
                    f"segment {after.name} does not continue segment {path.name}, which ends "
                    f"with seq {last}"
                )

    def _create(self, first_seq: int) -> None:
        self._path = files.segment_path(self._folder, first_seq)
        self._meta = SegmentMeta(files.FORMAT, self._engine_version, first_seq, self._crc)
        connection = files.create_segment(self._path, self._meta, not self._copy)
        if first_seq not in self._firsts:
            self._firsts.append(first_seq)
        self._attach(connection)

    def _attach(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        try:
            self._indexed = indexfile.attach(connection, self._folder)
        except DAMAGE as error:
            raise self._of_index(error) from error

    def _rotate(self) -> None:
        """Close the full segment, checkpointing its log into the file, and begin the next."""
        self._connection.execute("DETACH DATABASE idx")
        self._connection.close()
        self._create(self._last_seq + 1)

    def _write(
        self,
        records: Sequence[Record],
        marks: Sequence[AccountMark],
        retired: Sequence[tuple[int, RetiredId]],
    ) -> None:
        crc = self._crc
        rows: list[tuple[int, int, bytes]] = []
        for seq, body in records:
            crc = crc32(body, crc)
            rows.append((seq, crc, body))
        last_seq = rows[-1][0]
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO records VALUES (?, ?, ?)", rows)
        added, moved = self._retired.add(retired), self._retired.take(len(rows))
        if marks or moved or last_seq - self._indexed >= INDEX_LAG_MAX:
            self._write_waiting(added, moved)
            self._write_index(marks, [(seq, row) for _, seq, row in moved], last_seq)
        connection.execute("COMMIT")
        self._mark.set(last_seq)
        self._crc = crc
        self._last_seq = last_seq

    def _write_index(
        self,
        marks: Sequence[AccountMark],
        retired: Sequence[tuple[int, RetiredId]],
        last_seq: int,
    ) -> None:
        connection = self._connection
        connection.executemany("INSERT OR REPLACE INTO idx.marks VALUES (?, ?, ?)", marks)
        connection.executemany(
            "INSERT OR REPLACE INTO idx.retired VALUES (?, ?, ?, ?)",
            [(row.account, row.client_order_id, seq, _encode(row)) for seq, row in retired],
        )
        connection.execute("UPDATE idx.progress SET last_seq = ?", (last_seq,))
        self._indexed = last_seq

    def _write_waiting(self, added: Sequence[Waiting], moved: Sequence[Waiting]) -> None:
        """Write the ids that begin to wait, and delete those that no longer do."""
        connection = self._connection
        connection.executemany(
            "INSERT INTO idx.waiting VALUES (?, ?, ?)",
            [(number, seq, _encode(row)) for number, seq, row in added],
        )
        if moved:
            connection.execute("DELETE FROM idx.waiting WHERE number <= ?", (moved[-1].number,))

    def _read_waiting(self) -> Iterator[Waiting]:
        rows = self._connection.execute("SELECT number, seq, body FROM idx.waiting ORDER BY number")
        for number, seq, body in rows:
            try:
                yield Waiting(number, seq, _decode_retired(body))
            except msgspec.MsgspecError as error:
                raise JournalCorrupt(
                    f"index.db in {self._folder} is damaged: waiting id {number} cannot be read: "
                    f"{error} ({_DERIVED})"
                ) from error

    def _catch_up_index(self) -> None:
        """Make the indexes agree with the records: drop rows that are ahead, add missing ones."""
        connection = self._connection
        if self._indexed > self._last_seq:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("DELETE FROM idx.marks WHERE seq > ?", (self._last_seq,))
            connection.execute("DELETE FROM idx.retired WHERE seq > ?", (self._last_seq,))
            connection.execute("DELETE FROM idx.waiting WHERE seq > ?", (self._last_seq,))
            connection.execute("UPDATE idx.progress SET last_seq = ?", (self._last_seq,))
            connection.execute("COMMIT")
            self._indexed = self._last_seq
        start = max(self._indexed + 1, self.first_seq)
        if start > self._last_seq:
            return
        self._note(f"feeding the index from seq {start} to {self._last_seq}")
        feed = IndexFeed(self.last_marks(), self.accounts_with_retired())
        last = self._last_seq
        connection.execute("BEGIN IMMEDIATE")
        for seq, body in self.scan(start):
            feed.take(seq, wire.decode_transaction(body).events)
            if seq == last or len(feed.marks) + len(feed.retired) >= INDEX_LAG_MAX:
                self._write_index(feed.marks, feed.retired, seq)
                feed.stored()
        connection.execute("COMMIT")

    def _reader(self, seq: int) -> tuple[sqlite3.Connection, SegmentMeta, Path]:
        """Return the connection from which to read ``seq``; the writer's for the newest segment."""
        first = max(f for f in self._firsts if f <= seq)
        if first == self._meta.first_seq:
            return self._connection, self._meta, self._path
        path = files.segment_path(self._folder, first)
        known = self._readers.get(path)
        if known is None:
            if len(self._readers) >= OPEN_READERS_MAX:
                self._close_readers()
            connection = files.open_reading(path)
            known = self._readers[path] = (connection, files.read_meta(connection, path))
        return known[0], known[1], path

    def _close_readers(self) -> None:
        for connection, _ in self._readers.values():
            connection.close()
        self._readers.clear()
