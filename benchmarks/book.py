"""Order books compared: the venue's, plain and compiled, and those on PyPI.

``python -m benchmarks.book`` makes a virtual environment in a temporary folder, installs the
other books there, which are no dependency of the project, and plays one flow on all of them
in turn, each in a process of its own. ``--offline`` leaves the others out.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from importlib.metadata import distributions
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.book_flow import RESTING, write
from benchmarks.common import Section, build, done, progress, rate, ratios
from benchmarks.compiled import ROOT, compiled_copy, printed

COMMAND: Final = "python -m benchmarks.book"
PLAIN: Final = "Tandem"
COMPILED: Final = "Tandem, compiled"
OWN: Final = "benchmarks.book_run"
Run = Callable[[int], str]
"""Plays a number of operations and prints what ``benchmarks.book_peers`` prints."""


class Peer(NamedTuple):
    """A book that others publish: how to install and drive it, and what it does."""

    name: str
    driver: str
    requirement: str
    made_of: str
    trades: str
    share: float = 1.0
    """Of the flow's operations; less than 1 for a book that would take minutes."""


PEERS: Final = (
    Peer("limit-order-book", "limit-order-book", "limit-order-book", "C++, ctypes", "no"),
    Peer("liquibook", "liquibook", "liquibook", "C++, SWIG", "no"),
    Peer("liquibook with a listener", "liquibook-listening", "liquibook", "C++, SWIG",
         "to the listener"),
    Peer("orderly-chaos", "orderly-chaos", "orderly-chaos", "C++, ctypes", "quantity filled"),
    Peer("cython-orderbook", "cython-orderbook", "cython-orderbook", "Cython", "in a list"),
    Peer("lightmatchingengine", "lightmatchingengine", "lightmatchingengine", "Python",
         "in the answer"),
    Peer("order-matching", "order-matching", "order-matching[polars]", "Python",
         "in the answer", 0.0025),
    Peer("matching-engine", "", "matching-engine", "Python", "in the answer"),
)  # fmt: skip


def install(folder: Path) -> tuple[Path, dict[str, str]]:
    """Install the others; the interpreter that has them, and the versions of those that went."""
    progress("books: making a virtual environment")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    for requirement in dict.fromkeys(peer.requirement for peer in PEERS):
        progress(f"books: installing {requirement}")
        command = [str(python), "-m", "pip", "install", "--quiet", requirement]
        subprocess.run(command, capture_output=True, check=False)
    paths = [str(path) for path in folder.glob("lib/python*/site-packages")]
    return python, {
        found.metadata["Name"].replace("_", "-"): found.version
        for found in distributions(path=paths)
    }


def play(runs: dict[str, Run], counts: dict[str, int], rounds: int) -> dict[str, list[float]]:
    """Return operations per second of rounds in which every book has its turn.

    Books that played the same must stand alike in the end, or what they did was not the same.
    """
    rates: dict[str, list[float]] = {name: [] for name in runs}
    ends: dict[tuple[int, int], tuple[str, int]] = {}
    for number in range(rounds):
        for name, run in runs.items():
            progress(f"books: round {number + 1} of {rounds}, {name}")
            answer = json.loads(run(counts[name]))
            rates[name].append(answer["per_s"])
            for place, value in enumerate(answer["outcome"]):
                _, expected = ends.setdefault((counts[name], place), (name, value))
                if value is not None and value != expected:
                    raise RuntimeError(f"{name} ended with {value} and not {expected}")
    done()
    return rates


