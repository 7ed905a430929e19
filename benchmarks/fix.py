"""FIX, from an order to its durable ExecutionReport; ``python -m benchmarks.fix``.

The venue (gateway and engine as processes, risk-checked, journalled and flushed) beside a
bare QuickFIX acceptor in Python with the same dictionary, settings and file store that
answers from its callback. Both get the same load from the same program, in turn: one session,
ten and fifty with many orders under way, and one order at a time. The last is compared with
what this disk takes for one flush.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.common import Section, done, percentile, progress, rate, ratios
from benchmarks.compiled import printed_here
from benchmarks.journal import Append, Encoded, raw_sqlite
from benchmarks.venue import Child, Venue, cpu_s, traders
from config.awake import DEVICE, Awake
from config.ports import free_ports
from config.process import log_json_lines

COMMAND: Final = "python -m benchmarks.fix"
WINDOW: Final = 1_000
WARM_UP: Final = 1_000
VENUE: Final = "venue"
BARE: Final = "bare acceptor"
RECORD: Final = bytes(300)
"""About the size in the journal of the transaction of one order."""
OVERWRITTEN_BYTES: Final = 1 << 20
GOAL_US: Final = 200
WHAT: Final = {
    VENUE: "venue, order to report",
    BARE: "bare acceptor, order to report",
    "fdatasync": f"the disk: {len(RECORD)} bytes overwritten, and fdatasync",
    "sqlite3 commit": f"the disk: {len(RECORD)} bytes in a flushed commit of sqlite3",
}
SINGLE_STEPS: Final = (
    "By time stamps in all processes, with processors kept awake (and as they come), in µs: from "
    "QuickFIX's callback until the order is on its way to the engine 12 (19), until the engine "
    "wakes up 10 (41), until it is read 9 (15), applied 9 (17), in SQLite 8 (17), committed and "
    "flushed 119 (179), published 7 (20), until the gateway wakes up 3 (15), has read it 8 (14) "
    "and made a report 12 (20), and until QuickFIX has stored and sent that 30 (41). No step is "
    "slow by itself: as they come, processors sleep between two steps, and what follows begins "
    "with waking one up."
)


def overwriting(folder: Path) -> Append:
    """Return a file that does not grow, so that a flush writes only data: the cheapest flush."""
    number = os.open(folder / "overwritten", os.O_CREAT | os.O_RDWR, 0o600)
    os.write(number, bytes(OVERWRITTEN_BYTES))
    os.fsync(number)

    def append(first: int, batch: Sequence[Encoded]) -> None:
        data = b"".join(body for body, _ in batch)
        os.pwrite(number, data, first * len(data) % (OVERWRITTEN_BYTES - len(data)))
        os.fdatasync(number)

    return append


class Disk:
    """Flushes of a store that goes on from round to round, as the venue's does."""

    def __init__(self, append: Append) -> None:
        self.append = append
        self.seq = 0

    def flushes(self, count: int) -> list[float]:
        """Return milliseconds of each."""
        took = []
        for _ in range(count):
            self.seq += 1
            began = time.perf_counter()
            self.append(self.seq, [(RECORD, [])])
            took.append((time.perf_counter() - began) * 1_000)
        return took


class Plan(NamedTuple):
    """How many sessions share how many orders, in how many rounds."""

    sessions: int
    orders: int
    rounds: int


FULL: Final = (Plan(1, 20_000, 7), Plan(10, 10_000, 5), Plan(50, 10_000, 5))
QUICK: Final = (Plan(1, 4_000, 3), Plan(10, 4_000, 2), Plan(50, 4_000, 2))
TINY: Final = (Plan(1, 200, 1), Plan(2, 200, 1))


