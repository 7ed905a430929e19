"""The first message of a connection, judged before QuickFIX sees a byte. Pure.

``framed`` finds the message in what has arrived and ``parse`` reads who it says it is;
``stranger`` says why nobody is let in under that name from there, and the client sees a closed
connection and nothing else. Once its credentials are right, ``fault`` says what else is wrong
with it, which the client may know, and ``read`` what it asks for. Nothing of it has changed
anything by then.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Final, Protocol, TypeAlias

from config.model import SessionSettings
from engine.core.types import CancelScope
from fix_gateway.codec.message import parse_time, time_text
from fix_gateway.door.logon_fields import STAMP, LogonGrammar
from fix_gateway.door.proxy_protocol import ClientCertificate
from fix_gateway.session.session import GRACE_S_MAX, LogonMark
from fix_gateway.settings import BEGIN_STRING, GatewaySettings

_START: Final = f"8={BEGIN_STRING}\x019=".encode("ascii")
_LENGTH_DIGITS_MAX: Final = 20
_TRAILER: Final = re.compile(rb"10=([0-9]{3})\x01")
_TRAILER_BYTES: Final = 7
_DATA_LENGTHS: Final = {"95": "96", "90": "91", "93": "89"}
"""A length, and the data field behind it, in which SOH may stand."""
_IDENTITY: Final = ("49", "56", "95", "96", "553", "554")
_REQUIRED: Final = ("34", "52", "98", "108")
_REPEATED: Final = frozenset(("372", "385"))
NUMBER_MAX: Final = 2**63 - 1
WRONG_TARGET: Final = "wrong TargetCompID"
UNKNOWN_SENDER: Final = "unknown SenderCompID"
STALE_LOGON: Final = "SendingTime of a signed Logon is too far from our clock"
MESSAGE_BYTES: Final = 65_536
"""What MaxMessageSize(383) must allow: the longest that an answer may become."""

Pairs: TypeAlias = tuple[tuple[str, str], ...]


class LogonError(ValueError):
    """These bytes are no Logon that says whose it is; the message says why."""


@dataclass(frozen=True, slots=True)
class Logon:
    """A Logon as it came: who it says it is, and its fields, which are not judged yet."""

    comp_id: str
    target: str
    username: str
    password: str
    sending_time_us: int
    """-1 where SendingTime(52) is missing or is no time."""
    pairs: Pairs
    fields: dict[str, str]
    raw: bytes

    def __repr__(self) -> str:
        return f"Logon(comp_id={self.comp_id!r}, …)"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a faultless Logon asks for. ``scope`` and ``grace_s`` None leave it to the settings,
    ``next_expected`` None leaves it to the client to ask for what it missed."""

    num: int
    heartbeat_s: int
    reset: bool
    scope: CancelScope | None
    grace_s: int | None
    snapshot: bool
    next_expected: int | None


def framed(data: bytes, limit: int) -> bytes | None:
    """Return the whole first message, or None while it may still become one.

    FIX 4.4, volume 1, Message Format: BeginString, BodyLength and CheckSum as they have to be.
    Raises LogonError.
    """
    head = data[: len(_START)]
    if head != _START[: len(head)]:
        raise LogonError("does not begin as FIX 4.4")
    end = data.find(b"\x01", len(_START))
    digits = data[len(_START) : end if end >= 0 else None]
    if (digits and not digits.isdigit()) or len(digits) > _LENGTH_DIGITS_MAX:
        raise LogonError("BodyLength(9) is not a small number")
    if end < 0:
        return None
    if not digits:
        raise LogonError("BodyLength(9) is empty")
    body_end = end + 1 + int(digits)
    if body_end + _TRAILER_BYTES > limit:
        raise LogonError("first message is too long")
    if len(data) < body_end + _TRAILER_BYTES:
        return None
    trailer = _TRAILER.fullmatch(data[body_end : body_end + _TRAILER_BYTES])
    if trailer is None or data[body_end - 1] != 1:
        raise LogonError("BodyLength(9) does not lead to CheckSum(10)")
    if sum(data[:body_end]) % 256 != int(trailer[1]):
        raise LogonError("CheckSum(10) is wrong")
    return data[: body_end + _TRAILER_BYTES]


