"""Market data by FIX beside the WebSocket on the same venue; ``python -m benchmarks.market_data``.

How long an order takes until a reader has the change of the book that it makes, with one reader and
with a hundred, each subscribed to the whole books of ten instruments; how many messages a hundred
readers get when orders come as fast as they are taken; and what those readers cost order entry.
Rounds alternate between the doors.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

from argon2 import PasswordHasher

from benchmarks.common import Section, done, machine, progress, rate, ratios
from benchmarks.compiled import printed_here
from benchmarks.fix import WINDOW
from benchmarks.venue import ROOT, Venue, instrument_tables, traders
from config.process import log_json_lines

COMMAND: Final = "python -m benchmarks.market_data"
KINDS: Final = {"fix": "FIX", "websocket": "WebSocket"}
SERVICES: Final = {"fix": "fix_gateway.market_data.main", "websocket": "account_api.stream"}
SYMBOLS: Final = ("BTC-USD", "ETH-USD", *(f"M{number:02d}-USD" for number in range(8)))
TRADERS: Final = 10
READERS_NICENESS: Final = 5
"""Readers are on machines of their own in truth, so here they stand behind the venue."""


class Plan(NamedTuple):
    """How much of each."""

    readers: int = 100
    rounds: int = 7
    pace: int = 50
    """Orders a second where single ones are timed."""
    singles: int = 300
    orders: int = 20_000
    """Of each round where they come as fast as they are taken."""


FULL: Final = Plan()
QUICK: Final = Plan(rounds=3, singles=150, orders=6_000)
TINY: Final = Plan(readers=3, rounds=1, singles=20, orders=200)


def tables(readers: int) -> str:
    """Return the configuration of more instruments, and of one firm with many readers."""
    made = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("reader-demo")
    instruments = instrument_tables(SYMBOLS[2:])
    sessions = "".join(
        f"""
[[sessions]]
comp_id = "R{number:03d}-MD"
account = "reader"
username = "reader"
password_hash = "{made}"
kind = "market_data"
"""
        for number in range(readers)
    )
    return f"""{instruments}
[[accounts]]
account = "reader"
firm = "reader"
maker_fee_ppm = 500
taker_fee_ppm = 1000
stp = "none"
open_orders_max = 10
{sessions}"""


class Bench:
    """The venue and its rounds."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.ports = {"fix": venue.port, "websocket": venue.stream_port}
        self.pids = {
            kind: child.process.pid
            for kind, module in SERVICES.items()
            for child in venue.children
            if child.name == module
        }
        self.loads = 0

    def _prefix(self) -> str:
        self.loads += 1
        return f"m{self.loads}-"

    def _readers(self, kind: str, count: int) -> tuple[str, ...]:
        return (
            "benchmarks.market_data_load", "--kind", kind, "--port", str(self.ports[kind]),
            "--count", str(count), "--symbols", ",".join(SYMBOLS),
        )  # fmt: skip

    def waits(self, kind: str, readers: int, plan: Plan) -> dict[str, float]:
        """Return percentiles of a round of single orders, in ms."""
        printed = printed_here(
            *self._readers(kind, readers), "--rate", str(plan.pace), "--orders", str(plan.singles),
            "--orders-port", str(self.venue.port), "--trader", "t00", "--prefix", self._prefix(),
            "--nice", str(READERS_NICENESS),
        )  # fmt: skip
        found: dict[str, float] = json.loads(printed)
        return found

    def cpu_s(self, kind: str) -> float:
        """Return processor time that a service has had, in seconds."""
        stat = Path(f"/proc/{self.pids[kind]}/stat").read_text(encoding="ascii")
        ticks = sum(int(field) for field in stat.rpartition(")")[2].split()[11:13])
        return ticks / os.sysconf("SC_CLK_TCK")

    def entry(self, plan: Plan) -> float:
        """Return orders per second with many under way."""
        printed = printed_here(
            "benchmarks.fix_load", "--port", str(self.venue.port), "--traders",
            ",".join(traders(TRADERS)), "--prefix", self._prefix(), "--orders", str(plan.orders),
            "--single", "0", "--window", str(WINDOW), "--symbols", ",".join(SYMBOLS),
        )  # fmt: skip
        return float(json.loads(printed)["rate"])

    def beside(self, kind: str, plan: Plan) -> tuple[float, dict[str, float]]:
        """Return orders per second beside readers, and what these got."""
        command = [sys.executable, "-m", *self._readers(kind, plan.readers)]
        command += ["--nice", str(READERS_NICENESS)]
        with subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None and process.stdin is not None
            try:
                if process.stdout.readline() != "ready\n":
                    raise RuntimeError("the readers did not start")
                before = self.cpu_s(kind)
                orders = self.entry(plan)
                cpu = self.cpu_s(kind) - before
                process.stdin.close()
                got: dict[str, float] = json.loads(process.stdout.readline())
            except BaseException:
                process.kill()
                raise
        return orders, {**got, "cpu": cpu}


