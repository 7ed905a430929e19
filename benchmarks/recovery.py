"""How long a start takes, and what a snapshot costs; ``python -m benchmarks.recovery``.

A journal of the benchmarks' flow is recovered in processes of their own: all of it, and with
a snapshot that leaves as much to replay as the default setting may. Then snapshots of venues
of several sizes are taken as the engine takes them, by a fork, while batches go on.
"""

from __future__ import annotations

import argparse
import gc
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.common import Section, done, percentile, progress, rate
from benchmarks.flow import START_US, STEP_US, Flow, Shape, definitions
from engine.core.commands import Command
from engine.core.events import Event
from engine.journal.base import Record
from engine.journal.index import IndexFeed
from engine.journal.local import LocalJournal
from engine.journal.recovery import recover
from engine.journal.snapshots import SnapshotWriter, write_snapshot
from engine.memory import Memory
from engine.wire import encode_transaction

COMMAND: Final = "python -m benchmarks.recovery"
ROOT: Final = Path(__file__).parent.parent
BATCH: Final = 512
SNAPSHOT_EVERY: Final = 200_000
TRADING_BATCH: Final = 16
BATCHES_ALONE: Final = 3_000
STALL_MS_MAX: Final = 50


class Writing:
    """A flow whose transactions go to a journal, as those of an engine do."""

    def __init__(self, folder: Path, shape: Shape) -> None:
        self.journal = LocalJournal(folder / "journal")
        self.index = IndexFeed((), set())
        self.flow = Flow(shape, seed=1)
        self._batch: list[tuple[int, bytes, list[Event]]] = []
        for command in definitions(shape):
            self.do(command)

    def do(self, command: Command) -> None:
        """Apply a command and keep its transaction for the next append."""
        for event in self.apply(command):
            self.flow.watch(event)
        if len(self._batch) >= BATCH:
            self.append()

    def apply(self, command: Command) -> list[Event]:
        """Do the engine's part of ``do``: nothing that the benchmark itself remembers."""
        events = self.flow.apply(command)
        seq = self.flow.exchange.seq
        time_us = START_US + seq * STEP_US
        self._batch.append((seq, encode_transaction(seq, time_us, command, events), events))
        return events

    def append(self) -> None:
        """Make the waiting transactions durable."""
        for seq, _, events in self._batch:
            self.index.take(seq, events)
        records = [Record(seq, body) for seq, body, _ in self._batch]
        if records:
            self.journal.append(records, self.index.marks, self.index.retired)
        self.index.stored()
        self._batch.clear()

    def fill(self) -> None:
        """Bring the resting orders to the number of the shape."""
        while len(self.flow.open) < self.flow.shape.resting:
            self.do(self.flow.new())
            if len(self.flow.open) % 20_000 == 0:
                progress(f"recovery: {len(self.flow.open):,} resting orders")