def parse(message: bytes) -> Logon:
    """Read a framed Logon as far as it takes to know whose it is. Raises LogonError."""
    pairs = tuple(_pairs(message.decode("latin-1")))
    if [tag for tag, _ in pairs[:3]] != ["8", "9", "35"] or pairs[2][1] != "A":
        raise LogonError("the first message is not a Logon")
    fields: dict[str, str] = {}
    for tag, value in pairs:
        if tag in fields and tag in _IDENTITY:
            raise LogonError(f"tag {tag} appears twice")
        fields.setdefault(tag, value)
    for tag in ("49", "56"):
        if not fields.get(tag):
            raise LogonError(f"tag {tag} is missing")
    try:
        sending_time_us = parse_time(fields.get("52", ""))
    except ValueError:
        sending_time_us = -1
    return Logon(
        fields["49"], fields["56"], fields.get("553", ""), fields.get("554", ""),
        sending_time_us, pairs, fields, message,
    )  # fmt: skip


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """Yield tags and values in order. Raises LogonError."""
    place, data = 0, ("", 0)
    while place < len(text):
        equals = text.find("=", place)
        tag = text[place:equals] if equals >= 0 else ""
        if not (tag.isascii() and tag.isdigit()) or tag[0] == "0":
            raise LogonError("a field is malformed")
        start = equals + 1
        end = start + data[1] if tag == data[0] else text.find("\x01", start)
        if end < start or text[end : end + 1] != "\x01":
            raise LogonError(f"tag {tag} does not end where it should")
        value = text[start:end]
        known = value.isascii() and value.isdigit() and len(value) <= _LENGTH_DIGITS_MAX
        data = (_DATA_LENGTHS[tag], int(value)) if tag in _DATA_LENGTHS and known else ("", 0)
        yield tag, value
        place = end + 1


class Known(Protocol):
    """A session of the configuration, whoever serves it."""

    settings: SessionSettings


def stranger(
    logon: Logon,
    session: Known | None,
    address: str,
    settings: GatewaySettings,
    now_us: int,
    certificate: ClientCertificate | None = None,
) -> str:
    """Say why nobody is let in by this Logon, whatever its credentials; "" if somebody may be.

    ``certificate`` is the one that a proxy has seen, None where there is none.
    A signature that is not fresh proves nothing: it may be somebody's recording.
    """
    if logon.target != settings.comp_id:
        return WRONG_TARGET
    if session is None:
        return UNKNOWN_SENDER
    if not session.settings.enabled:
        return "session is disabled"
    if not _admits(session.settings.allow, address):
        return "address is not allowed"
    if session.settings.client_certificate:
        why = _other_certificate(session.settings.client_certificate, certificate)
        if why:
            return why
    if session.settings.public_key and not (
        -settings.signed_future_us <= now_us - logon.sending_time_us <= settings.signed_past_us
    ):
        return STALE_LOGON
    return ""


def _admits(allow: tuple[str, ...], address: str) -> bool:
    """Return True if an allow-list lets an address in; an empty one lets every address in."""
    if not allow:
        return True
    try:
        host = ip_address(address)
    except ValueError:
        return False
    return any(host in ip_network(text) for text in allow)


def _other_certificate(bound: str, certificate: ClientCertificate | None) -> str:
    """Say why a session that is bound to a certificate does not begin with this one."""
    if certificate is None:
        return "no client certificate, and the session is bound to one"
    if certificate.verify:
        return f"the client certificate is not verified: OpenSSL's code {certificate.verify}"
    if certificate.is_named(bound):
        return ""
    return (
        f"the client certificate is CN {certificate.common_name[:64]!r}, "
        f"{certificate.fingerprint or 'of unknown hash'}, and the session is bound to {bound!r}"
    )


