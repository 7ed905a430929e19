"""A whole venue under load whose processes are killed: nobody was told what is not so."""

from __future__ import annotations

import os
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from tests.prove.crash.harness import survive
from tests.prove.crash.killing import Killer
from tests.prove.crash.told import Told

SEED = int(os.environ.get("TANDEM_SEED", "1"))
KILLS = 6
NAMES = ("engine", "history", "fix", "api", "stream", "settlement")
pytestmark = [pytest.mark.serial, pytest.mark.timeout(300)]


def test_what_every_client_was_told_is_what_the_venue_holds() -> None:
    survived = survive(SEED, KILLS, names=NAMES)
    assert survived.findings == [], f"seed {SEED}"
    assert survived.count >= KILLS
    assert survived.transactions > 50
    # How many commands went on in Ticks depends on what the clients chose and on how quick the
    # machine is: the long form meets hundreds, this one may meet none.


class Killed:
    """A process whose end by SIGKILL nobody has seen yet; it was ready before."""

    code, doomed, full, name, pid = None, False, False, "fix", 1

    def __init__(self, killed: bool) -> None:
        self.killed = killed
        self.popen = SimpleNamespace(wait=lambda: -9)

    def await_ready(self) -> bool:
        return True

    def kill(self) -> None:
        self.killed = True


@pytest.mark.parametrize("killed", [True, False])
def test_at_the_end_whatever_was_killed_is_started_again(killed: bool) -> None:
    """One that was killed just now looks as if it ran; clients would wait for it for ever."""
    started = []

    def start(name: str, extra: object) -> Killed:
        started.append(name)
        return Killed(False)

    venue: Any = SimpleNamespace(
        children={"fix": Killed(killed)}, changed=threading.Condition(), ended=[], start=start
    )
    Killer(venue, Told(), SEED).restore()
    assert started == (["fix"] if killed else [])
