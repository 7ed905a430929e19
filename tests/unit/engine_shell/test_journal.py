"""The local journal, snapshots and their audit: segments, locks, damage found and located."""

from __future__ import annotations

import os
import signal
import sqlite3
from pathlib import Path

import pytest

from engine import wire
from engine.client import GapTooOld, queries
from engine.core.commands import Tick
from engine.core.types import ENGINE_VERSION, Origin
from engine.journal import mark, recovery, wal
from engine.journal import segment as files
from engine.journal.base import (
    JournalCorrupt,
    JournalError,
    JournalFailed,
    JournalLocked,
    Record,
)
from engine.journal.index import IndexFeed
from engine.journal.local import LocalJournal
from engine.journal.snapshots import Outcome, SnapshotWriter, snapshot_paths
from engine.journal.verify import VerifyReport, verify
from engine.server.terms import Bounds
from tests.unit.engine_shell.harness import EngineThread, Start, cancel, new_order

NEWER = str(int(ENGINE_VERSION) + 1)


def record(seq: int, text: str = "") -> Record:
    """A record that decodes."""
    return Record(seq, wire.encode_transaction(seq, seq, Tick(Origin("engine", token=text)), []))


def fill(journal: LocalJournal, first: int, last: int) -> None:
    """Append records one by one."""
    for seq in range(first, last + 1):
        journal.append([record(seq)], [], [])


def audit(folder: Path) -> VerifyReport:
    """Verify the journal of a test's engine."""
    return verify(folder / "journal", folder / "journal" / "snapshots")


def traded(start: Start, count: int = 300, **options: object) -> EngineThread:
    """An engine that has done something; still running."""
    engine = start(**options)
    client = engine.client()
    for number in range(count):
        client.post([new_order(number), cancel(number)] if number % 3 else [new_order(number)])
    client.fetch(queries.Status())
    client.close()
    return engine


def test_records_come_back_as_written_across_segments(tmp_path: Path) -> None:
    journal = LocalJournal(tmp_path, segment_records_max=10)
    fill(journal, 1, 35)
    assert [r.seq for r in journal.read(8, 7)] == list(range(8, 15))
    journal.close()
    again = LocalJournal(tmp_path, segment_records_max=10)
    assert (again.first_seq, again.last_seq) == (1, 35)
    assert [path.name[:20] for path in files.segment_paths(tmp_path)] == [
        f"{first:020d}" for first in (1, 11, 21, 31)
    ]
    assert again.read(1, 100) == [record(seq) for seq in range(1, 36)]
    assert again.read(36, 10) == []
    fill(again, 36, 37)
    again.close()


def test_a_read_is_bounded_in_bytes_but_brings_at_least_one(tmp_path: Path) -> None:
    journal = LocalJournal(tmp_path)
    journal.append([record(seq, "x" * 1000) for seq in range(1, 11)], [], [])
    assert len(journal.read(1, 100, 2500)) == 3
    assert len(journal.read(1, 100, 1)) == 1
    journal.close()


def test_a_new_engine_version_begins_a_new_segment(tmp_path: Path) -> None:
    journal = LocalJournal(tmp_path, engine_version="1")
    fill(journal, 1, 3)
    journal.close()
    newer = LocalJournal(tmp_path, engine_version="2")
    fill(newer, 4, 5)
    assert newer.versions_after(0) == {"1", "2"}
    assert newer.versions_after(3) == {"2"}
    newer.close()
    assert len(files.segment_paths(tmp_path)) == 2


def test_two_engines_cannot_write_one_journal(tmp_path: Path) -> None:
    journal = LocalJournal(tmp_path)
    with pytest.raises(JournalLocked, match="another engine"):
        LocalJournal(tmp_path)
    journal.close()
    LocalJournal(tmp_path).close()


def test_a_batch_with_a_gap_is_refused(tmp_path: Path) -> None:
    journal = LocalJournal(tmp_path)
    with pytest.raises(JournalFailed):
        journal.append([record(2)], [], [])
    journal.close()


