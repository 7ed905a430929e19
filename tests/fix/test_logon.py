"""The door's checks by themselves: framing, Logon, credentials, PROXY protocol."""

from __future__ import annotations

import struct
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import argon2
import pytest
import quickfix
from hypothesis import given
from hypothesis import strategies as st

from engine.core.types import CancelScope
from fix_gateway.codec.message import parse_time
from fix_gateway.door import logon as logons
from fix_gateway.door import logon_fields, proxy_protocol
from fix_gateway.door.credentials import Credentials, Failures
from fix_gateway.door.logon import LogonError
from fix_gateway.door.logon_signature import SignedLogons
from fix_gateway.session.session import Session
from fix_gateway.settings import GatewaySettings
from tests.fix.rawfix import encode
from tests.support.fix_desk import DICTIONARY
from tests.support.fix_settings import session_settings

TIME = "20260102-03:04:05.678"
HEADER = f"35=A|34=1|49=ALICE|52={TIME}|56=TANDEM|"
GOOD = encode(HEADER + "98=0|108=30|553=alice|554=secret|20003=1|20004=15|")
LIMIT = 4096


def test_a_message_is_framed_whatever_follows_it() -> None:
    assert logons.framed(GOOD, LIMIT) == GOOD
    assert logons.framed(GOOD + b"8=FIX.4.4\x019=", LIMIT) == GOOD
    for size in range(len(GOOD)):
        assert logons.framed(GOOD[:size], LIMIT) is None, f"{size} bytes may become a Logon"


@pytest.mark.parametrize(
    "data",
    [
        b"8=FIX.4.2\x01", b"GET /", b"\x00", b"8=FIX.4.4\x019=x\x01", b"8=FIX.4.4\x019=-1\x01",
        b"8=FIX.4.4\x019=" + b"0" * 21, b"8=FIX.4.4\x019=4090\x01", GOOD.replace(b"34=1", b"34=2"),
        GOOD[:-4] + b"00x\x01", GOOD[:-1] + b"0", b"8=FIX.4.4\x019=5\x0135=A\x0110=000\x01",
    ],
)  # fmt: skip
def test_what_is_no_message_is_known_at_once(data: bytes) -> None:
    with pytest.raises(LogonError):
        logons.framed(data, LIMIT)


@given(st.binary(max_size=200))
def test_framing_never_fails_otherwise(data: bytes) -> None:
    for start in (b"", b"8=FIX.4.4\x019=", b"8=FIX.4.4\x019=10\x01"):
        try:
            message = logons.framed(start + data, LIMIT)
        except LogonError:
            continue
        if message is not None:
            try:
                logons.parse(message)
            except LogonError:
                continue


def test_a_logon_is_read() -> None:
    logon = logons.parse(GOOD)
    assert (logon.comp_id, logon.target) == ("ALICE", "TANDEM")
    assert (logon.username, logon.password) == ("alice", "secret")
    assert logon.sending_time_us == parse_time(TIME)
    assert "secret" not in repr(logon)
    wishes = logons.read(logon)
    assert (wishes.num, wishes.heartbeat_s, wishes.reset) == (1, 30, False)
    assert (wishes.scope, wishes.grace_s) == (CancelScope.SESSION, 15)
    assert (wishes.snapshot, wishes.next_expected) == (False, None)


@pytest.mark.parametrize("zeros", ["", "0", "0000", "0" * 16])
def test_an_int_of_fix_may_have_leading_zeros(zeros: str, settings: GatewaySettings) -> None:
    body = HEADER.replace("34=1", "34=0001") + "98=00|108=0030|553=alice|554=secret|20004=0015|"
    content = body.replace("|", "\x01")
    text = f"8=FIX.4.4\x019={zeros}{len(content)}\x01{content}"
    data = f"{text}10={sum(text.encode()) % 256:03d}\x01".encode()
    for size in range(len(data)):
        assert logons.framed(data[:size], LIMIT) is None
    assert logons.framed(data, LIMIT) == data
    assert fault_of(logons.parse(data), settings) == ""
    wishes = logons.read(logons.parse(data))
    assert (wishes.num, wishes.heartbeat_s, wishes.grace_s) == (1, 30, 15)


def test_a_data_field_may_hold_the_delimiter(settings: GatewaySettings) -> None:
    data = encode(HEADER + "98=0|108=30|95=9|96=a|554=x=b|553=alice|554=secret|")
    logon = logons.parse(data)
    assert (logon.password, logon.fields["96"]) == ("secret", "a\x01554=x=b")
    assert fault_of(logon, settings) == ""


