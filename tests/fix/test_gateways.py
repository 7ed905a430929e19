"""Two gateways of one machine behind one port: which of them a client goes to, and what it sees."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from config.control import ask, socket_path
from config.process import EXIT_CONFIGURATION
from tests.fix.moving import Mover, OneDoorVenue
from tests.fix.rawfix import Closed, RawFix
from tests.support import pace
from tests.support.waiting import until

pytestmark = pytest.mark.serial
NAMES = ("ALICE", "BOB", "CAROL")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneDoorVenue]:
    """One engine and both gateways, for all tests of the file."""
    with OneDoorVenue(tmp_path_factory.mktemp("venue")) as venue:
        yield venue.start_all()


@pytest.fixture
def venue(running: OneDoorVenue) -> OneDoorVenue:
    """Both gateways, and nobody logged on."""
    running.mend()
    return running


@pytest.fixture
def clients(venue: OneDoorVenue) -> Iterator[dict[str, Mover]]:
    """Three clients that have logged on and been told of an order each."""
    found = {name: Mover(venue, name) for name in NAMES}
    for client in found.values():
        client.begin("1")
        client.order()
        client.read_all()
    yield found
    for client in found.values():
        client.leave()


def told(venue: OneDoorVenue, word: str, *more: str) -> str:
    """What the first gateway answers an operator."""
    return ask(socket_path(venue.data, "fix"), word, *more)


def test_sessions_are_spread_and_stay_where_they_are(
    venue: OneDoorVenue, clients: dict[str, Mover]
) -> None:
    places = {name: venue.at(name) for name in NAMES}
    assert sorted(places.values()) in (["1", "1", "2"], ["1", "2", "2"])
    for client in clients.values():
        client.logout()
    until(lambda: not any(venue.row(name).connected for name in NAMES))
    terms = {name: venue.row(name).term for name in NAMES}
    for client in clients.values():
        client.logon("1")
        client.order()
        client.read_all()
        client.check()
    assert {name: venue.at(name) for name in NAMES} == places
    assert {name: venue.row(name).term for name in NAMES} == terms, "nobody has moved"
    assert not any(client.repeated or client.filled for client in clients.values())


def test_a_comp_id_is_logged_on_once(venue: OneDoorVenue, clients: dict[str, Mover]) -> None:
    seconds = [RawFix(venue.addresses["1"], name, num=clients[name].num) for name in NAMES]
    for second in seconds:
        second.send("A", second.logon_fields())
    for second in seconds:
        with pytest.raises(Closed):
            second.receive(pace.seconds(5))
        second.close()
    for client in clients.values():
        client.order()
        client.read_all()
        client.check()


def test_sessions_of_a_gateway_that_is_killed_go_on(
    venue: OneDoorVenue, clients: dict[str, Mover]
) -> None:
    """With their numbers: at the other gateway while theirs is away, at the new one afterwards."""
    for killed in "21":
        hit = [name for name in NAMES if venue.at(name) == killed]
        assert hit
        for name in NAMES:
            for _ in range(10):
                clients[name].order()  # Some of these answers are lost, and some orders may be.
        venue.gateways[killed].kill()
        if killed == "1":
            venue.start_one("1")  # The port was its own.
        for name in hit:
            client = clients[name]
            client.leave()
            sent = client.num
            client.logon_again("1")
            assert client.num >= sent, "its numbers go on"
        for client in clients.values():
            client.order()
            client.read_all()
            client.check()
        assert {venue.at(name) for name in hit} == {"1"}
        if killed == "2":
            venue.start_one("2")

            def spread() -> set[str]:
                for name in NAMES:
                    clients[name].logout()
                until(lambda: not any(venue.row(name).connected for name in NAMES))
                for name in NAMES:
                    clients[name].logon("1")
                    clients[name].read_all()
                    clients[name].check()
                return {venue.at(name) for name in NAMES}

            # One that did not answer in time is left alone for some seconds.
            until(spread, "none comes back to the new one", 60, enough=lambda at: "2" in at)


def test_an_operator_asks_the_first_gateway(
    venue: OneDoorVenue, clients: dict[str, Mover]
) -> None:
    (away, *_) = [name for name in NAMES if venue.at(name) == "2"]
    messages = json.loads(told(venue, "messages", away, "-", "100"))
    assert "35=D" in str(messages), messages
    said = told(venue, "announce", "Maintenance", "at", "22:00")
    counts = re.findall(r"^Gateway \d: Announced to (\d+) sessions", said, re.M)
    assert len(counts) == 2 and sum(map(int, counts)) == len(NAMES), said
    with ThreadPoolExecutor(1) as operator:
        kicked = operator.submit(told, venue, "kick", away)
        clients[away].read_until_logout()
        assert kicked.result() == f"{away} was logged out."
    until(lambda: not venue.row(away).connected)
    epoch = venue.row(away).epoch
    assert f"in epoch {epoch + 1}" in told(venue, "reset", away)
    assert venue.row(away).epoch == epoch + 1


def test_one_gateway_becomes_two_and_nobody_notices(tmp_path: Path) -> None:
    """And two become one only if that stays shared."""
    with OneDoorVenue(tmp_path) as venue:
        several = venue.config.read_text(encoding="utf-8")
        alone = several.replace("gateways = 2\n", "")
        venue.config.write_text(alone, encoding="utf-8")
        venue.start_engine()
        venue.start_one("1")
        clients = {name: Mover(venue, name) for name in ("ALICE", "BOB", "CAROL")}
        for client in clients.values():
            client.begin("1")
        clients["ALICE"].order()
        clients["ALICE"].read_all()  # The others have sent nothing that the engine knows of.
        venue.gateways["1"].kill()
        venue.config.write_text(several, encoding="utf-8")
        venue.start_one("1")
        venue.start_one("2")
        for client in clients.values():
            client.leave()
            client.logon_again("1")
            client.order()
            client.read_all()
            client.check()
            assert not client.filled, "no number was skipped"
        assert {venue.at(name) for name in NAMES} == {"1"}
        for client in clients.values():
            client.leave()
        venue.gateways["1"].kill()
        venue.config.write_text(alone, encoding="utf-8")
        refused = venue.run("1")
        assert refused.wait() == EXIT_CONFIGURATION
        (line,) = refused.events("gateway_not_started")
        assert "shared under [fix] has to stay true" in line["reason"]


def test_each_gateway_has_its_own_health_and_metrics(venue: OneDoorVenue) -> None:
    for name in ("fix", "fix2"):
        path = socket_path(venue.data, name)
        assert json.loads(ask(path, "health"))["trouble"] == ""
        assert "tandem_fix_engine_connected 1.0" in ask(path, "metrics")
