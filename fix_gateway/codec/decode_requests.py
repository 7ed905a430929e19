"""Requests: H, AF, x, AD, BB and our UD to Query objects."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from engine.core.authority import SessionKind, Thing
from engine.core.types import RejectReason
from fix_gateway.codec.context import SessionContext
from fix_gateway.codec.fields import (
    Rejected,
    account_of,
    ascii_of,
    check_ascii,
    order_id_of,
    shown,
    side_of,
)
from fix_gateway.codec.message import FixMessage, parse_time
from fix_gateway.codec.reject_codes import BUSINESS_REJECT_REASON
from fix_gateway.codec.requests import (
    BalancesQuery,
    InvalidRequest,
    MarketRequest,
    MassStatusQuery,
    OrderStatusQuery,
    Query,
    ReplayQuery,
    SecurityListQuery,
    TradesQuery,
)
from fix_gateway.codec.third_party import read_route

_EXEC_ID: Final = re.compile(r"[1-9][0-9]{0,17}-(0|[1-9][0-9]{0,8})\Z")
_DAY_US: Final = 86_400_000_000
_PERIOD: Final = frozenset(("75", "60"))


def _order_status(message: FixMessage, context: SessionContext, num: int) -> Query:
    fields = message.fields
    client_order_id, order_id = message.get("11"), order_id_of(fields)
    if not client_order_id and not order_id:
        raise Rejected(
            RejectReason.INVALID_FIELD,
            "ClOrdID(11) or OrderID(37) is needed to say which order is meant",
        )
    return OrderStatusQuery(
        num,
        account_of(fields, context) if "1" in fields else "",
        client_order_id,
        order_id,
        message.get("790"),
        message.get("55"),
        message.get("54"),
    )


def _mass_status(message: FixMessage, context: SessionContext, num: int) -> Query:
    fields = message.fields
    kind = message.get("585")
    if kind not in ("1", "7"):
        raise Rejected(
            RejectReason.UNSUPPORTED_COMBINATION,
            f"MassStatusReqType(585) {shown(kind)} is not supported; use 1 (one symbol) or 7 (all)",
        )
    if (kind == "1") != ("55" in fields):
        raise Rejected(
            RejectReason.INVALID_FIELD,
            "Symbol(55) is needed with MassStatusReqType(585)=1 and goes with no other",
        )
    return MassStatusQuery(
        num,
        message.get("584"),
        account_of(fields, context) if "1" in fields else "",
        message.get("55"),
        side_of(fields) if "54" in fields else None,
        message.get("526"),
    )


def _snapshot_only(message: FixMessage) -> None:
    if message.get("263", "0") != "0":
        raise Rejected(
            RejectReason.UNSUPPORTED_COMBINATION,
            "SubscriptionRequestType(263) must be 0 (snapshot) or absent",
        )


def _security_list(message: FixMessage, context: SessionContext, num: int) -> Query:
    _snapshot_only(message)
    kind = message.get("559")
    if kind not in ("0", "4"):
        raise Rejected(
            RejectReason.UNSUPPORTED_COMBINATION,
            f"SecurityListRequestType(559) {shown(kind)} is not supported; use 0 (one) or 4 (all)",
        )
    if kind == "0" and not message.get("55"):
        raise Rejected(
            RejectReason.INVALID_FIELD, "Symbol(55) is needed with SecurityListRequestType(559)=0"
        )
    return SecurityListQuery(num, message.get("320"), message.get("55") if kind == "0" else "")


def _period(message: FixMessage) -> tuple[int, int]:
    """Read NoDates(580): none, one (from then on), or two (from, until); dates count as days.

    Returns microseconds since 1970, 0 for no bound; the end is not included. Raises Rejected.
    """
    bounds = message.group("580", "75", _PERIOD) or message.group("580", "60", _PERIOD)
    if len(bounds) > 2:
        raise Rejected(RejectReason.INVALID_FIELD, "NoDates(580) takes one or two dates")
    times: list[int] = []
    try:
        for number, bound in enumerate(bounds):
            if "60" in bound:
                times.append(parse_time(bound["60"]))
            else:
                start = parse_time(f"{bound['75']}-00:00:00")
                times.append(start + _DAY_US if number else start)
    except ValueError:
        raise Rejected(
            RejectReason.INVALID_FIELD,
            "NoDates(580) holds a TradeDate(75) or TransactTime(60) that is none",
        ) from None
    return (times[0] if times else 0), (times[1] if len(times) > 1 else 0)


def _trades(message: FixMessage, context: SessionContext, num: int) -> Query:
    fields = message.fields
    kind = message.get("569")
    if kind not in ("0", "1"):
        raise Rejected(
            RejectReason.UNSUPPORTED_COMBINATION,
            f"TradeRequestType(569) {shown(kind)} is not supported; use 0 (all) or 1 (filtered)",
        )
    trade_id = message.get("880", "0")
    if not (trade_id.isdecimal() and len(trade_id) < 19):
        raise Rejected(
            RejectReason.INVALID_FIELD, f"TrdMatchID(880) {shown(trade_id)} is not a trade id"
        )
    subscription = message.get("263", "0")
    if subscription == "1" and trade_id != "0":
        raise Rejected(
            RejectReason.UNSUPPORTED_COMBINATION,
            "TrdMatchID(880) names one trade that was; it does not go with "
            "SubscriptionRequestType(263)=1",
        )
    from_us, until_us = _period(message)
    return TradesQuery(
        num,
        message.get("568"),
        kind,
        account_of(fields, context) if "1" in fields else "",
        message.get("55"),
        side_of(fields) if "54" in fields else None,
        message.get("526"),
        order_id_of(fields),
        message.get("11"),
        int(trade_id),
        from_us,
        until_us,
        subscription,
    )


def _balances(message: FixMessage, context: SessionContext, num: int) -> Query:
    _snapshot_only(message)
    account = account_of(message.fields, context) if "1" in message.fields else ""
    return BalancesQuery(num, message.get("909"), account, message.get("15"))


def _replay(message: FixMessage, context: SessionContext, num: int) -> Query:
    exec_id = message.get("17")
    if not exec_id:
        return ReplayQuery(num, message.get("20017"), 0, -1)
    if _EXEC_ID.match(exec_id) is None:
        return ReplayQuery(num, message.get("20017"), -1, -1, exec_id)
    seq, _, index = exec_id.partition("-")
    return ReplayQuery(num, message.get("20017"), int(seq), int(index), exec_id)


_Reader = Callable[[FixMessage, SessionContext, int], Query]
_READERS: Final[Mapping[str, tuple[_Reader, str]]] = {
    "H": (_order_status, "11"),
    "AF": (_mass_status, "584"),
    "x": (_security_list, "320"),
    "AD": (_trades, "568"),
    "BB": (_balances, "909"),
    "UD": (_replay, "20017"),
}
QUERY_TYPES: Final = frozenset(_READERS)


_KINDS: Final[Mapping[SessionKind, str]] = {
    "order": "this session",
    "drop_copy": "a drop-copy session, which only reads",
    "market_data": "a market data session, which reads the market alone",
}
MARKET_TYPES: Final[Mapping[str, tuple[str, str]]] = {
    "V": ("262", "3"), "e": ("324", "6"), "g": ("335", "6"),
}  # fmt: skip
"""Requests for market data: the tag of their id, and the reason (281 of Y, 380 of j) by which a
session is told that it may not have it."""


def market_request(message: FixMessage, context: SessionContext) -> Query | MarketRequest:
    """Return what a request for market data is, as far as the session's authority goes."""
    msg_type, num = message.msg_type, int(message.get("34"))
    if context.reads_market:
        return MarketRequest(num, msg_type)
    id_tag, reason = MARKET_TYPES[msg_type]
    text = not_allowed(msg_type, context)
    if context.may(Thing.READ_MARKET):
        text += "; its setting market_data is false"
    return InvalidRequest(
        num, msg_type, shown(ascii_of(message.get(id_tag))), reason, text, "not_permitted",
        route=read_route(message.fields)[0],
    )  # fmt: skip


def not_allowed(msg_type: str, context: SessionContext) -> str:
    """Say in a sentence why a message is not for a session of this kind."""
    return f"MsgType(35) {msg_type} is not allowed on {_KINDS[context.settings.kind]}"


def translate_query(message: FixMessage, context: SessionContext, allowed: bool = True) -> Query:
    """Read a request; return InvalidRequest where it is malformed or not allowed here."""
    reader, id_tag = _READERS[message.msg_type]
    num = int(message.get("34"))
    route, fault = read_route(message.fields)
    query: Query
    try:
        if not allowed:
            raise Rejected(RejectReason.NOT_PERMITTED, not_allowed(message.msg_type, context))
        check_ascii(message.text)
        if fault:
            raise Rejected(RejectReason.INVALID_FIELD, fault)
        query = reader(message, context, num)
    except Rejected as error:
        request_id = ascii_of(message.get(id_tag))
        reason = BUSINESS_REJECT_REASON.get(error.reason, "0")
        query = InvalidRequest(
            num, message.msg_type, shown(request_id), reason, error.text, error.reason.name.lower(),
            message.get("569", "0"),
        )  # fmt: skip
    return query if route is None else query._replace(route=route)
