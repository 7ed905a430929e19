"""Run every benchmark, write docs/benchmarks-figures.md and from it docs/benchmarks.md.

``python -m benchmarks.report``

Each runs as a process of its own, so that none inherits the memory of another, and prints
its progress. All of them take about a quarter of an hour. The core and its recovery are
measured plain and compiled; the compiled build is made in a temporary folder. ``--only`` runs
some parts, whose sections replace those on the page; that is how the peers, the trading day, the
steady load and the large venue, which are left out otherwise, get there. ``--quick`` takes some
minutes and writes nothing unless ``--output`` says where.
"""

from __future__ import annotations

import argparse
import datetime
import os
import re
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.common import machine
from benchmarks.compiled import COPY, compiled_copy
from benchmarks.summary import summary

ROOT: Final = Path(__file__).parent.parent
OUTPUT: Final = ROOT / "docs" / "benchmarks-figures.md"
SHORT: Final = ROOT / "docs" / "benchmarks.md"
INTRO: Final = """# Benchmarks: all figures

Every figure comes from a command in `benchmarks/`; `make bench` runs them and writes this page,
`make compare` adds the peers, `make day` the trading day, `make sustained` a steady load and
`make growth` a large venue and a long journal;
[Benchmarks](benchmarks.md) is the short form. Each part says when and where it was taken. A
figure is a median with its spread (lowest to highest round) beside it. On a shared machine
absolute figures are noisy; ratios are taken between rounds that ran one after the other. Where a
title does not say that a build is compiled, it is the plain one.
"""


class Part(NamedTuple):
    """A benchmark module, its arguments, those that make it quick, and where it runs."""

    name: str
    module: str
    full: tuple[str, ...] = ()
    quick: tuple[str, ...] = ("--quick",)
    compiled: bool = False
    asked_for: bool = False
    """Runs only when it is named."""


PLOT: Final = "docs/trading-day.svg"
CURVE: Final = "docs/benchmarks-load.svg"
LARGE: Final = ("--subscribers", "10000", "--private", "100", "--instruments", "500")
PARTS: Final = (
    Part("book", "book"),
    Part("apply", "apply"),
    Part("apply-compiled", "apply", compiled=True),
    Part("fix", "fix"),
    Part("gateways", "gateways", asked_for=True),
    Part("peers", "peers", asked_for=True),
    Part("day", "day", ("--plot", PLOT), ("--seconds", "5"), asked_for=True),
    Part("sustained", "sustained", ("--plot", CURVE), ("--tiny",), asked_for=True),
    Part("growth", "growth", asked_for=True),
    Part("stream-large", "stream", (*LARGE, "--rate", "50"), (*LARGE, "--seconds", "5"),
         asked_for=True),
    Part("turns", "turns"),
    Part("cluster", "cluster", asked_for=True),
    Part("journal", "journal"),
    Part("recovery", "recovery"),
    Part("recovery-compiled", "recovery", compiled=True),
    Part("restarts", "restarts"),
    Part("history", "history", (), ("--count", "5000", "--rounds", "2")),
    Part("rest", "rest", (), ("--rounds", "3", "--seconds", "2", "--creates", "50")),
    Part("stream", "stream", (), ("--subscribers", "100", "--private", "10", "--seconds", "5")),
    Part("market_data", "market_data"),
    Part("link", "link"),
)


def facts() -> str:
    """Return when and on which machine, and what else it was doing."""
    today = datetime.datetime.now(datetime.UTC).date()
    return "\n".join(f"- {line}" for line in [f"Taken on {today}", *machine()])


def taken() -> str:
    """Return the line that begins a part: the day, the processor, the system, the load."""
    processor, system, _, load = machine()
    today = datetime.datetime.now(datetime.UTC).date()
    parts = (processor.removeprefix("CPU: "), system.removeprefix("System: "))
    load = load.replace("Load before the run (1, 5, 15 min): ", "load ")
    return f"*Taken on {today}: {'; '.join((*parts, load))}*\n\n"


def marked(name: str, text: str) -> str:
    """Return a part's sections between marks, by which the next run finds them."""
    return f"<!-- {name} -->\n\n{text.strip()}\n\n<!-- end of {name} -->\n"


def earlier(page: str) -> dict[str, str]:
    """Return the parts that a page has already."""
    found = re.findall(r"<!-- (\S+) -->\n\n(.*?)\n\n<!-- end of \1 -->", page, re.DOTALL)
    return dict(found)


def page(before: str, found: dict[str, str]) -> str:
    """Return the whole page; how busy the machine was is said as of before and after the run."""
    parts = [marked(part.name, found[part.name]) for part in PARTS if part.name in found]
    return "\n".join([INTRO, "## Machine", "", marked("machine", before), *parts])


def chosen(only: list[str] | None) -> list[Part]:
    """Return the parts to run."""
    return [
        part
        for part in PARTS
        if part.name in (only or ())
        or (not part.asked_for and (not only or part.module in only))
    ]


def run(part: Part, quick: bool, folder: Path) -> str | None:
    """Return what a part prints, None if it failed."""
    command = [sys.executable, "-m", f"benchmarks.{part.module}"]
    command += part.quick if quick else part.full
    started = time.monotonic()
    ended = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=False)
    print(f"{part.name} took {time.monotonic() - started:.0f} s", file=sys.stderr)
    return None if ended.returncode else ended.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer commands and rounds")
    parser.add_argument(
        "--output", type=Path, help="where to write, docs/benchmarks-figures.md if absent"
    )
    parser.add_argument("--only", nargs="*", help="names of parts, all but the day if absent")
    options = parser.parse_args()
    parts, before = chosen(options.only), facts()
    output = options.output or (None if options.quick else OUTPUT)
    found = earlier(output.read_text(encoding="utf-8")) if output and output.exists() else {}
    with ExitStack() as stack:
        if any(part.compiled or part.module == "book" for part in parts):
            os.environ[COPY] = str(stack.enter_context(compiled_copy()))
        for part in parts:
            folder = Path(os.environ[COPY]) if part.compiled else ROOT
            where = taken()
            printed = run(part, options.quick, folder)
            if printed is None:
                print(f"benchmarks.{part.module} failed; nothing is written", file=sys.stderr)
                return 1
            found[part.name] = where + printed
            print(printed, flush=True)
    if options.only:
        before = found.pop("machine", before)
    else:
        found.pop("machine", None)
        after = " ".join(f"{load:.2f}" for load in os.getloadavg())
        before += f"\n- Load after the run: {after} (the benchmarks themselves make up to 2 of it)"
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(page(before, found), encoding="utf-8")
        if output == OUTPUT:
            short = summary(found, OUTPUT.parent)
            SHORT.write_text(short, encoding="utf-8")
        print(f"written to {output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
