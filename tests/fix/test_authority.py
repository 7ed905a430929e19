"""Who may cause what, over the real gateway: drop copies and sub-accounts, at Logon and after."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.client import queries
from engine.core.types import CancelScope
from tests.fix.processes import ROOT, Venue
from tests.fix.rawfix import Closed, Message, RawFix, now_text
from tests.support.waiting import until


def further_session(comp_id: str, account: str, more: str = "") -> str:
    """A session of firm alice with alice's password, as configuration text."""
    demo = (ROOT / "config" / "demo.toml").read_text(encoding="utf-8")
    found = re.search(r'comp_id = "ALICE".*?(password_hash = "[^"]+")', demo, re.DOTALL)
    assert found is not None
    return (
        f'\n[[sessions]]\ncomp_id = "{comp_id}"\naccount = "{account}"\n'
        f'username = "{comp_id.lower()}"\n{found[1]}\n{more}\n'
    )


SESSIONS = (
    further_session("COPY", "alice", 'kind = "drop_copy"')
    + further_session("DESK", "alice:desk")
    + further_session("FIRM", "alice")
)


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    with Venue(tmp_path_factory.mktemp("venue"), extra=SESSIONS) as running:
        yield running.start()


def logged_on(venue: Venue, comp_id: str, more: str = "", reset: bool = True) -> RawFix:
    client = RawFix(venue.address, comp_id)
    logon(client, more, reset)
    client.expect("A")
    return client


def logon(client: RawFix, more: str = "", reset: bool = True) -> None:
    flag = "141=Y|" if reset else ""
    name = client.comp_id.lower()
    client.send("A", f"98=0|108=30|{flag}553={name}|554=alice-demo|{more}")


def turned_away(client: RawFix) -> Message:
    """The Logout that a Logon is answered with, and the end of the connection."""
    farewell = client.receive()
    assert farewell["35"] == "5", farewell
    with pytest.raises(Closed):
        client.receive()
    return farewell


def open_orders(venue: Venue) -> list[str]:
    rows = venue.client().fetch(queries.OpenOrders("alice", True)).value
    return sorted(row.order.client_order_id for row in rows)


def connected(venue: Venue, session: str) -> bool:
    row = venue.client().fetch(queries.Session(session)).value
    return row is not None and row.connected


def rest(venue: Venue, client_id: str) -> None:
    """Alice rests an order that stays."""
    alice = RawFix(venue.address, "FIRM")
    logon(alice)
    alice.expect("A")
    alice.order(client_id, price="10")
    assert alice.expect("8")["150"] == "0"
    alice.logout()
    assert client_id in open_orders(venue)


@pytest.mark.parametrize("scope", ["1", "2", "3"])
def test_a_drop_copy_that_asks_for_cancel_on_disconnect_is_told_and_causes_nothing(
    venue: Venue, scope: str
) -> None:
    rest(venue, f"stays-{scope}")
    before = venue.client().fetch(queries.Session("fix:COPY")).value
    copy = RawFix(venue.address, "COPY")
    logon(copy, f"20003={scope}|20004=0|")
    said = turned_away(copy)
    assert said["58"] == (
        f"CancelOnDisconnect(20003) {scope} is not allowed on a drop-copy session, which causes "
        "nothing; leave it out or use 0"
    )
    after = venue.client().fetch(queries.Session("fix:COPY")).value
    assert before is not None and after is not None
    assert (after.epoch, after.connected) == (before.epoch, before.connected)
    assert f"stays-{scope}" in open_orders(venue)


def test_a_drop_copy_logs_on_without_it_and_leaves_without_a_trace(venue: Venue) -> None:
    rest(venue, "stays-too")
    copy = logged_on(venue, "COPY", "20003=0|20004=0|")
    row = venue.client().fetch(queries.Session("fix:COPY")).value
    assert row is not None and row.cancel_scope is CancelScope.NONE
    copy.close()
    until(lambda: not connected(venue, "fix:COPY"))
    assert "stays-too" in open_orders(venue)


def test_a_refused_logon_uses_one_number_and_what_was_missed_comes_all_the_same(
    venue: Venue,
) -> None:
    copy = logged_on(venue, "COPY")
    copy.logout()
    rest(venue, "missed")  # Its report takes a number of the copy that is away.
    refused = RawFix(venue.address, "COPY", num=copy.num)
    logon(refused, "20003=1|", reset=False)
    used = int(turned_away(refused)["34"])
    back = RawFix(venue.address, "COPY", num=copy.num)
    logon(back, reset=False)
    assert int(back.expect("A")["34"]) == used + 1
    back.send("2", f"7=1|16={used}|")
    found = []
    while "missed" not in found:
        message = back.receive()
        if message["35"] == "8":
            found.append(message["11"])
    back.logout()


def test_a_sub_account_does_not_speak_for_its_firm(venue: Venue) -> None:
    rest(venue, "of-alice")
    desk = RawFix(venue.address, "DESK")
    logon(desk, "20003=2|")
    assert turned_away(desk)["58"] == (
        "CancelOnDisconnect(20003) 2 is not allowed: only a session of the account alice speaks "
        "for the whole firm; use 0, 1 or 3"
    )
    desk = logged_on(venue, "DESK", "20003=3|20004=0|")
    desk.send("D", f"{desk.order_fields('as-alice', price='10')}1=alice|")
    refused = desk.expect("8")
    assert [refused[tag] for tag in ("150", "103", "20016")] == ["8", "15", "unknown_account"]
    desk.send("BB", "909=B|1=alice|")
    assert desk.expect("j")["380"] == "6"
    desk.send("BB", "909=B2|")
    while (balance := desk.receive())["35"] in ("BA", "BG"):
        assert balance.get("1", "alice:desk") == "alice:desk"
        if balance["35"] == "BG" or balance["912"] == "Y":
            break
    desk.send("AF", "584=S|585=7|")
    assert desk.expect("8")["911"] == "0", "orders of the firm are not its own"
    desk.send("q", f"11=all|530=7|20008=1|60={now_text()}|")
    assert desk.expect("r")["533"] == "0"
    desk.close()
    until(lambda: not connected(venue, "fix:DESK"))
    assert "of-alice" in open_orders(venue)


def test_the_firms_session_speaks_for_the_firm(venue: Venue) -> None:
    firm = logged_on(venue, "FIRM", "20003=2|20004=0|")
    firm.send("BB", "909=B|1=alice:desk|")
    assert firm.expect("BA", "BG")
    firm.close()
    until(lambda: not open_orders(venue))


@pytest.mark.parametrize(
    ("session", "says"),
    [
        (further_session("COPY", "alice", 'kind = "drop_copy"\ncancel_on_disconnect = 1'),
         "expected 0: a drop copy causes nothing"),
        (further_session("DESK", "alice:desk", "cancel_on_disconnect = 2"),
         "only a session of the account alice speaks for the firm"),
    ],
)  # fmt: skip
def test_no_session_is_set_to_cause_what_it_may_not(
    tmp_path: Path, session: str, says: str
) -> None:
    from config.settings import SettingsError, load

    path = tmp_path / "venue.toml"
    path.write_text((ROOT / "config" / "demo.toml").read_text(encoding="utf-8") + session)
    with pytest.raises(SettingsError, match=says):
        load(path, {"TANDEM_DATA": str(tmp_path)})
