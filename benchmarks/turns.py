"""How long one command delays others; ``python -m benchmarks.turns``.

An engine runs as a process of its own at its default bounds. A second client sends a cheap
command (a cancel of an order that is not there) again and again and measures each round trip to
the committed answer, while the largest command of each kind is done: orders by the ten thousand
are traded, canceled, set off or ended by one command.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.common import Section, done, percentile, progress, rate
from benchmarks.venue import ROOT, Child
from config.process import log_json_lines
from engine.client import EngineClient, queries
from engine.core.commands import (
    CancelOrder,
    CloseSession,
    Command,
    MassCancel,
    NewOrder,
    OpenSession,
    SetAccountStatus,
    SetDeadMansSwitch,
)
from engine.core.types import CancelScope, OrdType, Origin, Side, TimeInForce

COMMAND: Final = "python -m benchmarks.turns"
SYMBOL: Final = "BTC-USD"
PRICE: Final = 6_000_000
PER_POST: Final = 500
SESSION: Final = Origin("ws:bench")
OPERATOR: Final = Origin("operator:bench")
GOAL_MS: Final = 50
EXPIRES_S: Final = 2.0
"""Orders that end together are entered within this time before."""


class Plan(NamedTuple):
    """Accounts of one firm, orders of each, and how often each kind is measured.

    A snapshot begins ``spare`` commands after as many as enter all orders once.
    """

    accounts: int
    orders: int
    rounds: int
    spare: int = 20_000

    @property
    def names(self) -> list[str]:
        return [f"m{number:02d}" for number in range(self.accounts)]


FULL: Final = Plan(10, 5_000, 5)
QUICK: Final = Plan(4, 2_500, 2)
TINY: Final = Plan(2, 700, 1, 500)


def account_table(name: str, firm: str) -> str:
    """Return an account at the default bounds, with money for all that it does here."""
    return f"""
[[accounts]]
account = "{name}"
firm = "{firm}"
maker_fee_ppm = 500
taker_fee_ppm = 1000
stp = "none"
open_orders_max = 10000
grants = {{ BTC = "1000", USD = "300000000" }}
"""


class Bench:
    """An engine, a client that sends the large commands, and one whose round trips are measured."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.plan = plan
        self.log = folder / "engine.main.log"
        text = (ROOT / "config" / "demo.toml").read_text(encoding="utf-8")
        text += "".join(account_table(name, plan.names[0]) for name in plan.names)
        text += account_table("sweeper", "sweeper") + account_table("ping", "ping")
        every = plan.accounts * plan.orders + plan.spare
        text = re.sub(r"(?m)^\[venue\]", f"[engine]\nsnapshot_every = {every}\n\n[venue]", text)
        config = folder / "venue.toml"
        config.write_text(text, encoding="utf-8")
        environment = {"TANDEM_CONFIG": str(config), "TANDEM_DATA": str(folder / "data")}
        self.engine = Child(folder, "engine.main", ready='"ready"', environment=environment)
        path = str(folder / "data" / "engine.sock")
        self.client = EngineClient(path, "large")
        self.other = EngineClient(path, "other")
        self.numbers = iter(range(10**9))

    def stop(self) -> None:
        self.client.close()
        self.other.close()
        self.engine.stop()

    def order(self, account: str, side: Side, qty: int, **changes: object) -> NewOrder:
        """Return a limit order that lasts, entered by the session of this benchmark."""
        made = NewOrder(
            SESSION, account, f"o{next(self.numbers)}", SYMBOL, side, OrdType.LIMIT,
            TimeInForce.GTC, qty, PRICE,
        )  # fmt: skip
        return made._replace(**changes)

    def each(self, **changes: object) -> Iterator[NewOrder]:
        """Yield as many orders of one lot as the plan has, each account's in turn."""
        for _ in range(self.plan.orders):
            for account in self.plan.names:
                yield self.order(account, Side.SELL, 1, **changes)

    def post(self, commands: Iterator[NewOrder]) -> None:
        """Send all of them and wait until they are done."""
        piece: list[Command] = []
        for command in commands:
            piece.append(command)
            if len(piece) == PER_POST:
                self.client.post(piece)
                self.client.fetch(queries.Status())
                piece = []
        if piece:
            self.client.post(piece)
        self.client.fetch(queries.Status())

    def wait_until_none_is_open(self) -> None:
        while self.client.fetch(queries.Status()).value.open_orders:
            time.sleep(0.01)

    def ping(self) -> float:
        """Measure one round trip of the other client, in milliseconds."""
        command = CancelOrder(Origin("api:ping"), "ping", f"c{next(self.numbers)}", "none")
        started = time.perf_counter()
        self.other.submit(command)
        return (time.perf_counter() - started) * 1e3

    def waits_during(self, action: Callable[[], None]) -> list[float]:
        """Return the other client's round trips from just before an action until it is over."""
        waits = [self.ping()]
        over = threading.Event()

        def act() -> None:
            try:
                action()
            finally:
                over.set()

        thread = threading.Thread(target=act)
        thread.start()
        while not over.is_set():
            waits.append(self.ping())
        thread.join()
        waits.append(self.ping())
        return waits


def alone(bench: Bench) -> list[float]:
    """Measure without other load."""
    return bench.waits_during(lambda: time.sleep(1.0))


def sweep(bench: Bench) -> list[float]:
    """Trade one order with every resting order."""
    bench.post(bench.each())
    everything = bench.plan.accounts * bench.plan.orders

    def act() -> None:
        bench.client.submit(bench.order("sweeper", Side.BUY, everything))
        bench.wait_until_none_is_open()

    return bench.waits_during(act)


