"""On a test-net a refused Logon says why: in a Logout, and in one line for the console."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from pathlib import Path

import pytest
import quickfix

from tests.fix.processes import Venue
from tests.fix.rawfix import Closed, Message, RawFix, encode, now_text
from tests.support import pace
from tests.support.quickfix_application import SilentApplication

_hosts = iter(range(1, 250))


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    with Venue(tmp_path_factory.mktemp("explains"), explains=True) as running:
        yield running.start()


def told(venue: Venue, comp_id: str = "ALICE", num: int = 1, **changed: str) -> list[Message]:
    """What a client gets for its Logon, until the end; ``t56="OTHER"`` changes field 56."""
    client = RawFix(venue.address, comp_id, source=f"127.0.70.{next(_hosts)}")
    fields = {
        "35": "A", "34": str(num), "49": comp_id, "52": now_text(), "56": "TANDEM", "98": "0",
        "108": "30", "553": "alice", "554": "alice-demo",
    } | {tag[1:]: value for tag, value in changed.items()}  # fmt: skip
    client.send_raw(encode("".join(f"{tag}={value}|" for tag, value in fields.items() if value)))
    came = []
    try:
        while True:
            came.append(client.receive(8))
    except Closed:
        client.close()
        return came


CAUSES = {
    "wrong password": ({"t554": "guess"}, "Password(554) is wrong for ALICE"),
    "no password": ({"t554": ""}, "Password(554) is missing"),
    "wrong Username": ({"t553": "bob"}, "Username(553) is not that of ALICE"),
    "wrong TargetCompID": ({"t56": "OTHER"}, "TargetCompID(56) is OTHER, and this venue is TANDEM"),
    "unknown SenderCompID": ({"t49": "NOBODY"}, "SenderCompID(49) NOBODY is not known here"),
    "the clock": ({"t52": now_text(-700)}, "seconds behind the venue's clock"),
}


@pytest.mark.parametrize("cause", CAUSES)
def test_a_refused_logon_says_why(venue: Venue, cause: str) -> None:
    changed, text = CAUSES[cause]
    assert venue.gateway is not None
    logged = len(venue.gateway.lines)
    (logout,) = told(venue, **changed)
    assert logout["35"] == "5" and text in logout["58"]
    # Under the CompIDs that the client uses: its engine drops a message with others.
    own, theirs = changed.get("t49", "ALICE"), changed.get("t56", "TANDEM")
    assert (logout["49"], logout["56"]) == (theirs, own)
    line = venue.gateway.wait_for("refused", since=logged)
    assert text in line["console"] and "guess" not in str(line)


def test_a_stranger_with_no_name_that_can_be_said_back_gets_nothing(venue: Venue) -> None:
    assert told(venue, t49="N" * 65) == []
    assert told(venue, t49="\x1b[2J") == []
    assert venue.gateway is not None
    assert "\x1b" not in "".join(str(line.get("console")) for line in venue.gateway.lines)


def test_who_is_logged_on_notices_nothing_and_the_stranger_gets_nothing(venue: Venue) -> None:
    alice = RawFix(venue.address, "ALICE")
    alice.logon(reset=True)
    assert told(venue, t554="guess") == []
    alice.send("1", "112=still here|")
    assert (alice.expect("0")["112"], alice.received[-1]["34"]) == ("still here", "2")
    alice.logout()


class Client(SilentApplication):
    """Logs on with a wrong password until it is told; keeps the texts of Logouts."""

    def __init__(self) -> None:
        super().__init__()
        self.password = "guess"
        self.came: queue.SimpleQueue[str] = queue.SimpleQueue()

    def onLogon(self, session_id: quickfix.SessionID) -> None:
        self.came.put("logged on")

    def toAdmin(self, message: quickfix.Message, session_id: quickfix.SessionID) -> None:
        if message.getHeader().getField(35) == "A":
            message.setField(553, "bob")
            message.setField(554, self.password)

    def fromAdmin(self, message: quickfix.Message, session_id: quickfix.SessionID) -> None:
        if message.getHeader().getField(35) == "5" and message.isSetField(58):
            self.password = "bob-demo"
            self.came.put(message.getField(58))


@pytest.mark.serial
def test_quickfix_is_in_step_after_it_was_told_and_needs_no_reset(
    venue: Venue, tmp_path: Path
) -> None:
    """QuickFIX counts a Logout, whatever its number: that of a session takes the next one."""
    settings, values = quickfix.SessionSettings(), quickfix.Dictionary()
    for key, value in {
        "ConnectionType": "initiator", "HeartBtInt": "30", "ReconnectInterval": "1",
        "SocketConnectHost": "127.0.0.1", "SocketConnectPort": str(venue.address[1]),
        "NonStopSession": "Y", "FileStorePath": str(tmp_path), "UseDataDictionary": "N",
    }.items():  # fmt: skip
        values.setString(key, value)
    settings.set(quickfix.SessionID("FIX.4.4", "BOB", "TANDEM"), values)
    client = Client()
    factory = quickfix.FileStoreFactory(settings)
    initiator = quickfix.SocketInitiator(client, factory, settings)
    initiator.start()
    try:
        came = [client.came.get(timeout=pace.seconds(20)) for _ in range(2)]
    finally:
        initiator.stop(True)
    assert came == ["Password(554) is wrong for BOB", "logged on"]


def test_a_market_data_session_is_told_too_and_its_numbers_begin_at_1(venue: Venue) -> None:
    for _ in range(2):
        (logout,) = told(venue, "ALICE-MD", t554="guess")
        assert (logout["34"], logout["58"]) == ("1", "Password(554) is wrong for ALICE-MD")
