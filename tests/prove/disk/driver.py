"""A program that does to a journal what an engine does: ``driver FOLDER SEED BATCHES [careless]``.

It opens the journal, recovers, appends batches of a random flow, takes snapshots in a child
and inline, and begins a new segment now and then. Before each append it writes ``try N`` and
after it ``ack N`` to the file ``acks``, so that whoever watches knows what it was promised.
With ``careless`` it flushes less than it must, so that a test can see that this is found.
Started again over the same folder it goes on with what it finds there. It ends with the
engine's exit codes: 0, 3 when the journal cannot be trusted, 4 when the disk failed or is full.

``driver serve`` lives many such lives, each in a child; see ``serve``.
"""

from __future__ import annotations

import ctypes
import json
import os
import sqlite3
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.core import venue as core
from engine.core.commands import DefineVenue
from engine.core.exchange import Exchange
from engine.journal import index, local
from engine.journal import segment as files
from engine.journal.base import JournalError, JournalFailed, Record
from engine.journal.index import IndexFeed
from engine.journal.local import LocalJournal
from engine.journal.prior import with_prior
from engine.journal.recovery import recover
from engine.journal.snapshots import SnapshotWriter
from engine.wire import encode_transaction
from tests.support.wide_flow import WideFlow

SEGMENT_RECORDS = 60
SNAPSHOT_EVERY = 35
CLOSED_KEPT = 2


@contextmanager
def few_retire() -> Iterator[None]:
    """Let client order ids retire by the four: in the driver, and where its journals are
    replayed."""
    usual = core.RETIRE_BATCH
    core.RETIRE_BATCH = 4  # type: ignore[misc]
    try:
        yield
    finally:
        core.RETIRE_BATCH = usual  # type: ignore[misc]


def shrink() -> None:
    """Let small journals do what large ones do: checkpoint, note the index's progress, have ids
    wait for their place in it."""
    files.AUTOCHECKPOINT_PAGES = 12  # type: ignore[misc]
    local.INDEX_LAG_MAX = 20  # type: ignore[misc]
    index.COMMIT_ROWS = 1  # type: ignore[misc]


def be_careless() -> None:
    """Flush at checkpoints only."""
    careful = files.open_writing

    def careless(path: Path, flushed: bool = True) -> sqlite3.Connection:
        connection = careful(path)
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    files.open_writing = careless


class Writer:
    """Applies commands of a flow and appends them."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.journal = LocalJournal(folder / "journal", segment_records_max=SEGMENT_RECORDS)
        snapshots = folder / "journal" / "snapshots"
        self.snapshots = SnapshotWriter(snapshots)
        self.exchange: Exchange
        self.exchange, self.snapshots.last_seq = recover(
            self.journal, snapshots, lambda text: None, lambda done, of: None
        )
        self.index = IndexFeed(self.journal.last_marks(), self.journal.accounts_with_retired())
        # Another part of the flow after each start, but the same for the same start.
        self.flow = WideFlow(seed + self.exchange.seq)
        self.flow.now = max(self.flow.now, self.exchange.time_us)
        definitions = WideFlow(seed).definitions()
        venue = definitions[0]
        assert isinstance(venue, DefineVenue)
        definitions[0] = venue._replace(closed_orders_kept=CLOSED_KEPT)
        self.definitions = definitions[self.exchange.seq :]
        self.acks = os.open(folder / "acks", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def batch(self, size: int) -> None:
        """Append some transactions with one commit. Raises JournalFailed."""
        records = []
        while len(records) < size:
            if self.definitions:
                time_us, command = self.flow.now, self.definitions.pop(0)
            else:
                time_us, command = self.flow.next()
            exchange = self.exchange
            if exchange.find_duplicate(command) is not None:
                continue
            seq = exchange.seq + 1
            command = with_prior(command, self.index, self.journal)
            events = exchange.apply(seq, time_us, command)
            self.flow.observe(events)
            self.index.take(seq, events)
            records.append(Record(seq, encode_transaction(seq, time_us, command, events)))
        os.write(self.acks, f"try {records[-1].seq}\n".encode())
        self.journal.append(records, self.index.marks, self.index.retired)
        self.index.stored()
        os.write(self.acks, f"ack {records[-1].seq}\n".encode())

    def snapshot(self) -> None:
        """Begin a snapshot as the engine does, and wait for it."""
        exchange = self.exchange
        self.snapshots.start(exchange, exchange.time_us, self.journal.crc_at(exchange.seq))
        self.snapshots.poll(wait=True)

    def close(self) -> None:
        """End as the engine does: a last snapshot, the log folded into the segment."""
        exchange = self.exchange
        crc = self.journal.crc_at(exchange.seq)
        self.snapshots.write_now(exchange, exchange.time_us, crc)
        self.journal.close()


def life(folder: Path, seed: int, batches: int) -> int:
    """One life of the journal; the exit code."""
    try:
        writer = Writer(folder, seed)
    except JournalError as error:
        print(error, file=sys.stderr)
        return 4 if isinstance(error, JournalFailed) else 3
    pick = writer.flow.random
    due = writer.exchange.seq + SNAPSHOT_EVERY
    try:
        for _ in range(batches):
            writer.batch(pick.choice((1, 1, 2, 5, 9)))
            if writer.exchange.seq >= due:
                due = writer.exchange.seq + SNAPSHOT_EVERY
                writer.snapshot()
    except JournalFailed as error:
        print(error, file=sys.stderr)
        return 4
    try:
        writer.close()
    except OSError as error:
        print(f"the last snapshot failed: {error}", file=sys.stderr)
    return 0


def serve() -> int:
    """Live each life that a line of standard input asks for in a child of its own.

    A line is a JSON array: folder, seed, batches, fault; the answer is exit code and words.
    """
    arm = ctypes.CDLL(None).shim_arm
    for line in sys.stdin:
        folder, seed, batches, fault = json.loads(line)
        said, says = os.pipe()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.dup2(says, 2)
                if fault:
                    arm(f"{folder}/journal".encode(), fault.encode())
                code = life(Path(folder), seed, batches)
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        os.close(says)
        with open(said, encoding="utf-8") as words:
            text = words.read()
        _, status = os.waitpid(child, 0)
        print(json.dumps([os.waitstatus_to_exitcode(status), text]), flush=True)
    return 0


@few_retire()
def main() -> int:
    shrink()
    if sys.argv[1] == "serve":
        return serve()
    if sys.argv[4:] == ["careless"]:
        be_careless()
    return life(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))


if __name__ == "__main__":
    sys.exit(main())
