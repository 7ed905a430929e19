"""The door's checks by themselves: framing, Logon, credentials, PROXY protocol."""

from __future__ import annotations

import struct
from ipaddress import ip_address
from pathlib import Path

import argon2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.types import CancelScope
from fix_gateway import logon as logons
from fix_gateway import proxy
from fix_gateway.credentials import Credentials, Failures
from fix_gateway.logon import LogonError
from fix_gateway.message import parse_time
from fix_gateway.sessions import Session
from fix_gateway.settings import GatewaySettings, SessionSettings, networks
from fix_gateway.signatures import SignedLogons
from tests.fix.rawfix import encode

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
        b"8=FIX.4.4\x019=123456", b"8=FIX.4.4\x019=4090\x01", GOOD.replace(b"34=1", b"34=2"),
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
    assert (logon.comp_id, logon.target, logon.num) == ("ALICE", "TANDEM", 1)
    assert (logon.username, logon.password) == ("alice", "secret")
    assert logon.sending_time_us == parse_time(TIME)
    assert (logon.heartbeat_s, logon.reset) == (30, False)
    assert (logon.scope, logon.grace_s) == (CancelScope.SESSION, 15)
    assert "secret" not in repr(logon)


@pytest.mark.parametrize(
    "body",
    [
        HEADER.replace("35=A", "35=0") + "98=0|108=30|",
        HEADER.replace("34=1|", "") + "98=0|108=30|",
        HEADER + "98=0|",
        HEADER + "98=0|108=x|",
        HEADER + "98=0|108=30|20003=7|",
        HEADER + "98=0|108=30|20004=-5|",
        HEADER + "98=0|108=30|49=BOB|",
        HEADER + "98=0|108=30|554=a|554=b|",
        HEADER.replace(TIME, "yesterday") + "98=0|108=30|",
        HEADER + "98=0|108=30|553=|",
        "34=1|" + HEADER + "98=0|108=30|",
    ],
)
def test_a_wrong_logon_is_refused(body: str) -> None:
    with pytest.raises(LogonError):
        logons.parse(encode(body))


@pytest.fixture
def settings(tmp_path: Path) -> GatewaySettings:
    return GatewaySettings("127.0.0.1", 0, "TANDEM", tmp_path, tmp_path)


def session_of(settings: GatewaySettings, **changes: object) -> Session:
    values: dict[str, object] = {
        "comp_id": "ALICE", "account": "alice", "firm": "alice",
        "firm_accounts": frozenset({"alice"}), "username": "alice", "password_hash": "",
    }  # fmt: skip
    return Session(SessionSettings(**(values | changes)), settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "address", "admitted"),
    [
        ({}, "192.0.2.1", True),
        ({"allow": networks(["192.0.2.0/24"])}, "192.0.2.1", True),
        ({"allow": networks(["192.0.2.0/24"])}, "192.0.3.1", False),
        ({"allow": networks(["192.0.2.7"])}, "192.0.2.7", True),
        ({"allow": networks(["2001:db8::/32"])}, "2001:db8::1", True),
        ({"allow": networks(["2001:db8::/32"])}, "192.0.2.1", False),
        ({"allow": networks(["192.0.2.0/24"])}, "not an address", False),
        ({"enabled": False}, "192.0.2.1", False),
    ],
)
def test_the_allow_list_decides_by_address(
    settings: GatewaySettings, changes: dict[str, object], address: str, admitted: bool
) -> None:
    session = session_of(settings, **changes)
    reason = logons.objection(
        logons.parse(GOOD), session, address, settings, parse_time(TIME)
    )
    assert (reason == "") is admitted


@pytest.mark.parametrize(
    ("shift_s", "good"), [(-119, True), (119, True), (-121, False), (121, False)]
)
def test_sending_time_has_a_window(settings: GatewaySettings, shift_s: int, good: bool) -> None:
    now = parse_time(TIME) + shift_s * 1_000_000
    reason = logons.objection(logons.parse(GOOD), session_of(settings), "::1", settings, now)
    assert (reason == "") is good


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
    return proxy.SIGNATURE_V2 + struct.pack("!BBH", 0x20 | command, family, len(body)) + body


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
    assert proxy.read(data + GOOD) == proxy.ProxyHeader(len(data), address)
    for size in range(1, len(data)):
        assert proxy.read(data[:size]) is None


@pytest.mark.parametrize(
    "data",
    [
        GOOD, b"PROXY TCP4 nobody 192.0.2.2 1 2\r\n", b"PROXY TCP4 192.0.2.1\r\n",
        b"PROXY " + b"x" * 200,
        proxy.SIGNATURE_V2 + struct.pack("!BBH", 0x11, 0x11, 12) + b"0" * 12,
        proxy.SIGNATURE_V2 + struct.pack("!BBH", 0x21, 0x11, 60_000),
        proxy.SIGNATURE_V2 + struct.pack("!BBH", 0x21, 0x11, 4) + b"0000",
        proxy.SIGNATURE_V2 + struct.pack("!BBH", 0x25, 0x11, 12) + b"0" * 12,
    ],
)  # fmt: skip
def test_what_is_no_proxy_header_is_refused(data: bytes) -> None:
    with pytest.raises(proxy.ProxyError):
        proxy.read(data)


@given(st.binary(max_size=150))
def test_reading_proxy_headers_never_fails_otherwise(data: bytes) -> None:
    for start in (b"", b"PROXY ", proxy.SIGNATURE_V2):
        try:
            proxy.read(start + data)
        except proxy.ProxyError:
            continue
