"""Rebuilding the state: the newest usable snapshot, then every record after it, compared.

Each record's events are produced again and compared byte for byte with the stored ones; the
first difference stops the recovery, because a state that its journal does not reproduce must
not trade.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from engine import wire
from engine.core.exchange import Exchange
from engine.core.types import ENGINE_VERSION
from engine.journal.base import JournalError, Record
from engine.journal.local import LocalJournal
from engine.journal.snapshots import SnapshotAhead, usable_snapshots

PROGRESS_RECORDS: Final = 50_000


class ReplayDiffers(JournalError):
    """Applying a stored command again gave events other than the stored ones, at ``seq``."""

    def __init__(self, seq: int, text: str) -> None:
        super().__init__(f"replay differs at seq {seq}: {text}")
        self.seq = seq


def replay_record(exchange: Exchange, record: Record) -> wire.Transaction:
    """Apply one stored transaction again and return it. Raises ReplayDiffers."""
    try:
        transaction = wire.decode_transaction(record.body)
    except wire.WireError as error:
        raise ReplayDiffers(record.seq, str(error)) from error
    seq, time_us, command, events = transaction
    if seq != record.seq:
        raise ReplayDiffers(record.seq, f"the record says that it is seq {seq}")
    try:
        again = exchange.apply(seq, time_us, command)
    except Exception as error:
        text = f"{type(command).__name__} could not be applied: {type(error).__name__}: {error}"
        raise ReplayDiffers(seq, text) from error
    if wire.encode_transaction(seq, time_us, command, again) != record.body:
        raise ReplayDiffers(seq, _difference(events, again))
    return transaction


def _difference(stored: object, again: object) -> str:
    """Name the first event that differs."""
    before, after = list(stored), list(again)  # type: ignore[call-overload]
    for index, (old, new) in enumerate(zip(before, after, strict=False)):
        if old != new:
            return f"event {index} was stored as {old} and is now {new}"
    if len(before) != len(after):
        return f"{len(before)} events were stored and {len(after)} come now"
    return "the encoding of the transaction is another one"


def recover(
    journal: LocalJournal,
    snapshots: Path,
    on_note: Callable[[str], None],
    on_progress: Callable[[int, int], None],
) -> tuple[Exchange, int]:
    """Return the state after the journal's last record, and the seq of the snapshot used.

    ``on_progress(done, of)`` is called every 50,000 records. Raises JournalError if the
    journal does not reach back to a usable state or lacks its end, JournalCorrupt, or
    ReplayDiffers.
    """
    start: Exchange | None = None
    try:
        for _, exchange in usable_snapshots(snapshots, journal, on_note):
            start = exchange
            break
    except SnapshotAhead as error:
        raise JournalError(
            f"{error}; restore the journal's end, or remove that snapshot to accept the loss"
        ) from error
    if start is None:
        if journal.first_seq > 1:
            raise JournalError(
                f"the journal begins with seq {journal.first_seq} and no usable snapshot leads "
                "up to it; restore an older segment or a snapshot"
            )
        start = Exchange()
    snapshot_seq = start.seq
    foreign = journal.versions_after(snapshot_seq) - {ENGINE_VERSION}
    if foreign:
        raise JournalError(
            f"records after seq {snapshot_seq} were written by engine version "
            f"{', '.join(sorted(foreign))}, this is {ENGINE_VERSION}; start and cleanly stop "
            "that version, so that it leaves a snapshot at the end"
        )
    total = journal.last_seq - snapshot_seq
    for record in journal.scan(snapshot_seq + 1):
        replay_record(start, record)
        done = record.seq - snapshot_seq
        if done % PROGRESS_RECORDS == 0:
            on_progress(done, total)
    return start, snapshot_seq
