"""What a client may leave unread, what may wait for the engine, and who pays for it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.client import queries
from tests.fix.processes import Venue, logged_on
from tests.fix.rawfix import Closed, RawFix, encode, now_text
from tests.support import pace

ORDERS = 5000


@pytest.fixture
def tight_venue(tmp_path: Path) -> Iterator[Venue]:
    """A venue that lets a client leave only 64 KiB unread."""
    with Venue(tmp_path, {r"\[fix\]": "[fix]\noutstanding_bytes_max = 65536"}) as running:
        yield running.start()


def test_a_client_that_reads_nothing_is_held_then_cut_and_misses_nothing(
    tight_venue: Venue,
) -> None:
    venue = tight_venue
    assert venue.gateway is not None
    deaf = RawFix(venue.address, "ALICE", receive_bytes=4096)
    deaf.logon(heartbeat=4)
    orders = b"".join(
        encode(deaf.header("D") + deaf.order_fields(f"deaf-{number}", price="10"))
        for number in range(ORDERS)
    )
    deaf.send_raw(orders)
    other = logged_on(venue, "BOB")
    deadline = time.monotonic() + pace.seconds(30)
    while not [e for e in venue.gateway.events("cut") if e["reason"] == "reads nothing"]:
        assert time.monotonic() < deadline, "the deaf client is not cut"
        deaf.send("0")  # It heartbeats, but never reads.
        begin = time.monotonic()
        other.send("1", "112=others go on|")
        other.expect("0")
        assert time.monotonic() - begin < pace.seconds(2)
        time.sleep(0.3)
    deaf.close()
    back = RawFix(venue.address, "ALICE", num=deaf.num)
    first = back.logon()
    assert int(first["34"]) > 2
    row = venue.client().fetch(queries.Session("fix:ALICE")).value
    assert row is not None
    # Order n has MsgSeqNum n + 2; what the gateway had not read when it cut is not done.
    wanted = {f"deaf-{number}" for number in range(min(ORDERS, row.last_num_applied - 1))}
    # Its reports were held at the bound long before: without holding, nothing would wait.
    assert wanted, "something was done before the cut"
    back.send("2", "7=2|16=0|")
    heard: dict[str, str] = {}
    while len(heard) < len(wanted):
        message = back.receive(30)
        if message["35"] == "8" and message["150"] == "0":
            # What came live before our request was read comes again under its number.
            before = heard.setdefault(message["11"], message["34"])
            assert before == message["34"], "a report came twice"
    assert set(heard) == wanted


def test_a_fast_client_that_reads_is_never_held(tight_venue: Venue) -> None:
    venue = tight_venue
    client = logged_on(venue, "BOB")
    client.answer_tests = False
    for start in range(0, 2000, 100):
        client.send_raw(
            b"".join(
                encode(client.header("D") + client.order_fields(f"f-{n}", price="10"))
                for n in range(start, start + 100)
            )
        )
        assert len(client.collect(100)) == 100
    assert venue.gateway is not None
    assert not venue.gateway.events("cut")
    client.close()


def test_much_that_is_no_message_is_cut(own_venue: Venue) -> None:
    venue = own_venue.start()
    client = logged_on(venue, "ALICE")
    client.send_raw(b"8=FIX.4.4\x019=99999999\x0135=D\x01")
    client.socket.settimeout(pace.seconds(20))
    with pytest.raises(OSError):
        for _ in range(400):
            client.send_raw(b"58=" + b"x" * 65_000 + b"\x01")
            time.sleep(0.01)
    assert venue.gateway is not None
    venue.gateway.wait_for("cut", reason="sends much that is no message")
    other = RawFix(venue.address, "ALICE", num=client.num)
    assert other.logon()["35"] == "A"
    other.close()


def test_a_silent_client_is_asked_and_then_cut_while_another_is_busy(own_venue: Venue) -> None:
    venue = own_venue.start()
    begin = time.monotonic()
    silent = logged_on(venue, "ALICE", heartbeat=1)
    silent.answer_tests = False
    busy = logged_on(venue, "BOB")
    heard: list[str] = []
    ended = 0.0
    while time.monotonic() < begin + pace.seconds(8) and not ended:
        busy.send("1", f"112={now_text()}|")
        busy.expect("0")
        try:
            heard.append(silent.receive(0.05)["35"])
        except TimeoutError:
            continue
        except Closed:
            ended = time.monotonic() - begin
    assert "1" in heard, "a TestRequest comes before the end"
    assert "0" in heard
    # QuickFIX alone looks at its timers only when all are silent.
    assert 2.0 < ended < pace.seconds(6)
    busy.close()


def test_open_orders_are_shown_at_logon_on_request(own_venue: Venue) -> None:
    venue = own_venue.start()
    client = logged_on(venue, "ALICE")
    for number in range(3):
        client.order(f"open-{number}", price="10")
    client.collect(3)
    client.logout()
    back = logged_on(venue, "ALICE", num=client.num, extra="20006=Y|")
    rows = back.collect(3)
    assert {row["11"] for row in rows} == {"open-0", "open-1", "open-2"}
    assert {row["150"] for row in rows} == {"I"}
    assert back.expect("B")["20018"] == "3"
    back.close()
