"""Readers of single fields: FIX text to the values of a command, or a rejection.

What the engine can judge by itself is left to it; refused here is only what has no form as a
command.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from engine.core.instruments import (
    PRICE_REASONS,
    QUANTITY_REASONS,
    Instrument,
    NumberError,
    NumberKind,
)
from engine.core.types import (
    CLIENT_ID_LENGTH_MAX,
    INT64_MAX,
    OrdType,
    RejectReason,
    SelfTrade,
    Side,
    TimeInForce,
)
from fix_gateway.codec.context import SessionContext
from fix_gateway.codec.message import parse_time

Instruments = Mapping[str, Instrument]
Fields = Mapping[str, str]
Value = TypeVar("Value")

SIDES: Final = {"1": Side.BUY, "2": Side.SELL}
ORD_TYPES: Final = {
    "1": OrdType.MARKET,
    "2": OrdType.LIMIT,
    "3": OrdType.STOP,
    "4": OrdType.STOP_LIMIT,
}
TIMES_IN_FORCE: Final = {
    "0": TimeInForce.DAY,
    "1": TimeInForce.GTC,
    "3": TimeInForce.IOC,
    "4": TimeInForce.FOK,
    "6": TimeInForce.GTD,
}
SELF_TRADES: Final = {str(int(mode)): mode for mode in SelfTrade}
_PRICED: Final = frozenset((OrdType.LIMIT, OrdType.STOP_LIMIT))
_STOPPED: Final = frozenset((OrdType.STOP, OrdType.STOP_LIMIT))
_TYPE_NAMES: Final = {
    OrdType.MARKET: "a market order (OrdType(40)=1)",
    OrdType.LIMIT: "a limit order (OrdType(40)=2)",
    OrdType.STOP: "a stop order (OrdType(40)=3)",
    OrdType.STOP_LIMIT: "a stop-limit order (OrdType(40)=4)",
}
_SHOWN_MAX: Final = 40


class Rejected(Exception):
    """A request has no form as a command: the reason, and one sentence for a person."""

    def __init__(self, reason: RejectReason, text: str) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text


def shown(value: str) -> str:
    """Return a client's value as a sentence may show it: its first 40 characters."""
    return value if len(value) <= _SHOWN_MAX else value[:_SHOWN_MAX] + "..."


def check_ascii(text: str) -> None:
    """Check that a message is ASCII, as FIX 4.4 text is. Raises Rejected."""
    if not text.isascii():
        raise Rejected(
            RejectReason.INVALID_FIELD, "The message holds characters that are not ASCII"
        )


def ascii_of(text: str) -> str:
    """Return a client's text with a question mark for each character that is not ASCII."""
    return text.encode("ascii", "replace").decode("ascii")


def account_of(fields: Fields, context: SessionContext) -> str:
    """Return Account(1), or the session's own where it is absent.

    Raises Rejected (UNKNOWN_ACCOUNT) where the session does not reach it.
    """
    account = fields.get("1")
    if account is None:
        return context.settings.account
    if account not in context.settings.accounts:
        raise Rejected(
            RejectReason.UNKNOWN_ACCOUNT,
            f"Account(1) {shown(account)} is not an account of your firm"
            if context.firm_wide
            else f"Account(1) {shown(account)} is not {context.settings.account}, the only account "
            "that this session acts for and reads",
        )
    return account


def account_to_record(fields: Fields, context: SessionContext) -> str:
    """Return the account for the record of a refusal: Account(1) if the session reaches it."""
    account = fields.get("1", "")
    return account if account in context.settings.accounts else context.settings.account


def instrument_of(fields: Fields, instruments: Instruments) -> Instrument:
    """Return the instrument of Symbol(55). Raises Rejected (UNKNOWN_SYMBOL)."""
    symbol = fields.get("55", "")
    instrument = instruments.get(symbol)
    if instrument is None:
        raise Rejected(
            RejectReason.UNKNOWN_SYMBOL,
            f"Symbol(55) {shown(symbol)} is not traded here; SecurityListRequest(x) lists what is",
        )
    return instrument


def _supported(fields: Fields, tag: str, name: str, values: Mapping[str, Value], use: str) -> Value:
    """Return what a tag's value stands for. Raises Rejected where it is not in ``values``."""
    text = fields.get(tag, "")
    value = values.get(text)
    if value is None:
        raise Rejected(
            RejectReason.UNSUPPORTED_COMBINATION,
            f"{name} {shown(text)} is not supported; use {use}",
        )
    return value