def waiting(bench: Bench, plan: Plan) -> Section:
    """Return how long a change of the book takes to readers."""
    rows = []
    for readers in (1, plan.readers):
        found: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
        for number in range(plan.rounds):
            for kind, rounds in found.items():
                progress(
                    f"market data: {readers} readers, round {number + 1} of {plan.rounds}, {kind}"
                )
                rounds.append(bench.waits(kind, readers, plan))
        columns = {
            kind: {name: [one[name] for one in rounds] for name in rounds[0]}
            for kind, rounds in found.items()
        }
        other = columns["websocket"]
        for kind, name in KINDS.items():
            one = columns[kind]
            rows.append((
                f"{readers:,}", name, rate(one["report 0.5"], 2),
                rate(one["change 0.5"], 2), rate(one["change 0.99"], 2),
                rate(one["after 0.5"], 2), rate(one["after 0.99"], 2),
                ratios(one["change 0.5"], other["change 0.5"]),
                ratios(one["change 0.99"], other["change 0.99"]),
            ))  # fmt: skip
    done()
    return Section(
        "Market data: from an order to the change of the book",
        COMMAND,
        f"Milliseconds from sending an order by FIX until its report, and until a reader has the "
        f"change of the book; \"after\" counts from the report. {plan.pace} orders a second on "
        f"{len(SYMBOLS)} instruments, all of which every reader follows to the last level; "
        f"{plan.rounds} alternating rounds of {plan.singles:,} orders. Arrivals are those that the "
        "kernel stamps.",
        ("readers", "door", "report, p50", "change, p50", "change, p99", "after, p50",
         "after, p99", "p50, ratio", "p99, ratio"),
        rows,
        (
            "Goal: not slower than the WebSocket. QuickFIX writes a header for every session and "
            "calls back into Python for every message; a message of the WebSocket is written as it "
            "is to all subscribers.",
            "The readers run on the venue's processors; p99 is as much that as the venue.",
            machine()[-1].replace("before the run", "after these rounds"),
        ),
    )  # fmt: skip


def entering(bench: Bench, plan: Plan) -> Section:
    """Return what readers get, and cost, when orders come as fast as they are taken."""
    alone: list[float] = []
    beside: dict[str, list[tuple[float, dict[str, float]]]] = {kind: [] for kind in KINDS}
    for number in range(plan.rounds):
        progress(f"market data: order entry, round {number + 1} of {plan.rounds}")
        alone.append(bench.entry(plan))
        for kind, rounds in beside.items():
            rounds.append(bench.beside(kind, plan))
    done()
    rows: list[tuple[str, ...]] = [("none", rate(alone), "1.00", "-", "-", "-")]
    for kind, rounds in beside.items():
        orders = [one for one, _ in rounds]
        got = [one for _, one in rounds]
        rows.append((
            f"{plan.readers:,} by {KINDS[kind]}", rate(orders), ratios(orders, alone),
            rate([one["messages"] / one["seconds"] for one in got]),
            rate([1e6 * one["cpu"] / max(1, one["messages"]) for one in got], 1),
            rate([100 * one["cpu"] / one["seconds"] for one in got]),
        ))  # fmt: skip
    return Section(
        "Market data: order entry beside readers",
        COMMAND,
        f"Orders a second of {TRADERS} FIX sessions, up to {WINDOW:,} unanswered, without readers "
        f"and beside them, and what the readers get meanwhile; {plan.rounds} alternating rounds "
        f"of {plan.orders:,} orders on {len(SYMBOLS)} instruments.",
        ("readers", "orders/s", "ratio", "messages/s to all readers", "processor µs per message",
         "processor, % of one core"),
        rows,
        (
            "Goal: order entry loses less than a tenth. The readers share the machine with the "
            f"venue, at niceness {READERS_NICENESS}.",
            "A process that gets less of the processors tells several changes of a book in one "
            "message, so messages/s say how fine the changes are, and not how many were told.",
            "The service is that of the readers: the market data process of FIX, or the WebSocket "
            "process, which follows the market and all accounts whether anybody reads or not.",
        ),
    )  # fmt: skip


def sections(plan: Plan) -> list[Section]:
    """Return both tables, from the same venue."""
    with (
        tempfile.TemporaryDirectory(prefix="tandem-b-") as name,
        Venue(
            Path(name), traders(TRADERS), tuple(SERVICES.values()), tables(plan.readers)
        ) as venue,
    ):
        bench = Bench(venue)
        return [waiting(bench, plan), entering(bench, plan)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer orders and rounds")
    parser.add_argument("--tiny", action="store_true", help="just enough to see that it works")
    options = parser.parse_args()
    log_json_lines()  # To standard error: what is printed here is the page.
    for section in sections(TINY if options.tiny else QUICK if options.quick else FULL):
        print(section.text())


if __name__ == "__main__":
    main()
