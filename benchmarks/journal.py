"""Durable records per second by batch size; ``python -m benchmarks.journal``.

The venue's journal (chained checksums, index rows, one flushed commit per batch) beside raw
sqlite3 with the same durability and beside a plain file with one write and one fdatasync.
Every record is a transaction of the benchmark's flow as the engine encodes it.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from benchmarks.common import Section, done, half_and_99, progress, rate
from benchmarks.flow import START_US, STEP_US, Shape, record
from engine.core.events import Event
from engine.core.exchange import Exchange
from engine.journal.base import Record
from engine.journal.index import IndexFeed
from engine.journal.local import LocalJournal
from engine.wire import encode_transaction

COMMAND = "python -m benchmarks.journal"
BATCHES: Final = (1, 8, 64, 512)
Encoded = tuple[bytes, list[Event]]
Append = Callable[[int, Sequence[Encoded]], None]


def encoded_transactions(count: int) -> list[Encoded]:
    """Return the transactions of the flow, as the engine would write them."""
    recording = record(Shape(), count)
    exchange, found = Exchange(), []
    for command in recording.before + recording.measured:
        seq = exchange.seq + 1
        time_us = START_US + seq * STEP_US
        events = exchange.apply(seq, time_us, command)
        found.append((encode_transaction(seq, time_us, command, events), events))
    return found[-count:]


def venue_journal(folder: Path) -> Append:
    """Return the journal of the venue."""
    journal = LocalJournal(folder / "journal")
    feed = IndexFeed((), set())

    def append(first: int, batch: Sequence[Encoded]) -> None:
        records = []
        for seq, (body, events) in enumerate(batch, first):
            feed.take(seq, events)
            records.append(Record(seq, body))
        journal.append(records, feed.marks, feed.retired)
        feed.stored()

    return append


def raw_sqlite(folder: Path) -> Append:
    """Write to a table: WAL, synchronous=FULL, one transaction per batch."""
    connection = sqlite3.connect(folder / "raw.db", isolation_level=None)
    connection.execute("PRAGMA page_size = 16384")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE records (seq INTEGER PRIMARY KEY, body BLOB NOT NULL)")

    def append(first: int, batch: Sequence[Encoded]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        rows = ((seq, body) for seq, (body, _) in enumerate(batch, first))
        connection.executemany("INSERT INTO records VALUES (?, ?)", rows)
        connection.execute("COMMIT")

    return append


def plain_file(folder: Path) -> Append:
    """Write with one write and one fdatasync per batch; nothing finds a torn record."""
    number = os.open(folder / "plain", os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def append(first: int, batch: Sequence[Encoded]) -> None:
        os.write(number, b"".join(body for body, _ in batch))
        os.fdatasync(number)

    return append


STORES: Final[dict[str, Callable[[Path], Append]]] = {
    "venue": venue_journal,
    "raw sqlite3": raw_sqlite,
    "file + fdatasync": plain_file,
}


def one_round(
    make: Callable[[Path], Append], folder: Path, batch: int, transactions: list[Encoded],
    seconds: float,
) -> tuple[float, list[float]]:  # fmt: skip
    """Append for some time; records per second, and the milliseconds of each batch."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        append = make(Path(name))
        seq, took = 1, []
        start = last = time.perf_counter()
        while last - start < seconds:
            at = (seq - 1) % (len(transactions) - batch + 1)
            append(seq, transactions[at : at + batch])
            seq += batch
            now = time.perf_counter()
            took.append((now - last) * 1000)
            last = now
    return (seq - 1) / (last - start), took


def sections(quick: bool = False, folder: Path | None = None) -> list[Section]:
    """Return records per second of every store and batch size, in alternating rounds."""
    rounds, seconds = (3, 0.3) if quick else (7, 0.5)
    transactions = encoded_transactions(2_000 if quick else 10_000)
    size = statistics.mean(len(body) for body, _ in transactions)
    rates: dict[tuple[str, int], list[float]] = {}
    waits: dict[tuple[str, int], list[float]] = {}
    where = folder or Path(tempfile.gettempdir())
    for number in range(rounds):
        for batch in BATCHES:
            for name, make in STORES.items():
                progress(f"journal: round {number + 1} of {rounds}, {name}, batches of {batch}")
                figure, took = one_round(make, where, batch, transactions, seconds)
                rates.setdefault((name, batch), []).append(figure)
                waits.setdefault((name, batch), []).extend(took)
    done()
    rows = [(name, *(rate(rates[name, batch]) for batch in BATCHES)) for name in STORES]
    slow = [(name, *(half_and_99(waits[name, batch]) for batch in BATCHES)) for name in STORES]
    header = ("store", *(f"batch {batch}" for batch in BATCHES))
    return [
        Section(
            "The journal: durable records per second",
            COMMAND,
            f"Records of {size:.0f} bytes on average, every batch flushed to disk before the "
            f"next; median and spread of {rounds} alternating rounds of {seconds:g} s.",
            header,
            rows,
            ("The venue's journal also has chained checksums over the records and writes the "
             "index rows in the same commit.",),
        ),
        Section(
            "The journal: how long a batch takes",
            COMMAND,
            "Milliseconds until a batch is durable in the same rounds, p50 / p99.",
            header,
            slow,
        ),
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--folder", type=Path, help="where to write; the disk that is measured")
    options = parser.parse_args()
    for section in sections(options.quick, options.folder):
        print(section.text())


if __name__ == "__main__":
    main()
