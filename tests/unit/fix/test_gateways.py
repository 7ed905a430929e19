"""Which of several gateways a client goes to, and what becomes of it where one does not answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.core.events import SessionHeld
from engine.core.types import CancelScope, SessionRow
from fix_gateway.door import gateways as module
from fix_gateway.door import logon as logons
from fix_gateway.door.gateways import (
    AWAY_S,
    ON_ITS_WAY_S,
    SILENT_S,
    Decision,
    Gateways,
    best,
)
from fix_gateway.door.logon import Logon
from fix_gateway.door.side_door import SideDoor
from fix_gateway.session import holding, passing
from fix_gateway.session.keeper import Keeper
from fix_gateway.session.session import Session, Sessions
from fix_gateway.settings import GatewaySettings, Neighbour
from tests.fix.rawfix import encode, now_text
from tests.support import pace
from tests.support.fix_desk import DICTIONARY
from tests.support.fix_settings import session_settings

COMP_IDS = [f"S{number}" for number in range(12)]


class Machine:
    """Three gateways, of which the first is ours, and twelve sessions. Time stands still."""

    def __init__(self, folder: Path) -> None:
        self.now = 100.0
        self.neighbours = tuple(
            Neighbour(folder / name, folder / f"{name}.passing") for name in ("s1", "s2", "s3")
        )
        for one in self.neighbours:
            one.store.mkdir()
        self.holders = [holding.holder_name(one.store) for one in self.neighbours]
        settings = GatewaySettings(
            "127.0.0.1", 0, "TANDEM", self.neighbours[0].store, DICTIONARY, shared=True,
            holder=self.holders[0], neighbours=self.neighbours,
        )  # fmt: skip
        self.sessions = Sessions(settings, [session_settings(name) for name in COMP_IDS])
        for session in self.sessions:
            session.held = False
        self.gateways = Gateways(settings, self.sessions, lambda: self.now)

    def __getitem__(self, number: int) -> Session:
        return self.sessions.by_comp_id[COMP_IDS[number]]

    def belongs(self, number: int, gateway: int, *, used: bool = True) -> None:
        """Have the engine say that a session is held by a gateway."""
        self[number].keeper.restore(row(self.holders[gateway - 1], reserved=2000 * used))

    def choose(self, number: int) -> int:
        return self.gateways.choose(self[number])


def row(holder: str, reserved: int = 0, mark: int = 0, term: int = 1) -> SessionRow:
    return SessionRow(
        "fix:S", "s", 1, mark, False, CancelScope.NONE, 0, (0, 0, 0), 0, holder, term, reserved
    )


def taken(holder: str, term: int, reserved: int = 0) -> SessionHeld:
    return SessionHeld(
        "", 0, "fix:S", "taken", holder, "", term, 1, 0, reserved, (0, 0, 0), ""
    )


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    found = Machine(tmp_path)
    yield found
    found.gateways.stop()


@pytest.mark.parametrize(
    ("belonging", "home", "chosen"),
    [
        ({1: 0, 2: 0}, 0, 1),
        ({1: 3, 2: 2, 3: 5}, 0, 2),
        ({1: 3, 2: 2, 3: 5}, 3, 3),
        ({1: 3, 2: 2, 3: 6}, 3, 2),
        ({1: 1, 2: 0}, 1, 1),
        ({1: 2, 2: 0}, 1, 2),
        ({1: 4}, 3, 1),
    ],
)
def test_a_session_stays_unless_its_gateway_has_far_more_than_another(
    belonging: dict[int, int], home: int, chosen: int
) -> None:
    assert best(belonging, home) == chosen


def test_sessions_spread_evenly_before_the_engine_says_where_they_are(machine: Machine) -> None:
    """Clients come faster than that: they count where they were sent."""
    for number in range(12):
        machine.belongs(number, 1, used=False)  # The first gateway takes what nobody has used.
    chosen = [machine.choose(number) for number in range(12)]
    assert [chosen.count(gateway) for gateway in (1, 2, 3)] == [4, 4, 4]
    machine.now += ON_ITS_WAY_S
    assert machine.choose(5) == 1, "none of them ever came"


def test_a_session_keeps_its_gateway(machine: Machine) -> None:
    for number in range(12):
        machine.belongs(number, 1 + number % 3)
    assert [machine.choose(number) for number in range(12)] == [1, 2, 3] * 4


def test_sessions_come_back_to_a_gateway_that_was_away(machine: Machine) -> None:
    for number in range(12):
        machine.belongs(number, 1 + number % 2)
    for number in range(12):
        chosen = machine.choose(number)
        machine[number].keeper.follow(taken(machine.holders[chosen - 1], 2, 2000))
    counts = [
        sum(session.keeper.holder == holder for session in machine.sessions)
        for holder in machine.holders
    ]
    assert counts[2] in (2, 3) and max(counts) <= 2 * counts[2] + 2
    assert [machine.choose(number) for number in range(12)] == [
        1 + machine.holders.index(machine[number].keeper.holder) for number in range(12)
    ], "and nobody moves any more"


def test_a_session_that_was_used_before_there_were_others_stays_for_its_next_logon(
    machine: Machine,
) -> None:
    """Only this store knows its numbers until then."""
    for number in range(12):
        machine.belongs(number, 1, used=number > 0)
    session: Any = machine[0]
    session.held, session.reserved = True, 0
    session.qf = SimpleNamespace(getExpectedSenderNum=lambda: 5, getExpectedTargetNum=lambda: 1)
    assert machine.choose(0) == 1
    session.reserved = 2000
    machine.now += ON_ITS_WAY_S
    assert machine.choose(0) == 2


def test_what_the_engine_said_before_changes_nothing() -> None:
    keeper = Keeper()
    keeper.restore(row("b", reserved=10, term=3))
    keeper.follow(taken("a", 2))
    assert (keeper.holder, keeper.used) == ("b", True)
    keeper.follow(taken("c", 4))
    assert (keeper.holder, keeper.used) == ("c", False)


# Passing a client on.


class Taking:
    """A gateway without the port, as far as its side door."""

    def __init__(self, machine: Machine, gateway: int) -> None:
        self.clients: list[tuple[socket.socket, str, Session, Logon]] = []
        self.news = threading.Event()
        path = machine.neighbours[gateway - 1].passing_socket
        self.door = SideDoor(path, machine.sessions, 4096, self._admit)
        self.door.start()

    def _admit(self, *client: Any) -> None:
        self.clients.append(client)
        self.news.set()


def decide(machine: Machine, number: int, client: socket.socket) -> Decision:
    """What becomes of a client of a session; it is decided on the door's thread."""
    calls: list[Any] = []
    come = threading.Event()

    def call(what: Any) -> None:
        calls.append(what)
        come.set()

    found: list[Decision] = []
    machine.gateways.decide(machine[number], client, "192.0.2.1", call, found.append)
    assert come.wait(pace.seconds(5))
    calls[0]()
    return found[0]


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A client's end of a connection with a Logon in it, and ours."""
    theirs, ours = socket.socketpair()
    theirs.sendall(
        encode(f"35=A|34=7|49=S0|52={now_text()}|56=TANDEM|98=0|108=30|553=s0|554=x|") + b"more"
    )
    yield theirs, ours
    theirs.close()
    ours.close()