def test_a_write_error_is_final(tmp_path: Path) -> None:
    journal = LocalJournal(tmp_path)
    fill(journal, 1, 2)
    journal._connection.execute("PRAGMA max_page_count = 1")
    with pytest.raises(JournalFailed, match="full"):
        journal.append([record(3, "x" * 200_000)], [], [])
    journal._connection.execute("PRAGMA max_page_count = 100000")
    with pytest.raises(JournalFailed, match="must stop"):
        journal.append([record(3)], [], [])
    journal.close()
    again = LocalJournal(tmp_path)
    assert again.last_seq == 2
    again.close()


def test_a_segment_whose_creation_was_cut_short_is_made_again(tmp_path: Path) -> None:
    journal = LocalJournal(tmp_path)
    fill(journal, 1, 3)
    journal.close()
    (tmp_path / f"{4:020d}.segment").touch()
    notes: list[str] = []
    again = LocalJournal(tmp_path, on_note=notes.append)
    assert again.last_seq == 3
    assert "cut short" in notes[0]
    again.close()


@pytest.mark.parametrize("how", ["removed", "behind", "ahead"])
def test_the_index_is_brought_into_line_with_the_records(start: Start, how: str) -> None:
    engine = traded(start)
    marks = engine.local._connection.execute("SELECT * FROM idx.marks").fetchall()
    last = engine.local.last_seq
    engine.kill()
    path = engine.folder / "journal" / "index.db"
    if how == "removed":
        path.unlink()
    else:
        database = sqlite3.connect(path)
        if how == "behind":
            database.execute("DELETE FROM marks WHERE seq > 100")
            database.execute("UPDATE progress SET last_seq = 100")
        else:
            database.execute("INSERT INTO marks VALUES ('alice', 99999, ?)", (last + 1,))
            database.execute("UPDATE progress SET last_seq = ?", (last + 1,))
        database.commit()
        database.close()
    journal = LocalJournal(engine.folder / "journal")
    assert journal._connection.execute("SELECT * FROM idx.marks").fetchall() == marks
    journal.close()


def test_a_sound_journal_verifies_with_its_snapshots(start: Start) -> None:
    engine = traded(start, segment_records_max=200, bounds=Bounds(batch_max=64))
    engine.stop()
    engine = traded(start, count=20)
    engine.stop()
    report = audit(engine.folder)
    assert report.findings == []
    assert report.segments >= 2
    assert report.replayed == report.records == report.last_seq == engine.exchange.seq
    assert report.state_hash == engine.exchange.state_hash()
    assert len(report.snapshots) == 2


def test_verify_beside_a_live_engine(start: Start) -> None:
    engine = traded(start)
    report = audit(engine.folder)
    assert report.ok
    assert report.last_seq == engine.exchange.seq


