"""The proofs by name: what each tries in its short and in its long form."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tests.cluster.contest import Contest
from tests.fix.moving import Mover, SharedVenue, move_at_random
from tests.fix.rawfix import Closed
from tests.prove import ccxt_suite
from tests.prove.crash.harness import survive
from tests.prove.disk.bits import flip
from tests.prove.disk.enginefaults import engine_faults, try_engine_faults
from tests.prove.disk.faults import every_fault, some_faults, try_faults
from tests.prove.disk.fullstart import PROCESSES, try_full_processes, try_full_starts
from tests.prove.disk.powerloss import explore
from tests.prove.disk.shim import NoCompiler
from tests.prove.market.run import record
from tests.prove.overload import stand
from tests.prove.report import Options, Result
from tests.prove.security import examine
from tests.prove.simulation.run import simulate
from tests.prove.soak import soak
from tests.prove.venue import MODULES, ROOT

Proof = Callable[[Options], Result]


def simulation(options: Options) -> Result:
    """The engine's shell on a simulated clock, network and disk."""
    seeds, steps = options.size(400, 6), options.size(40_000, 6_000)
    result, sums = Result(), Counter[str]()
    for number in range(seeds):
        outcome = simulate(options.seed * 100_000 + number, steps)
        result.findings += [f"simulation seed {outcome.seed}: {f}" for f in outcome.findings]
        sums.update(
            seeds=1, steps=outcome.steps, transactions=outcome.transactions,
            crashes=outcome.crashes, crashes_amid_pieces=outcome.amid, pieces=outcome.pieces,
            connections=outcome.connections, duplicates=outcome.duplicates,
            answers=outcome.answers,
        )  # fmt: skip
        options.say(f"{number + 1} of {seeds} seeds, {sums['crashes']} crashes")
    result.tried = [f"{count:,} {what.replace('_', ' ')}" for what, count in sums.items()]
    return result


def cluster_log(options: Options) -> Result:
    """Members that reach for the log in a simulated etcd."""
    seeds = options.size(10_000, 100)
    result, sums = Result(), Counter[str]()
    for number in range(seeds):
        contest = Contest(options.seed * 100_000 + number)
        found = contest.run(options.size(120, 30))
        result.findings += [f"cluster log seed {contest.world.seed}: {one}" for one in found]
        sums.update(contest.counts, seeds=1, steps=contest.world.steps)
        options.say(f"{number + 1} of {seeds} seeds, {sums['taken']} times taken")
    result.tried = [f"{count:,} {what.replace('_', ' ')}" for what, count in sums.items()]
    return result


def crashes(options: Options) -> Result:
    """kill -9 of every process of a venue under load."""
    kills = options.size(220, 6)
    survived = survive(options.seed, kills, lambda done: options.say(f"{done} of {kills} kills"))
    result = Result(findings=survived.findings)
    places = ", ".join(f"{what} {count}" for what, count in sorted(survived.kills.items()))
    result.tried = [
        f"{survived.count} kills: {places}", f"{survived.transactions:,} transactions",
        f"{survived.amid} kills of the engine amid work, {survived.pieces:,} Ticks that went on "
        "with it",
        f"{survived.full} disks full for a moment",
        *(f"{count:,} {what}" for what, count in survived.told.items()),
    ]  # fmt: skip
    if not survived.inside:
        result.tried.append("no kills from within: there is no C compiler")
    return result


def faulty_disk(options: Options) -> Result:
    """Each write, flush, truncation and name of the journal fails in turn."""
    batches = 25
    faults = (
        some_faults(options.seed, batches, 20)
        if options.quick else every_fault(options.seed, batches)
    )  # fmt: skip
    tried = try_faults(
        options.seed, batches, faults, lambda done: options.say(f"{done} of {len(faults)} faults")
    )
    chosen = engine_faults(options.seed, options.size(24, 2))
    whole = try_engine_faults(
        chosen, lambda done: options.say(f"{done} of {len(chosen)} faults of a whole engine")
    )
    ends = ", ".join(f"{what} {count}" for what, count in tried.ends.items())
    opened = try_full_starts(options.seed, options.size(1, 3))
    starts = try_full_processes(tuple(PROCESSES), (1,) if options.quick else tuple(range(1, 40, 3)))
    others = ", ".join(f"{what} {count}" for what, count in whole.ends.items())
    return Result(
        [f"{tried.faults:,} faults under the journal: {ends}",
         f"{whole.faults} faults under a whole engine: {others}",
         f"{opened.faults} journals opened on a full disk",
         f"{starts.faults} starts of other processes on a full disk"],
        tried.findings + whole.findings + opened.findings + starts.findings,
    )  # fmt: skip


def power(options: Options) -> Result:
    """A loss of power at every step, with whatever may be left of what was not flushed."""
    explored = explore(
        options.seed, options.size(60, 30), 2, options.size(1, 12),
        tell=lambda done, of: options.say(f"step {done} of {of}"),
    )  # fmt: skip
    return Result(
        [f"{explored.steps:,} steps, {explored.images:,} disks left by a loss of power",
         f"{explored.verified:,} of them audited, {explored.lost_unacknowledged:,} lacked "
         "something that nobody was told",
         f"{explored.retired:,} retired ids looked up"],
        explored.findings,
    )  # fmt: skip


def bits(options: Options) -> Result:
    """A flipped bit in every byte of a journal and its snapshot."""
    flipped = flip(
        options.seed, 12, options.size(1, 150),
        lambda done, of: options.say(f"byte {done} of {of}"),
    )  # fmt: skip
    tried = [
        f"{name}: {one.tried:,} bytes, {one.found:,} found, {one.harmless:,} harmless"
        for name, one in flipped.items()
    ]
    return Result(tried, [text for one in flipped.values() for text in one.findings])


