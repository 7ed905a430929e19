"""Transactions per second that the projector turns into SQL; ``python -m benchmarks.history``.

The transactions are made beforehand; what counts is decoding them, making rows and committing
them in batches of 512. ``--url`` names another database than a SQLite file.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks.common import Section, done, progress, rate
from benchmarks.flow import START_US, STEP_US, Shape, record, replayed
from engine.history.projector import Projector
from engine.history.store import open_writer
from engine.wire import decode_transaction, encode_transaction

COMMAND = "python -m benchmarks.history"
BATCH = 512


def journal(count: int) -> tuple[list[bytes], int]:
    """Return encoded transactions of the mix, from the first on, and how many make the venue."""
    recording = record(Shape(), count)
    commands = recording.before + recording.measured
    exchange = replayed([])
    encoded = []
    for seq, command in enumerate(commands, 1):
        time_us = START_US + seq * STEP_US
        events = exchange.apply(seq, time_us, command)
        encoded.append(encode_transaction(seq, time_us, command, events))
    return encoded, len(recording.before)


def measure(url: str, encoded: list[bytes], before: int) -> tuple[float, float, float]:
    """Measure one round on an empty database: transactions/s, events/s of CPU and of wall time."""
    engine = open_writer(url)
    projector = Projector(engine)
    projector.clear()
    projector.apply([decode_transaction(each) for each in encoded[:before]])
    events = 0
    wall, cpu = time.perf_counter(), time.process_time()
    for start in range(before, len(encoded), BATCH):
        batch = [decode_transaction(each) for each in encoded[start : start + BATCH]]
        events += sum(len(each.events) for each in batch)
        projector.apply(batch)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    engine.dispose()
    return (len(encoded) - before) / wall, events / cpu, events / wall


def main() -> None:
    """Print the section."""
    parser = argparse.ArgumentParser(prog=COMMAND)
    parser.add_argument("--count", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--url", default="")
    arguments = parser.parse_args()
    encoded, before = journal(arguments.count)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        url = arguments.url or f"sqlite:///{Path(folder) / 'history.db'}"
        for number in range(arguments.rounds):
            progress(f"history: round {number + 1} of {arguments.rounds}")
            found.append(measure(url, encoded, before))
    done()
    transactions, cpu, wall = zip(*found, strict=True)
    section = Section(
        "The history: projector into " + ("PostgreSQL" if "postgres" in url else "SQLite"),
        COMMAND,
        f"{arguments.count:,} transactions of the same mix in batches of {BATCH}; median and "
        f"spread of {arguments.rounds} rounds.",
        ("measure", "per second"),
        [
            ("transactions, wall time", rate(transactions)),
            ("events, wall time", rate(wall)),
            ("events, CPU time", rate(cpu)),
        ],
        ("Decoding, ledger lines with running balances, orders, fills and candles included.",),
    )
    print(section.text())


if __name__ == "__main__":
    main()
