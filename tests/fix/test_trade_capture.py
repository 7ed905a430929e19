"""TradeCaptureReportRequest(AD) with 263=1: every later fill of the firm as it happens."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from fix_gateway.runtime.trade_capture import CAPTURES_MAX
from tests.fix.conftest import Connect
from tests.fix.processes import Process, Venue
from tests.fix.rawfix import Message, RawFix

pytestmark = pytest.mark.timeout(120)
_numbers = count(1)


def unique(name: str) -> str:
    return f"{name}-{next(_numbers)}"


@pytest.fixture(scope="module", autouse=True)
def history(venue: Venue) -> Iterator[Process]:
    running = Process("engine.history.main", venue.environment)
    running.wait_for("ready")
    yield running
    running.kill()


@pytest.fixture
def alice(connect: Connect) -> RawFix:
    client = connect("ALICE")
    client.logon(reset=True)
    return client


@pytest.fixture
def bob(connect: Connect) -> RawFix:
    client = connect("BOB")
    client.logon(reset=True)
    return client


def trade(alice: RawFix, bob: RawFix, qty: str = "0.01") -> Message:
    """Alice buys of Bob, whatever comes in between; her ExecutionReport of the fill."""
    alice.order(unique("a"), 1, qty)
    until(alice, "8", "150", "0")
    bob.order(unique("b"), 2, qty)
    return until(alice, "8", "150", "F")


def until(client: RawFix, msg_type: str, tag: str, value: str) -> Message:
    while (message := client.receive())["35"] != msg_type or message.get(tag) != value:
        pass
    return message


def subscribe(client: RawFix, request: str, more: str = "569=0|") -> Message:
    client.send("AD", f"568={request}|{more}263=1|")
    return until(client, "AQ", "568", request)


def quiet(client: RawFix) -> list[Message]:
    """What comes until a TestRequest is answered."""
    before = len(client.received)
    client.send("1", "112=quiet|")
    until(client, "0", "112", "quiet")
    return client.received[before:]


def test_past_and_later_fills_come_each_once_until_the_subscription_ends(
    alice: RawFix, bob: RawFix
) -> None:
    past = trade(alice, bob)
    begun = subscribe(alice, "T1")
    assert (begun["749"], begun["750"]) == ("0", "0")
    told = until(alice, "AE", "17", past["17"])
    while told["912"] != "Y":
        told = alice.expect("AE")
    assert "325" not in told
    for _ in range(3):
        fill = trade(alice, bob, "0.02")
        report = alice.expect("AE")
        assert [report[tag] for tag in ("568", "325", "17", "880", "32", "31", "1")] == [
            "T1", "Y", fill["17"], fill["880"], "0.02", "100", "alice",
        ]  # fmt: skip
        assert report["20001"] == fill["20001"] and report["20007"] == "1"
        assert "748" not in report and "912" not in report
    alice.send("AD", "568=T1|569=0|263=2|")
    ended = alice.expect("AQ")
    assert (ended["749"], ended["750"]) == ("0", "1")
    trade(alice, bob)
    assert not [message for message in quiet(alice) if message["35"] == "AE"]
    alice.send("AD", "568=T1|569=0|263=2|")
    assert (unknown := alice.expect("AQ"))["750"] == "2" and unknown["749"] == "99"


def test_a_subscription_has_what_it_asks_for_and_only_its_own_firm(
    alice: RawFix, bob: RawFix
) -> None:
    assert subscribe(alice, "ETH", "569=1|55=ETH-USD|")["750"] == "0"
    assert subscribe(alice, "SELL", "569=1|54=2|")["750"] == "0"
    assert subscribe(bob, "BOB", "569=1|55=BTC-USD|")["750"] == "0"
    trade(alice, bob)
    assert not [message for message in quiet(alice) if message["35"] == "AE"]
    report = until(bob, "AE", "325", "Y")
    assert (report["1"], report["568"]) == ("bob", "BOB")


def test_subscriptions_are_bounded_and_their_names_are_their_own(alice: RawFix) -> None:
    for number in range(CAPTURES_MAX):
        assert subscribe(alice, f"S{number}", "569=1|55=ETH-BTC|")["750"] == "0"
    again = subscribe(alice, "S1", "569=1|55=ETH-BTC|")
    assert (again["749"], again["750"]) == ("99", "2") and "subscribed already" in again["58"]
    more = subscribe(alice, "more", "569=1|55=ETH-BTC|")
    assert (more["749"], more["750"]) == ("99", "2")
    assert f"at most {CAPTURES_MAX} subscriptions" in more["58"]


def test_a_subscription_ends_with_its_connection(
    alice: RawFix, bob: RawFix, connect: Connect
) -> None:
    subscribe(alice, "T2", "569=1|54=1|")
    alice.logout()
    back = connect("ALICE", num=alice.num)
    back.logon()
    fill = trade(back, bob)
    assert not [message for message in quiet(back) if message["35"] == "AE"]
    assert subscribe(back, "T2", "569=1|54=1|")["750"] == "0", "the name is free again"
    assert until(back, "AE", "17", fill["17"])["568"] == "T2", "what was missed is the past's"


def test_without_a_history_nothing_is_begun(
    alice: RawFix, bob: RawFix, history: Process, venue: Venue
) -> None:
    """A subscription without what came before it would have a gap that nobody sees."""
    fill = trade(alice, bob)
    subscribe(alice, "before", "569=0|")
    until(alice, "AE", "17", fill["17"])
    history.kill()
    trade(alice, bob)
    refused = subscribe(alice, "T3", "569=0|")
    assert (refused["749"], refused["750"]) == ("99", "2") and "lags behind" in refused["58"]