def ended_by(bench: Bench, command: Command) -> list[float]:
    def act() -> None:
        bench.client.submit(command)
        bench.wait_until_none_is_open()

    return bench.waits_during(act)


def mass_cancel(bench: Bench) -> list[float]:
    """Cancel everything of the whole firm at once."""
    bench.post(bench.each())
    return ended_by(bench, MassCancel(SESSION, "m00", "q", firm_wide=True))


def disconnect(bench: Bench) -> list[float]:
    """Lose a session whose scope is the firm."""
    bench.client.submit(OpenSession(SESSION, "m00", CancelScope.FIRM, 0))
    bench.post(bench.each())
    return ended_by(bench, CloseSession(SESSION))


def suspension(bench: Bench) -> list[float]:
    """Suspend every account, one after the other."""
    bench.post(bench.each())

    def act() -> None:
        for name in bench.plan.names:
            bench.client.submit(SetAccountStatus(OPERATOR, name, True, "why"))
        bench.wait_until_none_is_open()

    waits = bench.waits_during(act)
    for name in bench.plan.names:
        bench.client.submit(SetAccountStatus(OPERATOR, name, False))
    return waits


def switches(bench: Bench) -> list[float]:
    """Let the dead man's switches of all accounts fire at about one moment."""
    bench.post(bench.each())

    def act() -> None:
        for name in bench.plan.names:
            bench.client.submit(SetDeadMansSwitch(SESSION, name, 100_000))
        bench.wait_until_none_is_open()

    return bench.waits_during(act)


def expiry(bench: Bench) -> list[float]:
    """Let all orders expire at the same moment."""
    everything = bench.plan.accounts * bench.plan.orders
    ends = time.time() + EXPIRES_S + everything / 5_000
    at = int(ends * 1_000_000)
    bench.post(bench.each(tif=TimeInForce.GTD, expire_at=at))

    def act() -> None:
        time.sleep(max(0.0, ends - time.time()))
        bench.wait_until_none_is_open()

    return bench.waits_during(act)


def cascade(bench: Bench) -> list[float]:
    """Trigger every stop order by one trade; each then trades."""
    everything = bench.plan.accounts * bench.plan.orders
    bench.post(
        bench.each(ord_type=OrdType.STOP_LIMIT, stop_price=PRICE - 1, price=PRICE - 2)  # fmt: skip
    )
    bench.client.submit(bench.order("sweeper", Side.BUY, everything + 1, price=PRICE - 1))

    def act() -> None:
        bench.client.submit(bench.order("ping", Side.SELL, 1, price=PRICE - 1))
        bench.wait_until_none_is_open()

    waits = bench.waits_during(act)
    # The last price would set off at once what the next round enters.
    bench.client.submit(bench.order("sweeper", Side.BUY, 1, price=PRICE + 9))
    bench.client.submit(bench.order("ping", Side.SELL, 1, price=PRICE + 9))
    return waits


def snapshot(bench: Bench) -> list[float]:
    """Let the engine fork to write a snapshot of all of them."""
    bench.post(bench.each())

    def begun() -> int:
        return bench.log.read_text(encoding="utf-8", errors="replace").count("snapshot_started")

    before = begun()

    def act() -> None:
        ends = time.monotonic() + 60
        while begun() == before and time.monotonic() < ends:
            time.sleep(0.01)

    waits = bench.waits_during(act)
    bench.client.submit(MassCancel(SESSION, "m00", "q", firm_wide=True))
    bench.wait_until_none_is_open()
    return waits


KINDS: Final[tuple[tuple[str, Callable[[Bench], list[float]]], ...]] = (
    ("nothing", alone),
    ("a sweep through all of them", sweep),
    ("a mass cancel of the firm", mass_cancel),
    ("a disconnect with the firm's scope", disconnect),
    ("suspensions of all accounts", suspension),
    ("dead man's switches of all accounts", switches),
    ("expiry of all at one moment", expiry),
    ("a cascade through as many stops", cascade),
    ("a snapshot", snapshot),
)


def section(plan: Plan) -> Section:
    """Return the table: each kind in a venue of its own, its rounds one after the other."""
    rows = []
    for what, measure in KINDS:
        longest: list[float] = []
        usual: list[float] = []
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(Path(folder), plan)
            try:
                for number in range(1 if measure is snapshot else plan.rounds):
                    progress(f"turns: {what}, round {number + 1} of {plan.rounds}")
                    waits = measure(bench)
                    longest.append(max(waits))
                    usual.append(percentile(waits, 0.99))
            finally:
                bench.stop()
        rows.append((what, f"{len(longest)}", rate(usual, 1), rate(longest, 1)))
    done()
    everything = plan.accounts * plan.orders
    return Section(
        "How long one command delays others",
        COMMAND,
        f"Round trips of a second client to the committed answer, in milliseconds, while one "
        f"command (or moment) does something to {everything:,} orders of {plan.accounts} accounts "
        "at the default bounds (`work_max` 500). The longest is that of each round.",
        ("while", "rounds", "99 % within, ms", "longest, ms"),
        rows,
        (
            f"The goal is {GOAL_MS} ms on two slow cores.",
            "The engine, the client that loads it and the one that waits share the cores.",
        ),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer orders and rounds")
    parser.add_argument("--tiny", action="store_true", help="just enough to see that it works")
    options = parser.parse_args()
    log_json_lines()  # To standard error: what is printed here is the page.
    print(section(TINY if options.tiny else QUICK if options.quick else FULL).text())


if __name__ == "__main__":
    main()
