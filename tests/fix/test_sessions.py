"""Sessions end to end: missed reports, epochs, cancel on disconnect, restarts."""

from __future__ import annotations

import json
import math
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.client import queries
from engine.core.types import CancelScope, SessionRow
from tests.fix.processes import Venue, logged_on
from tests.fix.rawfix import Message, RawFix
from tests.support import pace
from tests.support.waiting import until

Connect = Callable[..., RawFix]


def resend_from(client: RawFix, begin: int, until: str, timeout: float = 10.0) -> list[Message]:
    """Ask for a resend and read until the report with this client order id and ExecType."""
    client.send("2", f"7={begin}|16=0|")
    found: list[Message] = []
    deadline = time.monotonic() + pace.seconds(timeout)
    while not found or f"{found[-1].get('11')}/{found[-1].get('150')}" != until:
        message = client.receive(deadline - time.monotonic())
        if message["35"] == "8":
            found.append(message)
    return found


def wait_for_stored(venue: Venue, comp_id: str, part: bytes) -> None:
    """Wait until the gateway has a message with this part for a session that is not there."""
    store = venue.data / "fix" / "store" / f"FIX.4.4-TANDEM-{comp_id}.body"
    until(lambda: part in store.read_bytes(), f"{part!r} is not in {store.name}", 10)


def open_ids(venue: Venue, account: str) -> set[str]:
    rows = venue.client().fetch(queries.OpenOrders(account)).value
    return {row.order.client_order_id for row in rows}


def wait_for_orders(venue: Venue, account: str, wanted: set[str], timeout: float = 10.0) -> None:
    until(
        lambda: open_ids(venue, account), f"{account} has other orders than {wanted}", timeout,
        lambda found: found == wanted,
    )  # fmt: skip


# Missed reports.


def test_reports_missed_while_away_come_by_resend(venue: Venue) -> None:
    alice = logged_on(venue, "ALICE", reset=True)
    alice.order("rest-1", side=1, price="90")
    assert alice.expect("8")["150"] == "0"
    alice.logout()
    bob = logged_on(venue, "BOB", reset=True)
    bob.order("hit-1", side=2, price="90")
    assert [m["150"] for m in bob.collect(2)] == ["0", "F"]
    back = RawFix(venue.address, "ALICE", num=alice.num)
    answer = back.logon()
    assert int(answer["34"]) == 5, "the fill took number 4 while nobody was there"
    fill = resend_from(back, 4, "rest-1/F")[-1]
    assert (fill["43"], fill["34"], fill["150"]) == ("Y", "4", "F")
    assert "122" in fill
    back.logout()
    bob.logout()


def test_numbers_and_reports_survive_a_clean_restart(own_venue: Venue) -> None:
    venue = own_venue.start()
    alice = logged_on(venue, "ALICE")
    alice.order("kept")
    first = alice.expect("8")
    assert venue.gateway is not None
    assert venue.gateway.stop() == 0
    alice.expect_closing()
    venue.start_gateway()
    back = logged_on(venue, "ALICE", num=alice.num)
    report = resend_from(back, 2, "kept/0")[-1]
    assert (report["17"], report["43"]) == (first["17"], "Y")
    assert back.receive()["123"] == "Y", "admin messages are filled over"
    back.send("1", "112=quiet?|")
    assert back.expect("0")["112"] == "quiet?", "nothing is asked for again"
    back.close()


# Epochs.


def test_141_starts_an_epoch_that_the_engine_knows_before_the_answer(venue: Venue) -> None:
    engine = venue.client()
    alice = logged_on(venue, "ALICE", reset=True)
    row = engine.fetch(queries.Session("fix:ALICE")).value
    assert row is not None
    before = row.epoch
    alice.order("epoch-a")
    alice.expect("8")
    alice.logout()
    again = logged_on(venue, "ALICE", reset=True)
    row = engine.fetch(queries.Session("fix:ALICE")).value
    assert row is not None
    assert (row.epoch, row.last_num_applied) == (before + 1, 0)
    again.order("epoch-b")
    report = again.expect("8")
    assert (report["34"], report["11"], report["150"]) == ("2", "epoch-b", "0")
    again.send("F", "11=c-a|41=epoch-a|55=BTC-USD|54=1|60=20260101-00:00:00|")
    again.send("F", "11=c-b|41=epoch-b|55=BTC-USD|54=1|60=20260101-00:00:00|")
    assert [m["150"] for m in again.collect(2)] == ["4", "4"]
    again.logout()


