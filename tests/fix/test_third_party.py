"""Third-party routing through the gateway, with QuickFIX and with bytes on the other side."""

from __future__ import annotations

import contextlib
import queue
import re
import signal
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import quickfix

from tests.fix.conftest import Connect
from tests.fix.processes import Process, Venue, logged_on
from tests.fix.rawfix import Message, RawFix
from tests.support import pace

pytestmark = pytest.mark.timeout(120)
SOH = "\x01"
DICTIONARY = Path(__file__).parents[2] / "spec" / "FIX44.xml"
ROUTE = "115=NORTH|116=trader 7|128=CRYPTO|129=SPOT|"
BACK = {"115": "CRYPTO", "116": "SPOT", "128": "NORTH", "129": "trader 7"}
TAGS = ("115", "116", "128", "129")
DROP = """
[[sessions]]
comp_id = "DROP"
account = "alice"
username = "drop"
password_hash = "{hash}"
kind = "drop_copy"
"""
_numbers = count(1)


def unique(name: str) -> str:
    return f"{name}-{next(_numbers)}"


def route_of(message: Any) -> dict[str, str]:
    """The fields of third-party routing that a message has."""
    return {tag: message[tag] for tag in TAGS if tag in message}


class Client(quickfix.Application):  # type: ignore[misc]
    """A hub's FIX engine: QuickFIX with our dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.came: queue.Queue[dict[str, str]] = queue.Queue()
        self.logged_on: queue.Queue[bool] = queue.Queue()

    def onCreate(self, session_id: Any) -> None: ...

    def onLogon(self, session_id: Any) -> None:
        self.logged_on.put(True)

    def onLogout(self, session_id: Any) -> None: ...

    def toAdmin(self, message: Any, session_id: Any) -> None:
        if message.getHeader().getField(35) == "A":
            message.setField(553, "alice")
            message.setField(554, "alice-demo")
            message.setField(141, "Y")

    def toApp(self, message: Any, session_id: Any) -> None: ...

    def fromAdmin(self, message: Any, session_id: Any) -> None:
        if message.getHeader().getField(35) == "3":
            self.fromApp(message, session_id)

    def fromApp(self, message: Any, session_id: Any) -> None:
        fields: dict[str, str] = {}
        for field in message.toString().split(SOH)[:-1]:
            tag, _, value = field.partition("=")
            fields.setdefault(tag, value)
        self.came.put(fields)

    def next(self) -> dict[str, str]:
        """The next message but for Heartbeats."""
        return self.came.get(timeout=pace.seconds(10))


@contextlib.contextmanager
def hub(venue: Venue, folder: Path) -> Iterator[tuple[Client, Any]]:
    """A hub that is logged on as ALICE, and what sends a line for it."""
    settings, values = quickfix.SessionSettings(), quickfix.Dictionary()
    for key, value in {
        "ConnectionType": "initiator", "HeartBtInt": "30", "ReconnectInterval": "1",
        "SocketConnectHost": "127.0.0.1", "SocketConnectPort": str(venue.address[1]),
        "NonStopSession": "Y", "FileStorePath": str(folder), "TimestampPrecision": "6",
        "UseDataDictionary": "Y", "DataDictionary": str(DICTIONARY),
        "ResetOnLogon": "Y",
    }.items():  # fmt: skip
        values.setString(key, value)
    session_id = quickfix.SessionID("FIX.4.4", "ALICE", "TANDEM")
    settings.set(session_id, values)
    client = Client()
    factory = quickfix.FileStoreFactory(settings)
    initiator = quickfix.SocketInitiator(client, factory, settings)

    def send(line: str) -> None:
        text = f"8=FIX.4.4|9=0|{line}10=000|".replace("|", SOH)
        assert quickfix.Session.sendToTarget(quickfix.Message(text, False), session_id)

    initiator.start()
    try:
        client.logged_on.get(timeout=pace.seconds(20))
        yield client, send
    finally:
        initiator.stop(True)


def until(client: RawFix, tag: str, value: str) -> Message:
    """The next ExecutionReport with this value."""
    while (message := client.collect(1)[0]).get(tag) != value:
        pass
    return message


def body(client_id: str, side: int = 1, **more: object) -> str:
    """The body of an order of 0.02 BTC at 200."""
    fields = {"38": "0.02", "44": "200", "54": side} | {k[1:]: v for k, v in more.items()}
    rest = "".join([f"{tag}={value}|" for tag, value in fields.items()])
    return f"11={client_id}|55=BTC-USD|60=20260105-09:30:00|40=2|59=1|{rest}"


@pytest.mark.serial
def test_a_hub_with_quickfix(
    venue: Venue, tmp_path: Path, connect: Connect
) -> None:
    bob = connect("BOB")
    bob.logon(reset=True)
    with hub(venue, tmp_path) as (client, send):
        send(f"35=D|{ROUTE}{body(unique('a'), _44='300')}")
        entered = client.next()
        assert (entered["35"], entered["150"], route_of(entered)) == ("8", "0", BACK)

        bob.order(unique("b"), 2, "0.01", "300")
        fill = client.next()
        assert (fill["150"], fill["37"], route_of(fill)) == ("F", entered["37"], BACK), "later too"
        assert [route_of(message) for message in bob.collect(2)] == [{}, {}]

        send(f"35=D|115=NORTH|{body(unique('a'), _54='X')}")
        reject = client.next()
        assert (reject["35"], reject["371"], route_of(reject)) == ("3", "54", {"128": "NORTH"})

        send("35=BE|115=NORTH|116=trader 7|923=1|924=1|553=alice|")
        j = client.next()
        assert (j["35"], j["372"], j["380"]) == ("j", "BE", "3")
        assert route_of(j) == {"128": "NORTH", "129": "trader 7"}

        cancel = f"11={unique('c')}|37={entered['37']}|55=BTC-USD|54=1|60=20260105-09:30:00|"
        send(f"35=H|116=trader 9|11=none|37={entered['37']}|55=BTC-USD|54=1|")
        assert route_of(client.next()) == {"129": "trader 9"}
        send(f"35=F|115=SOUTH|{cancel}")
        canceled = client.next()
        assert (canceled["150"], route_of(canceled)) == ("4", {"128": "SOUTH"})
        send(f"35=F|115=SOUTH|{cancel}")
        refused = client.next()
        assert (refused["35"], route_of(refused)) == ("9", {"128": "SOUTH"})


QUERIES = {
    "H": ("11=none|55=BTC-USD|54=1|", "8"),
    "AF": ("584=M|585=7|", "8"),
    "x": ("320=S|559=4|", "y"),
    "BB": ("909=B|", "BA"),
    "UD": ("20017=R|17=no|", "UE"),
    "AD": ("568=T|569=0|", "AQ"),
    "AE": ("571=1|", "3"),
}


@pytest.mark.parametrize("msg_type", QUERIES)
def test_every_question_is_answered_by_its_route(connect: Connect, msg_type: str) -> None:
    """AD without a history too, which is not there; and what is no question is rejected by it."""
    carol = connect("CAROL")
    carol.logon(reset=True)
    fields, answer = QUERIES[msg_type]
    carol.send(msg_type, fields, extra=ROUTE)
    found = carol.expect(answer, "j")
    assert route_of(found) == BACK


def test_what_is_wrong_with_a_repeat_is_said_by_its_route(connect: Connect) -> None:
    carol = connect("CAROL")
    carol.logon(reset=True)
    carol.send("D", body(unique("a")), extra=f"43=Y|{ROUTE}")
    reject = carol.expect("3")
    assert (reject["371"], route_of(reject)) == ("122", BACK)


@pytest.mark.parametrize("tag", TAGS)
def test_nobody_logs_on_for_somebody_else(venue: Venue, tag: str) -> None:
    with RawFix(venue.address, "CAROL") as carol:
        carol.send("A", carol.logon_fields(reset=True), extra=f"{tag}=NORTH|")
        logout = carol.expect("5")
        assert f"({tag}) does not belong in a Logon here" in logout["58"]


def test_a_heartbeat_may_have_them_and_nothing_comes_of_it(connect: Connect) -> None:
    carol = connect("CAROL")
    carol.logon(reset=True)
    carol.send("0", "", extra=ROUTE)
    carol.send("1", "112=alive|")
    assert carol.expect("0")["112"] == "alive"


def test_a_message_that_is_sent_again_has_them_still(connect: Connect) -> None:
    carol = connect("CAROL")
    carol.logon(reset=True)
    carol.send("D", body(unique("a")), extra=ROUTE)
    report = carol.expect("8")
    carol.send("2", f"7={report['34']}|16={report['34']}|")
    again = carol.expect("8")
    assert (again["43"], again["11"], route_of(again)) == ("Y", report["11"], BACK)


@pytest.mark.serial
def test_an_order_keeps_them_over_a_restart_of_everything(own_venue: Venue) -> None:
    """And a question whose connection ended before the answer is answered by its route."""
    venue = own_venue.start()
    alice = logged_on(venue, "ALICE")
    alice.send("D", body("kept"), extra=ROUTE)
    assert alice.expect("8")["150"] == "0"
    assert venue.engine is not None and venue.gateway is not None
    venue.engine.popen.send_signal(signal.SIGSTOP)
    alice.send("H", "11=kept|55=BTC-USD|54=1|", extra="116=trader 9|")
    alice.send("1", "112=read|")
    assert alice.expect("0")["112"] == "read"
    alice.close()
    venue.engine.popen.send_signal(signal.SIGCONT)
    back = logged_on(venue, "ALICE", num=alice.num)
    back.send("2", "7=1|16=0|")  # It may have been stored before it was seen that nobody is there.
    assert route_of(until(back, "150", "I")) == {"129": "trader 9"}
    back.logout()
    venue.gateway.kill()
    venue.engine.kill()
    venue.start()
    back = logged_on(venue, "ALICE", num=back.num)
    bob = logged_on(venue, "BOB")
    bob.order("taker", 2, "0.01", "200")
    assert route_of(until(back, "150", "F")) == BACK


def test_a_drop_copy_and_the_history_have_them_as_they_were_sent(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "config" / "demo.toml").read_text(encoding="utf-8")
    found = re.search(r'comp_id = "ALICE".*?password_hash = "([^"]+)"', text, re.DOTALL)
    assert found is not None
    with Venue(tmp_path, extra=DROP.format(hash=found[1])) as venue:
        venue.start()
        history = Process("engine.history.main", venue.environment)
        history.wait_for("ready")
        drop = RawFix(venue.address, "DROP")
        drop.send("A", "98=0|108=30|141=Y|553=drop|554=alice-demo|")
        drop.expect("A")
        alice = logged_on(venue, "ALICE")
        alice.send("AD", "568=T|569=0|263=1|", extra="116=back office|")
        begun = alice.expect("AQ")
        assert (begun["749"], route_of(begun)) == ("0", {"129": "back office"})
        alice.send("D", body("a-1"), extra=ROUTE)
        copied = drop.expect("8")
        assert route_of(copied) == {
            "115": "NORTH", "116": "trader 7", "128": "CRYPTO", "129": "SPOT",
        }  # fmt: skip
        bob = logged_on(venue, "BOB")
        bob.order("b-1", 2, "0.02", "200")
        assert route_of(drop.expect("8"))["115"] == "NORTH"
        told = alice.collect(2)
        assert [route_of(message) for message in told] == [BACK, BACK]
        captured: Message = alice.expect("AE")
        assert route_of(captured) == {"129": "back office"}
        alice.send("UD", "20017=R|", extra="115=WEST|")
        again = [alice.expect("8") for _ in range(2)]
        assert [route_of(message) for message in again] == [BACK, BACK]
        assert route_of(alice.expect("UE")) == {"128": "WEST"}
        history.kill()
