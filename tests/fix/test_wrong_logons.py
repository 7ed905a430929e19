"""Whatever is wrong with a Logon, at connect or within a session, it changes nothing.

After each one the session's numbers go on, what was stored for it is sent again, and its next
order is answered.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.client import EngineClient, queries
from engine.core.types import SessionRow
from tests.fix.processes import Venue
from tests.fix.rawfix import Closed, Message, RawFix, encode, now_text

Wrong = Callable[[RawFix, int], bytes]


def header(client: RawFix, num: int, **changes: str) -> str:
    values = {"35": "A", "34": str(num), "49": client.comp_id, "52": now_text(), "56": "TANDEM"}
    values |= {tag[1:]: value for tag, value in changes.items()}
    return "".join(f"{tag}={value}|" for tag, value in values.items() if value != "!")


def body(**changes: str) -> str:
    values = {"98": "0", "108": "30", "141": "Y", "553": "alice", "554": "alice-demo"}
    values |= {tag[1:]: value for tag, value in changes.items()}
    return "".join(f"{tag}={value}|" for tag, value in values.items() if value != "!")


def wrong(more: str = "", **changes: str) -> Wrong:
    """A Logon with other values, or without a field (``!``), or with more fields."""
    in_header = {t: v for t, v in changes.items() if t in ("t34", "t49", "t52", "t56", "t115")}
    in_body = {t: v for t, v in changes.items() if t not in in_header}
    return lambda client, num: encode(header(client, num, **in_header) + body(**in_body) + more)


def garbled(change: Callable[[bytes], bytes]) -> Wrong:
    return lambda client, num: change(encode(header(client, num) + body()))


def another_version(data: bytes) -> bytes:
    text = data.replace(b"8=FIX.4.4", b"8=FIX.4.2").rpartition(b"10=")[0]
    return text + b"10=%03d\x01" % (sum(text) % 256)


def late_header(client: RawFix, num: int) -> bytes:
    """MsgSeqNum and CompIDs behind the body, as some engines send them."""
    sent = f"35=A|52={now_text()}|" + body()
    return encode(sent + f"34={num}|49={client.comp_id}|56=TANDEM|")


TOLD: dict[str, tuple[Wrong, str]] = {
    "an unknown tag": (wrong("1137=9|"), "tag 1137"),
    "a tag of another message": (wrong("58=hello|"), "Text(58)"),
    "NewPassword": (wrong("925=x|"), "925"),
    "third party in the header": (wrong(t115="DESK"), "115"),
    "the header behind the body": (late_header, "stands behind the fields of the body"),
    "a tag twice": (wrong("108=30|"), "HeartBtInt(108) appears twice"),
    "a group with a wrong count": (wrong("384=2|372=D|"), "NoMsgTypes(384)"),
    "old SendingTime": (lambda c, n: wrong(t52=now_text(-600))(c, n), "behind the venue's clock"),
    "early SendingTime": (lambda c, n: wrong(t52=now_text(600))(c, n), "ahead of the venue's"),
    "no SendingTime": (wrong(t52="!"), "SendingTime(52) is missing"),
    "no MsgSeqNum": (wrong(t34="!"), "MsgSeqNum(34) is missing"),
    "141=Y and another number than 1": (wrong(t34="7"), "MsgSeqNum(34) must be 1"),
    "no HeartBtInt": (wrong(t108="!"), "HeartBtInt(108) is missing"),
    "HeartBtInt of 0": (wrong(t108="0"), "HeartBtInt(108)"),
    "HeartBtInt above the maximum": (wrong(t108="301"), "from 1 to 300"),
    "a negative HeartBtInt": (wrong(t108="-5"), "HeartBtInt(108) is a whole number"),
    "HeartBtInt that is no number": (wrong(t108="x"), "from 1 to 300"),
    "789 that is no number": (wrong("789=x|", t141="N"), "(789) is a whole number from 1 on"),
    "789 of 0": (wrong("789=0|", t141="N"), "(789) is a whole number from 1 on"),
    "a negative 789": (wrong("789=-1|", t141="N"), "(789) is a whole number from 1 on"),
    "encryption": (wrong(t98="1"), "EncryptMethod(98)"),
    "no EncryptMethod": (wrong(t98="!"), "EncryptMethod(98) is missing"),
    "an empty field": (wrong("20006=|"), "OpenOrderSnapshot(20006) has no value"),
    "789 with 141=Y": (wrong("789=5|"), "NextExpectedMsgSeqNum(789)"),
    "789 of what was never sent": (
        lambda c, n: wrong("789=99999|", t141="!", t34=str(c.num))(c, n), "(789) is 99999",
    ),
    "a lower number without 141": (wrong(t141="N"), "MsgSeqNum too low"),
}  # fmt: skip
"""With right credentials: a Logout names what is wrong, and the log does."""

SILENT: dict[str, Wrong] = {
    "wrong password": wrong(t554="guess"),
    "wrong Username": wrong(t553="bob"),
    "no password": wrong(t554="!"),
    "wrong TargetCompID": wrong(t56="OTHER"),
    "wrong SenderCompID": wrong(t49="NOBODY"),
    "no SenderCompID": wrong(t49="!"),
    "141 under a tag with a zero": wrong("0141=Y|", t141="!"),
    "bad CheckSum": garbled(lambda data: data[:-4] + b"%03d\x01" % ((int(data[-4:-1]) + 1) % 256)),
    "bad BodyLength": garbled(lambda data: re.sub(rb"\x019=\d+", b"\x019=50", data)),
    "another BeginString": garbled(lambda data: data.replace(b"FIX.4.4", b"FIX.4.2")),
    "another version of FIX": garbled(another_version),
}
"""From a stranger, or garbled: a closed connection and nothing else."""
GARBLED = ("bad CheckSum", "bad BodyLength", "another BeginString")

EVERY = {name: each for name, (each, _) in TOLD.items()} | SILENT


@pytest.fixture(scope="module")
def engine(venue: Venue) -> EngineClient:
    return venue.client()


@pytest.fixture(autouse=True)
def connections(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[RawFix]]:
    """Every connection of a test, ended with it."""
    made: list[RawFix] = []
    begin = RawFix.__init__

    def noted(self: RawFix, *args: object, **values: object) -> None:
        begin(self, *args, **values)  # type: ignore[arg-type]
        made.append(self)

    monkeypatch.setattr(RawFix, "__init__", noted)
    yield made
    for each in made:
        each.close()


class Alice:
    """A session with a stored report, and what its numbers were."""

    def __init__(self, venue: Venue, engine: EngineClient, name: str) -> None:
        self.venue = venue
        self.engine = engine
        self.name = re.sub(r"\W", "-", name)
        self.client = RawFix(venue.address, "ALICE")
        self.client.logon(reset=True)
        self.client.order(f"{self.name}-1", price="10")
        self.report = self.client.expect("8")
        assert (self.report["34"], self.report["150"]) == ("2", "0")
        self.epoch = self.row().epoch

    def row(self) -> SessionRow:
        row = self.engine.fetch(queries.Session("fix:ALICE")).value
        assert row is not None
        return row

    def nothing_has_changed(self, connection: RawFix | None = None) -> None:
        """Numbers, stored reports, the epoch, and that the next order is answered."""
        client = connection
        if client is None:
            client = RawFix(self.venue.address, "ALICE", num=self.client.num)
            answer = client.logon()
            assert "141" not in answer and int(answer["34"]) > 2
        client.send("2", "7=2|16=2|")
        again = client.collect(1)[0]
        assert (again["34"], again["43"], again["17"]) == ("2", "Y", self.report["17"])
        assert self.row().epoch == self.epoch
        client.order(f"{self.name}-2", price="10")
        new = client.collect(1)[0]
        assert (new["11"], new["150"], new.get("43")) == (f"{self.name}-2", "0", None)
        client.send("q", f"11={self.name}-all|530=7|60={now_text()}|")
        assert client.collect(1, "r")[0]["531"] == "7"
        client.logout()


def everything(client: RawFix, *, answer: bool = False) -> list[Message]:
    """All that comes until the end; ``answer`` a Logout with a Logout."""
    found = []
    try:
        while True:
            found.append(client.receive(8))
            if answer and found[-1]["35"] == "5":
                client.send("5")
    except Closed:
        return found


@pytest.mark.parametrize("cause", EVERY)
def test_a_wrong_logon_at_connect_changes_nothing(
    venue: Venue, engine: EngineClient, cause: str
) -> None:
    alice = Alice(venue, engine, f"c {cause}")
    alice.client.logout()
    assert venue.gateway is not None
    logged = len(venue.gateway.lines)
    # From an address of its own: failures slow down the address that they come from.
    stranger = RawFix(venue.address, "ALICE", source=f"127.0.60.{list(EVERY).index(cause) + 1}")
    stranger.num = alice.client.num
    stranger.send_raw(EVERY[cause](stranger, 1))
    told = everything(stranger)
    if cause in SILENT:
        assert not told, "a stranger must learn nothing"
    else:
        why = TOLD[cause][1]
        assert [message["35"] for message in told] == ["5"] and why in told[0]["58"], told
        venue.gateway.wait_for("refused", since=logged, reason=told[0]["58"])
    alice.nothing_has_changed()


@pytest.mark.parametrize("cause", EVERY)
def test_a_logon_within_a_session_changes_nothing(
    venue: Venue, engine: EngineClient, cause: str
) -> None:
    alice = Alice(venue, engine, f"w {cause}")
    alice.client.send_raw(EVERY[cause](alice.client, 1))
    if cause == "bad BodyLength":
        # What is garbled ends with the next message at the latest.
        alice.client.send("1", "112=x|")
    told = everything(alice.client, answer=True)
    if cause in GARBLED:
        assert not told, "QuickFIX hangs up on a Logon that it cannot read"
    else:
        # Without SenderCompID there is a Reject and no Logout behind it.
        assert told and told[-1]["35"] == ("3" if cause == "no SenderCompID" else "5"), told
        assert told[-1]["58"], "the client is told why"
    if cause in TOLD and b"\x01141=Y\x01" in EVERY[cause](alice.client, 1):
        assert [message["35"] for message in told] == ["5"] and TOLD[cause][1] in told[0]["58"]
        assert "has changed nothing" in told[0]["58"]
    alice.nothing_has_changed()


@pytest.mark.parametrize("extra", ["384=1|372=D|385=R|", "789=1|", "464=N|383=100000|", "50=desk|"])
def test_what_fix_has_for_a_logon_is_taken(venue: Venue, extra: str) -> None:
    alice = RawFix(venue.address, "ALICE")
    in_header = extra if extra.startswith("50=") else ""
    fields = alice.logon_fields(reset=True, extra="" if in_header else extra)
    alice.send("A", fields, extra=in_header)
    answer = alice.expect("A")
    assert (answer["34"], answer["141"]) == ("1", "Y")
    assert answer.get("789") == ("2" if extra.startswith("789") else None)
    alice.logout()


def test_next_expected_number_brings_what_was_missed_without_a_resend_request(
    venue: Venue, engine: EngineClient
) -> None:
    alice = Alice(venue, engine, "789")
    alice.client.logout()
    back = RawFix(venue.address, "ALICE", num=alice.client.num)
    back.send("A", back.logon_fields(extra="789=2|"))
    answer = back.expect("A")
    assert answer["789"] == str(back.num)
    again = back.expect("8")
    assert (again["34"], again["43"], again["17"]) == ("2", "Y", alice.report["17"])
    fill = back.expect("4")
    assert (fill["34"], fill["36"]) == ("3", str(int(answer["34"]) + 1))
    back.logout()


def test_next_expected_number_in_the_answer_asks_for_what_we_missed(
    venue: Venue, engine: EngineClient
) -> None:
    alice = Alice(venue, engine, "789 gap")
    alice.client.logout()
    missed = alice.client.num
    back = RawFix(venue.address, "ALICE", num=missed + 2)
    back.send("A", back.logon_fields(extra=f"789={int(alice.report['34']) + 2}|"))
    assert back.expect("A")["789"] == str(missed), "the number of what did not come"
    back.send("D", back.order_fields("789-gap-2", price="10"), num=missed)
    assert back.expect("8")["11"] == "789-gap-2"
    back.send("4", f"123=Y|36={missed + 3}|", num=missed + 1, extra="43=Y|")
    back.send("1", "112=in step|")
    assert back.expect("0")["112"] == "in step"
    back.logout()


def test_a_session_that_begins_again_says_so_and_takes_a_confirmation(venue: Venue) -> None:
    cert = RawFix(venue.address, "CERT", num=5)
    answer = cert.logon()
    assert (answer["34"], answer["141"]) == ("1", "Y")
    # QuickFIX as a client confirms what it did not ask for.
    cert.send("A", cert.logon_fields(reset=True), num=1)
    cert.num = 2
    cert.send("1", "112=confirmed|")
    assert [cert.expect("0").get("112"), cert.expect("0")["112"]] == [None, "confirmed"]
    cert.send("A", cert.logon_fields(reset=True), num=1)
    again = cert.expect("A")
    assert (again["34"], again["141"]) == ("1", "Y"), "a confirmation once, and before all else"
    cert.num = 2
    cert.logout()


def test_a_message_without_a_number_ends_the_session_with_a_reason(
    venue: Venue, engine: EngineClient
) -> None:
    for change in ("!", "x", "-1"):
        alice = Alice(venue, engine, f"unnumbered {change}")
        lost = header(alice.client, 0, t35="D", t34=change) + alice.client.order_fields("lost")
        alice.client.send_raw(encode(lost))
        told = everything(alice.client, answer=True)
        assert "MsgSeqNum(34) is missing or is no number" in told[0]["58"], told
        alice.nothing_has_changed()


def test_idle_connections_make_room_for_good_logons(tmp_path: Path) -> None:
    idle: list[RawFix] = []
    with Venue(tmp_path) as running:
        running.start()
        for number in range(300):
            idle.append(RawFix(running.address, f"IDLE{number}"))
        for _ in range(25):
            client = RawFix(running.address, "ALICE")
            client.logon(reset=True)
            client.logout()
        for each in idle:
            each.close()
