"""The whole venue under a steady load; ``python -m benchmarks.sustained``.

Engine, FIX gateway, history, stream with a hundred subscribers, account API with a treasury that
polls, and metrics, which are read every second, run as in a deployment. First the load grows step
by step, which gives the time of an order as a curve over the load, up to the first rate at which
the venue does not keep up. Then the highest rate that it kept is held for ten minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple

from benchmarks.common import Section, done, machine, progress
from benchmarks.compiled import printed_here
from benchmarks.plot import Curve, curve
from benchmarks.venue import ROOT, Venue, traders
from config.process import log_json_lines

COMMAND: Final = "python -m benchmarks.sustained"
MODULES: Final = (
    "engine.history.main", "account_api.stream", "account_api.main", "tandem.metrics",
)  # fmt: skip
PARTS: Final = ("engine", "gateway", "history", "stream", "account API", "metrics")
LAG: Final = re.compile(r'^tandem_lag_(seconds|transactions)\{part="(\w+)"\} (\S+)$', re.MULTILINE)
FOLLOWED: Final = ("history", "stream")
LAG_S_MAX: Final = 2.0
"""A part that lacks transactions for longer has not kept up."""
P99_MS_MAX: Final = 1_000.0
CATCH_UP_S: Final = 60.0
READERS_NICENESS: Final = 5
"""Readers are on machines of their own in truth, so here they stand behind the venue."""


class Plan(NamedTuple):
    """Rates in orders a second, seconds of a step, seconds of the long run, subscribers."""

    rates: tuple[int, ...]
    step_s: float
    hold_s: float
    subscribers: int


FULL: Final = Plan(
    (250, 500, 1_000, 1_500, 2_000, 2_500, 3_000, 4_000, 5_000, 6_000, 8_000, 10_000, 12_000),
    20.0, 600.0, 100,
)  # fmt: skip
QUICK: Final = Plan((500, 1_000, 2_000, 3_000, 4_000, 6_000, 8_000), 6.0, 30.0, 100)
TINY: Final = Plan((20, 40), 1.0, 2.0, 3)


class Watch(threading.Thread):
    """Reads the venue's own metrics every second, as Prometheus would, and keeps the lags."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.url = f"http://127.0.0.1:{port}/metrics"
        self.stop = threading.Event()
        self.lags: list[dict[str, float]] = []
        self.fault: Exception | None = None

    def run(self) -> None:
        try:
            while not self.stop.wait(1.0):
                self.lags.append(self.look("seconds"))
        except Exception as error:
            self.fault = error

    def look(self, unit: str) -> dict[str, float]:
        """Return how far each part is behind."""
        with urllib.request.urlopen(self.url, timeout=60) as answer:
            text = answer.read().decode()
        return {part: float(value) for kind, part, value in LAG.findall(text) if kind == unit}

    def longest(self, part: str) -> float:
        """Return the longest lag that was seen, in seconds."""
        return max((each.get(part, 0.0) for each in self.lags), default=0.0)

    def __enter__(self) -> Watch:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.stop.set()
        self.join()


class Step(NamedTuple):
    """What the load found at a rate, and the longest lags meanwhile."""

    wanted: int
    load: dict[str, Any]
    lags: dict[str, float]

    @property
    def kept(self) -> bool:
        """Return whether the venue kept up."""
        return self.load["p99"] <= P99_MS_MAX and max(self.lags.values()) <= LAG_S_MAX


class Bench:
    """A venue with its readers."""

    def __init__(self, venue: Venue, metrics_port: int, plan: Plan) -> None:
        self.venue = venue
        self.metrics_port = metrics_port
        self.number = 0
        pids = [child.process.pid for child in venue.children]
        self.processes = dict(zip(PARTS, pids, strict=True))
        private = max(1, plan.subscribers // 10)
        self.readers = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.sustained_readers",
             "--http-port", str(venue.http_port), "--stream-port", str(venue.stream_port),
             "--subscribers", str(plan.subscribers), "--private", str(private)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            preexec_fn=lambda: os.nice(READERS_NICENESS),
        )  # fmt: skip
        assert self.readers.stdout is not None
        if self.readers.stdout.readline() != "ready\n":
            raise RuntimeError("the readers did not start")

    def step(self, rate: int, seconds: float, pieces: int = 1) -> Step:
        """Load the venue, and wait until all parts have everything."""
        self.number += 1
        with Watch(self.metrics_port) as watch:
            printed = printed_here(
                "benchmarks.sustained_load", "--port", str(self.venue.port),
                "--prefix", f"s{self.number:02d}-", "--rate", str(rate),
                "--seconds", str(seconds), "--pieces", str(pieces),
                "--processes", *(f"{name}={pid}" for name, pid in self.processes.items()),
                timeout_s=seconds + 300,
            )  # fmt: skip
        if watch.fault is not None:
            raise watch.fault
        self.catch_up(watch)
        return Step(rate, json.loads(printed), {part: watch.longest(part) for part in FOLLOWED})

    def catch_up(self, watch: Watch) -> None:
        """Wait until no part lacks a transaction."""
        deadline = time.monotonic() + CATCH_UP_S
        while any(watch.look("transactions").get(part, 0) for part in FOLLOWED):
            if time.monotonic() > deadline:
                raise RuntimeError(f"not caught up after {CATCH_UP_S:g} s")
            time.sleep(0.5)  # What metrics say is looked at, as they are not pushed.

    def end(self) -> dict[str, int]:
        """End the readers; return what they have read."""
        out, _ = self.readers.communicate()
        if self.readers.returncode:
            raise RuntimeError("the readers failed")
        found: dict[str, int] = json.loads(out)
        return found


