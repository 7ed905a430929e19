"""Reject reasons in FIX 4.4. The table for people is in spec/FIX.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from engine.core.types import CancelReason, OrdStatus, RejectReason, RestateReason

R = RejectReason

ORD_REJ_OTHER: Final = "99"
CXL_REJ_OTHER: Final = "99"
CXL_REJ_UNKNOWN: Final = "1"

ORD_REJ_REASON: Final[Mapping[RejectReason, str]] = {
    R.UNKNOWN_SYMBOL: "1",
    R.INSTRUMENT_HALTED: "2",
    R.QUANTITY_TOO_LARGE: "3",
    R.PRICE_TOO_LARGE: "3",
    R.INSUFFICIENT_FUNDS: "3",
    R.TOO_MANY_OPEN_ORDERS: "3",
    R.STALE_RESEND: "4",
    R.REQUEST_EXPIRED: "4",
    R.TOO_LATE: "4",
    R.UNKNOWN_ORDER: "5",
    R.DUPLICATE_CLIENT_ORDER_ID: "6",
    R.UNSUPPORTED_COMBINATION: "11",
    R.INVALID_QUANTITY: "13",
    R.QUANTITY_TOO_SMALL: "13",
    R.UNKNOWN_ACCOUNT: "15",
    R.ACCOUNT_SUSPENDED: "0",
    R.SWEEP_TOO_LARGE: "3",
    R.INSTRUMENT_BUSY: "0",
}
"""OrdRejReason(103); what is not here is 99 with Text(58)."""

CXL_REJ_REASON: Final[Mapping[RejectReason, str]] = {
    R.TOO_LATE: "0",
    R.UNKNOWN_ORDER: "1",
    R.MISMATCH: "2",
    R.UNKNOWN_SYMBOL: "2",
    R.DUPLICATE_CLIENT_ORDER_ID: "6",
    R.ACCOUNT_SUSPENDED: "2",
}
"""CxlRejReason(102); what is not here is 99 with Text(58)."""

MASS_CANCEL_REJECT_REASON: Final[Mapping[RejectReason, str]] = {
    R.UNSUPPORTED_COMBINATION: "0",
    R.UNKNOWN_SYMBOL: "1",
}
"""MassCancelRejectReason(532); what is not here is 99 with Text(58)."""

BUSINESS_REJECT_REASON: Final[Mapping[RejectReason, str]] = {
    R.UNKNOWN_ORDER: "1",
    R.UNKNOWN_SYMBOL: "2",
    R.INVALID_FIELD: "5",
    R.NOT_PERMITTED: "6",
    R.UNKNOWN_ACCOUNT: "6",
    R.ACCOUNT_SUSPENDED: "6",
}
"""BusinessRejectReason(380); what is not here is 0 with Text(58)."""

TRADE_REQUEST_OTHER: Final = "99"
TRADE_REQUEST_RESULT: Final[Mapping[str, str]] = {
    "unknown_symbol": "1",
    "unsupported_combination": "8",
    "unknown_account": "9",
    "not_permitted": "9",
}
"""TradeRequestResult(749) by RejectCode; what is not here is 99 with Text(58)."""

ORD_STATUS: Final[Mapping[OrdStatus, str]] = {
    OrdStatus.NEW: "0",
    OrdStatus.PARTIALLY_FILLED: "1",
    OrdStatus.FILLED: "2",
    OrdStatus.CANCELED: "4",
    OrdStatus.REJECTED: "8",
    OrdStatus.EXPIRED: "C",
}

CANCEL_TEXT: Final[Mapping[CancelReason, str]] = {
    CancelReason.REQUESTED: "",
    CancelReason.MASS_CANCEL: "Canceled by a mass cancel",
    CancelReason.IOC_REMAINDER: "Immediate-or-cancel remainder canceled",
    CancelReason.FOK_UNFILLABLE: "Fill-or-kill order could not be filled whole at once",
    CancelReason.MARKET_REMAINDER: "Market order remainder canceled: nothing more to trade with",
    CancelReason.SELF_TRADE: "Canceled by self-trade prevention",
    CancelReason.DISCONNECT: "Canceled on disconnect",
    CancelReason.EXPIRED: "Expired",
    CancelReason.DEAD_MAN_SWITCH: "Canceled by the dead man's switch",
    CancelReason.OPERATOR: "Canceled by the venue",
    CancelReason.MIN_QTY: "MinQty(110) could not be filled at once",
    CancelReason.PRICE_BAND: "Canceled: what is left could only trade outside the price band",
    CancelReason.STOP_UNFUNDED: "Triggered stop order is not covered by available money",
    CancelReason.SWEEP_TOO_LARGE: "The order would match more orders than one step allows",
    CancelReason.UNFUNDED: "The rest of the market order is not covered by available money",
    CancelReason.POST_ONLY: "The order is post-only and would have traded when its turn came",
}
"""Text(58) of a cancel that is not the plain answer to a request."""


RESTATE_REASON: Final[Mapping[RestateReason, tuple[str, str]]] = {
    RestateReason.SELF_TRADE_DECREMENT: ("5", "Quantity reduced by self-trade prevention"),
    RestateReason.RESTS: ("8", "The order waited for its turn and rests in the book now"),
}
"""ExecRestatementReason(378) and Text(58)."""


def reject_code(reason: RejectReason) -> str:
    """Return a reason's stable code, RejectCode(20016): the same as in errors of the REST API."""
    return reason.name.lower()
