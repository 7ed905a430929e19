"""The audit: check that stored bytes are what was written, and that replay reproduces them.

``verify`` only reads, and may run beside a live engine: it audits what was durable when it
began. It continues after a finding as long as that makes sense, so that one run finds all.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

from engine.core.exchange import Exchange
from engine.core.types import ENGINE_VERSION
from engine.journal import mark, wal
from engine.journal import segment as files
from engine.journal.base import JournalCorrupt, JournalError
from engine.journal.indexaudit import IndexAudit
from engine.journal.recovery import ReplayDiffers, replay_record
from engine.journal.segment import SegmentMeta
from engine.journal.snapshots import (
    SnapshotHeader,
    SnapshotInvalid,
    check_belongs,
    read_snapshot,
    snapshot_paths,
)
from engine.journal.trouble import DAMAGE

PROGRESS_RECORDS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Finding:
    """A deviation from what was written; ``seq`` is 0 if none can be named."""

    place: str
    seq: int
    text: str


@dataclass(slots=True)
class VerifyReport:
    """What was audited and what was found. The replay started after seq ``replayed_from``."""

    segments: int = 0
    records: int = 0
    first_seq: int = 1
    last_seq: int = 0
    replayed_from: int = 0
    replayed: int = 0
    snapshots: list[int] = field(default_factory=list)
    """Seqs of the snapshots whose hash matched the replay."""
    state_hash: str = ""
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Return whether there are no findings."""
        return not self.findings


@dataclass(slots=True)
class _Segment:
    path: Path
    connection: sqlite3.Connection
    meta: SegmentMeta
    last_seq: int
    last_crc: int


class _ReadOnlyChain:
    """The part of the journal that the audit found intact."""

    def __init__(self, segments: list[_Segment]) -> None:
        self._segments = segments

    @property
    def first_seq(self) -> int:
        return self._segments[0].meta.first_seq if self._segments else 1

    @property
    def last_seq(self) -> int:
        return self._segments[-1].last_seq if self._segments else 0

    def crc_at(self, seq: int) -> int:
        for segment in self._segments:
            if seq <= segment.last_seq:
                return files.crc_of(segment.connection, segment.meta, segment.path, seq)
        return 0


def verify(
    journal_dir: Path,
    snapshots_dir: Path,
    progress: Callable[[str, int, int], None] | None = None,
) -> VerifyReport:
    """Audit a journal and its snapshots; see ``VerifyReport``.

    ``progress(stage, done, of)`` is called every 20,000 records. Damage is reported, never
    raised; a folder that does not exist raises JournalError.
    """
    tell = progress or (lambda stage, done, of: None)
    if not journal_dir.is_dir():
        raise JournalError(f"there is no journal in {journal_dir}")
    report = VerifyReport()
    segments: list[_Segment] = []
    acknowledged = mark.read(journal_dir)  # First: a live engine continues meanwhile.
    paths = files.segment_paths(journal_dir)
    without_log = mark.log_missing(paths[-1] if paths else None)
    try:
        for path in paths:
            if not _audit_segment(path, segments, report):
                break
        chain = _ReadOnlyChain(segments)
        report.segments = len(segments)
        report.first_seq, report.last_seq = chain.first_seq, chain.last_seq
        if report.last_seq < acknowledged:
            text = mark.lost(journal_dir, report.last_seq, acknowledged, without_log)
            place = paths[-1].name if paths else journal_dir.name
            report.findings.append(Finding(place, report.last_seq + 1, text))
        snapshots = _audit_snapshots(snapshots_dir, chain, report)
        start = _start(snapshots, segments, report)
        if start is not None:
            with IndexAudit(journal_dir / "index.db") as index:
                _replay(start, snapshots, segments, index, report, tell)
    finally:
        for segment in segments:
            segment.connection.close()
    return report