def security(options: Options) -> Result:
    """A venue in use: what a stranger finds, and what comes of what he captured."""
    starts = ("engine", "fix") if options.quick else tuple(MODULES)
    return Result(*examine(options.say, starts, options.seed, options.size(200, 8)))


def market_data(options: Options) -> Result:
    """What stock FIX clients rebuild of books, at random moments of subscription, under load."""
    recorded = record(
        options.seed, options.size(1_250, 60), options.size(6_000, 300), options.say
    )
    options.say("holding what was told to the engine's books")
    checked = recorded.check()
    return Result(
        [f"{sum(len(asked) for asked in recorded.asked.values()):,} requests, "
         f"{checked.transactions:,} transactions",
         f"{checked.messages:,} messages held to the book at their sequence, {checked.snapshots:,} "
         f"of them whole books, {checked.empty:,} of empty books, {checked.halted:,} in halts",
         f"{checked.checksums:,} checksums, {checked.trades:,} trades told, {checked.queries:,} "
         f"books over REST and of the engine; {recorded.slow:,} times a client was too slow"],
        checked.findings,
    )  # fmt: skip


def moves(options: Options) -> Result:
    """A FIX session that moves between gateways, some of which are killed under it."""
    count, result = options.size(1_000, 4), Result()
    with tempfile.TemporaryDirectory(prefix="tandem-moves-") as name, SharedVenue(
        Path(name)
    ) as venue:
        alice = Mover(venue.start_all())
        try:
            killed = move_at_random(venue, alice, count, options.seed, options.say)
            result.tried.append(f"{count:,} moves, {killed:,} gateways killed")
        except (AssertionError, Closed) as error:
            result.findings.append(f"a session that moves: {type(error).__name__}: {error}")
        alice.leave()
    result.tried.append(
        f"{alice.orders:,} orders, {len(alice.told):,} reports, {alice.repeated:,} of them told "
        f"again, {alice.filled:,} numbers filled"
    )
    return result


def overload(options: Options) -> Result:
    """Clients that behave badly beside clients that behave."""
    stood = stand(options.quick, 0.5 if options.quick else 5.0, options.say)
    return Result(stood.rows, stood.findings)


def steady_load(options: Options) -> Result:
    """A venue under a low, steady load, whose memory must stay where it was."""
    soaked = soak(10.0 if options.quick else options.soak_s, 0.1, options.say)
    counted = ", ".join(f"{count:,} {what}" for what, count in sorted(soaked.done.items()))
    shown = [f"{soaked.seconds / 60:.1f} minutes: {counted}", *soaked.rows]
    return Result(shown, soaked.findings)


def core(options: Options) -> Result:
    """Matching against the naive oracle, money, replay, restore: the tests' own long forms."""
    sizes = {
        "TANDEM_DIFFERENTIAL_COMMANDS": options.size(2_000_000, 20_000),
        "TANDEM_PROPERTY_COMMANDS": options.size(20_000, 500),
        "TANDEM_STATEFUL_EXAMPLES": options.size(2_000, 50),
        "TANDEM_REST_REQUESTS": options.size(1_000, 150),
    }
    environment = {name: str(size) for name, size in sizes.items()}
    environment["TANDEM_SEED"] = str(options.seed)
    words = [f"{size:,} {name.split('_', 1)[1].lower()}" for name, size in sizes.items()]
    return _pytest(options, words, environment, "tests/differential", "tests/property")


def long_tests(options: Options) -> Result:
    """What the suite leaves out for its length, and its hostile input in long."""
    turns = options.size(100, 12)
    environment = {"TANDEM_FUZZ_TURNS": str(turns), "TANDEM_FUZZ_SEED": str(options.seed)}
    long = _pytest(options, [], {}, "-m", "long", "tests")
    hostile = _pytest(
        options, [f"{turns:,} turns of hostile input"], environment,
        "tests/fix/test_fuzz.py", "tests/fix/test_fuzz_market_data.py",
    )  # fmt: skip
    return Result(long.tried + hostile.tried, long.findings + hostile.findings)


def _pytest(
    options: Options, words: list[str], environment: Mapping[str, str], *paths: str
) -> Result:
    """Run tests as they are, with more of everything; a failed test is a finding."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--tb=short", "-p", "no:cacheprovider"]
    running = subprocess.Popen(
        [*command, *paths], cwd=ROOT, env=os.environ | dict(environment), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert running.stdout is not None
    lines = []
    for line in running.stdout:
        lines.append(line.rstrip())
        if percent := re.search(r"\[ *(\d+%)\]", line):
            options.say(percent.group(1))
    running.wait()
    result = Result([lines[-1] if lines else "nothing", *words])
    if running.returncode:
        result.findings = ["\n".join(lines[-30:])]
    return result


PROOFS: Final[dict[str, Proof]] = {
    "core": core,
    "simulation": simulation,
    "cluster log": cluster_log,
    "crashes": crashes,
    "faulty disk": faulty_disk,
    "loss of power": power,
    "flipped bits": bits,
    "security": security,
    "market data": market_data,
    "moves": moves,
    "overload": overload,
    "ccxt": ccxt_suite.run,
    "long tests": long_tests,
    "soak": steady_load,
}


def prove(name: str, options: Options) -> Result:
    """Make one proof."""
    try:
        return PROOFS[name](options)
    except NoCompiler as error:
        return Result(not_run=str(error))