def side_of(fields: Fields) -> Side:
    """Return Side(54). Raises Rejected."""
    return _supported(fields, "54", "Side(54)", SIDES, "1 (buy) or 2 (sell)")


def ord_type_of(fields: Fields) -> OrdType:
    """Return OrdType(40). Raises Rejected."""
    return _supported(fields, "40", "OrdType(40)", ORD_TYPES, "1, 2, 3 or 4")


def time_in_force_of(fields: Fields) -> TimeInForce:
    """Return TimeInForce(59). Raises Rejected."""
    return _supported(fields, "59", "TimeInForce(59)", TIMES_IN_FORCE, "0, 1, 3, 4 or 6")


def client_id(fields: Fields, tag: str = "11", name: str = "ClOrdID(11)") -> str:
    """Return an id that the client chose: 1 to 64 printable characters without space.

    Raises Rejected (INVALID_CLIENT_ORDER_ID).
    """
    value = fields.get(tag, "")
    if not (0 < len(value) <= CLIENT_ID_LENGTH_MAX and value.isprintable() and " " not in value):
        raise Rejected(
            RejectReason.INVALID_CLIENT_ORDER_ID,
            f"{name} needs 1 to {CLIENT_ID_LENGTH_MAX} printable characters without space",
        )
    return value


def is_order_id(text: str) -> bool:
    """Return True if a text could be an order id: a whole number that fits 64 bits, signed."""
    return text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= INT64_MAX


def order_id_of(fields: Fields) -> int:
    """Return OrderID(37), 0 where it is absent or NONE. Raises Rejected (UNKNOWN_ORDER)."""
    text = fields.get("37")
    if text is None or text == "NONE":
        return 0
    if not (is_order_id(text) and int(text)):
        raise Rejected(
            RejectReason.UNKNOWN_ORDER, f"OrderID(37) {shown(text)} is not an order of your firm"
        )
    return int(text)


def _plain(text: str) -> str:
    """Put digits on both sides of a decimal point, as the venue's numbers have them.

    FIX 4.4, volume 1, Data Types: a float may be ``.5`` or ``5.``.
    """
    if text.startswith("."):
        text = "0" + text
    return text[:-1] if text.endswith(".") else text


def price_of(instrument: Instrument, text: str, name: str) -> int:
    """Return the ticks of a new order. Raises Rejected off the grid or out of bounds."""
    return _read(instrument.price, PRICE_REASONS, text, name)


def quantity_of(instrument: Instrument, text: str, name: str) -> int:
    """Return the lots of a new order. Raises Rejected off the grid or out of bounds."""
    return _read(instrument.quantity, QUANTITY_REASONS, text, name)


def changed_price(instrument: Instrument, text: str, name: str) -> int:
    """Return the ticks of a replace. Raises Rejected off the grid.

    The bounds are the engine's to judge: what stays as it was may be beyond them.
    """
    return _read(instrument.ticks, PRICE_REASONS, text, name)


def changed_quantity(instrument: Instrument, text: str, name: str) -> int:
    """Return the lots of a replace. Raises Rejected off the grid.

    The bounds are the engine's to judge: at or below what is executed amends the order to that
    (FIX 4.4, volume 4, appendix D, rows C.3.b and c), and what stays as it was may be beyond.
    """
    return _read(instrument.lots, QUANTITY_REASONS, text, name)


def _read(
    number: Callable[[str, str], int],
    reasons: Mapping[NumberKind, RejectReason],
    text: str,
    name: str,
) -> int:
    """Read a number of an order; what is wrong with one has the same reason by every door."""
    try:
        return number(_plain(text), name)
    except NumberError as error:
        raise Rejected(reasons[error.kind], error.text) from None


def expire_at_of(fields: Fields, tif: TimeInForce | None) -> int:
    """Return ExpireTime(126) in microseconds since 1970, 0 where there is none.

    It goes with good till date and with nothing else; ``tif`` None is a replace that leaves the
    time in force as it is. Raises Rejected (INVALID_EXPIRY).
    """
    text = fields.get("126")
    if text is None:
        if tif is TimeInForce.GTD:
            raise Rejected(
                RejectReason.INVALID_EXPIRY,
                "ExpireTime(126) is needed with TimeInForce(59)=6 (good till date)",
            )
        return 0
    if tif is not None and tif is not TimeInForce.GTD:
        raise Rejected(
            RejectReason.INVALID_EXPIRY,
            "ExpireTime(126) goes only with TimeInForce(59)=6 (good till date)",
        )
    try:
        return parse_time(text)
    except ValueError:
        raise Rejected(
            RejectReason.INVALID_EXPIRY,
            f"ExpireTime(126) {shown(text)} is not a UTC time such as 20260131-17:00:00",
        ) from None


