"""How the venue grows with its FIX gateways, and what the engine takes by itself.

``python -m benchmarks.gateways``

One, two and four gateways on one engine get the same load in turn. Then the commands of a gateway,
recorded on their way to the engine, are sent to another engine by a client that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.common import Section, done, progress, rate, ratios
from benchmarks.compiled import printed_here
from benchmarks.replay import Recorder
from benchmarks.venue import Child, Venue, cpu_s, traders
from config.process import log_json_lines

COMMAND: Final = "python -m benchmarks.gateways"
WINDOW: Final = 1_000
WARM_UP: Final = 1_000
AGE: Final = "stale_after_s = 3600\n"
"""Orders are sent again long after they were made."""


class Plan(NamedTuple):
    """How many sessions share how many orders, in how many rounds, by how many gateways."""

    sessions: int
    orders: int
    rounds: int
    gateways: tuple[int, ...] = (1, 2, 4)


FULL: Final = Plan(16, 20_000, 7)
QUICK: Final = Plan(16, 4_000, 3)
TINY: Final = Plan(4, 400, 1, (2,))


class Loaded:
    """A venue and what it has done. ``spent`` is processor time of engine and gateways."""

    def __init__(self, venue: Venue, names: list[str]) -> None:
        self.venue = venue
        self.names = names
        self.rates: list[float] = []
        self.loads = self.orders = 0
        self.before = self.spent()

    def spent(self) -> list[float]:
        """Return seconds so far: of the engine, then of each gateway."""
        return [cpu_s(child.process.pid) for child in self.venue.children]

    def load(self, plan: Plan) -> None:
        """Run a round."""
        self.loads += 1
        printed = printed_here(
            "benchmarks.fix_load", "--port", str(self.venue.port), "--traders",
            ",".join(self.names), "--prefix", f"r{self.loads}-", "--orders", str(plan.orders),
            "--single", "0", "--window", str(WINDOW),
        )  # fmt: skip
        self.rates.append(json.loads(printed)["rate"])
        self.orders += plan.orders + min(WARM_UP, plan.orders)

    def costs_us(self) -> list[float]:
        """Return microseconds for each order of the venue: of the engine, then of each gateway."""
        pairs = zip(self.spent(), self.before, strict=True)
        return [1e6 * (after - before) / self.orders for after, before in pairs]


def growth(plan: Plan, names: list[str]) -> Section:
    """Return orders per second by the number of gateways."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        loaded = []
        for count in plan.gateways:
            progress(f"gateways: {count} start")
            own = Path(folder) / str(count)
            own.mkdir()
            venue = stack.enter_context(Venue(own, names, gateways=count))
            loaded.append(Loaded(venue, names))
        for number in range(plan.rounds):
            for one in loaded:
                progress(
                    f"gateways: {one.venue.gateways}, round {number + 1} of {plan.rounds}"
                )
                one.load(plan)
        rows = [_row(one, loaded[0]) for one in loaded]
    done()
    return Section(
        "FIX gateways: how the venue grows",
        COMMAND,
        f"{plan.sessions} sessions, limit orders that rest, up to {WINDOW:,} unanswered in all; "
        f"rounds of {plan.orders:,} orders in turn, {plan.rounds} of each, on {os.cpu_count()} "
        "processors that engine, gateways and the load share. Processor time is per order of the "
        "venue; the busiest process limits a machine that has a processor for each.",
        ("gateways", "orders/s", "ratio to one", "engine, µs", "gateways in all, µs",
         "busiest gateway, µs", "1 s of the busiest process, orders"),
        rows,
        (
            "One gateway has the sessions for itself. Several share them: each is told of every "
            "transaction of the engine, and reserves outgoing numbers through it.",
        ),
    )  # fmt: skip


def _row(one: Loaded, alone: Loaded) -> tuple[str, ...]:
    engine, *gateways = one.costs_us()
    busiest = max(gateways)
    return (
        str(one.venue.gateways), rate(one.rates), ratios(one.rates, alone.rates), f"{engine:.1f}",
        f"{sum(gateways):.1f}", f"{busiest:.1f}", f"{1e6 / max(engine, busiest):,.0f}",
    )  # fmt: skip


