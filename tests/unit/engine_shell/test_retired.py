"""Retired ids on their way into the index: a few with each commit, found all along."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from engine import wire
from engine.client import queries
from engine.core.commands import Tick
from engine.core.events import ClientIdsRetired
from engine.core.types import OrdStatus, Origin, RetiredId
from engine.journal import mark
from engine.journal.base import JournalCorrupt, Record
from engine.journal.index import (
    BACKLOG_SHARE,
    COMMIT_ROWS,
    COMMIT_ROWS_LEAST,
    COMMIT_ROWS_MOST,
    COMMIT_ROWS_RECORD,
    COMMIT_SHARE,
    RetiredQueue,
)
from engine.journal.local import LocalJournal
from engine.journal.verify import verify
from tests.unit.engine_shell.harness import Start, cancel, new_order

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


def rows(folder: Path) -> tuple[int, int, int]:
    """Ids in their place and ids that wait in the index, and how far it says it has come."""
    with sqlite3.connect(folder / "index.db") as connection:
        found = connection.execute(
            "SELECT (SELECT count(*) FROM retired), (SELECT count(*) FROM waiting), last_seq "
            "FROM progress"
        ).fetchone()
    connection.close()
    return tuple(found)


def found(journal: LocalJournal) -> list[RetiredId | None]:
    """What the journal says of each id."""
    return [journal.find_retired(row.account, row.client_order_id) for row in IDS]


def test_I3_ids_that_retire_together_come_to_their_place_a_few_with_each_commit(
    tmp_path: Path,
) -> None:
    journal = LocalJournal(tmp_path)
    append(journal, 1)
    append(journal, 2, IDS)
    most = COMMIT_ROWS + COUNT // COMMIT_SHARE
    assert rows(tmp_path) == (most, COUNT - most, 2)
    seq, placed = 2, most
    while placed < COUNT:
        assert found(journal) == [*IDS]
        seq += 1
        append(journal, seq)
        before = placed
        placed, waiting, progress = rows(tmp_path)
        assert 0 < placed - before <= most
        assert (placed + waiting, progress) == (COUNT, seq)
    assert found(journal) == [*IDS]
    assert journal.find_retired("bob", "a0") is None
    journal.close()


def test_I3_an_engine_that_starts_again_meanwhile_goes_on(tmp_path: Path) -> None:
    journal = LocalJournal(tmp_path)
    append(journal, 1, IDS)
    journal.close()
    before = rows(tmp_path)
    again = LocalJournal(tmp_path)
    assert found(again) == [*IDS]
    assert again.accounts_with_retired() == {"alice"}
    more = tuple(row._replace(client_order_id=f"b{row.order_id}") for row in IDS)
    append(again, 2, more)
    for seq in range(3, 103):
        append(again, seq)
    assert before[1] > 0
    assert rows(tmp_path)[:2] == (2 * COUNT, 0)
    assert found(again) == [*IDS]
    again.close()


def test_I3_ids_of_a_record_that_is_gone_wait_no_more(tmp_path: Path) -> None:
    """A loss of power may leave an index that is ahead of the records."""
    journal = LocalJournal(tmp_path)
    append(journal, 1)
    append(journal, 2, IDS)
    journal._connection.execute("DELETE FROM records WHERE seq = 2")
    journal.close()
    (tmp_path / mark.NAME).unlink()  # What was not flushed is lost with them.
    again = LocalJournal(tmp_path)
    assert again.last_seq == 1
    assert rows(tmp_path) == (0, 0, 1)
    assert found(again) == [None] * COUNT
    assert again.accounts_with_retired() == set()
    again.close()


def test_a_waiting_id_that_cannot_be_read_keeps_the_engine_from_starting(tmp_path: Path) -> None:
    journal = LocalJournal(tmp_path)
    append(journal, 1, IDS)
    journal._connection.execute("UPDATE idx.waiting SET body = x'c1' WHERE number = 100")
    journal.close()
    with pytest.raises(JournalCorrupt, match=r"index\.db .* waiting id 100 .* made again"):
        LocalJournal(tmp_path)
    (tmp_path / "index.db").unlink()
    again = LocalJournal(tmp_path)
    assert found(again) == [*IDS]
    again.close()


def test_I3_an_id_that_retires_again_while_it_waits_is_found_as_it_was_last() -> None:
    queue = RetiredQueue()
    newer = IDS[0]._replace(order_id=999)
    added = queue.add([(1, IDS[0]), (2, newer)])
    assert added == [(1, 1, IDS[0]), (2, 2, newer)]
    assert queue.find("alice", "a0") == newer
    assert queue.take(1) == added
    assert queue.find("alice", "a0") is None
    assert queue.take(1) == []


def test_I3_what_a_sweep_retires_does_not_make_the_commits_after_it_long() -> None:
    """A Tick that retires a thousand moves a few dozen; what waits stays bounded all the same."""
    queue = RetiredQueue()
    rows = [(1, IDS[0]._replace(client_order_id=f"w{n}")) for n in range(1_000)]
    for _ in range(100):
        queue.add(rows)
        assert len(queue.take(1)) <= max(
            COMMIT_ROWS_LEAST + COMMIT_ROWS_RECORD, 100_000 // BACKLOG_SHARE
        )
    assert len(queue.take(500)) == COMMIT_ROWS_MOST
    waiting = 0
    for _ in range(2_000):
        waiting += 1_000 - len(queue.take(1))
        queue.add(rows)
    assert len(queue.take(1)) > 990, "as many leave as come, long before memory is short"


def test_an_audit_counts_ids_that_wait_as_well(start: Start) -> None:
    engine = start(venue={"closed_orders_kept": 1})
    client = engine.client()
    for number in range(300):
        client.post([new_order(number), cancel(number)])
    client.fetch(queries.Status())
    client.close()
    engine.kill()
    folder = engine.folder / "journal"
    assert rows(folder)[1] > 0
    assert verify(folder, folder / "snapshots").findings == []
    with sqlite3.connect(folder / "index.db") as connection:
        connection.execute("DELETE FROM waiting WHERE number = (SELECT max(number) FROM waiting)")
    connection.close()
    (finding,) = verify(folder, folder / "snapshots").findings
    assert "the retired client order ids are not those of this record" in str(finding)
