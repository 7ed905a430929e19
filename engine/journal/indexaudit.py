"""The audit of ``index.db`` against the records from which it was made."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import msgspec

from engine.core.events import ClientIdsRetired
from engine.core.types import RetiredId
from engine.journal.base import Record
from engine.journal.trouble import DAMAGE
from engine.wire import decode_transaction

_encode = msgspec.msgpack.Encoder().encode


class IndexAudit:
    """Reads the index in order of seq beside the replay. A missing index is not a finding: it
    is rebuilt at the next start."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._progress = 0
        self._marks: Iterator[tuple[int, str, int]] = iter(())
        self._retired: Iterator[tuple[int, bytes]] = iter(())
        self._next_mark: tuple[int, str, int] | None = None
        self._next_retired: tuple[int, bytes] | None = None
        self._fault = ""

    def __enter__(self) -> Self:
        if self._path.exists():
            self._connection = sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)
        return self

    def __exit__(self, *exc: object) -> None:
        if self._connection is not None:
            self._connection.close()

    def start(self, from_seq: int) -> None:
        """Begin at the first record that will be checked."""
        connection = self._connection
        if connection is None:
            return
        try:
            (structure,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            if structure != "ok":
                self._fault = f"the file's structure is damaged: {structure}"
                return
            (self._progress,) = connection.execute("SELECT last_seq FROM progress").fetchone()
            self._marks = iter(
                connection.execute(
                    "SELECT seq, account, account_seq FROM marks WHERE seq >= ? ORDER BY seq",
                    (from_seq,),
                )
            )
            self._retired = iter(
                connection.execute(
                    "SELECT seq, body FROM retired WHERE seq >= ?1 UNION ALL "
                    "SELECT seq, body FROM waiting WHERE seq >= ?1 ORDER BY seq",
                    (from_seq,),
                )
            )
            self._next_mark = next(self._marks, None)
            self._next_retired = next(self._retired, None)
        except (*DAMAGE, TypeError) as error:
            self._fault = f"cannot be read: {error}"

    def check(self, record: Record) -> list[str]:
        """Return what the index has wrong about one record."""
        if self._connection is None or self._fault or record.seq > self._progress:
            return []
        try:
            return self._check(record)
        except DAMAGE as error:
            self._fault = f"cannot be read: {error}"
            return []

    def rest(self) -> list[str]:
        """Return what was found about the file as a whole. Rows of records that are newer than the
        audited ones come from a live engine, or are dropped at its next start."""
        return [self._fault] if self._fault else []

    def _check(self, record: Record) -> list[str]:
        marks: list[tuple[str, int]] = []
        while self._next_mark is not None and self._next_mark[0] <= record.seq:
            marks.append(self._next_mark[1:])
            self._next_mark = next(self._marks, None)
        stored: list[bytes] = []
        while self._next_retired is not None and self._next_retired[0] <= record.seq:
            stored.append(self._next_retired[1])
            self._next_retired = next(self._retired, None)
        if not marks and not stored and b"\x92\x23" not in record.body:
            return []  # 35, the kind of ClientIdsRetired, opens no event of this record.
        events = decode_transaction(record.body).events
        found = []
        places = {(event.account, event.account_seq) for event in events}
        for mark in marks:
            if mark not in places:
                found.append(f"the mark {mark} is not true of this record")
        retired: list[RetiredId] = []
        for event in events:
            if isinstance(event, ClientIdsRetired):
                retired.extend(event.ids)
        if sorted(stored) != sorted(_encode(row) for row in retired):
            found.append("the retired client order ids are not those of this record")
        return found