def test_reset_on_logon_begins_at_1_each_time_and_gets_what_it_missed(venue: Venue) -> None:
    cert = logged_on(venue, "CERT")
    cert.order("cert-rest", price="80")
    assert cert.expect("8")["150"] == "0"
    cert.logout()
    bob = logged_on(venue, "BOB", reset=True)
    bob.order("cert-hit", side=2, price="80")
    assert [m["150"] for m in bob.collect(2)] == ["0", "F"]
    bob.logout()
    again = RawFix(venue.address, "CERT")
    assert again.logon()["34"] == "1"
    fill = again.expect("8")
    assert (fill["34"], fill["150"], fill["11"]) == ("2", "F", "cert-rest")
    again.logout()


@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize("wrong", ["without 141", "password"])
def test_a_wrong_logon_within_a_session_ends_it_and_begins_no_epoch(
    venue: Venue, wrong: str, reset: bool
) -> None:
    """Nobody's numbers begin again but by a valid Logon; old ones are not taken for new ones."""
    alice = logged_on(venue, "ALICE", reset=True)
    named = f"{wrong[0]}-{reset}"
    for number in range(5):
        alice.order(f"before-{named}-{number}", price="10")
    alice.collect(5)
    if wrong == "password":
        alice.send("A", alice.logon_fields(reset=True, password="another"), num=1)
    else:
        alice.send("A", alice.logon_fields(), num=alice.num)
    alice.expect_closing()
    last = alice.received[-1]
    assert last["35"] == "5", last
    back = RawFix(venue.address, "ALICE", num=1 if reset else alice.num)
    assert back.logon(reset=reset)["34"] == ("1" if reset else str(int(last["34"]) + 1))
    back.order(f"after-{named}", price="10")
    assert back.expect("8")["11"] == f"after-{named}", "number 2 is not a number 2 of old"
    back.send("q", f"11=all-{named}|530=7|60=20260101-00:00:00|")
    assert back.collect(1, "r")[0]["531"] == "7"
    back.logout()


def test_a_reset_that_was_recorded_but_not_finished_is_finished_at_start(
    own_venue: Venue,
) -> None:
    venue = own_venue.start()
    alice = logged_on(venue, "ALICE")
    alice.order("old")
    alice.expect("8")
    alice.close()
    assert venue.gateway is not None
    venue.gateway.kill()
    from engine.core.commands import StartEpoch
    from engine.core.types import Origin

    engine = venue.client()
    row = engine.fetch(queries.Session("fix:ALICE")).value
    assert row is not None
    cursor = (engine.fetch(queries.Status()).value.seq, 2**31 - 1, 0)
    engine.submit(StartEpoch(Origin("fix:ALICE", row.epoch + 1), "alice", cursor, "141=Y"))
    venue.start_gateway()
    back = RawFix(venue.address, "ALICE", num=1)
    assert back.logon(reset=True)["34"] == "1"
    back.close()


def told_before_a_kill(venue: Venue, order: str) -> tuple[RawFix, Message]:
    """A client of a gateway that was killed, and the report of its order that it had before."""
    alice = logged_on(venue, "ALICE")
    alice.order(order)
    told = alice.expect("8")
    alice.close()
    assert venue.gateway is not None
    venue.gateway.kill()
    return alice, told


def test_a_lost_store_is_noticed_and_reports_come_again_marked(own_venue: Venue) -> None:
    venue = own_venue.start()
    _, told = told_before_a_kill(venue, "told-once")
    for path in (venue.data / "fix" / "store").glob("FIX.4.4-TANDEM-ALICE.*"):
        path.unlink()
    gateway = venue.start_gateway()
    gateway.wait_for("store_reset_unexplained", session="ALICE")
    engine = venue.client()
    row = engine.fetch(queries.Session("fix:ALICE")).value
    assert row is not None and row.last_num_applied == 0
    back = RawFix(venue.address, "ALICE", num=1)
    assert back.logon()["35"] == "A"
    again = resend_from(back, 1, "told-once/0")[-1]
    assert (again["17"], again["97"]) == (told["17"], "Y")
    back.close()


