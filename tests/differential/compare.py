"""Run commands through both exchanges, find the first difference, make it small.

``python -m tests.differential.compare --commands 1000000 --seed 1`` is the long form.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from engine.core.commands import Command
from engine.core.events import Event
from tests.support.oracle import Oracle
from tests.support.strategies import Flow
from tests.support.venue import new_exchange, violations

Stamped = tuple[int, Command]


class Difference(NamedTuple):
    """Where the two part ways: the step, and what each has to say."""

    step: int
    what: str
    expected: str
    actual: str


class Mismatch(AssertionError):
    """The exchanges differ; the message holds the seed and a short list of commands."""


def without_text(events: Sequence[Any]) -> list[Event]:
    """Events without wording; the oracle has none."""
    return [e._replace(text="") if "text" in e._fields else e for e in events]


def account_money(exchange: Any) -> dict[tuple[str, str], tuple[int, int]]:
    """(available, held) by account and asset, zeros left out."""
    return {
        (name, asset): (money.available, money.held)
        for name, account in exchange.accounts.items()
        for asset, money in account.balances.items()
        if money.available or money.held
    }


def oracle_money(oracle: Oracle) -> dict[tuple[str, str], tuple[int, int]]:
    """The same, by the oracle."""
    found = {key: (oracle.available[key], oracle.held.get(key, 0)) for key in oracle.available}
    return {key: money for key, money in found.items() if money != (0, 0)}


def first_difference(
    commands: Iterator[Stamped] | Sequence[Stamped],
    observe: Callable[[list[Event]], None] = lambda events: None,
    check_every: int = 50,
) -> tuple[Difference | None, list[Stamped]]:
    """Apply commands to both; returns the first difference and the commands up to there."""
    oracle, exchange = Oracle(), new_exchange()
    done: list[Stamped] = []
    for step, (time_us, command) in enumerate(commands, 1):
        done.append((time_us, command))
        try:
            expected = without_text(oracle.apply(step, time_us, command))
        except AssertionError as error:
            return Difference(step, "the oracle's own check", "", repr(error)), done
        actual = without_text(exchange.apply(step, time_us, command))
        if expected != actual or list(map(type, expected)) != list(map(type, actual)):
            return Difference(step, "events", shown(expected), shown(actual)), done
        if oracle_money(oracle) != account_money(exchange):
            both = (oracle_money(oracle), account_money(exchange))
            return Difference(step, "balances", *(str(sorted(m.items())) for m in both)), done
        if step % check_every == 0 and (found := violations(exchange)):
            return Difference(step, "invariants", "none violated", "; ".join(found)), done
        observe(expected)
    return None, done


def shown(events: Sequence[Event]) -> str:
    return "".join(f"\n    {event!r}" for event in events) or " nothing"


def stream(flow: Flow, count: int) -> Iterator[Stamped]:
    """Definitions, then ``count`` commands of a flow."""
    for command in flow.definitions():
        yield flow.now, command
    for _ in range(count):
        yield flow.next()


def shrink(commands: list[Stamped], seconds: float = 20.0) -> list[Stamped]:
    """Leave out what is not needed for a difference, in ever smaller pieces."""
    fixed = sum(1 for _, c in commands if type(c).__name__.startswith(("Define", "Deposit")))
    ends = time.monotonic() + seconds
    piece = max(1, (len(commands) - fixed) // 2)
    while time.monotonic() < ends:
        start, changed = fixed, False
        while start < len(commands) and time.monotonic() < ends:
            shorter = commands[:start] + commands[start + piece :]
            found, done = first_difference(shorter, check_every=1)
            if found is not None:
                commands, changed = done, True
            else:
                start += piece
        if piece == 1 and not changed:
            break
        piece = max(1, piece // 2)
    return commands


def run(seed: int, count: int) -> int:
    """Compare ``count`` random commands of a seed; raises Mismatch with a small example."""
    flow = Flow(seed)
    found, done = first_difference(stream(flow, count), flow.observe)
    if found is None:
        return count
    small = shrink(done)
    again, _ = first_difference(small, check_every=1)
    assert again is not None
    listing = "\n".join(f"  {time_us} {command!r}" for time_us, command in small)
    raise Mismatch(
        f"seed {seed}, step {found.step} of {count}: {found.what} differ.\n"
        f"{len(small)} commands are enough:\n{listing}\n"
        f"{again.what} at step {again.step}\n  oracle:{again.expected}\n  exchange:{again.actual}"
    )


def main() -> int:
    """The long form, with progress."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commands", type=int, default=1_000_000)
    parser.add_argument("--per-seed", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1, help="first seed; the next ones follow")
    options = parser.parse_args()
    started, done, seed = time.monotonic(), 0, options.seed
    while done < options.commands:
        try:
            done += run(seed, min(options.per_seed, options.commands - done))
        except Mismatch as mismatch:
            print(mismatch)
            return 1
        seed += 1
        rate = done / (time.monotonic() - started)
        print(f"\r{done:,} commands agree, next seed {seed}, {rate:,.0f}/s ", end="", flush=True)
    print(f"\n{done:,} commands, seeds {options.seed} to {seed - 1}: all events and balances agree")
    return 0


if __name__ == "__main__":
    sys.exit(main())
