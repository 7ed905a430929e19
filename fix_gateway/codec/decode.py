"""FIX application messages to commands and queries: pure, one call for one message.

``translate`` never raises for what a client sent: a request that has no form as a command
becomes a RecordRefusal with all that its answer needs, so that the refusal is committed and
the same message is never accepted later.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from engine.core.authority import Reach, Thing, reach
from engine.core.commands import Command, RecordRefusal
from engine.core.types import Origin, RejectReason, RequestKind
from fix_gateway.codec.batches import batch, new_order_list
from fix_gateway.codec.context import HOLDERS, SessionContext
from fix_gateway.codec.decode_requests import (
    MARKET_TYPES,
    QUERY_TYPES,
    market_request,
    not_allowed,
    translate_query,
)
from fix_gateway.codec.fields import (
    Fields,
    Instruments,
    Rejected,
    account_to_record,
    ascii_of,
    check_ascii,
    shown,
)
from fix_gateway.codec.message import SOH, FixMessage, parse_time
from fix_gateway.codec.orders import (
    cancel_order,
    mass_cancel,
    new_order,
    order_echo,
    refusal,
    replace_order,
)
from fix_gateway.codec.requests import MarketRequest, Query
from fix_gateway.codec.third_party import has_fields, read_route

MESSAGE_CHARS_MAX: Final = 65_536
"""Bound on one application message; a batch of 50 full entries needs about 15,000."""

_REQUESTS: Final = {
    "D": RequestKind.NEW,
    "F": RequestKind.CANCEL,
    "G": RequestKind.REPLACE,
    "q": RequestKind.MASS_CANCEL,
    "E": RequestKind.BATCH,
    "UB": RequestKind.BATCH,
}
THINGS: Final = {
    "D": Thing.ENTER_ORDERS,
    "E": Thing.ENTER_ORDERS,
    "G": Thing.CHANGE_ORDERS,
    "F": Thing.CANCEL_ORDERS,
    "q": Thing.CANCEL_ORDERS,
    "UB": Thing.BATCH_ORDERS,
    "H": Thing.READ_ORDERS,
    "AF": Thing.READ_ORDERS,
    "UD": Thing.READ_ORDERS,
    "AD": Thing.READ_FILLS,
    "BB": Thing.READ_MONEY,
    "x": Thing.READ_REFERENCE,
    "V": Thing.READ_MARKET,
    "e": Thing.READ_MARKET,
    "g": Thing.READ_MARKET,
}
"""What each message causes or reads, as the table of authority names it."""
_ALLOWED: Final = {
    kind: frozenset([t for t, thing in THINGS.items() if reach(holder, thing) is not Reach.NONE])
    for kind, holder in HOLDERS.items()
}
_MAKES_ORDERS: Final = frozenset(("D", "G", "E", "UB"))

_OfFields = Callable[[Fields, SessionContext, Origin, Instruments], Command]
_OfGroups = Callable[[FixMessage, SessionContext, Origin, Instruments], Command]
_SINGLE: Final[dict[str, _OfFields]] = {
    "D": new_order, "F": cancel_order, "G": replace_order, "q": mass_cancel,
}  # fmt: skip
_LISTS: Final[dict[str, _OfGroups]] = {"E": new_order_list, "UB": batch}
SUPPORTED: Final = frozenset(_SINGLE) | frozenset(_LISTS) | QUERY_TYPES | MARKET_TYPES.keys()
"""The MsgTypes that ``translate`` knows; any other is answered with 35=j, 380=3."""


def translate(
    text: str, session: SessionContext, epoch: int, instruments: Instruments, now_us: int
) -> Command | Query | MarketRequest | None:
    """Turn one application message, as QuickFIX's ``toString`` gives it, into its meaning.

    None means that its MsgType is not supported. ``now_us`` is only compared with the
    OrigSendingTime of a message with PossDupFlag=Y.
    """
    message = FixMessage(text)
    fields = message.fields
    msg_type = fields.get("35", "")
    single = _SINGLE.get(msg_type)
    if single is None and msg_type not in _LISTS:
        if msg_type in MARKET_TYPES:
            return market_request(message, session)
        if msg_type not in QUERY_TYPES:
            return None
        return translate_query(message, session, msg_type in _ALLOWED[session.settings.kind])
    origin = Origin(session.source, epoch, int(fields["34"]), term=session.term)
    fault = ""
    if has_fields(fields):
        route, fault = read_route(fields)
        origin = origin._replace(route=route)
    try:
        if msg_type not in _ALLOWED[session.settings.kind]:
            raise Rejected(RejectReason.NOT_PERMITTED, not_allowed(msg_type, session))
        _check_text(text, fields)
        if fault:
            raise Rejected(RejectReason.INVALID_FIELD, fault)
        if "43" in fields and msg_type in _MAKES_ORDERS:
            _check_age(fields, now_us, session.stale_after_us)
        if single is not None:
            return single(fields, session, origin, instruments)
        return _LISTS[msg_type](message, session, origin, instruments)
    except Rejected as error:
        return refuse(message, session, origin, error.reason, error.text)


def refuse(
    message: FixMessage, session: SessionContext, origin: Origin, reason: RejectReason, text: str
) -> RecordRefusal:
    """Return the refusal of a message, whatever is wrong with it (for instance a throttle).

    Answered with 8, 9, r, N or UC by its MsgType, and with j where the session may not send
    it, or where it is too long to be repeated.
    """
    msg_type = message.msg_type
    fields: Fields = message.fields
    request = _REQUESTS.get(msg_type, RequestKind.OTHER)
    if reason in (RejectReason.NOT_PERMITTED, RejectReason.MESSAGE_TOO_BIG):
        request = RequestKind.OTHER
    if not message.text.isascii():
        fields = {tag: ascii_of(value) for tag, value in fields.items()}
        text = ascii_of(text)
    account = account_to_record(fields, session)
    if request in (RequestKind.BATCH, RequestKind.OTHER):
        id_tag = "66" if msg_type in ("E", "UB") else "11"
        total = fields.get("68", "0")
        return RecordRefusal(
            origin,
            account,
            request,
            reason,
            text,
            shown(fields.get(id_tag, "")) if request is RequestKind.OTHER else fields.get("66", ""),
            echo=f"{msg_type}{SOH}{total if total.isdecimal() else '0'}",
        )
    if request is RequestKind.NEW:
        echo = order_echo(fields, account)
    else:
        echo = fields.get("530", "") if request is RequestKind.MASS_CANCEL else ""
    return refusal(fields, account, origin, request, reason, text, echo)


def _check_text(text: str, fields: Fields) -> None:
    """Refuse what is too long to keep, or not the ASCII that FIX 4.4 text is made of."""
    if len(text) > MESSAGE_CHARS_MAX:
        raise Rejected(
            RejectReason.MESSAGE_TOO_BIG,
            f"The message has {len(text)} characters; at most {MESSAGE_CHARS_MAX} are taken",
        )
    check_ascii(text)


def _check_age(fields: Fields, now_us: int, stale_after_us: int) -> None:
    """Refuse to make an order of a message that was held up on its way (PossDupFlag=Y)."""
    if fields["43"] != "Y":
        return
    try:
        first_sent_us = parse_time(fields.get("122", ""))
        age_us = now_us - first_sent_us
        sent_us = parse_time(fields["52"]) if "52" in fields else now_us
        if first_sent_us > sent_us:
            raise Rejected(
                RejectReason.STALE_RESEND,
                "PossDupFlag(43)=Y and OrigSendingTime(122) is later than SendingTime(52), "
                "so nothing was entered or changed",
            )
    except ValueError:
        age_us = stale_after_us + 1
    if age_us > stale_after_us:
        raise Rejected(
            RejectReason.STALE_RESEND,
            "PossDupFlag(43)=Y and OrigSendingTime(122) is more than "
            f"{stale_after_us / 1e6:g} s old, so nothing was entered or changed",
        )
