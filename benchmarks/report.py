"""Run every benchmark and write docs/benchmarks.md; ``python -m benchmarks.report``.

Each runs as a process of its own, so that none inherits the memory of another, and prints
its progress. All of them take about fifteen minutes; ``--quick`` takes two and writes nothing
unless ``--output`` says where.
"""

from __future__ import annotations

import argparse
import datetime
import os
import subprocess
import sys
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.common import machine

ROOT: Final = Path(__file__).parent.parent
OUTPUT: Final = ROOT / "docs" / "benchmarks.md"
INTRO: Final = """# Benchmarks

Every figure comes from a command in `benchmarks/`; `python -m benchmarks.report` runs them all
and writes this page. A figure is a median with its spread (lowest to highest round) beside
it. On a shared machine absolute figures are noisy; ratios are taken between rounds that ran
one after the other.
"""


class Part(NamedTuple):
    """A benchmark module and what makes it quick."""

    module: str
    quick: tuple[str, ...]


PARTS: Final = (
    Part("apply", ("--quick",)),
    Part("fix", ("--quick",)),
    Part("journal", ("--quick",)),
    Part("recovery", ("--quick",)),
    Part("history", ("--count", "5000", "--rounds", "2")),
    Part("rest", ("--rounds", "3", "--seconds", "2", "--creates", "50")),
    Part("stream", ("--subscribers", "100", "--private", "10", "--seconds", "5")),
)


def facts() -> str:
    """When and on which machine, and what else it was doing."""
    today = datetime.datetime.now(datetime.UTC).date()
    return "\n".join(f"- {line}" for line in [f"Taken on {today}", *machine()])


def page(before: str, found: list[str]) -> str:
    """The whole page; how busy the machine was is said as of before and after the run."""
    after = " ".join(f"{load:.2f}" for load in os.getloadavg())
    load = f"- Load after the run: {after} (the benchmarks themselves make up to 2 of it)"
    return "\n".join([INTRO, "## Machine", "", before, load, "", *found])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer commands and rounds")
    parser.add_argument("--output", type=Path, help="where to write, docs/benchmarks.md if absent")
    parser.add_argument("--only", nargs="*", help="names of parts, all if absent")
    options = parser.parse_args()
    found, before = [], facts()
    for part in PARTS:
        if options.only and part.module not in options.only:
            continue
        command = [sys.executable, "-m", f"benchmarks.{part.module}"]
        ended = subprocess.run(
            command + list(part.quick if options.quick else ()),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        if ended.returncode:
            print(f"benchmarks.{part.module} failed; nothing is written", file=sys.stderr)
            return 1
        found.append(ended.stdout)
        print(ended.stdout, flush=True)
    output = options.output or (None if options.quick or options.only else OUTPUT)
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(page(before, found), encoding="utf-8")
        print(f"written to {output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