@pytest.mark.parametrize(
    "body",
    [
        HEADER.replace("35=A", "35=0") + "98=0|108=30|",
        HEADER.replace("49=ALICE|", "") + "98=0|108=30|",
        HEADER + "98=0|108=30|49=BOB|",
        HEADER + "98=0|108=30|554=a|554=b|",
        HEADER + "98=0|0141=Y|108=30|",
        HEADER + "98=0|108=30|95=400|96=x|",
        HEADER + "98=0|108=30|x|",
        "34=1|" + HEADER + "98=0|108=30|",
    ],
)
def test_what_does_not_say_whose_it_is_is_no_logon(body: str) -> None:
    with pytest.raises(LogonError):
        logons.parse(encode(body))


REST = "98=0|108=30|553=alice|554=secret|"
FAULTS = {
    "": HEADER + REST,
    "MsgSeqNum(34) is missing": HEADER.replace("34=1|", "") + REST,
    "MsgSeqNum(34) is a whole number from 1 on": HEADER.replace("34=1", "34=0") + REST,
    "HeartBtInt(108) is missing": HEADER + REST.replace("108=30|", ""),
    "HeartBtInt(108) has no value": HEADER + REST.replace("108=30", "108="),
    "HeartBtInt(108) appears twice": HEADER + REST + "108=30|",
    "HeartBtInt(108) is a whole number of seconds from 1 to 300": (
        HEADER + REST.replace("108=30", "108=301")
    ),
    "EncryptMethod(98) must be 0: nothing is encrypted here": HEADER + REST.replace("98=0", "98=1"),
    "EncryptMethod(98) is missing": HEADER + REST.replace("98=0|", ""),
    "SendingTime(52) is missing": HEADER.replace(f"52={TIME}|", "") + REST,
    "SendingTime(52) is no UTC time such as 20260105-09:30:00.000": (
        HEADER.replace(TIME, "yesterday") + REST
    ),
    "ResetSeqNumFlag(141) is Y or N": HEADER + REST + "141=y|",
    "MsgSeqNum(34) must be 1 with ResetSeqNumFlag(141)=Y": (
        HEADER.replace("34=1", "34=5") + REST + "141=Y|"
    ),
    "CancelOnDisconnect(20003) is 0, 1, 2 or 3": HEADER + REST + "20003=7|",
    "GraceSeconds(20004) is a whole number from 0 to 86400": HEADER + REST + "20004=-5|",
    "OpenOrderSnapshot(20006) is Y or N": HEADER + REST + "20006=1|",
    "a Logon is never sent again: PossDupFlag(43) must be N": HEADER + "43=Y|" + REST,
    "TestMessageIndicator(464)=Y: this is no test session": HEADER + REST + "464=Y|",
    "MaxMessageSize(383) must be 65536 or more: answers may be as long": (
        HEADER + REST + "383=4096|"
    ),
    "NextExpectedMsgSeqNum(789) is a whole number from 1 on": HEADER + REST + "789=0|",
    "NextExpectedMsgSeqNum(789) must be 1 with ResetSeqNumFlag(141)=Y": (
        HEADER + REST + "141=Y|789=2|"
    ),
    "NoMsgTypes(384) says 2 and 1 entries follow": HEADER + REST + "384=2|372=D|385=R|",
    "Text(58) does not belong in a Logon here": HEADER + REST + "58=hello|",
    "tag 1137 is not known here": HEADER + REST + "1137=9|",
    "OnBehalfOfCompID(115) does not belong in a Logon here": HEADER + "115=DESK|" + REST,
    "DeliverToSubID(129) does not belong in a Logon here": HEADER + "129=X|" + REST,
    "tag 90 is not known here": HEADER + "90=3|" + REST,
    "MsgSeqNum(34) stands behind the fields of the body; the header comes first": (
        HEADER.replace("34=1|", "") + REST + "34=1|"
    ),
}


@pytest.mark.parametrize("why", FAULTS)
def test_what_is_wrong_with_a_logon_is_one_sentence(why: str, settings: GatewaySettings) -> None:
    assert fault_of(logons.parse(encode(FAULTS[why])), settings) == why


@pytest.mark.parametrize(
    "extra", ["384=2|372=D|385=R|372=8|", "384=1|372=D|", "383=65536|", "464=N|"]
)
def test_fields_of_fix_that_ask_for_nothing_are_taken(
    extra: str, settings: GatewaySettings
) -> None:
    assert fault_of(logons.parse(encode(HEADER + REST + extra)), settings) == ""