class Servers:
    """The venue and the bare acceptor, with the same sessions."""

    def __init__(self, folder: Path, venue: Venue, names: list[str]) -> None:
        self.names = names
        port = free_ports(1)[0]
        self.ports = {VENUE: venue.port, BARE: port}
        self.bare = Child(
            folder, "benchmarks.fix_bare", str(port), *names, ready="ready", environment={}
        )
        self.loads = 0
        engine, gateway = (child.process.pid for child in venue.children[:2])
        self.processes = {"engine": engine, "gateway": gateway, BARE: self.bare.process.pid}

    def cpu_s(self) -> dict[str, float]:
        """Return processor time that each process has had, in seconds."""
        return {name: cpu_s(process) for name, process in self.processes.items()}

    def load(
        self, server: str, sessions: int, orders: int, single: int
    ) -> tuple[float, list[float]]:
        """Return a round of load: orders per second, milliseconds of single orders."""
        self.loads += 1
        printed = printed_here(
            "benchmarks.fix_load", "--port", str(self.ports[server]), "--traders",
            ",".join(self.names[:sessions]), "--prefix", f"r{self.loads}-", "--orders",
            str(orders), "--single", str(single), "--window", str(WINDOW),
        )  # fmt: skip
        found = json.loads(printed)
        return found["rate"], found["single_ms"]


def throughput(servers: Servers, plans: tuple[Plan, ...]) -> list[Section]:
    """Return orders per second with many under way, and what each process spends on an order."""
    rows, costs = [], []
    for plan in plans:
        rates: dict[str, list[float]] = {VENUE: [], BARE: []}
        before = servers.cpu_s()
        for number in range(plan.rounds):
            for server, found in rates.items():
                progress(
                    f"FIX: {plan.sessions} sessions, round {number + 1} of {plan.rounds}, {server}"
                )
                found.append(servers.load(server, plan.sessions, plan.orders, 0)[0])
        rows.append((f"{plan.sessions:,}", f"{plan.orders:,}", rate(rates[VENUE]),
                     rate(rates[BARE]), ratios(rates[VENUE], rates[BARE])))  # fmt: skip
        orders = plan.rounds * (plan.orders + min(WARM_UP, plan.orders))
        after = servers.cpu_s()
        spent = [f"{1e6 * (after[name] - before[name]) / orders:.1f}" for name in before]
        costs.append((f"{plan.sessions:,}", *spent))
    done()
    rates_section = Section(
        "FIX: order to durable ExecutionReport",
        COMMAND,
        f"Limit orders that rest, up to {WINDOW:,} unanswered over all sessions together, in "
        "orders/s; rounds alternate. Engine and gateway run as in production; every report is "
        "sent after its order was flushed to the journal.",
        ("sessions", "orders a round", VENUE, BARE, "ratio"),
        rows,
        (
            "The bare acceptor is QuickFIX with the same dictionary, settings and file store. It "
            "checks nothing, stores nothing but its FIX messages and flushes nothing to disk.",
            "The load generator is a separate process that encodes its orders in advance and "
            "sends and reads on raw sockets.",
            "The history projector and the HTTP API do not run here.",
            "Goals: 1.0 of the bare acceptor; and 15,000 orders/s, the rate of QuickFIX's example "
            "order matcher in C++ with a file store, without durability and without Python. The "
            "limit of both columns is in the next table: the processor time of one order in "
            "QuickFIX's process, most of it QuickFIX's own.",
        ),
    )
    costs_section = Section(
        "FIX: what an order costs",
        COMMAND,
        "Processor time in µs per order in the same rounds, Logons included: user and kernel "
        "time of all threads of a process. Engine and gateway run in parallel on the machine's "
        "processors; the bare acceptor uses one.",
        ("sessions", "engine", "gateway", BARE),
        costs,
        (
            "The limit of the gateway is that of the bare acceptor: QuickFIX itself. By strace, "
            "both make the same 14 system calls per order (4 seeks, 2 stats, 2 reads and 4 writes "
            "of the file store, a poll and a send). By perf, two fifths of the gateway's time are "
            "Python (decoding the order and the transaction and encoding the report take some "
            "15 µs with warm caches), a third is the kernel, the rest QuickFIX.",
            "One send per report costs the bare acceptor a quarter of its time: the kernel "
            "delivers a packet and wakes the client. The gateway sends reports that are ready "
            "together in one packet (`fix_gateway/runtime/burst.py`) and spends 5 % on it.",
            "The gateway keeps its threads on one processor (`config/processor.py`); without that "
            "it uses a third more processor time, much of it to wake them.",
        ),
    )
    return [rates_section, costs_section]


