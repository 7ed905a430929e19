"""Single-order messages to commands: D, F, G and q, and the entries of a batch.

Each function takes the fields of one message (or of one group entry) and either returns a
command or raises Rejected.
"""

from __future__ import annotations

from typing import Final

from engine.core.commands import CancelOrder, MassCancel, NewOrder, RecordRefusal, ReplaceOrder
from engine.core.types import Origin, RejectReason, RequestKind, TimeInForce
from fix_gateway.codec.context import SessionContext
from fix_gateway.codec.fields import (
    ORD_TYPES,
    SIDES,
    Fields,
    Instruments,
    Rejected,
    account_of,
    changed_price,
    changed_quantity,
    check_handling,
    client_id,
    existing_order,
    expire_at_of,
    instrument_of,
    is_order_id,
    limits_of,
    ord_type_of,
    post_only_of,
    quantities_of,
    quantity_of,
    self_trade_of,
    shown,
    side_of,
    stated_side,
    time_in_force_of,
)
from fix_gateway.codec.message import SOH

ECHOED: Final = (
    "1", "55", "54", "38", "40", "59", "44", "99", "126", "18", "111", "110", "152", "1028",
    "20005",
)  # fmt: skip
"""What the report of an order that was refused here repeats, as the client sent it."""


def new_order(
    fields: Fields,
    context: SessionContext,
    origin: Origin,
    instruments: Instruments,
    poss_resend: bool = False,
) -> NewOrder:
    """Read a NewOrderSingle(D), or an entry of E or UB. Raises Rejected.

    ``poss_resend`` says that the message around an entry has PossResend(97)=Y.
    """
    account = account_of(fields, context)
    instrument = instrument_of(fields, instruments)
    side = side_of(fields)
    ord_type = ord_type_of(fields)
    get = fields.get
    tif = time_in_force_of(fields) if "59" in fields else TimeInForce.DAY
    if "21" in fields:
        check_handling(fields)
    price, stop_price = limits_of(fields, ord_type, instrument)
    qty, cash_qty = quantities_of(fields, ord_type, instrument)
    min_text, display_text = get("110"), get("111")
    return NewOrder(
        origin,
        account,
        get("11", ""),
        instrument.symbol,
        side,
        ord_type,
        tif,
        qty,
        price,
        stop_price,
        cash_qty,
        0 if min_text is None else quantity_of(instrument, min_text, "MinQty(110)"),
        0 if display_text is None else quantity_of(instrument, display_text, "MaxFloor(111)"),
        expire_at_of(fields, tif),
        post_only_of(fields),
        self_trade_of(fields),
        get("526", ""),
        get("1028") == "Y",
        poss_resend or fields.get("97") == "Y",
    )


def cancel_order(
    fields: Fields, context: SessionContext, origin: Origin, instruments: Instruments
) -> CancelOrder:
    """Read an OrderCancelRequest(F), or a cancel entry of UB. Raises Rejected."""
    account = account_of(fields, context)
    own_id = client_id(fields)
    orig, order_id = existing_order(fields)
    symbol = fields.get("55", "")
    return CancelOrder(origin, account, own_id, orig, order_id, symbol, stated_side(fields))


def replace_order(
    fields: Fields, context: SessionContext, origin: Origin, instruments: Instruments
) -> ReplaceOrder:
    """Read an OrderCancelReplaceRequest(G), or a replace entry of UB. Raises Rejected.

    Quantity, prices, MaxFloor, time in force and expiry that are absent stay as they are.
    """
    account = account_of(fields, context)
    own_id = client_id(fields)
    orig, order_id = existing_order(fields)
    instrument = instrument_of(fields, instruments)
    side = stated_side(fields)
    get = fields.get
    ord_type = ord_type_of(fields) if "40" in fields else None
    if "21" in fields:
        check_handling(fields)
    tif = time_in_force_of(fields) if "59" in fields else None
    qty_text, price_text, stop_text, display_text = get("38"), get("44"), get("99"), get("111")
    return ReplaceOrder(
        origin,
        account,
        own_id,
        orig,
        order_id,
        instrument.symbol,
        side,
        ord_type,
        tif,
        None if qty_text is None else changed_quantity(instrument, qty_text, "OrderQty(38)"),
        None if price_text is None else changed_price(instrument, price_text, "Price(44)"),
        None if stop_text is None else changed_price(instrument, stop_text, "StopPx(99)"),
        None
        if display_text is None
        else changed_quantity(instrument, display_text, "MaxFloor(111)"),
        None if "126" not in fields and tif is not TimeInForce.GTD else expire_at_of(fields, tif),
    )


def mass_cancel(
    fields: Fields, context: SessionContext, origin: Origin, instruments: Instruments
) -> MassCancel:
    """Read an OrderMassCancelRequest(q). Raises Rejected.

    Without Account(1) all accounts that the session reaches are meant, and without
    MassCancelScope(20008)=1 only what this session entered.
    """
    own_id = client_id(fields)
    kind = fields.get("530", "")
    if kind not in ("1", "7"):
        raise Rejected(
            RejectReason.UNSUPPORTED_COMBINATION,
            f"MassCancelRequestType(530) {shown(kind)} is not supported; use 1 (one symbol) or 7",
        )
    if kind == "1" and "55" not in fields:
        raise Rejected(
            RejectReason.UNKNOWN_SYMBOL, "Symbol(55) is needed with MassCancelRequestType(530)=1"
        )
    if kind == "7" and "55" in fields:
        raise Rejected(
            RejectReason.INVALID_FIELD,
            "Symbol(55) goes only with MassCancelRequestType(530)=1, which cancels one symbol",
        )
    symbol = instrument_of(fields, instruments).symbol if kind == "1" else ""
    scope = fields.get("20008", "0")
    if scope not in ("0", "1"):
        raise Rejected(
            RejectReason.INVALID_FIELD,
            f"MassCancelScope(20008) {shown(scope)} is neither 0 (this session) nor 1 (all)",
        )
    return MassCancel(
        origin,
        account_of(fields, context),
        own_id,
        context.firm_wide and "1" not in fields,
        context.source if scope == "0" else "",
        symbol,
        side_of(fields) if "54" in fields else None,
        fields.get("526", ""),
    )


def refusal(
    fields: Fields,
    account: str,
    origin: Origin,
    request: RequestKind,
    reason: RejectReason,
    text: str,
    echo: str = "",
) -> RecordRefusal:
    """Return what is recorded of a request that was refused, complete enough to answer it."""
    order_id = fields.get("37", "")
    return RecordRefusal(
        origin=origin,
        account=account,
        request=request,
        reason=reason,
        text=text,
        client_order_id=fields.get("11", ""),
        orig_client_order_id=fields.get("41", ""),
        order_id=int(order_id) if is_order_id(order_id) else 0,
        symbol=fields.get("55", ""),
        side=SIDES.get(fields.get("54", "")),
        ord_type=ORD_TYPES.get(fields.get("40", "")),
        qty_text=fields.get("38", ""),
        price_text=fields.get("44", ""),
        strategy=fields.get("526", ""),
        echo=echo,
    )


def order_echo(fields: Fields, account: str) -> str:
    """Return the fields that the report of a refused order repeats, its account in any case."""
    own = "" if "1" in fields else f"1={account}{SOH}"
    return own + "".join([f"{tag}={fields[tag]}{SOH}" for tag in ECHOED if tag in fields])
