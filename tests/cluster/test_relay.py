"""What a follower takes itself for: current only when it has what its leader has."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

from engine.cluster.dial import Fresh
from engine.cluster.link import Connected
from engine.cluster.relay import Relay
from engine.wire import Welcome


def test_a_follower_that_is_behind_is_not_current_though_its_leader_answers() -> None:
    """The leader answers at once, and what a follower lacks comes piece by piece.

    One that was stopped for ten seconds and took itself for current served a revoked key.
    """
    arriving: list[Any] = []
    link: Any = SimpleNamespace(take=lambda: [arriving.pop(0) for _ in list(arriving)])
    journal: Any = SimpleNamespace(last_seq=5)
    relay = Relay(link, SimpleNamespace(), journal, lambda: 0.0)  # type: ignore[arg-type]
    arriving.append(Fresh(10.0, 9))
    relay.arrived()
    relay.applied(5, 10.5)
    assert relay.fresh_at == -math.inf
    relay.applied(8, 10.6)
    assert relay.fresh_at == -math.inf
    relay.applied(9, 10.7)
    assert relay.fresh_at == 10.0
    arriving.append(Fresh(11.0, 9))
    relay.arrived()
    relay.applied(9, 11.1)
    assert relay.fresh_at == 11.0


def test_a_follower_leaves_who_does_not_lead() -> None:
    """It may lead a moment later, and would not say so on that connection: the follower that waited
    there had no leader for ever."""
    left: list[bool] = []
    welcome = Welcome(1, "boot", 5, 1, "follower")
    arriving: list[Any] = [Connected(welcome, "127.0.0.1:1", "b")]
    link: Any = SimpleNamespace(
        take=lambda: [arriving.pop(0) for _ in list(arriving)], leave=lambda: left.append(True)
    )
    journal: Any = SimpleNamespace(last_seq=5)
    relay = Relay(link, SimpleNamespace(), journal, lambda: 0.0)  # type: ignore[arg-type]
    relay.arrived()
    assert left == [True]
