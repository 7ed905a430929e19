"""What the venue says by itself: announcements, halts, and why it ends a connection."""

from __future__ import annotations

import pytest

from config.control import ControlError, ask, socket_path
from engine.core.commands import SetAccountStatus, SetInstrumentStatus
from engine.core.types import InstrumentStatus, Origin
from tests.fix.conftest import Connect
from tests.fix.processes import Venue
from tests.fix.rawfix import now_text

TEXT = "Maintenance on Saturday 22:00 to 22:15 UTC; orders stay"


def told(venue: Venue, *words: str) -> str:
    return ask(socket_path(venue.data, "fix"), *words)


def test_an_announcement_reaches_who_is_there_and_who_comes_later(
    connect: Connect, venue: Venue
) -> None:
    bob = connect("BOB")
    bob.logon(reset=True)
    bob.logout()
    alice = connect("ALICE")
    alice.logon(reset=True)
    answer = told(venue, "announce", *TEXT.split())
    assert answer.startswith("Announced to ") and answer.endswith(" 1 of them logged on.")
    news = alice.expect("B")
    assert (news["148"], news["33"], news["58"], news["34"]) == (TEXT, "1", TEXT, "2")
    assert news["42"][:9] == now_text()[:9]
    back = connect("BOB", num=bob.num)
    assert back.logon()["34"] == "4", "number 3 was used while it was away"
    back.send("2", "7=3|16=3|")
    missed = back.expect("B")
    assert (missed["34"], missed["43"], missed["148"]) == ("3", "Y", TEXT)
    alice.logout()
    back.logout()


def test_an_announcement_gets_through_while_the_engine_is_away(own_venue: Venue) -> None:
    from tests.fix.rawfix import RawFix

    venue = own_venue.start()
    with RawFix(venue.address, "ALICE") as alice:
        alice.logon()
        assert venue.engine is not None
        venue.engine.kill()
        told(venue, "announce", "The", "engine", "is", "being", "replaced")
        assert alice.expect("B")["148"] == "The engine is being replaced"


@pytest.mark.parametrize("words", [(), ("x" * 501,), ("caf\u00e9",)])
def test_what_is_no_announcement_is_refused(venue: Venue, words: tuple[str, ...]) -> None:
    with pytest.raises(ControlError, match="one line of 1 to 500 ASCII"):
        told(venue, "announce", *words)


def test_a_halt_and_its_end_are_seen_by_every_session(connect: Connect, venue: Venue) -> None:
    alice, bob = connect("ALICE"), connect("BOB")
    alice.logon(reset=True)
    bob.logon(reset=True)
    alice.order("rests", price="10")
    assert alice.expect("8")["150"] == "0"

    def set_status(status: InstrumentStatus) -> None:
        origin = Origin("operator:test", user="operator")
        venue.client().submit(SetInstrumentStatus(origin, "BTC-USD", status, "for a test"))

    set_status(InstrumentStatus.HALTED)
    for client in (alice, bob):
        status = client.expect("f")
        assert [status[tag] for tag in ("55", "325", "326", "58")] == [
            "BTC-USD", "Y", "2", "for a test",
        ]  # fmt: skip
    bob.order("too-late", side=2, price="10")
    refused = bob.expect("8")
    assert (refused["150"], refused["103"], refused["20016"]) == ("8", "2", "instrument_halted")
    alice.send("F", f"11=away|41=rests|55=BTC-USD|54=1|60={now_text()}|")
    assert alice.expect("8")["150"] == "4", "a cancel is done while halted"
    set_status(InstrumentStatus.OPEN)
    for client in (alice, bob):
        assert client.expect("f")["326"] == "3"
    bob.order("again", side=2, price="900000")
    assert bob.expect("8")["150"] == "0"
    alice.logout()
    bob.logout()


def test_A3_a_suspended_account_hears_what_ended_and_A2_may_only_cancel(
    connect: Connect, venue: Venue
) -> None:
    alice = connect("ALICE")
    alice.logon(reset=True)
    alice.order("s-rests", price="10")
    assert alice.expect("8")["150"] == "0"

    def set_status(suspended: bool) -> None:
        origin = Origin("operator:test", user="operator")
        venue.client().submit(SetAccountStatus(origin, "alice", suspended, "for a test"))

    set_status(True)
    canceled = alice.expect("8")
    assert [canceled[tag] for tag in ("150", "39", "11", "58")] == [
        "4", "4", "s-rests", "Canceled by the venue",
    ]  # fmt: skip
    alice.order("s-late", price="10")
    refused = alice.expect("8")
    assert (refused["150"], refused["103"], refused["20016"]) == ("8", "0", "account_suspended")
    alice.send("F", f"11=s-away|41=s-rests|55=BTC-USD|54=1|60={now_text()}|")
    assert alice.expect("9")["20016"] == "too_late", "a cancel is looked at"
    set_status(False)
    alice.order("s-again", price="10")
    assert alice.expect("8")["150"] == "0"
    alice.logout()


def test_the_operator_ends_a_connection_with_a_reason(connect: Connect, venue: Venue) -> None:
    alice = connect("ALICE")
    alice.logon(reset=True)
    alice.send("1", "112=up|")
    alice.expect("0")
    answer = told(venue, "kick", "ALICE")
    assert alice.expect("5")["58"] == "The operator has ended this connection"
    assert answer == "ALICE was logged out."