def test_a_client_is_passed_on_with_its_logon(
    machine: Machine, pair: tuple[socket.socket, socket.socket]
) -> None:
    machine.belongs(0, 2)
    second = Taking(machine, 2)
    theirs, ours = pair
    assert decide(machine, 0, ours) == Decision(passed=True)
    ours.close()
    assert second.news.wait(pace.seconds(5))
    client, address, session, logon = second.clients[0]
    assert (address, session) == ("192.0.2.1", machine[0])
    assert logons.read(logon).num == 7
    assert client.recv(9999).endswith(b"more"), "and nothing of it was taken"
    client.sendall(b"hello")
    assert theirs.recv(99) == b"hello"
    client.close()
    second.door.close()


def test_a_gateway_that_is_away_is_passed_over(
    machine: Machine, pair: tuple[socket.socket, socket.socket]
) -> None:
    for number in range(6):
        machine.belongs(number, 1 + number % 2)
    machine.belongs(0, 3)
    passing.listen(machine.neighbours[2].passing_socket).close()  # It was killed.
    assert decide(machine, 0, pair[1]) == Decision(here=True)
    assert machine.choose(0) == 1, "where it is now"
    machine.now += AWAY_S
    assert machine.choose(0) == 3, "which may be back, and has nobody"


def test_a_gateway_that_knows_no_such_session_is_passed_over(
    machine: Machine, pair: tuple[socket.socket, socket.socket]
) -> None:
    machine.belongs(0, 2)
    second = Taking(machine, 2)
    session = machine.sessions.by_comp_id.pop("S0")
    calls: list[Any] = []
    come = threading.Event()
    found: list[Decision] = []

    def call(what: Any) -> None:
        calls.append(what)
        come.set()

    machine.gateways.decide(session, pair[1], "192.0.2.1", call, found.append)
    assert come.wait(pace.seconds(5))
    calls[0]()
    assert found == [Decision(here=True)]
    second.door.close()


def test_a_client_that_a_frozen_gateway_may_still_take_is_given_to_nobody_else(
    machine: Machine, pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ANSWER_S", 0.05)
    machine.belongs(0, 2)
    with passing.listen(machine.neighbours[1].passing_socket):
        decision = decide(machine, 0, pair[1])
        assert not decision.here and not decision.passed and decision.in_doubt
        assert "cannot be reached" in decision.why
        assert machine.choose(0) == 1, "it is offered nobody for a while"
        machine.now += SILENT_S + ON_ITS_WAY_S
        assert machine.choose(0) == 2