def record(folder: Path, plan: Plan, names: list[str]) -> tuple[Path, dict[str, str], float]:
    """Return a recording of one round, the environment of its engine, and its orders/s."""
    venue = Venue(folder, names)
    config = folder / "venue.toml"
    text = config.read_text(encoding="utf-8").replace("[fix]\n", f"[fix]\n{AGE}", 1)
    config.write_text(text, encoding="utf-8")
    passing = folder / "recorder.sock"
    gateway_config = folder / "gateway.toml"
    gateway_config.write_text(f'{text}\n[engine]\nsocket = "{passing}"\n', encoding="utf-8")
    engine = Child(folder, "engine.main", ready='"ready"', environment=venue.environment)
    recorder = Recorder(passing, folder / "data" / "engine.sock")
    try:
        gateway = Child(
            folder, "fix_gateway.main", ready='"ready"', environment={
                "TANDEM_CONFIG": str(gateway_config), "TANDEM_DATA": str(folder / "gateway"),
            },
        )  # fmt: skip
        try:
            venue.children = [engine, gateway]
            loaded = Loaded(venue, names)
            loaded.load(plan)
        finally:
            gateway.stop()
    finally:
        engine.stop()
    recording = folder / "recording"
    recording.write_bytes(b"".join(recorder.commands()))
    return recording, venue.environment, loaded.rates[0]


def limit(plan: Plan, names: list[str]) -> Section:
    """Return how many orders per second the engine takes by itself."""
    found: dict[int, tuple[list[float], list[float]]] = {}
    for count in plan.gateways:
        found[count] = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        progress("gateways: recording")
        recording, environment, through = record(folder, plan, names)
        for number in range(plan.rounds):
            for count, (rates, costs) in found.items():
                progress(f"engine, {count} followers, round {number + 1} of {plan.rounds}")
                data = folder / f"data-{number}-{count}"
                engine = Child(
                    folder, "engine.main", ready='"ready"',
                    environment=environment | {"TANDEM_DATA": str(data)},
                )  # fmt: skip
                try:
                    before = cpu_s(engine.process.pid)
                    printed = printed_here(
                        "benchmarks.replay", "--socket", str(data / "engine.sock"), "--recording",
                        str(recording), "--window", str(WINDOW), "--followers", str(count),
                    )  # fmt: skip
                    spent = cpu_s(engine.process.pid) - before
                finally:
                    engine.stop()
                rates.append(json.loads(printed)["rate"])
                costs.append(1e6 * spent / (plan.orders + min(WARM_UP, plan.orders)))
    done()
    return Section(
        "The engine without a gateway in its way",
        COMMAND,
        f"The commands that a gateway sent for {plan.orders:,} orders of {plan.sessions} sessions "
        f"and {min(WARM_UP, plan.orders):,} before, recorded on the Unix socket and sent to a new "
        f"engine, up to {WINDOW:,} unanswered, {plan.rounds} times each in turn. The recorded run "
        f"itself made {through:,.0f} orders/s through the gateway. Followers read every "
        "transaction, as each gateway does.",
        ("followers", "commands/s", "engine, µs per order"),
        [(str(count), rate(rates), rate(costs, 1)) for count, (rates, costs) in found.items()],
        (
            "The engine checks risk, journals and flushes as ever. Its time for an order has in it "
            "what it takes to open and close the sessions.",
        ),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer orders and rounds")
    parser.add_argument("--tiny", action="store_true", help="just enough to see that it works")
    options = parser.parse_args()
    log_json_lines()  # To standard error: what is printed here is the page.
    plan = TINY if options.tiny else QUICK if options.quick else FULL
    names = traders(plan.sessions)
    for section in (growth(plan, names), limit(plan, names)):
        print(section.text())


if __name__ == "__main__":
    main()
