"""What a follower takes itself for: current only when it has what its leader has."""

from __future__ import annotations

import math
import time
from types import SimpleNamespace
from typing import Any

from msgspec import Raw

from engine.cluster.dial import Fresh
from engine.cluster.link import Connected
from engine.cluster.log import Head
from engine.cluster.member import Member
from engine.cluster.relay import HELD_S, Relay
from engine.cluster.watch import Seen
from engine.core.commands import Tick
from engine.core.types import Origin
from engine.wire import Submit, Welcome, encode_command


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


def test_K8_a_command_that_no_leader_takes_is_refused() -> None:
    """One that asks for no answer is sent again, when its connection has ended."""
    told: list[Any] = []
    ended: list[Any] = []
    now = [0.0]
    server: Any = SimpleNamespace(
        send=lambda connection, frame: told.append((connection.name, frame)), end=ended.append
    )
    link: Any = SimpleNamespace(send=lambda data: False)
    journal: Any = SimpleNamespace(last_seq=5)
    relay = Relay(link, server, journal, lambda: now[0])
    asking: Any = SimpleNamespace(name="api", number=1, open=True, remote=False)
    posting: Any = SimpleNamespace(name="fix", number=2, open=True, remote=False)
    command = Tick(Origin("test"))
    body = Raw(encode_command(command))
    relay.forward(asking, Submit(7, 1, body), command)
    relay.forward(posting, Submit(0, 1, body), command)
    relay.applied(5, HELD_S - 0.1)
    assert (told, ended) == ([], [])
    relay.applied(5, HELD_S + 0.1)
    assert [(name, frame.id, frame.code) for name, frame in told] == [("api", 7, "no_leader")]
    assert ended == [posting]
    assert relay.release() == [], "what was refused is done by no leader that comes later"


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


def test_K11_who_has_the_end_of_the_log_is_current_and_who_lacks_some_of_it_is_not() -> None:
    journal: Any = SimpleNamespace(last_seq=5, last_crc=9)
    watch: Any = SimpleNamespace(head=None)
    relay: Any = SimpleNamespace(fresh_at=-math.inf)
    parts: Any = SimpleNamespace(log=None, tenure=None, link=None, relay=relay, watch=watch)
    member = Member(SimpleNamespace(), journal, parts, lambda: None)  # type: ignore[arg-type]
    assert member.standing().age_ms > 1_000_000
    now = time.monotonic()
    for head, current in (
        (Head(3, 5, 9), True), (Head(3, 6, 1), False), (Head(3, 5, 8), False),
    ):  # fmt: skip
        watch.head = Seen(head, now)
        assert (member.standing().age_ms < 60_000) is current, head
        assert not member.standing().leads