def fault(logon: Logon, grammar: LogonGrammar, settings: GatewaySettings, now_us: int) -> str:
    """Say what is wrong with a Logon whose credentials are right; "" if nothing."""
    return (
        _fault_of_form(logon.pairs, grammar)
        or _fault_of_time(logon, settings, now_us)
        or _fault_of_values(logon.fields, settings)
        or _fault_of_group(logon.pairs)
    )


def _fault_of_form(pairs: Pairs, grammar: LogonGrammar) -> str:
    """Say what is wrong with which fields there are and how they stand."""
    seen: set[str] = set()
    beyond_header = False
    for tag, value in pairs:
        name = grammar.named(tag)
        if not value:
            return f"{name} has no value"
        if tag in grammar.header:
            if beyond_header:
                return f"{name} stands behind the fields of the body; the header comes first"
        elif tag in grammar.body or tag in grammar.trailer:
            beyond_header = True
        elif tag in grammar.names:
            return f"{name} does not belong in a Logon here"
        else:
            return f"{name} is not known here"
        if tag in seen and tag not in _REPEATED:
            return f"{name} appears twice"
        seen.add(tag)
    missing = [tag for tag in _REQUIRED if tag not in seen]
    return f"{grammar.named(missing[0])} is missing" if missing else ""


def _fault_of_time(logon: Logon, settings: GatewaySettings, now_us: int) -> str:
    if logon.sending_time_us < 0:
        return "SendingTime(52) is no UTC time such as 20260105-09:30:00.000"
    behind_us, window_us = now_us - logon.sending_time_us, settings.sending_time_window_us
    if abs(behind_us) <= window_us:
        return ""
    return f"{off(behind_us, now_us)}; at most {window_us // 1_000_000} are allowed"


def off(behind_us: int, now_us: int) -> str:
    """Say how far a SendingTime is behind the venue's clock, or ahead of it."""
    seconds, side = abs(behind_us) // 1_000_000, "behind" if behind_us > 0 else "ahead of"
    return f"SendingTime(52) is {seconds} seconds {side} the venue's clock, {time_text(now_us)}"


def _fault_of_values(fields: dict[str, str], settings: GatewaySettings) -> str:
    reset = fields.get("141", "N")
    num, heartbeat = _number(fields["34"]), _number(fields["108"])
    scope, grace = fields.get("20003", "0"), _number(fields.get("20004", "0"))
    size, expected = _number(fields.get("383", "")), _number(fields.get("789", "1"))
    faults = (
        (fields["98"].lstrip("0") != "", "EncryptMethod(98) must be 0: nothing is encrypted here"),
        (
            not 1 <= heartbeat <= settings.heartbeat_s_max,
            f"HeartBtInt(108) is a whole number of seconds from 1 to {settings.heartbeat_s_max}",
        ),
        (num < 1, "MsgSeqNum(34) is a whole number from 1 on"),
        (reset not in ("Y", "N"), "ResetSeqNumFlag(141) is Y or N"),
        (reset == "Y" and num != 1, "MsgSeqNum(34) must be 1 with ResetSeqNumFlag(141)=Y"),
        (expected < 1, "NextExpectedMsgSeqNum(789) is a whole number from 1 on"),
        (
            reset == "Y" and expected != 1,
            "NextExpectedMsgSeqNum(789) must be 1 with ResetSeqNumFlag(141)=Y",
        ),
        (scope not in ("0", "1", "2", "3"), "CancelOnDisconnect(20003) is 0, 1, 2 or 3"),
        (
            not 0 <= grace <= GRACE_S_MAX,
            f"GraceSeconds(20004) is a whole number from 0 to {GRACE_S_MAX}",
        ),
        (fields.get("20006", "N") not in ("Y", "N"), "OpenOrderSnapshot(20006) is Y or N"),
        (fields.get("43", "N") != "N", "a Logon is never sent again: PossDupFlag(43) must be N"),
        (fields.get("464", "N") != "N", "TestMessageIndicator(464)=Y: this is no test session"),
        (
            "383" in fields and size < MESSAGE_BYTES,
            f"MaxMessageSize(383) must be {MESSAGE_BYTES} or more: answers may be as long",
        ),
    )
    return next((text for wrong, text in faults if wrong), "")


