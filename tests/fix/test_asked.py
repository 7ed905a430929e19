"""Every request is answered, whatever ends before the answer; what cannot be is refused."""

from __future__ import annotations

import signal
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
import quickfix

from engine.client import queries
from engine.core.commands import NewOrder
from engine.core.types import OrdType, Origin, Side, TimeInForce
from fix_gateway.codec.responses import Response
from fix_gateway.main import DICTIONARY
from fix_gateway.session.life import Event
from fix_gateway.session.pending_requests import FILE_BYTES_MAX, PendingRequests
from fix_gateway.session.sender import Sender
from fix_gateway.session.session import Link, Session
from fix_gateway.settings import GatewaySettings
from tests.fix.conftest import Connect
from tests.fix.processes import Venue, logged_on
from tests.fix.rawfix import RawFix
from tests.support import pace
from tests.support.fix_settings import session_settings

STATUS = "11={id}|55=BTC-USD|54=1|790={request}|"


def status(client: RawFix, request: str, order: str = "none") -> None:
    """Ask about an order."""
    client.send("H", STATUS.format(id=order, request=request))


def taken(client: RawFix) -> None:
    """Wait until QuickFIX has read everything so far."""
    client.send("1", "112=read|")
    assert client.expect("0")["112"] == "read"


@pytest.mark.serial
def test_a_request_is_answered_though_the_gateway_was_killed_before(venue: Venue) -> None:
    """Also when something that came later was done, so that nobody asks for it again."""
    assert venue.engine is not None and venue.gateway is not None
    alice = logged_on(venue, "ALICE")
    venue.engine.popen.send_signal(signal.SIGSTOP)
    status(alice, "early")
    taken(alice)
    venue.gateway.kill()
    venue.engine.popen.send_signal(signal.SIGCONT)
    row = venue.client().fetch(queries.Session("fix:ALICE")).value
    assert row is not None
    venue.client().submit(NewOrder(
        Origin("fix:ALICE", row.epoch, 4), "alice", "later", "BTC-USD", Side.BUY, OrdType.LIMIT,
        TimeInForce.GTC, 1000, price=9000,
    ))  # fmt: skip
    venue.start_gateway()
    back = logged_on(venue, "ALICE", num=5)
    answer = back.expect("8")
    assert (answer["790"], answer["150"], answer["39"]) == ("early", "I", "8")
    status(back, "next")
    assert back.expect("8")["790"] == "next", "one answer each"
    back.logout()


@pytest.mark.serial
def test_a_request_is_answered_though_its_connection_has_ended(venue: Venue) -> None:
    assert venue.engine is not None
    bob = logged_on(venue, "BOB", reset=True)
    venue.engine.popen.send_signal(signal.SIGSTOP)
    for request in ("first", "second"):
        status(bob, request)
    taken(bob)
    bob.close()
    venue.engine.popen.send_signal(signal.SIGCONT)
    back = logged_on(venue, "BOB", num=bob.num)
    found: set[str] = set()
    while len(found) < 2:
        back.send("2", "7=2|16=0|")  # The first may be stored already.
        back.send("1", "112=end|")
        while (message := back.receive()).get("112") != "end":
            if message["35"] == "8":
                found.add(message["790"])
    assert found == {"first", "second"}
    back.logout()


def test_trades_without_a_history_are_refused_in_one_line(venue: Venue, connect: Connect) -> None:
    """This venue has no history: nobody has made its database."""
    alice = connect("ALICE")
    alice.logon(reset=True)
    alice.send("AD", "568=T|569=0|")
    refused = alice.expect("AQ")
    assert [refused[tag] for tag in ("568", "749", "750")] == ["T", "99", "2"]
    assert refused["58"] == "The trade history cannot be read at the moment; ask again later"
    assert venue.gateway is not None
    line = venue.gateway.wait_for("history_not_available")
    assert line["level"] == "warning" and "\n" not in line["reason"]
    assert not venue.gateway.events("request_failed")
    assert not (venue.data / "history.db").exists(), "an empty history would be a wrong one"
    alice.logout()


# The file.


def test_what_was_not_answered_is_found_again(tmp_path: Path) -> None:
    path = tmp_path / "requests"
    asked = PendingRequests(path)
    for num in (3, 5, 7):
        assert asked.add(2, num, f"text {num}\x01")
    assert not asked.add(2, 5, "again")
    asked.done(2, 3)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = PendingRequests(path)
    again.restore(2, 7)
    assert again.unqueued(2) == [(5, "text 5\x01")], "number 7 is sent again by the client"
    assert PendingRequests(tmp_path / "none").unqueued(2) == []


def test_a_new_epoch_begins_empty(tmp_path: Path) -> None:
    asked = PendingRequests(tmp_path / "requests")
    asked.add(2, 3, "old")
    assert asked.unqueued(3) == []
    asked.add(3, 3, "new")
    later = PendingRequests(tmp_path / "requests")
    later.restore(3, 100)
    assert later.unqueued(3) == [(3, "new")]


def test_a_torn_file_gives_what_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "requests"
    asked = PendingRequests(path)
    asked.add(1, 3, "whole")
    asked.add(1, 4, "torn")
    path.write_bytes(b"nonsense\n" + path.read_bytes()[:-5])
    later = PendingRequests(path)
    later.restore(1, 100)
    assert later.unqueued(1) == [(3, "whole")]


def test_the_file_stays_small(tmp_path: Path) -> None:
    path = tmp_path / "requests"
    asked = PendingRequests(path)
    asked.add(1, 1, "waits long")
    for num in range(2, 60):
        asked.add(1, num, "x" * 50_000)
        asked.done(1, num)
    assert path.stat().st_size < 2 * FILE_BYTES_MAX
    later = PendingRequests(path)
    later.restore(1, 100)
    assert later.unqueued(1) == [(1, "waits long")]
    later.done(1, 1)
    assert path.stat().st_size == 0 and len(later) == 0


# Sending while a Logon is answered.


class QuickFix:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.sent = threading.Event()

    def send(self, message: Any) -> bool:
        self.sent.set()
        return True


def test_nothing_is_sent_between_a_logon_and_its_answer(tmp_path: Path) -> None:
    """QuickFIX would store it without sending it, and the client would see a gap much later."""
    gateway = GatewaySettings("127.0.0.1", 0, "TANDEM", tmp_path, tmp_path)
    settings = session_settings()
    session = Session(settings, gateway)
    session.qf = qf = QuickFix()
    sender = Sender(quickfix.DataDictionary(str(DICTIONARY)))
    for settle in (Event.LOGGED_ON, Event.GIVE_BACK):
        qf.sent.clear()
        assert session.claim(Link(None, ""))  # type: ignore[arg-type]
        session.handle(Event.PREPARE)
        session.handle(Event.HAND_OVER)
        late = Response("B", "148=late\x01")
        thread = threading.Thread(target=sender.send_settled, args=(session, late))
        thread.start()
        assert not qf.sent.wait(0.05)
        session.handle(settle)
        assert qf.sent.wait(pace.seconds(10))
        thread.join()
        session.handle(Event.LOGGED_OUT)