TAGS = "8 34 43 52 58 98 108 141 372 384 385 789 9999".split()


@given(
    st.lists(
        st.tuples(st.sampled_from(TAGS), st.text(alphabet="YN0189-.x", max_size=5)), max_size=8
    )
)
def test_judging_a_logon_never_fails(extra: list[tuple[str, str]]) -> None:
    gateway = GatewaySettings("127.0.0.1", 0, "TANDEM", Path(), DICTIONARY)
    fields = "".join(f"{tag}={value}|" for tag, value in extra)
    logon = logons.parse(encode(HEADER + REST + fields))
    if not fault_of(logon, gateway):
        whole, mark = logons.for_quickfix(logon, logons.read(logon), "stamp", parse_time(TIME))
        assert logons.framed(whole, LIMIT) == whole
        assert b"\x01141=" not in whole and b"secret" not in whole and mark[0] == "1"


def test_quickfix_takes_no_logon_without_the_stamp(tmp_path: Path) -> None:
    stamped = tmp_path / "stamped.xml"
    logon_fields.write_stamped(DICTIONARY, stamped, "right")
    assert stamped.stat().st_mode & 0o777 == 0o600
    dictionary = quickfix.DataDictionary(str(stamped))
    logon = logons.parse(encode(HEADER + REST))
    for stamp, error in (("right", None), ("wrong", quickfix.IncorrectTagValue)):
        whole, _ = logons.for_quickfix(logon, logons.read(logon), stamp, parse_time(TIME))
        message = quickfix.Message(whole.decode(), dictionary, True)
        if error is None:
            dictionary.validate(message)
        else:
            with pytest.raises(error):
                dictionary.validate(message)
    for body in (HEADER + REST, HEADER + REST + "141=Y|", HEADER + "98=0|108=30|"):
        message = quickfix.Message(encode(body).decode(), dictionary, True)
        with pytest.raises(quickfix.RequiredTagMissing):
            dictionary.validate(message)


@pytest.fixture
def settings(tmp_path: Path) -> GatewaySettings:
    return GatewaySettings("127.0.0.1", 0, "TANDEM", tmp_path, DICTIONARY)


def fault_of(logon: logons.Logon, settings: GatewaySettings, shift_s: int = 0) -> str:
    now_us = parse_time(TIME) + shift_s * 1_000_000
    return logons.fault(logon, logon_fields.read(settings.dictionary), settings, now_us)


def session_of(settings: GatewaySettings, **changes: Any) -> Session:
    return Session(session_settings(**changes), settings)


@pytest.mark.parametrize(
    ("changes", "address", "admitted"),
    [
        ({}, "192.0.2.1", True),
        ({"allow": ("192.0.2.0/24",)}, "192.0.2.1", True),
        ({"allow": ("192.0.2.0/24",)}, "192.0.3.1", False),
        ({"allow": ("192.0.2.7",)}, "192.0.2.7", True),
        ({"allow": ("2001:db8::/32",)}, "2001:db8::1", True),
        ({"allow": ("2001:db8::/32",)}, "192.0.2.1", False),
        ({"allow": ("192.0.2.0/24",)}, "not an address", False),
        ({"enabled": False}, "192.0.2.1", False),
    ],
)
def test_the_allow_list_decides_by_address(
    settings: GatewaySettings, changes: dict[str, object], address: str, admitted: bool
) -> None:
    session = session_of(settings, **changes)
    reason = logons.stranger(
        logons.parse(GOOD), session, address, settings, parse_time(TIME)
    )
    assert (reason == "") is admitted


@pytest.mark.parametrize(
    ("shift_s", "why"),
    [(-119, ""), (119, ""), (-121, "121 seconds ahead of"), (121, "121 seconds behind")],
)
def test_sending_time_has_a_window(settings: GatewaySettings, shift_s: int, why: str) -> None:
    told = fault_of(logons.parse(GOOD), settings, shift_s)
    assert why in told and bool(told) is bool(why)


@pytest.mark.parametrize(("shift_s", "let_in"), [(0, True), (5, True), (6, False), (-2, False)])
def test_a_signature_that_is_not_fresh_is_a_strangers(
    settings: GatewaySettings, shift_s: int, let_in: bool
) -> None:
    session, now_us = session_of(settings, public_key=b"k"), parse_time(TIME) + shift_s * 1_000_000
    reason = logons.stranger(logons.parse(GOOD), session, "::1", settings, now_us)
    assert (reason == "") is let_in


