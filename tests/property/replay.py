"""Run a wide flow and say what came of it: a digest of every transaction, and the state hash.

``python -m tests.property.replay SEED COUNT`` prints both; two processes must agree, whatever
their hash seeds.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from engine.core.commands import Command
from engine.core.events import Event
from engine.wire import encode_transaction
from tests.support.venue import new_exchange
from tests.support.wide_flow import WideFlow

Stamped = tuple[int, Command]


def commands(
    flow: WideFlow, count: int, exchange: Any, observe: Callable[[Sequence[Event]], None]
) -> Iterator[tuple[int, int, Command, list[Event]]]:
    """Apply a flow; yields (seq, time, command, events). Known duplicates are left out."""
    seq = 0
    waiting = flow.definitions()
    for _ in range(count + len(waiting)):
        time_us, command = (flow.now, waiting.pop(0)) if waiting else flow.next()
        if exchange.find_duplicate(command) is not None:
            continue
        seq += 1
        events = exchange.apply(seq, time_us, command)
        flow.observe(events)
        observe(events)
        yield seq, time_us, command, events


def digest(seed: int, count: int) -> tuple[str, str]:
    """(SHA-256 of all encoded transactions, state hash)."""
    found = hashlib.sha256()
    exchange = new_exchange()
    for row in commands(WideFlow(seed), count, exchange, lambda events: None):
        found.update(encode_transaction(*row))
    return found.hexdigest(), exchange.state_hash()


if __name__ == "__main__":
    print(*digest(int(sys.argv[1]), int(sys.argv[2])))
