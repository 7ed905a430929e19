"""A Logon with 141=Y within a session: numbers begin again on both sides, the connection stays.

FIX 4.4, volume 2, Logon: for venues that never close. Nothing is lost and nothing done twice,
whatever is under way, whatever is killed, and whatever is refused changes nothing.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from engine.client import EngineClient, queries
from engine.core.types import SessionRow
from fix_gateway.session.pending_requests import PendingRequests
from tests.fix.conftest import Connect
from tests.fix.processes import Process, Venue, logged_on
from tests.fix.rawfix import Closed, Message, RawFix, encode, now_text
from tests.fix.signed import logon as signed_logon
from tests.fix.signed import public_text
from tests.fix.test_sessions import open_ids, wait_for_orders
from tests.support import pace

STATUS = "11={id}|55=BTC-USD|54=1|790={request}|"


def row(engine: EngineClient, comp_id: str = "ALICE") -> SessionRow:
    found = engine.fetch(queries.Session(f"fix:{comp_id}")).value
    assert found is not None
    return found


def begin_again(client: RawFix, extra: str = "") -> Message:
    """Have the numbers begin again; what comes in front of the answer is kept in ``received``."""
    client.num = 1
    client.send("A", client.logon_fields(reset=True, extra=extra))
    deadline = time.monotonic() + pace.seconds(10)
    while (answer := client.receive(deadline - time.monotonic()))["35"] != "A":
        assert answer["35"] in ("0", "1", "8"), answer
    return answer


def end(client: RawFix) -> str:
    """All that comes until the end; return the Text of the Logout."""
    last: Message | None = None
    try:
        while True:
            last = client.receive(8)
    except Closed:
        assert last is not None and last["35"] == "5", last
        return last["58"]


def cancel_all(client: RawFix) -> None:
    client.send("q", f"11=all-{time.time_ns()}|530=7|60={now_text()}|")
    assert client.collect(1, "r")[0]["531"] == "7"


def test_numbers_orders_and_reports_go_on_without_a_disconnect(
    venue: Venue, connect: Connect
) -> None:
    engine, name = venue.client(), "go-on"
    alice, bob = connect("ALICE"), connect("BOB")
    alice.logon(reset=True, extra="20003=1|")
    bob.logon(reset=True)
    alice.order(f"{name}-1", price="90", qty="0.02")
    assert alice.expect("8")["34"] == "2"
    before = row(engine)
    answer = begin_again(alice, "20003=1|")
    assert (answer["34"], answer["141"], answer["108"]) == ("1", "Y", "30")
    after = row(engine)
    assert (after.epoch, after.connected) == (before.epoch + 1, True)
    bob.order(f"{name}-2", side=2, price="90")
    bob.collect(2)
    fill = alice.expect("8")
    assert (fill["34"], fill["11"], fill["150"]) == ("2", f"{name}-1", "F"), "delivery goes on at 2"
    alice.send("F", f"11={name}-3|41={name}-1|55=BTC-USD|54=1|60={now_text()}|")
    assert alice.expect("8")["150"] == "4", "ClOrdIDs are of the account, not of the numbers"
    alice.order(f"{name}-1", price="10")
    assert alice.expect("8")["20016"] == "duplicate_client_order_id"
    alice.send("2", "7=1|16=0|")
    fill, again = alice.expect("4"), alice.collect(3)
    assert (fill["34"], fill["36"]) == ("1", "2")
    assert [(m["34"], m["43"]) for m in again] == [("2", "Y"), ("3", "Y"), ("4", "Y")]
    alice.logout()
    bob.logout()


def test_a_reset_is_no_disconnect_for_cancel_on_disconnect(venue: Venue, connect: Connect) -> None:
    alice = connect("ALICE")
    alice.logon(reset=True, extra="20003=1|")
    alice.order("cod-1", price="10")
    alice.expect("8")
    begin_again(alice, "20003=1|")
    alice.order("cod-2", price="10")
    assert alice.expect("8")["34"] == "2"
    assert open_ids(venue, "alice") == {"cod-1", "cod-2"}
    alice.send("A", alice.logon_fields(reset=True, password="guess"), num=1)
    assert "wrong Username or Password" in end(alice)
    wait_for_orders(venue, "alice", set())


def test_what_the_new_logon_asks_for_holds(venue: Venue, connect: Connect) -> None:
    alice = connect("ALICE")
    alice.logon(reset=True)
    alice.order("asks-1", price="10")
    alice.expect("8")
    answer = begin_again(alice, "789=1|20003=1|20006=Y|")
    assert answer["789"] == "2"
    snapshot, news = alice.expect("8"), alice.expect("B")
    assert (snapshot["11"], snapshot["34"]) == ("asks-1", "2")
    assert news["34"] == "3"
    alice.num = 1
    alice.send("A", alice.logon_fields(reset=True, heartbeat=1))
    assert alice.expect("A")["108"] == "1"
    assert alice.receive(5)["35"] == "0", "HeartBtInt(108) is the new one"
    wait_for_orders(venue, "alice", {"asks-1"})
    alice.close()
    cleaner = logged_on(venue, "ALICE", num=alice.num)
    cancel_all(cleaner)
    cleaner.logout()


def test_a_logon_without_141_ends_the_session_and_says_so(venue: Venue, connect: Connect) -> None:
    alice = connect("ALICE")
    alice.logon(reset=True)
    before = row(venue.client())
    alice.send("A", alice.logon_fields())
    reject, logout = alice.expect("3"), alice.expect("5")
    assert (reject["372"], reject["373"]) == ("A", "99")
    assert "ResetSeqNumFlag(141)=Y only" in logout["58"]
    assert row(venue.client()).epoch == before.epoch


def test_what_comes_in_one_piece_behind_the_logon_is_asked_for_and_done_once(
    venue: Venue, connect: Connect
) -> None:
    """Under the old numbers the order would be one that QuickFIX expects: number 2."""
    alice = connect("ALICE")
    alice.fill_gaps = False
    for turn, more in enumerate((0, 3)):
        if turn == 0:
            alice.logon(reset=True)
        for number in range(more):
            alice.order(f"piece-{turn}-{number}", price="10")
            alice.expect("8")
        late = f"piece-{turn}-late"
        alice.num = 3
        alice.send_raw(
            encode(alice.header("A", num=1) + alice.logon_fields(reset=True))
            + encode(alice.header("D", num=2) + alice.order_fields(late, price="10"))
        )
        assert alice.expect("A")["141"] == "Y"
        request = alice.expect("2")
        assert (request["7"], request["34"]) == ("2", "2"), "at once, and nothing was done"
        sent = alice.header("D", num=2, extra=f"43=Y|122={now_text(-0.5)}|")
        alice.send_raw(encode(sent + alice.order_fields(late, price="10")))
        report = alice.expect("8")
        assert (report["11"], report["150"]) == (late, "0")
        alice.order(f"piece-{turn}-next", price="10")
        assert alice.expect("8")["11"] == f"piece-{turn}-next"
    cancel_all(alice)
    alice.logout()


def test_a_second_logon_in_one_piece_with_the_first_ends_the_session(
    venue: Venue, connect: Connect
) -> None:
    alice = connect("ALICE")
    alice.logon(reset=True)
    before = row(venue.client())
    logon = encode(alice.header("A", num=1) + alice.logon_fields(reset=True))
    alice.send_raw(logon * 2)
    assert "second Logon" in end(alice)
    assert row(venue.client()).epoch == before.epoch
    back = connect("ALICE", num=2)
    assert back.logon()["34"] == "3", "only the Logout has taken a number"
    back.logout()


def test_a_second_logon_right_behind_the_answer_begins_again_once_more(connect: Connect) -> None:
    alice = connect("ALICE")
    alice.logon(reset=True)
    for _ in range(10):
        assert begin_again(alice)["34"] == "1"


def test_a_request_that_waits_is_answered_once_with_the_new_numbers(
    venue: Venue, connect: Connect
) -> None:
    assert venue.engine is not None
    alice = connect("ALICE")
    alice.logon(reset=True)
    venue.engine.popen.send_signal(signal.SIGSTOP)
    for request in ("first", "second"):
        alice.send("H", STATUS.format(id="none", request=request))
    alice.send("1", "112=read|")
    assert alice.expect("0")["112"] == "read"
    alice.num = 1
    alice.send("A", alice.logon_fields(reset=True))
    venue.engine.popen.send_signal(signal.SIGCONT)
    came = [alice.receive() for _ in range(3)]
    assert sorted(m.get("790", "A") for m in came) == ["A", "first", "second"]
    assert [m["34"] for m in came[[m["35"] for m in came].index("A") :]][0] == "1"
    alice.send("H", STATUS.format(id="none", request="third"))
    assert alice.expect("8")["790"] == "third", "one answer each"
    alice.logout()


def test_requests_are_carried_into_a_new_epoch_once(tmp_path: Path) -> None:
    pending = PendingRequests(tmp_path / "x.asked")
    for num in (7, 8, 9):
        assert pending.add(1, num, f"request {num}")
        pending.queued.add(num)
    pending.carry(2, 8)
    assert pending.unqueued(2) == [(-1, "request 7"), (-3, "request 9")], "8 is being answered"
    pending.done(1, 8)
    pending.add(2, 7, "of the new numbers")
    assert pending.unqueued(2) == [
        (-1, "request 7"), (-3, "request 9"), (7, "of the new numbers"),
    ]  # fmt: skip
    pending.carry(3, 7)
    pending.done(2, 7)
    pending.done(3, -3)
    after_a_kill = PendingRequests(tmp_path / "x.asked")
    after_a_kill.restore(3, 1)
    assert after_a_kill.unqueued(3) == [(-1, "request 7")]


def test_every_fill_is_told_once_while_the_numbers_begin_again(
    venue: Venue, connect: Connect
) -> None:
    """Reports are under way on another thread at the moment of each reset."""
    alice, bob = connect("ALICE"), connect("BOB")
    alice.logon(reset=True)
    bob.logon(reset=True)
    fills = 400
    alice.order("flow", price="90", qty=f"{fills / 100:.2f}")
    alice.expect("8")

    def trade() -> None:
        for number in range(fills):
            bob.order(f"flow-{number}-{time.time_ns()}", side=2, price="90")
            bob.collect(2)

    trading = threading.Thread(target=trade)
    trading.start()
    resets = 0
    while trading.is_alive():
        begin_again(alice)
        resets += 1
        expected = 2
        alice.send("1", f"112=turn-{resets}|")
        while (message := alice.receive()).get("112") != f"turn-{resets}":
            assert int(message["34"]) == expected, "the numbers have no gap"
            expected += 1
    trading.join()
    told = [m["17"] for m in alice.received if m["35"] == "8" and m["150"] == "F"]
    while len(told) < fills:
        message = alice.collect(1)[0]
        told.append(message["17"])
    assert resets > 3
    assert len(set(told)) == len(told) == fills
    assert told == sorted(told, key=lambda text: [int(part) for part in text.split("-")])
    alice.logout()
    bob.logout()


def test_a_signed_logon_begins_the_numbers_again_once(tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    changes = {
        r'(comp_id = "ALICE".*?)password_hash = "[^"]*"': rf'\1public_key = "{public_text(key)}"',
    }

    def fields() -> dict[str, str]:
        return {"35": "A", "34": "1", "49": "ALICE", "52": now_text(), "56": "TANDEM", "98": "0",
                "108": "30", "141": "Y", "553": "alice"}  # fmt: skip

    with Venue(tmp_path, changes) as venue:
        venue.start()
        alice = RawFix(venue.address, "ALICE", num=2)
        alice.send_raw(signed_logon(key, fields()))
        assert alice.expect("A")["34"] == "1"
        time.sleep(0.002)  # SendingTime has milliseconds.
        used = signed_logon(key, fields())
        alice.send_raw(used)
        assert alice.expect("A")["34"] == "1"
        alice.send_raw(used)
        assert "admitted before" in end(alice)
        alice = RawFix(venue.address, "ALICE", num=2)
        time.sleep(0.002)
        alice.send_raw(signed_logon(key, fields()))
        alice.expect("A")
        alice.send_raw(signed_logon(Ed25519PrivateKey.generate(), fields()))
        assert "signature is wrong" in end(alice)


@pytest.mark.serial
@pytest.mark.parametrize("turns", [200, pytest.param(1_000, marks=pytest.mark.long)])
def test_many_resets_take_no_room(own_venue: Venue, turns: int) -> None:
    venue = own_venue.start()
    assert venue.gateway is not None
    process = Path(f"/proc/{venue.gateway.popen.pid}")
    store = venue.data / "fix" / "store"

    def used() -> tuple[int, int, int, int]:
        status = (process / "status").read_text().split()
        return (
            int(status[status.index("VmRSS:") + 1]),
            len(os.listdir(process / "fd")),
            len(os.listdir(process / "task")),
            sum(file.stat().st_size for file in store.glob("FIX.4.4-TANDEM-ALICE*")),
        )

    alice = RawFix(venue.address, "ALICE")
    alice.logon(reset=True)
    before = used()
    for turn in range(turns):
        begin_again(alice)
        alice.received.clear()
        if turn == 100:
            before = used()
    after = used()
    assert after[0] < before[0] + 8_192, f"memory in KiB, descriptors, threads, store: {after}"
    assert after[1] <= before[1] + 2 and after[2] <= before[2] + 2, (before, after)
    assert after[3] <= before[3] + 512, (before, after)
    alice.order("at-last", price="10")
    assert alice.expect("8")["34"] == "2"
    alice.logout()


# Kills.


def stop(process: Process | None) -> Process:
    assert process is not None
    process.popen.send_signal(signal.SIGSTOP)
    return process


def let_in(venue: Venue) -> RawFix:
    """Log on with 141=Y as soon as the gateway has found its engine again."""
    deadline = time.monotonic() + pace.seconds(10)
    while True:
        client = RawFix(venue.address, "ALICE")
        try:
            assert client.logon(reset=True)["34"] == "1"
            return client
        except Closed:
            assert time.monotonic() < deadline
            client.close()


def in_step(venue: Venue, orders: set[str], name: str) -> None:
    """Who got no answer logs on with 141=Y again, and finds everything done once."""
    back = let_in(venue)
    assert open_ids(venue, "alice") == orders
    back.order(f"{name}-after", price="10")
    reports = back.collect(1)
    assert [(m["11"], m["150"], m["34"]) for m in reports] == [(f"{name}-after", "0", "2")]
    assert row(venue.client()).last_num_applied == 2
    back.send("F", f"11={name}-c|41={name}-1|55=BTC-USD|54=1|60={now_text()}|")
    assert back.expect("8")["150"] == "4"
    back.logout()


@pytest.mark.serial
@pytest.mark.parametrize("journalled", [False, True])
def test_the_gateway_is_killed_before_it_answers(own_venue: Venue, journalled: bool) -> None:
    venue = own_venue.start()
    alice = logged_on(venue, "ALICE")
    alice.order("kg-1", price="10")
    alice.expect("8")
    epoch = row(venue.client()).epoch
    engine = stop(venue.engine)
    alice.send("A", alice.logon_fields(reset=True), num=1)
    gateway = venue.gateway
    assert gateway is not None
    # It waits for the engine, with the new epoch in the engine's socket, where nobody can look.
    time.sleep(pace.seconds(0.3))
    gateway.kill()
    if journalled:
        engine.popen.send_signal(signal.SIGCONT)
    else:
        engine.kill()
        venue.start_engine()
    assert row(venue.client()).epoch == epoch + journalled
    venue.start_gateway()
    in_step(venue, {"kg-1"}, "kg")


@pytest.mark.serial
def test_who_was_not_answered_and_goes_on_with_old_numbers_is_told(own_venue: Venue) -> None:
    venue = own_venue.start()
    alice = logged_on(venue, "ALICE")
    alice.order("old-1", price="10")
    alice.expect("8")
    engine = stop(venue.engine)
    alice.send("A", alice.logon_fields(reset=True), num=1)
    assert venue.gateway is not None
    time.sleep(pace.seconds(0.3))
    venue.gateway.kill()
    engine.popen.send_signal(signal.SIGCONT)
    venue.start_gateway()
    back = RawFix(venue.address, "ALICE", num=alice.num)
    answer = back.logon()
    assert (answer["34"], answer["141"]) == ("1", "Y"), "the numbers have begun again"
    back.num = 2
    back.order("old-2", price="10")
    assert back.expect("8")["34"] == "2"
    back.logout()


@pytest.mark.serial
def test_the_engine_is_killed_before_it_has_recorded(own_venue: Venue) -> None:
    venue = own_venue.start()
    alice = logged_on(venue, "ALICE")
    alice.order("ke-1", price="10")
    alice.expect("8")
    epoch = row(venue.client()).epoch
    engine = stop(venue.engine)
    alice.send("A", alice.logon_fields(reset=True), num=1)
    time.sleep(pace.seconds(0.3))
    engine.kill()
    venue.start_engine()
    told = end(alice)
    assert "has changed nothing" in told, told
    assert row(venue.client()).epoch == epoch
    in_step(venue, {"ke-1"}, "ke")


@pytest.mark.serial
@pytest.mark.parametrize("what", ["gateway", "engine"])
def test_killed_at_any_moment_of_a_reset(own_venue: Venue, what: str) -> None:
    chance = random.Random(19)
    venue = own_venue.start()
    for turn in range(8):
        alice = RawFix(venue.address, "ALICE")
        alice.logon(reset=True)
        name = f"any-{what}-{turn}"
        alice.order(f"{name}-1", price="10")
        alice.expect("8")
        alice.send("A", alice.logon_fields(reset=True), num=1)
        time.sleep(chance.uniform(0, 0.03))
        if what == "gateway":
            assert venue.gateway is not None
            venue.gateway.kill()
            venue.start_gateway()
        else:
            assert venue.engine is not None and venue.gateway is not None
            since = len(venue.gateway.lines)
            venue.engine.kill()
            venue.start_engine()
            venue.gateway.wait_for("engine_connected", since=since)
        alice.close()
        in_step(venue, {f"{name}-1"}, name)
        cleaner = let_in(venue)
        cancel_all(cleaner)
        cleaner.logout()
