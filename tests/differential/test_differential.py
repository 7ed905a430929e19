"""Thousands of random commands: the exchange and the oracle agree on every event.

TANDEM_DIFFERENTIAL_COMMANDS sets how many (default 30,000), TANDEM_SEED the first seed.
"""

from __future__ import annotations

import os

import pytest

from tests.differential.compare import run

COMMANDS = int(os.environ.get("TANDEM_DIFFERENTIAL_COMMANDS", "30000"))
FIRST_SEED = int(os.environ.get("TANDEM_SEED", "1"))
SEEDS = 20


@pytest.mark.timeout(max(120, COMMANDS // 500))
@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + SEEDS))
def test_exchange_agrees_with_the_oracle(seed: int) -> None:
    assert run(seed, COMMANDS // SEEDS) == COMMANDS // SEEDS