def test_after_a_power_cut_numbers_jump_and_reports_say_possresend(own_venue: Venue) -> None:
    venue = own_venue.start()
    alice, told = told_before_a_kill(venue, "before-cut")
    state_path = venue.data / "fix" / "store" / "gateway.state"
    state = json.loads(state_path.read_text())
    # What a power cut leaves: another boot, and a store from before the last report.
    state_path.write_text(json.dumps(state | {"boot_id": "another", "synced": False}))
    numbers = venue.data / "fix" / "store" / "FIX.4.4-TANDEM-ALICE.seqnums"
    sender, _, target = numbers.read_text().partition(":")
    numbers.write_text(f"{2:020d} : {int(target):020d}")
    gateway = venue.start_gateway()
    gateway.wait_for("unclean_start", session="ALICE")
    back = RawFix(venue.address, "ALICE", num=alice.num)
    answer = back.logon()
    assert int(answer["34"]) > 1_000_000, "numbers that the client may have seen are not used"
    again = resend_from(back, 3, "before-cut/0")[-1]
    assert (again["17"], again["97"]) == (told["17"], "Y")
    back.close()


# Cancel on disconnect.


@pytest.mark.parametrize(
    ("tags", "remain"),
    [("20003=0|", {"cod-1", "rest-api"}), ("20003=1|", {"rest-api"}), ("20003=2|", set())],
)
def test_S2_cancel_on_disconnect_as_the_logon_says(
    own_venue: Venue, tags: str, remain: set[str]
) -> None:
    from engine.core.commands import NewOrder
    from engine.core.types import OrdType, Origin, Side, TimeInForce

    venue = own_venue.start()
    engine = venue.client()
    engine.submit(
        NewOrder(
            Origin("api:key"), "alice", "rest-api", "BTC-USD", Side.BUY, OrdType.LIMIT,
            TimeInForce.GTC, 1000, price=5000,
        )
    )  # fmt: skip
    alice = logged_on(venue, "ALICE", extra=tags)
    alice.order("cod-1", price="10")
    assert alice.expect("8")["150"] == "0"
    alice.close()
    wait_for_orders(venue, "alice", remain)
    if tags == "20003=0|":
        time.sleep(pace.seconds(0.3))
        assert open_ids(venue, "alice") == remain


def test_S2_cancel_on_disconnect_by_the_session_default_and_the_report_is_kept(
    tmp_path: Path,
) -> None:
    with Venue(
        tmp_path, {'comp_id = "ALICE"\n': 'comp_id = "ALICE"\ncancel_on_disconnect = 1\n'}
    ) as venue:
        venue.start()
        alice = logged_on(venue, "ALICE")
        alice.order("default-1", price="10")
        alice.expect("8")
        alice.logout()
        wait_for_stored(venue, "ALICE", b"\x01150=4\x01")
        assert open_ids(venue, "alice") == set()
        back = logged_on(venue, "ALICE", num=alice.num)
        report = resend_from(back, 4, "default-1/4")[-1]
        assert (report["43"], report["150"], report["39"]) == ("Y", "4", "4")
        back.close()


@pytest.mark.parametrize("cancels", [True, False])
def test_what_a_logout_cancels_is_a_setting_of_the_session(tmp_path: Path, cancels: bool) -> None:
    setting = f'comp_id = "ALICE"\ncancel_on_logout = {str(cancels).lower()}\n'
    with Venue(tmp_path, {'comp_id = "ALICE"\n': setting}) as venue:
        venue.start()
        alice = logged_on(venue, "ALICE", extra="20003=1|20004=0|")
        alice.order("leaves", price="10")
        alice.expect("8")
        alice.logout()
        until(lambda: not session_row(venue).connected, "the engine hears of the Logout", 10)
        wait_for_orders(venue, "alice", set() if cancels else {"leaves"})
        # A lost connection cancels, whatever a Logout did before, ...
        alice = logged_on(venue, "ALICE", num=alice.num, extra="20003=1|20004=0|")
        alice.order("lost", price="10")
        alice.collect(1)
        alice.close()
        wait_for_orders(venue, "alice", set())
        # ... and so does a Logout that the venue begins.
        alice = logged_on(venue, "ALICE", num=alice.num, extra="20003=1|20004=0|")
        alice.order("sent-away", price="10")
        alice.collect(1)
        alice.send("A", alice.logon_fields())
        while alice.receive()["35"] != "5":
            continue
        alice.send("5")
        wait_for_orders(venue, "alice", set())


def session_row(venue: Venue) -> SessionRow:
    row = venue.client().fetch(queries.Session("fix:ALICE")).value
    assert row is not None
    return row