def post_only_of(fields: Fields) -> bool:
    """Return True if ExecInst(18) says 6 (participate don't initiate). Raises Rejected."""
    text = fields.get("18")
    if text is None:
        return False
    if set(text.split(" ")) != {"6"}:
        raise Rejected(
            RejectReason.UNSUPPORTED_COMBINATION,
            f"ExecInst(18) {shown(text)} is not supported; 6 (post-only) is the only instruction",
        )
    return True


def check_handling(fields: Fields) -> None:
    """Check that HandlInst(21) does not ask for a person. Raises Rejected."""
    if fields.get("21") == "3":
        raise Rejected(
            RejectReason.UNSUPPORTED_COMBINATION,
            "HandlInst(21) 3 (manual) is not supported; leave it out or use 1",
        )


def self_trade_of(fields: Fields) -> SelfTrade | None:
    """Return SelfTradePrevention(20005), None to leave it to the account. Raises Rejected."""
    text = fields.get("20005")
    if text is None:
        return None
    mode = SELF_TRADES.get(text)
    if mode is None:
        raise Rejected(
            RejectReason.INVALID_FIELD,
            f"SelfTradePrevention(20005) {shown(text)} is not one of 0, 1, 2, 3, 4",
        )
    return mode


def limits_of(fields: Fields, ord_type: OrdType, instrument: Instrument) -> tuple[int, int]:
    """Return price and stop price in ticks, 0 where the type has none.

    Raises Rejected where one is missing, or is there and does not go with the type.
    """
    price_text, stop_text = fields.get("44"), fields.get("99")
    if (price_text is not None) != (ord_type in _PRICED):
        verb = "is needed for" if price_text is None else "does not go with"
        raise Rejected(
            RejectReason.UNSUPPORTED_COMBINATION, f"Price(44) {verb} {_TYPE_NAMES[ord_type]}"
        )
    if (stop_text is not None) != (ord_type in _STOPPED):
        verb = "is needed for" if stop_text is None else "does not go with"
        raise Rejected(
            RejectReason.UNSUPPORTED_COMBINATION, f"StopPx(99) {verb} {_TYPE_NAMES[ord_type]}"
        )
    price = 0 if price_text is None else price_of(instrument, price_text, "Price(44)")
    stop = 0 if stop_text is None else price_of(instrument, stop_text, "StopPx(99)")
    return price, stop


def quantities_of(fields: Fields, ord_type: OrdType, instrument: Instrument) -> tuple[int, int]:
    """Return OrderQty(38) in lots and CashOrderQty(152) in quote atoms: one of them, the other 0.

    Raises Rejected where there are none or both.
    """
    text, cash_text = fields.get("38"), fields.get("152")
    if cash_text is None:
        if text is None:
            raise Rejected(
                RejectReason.INVALID_QUANTITY,
                "OrderQty(38) is needed, or for a market order CashOrderQty(152)",
            )
        return quantity_of(instrument, text, "OrderQty(38)"), 0
    if text is not None or ord_type is not OrdType.MARKET:
        raise Rejected(
            RejectReason.UNSUPPORTED_COMBINATION,
            "CashOrderQty(152) goes only with a market order (OrdType(40)=1) without OrderQty(38)",
        )
    return 0, _read(instrument.cash, QUANTITY_REASONS, cash_text, "CashOrderQty(152)")


def existing_order(fields: Fields) -> tuple[str, int]:
    """Return how F and G name their order: OrigClOrdID(41), OrderID(37), or both.

    "" and 0 stand for what is absent. Raises Rejected where both are.
    """
    orig, order_id = fields.get("41", ""), order_id_of(fields)
    if not orig and not order_id:
        raise Rejected(
            RejectReason.INVALID_FIELD,
            "OrigClOrdID(41) or OrderID(37) is needed to say which order is meant",
        )
    return orig, order_id


def stated_side(fields: Fields) -> Side | None:
    """Return the Side(54) that F or G states, which the engine checks; None where it is absent.

    Raises Rejected (MISMATCH) for one that no order here has.
    """
    text = fields.get("54")
    if text is None:
        return None
    side = SIDES.get(text)
    if side is None:
        text = f"Side(54) {shown(text)} is not the side of the order"
        raise Rejected(RejectReason.MISMATCH, text)
    return side