def test_a_flipped_bit_in_any_record_is_found_and_located(start: Start) -> None:
    engine = traded(start, count=40)
    engine.stop()
    (path,) = files.segment_paths(engine.folder / "journal")
    sound = path.read_bytes()
    connection = files.open_reading(path)
    bodies = connection.execute("SELECT seq, body FROM records").fetchall()
    connection.close()
    for seq, body in bodies[:: max(1, len(bodies) // 12)]:
        damaged = bytearray(sound)
        damaged[sound.index(body) + len(body) // 2] ^= 0x10
        path.write_bytes(damaged)
        report = audit(engine.folder)
        assert [(f.place, f.seq) for f in report.findings][0] == (path.name, seq)
        assert f"seq {seq}" in report.findings[0].text


def test_a_flipped_bit_anywhere_in_use_is_found(start: Start) -> None:
    engine = traded(start, count=60)
    engine.stop()
    (path,) = files.segment_paths(engine.folder / "journal")
    sound = path.read_bytes()
    missed = []
    for position in range(28, len(sound), 997):
        if not any(sound[max(0, position - 8) : position + 8]):
            continue  # Space that holds nothing.
        damaged = bytearray(sound)
        damaged[position] ^= 0x04
        path.write_bytes(damaged)
        if audit(engine.folder).ok:
            missed.append(position)
    assert [position for position in missed if position >= 100] == []


@pytest.mark.parametrize("name", ["meta", "records"])
def test_a_damaged_schema_is_found_though_its_error_is_no_text(start: Start, name: str) -> None:
    """SQLite quotes the damaged statement in its error, which Python then cannot read."""
    engine = traded(start, count=5)
    engine.stop()
    (path,) = files.segment_paths(engine.folder / "journal")
    data = bytearray(path.read_bytes())
    place = bytes(data).index(f"CREATE TABLE {name}".encode())
    for position in range(place + len("CREATE TABL"), place + len("CREATE TABLE ") + len(name) + 3):
        damaged = bytearray(data)
        damaged[position] = 0xC5
        path.write_bytes(damaged)
        assert not audit(engine.folder).ok
        with pytest.raises(JournalCorrupt):
            LocalJournal(engine.folder / "journal")


def test_recovery_stops_at_a_damaged_record(start: Start) -> None:
    engine = traded(start, count=40)
    engine.kill()
    (path,) = files.segment_paths(engine.folder / "journal")
    data = bytearray(path.read_bytes())
    connection = files.open_reading(path)
    seq, body = connection.execute("SELECT seq, body FROM records WHERE seq = 30").fetchone()
    connection.close()
    data[bytes(data).index(body) + 5] ^= 1
    path.write_bytes(data)
    with pytest.raises(JournalCorrupt, match=f"seq {seq}"):
        start()


def test_a_bit_flipped_in_the_log_that_a_crash_left_does_not_lose_transactions_silently(
    start: Start, tmp_path: Path
) -> None:
    engine = traded(start)
    for number in range(5):
        client = engine.client()
        client.submit(new_order(f"x{number}"))
        client.close()
    journal = engine.folder / "journal"
    (path,) = files.segment_paths(journal)
    database, log = path.read_bytes(), wal.wal_path(path).read_bytes()
    last = engine.local.last_seq
    engine.kill()
    crashed = tmp_path / "crashed" / "journal"
    crashed.mkdir(parents=True)
    (crashed / path.name).write_bytes(database)
    damaged = bytearray(log)
    damaged[32 + 24 + 16_384 + 24 + 2_000] ^= 1
    wal.wal_path(crashed / path.name).write_bytes(damaged)
    report = verify(crashed, crashed / "snapshots")
    assert "frame 2" in report.findings[0].text
    with pytest.raises(JournalCorrupt, match="lose transactions"):
        LocalJournal(crashed)
    wal.wal_path(crashed / path.name).write_bytes(log)
    sound = LocalJournal(crashed)
    assert sound.last_seq == last
    sound.close()


def test_a_log_torn_in_its_last_commit_is_what_a_power_loss_leaves(
    start: Start, tmp_path: Path
) -> None:
    engine = traded(start, count=30)
    (path,) = files.segment_paths(engine.folder / "journal")
    database, log = path.read_bytes(), wal.wal_path(path).read_bytes()
    engine.kill()
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    (crashed / path.name).write_bytes(database)
    wal.wal_path(crashed / path.name).write_bytes(log[: len(log) - 5_000])
    journal = LocalJournal(crashed)
    assert 0 < journal.last_seq <= engine.local.last_seq
    journal.close()


@pytest.mark.parametrize("copied", [True, False])
def test_a_torn_header_of_a_log_matters_only_if_the_log_is_needed(
    start: Start, tmp_path: Path, copied: bool
) -> None:
    """A log is begun anew by another header, when all of it is in the database as well."""
    engine = traded(start, count=30)
    (path,) = files.segment_paths(engine.folder / "journal")
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    database, log = crashed / path.name, wal.wal_path(crashed / path.name)
    database.write_bytes(path.read_bytes())
    log.write_bytes(wal.wal_path(path).read_bytes())
    engine.kill()
    if copied:
        connection = sqlite3.connect(database)
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        left = database.read_bytes(), log.read_bytes()
        connection.close()
        database.write_bytes(left[0])
        log.write_bytes(left[1])
    data = bytearray(log.read_bytes())
    data[15] += 1  # Half of a header: the number of the checkpoint is new, the rest is not.
    log.write_bytes(data)
    if copied:
        journal = LocalJournal(crashed)
        assert journal.last_seq == engine.local.last_seq
        journal.close()
    else:
        with pytest.raises(JournalCorrupt, match="header"):
            LocalJournal(crashed)


def test_a_flipped_bit_in_a_snapshot_is_found_and_an_older_one_is_used(start: Start) -> None:
    engine = traded(start, count=30)
    engine.stop()
    older = engine.exchange.seq
    engine = traded(start, count=5)
    engine.stop()
    newest = snapshot_paths(engine.folder / "journal" / "snapshots")[0]
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes(data)
    report = audit(engine.folder)
    assert [finding.place for finding in report.findings] == [newest.name]
    again = start()
    assert again.recovered_from == older
    assert again.exchange.state_hash() == engine.exchange.state_hash()
    assert any(newest.name in note and "checksum" in note for note in again.notes)


def test_an_archived_segment_needs_a_snapshot_in_its_place(start: Start) -> None:
    engine = traded(start, segment_records_max=100, bounds=Bounds(batch_max=50))
    engine.stop()
    journal = engine.folder / "journal"
    first, second = files.segment_paths(journal)[:2]
    first.unlink()
    begins = int(second.name[:20])
    again = start()
    assert again.local.first_seq == begins
    assert again.exchange.state_hash() == engine.exchange.state_hash()
    client = again.client()
    with pytest.raises(GapTooOld):
        client.subscribe(begins - 1, lambda transactions: None)
    with pytest.raises(GapTooOld):
        client.fetch(queries.Locate("alice", 1))
    client.close()
    again.kill()
    report = audit(engine.folder)
    assert report.ok
    assert report.replayed_from == engine.exchange.seq
    for path in snapshot_paths(journal / "snapshots"):
        path.unlink()
    with pytest.raises(JournalError, match="no usable snapshot leads up to it"):
        start()
    assert "nothing was replayed" in audit(engine.folder).notes[0]


def test_what_another_engine_version_wrote_is_not_replayed(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = traded(start, count=20)
    engine.kill()
    monkeypatch.setattr(recovery, "ENGINE_VERSION", NEWER)
    with pytest.raises(JournalError, match="cleanly stop that version"):
        start(engine_version=NEWER)
    monkeypatch.undo()
    start().stop()
    monkeypatch.setattr(recovery, "ENGINE_VERSION", NEWER)
    newer = traded(start, count=5, engine_version=NEWER)
    assert newer.recovered_from == engine.exchange.seq
    newer.stop()
    monkeypatch.setattr("engine.journal.verify.ENGINE_VERSION", NEWER)
    report = audit(engine.folder)
    assert report.ok
    assert report.replayed_from == engine.exchange.seq
    assert f"engine version {ENGINE_VERSION}" in report.notes[0]


def test_a_torn_snapshot_is_skipped(start: Start) -> None:
    engine = traded(start, count=30)
    engine.stop()
    (path,) = snapshot_paths(engine.folder / "journal" / "snapshots")
    path.write_bytes(path.read_bytes()[:100])
    again = start()
    assert again.recovered_from == 0
    assert again.exchange.state_hash() == engine.exchange.state_hash()


def test_a_journal_that_lacks_its_end_is_not_traded_on(start: Start, tmp_path: Path) -> None:
    engine = traded(start, count=10)
    (path,) = files.segment_paths(engine.folder / "journal")
    saved = sqlite3.connect(path)
    early = tmp_path / "early"
    saved.execute("VACUUM INTO ?", (str(early),))
    saved.close()
    client = engine.client()
    client.submit(new_order("later"))
    client.close()
    engine.stop()
    os.replace(early, path)
    with pytest.raises(JournalError, match="its end is missing|-wal is not there"):
        start()
    # The snapshot knows it too: the mark may be behind, or be gone.
    (engine.folder / "journal" / mark.NAME).unlink()
    with pytest.raises(JournalError, match="acknowledged transactions are missing"):
        start()


def killed(tmp_path: Path, records: int) -> Path:
    """The folder of a journal whose engine was killed after so many records."""
    child = os.fork()
    if child == 0:
        fill(LocalJournal(tmp_path / "journal"), 1, records)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    return tmp_path / "journal"


@pytest.mark.parametrize("records", [1, 5, 3000])
def test_a_journal_without_its_log_is_not_an_empty_one(tmp_path: Path, records: int) -> None:
    folder = killed(tmp_path, records)
    (segment,) = files.segment_paths(folder)
    log = wal.wal_path(segment)
    before = segment.read_bytes()
    log.rename(tmp_path / "log")
    expected = f"up to seq {records} were acknowledged: {log.name} is "
    for _ in range(2):
        with pytest.raises(JournalCorrupt, match=expected):
            LocalJournal(folder)
        assert files.segment_paths(folder) == [segment] and segment.read_bytes() == before
    found = [finding.text for finding in verify(folder, folder / "snapshots").findings]
    assert any(expected in text for text in found), found
    log.unlink(missing_ok=True)
    segment.with_name(f"{segment.name}-shm").unlink(missing_ok=True)
    (tmp_path / "log").rename(log)
    journal = LocalJournal(folder)
    assert journal.last_seq == records
    journal.close()


def test_a_journal_without_its_segments_is_not_an_empty_one(tmp_path: Path) -> None:
    folder = killed(tmp_path, 5)
    for path in folder.glob("*.segment*"):
        path.unlink()
    with pytest.raises(JournalCorrupt, match="its segments are not there"):
        LocalJournal(folder)
    (folder / mark.NAME).unlink()
    LocalJournal(folder).close()


def test_a_journal_that_was_stopped_in_order_opens_without_a_log(tmp_path: Path) -> None:
    for first in (1, 6, 11):
        journal = LocalJournal(tmp_path, segment_records_max=4)
        fill(journal, first, first + 4)
        journal.close()
    (newest,) = tmp_path.glob("*9.segment")
    assert not wal.wal_path(newest).exists()
    journal = LocalJournal(tmp_path)
    assert journal.last_seq == 15
    journal.close()


def test_replay_that_differs_stops_and_names_the_seq(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = traded(start, count=10)
    engine.kill()
    from engine.core import orders
    from engine.core.exchange import _HANDLERS

    def other(exchange: object, command: object) -> None:
        """A new order that does nothing."""

    kind = next(kind for kind, handler in _HANDLERS.items() if handler is orders.new_order)
    monkeypatch.setitem(_HANDLERS, kind, other)
    with pytest.raises(JournalError, match=r"replay differs at seq \d+: 1 events were stored"):
        start()


def test_a_forked_snapshot_is_what_the_engine_was_and_only_three_are_kept(
    start: Start, tmp_path: Path
) -> None:
    engine = traded(start, count=30)
    engine.kill()
    folder = tmp_path / "forked"
    writer = SnapshotWriter(folder)
    exchange = engine.exchange
    for _ in range(5):
        exchange.apply(exchange.seq + 1, exchange.time_us, Tick(Origin("engine")))
        writer.start(exchange, exchange.time_us, 0)
        assert writer.busy
        assert writer.poll(wait=True) == (exchange.seq, Outcome.WRITTEN, 0)
    seqs = [int(path.name[:20]) for path in snapshot_paths(folder)]
    assert seqs == [exchange.seq, exchange.seq - 1, exchange.seq - 2]
    assert writer.last_seq == exchange.seq


def test_marks_are_sparse_and_bound_the_search() -> None:
    feed = IndexFeed([], set())
    from engine.core.events import DeadMansSwitchSet

    for number in range(1, 1001):
        feed.take(number, [DeadMansSwitchSet("busy", number, "", 0)])
        if number % 100 == 0:
            feed.take(number, [DeadMansSwitchSet("quiet", number // 100, "", 0)])
    busy = [mark.account_seq for mark in feed.marks if mark.account == "busy"]
    assert busy == list(range(1, 1001, 64))
    quiet = [mark.seq for mark in feed.marks if mark.account == "quiet"]
    assert quiet == [100, 700]


def test_a_folder_that_cannot_be_used_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("a file where the folder should be")
    with pytest.raises(JournalError, match="cannot be opened"):
        LocalJournal(tmp_path / "journal")
    (tmp_path / "other" / "lock").mkdir(parents=True)
    with pytest.raises(JournalError, match="cannot be opened"):
        LocalJournal(tmp_path / "other")
