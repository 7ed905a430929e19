"""A trading day in ten minutes; ``python -m benchmarks.day``.

Ten market makers move six quotes each with one batch every 100 ms over FIX, five takers send
an immediate order every 500 ms, and a treasury asks for its balances five times a second by
REST, while engine, history, FIX gateway and account API run as they do in production. What
counts is how long each request took from the moment when it was due.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Final

from benchmarks.common import Section, done, machine, percentile, progress
from benchmarks.compiled import printed_here
from benchmarks.day_load import MOVE_S, POLL_S, QUOTES, TAKE_S, Sample
from benchmarks.plot import Panel, plot
from benchmarks.venue import Venue, traders

COMMAND: Final = "python -m benchmarks.day"
MAKERS: Final = 10
TAKERS: Final = 5
PIECES: Final = 60
WARM_UP_S: Final = 1.0
TITLES: Final = {
    "quotes": f"{QUOTES} quotes moved by one batch over FIX, until its summary",
    "orders": "immediate order over FIX, until its last report",
    "balances": "GET /v1/balances, until the whole answer",
}
LINES: Final = ("p50", "p99", "highest")


def trading_day(seconds: float) -> tuple[dict[str, list[Sample]], int]:
    """Run it all; the samples of each kind, and how many fills the takers had."""
    names = traders(MAKERS + TAKERS - 1)
    makers, takers = ["alice", *names[: MAKERS - 1]], names[MAKERS - 1 :]
    modules = ("engine.history.main", "account_api.main")
    with tempfile.TemporaryDirectory() as name, Venue(Path(name), names, modules) as venue:
        progress(f"trading day: {seconds:g} s")
        found = json.loads(
            printed_here(
                "benchmarks.day_load",
                "--port",
                str(venue.port),
                "--http-port",
                str(venue.http_port),
                "--makers",
                ",".join(makers),
                "--takers",
                ",".join(takers),
                "--seconds",
                str(seconds),
                timeout_s=seconds + 300,
            )  # fmt: skip
        )
    done()
    samples = {
        kind: [(at, took) for at, took in listed if at >= min(WARM_UP_S, seconds / 4)]
        for kind, listed in found["samples"].items()
    }
    return samples, found["fills"]


def panel(title: str, samples: list[Sample], seconds: float) -> Panel:
    """Return percentiles of each piece of the day."""
    pieces: list[list[float]] = [[] for _ in range(PIECES)]
    for at, took in samples:
        pieces[min(PIECES - 1, int(at / seconds * PIECES))].append(took)
    lines: list[list[tuple[float, float]]] = [[], [], []]
    for number, took in enumerate(pieces):
        if took:
            middle = (number + 0.5) * seconds / PIECES
            high = (percentile(took, 0.5), percentile(took, 0.99), max(took))
            for line, value in zip(lines, high, strict=True):
                line.append((middle, value))
    return Panel(title, lines)


def section(samples: dict[str, list[Sample]], fills: int, seconds: float, plot_name: str) -> str:
    """Return the table, and the plot if there is one."""
    rows = []
    for kind, title in TITLES.items():
        took = [each for _, each in samples[kind]]
        high = (percentile(took, share) for share in (0.5, 0.99, 0.999))
        rows.append((title, f"{len(took):,}", *(f"{each:.2f}" for each in high),
                     f"{max(took):.1f}"))  # fmt: skip
    table = Section(
        "A trading day",
        COMMAND,
        f"{MAKERS} market makers move {QUOTES} quotes each every {MOVE_S * 1000:.0f} ms, "
        f"{TAKERS} takers send an order every {TAKE_S * 1000:.0f} ms, a treasury polls every "
        f"{POLL_S * 1000:.0f} ms, for {seconds:g} s; milliseconds from when a request was due.",
        ("request", "count", "p50", "p99", "p99.9", "highest"),
        rows,
        (
            f"{fills:,} fills for the takers. Engine, history, FIX gateway, account API and all "
            "traders share the machine.",
            *machine(),
        ),
    ).text()
    if plot_name:
        table += f"\n![Latencies over the day]({plot_name})\n"
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--plot", type=Path, help="where to draw latencies over time (SVG)")
    options = parser.parse_args()
    samples, fills = trading_day(options.seconds)
    if options.plot:
        panels = [panel(TITLES[kind], samples[kind], options.seconds) for kind in TITLES]
        options.plot.write_text(plot(panels, LINES, options.seconds), encoding="utf-8")
    print(section(samples, fills, options.seconds, options.plot.name if options.plot else ""))


if __name__ == "__main__":
    main()
