"""What a venue costs that has grown old and large; ``python -m benchmarks.growth``.

The core with a million closed orders that it still knows, and with ten thousand accounts that have
a FIX session each, beside a small venue; the journal of a hundred million commands, reckoned from
three shorter ones. ``python -m benchmarks.stream --subscribers 10000 --instruments 500`` is the
stream's share.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.apply import compared
from benchmarks.common import Section, done, machine, progress, rate
from benchmarks.flow import Shape
from benchmarks.recovery import ROOT, recovery_child, write_journal
from engine.journal.verify import verify

COMMAND: Final = "python -m benchmarks.growth"
HUNDRED_MILLION: Final = 100_000_000


class Plan(NamedTuple):
    """How much of each; ``journals`` are numbers of commands, the shortest first."""

    closed: int
    accounts: int
    commands: int
    rounds: int
    journals: tuple[int, ...]


FULL: Final = Plan(1_000_000, 10_000, 50_000, 3, (250_000, 500_000, 1_000_000))
QUICK: Final = Plan(100_000, 2_000, 10_000, 1, (30_000, 60_000, 120_000))
TINY: Final = Plan(500, 20, 500, 1, (1_000, 2_000, 4_000))


class Journal(NamedTuple):
    """What a journal takes: bytes, seconds to verify it, seconds to start from its snapshot."""

    count: int
    size: int
    verify_s: float
    start_s: float


def core(plan: Plan) -> Section:
    """Return the cost of a command in large venues."""
    shapes = {
        f"{plan.closed:,} closed orders": Shape(resting=1_000, closed=plan.closed),
        f"{plan.accounts:,} accounts with a FIX session each": Shape(
            resting=1_000, accounts=plan.accounts
        ),
    }
    return Section(
        "Cost per command in an old and a large venue",
        COMMAND,
        f"CPU time per command in µs over {plan.commands:,} commands of the mix, median and spread "
        f"of {plan.rounds} rounds, each measured alternately with the first row.",
        ("venue", "µs per command", "ratio", "ratio undisturbed"),
        compared(shapes, plan.commands, plan.rounds),
        (
            "Closed orders are kept for questions by their ids (`closed_orders_kept`, 10,000 by "
            "default). Goal: at most 1.5.",
            *machine(),
        ),
    )


def child(*arguments: str) -> float:
    """Return the first figure that this module prints in a process of its own."""
    printed = subprocess.run(
        [sys.executable, "-m", "benchmarks.growth", *arguments],
        check=True, capture_output=True, text=True, cwd=ROOT,
    ).stdout  # fmt: skip
    return float(printed.split()[0])


def measured(folder: Path, count: int) -> Journal:
    """Write a journal and measure it."""
    write_journal(folder, count)
    size = sum(each.stat().st_size for each in (folder / "journal").rglob("*") if each.is_file())
    progress(f"growth: verifying {count:,} commands")
    verify_s = child("--verify", str(folder))
    progress(f"growth: starting with {count:,} commands")
    return Journal(count, size, verify_s, child("--start", str(folder)))


def verify_child(folder: Path) -> None:
    """Verify in this process and print the seconds."""
    began = time.perf_counter()
    report = verify(folder / "journal", folder / "with")
    if report.findings:
        raise RuntimeError(f"the journal is damaged: {report.findings[0]}")
    print(time.perf_counter() - began)


def journals(plan: Plan, folder: Path) -> Section:
    """Return what a journal takes as it grows, and what a hundred million commands would."""
    found = [measured(folder / str(count), count) for count in plan.journals]
    done()
    each = [one.size / one.count for one in found]
    pace = [1e6 * one.verify_s / one.count for one in found]
    rows = [
        (f"{one.count:,}", f"{one.size / 1e9:.3f}", f"{one.size / one.count:,.0f}",
         f"{one.verify_s:.1f}", f"{one.start_s:.2f}")
        for one in found
    ]  # fmt: skip
    rows.append(
        (f"{HUNDRED_MILLION:,}, reckoned", f"{HUNDRED_MILLION * each[-1] / 1e9:,.0f}",
         f"{each[-1]:,.0f}", f"{HUNDRED_MILLION * pace[-1] / 1e6:,.0f}", f"{found[-1].start_s:.2f}")
    )  # fmt: skip
    behind = found[-1].count // 5
    return Section(
        "A journal of a hundred million commands",
        COMMAND,
        "Journals of the mix with about 2,000 resting orders, each with a snapshot. Size is that "
        "of segments and index, verification is that of `tandem verify`, which replays all of it; "
        f"a start reads the snapshot and replays what came after it, {behind:,} commands in the "
        "longest.",
        ("commands", "GB", "bytes per command", "verified in s", "started in s"),
        rows,
        (
            f"Over the three a command takes {rate(each)} bytes, and {rate(pace, 2)} µs to verify. "
            f"The last row is the longest journal's times {HUNDRED_MILLION // found[-1].count:,}, "
            "but for the start, which depends on how far back the snapshot is.",
            "What snapshots cover can be archived (`tandem journal archive`).",
        ),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of it")
    parser.add_argument("--tiny", action="store_true", help="just enough to see that it works")
    parser.add_argument("--verify", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--start", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.verify:
        verify_child(options.verify)
        return
    if options.start:
        recovery_child(options.start, "with")
        return
    plan = TINY if options.tiny else QUICK if options.quick else FULL
    print(core(plan).text())
    with tempfile.TemporaryDirectory(prefix="tandem-b-") as name:
        print(journals(plan, Path(name)).text())


if __name__ == "__main__":
    main()
