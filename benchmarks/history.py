"""Transactions per second that the projector turns into SQL; ``python -m benchmarks.history``.

The transactions are made beforehand; what counts is decoding them, making rows and committing
them in batches of 512. ``--url`` names another database than a SQLite file.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common import Section, done, progress, rate
from benchmarks.flow import MIDDLE, START_US, STEP_US, Shape, definitions, record, replayed
from engine.core.commands import Command, NewOrder
from engine.core.types import OrdType, Origin, Side, TimeInForce
from engine.history.decoding import decode
from engine.history.projector import Projector
from engine.history.store import open_writer
from engine.wire import encode_transaction

COMMAND = "python -m benchmarks.history"
BATCH = 512


def mix(count: int) -> tuple[list[bytes], int]:
    """Return encoded transactions of the mix, from the first on, and how many make the venue."""
    recording = record(Shape(), count)
    return encoded(recording.before + recording.measured), len(recording.before)


def crossing(count: int) -> tuple[list[bytes], int]:
    """Return the same of orders of which each second one fills the one before it."""
    venue = list(definitions(Shape()))
    accounts = Shape().accounts
    orders = [
        NewOrder(
            Origin(f"fix:F{number % accounts}", 1, number + 1), f"firm{number % accounts}",
            f"c{number}", "C0-USD", Side.SELL if number % 2 else Side.BUY, OrdType.LIMIT,
            TimeInForce.GTC, 100, MIDDLE,
        )
        for number in range(count)
    ]  # fmt: skip
    return encoded([*venue, *orders]), len(venue)


def encoded(commands: Sequence[Command]) -> list[bytes]:
    """Apply commands to a new exchange; return the transactions as the engine sends them."""
    exchange = replayed([])
    found = []
    for seq, command in enumerate(commands, 1):
        time_us = START_US + seq * STEP_US
        events = exchange.apply(seq, time_us, command)
        found.append(encode_transaction(seq, time_us, command, events))
    return found


def measure(url: str, encoded: list[bytes], before: int) -> tuple[float, float, float]:
    """Measure one round on an empty database.

    Returns transactions/s of wall and of CPU time, and events/s of CPU time.
    """
    engine = open_writer(url)
    projector = Projector(engine)
    projector.clear()
    projector.apply([decode(each) for each in encoded[:before]])
    events = 0
    wall, cpu = time.perf_counter(), time.process_time()
    for start in range(before, len(encoded), BATCH):
        batch = [decode(each) for each in encoded[start : start + BATCH]]
        events += sum(len(each.events) for each in batch)
        projector.apply(batch)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    engine.dispose()
    count = len(encoded) - before
    return count / wall, count / cpu, events / cpu


def main() -> None:
    """Print the section."""
    parser = argparse.ArgumentParser(prog=COMMAND)
    parser.add_argument("--count", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--url", default="")
    arguments = parser.parse_args()
    flows = {"mix": mix(arguments.count), "crossing": crossing(arguments.count)}
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in flows}
    with tempfile.TemporaryDirectory() as folder:
        url = arguments.url or f"sqlite:///{Path(folder) / 'history.db'}"
        for number in range(arguments.rounds):
            progress(f"history: round {number + 1} of {arguments.rounds}")
            for name, flow in flows.items():
                found[name].append(measure(url, *flow))
    done()
    columns = [zip(*rounds, strict=True) for rounds in found.values()]
    rows = zip(
        ("transactions, wall time", "transactions, CPU time", "events, CPU time"),
        *([rate(values) for values in column] for column in columns),
        strict=True,
    )
    section = Section(
        "The history: projector into " + ("PostgreSQL" if "postgres" in url else "SQLite"),
        COMMAND,
        f"{arguments.count:,} transactions of the same mix, and as many orders of which each "
        f"second one fills the one before it, in batches of {BATCH}; per second, median and spread "
        f"of {arguments.rounds} rounds.",
        ("measure", *flows),
        [*rows],
        ("Decoding, ledger lines with running balances, orders, fills and candles included.",),
    )
    print(section.text())


if __name__ == "__main__":
    main()
