"""A whole venue under load whose processes are killed: nobody was told what is not so."""

from __future__ import annotations

import os

import pytest

from tests.prove.crash.harness import survive

SEED = int(os.environ.get("TANDEM_SEED", "1"))
KILLS = 6
NAMES = ("engine", "history", "fix", "api", "stream", "settlement")
pytestmark = [pytest.mark.serial, pytest.mark.timeout(300)]


def test_what_every_client_was_told_is_what_the_venue_holds() -> None:
    survived = survive(SEED, KILLS, names=NAMES)
    assert survived.findings == [], f"seed {SEED}"
    assert survived.count >= KILLS
    assert survived.transactions > 50
    # How many depends on what the clients chose and on how quick the machine is.
    assert survived.pieces > 0, "what one command left over was done in Ticks"
