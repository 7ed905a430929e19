"""The whole venue beside its peers, in one run; ``python -m benchmarks.peers``.

Engine, FIX gateway, history and stream run as in a deployment, beside a bare QuickFIX acceptor in
Python (with its store in files and in memory) and QuickFIX's example order matcher in C++. Each
gets the same flows from the same program, in turn, so that a busy machine slows all of them
down alike; what counts is the ratio within a round. The order matcher is built where QuickFIX's
sources are given with ``--quickfix-source`` or TANDEM_QUICKFIX_SOURCE.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.common import Section, done, machine, progress, rate, ratios
from benchmarks.compiled import printed_here
from benchmarks.ordermatch import OrderMatch, build
from benchmarks.peers_flows import WHAT
from benchmarks.venue import Child, Venue, traders
from config.ports import free_ports
from config.process import log_json_lines

COMMAND: Final = "python -m benchmarks.peers"
SOURCE: Final = "TANDEM_QUICKFIX_SOURCE"
VENUE: Final = "Tandem, the whole venue"
FILES: Final = "bare acceptor, file store"
MEMORY: Final = "bare acceptor, memory store"
MATCHER: Final = "ordermatch (C++)"
NAMES: Final = (VENUE, FILES, MEMORY, MATCHER)
DURABLE: Final = {
    VENUE: "yes: the journal is flushed before the report",
    FILES: "no: its messages are written, nothing is flushed",
    MEMORY: "no: nothing is written",
    MATCHER: "no: its messages are written, nothing is flushed",
}
MODULES: Final = ("engine.history.main", "account_api.stream")
PARTS: Final = ("engine", "gateway", "history", "stream")
CANNOT: Final = frozenset({(MATCHER, "mix"), (MATCHER, "batches")})
"""The order matcher takes limit orders for the day one by one, and knows no replace."""
NO_BOOK: Final = frozenset({FILES, MEMORY})


class Plan(NamedTuple):
    """How many orders a round, how many rounds."""

    orders: int
    rounds: int


FULL: Final = Plan(8_000, 5)
QUICK: Final = Plan(3_000, 3)
TINY: Final = Plan(100, 1)


class Peer(NamedTuple):
    """A server: how the load reaches it, and its processes."""

    port: int
    processes: dict[str, int]
    options: tuple[str, ...] = ()


class Found(NamedTuple):
    """What the load printed."""

    rate: float
    reports: float
    load: float
    cpu_us: dict[str, float]


Results = dict[tuple[str, str], list[Found]]
"""Of every peer and flow, in the order of the rounds."""


def started(stack: ExitStack, folder: Path, source: Path | None) -> dict[str, Peer]:
    """Start all of them, to be ended with the stack."""
    names = traders(1)
    venue = stack.enter_context(Venue(folder, names, MODULES))
    pids = [child.process.pid for child in venue.children]
    peers = {VENUE: Peer(venue.port, dict(zip(PARTS, pids, strict=True)))}
    ports = free_ports(3)
    for name, port, store in ((FILES, ports[0], ()), (MEMORY, ports[1], ("--memory",))):
        place = folder / name.replace(" ", "_")
        place.mkdir()
        child = Child(
            place, "benchmarks.fix_bare", *store, str(port), *names, ready="ready", environment={}
        )
        stack.callback(child.stop)
        peers[name] = Peer(port, {"acceptor": child.process.pid}, ("--one-report",))
    if source is not None:
        progress("building QuickFIX's order matcher")
        program = build(source, built_in(source))
        matcher = OrderMatch(program, source, folder, ports[2], names)
        stack.callback(matcher.stop)
        options = ("--begin", "FIX.4.2", "--qty", "1")
        peers[MATCHER] = Peer(ports[2], {"ordermatch": matcher.process.pid}, options)
    return peers


def built_in(source: Path) -> Path:
    """Return the folder of the built matcher: a second run finds it again, other sources do not."""
    files = sorted([*source.glob("src/C++/*"), *source.glob("examples/ordermatch/*")])
    stats = [(str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files]
    key = hashlib.sha256(repr(stats).encode()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "tandem" / f"ordermatch-{key}"


def measured(peers: dict[str, Peer], plan: Plan) -> Results:
    """Run all rounds of all flows, every peer once in each."""
    results: Results = {}
    for flow in WHAT:
        for number in range(plan.rounds):
            for name, peer in peers.items():
                if (name, flow) in CANNOT:
                    continue
                progress(f"peers: {flow}, round {number + 1} of {plan.rounds}, {name}")
                printed = printed_here(
                    "benchmarks.peers_load", "--port", str(peer.port), "--flow", flow,
                    "--prefix", f"{flow[0]}{number}", "--count", str(plan.orders), *peer.options,
                    "--processes", *(f"{what}={pid}" for what, pid in peer.processes.items()),
                )  # fmt: skip
                results.setdefault((name, flow), []).append(Found(**json.loads(printed)))
    done()
    return results


def row_of(results: Results, name: str, cell: Callable[[str], str]) -> tuple[str, ...]:
    """Return a row with a cell for every flow that the peer takes."""
    if not any(peer == name for peer, _ in results):
        return (name, DURABLE[name], *("not built" for _ in WHAT))
    cells = (cell(flow) if (name, flow) in results else "–" for flow in WHAT)
    return (name, DURABLE[name], *cells)


def sections(results: Results, plan: Plan) -> list[Section]:
    """Return ratios, rates and what an order costs."""

    def rates(name: str, flow: str) -> list[float]:
        return [found.rate for found in results[name, flow]]

    def reports(flow: str) -> str:
        return f"{flow} {statistics.median(found.reports for found in results[VENUE, flow]):.1f}"

    load = [found.load for founds in results.values() for found in founds]
    header = ("server", "durable", *WHAT)
    flows = "; ".join(f"{flow}: {what}" for flow, what in WHAT.items())
    costs = []
    for name in NAMES:
        founds = [(flow, results[name, flow]) for flow in WHAT if (name, flow) in results]
        for part in founds[0][1][0].cpu_us if founds else ():
            spent = {
                flow: rate([each.cpu_us[part] for each in found]) for flow, found in founds
            }  # fmt: skip
            who = part if name == VENUE else name
            costs.append((who, *(spent.get(flow, "–") for flow in WHAT)))
    return [
        Section(
            "Peers: the venue's rate as a multiple of theirs",
            COMMAND,
            f"Above 1 the venue is quicker. {flows}. One FIX session, up to 1,000 reports due; "
            f"median and spread of {plan.rounds} rounds of {plan.orders:,} orders, each of which "
            "all of them run one after the other.",
            header,
            [
                row_of(results, name, lambda flow, name=name: ratios(  # type: ignore[misc]
                    rates(VENUE, flow), rates(name, flow)
                ))
                for name in NAMES[1:]
            ],
            (
                "The whole venue is engine, FIX gateway, history and stream; risk checks, fees and "
                "the ledger are on. The bare acceptor checks nothing and has no book; it makes as "
                "many reports of the same size, but for the mix, where it makes one a message.",
                "`ordermatch` is QuickFIX's example order matcher in C++ (github.com/quickfix/"
                "quickfix, `examples/`), linked with the gateway's own QuickFIX library and run "
                "with its file store and without a log. It takes limit orders for the day and "
                "keeps no money; it has no replace, no IOC and no lists.",
                f"ExecutionReports an order at the venue: {', '.join(map(reports, WHAT))}.",
                f"The load used {100 * statistics.median(load):.0f} % of one processor "
                f"(at most {100 * max(load):.0f} %).",
                *machine(),
            ),
        ),
        Section(
            "Peers: orders per second",
            COMMAND,
            "The rates of the same rounds, orders/s.",
            header,
            [
                row_of(results, name, lambda flow, name=name: rate(rates(name, flow)))  # type: ignore[misc]
                for name in NAMES
            ],
        ),
        Section(
            "Peers: processor time per order",
            COMMAND,
            "User and kernel time in µs per order of every process in the same rounds, from "
            "/proc, between the first order and the last report.",
            ("process", *WHAT),
            costs,
            (
                "The first four are the venue's. History and stream follow at a lower priority, "
                "and what they do after the last report is not in their figures.",
            ),
        ),
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer orders and rounds")
    parser.add_argument("--tiny", action="store_true", help="just enough to see that it works")
    parser.add_argument(
        "--quickfix-source", type=Path, default=os.environ.get(SOURCE) or None,
        help=f"a folder of QuickFIX's sources; {SOURCE} if absent",
    )  # fmt: skip
    options = parser.parse_args()
    log_json_lines()  # To standard error: what is printed here is the page.
    plan = TINY if options.tiny else QUICK if options.quick else FULL
    source = Path(options.quickfix_source).resolve() if options.quickfix_source else None
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        results = measured(started(stack, Path(name), source), plan)
    for section in sections(results, plan):
        print(section.text())


if __name__ == "__main__":
    main()
