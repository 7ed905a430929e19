"""A simulated disk: what is durable, and a journal and snapshots that write to it.

A fault is planned for one of the next appends: the process ends before or after the batch is
durable, or the write fails with the batch durable or not. What a process had not made durable
is gone when it ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Final
from zlib import crc32

from engine.core.exchange import Exchange
from engine.core.types import RetiredId
from engine.journal.base import AccountMark, JournalError, JournalFailed, Record
from engine.journal.recovery import replay_record
from engine.journal.snapshots import Finished, Outcome
from engine.journal.statecodec import decode_state, encode_state
from tests.prove.simulation.transport import Crash
from tests.prove.simulation.world import World

SNAPSHOTS_KEPT: Final = 3


class Fault(Enum):
    """What may befall an append."""

    CRASH_BEFORE = 1
    CRASH_AFTER = 2
    FAIL_BEFORE = 3
    FAIL_AFTER = 4


class Disk:
    """What survives the engine: records with their chained crcs, both indexes, snapshots."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.crcs: list[int] = []
        self.marks: dict[str, list[AccountMark]] = {}
        self.retired: dict[tuple[str, str], RetiredId] = {}
        self.snapshots: dict[int, bytes] = {}

    def write(
        self,
        records: Sequence[Record],
        marks: Sequence[AccountMark],
        retired: Sequence[tuple[int, RetiredId]],
    ) -> None:
        """Make a batch durable as a whole."""
        for seq, body in records:
            assert seq == len(self.bodies) + 1
            self.crcs.append(crc32(body, self.crcs[-1] if self.crcs else 0))
            self.bodies.append(body)
        for mark in marks:
            self.marks.setdefault(mark.account, []).append(mark)
        for _, row in retired:
            self.retired[row.account, row.client_order_id] = row

    def recover(self, world: World) -> Exchange:
        """The newest snapshot, or an older one now and then, and every record after it."""
        seqs = sorted(self.snapshots)
        if seqs and world.chance(0.2):
            seqs.pop()
        exchange = Exchange()
        if seqs:
            exchange = Exchange.restore(decode_state(self.snapshots[seqs[-1]]))
        for seq in range(exchange.seq + 1, len(self.bodies) + 1):
            replay_record(exchange, Record(seq, self.bodies[seq - 1]))
        return exchange


class SimJournal:
    """The ``Journal`` protocol over the disk, for one life of the engine."""

    first_seq = 1

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.last_seq = len(disk.bodies)
        self.fault: Fault | None = None
        self.appends_until_fault = 0
        self.appends = 0

    def append(
        self,
        records: Sequence[Record],
        marks: Sequence[AccountMark],
        retired: Sequence[tuple[int, RetiredId]],
    ) -> None:
        fault = self._due()
        if fault is Fault.CRASH_BEFORE:
            raise Crash
        if fault is Fault.FAIL_BEFORE:
            raise JournalFailed("the simulated disk refuses the write")
        self.appends += 1
        self.write(records, marks, retired)
        if fault is Fault.CRASH_AFTER:
            raise Crash
        if fault is Fault.FAIL_AFTER:
            raise JournalFailed("the simulated disk reports an error for a write that it did")
        self.last_seq = records[-1].seq

    def write(
        self,
        records: Sequence[Record],
        marks: Sequence[AccountMark],
        retired: Sequence[tuple[int, RetiredId]],
    ) -> None:
        """What a sabotage replaces."""
        self.disk.write(records, marks, retired)

    def _due(self) -> Fault | None:
        if self.fault is None:
            return None
        self.appends_until_fault -= 1
        return self.fault if self.appends_until_fault < 0 else None

    def read(self, from_seq: int, count: int, bytes_max: int = 1 << 22) -> list[Record]:
        if from_seq < 1:
            raise JournalError("there is nothing before seq 1")
        found, size = [], 0
        for seq in range(from_seq, min(self.last_seq, from_seq + count - 1) + 1):
            found.append(Record(seq, self.disk.bodies[seq - 1]))
            size += len(found[-1].body)
            if size >= bytes_max:
                break
        return found

    def flush(self) -> int:
        return self.last_seq

    def crc_at(self, seq: int) -> int:
        return self.disk.crcs[seq - 1] if seq else 0

    def mark_before(self, account: str, account_seq: int) -> AccountMark | None:
        found = None
        for mark in self.disk.marks.get(account, ()):
            if mark.account_seq <= account_seq:
                found = mark
        return found

    def last_marks(self) -> list[AccountMark]:
        return [marks[-1] for marks in self.disk.marks.values()]

    def find_retired(self, account: str, client_order_id: str) -> RetiredId | None:
        return self.disk.retired.get((account, client_order_id))

    def accounts_with_retired(self) -> set[str]:
        return {account for account, _ in self.disk.retired}

    def close(self) -> None:
        """Nothing is held."""


class SimSnapshots:
    """Snapshots that take their time; one that is not finished when the process ends is lost."""

    def __init__(self, world: World, disk: Disk) -> None:
        self._world = world
        self._disk = disk
        self._state = b""
        self._seq = 0
        self._done_us = 0
        self.last_seq = max(disk.snapshots, default=0)

    @property
    def busy(self) -> bool:
        return self._seq != 0

    def start(self, exchange: Exchange, time_us: int, journal_crc: int) -> None:
        if self._world.chance(0.1):
            raise OSError("the simulated system cannot fork")
        self._state = encode_state(exchange.export_state())
        self._seq = exchange.seq
        self._done_us = self._world.now_us + self._world.delay_us(2_000_000)

    def poll(self, wait: bool = False) -> Finished | None:
        if not self._seq or self._world.now_us < self._done_us:
            return None
        seq, self._seq = self._seq, 0
        if self._world.chance(0.1):
            return Finished(seq, Outcome.FAILED, 1)
        self._disk.snapshots[seq] = self._state
        for old in sorted(self._disk.snapshots)[:-SNAPSHOTS_KEPT]:
            del self._disk.snapshots[old]
        self.last_seq = seq
        return Finished(seq, Outcome.WRITTEN, 0)

    def write_now(self, exchange: Exchange, time_us: int, journal_crc: int) -> None:
        self._disk.snapshots[exchange.seq] = encode_state(exchange.export_state())
        self.last_seq = exchange.seq
