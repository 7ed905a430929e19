"""FIX, from an order to its durable ExecutionReport; ``python -m benchmarks.fix``.

The venue (gateway and engine as processes, risk-checked, journalled and flushed) beside a
bare QuickFIX acceptor in Python with the same dictionary, settings and file store that
answers from its callback. Both get the same load from the same program, in turn.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from benchmarks.common import Section, done, percentile, progress, rate, ratios
from benchmarks.venue import ROOT, Child, Venue, free_port

COMMAND = "python -m benchmarks.fix"
ROUND_TIMEOUT_S: Final = 300.0


def load(port: int, prefix: str, orders: int, single: int) -> tuple[float, list[float]]:
    """One round of the load generator: orders per second, milliseconds of single orders."""
    command = [
        sys.executable, "-m", "benchmarks.fix_load", "--port", str(port), "--prefix", prefix,
        "--orders", str(orders), "--single", str(single),
    ]  # fmt: skip
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=ROUND_TIMEOUT_S
    )
    if ended.returncode:
        raise RuntimeError(f"the load generator failed:\n{ended.stderr}")
    found = json.loads(ended.stdout)
    return found["rate"], found["single_ms"]


def sections(quick: bool = False) -> list[Section]:
    """Throughput and single-order latency in alternating rounds."""
    rounds, orders, single = (3, 4_000, 200) if quick else (9, 20_000, 1_000)
    rates: dict[str, list[float]] = {"venue": [], "bare acceptor": []}
    waits: dict[str, list[float]] = {"venue": [], "bare acceptor": []}
    with tempfile.TemporaryDirectory() as name, Venue(Path(name)) as venue:
        port = free_port()
        bare = Child(Path(name), "benchmarks.fix_bare", str(port), ready="ready", environment={})
        try:
            for number in range(rounds):
                for who, where in (("venue", venue.port), ("bare acceptor", port)):
                    progress(f"FIX: round {number + 1} of {rounds}, {who}")
                    figure, took = load(where, f"r{number}-", orders, single)
                    rates[who].append(figure)
                    waits[who].extend(took)
        finally:
            bare.stop()
    done()
    rows = [
        (
            who,
            rate(rates[who]),
            ratios(rates[who], rates["bare acceptor"]),
            *(f"{percentile(waits[who], share):.2f}" for share in (0.5, 0.99, 0.999)),
        )
        for who in rates
    ]
    return [
        Section(
            "FIX: order to durable ExecutionReport",
            COMMAND,
            f"One session, {orders:,} limit orders per round with up to 1,000 unanswered, "
            f"{rounds} alternating rounds; then {single:,} orders one at a time. Engine and "
            "gateway run as they do in production; every report is sent after its order was "
            "flushed to the journal.",
            ("server", "orders/s", "ratio", "p50 ms", "p99 ms", "p99.9 ms"),
            rows,
            (
                "The bare acceptor checks nothing, stores nothing but its FIX messages and "
                "flushes nothing to disk.",
                "The load generator is a process of its own; it encodes orders by template and "
                "reads on a raw socket.",
                "The history projector and the HTTP API do not run here.",
            ),
        )
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer orders and rounds")
    options = parser.parse_args()
    for section in sections(options.quick):
        print(section.text())


if __name__ == "__main__":
    main()