def resident_mib(process: int) -> float:
    """Return the memory of a process that is in use."""
    text = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    found = re.search(r"VmRSS:\s+(\d+) kB", text)
    assert found is not None
    return int(found.group(1)) / 1024


def climb(bench: Bench, plan: Plan) -> list[Step]:
    """Return the steps up to the first that the venue did not keep."""
    steps: list[Step] = []
    for rate in plan.rates:
        progress(f"sustained: {rate:,} orders/s for {plan.step_s:g} s")
        steps.append(bench.step(rate, plan.step_s))
        if not steps[-1].kept:
            break
    return steps


def cells(step: Step) -> tuple[str, ...]:
    """Return the row of a step."""
    load = step.load
    return (
        f"{step.wanted:,}", f"{load['rate']:,.0f}", "yes" if step.kept else "no",
        f"{load['p50']:.2f}", f"{load['p99']:.2f}", f"{load['longest']:.1f}",
        *(f"{step.lags[part]:.1f}" for part in FOLLOWED),
    )  # fmt: skip


HEADER: Final = (
    "orders/s", "reached", "kept up", "p50 ms", "p99 ms", "longest ms",
    *(f"lag of the {part}, s at most" for part in FOLLOWED),
)  # fmt: skip


def hold(
    bench: Bench, plan: Plan, steps: list[Step]
) -> tuple[list[Step], dict[str, tuple[float, float]]]:
    """Hold the highest rate that was kept, and lower ones while that is too much.

    Return what was tried, and each process's memory in MiB before and after the last of them.
    """
    rates = [step.wanted for step in steps if step.kept] or [plan.rates[0]]
    tried: list[Step] = []
    while True:
        rate = rates.pop()
        before = {name: resident_mib(pid) for name, pid in bench.processes.items()}
        progress(f"sustained: {rate:,} orders/s for {plan.hold_s:g} s")
        tried.append(bench.step(rate, plan.hold_s, pieces=10))
        if tried[-1].kept or not rates:
            break
    after = {name: resident_mib(pid) for name, pid in bench.processes.items()}
    return tried, {name: (before[name], after[name]) for name in before}


def sections(
    plan: Plan, steps: list[Step], tried: list[Step], memory: dict[str, tuple[float, float]],
    read: dict[str, int],
) -> list[Section]:  # fmt: skip
    """Return the curve, the long run, and what an order cost in it."""
    held = tried[-1]
    middle = [piece[0] for piece in held.load["pieces"]]
    highest = [piece[1] for piece in held.load["pieces"]]
    return [
        Section(
            "The whole venue: an order's time over the load",
            COMMAND,
            f"Pairs of orders that trade in full, {plan.step_s:g} s at each rate, from the moment "
            "when an order was due until its last report. The venue keeps up where p99 is at most "
            f"{P99_MS_MAX / 1000:g} s and neither history nor stream lags by more than "
            f"{LAG_S_MAX:g} s.",
            HEADER,
            [cells(step) for step in steps],
            (
                f"Engine, gateway, history, stream with {plan.subscribers} subscribers, account "
                "API with a treasury that polls five times a second, and metrics that are read "
                "every second share the processors with the load and the readers.",
                f"The subscribers got {read['messages']:,} messages in all and missed "
                f"{read['gaps']}; {read['balances']:,} balances were asked for.",
                *machine(),
            ),
        ),
        Section(
            f"The whole venue: a rate that is held for {plan.hold_s:g} s",
            COMMAND,
            "The highest rate of the steps above that stays within the same bounds.",
            HEADER,
            [cells(step) for step in tried],
            (
                f"In ten pieces of the time p50 was {min(middle):.2f} to {max(middle):.2f} ms, "
                f"p99 {min(highest):.2f} to {max(highest):.2f} ms.",
                f"The load itself used {100 * held.load['load']:.0f} % of one processor.",
            ),
        ),
        Section(
            "The whole venue: what an order costs while a rate is held",
            COMMAND,
            "User and kernel time in µs per order in the run above, and memory before and after.",
            ("process", "µs per order", "MiB before", "MiB after"),
            [
                (name, f"{held.load['cpu_us'][name]:.1f}", f"{low:,.0f}", f"{high:,.0f}")
                for name, (low, high) in memory.items()
            ],
        ),
    ]


def drawn(steps: list[Step]) -> str:
    """Return the curve as SVG."""
    lines = [
        Curve(name, [(step.load["rate"], step.load[name]) for step in steps])
        for name in ("p50", "p99", "longest")
    ]
    return curve("An order's time over the load, the whole venue", "orders/s", lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="shorter steps, half a minute held")
    parser.add_argument("--tiny", action="store_true", help="just enough to see that it works")
    parser.add_argument("--plot", type=Path, help="where to draw the curve")
    options = parser.parse_args()
    log_json_lines()  # To standard error: what is printed here is the page.
    plan = TINY if options.tiny else QUICK if options.quick else FULL
    with (
        tempfile.TemporaryDirectory(prefix="tandem-b-") as name,
        Venue(Path(name), traders(1), MODULES) as venue,
    ):
        bench = Bench(venue, venue.metrics_port, plan)
        try:
            steps = climb(bench, plan)
            tried, memory = hold(bench, plan, steps)
            read = bench.end()
        finally:
            if bench.readers.poll() is None:
                bench.readers.kill()
                bench.readers.wait()
    done()
    if options.plot is not None:
        options.plot.write_text(drawn(steps), encoding="utf-8")
    for section in sections(plan, steps, tried, memory, read):
        print(section.text())


if __name__ == "__main__":
    main()