class Waits:
    """What single orders and flushes took, in ms, with processors kept awake or as they come."""

    def __init__(self, kept_awake: bool) -> None:
        self.kept_awake = kept_awake
        self.processors = "kept awake" if kept_awake else "as they come"
        self.took: dict[str, list[float]] = {}
        self.above: dict[str, list[float]] = {"fdatasync": [], "sqlite3 commit": []}
        self.bare_us: list[float] = []

    def round(self, servers: Servers, disks: dict[str, Disk], orders: int) -> None:
        """Run one round of each, one after the other."""
        awake = Awake()
        if self.kept_awake:
            awake.start()
        try:
            self._round(servers, disks, orders)
        finally:
            awake.close()

    def _round(self, servers: Servers, disks: dict[str, Disk], orders: int) -> None:
        middle = {}
        for server in (VENUE, BARE):
            took = servers.load(server, 1, 1, orders)[1]
            self.took.setdefault(server, []).extend(took)
            middle[server] = statistics.median(took)
        for name, disk in disks.items():
            took = disk.flushes(orders)
            self.took.setdefault(name, []).extend(took)
            self.above[name].append((middle[VENUE] - statistics.median(took)) * 1_000)
        self.bare_us.append(middle[BARE] * 1_000)

    def rows(self) -> list[tuple[str, ...]]:
        """Return a row for each, with its percentiles."""
        return [
            (WHAT[name], self.processors,
             *(f"{percentile(took, share):.2f}" for share in (0.5, 0.99, 0.999)))
            for name, took in self.took.items()
        ]  # fmt: skip

    def note(self) -> str:
        """Return how far the venue is above the disk, and what of that is QuickFIX's."""
        above = self.above["sqlite3 commit"]
        rest = [total - bare for total, bare in zip(above, self.bare_us, strict=True)]
        return (
            f"Processors {self.processors}: in the same round the venue's p50 lies "
            f"{rate(above)} µs above that of a flushed commit of sqlite3, "
            "which is what its journal makes, and "
            f"{rate(self.above['fdatasync'])} µs above that of fdatasync. QuickFIX by itself, in "
            f"the bare acceptor, takes {rate(self.bare_us)} µs of these; the way to the engine and "
            f"back, applying and the journal's own work {rate(rest)} µs."
        )


def one_at_a_time(servers: Servers, folder: Path, orders: int, rounds: int) -> Section:
    """Return how long a single order takes, and what the disk takes of that."""
    disks = {
        "fdatasync": Disk(overwriting(folder)), "sqlite3 commit": Disk(raw_sqlite(folder)),
    }  # fmt: skip
    found = [Waits(False)]
    if os.access(DEVICE, os.W_OK):
        found.append(Waits(True))
    for number in range(rounds):
        for waits in found:
            progress(
                f"FIX: one order at a time, round {number + 1} of {rounds}, processors "
                f"{waits.processors}"
            )
            waits.round(servers, disks, orders)
    done()
    return Section(
        "FIX: one order at a time",
        COMMAND,
        f"Milliseconds from sending an order to receiving its report, one order at a time; "
        f"{rounds} rounds of {orders:,} orders, alternating with flushes on the same disk, with "
        "the processors as they come (default power states) and kept awake (`engine.keep_awake`).",
        ("what", "processors", "p50", "p99", "p99.9"),
        [row for waits in found for row in waits.rows()],
        (
            f"The goal is at most {GOAL_US} µs above one flush.",
            *(waits.note() for waits in found),
            *(() if len(found) > 1 else (f"{DEVICE} may not be written to here.",)),
            SINGLE_STEPS,
        ),
    )


def sections(plans: tuple[Plan, ...], single: int, rounds: int) -> list[Section]:
    """Return both tables, from the same servers."""
    names = traders(max(plan.sessions for plan in plans))
    with tempfile.TemporaryDirectory() as name, Venue(Path(name), names) as venue:
        servers = Servers(Path(name), venue, names)
        try:
            return [
                *throughput(servers, plans),
                one_at_a_time(servers, Path(name), single, rounds),
            ]
        finally:
            servers.bare.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer orders and rounds")
    parser.add_argument("--tiny", action="store_true", help="just enough to see that it works")
    options = parser.parse_args()
    log_json_lines()  # To standard error: what is printed here is the page.
    if options.tiny:
        found = sections(TINY, 20, 1)
    else:
        found = sections(QUICK, 200, 3) if options.quick else sections(FULL, 1_000, 7)
    for section in found:
        print(section.text())


if __name__ == "__main__":
    main()
