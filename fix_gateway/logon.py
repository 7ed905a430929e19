"""The first message of a connection, checked before QuickFIX sees a byte. Pure.

``framed`` finds the message in what has arrived, ``parse`` reads it, ``objection`` says what
is wrong with it, for our log only: the client sees a closed connection and nothing else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from engine.core.types import CancelScope
from fix_gateway.message import parse_time
from fix_gateway.sessions import GRACE_S_MAX, LogonMark, Session
from fix_gateway.settings import BEGIN_STRING, GatewaySettings

_START: Final = f"8={BEGIN_STRING}\x019=".encode("ascii")
_LENGTH_DIGITS_MAX: Final = 5
_TRAILER: Final = re.compile(rb"10=([0-9]{3})\x01")
_TRAILER_BYTES: Final = 7
_SINGLE: Final = frozenset(
    "8 9 10 34 35 49 52 56 95 96 98 108 141 553 554 20003 20004 20006".split()
)


class LogonError(ValueError):
    """These bytes are no Logon of ours; the message says why."""


@dataclass(frozen=True, slots=True)
class Logon:
    """What a Logon says. ``scope`` and ``grace_s`` are None where it leaves them open."""

    comp_id: str
    target: str
    num: int
    sending_time_us: int
    username: str
    password: str
    heartbeat_s: int
    reset: bool
    scope: CancelScope | None
    grace_s: int | None
    fields: dict[str, str]
    raw: bytes

    @property
    def mark(self) -> LogonMark:
        """What it is known by when QuickFIX has read it."""
        return self.fields["34"], self.fields["52"], self.reset

    def __repr__(self) -> str:
        return f"Logon(comp_id={self.comp_id!r}, num={self.num}, …)"


def framed(data: bytes, limit: int) -> bytes | None:
    """The whole first message, or None while it may still become one. Raises LogonError."""
    head = data[: len(_START)]
    if head != _START[: len(head)]:
        raise LogonError("does not begin as FIX 4.4")
    end = data.find(b"\x01", len(_START))
    if end < 0:
        if len(data) > len(_START) + _LENGTH_DIGITS_MAX:
            raise LogonError("BodyLength is not a small number")
        return None
    digits = data[len(_START) : end]
    if not digits.isdigit() or len(digits) > _LENGTH_DIGITS_MAX:
        raise LogonError("BodyLength is not a small number")
    body_end = end + 1 + int(digits)
    if body_end + _TRAILER_BYTES > limit:
        raise LogonError("first message is too long")
    if len(data) < body_end + _TRAILER_BYTES:
        return None
    trailer = _TRAILER.fullmatch(data[body_end : body_end + _TRAILER_BYTES])
    if trailer is None or data[body_end - 1] != 1:
        raise LogonError("BodyLength does not lead to the checksum")
    if sum(data[:body_end]) % 256 != int(trailer[1]):
        raise LogonError("checksum is wrong")
    return data[: body_end + _TRAILER_BYTES]


def parse(message: bytes) -> Logon:
    """Read a framed Logon. Raises LogonError."""
    fields: dict[str, str] = {}
    for part in message.decode("latin-1").split("\x01")[:-1]:
        tag, equals, value = part.partition("=")
        if not equals or not tag.isdigit() or not value:
            raise LogonError("a field is malformed")
        if tag in fields and tag in _SINGLE:
            raise LogonError(f"tag {tag} appears twice")
        fields.setdefault(tag, value)
    if list(fields)[:3] != ["8", "9", "35"] or fields["35"] != "A":
        raise LogonError("the first message is not a Logon")
    try:
        sending_time_us = parse_time(fields["52"])
        scope, grace = fields.get("20003"), fields.get("20004")
        return Logon(
            comp_id=fields["49"],
            target=fields["56"],
            num=_number(fields["34"]),
            sending_time_us=sending_time_us,
            username=fields.get("553", ""),
            password=fields.get("554", ""),
            heartbeat_s=_number(fields["108"]),
            reset=fields.get("141", "N") == "Y",
            scope=None if scope is None else CancelScope(_number(scope)),
            grace_s=None if grace is None else _number(grace),
            fields=fields,
            raw=message,
        )
    except KeyError as error:
        raise LogonError(f"tag {error.args[0]} is missing") from None
    except ValueError as error:
        raise LogonError(f"a value is wrong: {error}") from None


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise ValueError(f"{text[:20]!r} is not a whole number")
    return int(text)


def objection(
    logon: Logon, session: Session | None, address: str, settings: GatewaySettings, now_us: int
) -> str:
    """What is wrong with a Logon, credentials apart; "" if nothing is."""
    if logon.target != settings.comp_id:
        return "wrong TargetCompID"
    if session is None:
        return "unknown SenderCompID"
    if not session.settings.enabled:
        return "session is disabled"
    if not session.settings.admits(address):
        return "address is not allowed"
    past_us = future_us = settings.sending_time_window_us
    if session.settings.public_key:
        past_us, future_us = settings.signed_past_us, settings.signed_future_us
    if not -future_us <= now_us - logon.sending_time_us <= past_us:
        return "SendingTime is too far from our clock"
    if logon.fields.get("98") != "0":
        return "EncryptMethod is not 0"
    if not 1 <= logon.heartbeat_s <= settings.heartbeat_s_max:
        return f"HeartBtInt is not within 1 and {settings.heartbeat_s_max}"
    if logon.num < 1:
        return "MsgSeqNum is not positive"
    if logon.reset and logon.num != 1:
        return "ResetSeqNumFlag with a MsgSeqNum other than 1"
    if logon.grace_s is not None and logon.grace_s > GRACE_S_MAX:
        return f"grace is above {GRACE_S_MAX} seconds"
    return ""