def _audit_segment(path: Path, segments: list[_Segment], report: VerifyReport) -> bool:
    """Check structure and crc chain of a segment; return False if later ones cannot be checked."""
    name = path.name
    connection: sqlite3.Connection | None = None
    try:
        damage = wal.damage(path)
        if damage and (damage := wal.damage(path)):  # A live engine may have begun a new log.
            report.findings.append(Finding(name, 0, damage))
        connection = files.open_reading(path)
        meta = files.read_meta(connection, path)
        (structure,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        if structure != "ok":
            text = f"the file's structure is damaged: {structure}"
            report.findings.append(Finding(name, 0, text))
    except (JournalError, *DAMAGE) as error:
        report.findings.append(Finding(name, 0, str(error)))
        if connection is not None:
            connection.close()
        return False
    if segments and (
        meta.first_seq != segments[-1].last_seq + 1 or meta.previous_crc != segments[-1].last_crc
    ):
        text = f"it does not continue {segments[-1].path.name}, whose last is "
        report.findings.append(Finding(name, meta.first_seq, f"{text}{segments[-1].last_seq}"))
    segment = _Segment(path, connection, meta, meta.first_seq - 1, meta.previous_crc)
    segments.append(segment)
    try:
        last_seq, last_crc = files.last_record(connection, meta, path)
        for record in files.scan(connection, meta, path, meta.first_seq):
            if record.seq > last_seq:
                break
            segment.last_seq = record.seq
            report.records += 1
    except JournalError as error:
        report.findings.append(Finding(name, segment.last_seq + 1, str(error)))
        return False
    segment.last_crc = last_crc
    return True


def _audit_snapshots(
    folder: Path, chain: _ReadOnlyChain, report: VerifyReport
) -> dict[int, tuple[SnapshotHeader, Path]]:
    """Return, oldest first, the snapshots that are valid and belong to the journal, by seq."""
    usable = {}
    for path in reversed(snapshot_paths(folder)):
        try:
            header, _ = read_snapshot(path)
            if header.seq > chain.last_seq and not report.ok:
                report.notes.append(f"{path.name} lies behind the damage and was not compared")
                continue
            check_belongs(header, path, chain)
        except (SnapshotInvalid, JournalCorrupt) as error:
            report.findings.append(Finding(path.name, 0, str(error)))
        else:
            usable[header.seq] = (header, path)
    return usable


def _start(
    snapshots: dict[int, tuple[SnapshotHeader, Path]],
    segments: list[_Segment],
    report: VerifyReport,
) -> Exchange | None:
    """Return the state from which to replay: empty, or of the oldest usable snapshot.

    Records that another engine version wrote are not replayed; the report says so.
    """
    first = segments[0].meta.first_seq if segments else 1
    for segment in segments:
        if segment.meta.engine_version != ENGINE_VERSION and segment.last_seq >= first:
            first = segment.last_seq + 1
            report.notes.append(
                f"{segment.path.name} and those before it were written by engine version "
                f"{segment.meta.engine_version} and not replayed; audit them with that version"
            )
    if first == 1:
        return Exchange()
    for seq, (_, path) in snapshots.items():
        if seq >= first - 1:
            return read_snapshot(path)[1]
    report.notes.append(f"no snapshot leads up to seq {first}, so nothing was replayed")
    return None


def _replay(
    exchange: Exchange,
    snapshots: dict[int, tuple[SnapshotHeader, Path]],
    segments: list[_Segment],
    index: IndexAudit,
    report: VerifyReport,
    tell: Callable[[str, int, int], None],
) -> None:
    """Apply again; compare the events, and the state at each snapshot on the way."""
    report.replayed_from = exchange.seq
    total = report.last_seq - exchange.seq
    index.start(exchange.seq + 1)
    for segment in segments:
        from_seq = max(segment.meta.first_seq, exchange.seq + 1)
        count = segment.last_seq + 1 - from_seq
        records = files.scan(segment.connection, segment.meta, segment.path, from_seq)
        for record in islice(records, max(0, count)):
            try:
                replay_record(exchange, record)
            except ReplayDiffers as error:
                report.findings.append(Finding(segment.path.name, error.seq, str(error)))
                return
            for text in index.check(record):
                report.findings.append(Finding("index.db", record.seq, text))
            report.replayed += 1
            _compare(exchange, snapshots, report)
            if report.replayed % PROGRESS_RECORDS == 0:
                tell("replay", report.replayed, total)
    for text in index.rest():
        report.findings.append(Finding("index.db", 0, text))
    report.state_hash = exchange.state_hash()


def _compare(
    exchange: Exchange,
    snapshots: dict[int, tuple[SnapshotHeader, Path]],
    report: VerifyReport,
) -> None:
    known = snapshots.get(exchange.seq)
    if known is None:
        return
    header, path = known
    if header.state_hash == exchange.state_hash():
        report.snapshots.append(header.seq)
    else:
        text = f"its state is not the one that replay reaches at seq {header.seq}"
        report.findings.append(Finding(path.name, header.seq, text))
