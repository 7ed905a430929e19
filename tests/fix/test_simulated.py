"""Orders of the simulated symbol by FIX: faults of the session, fills, and cancels by the venue."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.client import queries
from fix_gateway.runtime.faults import LATE_S
from tests.fix.processes import Venue, logged_on
from tests.fix.rawfix import RawFix, now_text
from tests.support.processes import Process
from tests.support.waiting import until


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    """Engine, gateway and settlement, which hosts the counterparty, of a test-net."""
    with Venue(tmp_path_factory.mktemp("venue")) as running:
        running.environment["TANDEM_MARKET"] = "1"
        running.start()
        with Process("account_api.settlement", running.environment) as settlement:
            settlement.wait_for("ready")
            yield running


def simulated(client: RawFix, name: str, qty: str, price: str = "50") -> None:
    """Send a limit order of the simulated symbol."""
    client.send(
        "D", f"11={name}|55=SIM-USD|54=1|60={now_text()}|38={qty}|40=2|44={price}|59=1|"
    )


def test_7_cuts_the_connection_after_the_acknowledgement(net: Venue) -> None:
    client = logged_on(net, "ALICE")
    simulated(client, "cut", "7")
    assert client.expect("8")["150"] == "0"
    client.closed()
    again = logged_on(net, "ALICE", num=client.num)
    again.send("F", f"11=cut-c|41=cut|55=SIM-USD|54=1|60={now_text()}|")
    assert again.expect("8")["150"] == "4"
    again.logout()


def test_8_leaves_out_a_number_which_a_resend_request_explains(net: Venue) -> None:
    client = logged_on(net, "BOB")
    expected = int(client.received[-1]["34"]) + 1
    simulated(client, "gap", "8")
    report = client.expect("8")
    assert int(report["34"]) == expected + 1 and report["150"] == "0"
    client.send("2", f"7={expected}|16=0|")
    fill = client.expect("4")
    assert (fill["34"], fill["123"], fill["36"]) == (str(expected), "Y", report["34"])
    again = client.expect("8")
    assert (again["34"], again["43"], again["17"]) == (report["34"], "Y", report["17"])
    client.send("F", f"11=gap-c|41=gap|55=SIM-USD|54=1|60={now_text()}|")
    canceled = client.expect("8")
    assert (int(canceled["34"]), canceled["150"]) == (expected + 2, "4")
    # The numbers stay as they are over a new connection.
    client.logout()
    back = logged_on(net, "BOB", num=client.num)
    assert int(back.received[-1]["34"]) > expected + 2
    back.logout()


def test_the_venue_fills_and_cancels_what_was_not_asked_for(net: Venue) -> None:
    client = logged_on(net, "CAROL")
    simulated(client, "six", "6", "60")
    accepted, filled, canceled = client.collect(3, timeout=20.0)
    assert [one["150"] for one in (accepted, filled, canceled)] == ["0", "F", "4"]
    assert (filled["32"], filled["39"]) == ("2", "1")
    assert (canceled["11"], canceled["14"], canceled["39"]) == ("six", "2", "4")
    assert canceled.get("41") is None
    client.logout()


def test_10_is_acknowledged_late_and_trades_meanwhile(net: Venue) -> None:
    """What a client must not conclude from silence: that its order is not there."""
    alice, bob = logged_on(net, "ALICE", reset=True), logged_on(net, "BOB", reset=True)
    begin = time.monotonic()
    simulated(alice, "late", "10", "70")
    until(lambda: _in_book(net), "the order in the book")
    bob.send("D", f"11=late-b|55=SIM-USD|54=2|60={now_text()}|38=9|40=2|44=70|59=3|")
    taken = bob.collect(2)
    assert [one["150"] for one in taken] == ["0", "F"] and taken[1]["32"] == "9"
    alice.send("F", f"11=late-c|41=late|55=SIM-USD|54=1|60={now_text()}|")
    reports = alice.collect(3, timeout=20.0)
    assert time.monotonic() - begin >= LATE_S
    assert [one["150"] for one in reports] == ["0", "F", "4"]
    assert (reports[1]["32"], reports[2]["11"]) == ("9", "late-c")
    assert taken[1]["52"] < reports[0]["52"], "another session waits as well"
    numbers = [int(one["34"]) for one in reports]
    assert numbers == list(range(numbers[0], numbers[0] + 3))
    assert all("97" not in one and "43" not in one for one in reports)
    for client in (alice, bob):
        client.logout()


def test_a_report_that_is_late_survives_the_connection(net: Venue) -> None:
    client = logged_on(net, "CAROL", reset=True)
    simulated(client, "lost", "10", "71")
    until(lambda: _in_book(net), "the order in the book")
    client.close()
    again = logged_on(net, "CAROL", num=client.num)
    missed = int(client.received[-1]["34"]) + 1
    if int(again.received[-1]["34"]) > missed:
        # It was stored while nobody was there; else it comes when its time has come.
        again.send("2", f"7={missed}|16=0|")
    (report,) = again.collect(1)
    assert (report["150"], report["11"]) == ("0", "lost")
    again.send("F", f"11=lost-c|41=lost|55=SIM-USD|54=1|60={now_text()}|")
    (canceled,) = again.collect(1)
    assert (canceled["150"], canceled["11"]) == ("4", "lost-c")
    again.logout()


def _in_book(net: Venue) -> bool:
    with contextlib.closing(net.client()) as engine:
        book = engine.fetch(queries.Book("SIM-USD")).value
        return bool(book and book.bids)


def test_another_symbol_has_no_faults(net: Venue) -> None:
    client = logged_on(net, "CERT")
    client.order("plain", qty="7", price="10")
    first = client.expect("8")
    client.order("plain-2", qty="8", price="10")
    second = client.expect("8")
    assert int(second["34"]) == int(first["34"]) + 1
    for name in ("plain", "plain-2"):
        client.send("F", f"11={name}-c|41={name}|55=BTC-USD|54=1|60={now_text()}|")
        assert client.expect("8")["150"] == "4"
    client.logout()


def test_without_the_simulation_there_is_no_such_symbol(tmp_path: Path) -> None:
    with Venue(tmp_path) as plain:
        assert "TANDEM_MARKET" not in plain.environment
        client = logged_on(plain.start(), "ALICE")
        simulated(client, "none", "7")
        assert client.expect("8")["150"] == "8"
        client.logout()
