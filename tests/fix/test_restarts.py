"""Single moments of a crash, made to happen on purpose, and an engine that stands still."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from engine.client import queries
from engine.core.commands import NewOrder
from engine.core.types import OrdType, Origin, Side, TimeInForce
from tests.fix.processes import Process, Venue, logged_on
from tests.fix.rawfix import Closed, Message, RawFix, encode, now_text
from tests.support import pace
from tests.support.waiting import until

pytestmark = pytest.mark.serial


def pause(process: Process | None) -> Process:
    """SIGSTOP."""
    assert process is not None
    process.popen.send_signal(signal.SIGSTOP)
    return process


def resume(process: Process) -> None:
    """SIGCONT."""
    process.popen.send_signal(signal.SIGCONT)


def again(client: RawFix, num: int, order: str, age_s: float) -> None:
    """Send an order once more, as a resend of one that is ``age_s`` old."""
    header = client.header("D", num=num, extra=f"43=Y|122={now_text(-age_s)}|")
    client.send_raw(encode(header + client.order_fields(order, price="10")))


def test_what_the_engine_never_saw_is_asked_for_again(own_venue: Venue) -> None:
    venue = own_venue.start()
    alice = logged_on(venue, "ALICE")
    alice.order("seen", price="10")
    alice.expect("8")
    engine = pause(venue.engine)
    for name in ("unseen-1", "unseen-2"):
        alice.order(name, price="10")
    alice.send("1", "112=read|")
    alice.expect("0")  # QuickFIX has taken both and counts them.
    assert venue.gateway is not None
    venue.gateway.kill()
    engine.kill()
    venue.start()
    back = RawFix(venue.address, "ALICE", num=alice.num)
    back.fill_gaps = False
    back.logon()
    request = back.expect("2")
    assert request["7"] == "3", "everything behind the engine's mark"
    again(back, 3, "unseen-1", 1.0)
    again(back, 4, "unseen-2", venue.stale_after_s + 60.0)
    back.send("4", f"123=Y|36={back.num}|", num=5, extra="43=Y|")
    fresh, stale = back.collect(2)
    assert (fresh["11"], fresh["150"]) == ("unseen-1", "0")
    assert (stale["11"], stale["150"], stale["103"]) == ("unseen-2", "8", "4")
    back.order("next", price="10")
    assert back.expect("8")["11"] == "next"
    back.close()


def test_what_the_engine_saw_but_the_gateway_did_not_hear_is_told_once(own_venue: Venue) -> None:
    venue = own_venue.start()
    alice = logged_on(venue, "ALICE")
    alice.order("resting", price="90")
    alice.expect("8")
    gateway = pause(venue.gateway)
    done = venue.client().submit(
        NewOrder(
            Origin("api:bob"), "bob", "hit", "BTC-USD", Side.SELL, OrdType.LIMIT,
            TimeInForce.GTC, 1000, price=9000,
        )
    )  # fmt: skip
    gateway.kill()
    venue.start_gateway()
    back = logged_on(venue, "ALICE", num=alice.num)
    fill = resent_reports(back, 3)
    assert [(f["11"], f["150"], f["20001"]) for f in fill] == [
        ("resting", "F", str(done.transaction.seq))
    ]
    back.close()


def resent_reports(client: RawFix, begin: int) -> list[Message]:
    """The reports from a number on, live or resent, each number once; waits for one."""
    found: dict[str, Message] = {}
    deadline = time.monotonic() + pace.seconds(10)
    while not found:
        assert time.monotonic() < deadline, "no report came"
        client.send("2", f"7={begin}|16=0|")
        client.send("1", "112=end|")
        while (message := client.receive()).get("112") != "end":
            if message["35"] == "8":
                found[message["34"]] = message
    return list(found.values())


def test_a_message_is_done_once_though_it_comes_again_under_its_number(own_venue: Venue) -> None:
    venue = own_venue.start()
    alice = logged_on(venue, "ALICE")
    alice.order("once", price="10")
    alice.expect("8")
    alice.close()
    assert venue.gateway is not None
    venue.gateway.kill()
    numbers = venue.data / "fix" / "store" / "FIX.4.4-TANDEM-ALICE.seqnums"
    sender = int(numbers.read_text().split(":")[0])
    numbers.write_text(f"{sender:020d} : {1:020d}")  # Older than what the engine knows.
    venue.start_gateway()
    back = logged_on(venue, "ALICE", num=alice.num)
    again(back, 2, "once", 0.5)
    back.order("twice", price="10")
    assert back.expect("8")["11"] == "twice"
    engine = venue.client()
    assert len(engine.fetch(queries.OpenOrders("alice")).value) == 2
    back.close()


def test_orders_wait_while_the_engine_is_away_and_old_ones_are_refused(own_venue: Venue) -> None:
    venue = own_venue.start()
    alice = RawFix(venue.address, "ALICE")
    alice.logon(heartbeat=300)  # Longer than orders take to become too old on a slow machine.
    assert venue.engine is not None
    venue.engine.kill()
    alice.order("too-old", price="10")
    alice.send("F", f"11=c|41=nothing|55=BTC-USD|54=1|60={now_text()}|")
    time.sleep(venue.stale_after_s + 0.5)
    alice.order("young", price="10")
    stranger = RawFix(venue.address, "BOB")
    stranger.send("A", stranger.logon_fields())
    assert stranger.closed() == b"", "nobody is let in while the engine is away"
    venue.start_engine()
    old, canceled, young = (alice.expect("8", "9") for _ in range(3))
    assert (old["11"], old["150"], old["103"]) == ("too-old", "8", "4")
    assert (canceled["35"], canceled["102"]) == ("9", "1")
    assert (young["11"], young["150"]) == ("young", "0")
    alice.close()


def test_beyond_the_bound_a_session_is_ended_and_sends_the_rest_again(own_venue: Venue) -> None:
    venue = own_venue.start()
    alice = logged_on(venue, "ALICE")
    alice.fill_gaps = False
    bob = logged_on(venue, "BOB")
    engine = pause(venue.engine)
    count = 20_300
    data = b"".join(
        encode(alice.header("F") + f"11=c{n}|41=none{n}|55=BTC-USD|54=1|60={now_text()}|")
        for n in range(count)
    )
    alice.send_raw(data)
    logout = alice.expect("5", timeout=60)
    assert "not available" in logout["58"]
    alice.expect_closing()
    bob.send("1", "112=alive|")
    bob.expect("0")
    resume(engine)
    engine_client = venue.client()
    row = until(
        lambda: engine_client.fetch(queries.Session("fix:ALICE")).value, "not all are applied",
        60, lambda row: row is not None and row.last_num_applied >= 20_001,
    )  # fmt: skip
    assert row is not None
    back = RawFix(venue.address, "ALICE", num=alice.num)
    back.fill_gaps = False
    back.logon()
    assert back.expect("2")["7"] == str(row.last_num_applied + 1), "the first that was not taken up"
    back.close()
    bob.close()


def test_drop_copy_hears_all_of_its_firm_and_may_do_nothing(tmp_path: Path) -> None:
    demo = (Path(__file__).parent.parent.parent / "config" / "demo.toml").read_text()
    begin = demo.index('password_hash = "', demo.index('comp_id = "ALICE"'))
    password = demo[begin : demo.index("\n", begin)]
    copy = (
        '\n[[sessions]]\ncomp_id = "ALICE-DC"\naccount = "alice"\nusername = "alice-dc"\n'
        f'{password}\nkind = "drop_copy"\n'
    )
    with Venue(tmp_path, extra=copy) as venue:
        venue.start()
        listener = RawFix(venue.address, "ALICE-DC")
        listener.send("A", "98=0|108=30|553=alice-dc|554=alice-demo|")
        listener.expect("A")
        alice = logged_on(venue, "ALICE")
        alice.order("copied", price="10")
        assert alice.expect("8")["11"] == "copied"
        assert listener.expect("8")["11"] == "copied"
        venue.client().submit(
            NewOrder(
                Origin("api:k"), "alice", "by-rest", "BTC-USD", Side.BUY, OrdType.LIMIT,
                TimeInForce.GTC, 1000, price=1000,
            )
        )  # fmt: skip
        assert listener.expect("8")["11"] == "by-rest"
        bob = logged_on(venue, "BOB")
        bob.order("of-bob", price="10")
        bob.expect("8")
        listener.order("not-allowed")
        refused = listener.expect("j")
        assert (refused["45"], refused["380"]) == ("2", "6")
        alice.send("1", "112=nothing more|")
        assert alice.expect("0")["112"] == "nothing more"
        listener.send("2", "7=2|16=3|")
        resent = listener.collect(2)
        assert [(m["34"], m["43"], m["11"]) for m in resent] == [
            ("2", "Y", "copied"), ("3", "Y", "by-rest"),
        ], "its own numbers, and its own store"  # fmt: skip
        listener.send("UD", f"20017=R|17={resent[0]['17']}|")
        replayed = listener.expect("8")
        assert (replayed["97"], replayed["11"], replayed["17"]) == (
            "Y", "by-rest", resent[1]["17"],
        )  # fmt: skip
        assert listener.expect("UE")["20018"] == "1", "neither what it has nor what is bob's"
        for client in (listener, alice, bob):
            client.close()


def test_a_client_that_left_before_its_logon_was_read_is_not_taken_for_the_next(
    own_venue: Venue,
) -> None:
    """QuickFIX reads what is on its way to it, whoever has left meanwhile."""
    venue = own_venue.start()
    alice = logged_on(venue, "ALICE")
    alice.order("x", price="10")
    alice.expect("8")
    alice.logout()
    for _ in range(20):
        early = RawFix(venue.address, "ALICE", num=alice.num)
        early.send("A", early.logon_fields())
        early.close()
    deadline = time.monotonic() + pace.seconds(30)
    while True:
        back = RawFix(venue.address, "ALICE", num=alice.num + 40)
        try:
            back.logon()
            break
        except Closed:
            assert time.monotonic() < deadline, "nobody is let in any more"
    back.expect("2")  # Its number is too high, and RawFix fills the gap.
    back.send("1", "112=here|")
    assert back.expect("0")["112"] == "here"
    back.close()
