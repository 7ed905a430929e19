"""The engine's shell under simulated crashes, delays and lost connections; by seed.

TANDEM_SEED sets the first seed. ``make prove`` runs many more and longer ones.
"""

from __future__ import annotations

import os

import pytest

from tests.prove.simulation.run import simulate
from tests.prove.simulation.sabotage import ENGINES, forgets_the_last_batch

FIRST_SEED = int(os.environ.get("TANDEM_SEED", "1"))
STEPS = 6_000


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + 4))
def test_nothing_is_lost_doubled_or_seen_too_early(seed: int) -> None:
    outcome = simulate(seed, STEPS)
    assert outcome.findings == [], f"seed {seed}"
    assert outcome.transactions > 500 and outcome.answers > 30 and outcome.connections > 15
    assert outcome.pieces > 3, "what a command left over was done in Ticks"


def test_engines_die_amid_what_a_command_left_over() -> None:
    """A sweep, a mass cancel, a suspension, the end of a session; rules M-10 and C-10."""
    assert any(simulate(seed, STEPS).amid for seed in range(FIRST_SEED, FIRST_SEED + 30))


def test_a_seed_does_the_same_again() -> None:
    assert simulate(FIRST_SEED, 2_000) == simulate(FIRST_SEED, 2_000)


@pytest.mark.parametrize("make", ENGINES)
def test_an_engine_that_breaks_a_promise_is_found(make: type) -> None:
    assert any(simulate(seed, STEPS, make=make).findings for seed in range(1, 9))


def test_a_disk_that_lies_about_its_flushes_is_found() -> None:
    seeds = range(1, 9)
    assert any(
        simulate(seed, STEPS, sabotage=forgets_the_last_batch).findings for seed in seeds
    )
