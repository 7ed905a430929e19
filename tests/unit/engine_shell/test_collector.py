"""The collector of cycles stays out of the way, and is not needed by the core."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from engine.memory import ASIDE_COMMANDS, LOOK_COMMANDS_MAX, Collector
from tests.property.replay import commands
from tests.support.venue import new_exchange
from tests.support.wide_flow import WideFlow


class Node:
    """Something that can be in a cycle."""

    def __init__(self) -> None:
        self.other: Node | None = None


def cycle() -> weakref.ref[Node]:
    one, two = Node(), Node()
    one.other, two.other = two, one
    return weakref.ref(one)


@pytest.fixture(autouse=True)
def collector_given_back() -> Iterator[None]:
    yield
    gc.unfreeze()
    gc.enable()
    gc.collect()


def test_the_core_makes_no_cycles() -> None:
    """Random flows of every kind of command leave nothing to collect but garbage of theirs."""
    for seed in range(4):
        exchange = new_exchange()
        wide = WideFlow(seed)  # Kept: its list of its own methods is a cycle.
        flow = commands(wide, 1_500, exchange, lambda events: None)
        next(flow)
        gc.collect()
        gc.disable()
        for _ in flow:
            continue
        assert gc.collect() == 0, "reference counting frees all that the core drops"
        gc.enable()


def test_cycles_are_collected_when_nothing_is_to_be_done() -> None:
    collector = Collector(5)
    dead = cycle()
    collector.turn(6, idle=False)
    assert dead() is not None and not gc.isenabled()
    collector.turn(6, idle=True)
    assert dead() is None


def test_what_was_made_in_a_busy_time_is_set_aside() -> None:
    collector = Collector(0)
    frozen = gc.get_freeze_count()
    kept = [Node() for _ in range(1_000)]
    collector.turn(ASIDE_COMMANDS - 1, idle=False)
    assert gc.get_freeze_count() <= frozen
    collector.turn(ASIDE_COMMANDS, idle=False)
    assert gc.get_freeze_count() >= frozen + len(kept)
    more = [Node() for _ in range(1_000)]
    collector.turn(ASIDE_COMMANDS + LOOK_COMMANDS_MAX + 1, idle=True)
    assert gc.get_freeze_count() >= frozen + len(kept) + len(more)