def _fault_of_group(pairs: Pairs) -> str:
    """Say what is wrong with the group NoMsgTypes(384), of which nothing is used."""
    tags = [tag for tag, _ in pairs]
    count = next((value for tag, value in pairs if tag == "384"), "0")
    place = tags.index("384") + 1 if "384" in tags else len(tags)
    entries = place
    while entries < len(tags) and tags[entries] in _REPEATED:
        entries += 1
    inside: Sequence[str] = tags[place:entries]
    if sum(tag in _REPEATED for tag in tags) != len(inside):
        return "RefMsgType(372) and MsgDirection(385) stand behind NoMsgTypes(384) only"
    if inside and inside[0] != "372":
        return "an entry of NoMsgTypes(384) begins with RefMsgType(372)"
    if any(a == b == "385" for a, b in zip(inside, inside[1:], strict=False)):
        return "MsgDirection(385) appears twice in an entry of NoMsgTypes(384)"
    if _number(count) != inside.count("372"):
        stated = count if count.isascii() and count.isdigit() else "no number"
        return f"NoMsgTypes(384) says {stated[:10]} and {inside.count('372')} entries follow"
    return ""


def read(logon: Logon) -> Wishes:
    """Read what a Logon without ``fault`` asks for."""
    fields = logon.fields
    scope, grace = fields.get("20003"), fields.get("20004")
    expected = fields.get("789")
    return Wishes(
        num=_number(fields["34"]),
        heartbeat_s=_number(fields["108"]),
        reset=fields.get("141") == "Y",
        scope=None if scope is None else CancelScope(int(scope)),
        grace_s=None if grace is None else _number(grace),
        snapshot=fields.get("20006") == "Y",
        next_expected=None if expected is None else _number(expected),
    )


def for_quickfix(
    logon: Logon, wishes: Wishes, stamp: str, now_us: int
) -> tuple[bytes, LogonMark]:
    """Write the Logon that QuickFIX gets for the client's, and what it is known by.

    It has neither ResetSeqNumFlag nor password: the door has done with both. ``wishes`` are
    those that were granted. The SendingTime is ours, since verifying a password takes time.
    """
    return stamped_logon(
        logon.comp_id, logon.target, wishes.num, wishes.heartbeat_s, wishes.next_expected, stamp,
        time_text(now_us),
    )  # fmt: skip


def stamped_logon(
    comp_id: str,
    target: str,
    num: int,
    heartbeat_s: int,
    next_expected: int | None,
    stamp: str,
    sent_at: str,
) -> tuple[bytes, LogonMark]:
    """Write a Logon with the stamp by which QuickFIX takes it, and what it is known by."""
    expected = "" if next_expected is None else f"789={next_expected}\x01"
    body = (
        f"35=A\x0134={num}\x0149={comp_id}\x0152={sent_at}\x0156={target}\x01"
        f"98=0\x01108={heartbeat_s}\x01{expected}{STAMP}={stamp}\x01"
    )
    text = f"8={BEGIN_STRING}\x019={len(body)}\x01{body}"
    whole = f"{text}10={sum(text.encode('latin-1')) % 256:03d}\x01".encode("latin-1")
    return whole, (str(num), sent_at)


def _number(text: str) -> int:
    """Read a whole number; -1 stands for what is none, or is more than 64 bits hold.

    FIX 4.4, volume 1, Data Types: an int may have leading zeros.
    """
    digits = text.lstrip("0") or "0"
    if not text or not (text.isascii() and text.isdigit()) or len(digits) > 19:
        return -1
    value = int(digits)
    return value if value <= NUMBER_MAX else -1