def table(
    rates: dict[str, list[float]], counts: dict[str, int], versions: dict[str, str]
) -> list[tuple[str, ...]]:
    """Return a row per book; one that is missing says so."""
    rows = []
    for name, made_of in ((PLAIN, "Python"), (COMPILED, "Python, mypyc")):
        if name in rates:
            compared = ratios(rates[name], rates[PLAIN])
            rows.append((name, made_of, "in a list", f"{counts[name]:,}", rate(rates[name]),
                         compared, ""))  # fmt: skip
    for peer in PEERS:
        version = versions.get(peer.requirement.partition("[")[0], "")
        if peer.name not in rates:
            if versions:
                rows.append((peer.name, peer.made_of, peer.trades, "-",
                             "not for this Python" if not peer.driver else "not installed",
                             "-", "-"))  # fmt: skip
            continue
        theirs = rates[peer.name]
        compiled = ratios(rates[COMPILED], theirs) if COMPILED in rates else "-"
        rows.append((f"{peer.name} {version}", peer.made_of, peer.trades,
                     f"{counts[peer.name]:,}", rate(theirs), ratios(rates[PLAIN], theirs),
                     compiled))  # fmt: skip
    return rows


def section(count: int, rounds: int, offline: bool, compile_too: bool) -> Section:
    """Install, compile, play, compare."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        flow = folder / "flow"
        progress("books: making the flow")
        write(flow, count)
        counts, versions = {PLAIN: count, COMPILED: count}, {}
        runs: dict[str, Run] = {
            PLAIN: lambda n: printed(ROOT, sys.executable, OWN, str(flow), str(n))
        }
        if compile_too:
            copy = stack.enter_context(compiled_copy())
            runs[COMPILED] = lambda n: printed(copy, sys.executable, OWN, str(flow), str(n))
        if not offline:
            python, versions = install(folder / "venv")
            for peer in PEERS:
                if peer.driver and peer.requirement.partition("[")[0] in versions:
                    counts[peer.name] = max(200, int(count * peer.share))
                    runs[peer.name] = partial(_peer, python, peer.driver, flow)
        rates = play(runs, counts, rounds)
    return Section(
        "The book alone",
        COMMAND,
        f"48 % new, 37 % cancel, 10 % replace and 5 % IOC from a seed, with about {RESTING:,} "
        f"resting orders; operations per second of processor time, median and spread of "
        f"{rounds} rounds, in each of which every book runs once in its own process. The ratios "
        "are how much faster Tandem's book is.",
        ("book", "made of", "trades reported", "operations", "operations/s", "ratio",
         "ratio, compiled"),
        table(rates, counts, versions),
        (
            "All of these only match by price and time: no checks, money, fees, events or "
            "journal. The cost of Tandem with all of them is in the next section.",
            "Each is driven from Python in the fastest way that its documentation shows. If a "
            "book has no replace or no IOC order, the order is canceled and entered again, or a "
            "market order is used. All end with the same orders and best prices.",
            "Goal: 1.5 for each in plain Python, 3,000,000 operations/s compiled. "
            "limit-order-book and liquibook without a listener do not report trades, and their "
            "work is done in C++; against these two the plain build misses the goal.",
            "The limit is the number of bytecodes: an operation of Tandem's book executes 137, 22 "
            "of them the driver's, and 1.5 times the speed of these two would require about 90. "
            "Their books hardly appear in a profile by perf: limit-order-book spends 7 % of its "
            "time in its own library and 77 % in the call (the interpreter, ctypes and libffi), "
            "liquibook a quarter in its own library, SWIG included, and half in the interpreter.",
            "Tandem's driver reuses order objects that have left the book; the venue does not.",
            "matching-engine requires Python 3.12 and is left out on an earlier version.",
        ),
    )  # fmt: skip


def _peer(python: Path, driver: str, flow: Path, count: int) -> str:
    return printed(ROOT, python, "benchmarks.book_peers", driver, str(flow), str(count))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer operations and rounds")
    parser.add_argument("--offline", action="store_true", help="Tandem's own book alone")
    parser.add_argument("--plain", action="store_true", help="without the compiled build")
    options = parser.parse_args()
    if build() == "compiled":
        parser.error("the project itself is compiled; `make plain` first")
    count, rounds = (20_000, 2) if options.quick else (200_000, 9)
    print(section(count, rounds, options.offline, not options.plain).text())


if __name__ == "__main__":
    main()
