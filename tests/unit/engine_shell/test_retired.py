"""Retired ids on their way into the index: a few with each commit, found all along."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from engine import wire
from engine.core.commands import Tick
from engine.core.events import ClientIdsRetired
from engine.core.types import OrdStatus, Origin, RetiredId
from engine.journal.base import Record
from engine.journal.index import COMMIT_ROWS, COMMIT_SHARE, RetiredQueue
from engine.journal.local import LocalJournal

COUNT = 256
IDS = tuple(
    RetiredId("alice", f"a{number}", number, OrdStatus.FILLED, 5, 5, 50)
    for number in range(COUNT)
)


def append(journal: LocalJournal, seq: int, ids: tuple[RetiredId, ...] = ()) -> None:
    """Append a record in which ids retire."""
    events = [ClientIdsRetired("", 0, ids)] if ids else []
    body = wire.encode_transaction(seq, seq, Tick(Origin("engine")), events)
    journal.append([Record(seq, body)], [], [(seq, row) for row in ids])


def rows(folder: Path) -> tuple[int, int]:
    """Ids in the index, and how far the index says it has come."""
    with sqlite3.connect(folder / "index.db") as connection:
        (count,) = connection.execute("SELECT count(*) FROM retired").fetchone()
        (progress,) = connection.execute("SELECT last_seq FROM progress").fetchone()
    connection.close()
    return count, progress


def test_I3_ids_that_retire_together_are_written_a_few_with_each_commit(tmp_path: Path) -> None:
    journal = LocalJournal(tmp_path)
    append(journal, 1)
    append(journal, 2, IDS)
    written, progress = rows(tmp_path)
    assert 0 < written <= COMMIT_ROWS + COUNT // COMMIT_SHARE
    assert progress == 1
    seq = 2
    while written < COUNT:
        assert [journal.find_retired("alice", row.client_order_id) for row in IDS] == [*IDS]
        seq += 1
        append(journal, seq)
        before, (written, progress) = written, rows(tmp_path)
        assert 0 < written - before <= COMMIT_ROWS + COUNT // COMMIT_SHARE
    assert progress == seq
    assert journal.find_retired("alice", "a0") == IDS[0]
    assert journal.find_retired("bob", "a0") is None
    journal.close()


def test_I3_an_engine_that_dies_meanwhile_finds_all_of_them_again(tmp_path: Path) -> None:
    journal = LocalJournal(tmp_path)
    append(journal, 1, IDS)
    journal._connection.close()  # As if killed: nothing of what waits is written.
    journal._failed = True
    try:
        journal.close()
    finally:
        notes: list[str] = []
        again = LocalJournal(tmp_path, on_note=notes.append)
    assert notes == ["feeding the index from seq 1 to 1"]
    assert [again.find_retired("alice", row.client_order_id) for row in IDS] == [*IDS]
    assert again.accounts_with_retired() == {"alice"}
    again.close()


def test_I3_closing_and_forgetting_write_what_waits(tmp_path: Path) -> None:
    journal = LocalJournal(tmp_path)
    append(journal, 1, IDS)
    journal.forget_before(1)
    assert rows(tmp_path) == (COUNT, 1)
    more = tuple(row._replace(client_order_id=f"b{row.order_id}") for row in IDS)
    append(journal, 2, more)
    journal.close()
    assert rows(tmp_path) == (2 * COUNT, 2)


def test_I3_an_id_that_retires_again_while_it_waits_is_found_as_it_was_last() -> None:
    queue = RetiredQueue()
    newer = IDS[0]._replace(order_id=999)
    queue.add([(1, IDS[0]), (2, newer)])
    assert queue.find("alice", "a0") == newer
    assert queue.complete_to(9) == 0
    assert queue.take_all() == [(1, IDS[0]), (2, newer)]
    assert queue.find("alice", "a0") is None
    assert queue.complete_to(9) == 9