def test_a_password_is_verified_once_and_known_after_that(tmp_path: Path) -> None:
    hasher = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    stored = hasher.hash("right")
    credentials = Credentials(SignedLogons(tmp_path))
    assert not credentials.known("ALICE", stored, "alice", "right")
    assert not credentials.verify("ALICE", stored, "alice", "alice", "wrong")
    assert not credentials.verify("ALICE", stored, "bob", "alice", "right")
    assert not credentials.verify("ALICE", "", "alice", "alice", "right")
    assert not credentials.verify("ALICE", "no hash", "alice", "alice", "right")
    assert credentials.verify("ALICE", stored, "alice", "alice", "right")
    assert credentials.known("ALICE", stored, "alice", "right")
    assert not credentials.known("ALICE", stored, "alice", "wrong")
    assert not credentials.known("ALICE", stored, "bob", "right")
    assert not credentials.known("BOB", stored, "alice", "right")
    assert not credentials.known("ALICE", hasher.hash("new"), "alice", "right"), "hash changed"


def test_failures_slow_an_address_down_more_and_more_and_are_forgotten() -> None:
    failures = Failures(2, 0.25, 5.0)
    assert failures.not_before("a", 100.0) == 100.0
    delays = []
    for _ in range(8):
        failures.add("a", 100.0)
        delays.append(failures.not_before("a", 100.0) - 100.0)
    assert delays == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0]
    assert failures.not_before("b", 100.0) == 100.0
    assert failures.not_before("a", 500.0) == 500.0
    failures.clear("a")
    assert failures.not_before("a", 100.0) == 100.0
    for address in ("x", "y", "z"):
        failures.add(address, 100.0)
    assert failures.not_before("x", 100.0) == 100.0, "the table is bounded"


def v2(address: str, command: int = 1, extra: bytes = b"") -> bytes:
    source = ip_address(address).packed
    family = 0x11 if len(source) == 4 else 0x21
    body = source * 2 + struct.pack("!HH", 1, 2) + extra
    head = struct.pack("!BBH", 0x20 | command, family, len(body))
    return proxy_protocol.SIGNATURE_V2 + head + body


@pytest.mark.parametrize(
    ("data", "address"),
    [
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1000 2000\r\n", "192.0.2.1"),
        (b"PROXY TCP6 2001:db8::1 2001:db8::2 1000 2000\r\n", "2001:db8::1"),
        (b"PROXY UNKNOWN\r\n", ""),
        (v2("192.0.2.1"), "192.0.2.1"),
        (v2("2001:db8::1", extra=b"\x04\x00\x01\x00"), "2001:db8::1"),
        (v2("192.0.2.1", command=0), ""),
    ],
)
def test_proxy_headers_are_read_in_any_pieces(data: bytes, address: str) -> None:
    assert proxy_protocol.read(data + GOOD) == proxy_protocol.ProxyHeader(len(data), address)
    for size in range(1, len(data)):
        assert proxy_protocol.read(data[:size]) is None


@pytest.mark.parametrize(
    "data",
    [
        GOOD, b"PROXY TCP4 nobody 192.0.2.2 1 2\r\n", b"PROXY TCP4 192.0.2.1\r\n",
        b"PROXY " + b"x" * 200,
        proxy_protocol.SIGNATURE_V2 + struct.pack("!BBH", 0x11, 0x11, 12) + b"0" * 12,
        proxy_protocol.SIGNATURE_V2 + struct.pack("!BBH", 0x21, 0x11, 60_000),
        proxy_protocol.SIGNATURE_V2 + struct.pack("!BBH", 0x21, 0x11, 4) + b"0000",
        proxy_protocol.SIGNATURE_V2 + struct.pack("!BBH", 0x25, 0x11, 12) + b"0" * 12,
    ],
)  # fmt: skip
def test_what_is_no_proxy_header_is_refused(data: bytes) -> None:
    with pytest.raises(proxy_protocol.ProxyError):
        proxy_protocol.read(data)


@given(st.binary(max_size=150))
def test_reading_proxy_headers_never_fails_otherwise(data: bytes) -> None:
    for start in (b"", b"PROXY ", proxy_protocol.SIGNATURE_V2):
        try:
            proxy_protocol.read(start + data)
        except proxy_protocol.ProxyError:
            continue