def test_S1_grace_lets_a_client_come_back(own_venue: Venue) -> None:
    venue = own_venue.start()
    grace_s = math.ceil(pace.seconds(2))
    alice = logged_on(venue, "ALICE", extra=f"20003=1|20004={grace_s}|")
    alice.order("graced", price="10")
    alice.expect("8")
    alice.close()
    time.sleep(0.5)
    back = logged_on(venue, "ALICE", num=alice.num, extra="20003=1|20004=1|")
    time.sleep(grace_s)
    assert open_ids(venue, "alice") == {"graced"}
    back.close()
    wait_for_orders(venue, "alice", set(), timeout=5)


def test_S2_death_of_the_gateway_is_a_disconnect(own_venue: Venue) -> None:
    venue = own_venue.start()
    alice = logged_on(venue, "ALICE", extra="20003=1|")
    bob = logged_on(venue, "BOB")
    alice.order("gone", price="10")
    bob.order("stays", price="11")
    alice.expect("8")
    bob.expect("8")
    assert venue.gateway is not None
    venue.gateway.kill()
    wait_for_orders(venue, "alice", set())
    assert open_ids(venue, "bob") == {"stays"}
    row = venue.client().fetch(queries.Session("fix:ALICE")).value
    assert row is not None
    assert (row.connected, row.cancel_scope) == (False, CancelScope.SESSION)
    venue.start_gateway()
    back = logged_on(venue, "ALICE", num=alice.num)
    canceled = resend_from(back, 2, "gone/4")[-1]
    assert canceled["58"] == "Canceled on disconnect"
    back.close()


def test_S1_a_restart_of_the_gateway_within_the_grace_cancels_nothing(own_venue: Venue) -> None:
    venue = own_venue.start()
    alice = logged_on(venue, "ALICE", extra="20003=1|20004=20|")
    alice.order("patient", price="10")
    alice.expect("8")
    assert venue.gateway is not None
    venue.gateway.kill()
    venue.start_gateway()
    back = logged_on(venue, "ALICE", num=alice.num, extra="20003=1|20004=20|")
    back.order("after", price="10")
    assert back.expect("8")["11"] == "after", "the engine has heard of the Logon before"
    row = venue.client().fetch(queries.Session("fix:ALICE")).value
    assert row is not None and (row.connected, row.closes_at) == (True, 0)
    assert open_ids(venue, "alice") == {"patient", "after"}
    back.close()


def test_S1_a_session_stays_open_over_a_restart_of_the_engine(own_venue: Venue) -> None:
    venue = own_venue.start()
    alice = logged_on(venue, "ALICE", extra="20003=1|20004=20|")
    alice.order("e-1", price="10")
    alice.expect("8")
    assert venue.engine is not None and venue.gateway is not None
    venue.engine.kill()
    alice.order("e-2", price="10")
    venue.start_engine()
    report = alice.expect("8")
    assert (report["11"], report["150"]) == ("e-2", "0"), "sent while the engine was away"
    row = venue.client().fetch(queries.Session("fix:ALICE")).value
    assert row is not None
    assert (row.connected, row.closes_at) == (True, 0)
    alice.close()


# Operation.


def test_a_changed_password_and_a_disabled_session_take_effect_live(own_venue: Venue) -> None:
    venue = own_venue.start()
    alice = logged_on(venue, "ALICE")
    assert venue.gateway is not None
    text = venue.config.read_text()
    changed = text.replace(
        'comp_id = "ALICE"\n', 'comp_id = "ALICE"\nenabled = false\n'
    ).replace('username = "bob"', 'username = "robert"')
    venue.config.write_text(changed)
    venue.gateway.popen.send_signal(signal.SIGHUP)
    venue.gateway.wait_for("reloaded")
    alice.expect_closing()
    back = RawFix(venue.address, "ALICE", num=alice.num)
    back.send("A", back.logon_fields())
    assert back.closed() == b""
    bob = RawFix(venue.address, "BOB", source="127.0.0.2")
    bob.send("A", "98=0|108=30|553=robert|554=bob-demo|")
    assert bob.expect("A")["35"] == "A"
    bob.close()


def test_the_gateway_waits_for_the_engine_and_ends_when_told(own_venue: Venue) -> None:
    from tests.fix.processes import Process

    gateway = Process("fix_gateway.main", own_venue.environment)
    own_venue.gateway = gateway
    gateway.wait_for("waiting_for_engine")
    own_venue.start_engine()
    gateway.wait_for("ready")
    begin = time.monotonic()
    assert gateway.stop() == 0
    assert time.monotonic() - begin < pace.seconds(5)