def behind(count: int) -> int:
    """Return how many commands the default setting may leave behind a snapshot, or fewer."""
    return min(SNAPSHOT_EVERY, count // 5)


def write_journal(folder: Path, count: int) -> None:
    """Write a journal of ``count`` commands, and a snapshot as far before its end as allowed."""
    writing = Writing(folder, Shape())
    writing.fill()
    snapshot_at = count - behind(count)
    while writing.flow.exchange.seq < count:
        writing.do(writing.flow.next())
        exchange = writing.flow.exchange
        if exchange.seq == snapshot_at:
            writing.append()
            crc = writing.journal.crc_at(exchange.seq)
            write_snapshot(folder / "with", exchange, exchange.time_us, crc)
        if exchange.seq % 50_000 == 0:
            progress(f"recovery: writing {exchange.seq:,} of {count:,} commands")
    writing.append()
    writing.journal.close()


def recovery_child(folder: Path, snapshots: str) -> None:
    """Recover in this process and print seconds and commands replayed."""
    gc.disable()  # As the engine does.
    began = time.perf_counter()
    journal = LocalJournal(folder / "journal")
    exchange, snapshot_seq = recover(
        journal, folder / snapshots, lambda text: None, lambda seq, of: None
    )
    print(time.perf_counter() - began, exchange.seq - snapshot_seq)
    journal.close()


def recoveries(count: int, rounds: int, folder: Path) -> Section:
    """Return seconds per million commands without a snapshot, and of a start with one."""
    write_journal(folder, count)
    took: dict[str, list[float]] = {"without": [], "with": []}
    replayed = {"without": 0, "with": 0}
    for number in range(rounds):
        for snapshots in took:
            progress(f"recovery: round {number + 1} of {rounds}, {snapshots} a snapshot")
            printed = subprocess.run(
                [sys.executable, "-m", "benchmarks.recovery", "--child", str(folder), snapshots],
                check=True, capture_output=True, text=True, cwd=ROOT,
            ).stdout.split()  # fmt: skip
            took[snapshots].append(float(printed[0]))
            replayed[snapshots] = int(printed[1])
    done()
    million = [seconds * 1e6 / replayed["without"] for seconds in took["without"]]
    return Section(
        "Recovery",
        COMMAND,
        f"A journal of {count:,} commands with about 2,000 resting orders; every record is "
        "checked against its chain, applied, and its events compared byte for byte. Median and "
        f"spread of {rounds} rounds, each a process of its own.",
        ("start", "commands replayed", "seconds"),
        [
            ("per million commands, without a snapshot", "1,000,000", rate(million, 1)),
            ("this journal, without a snapshot", f"{replayed['without']:,}",
             rate(took["without"], 2)),
            (f"this journal, with a snapshot {behind(count):,} before its end",
             f"{replayed['with']:,}", rate(took["with"], 2)),
        ],
    )  # fmt: skip


def batches_ms(writing: Writing, until: Callable[[int], bool]) -> list[float]:
    """Return milliseconds of small batches, from apply to durable, until told to stop."""
    took: list[float] = []
    while not until(len(took)):
        seconds = 0.0
        for _ in range(TRADING_BATCH):
            command = writing.flow.next()
            began = time.perf_counter()
            events = writing.apply(command)
            seconds += time.perf_counter() - began
            for event in events:
                writing.flow.watch(event)
        began = time.perf_counter()
        writing.append()
        took.append((seconds + time.perf_counter() - began) * 1_000)
    return took


def rest(memory: Memory, seq: int) -> None:
    """Do the work of an idle engine's turns."""
    memory.turn(seq, idle=True)
    while memory.pending:
        memory.turn(seq, idle=True)


def snapshot_row(
    resting: int, rounds: int, folder: Path, rested: bool
) -> tuple[tuple[str, ...], float]:
    """Return one size of a venue: the pause of the fork, and what batches take meanwhile."""
    writing = Writing(folder, Shape(resting=resting, levels=5_000))
    writing.fill()
    writing.append()
    memory = Memory(writing.flow.exchange.seq)
    snapshots = SnapshotWriter(folder / "snapshots")
    pauses, written, meanwhile = [], [], []
    if rested:
        rest(memory, writing.flow.exchange.seq)
    alone = batches_ms(writing, lambda count: count >= BATCHES_ALONE)
    for number in range(rounds):
        progress(f"snapshot of {resting:,} resting orders: round {number + 1} of {rounds}")
        exchange = writing.flow.exchange
        crc = writing.journal.crc_at(exchange.seq)
        began = time.perf_counter()
        snapshots.start(exchange, exchange.time_us, crc)
        pauses.append((time.perf_counter() - began) * 1_000)
        meanwhile += batches_ms(writing, lambda count: bool(snapshots.poll()))
        written.append(time.perf_counter() - began)
        memory.broken_up()
        if rested:
            rest(memory, writing.flow.exchange.seq)
    done()
    gc.enable()
    gc.unfreeze()
    writing.journal.close()
    stall = max(max(pauses), max(meanwhile))
    cells = (
        f"{resting:,}{'' if rested else ', never idle'}", rate(pauses, 1), rate(written, 2),
        f"{percentile(alone, 0.5):.2f} / {percentile(alone, 0.99):.2f} / {max(alone):.1f}",
        f"{percentile(meanwhile, 0.5):.2f} / {percentile(meanwhile, 0.99):.2f} / "
        f"{max(meanwhile):.1f}",
    )  # fmt: skip
    return cells, stall


def snapshots(sizes: tuple[int, ...], rounds: int, folder: Path) -> Section:
    """Return what trading notices of a snapshot."""
    rows = []
    for resting, rested in [*((size, True) for size in sizes), (sizes[-1], False)]:
        cells, _ = snapshot_row(resting, rounds, folder / f"{resting}-{rested}", rested)
        rows.append(cells)
    return Section(
        "Snapshots while trading",
        COMMAND,
        f"Batches of {TRADING_BATCH} commands, from apply to durable, alone and while a forked "
        f"child writes the snapshot ({rounds} each); the pause is that of the fork, and the "
        f"bound is {STALL_MS_MAX} ms.",
        ("resting orders", "pause, ms", "until durable, s", "batch alone, ms p50/p99/max",
         "batch meanwhile, ms p50/p99/max"),
        rows,
        (
            "The engine and its child share the machine's processors with the load generator.",
            "When the engine is idle, it requests huge pages for a large state "
            "(`engine/memory.py`); an engine that is never idle forks with small pages.",
        ),
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small journal and small venues")
    parser.add_argument("--child", nargs=2, metavar=("FOLDER", "SNAPSHOTS"),
                        help=argparse.SUPPRESS)  # fmt: skip
    options = parser.parse_args()
    if options.child:
        recovery_child(Path(options.child[0]), options.child[1])
        return
    count, rounds = (60_000, 2) if options.quick else (1_000_000, 3)
    sizes = (2_000, 20_000) if options.quick else (2_000, 100_000, 1_000_000)
    with tempfile.TemporaryDirectory() as name:
        print(recoveries(count, rounds, Path(name) / "recovery").text())
        print(snapshots(sizes, rounds, Path(name)).text())


if __name__ == "__main__":
    main()
