"""FIX sessions belong to no gateway: clients go on at another one, and are told everything."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.control import ask
from tests.fix.moving import Mover, SharedVenue, closed, hit, move_at_random
from tests.fix.rawfix import Closed, Message
from tests.support.processes import Process
from tests.support.waiting import until

pytestmark = pytest.mark.serial


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedVenue]:
    """One engine and the gateways A and B, for all tests of the file."""
    with SharedVenue(tmp_path_factory.mktemp("venue")) as running:
        yield running.start_all()


@pytest.fixture
def venue(both: SharedVenue) -> SharedVenue:
    """Both gateways, and nobody logged on."""
    both.mend()
    return both


@pytest.fixture
def alice(venue: SharedVenue) -> Iterator[Mover]:
    """A client that has not logged on yet."""
    client = Mover(venue)
    yield client
    client.leave()


def test_a_client_whose_gateway_is_killed_goes_on_at_another(
    venue: SharedVenue, alice: Mover
) -> None:
    alice.begin("A")
    for _ in range(20):
        alice.order()
    alice.read_in_all(20)
    for _ in range(10):
        alice.order()  # Some of these answers are lost, and some orders may be.
    term = venue.row().term
    venue.gateways["A"].kill()
    alice.leave()
    closed(venue)
    hit(venue, "while-away")
    sent = alice.num
    alice.logon_again("B")
    assert alice.num >= sent, "its numbers go on"
    alice.read_all()
    alice.order()
    alice.read_all()
    assert alice.filled > 0, "the gap up to what the last gateway may have used is filled"
    alice.read_in_all(20 + 10 + 1 + 1)  # What the engine never saw was asked for again.
    alice.check()
    assert venue.row().term == term + 1


def test_what_happened_while_nobody_was_logged_on_is_told_at_the_other(
    venue: SharedVenue, alice: Mover
) -> None:
    alice.begin("A")
    for _ in range(3):
        alice.order()
    alice.read_in_all(3)
    alice.logout()
    closed(venue)
    for number in range(3):
        hit(venue, f"away-{number}")
    alice.logon_again("B")
    alice.read_all()
    alice.check()
    # And back, where the store is that it had left.
    alice.leave()
    closed(venue)
    alice.logon_again("A")
    alice.order()
    alice.read_all()
    alice.check()


def test_a_session_is_logged_on_once(venue: SharedVenue, alice: Mover) -> None:
    alice.begin("A")
    other = Mover(venue)
    other.num = 50
    with pytest.raises(Closed):
        other.logon("B")
    refused = venue.gateways["B"].wait_for("refused")
    assert "connected through another gateway" in str(refused)
    alice.order()
    alice.read_in_all(1)
    alice.check()


def test_a_frozen_gateway_that_wakes_up_says_and_does_no_more(
    venue: SharedVenue, alice: Mover
) -> None:
    alice.begin("A")
    alice.order()
    alice.read_in_all(1)
    frozen = venue.gateways["A"]
    frozen.popen.send_signal(signal.SIGSTOP)
    alice.order()  # In its socket when it wakes up.
    old, alice.raw = alice.raw, None
    assert old is not None
    closed(venue)  # By the engine, which has heard nothing of the gateway for ``silence_s``.
    alice.logon_again("B")
    alice.read_all()
    frozen.popen.send_signal(signal.SIGCONT)
    frozen.wait_for("session_lost")
    old.closed()
    alice.order()
    alice.read_all()
    alice.check()
    assert len(alice.due()) == 3, "the order was taken once"
    assert venue.row().connected, "the end of the old connection closes nothing"


def test_numbers_begin_again_at_another_gateway(venue: SharedVenue, alice: Mover) -> None:
    alice.begin("A")
    alice.order()
    alice.read_in_all(1)
    alice.logout()
    closed(venue)
    hit(venue, "away")
    answer = alice.logon("B", reset=True)
    assert (answer["34"], answer["141"]) == ("1", "Y")
    alice.read_all()
    alice.order()
    alice.read_all()
    alice.check()
    alice.logout()
    closed(venue)
    assert "begins at 1" in ask(venue.control("A"), "reset ALICE"), "the operator's, at either"

    def begun() -> Message | None:
        """Log on where the reset is known: until B has heard of it, B cuts the connection."""
        answer = alice.logon_again("B")
        if answer.get("141") != "Y":
            alice.leave()
            return None
        return answer

    found = until(begun, "the numbers do not begin again")
    assert found is not None and found["34"] == "1"
    alice.order()
    alice.read_all()
    alice.check()


def test_more_than_a_block_of_reports_is_told(venue: SharedVenue, alice: Mover) -> None:
    """Numbers are reserved while reports flow, and none above the reservation leaves."""
    alice.begin("A")
    for _ in range(2_600):
        alice.order()
    alice.read_in_all(2_600, 60.0)
    now = venue.row()
    assert now.reserved >= alice.expected - 1 and now.reserved < alice.expected + 2 * 2_000 + 100
    alice.check()


def test_random_moves(venue: SharedVenue, alice: Mover) -> None:
    move_at_random(venue, alice, moves=8, seed=1)


def test_a_quickfix_client_moves(venue: SharedVenue, tmp_path: Path) -> None:
    """Its own engine, with two addresses to try: every order is answered, and none twice."""
    count = 120
    ports = ",".join(str(venue.addresses[name][1]) for name in "AB")
    client = Process("tests.fix.initiator", {}, ports, "BOB", str(tmp_path), str(count), "60")
    told = tmp_path / "BOB.jsonl"
    try:
        until(lambda: lines(told) > 30)
        venue.gateways["A"].kill()
        until(lambda: (tmp_path / "BOB.sent").exists() and venue.row("BOB").connected)
        wanted = {f"BOB-{number}" for number in range(count)}
        until(lambda: {each["11"] for each in read(told)} == wanted)
    finally:
        client.kill()
    seen: set[str] = set()
    for each in read(told):
        assert each["17"] not in seen or "Y" in (each.get("97"), each.get("43")), each
        seen.add(each["17"])
    assert len(seen) == len(venue.reports("BOB")) == count


def lines(path: Path) -> int:
    return len(read(path))


def read(path: Path) -> list[dict[str, str]]:
    """The messages that a QuickFIX client has got; its last line may be under way."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines(True) if line[-1] == "\n"]
