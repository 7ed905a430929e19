"""Checks of a new or changed order, in the order of the rules R; the first failure counts."""

from __future__ import annotations

from typing import Final, NamedTuple

from engine.core.book import Book
from engine.core.commands import NewOrder
from engine.core.ledger import Account
from engine.core.types import (
    CLIENT_ID_LENGTH_MAX,
    INT64_MAX,
    STRATEGY_LENGTH_MAX,
    InstrumentStatus,
    OrdType,
    RejectReason,
    TimeInForce,
)

_MARKET: Final = OrdType.MARKET
_LIMIT: Final = OrdType.LIMIT
_STOP: Final = OrdType.STOP
_STOP_LIMIT: Final = OrdType.STOP_LIMIT
_GTC: Final = TimeInForce.GTC
_DAY: Final = TimeInForce.DAY
_GTD: Final = TimeInForce.GTD
_IOC: Final = TimeInForce.IOC
_OPEN: Final = InstrumentStatus.OPEN


class Refusal(NamedTuple):
    """A refusal of a request: a stable reason and one sentence."""

    reason: RejectReason
    text: str


def valid_tag(text: str, length_max: int) -> bool:
    """Return whether a text has 1 to ``length_max`` printable ASCII characters and no space."""
    return (
        0 < len(text) <= length_max
        and text.isascii()
        and text.isprintable()
        and " " not in text
    )


def check_client_id(client_order_id: str) -> Refusal | None:
    """Check rule R-2 for the client order id."""
    if valid_tag(client_order_id, CLIENT_ID_LENGTH_MAX):
        return None
    return Refusal(
        RejectReason.INVALID_CLIENT_ORDER_ID,
        f"a client order id has 1 to {CLIENT_ID_LENGTH_MAX} printable ASCII characters "
        "without spaces",
    )


def duplicate_client_id(client_order_id: str, order_id: int) -> Refusal:
    """Return the refusal of rule R-3."""
    return Refusal(
        RejectReason.DUPLICATE_CLIENT_ORDER_ID,
        f"client order id {client_order_id} belongs to order {order_id}",
    )


def unknown_account(name: str) -> Refusal:
    """Return the refusal of rule R-1."""
    return Refusal(RejectReason.UNKNOWN_ACCOUNT, f"there is no account {name!r}")


def not_for_firm(account: Account) -> Refusal:
    """Return the refusal of what only the firm's main account may do (rule S-2)."""
    text = f"only the account {account.firm} speaks for the whole firm, not {account.name}"
    return Refusal(RejectReason.NOT_PERMITTED, text)


def check_active(account: Account) -> Refusal | None:
    """Rule A-2."""
    if not account.suspended:
        return None
    return Refusal(
        RejectReason.ACCOUNT_SUSPENDED,
        f"account {account.name} is suspended; until the venue lets it act again, cancels are "
        "accepted and nothing else",
    )


def check_strategy(strategy: str) -> Refusal | None:
    """Check rule R-2 for the strategy tag."""
    if not strategy or valid_tag(strategy, STRATEGY_LENGTH_MAX):
        return None
    return Refusal(
        RejectReason.INVALID_FIELD,
        f"a strategy tag has at most {STRATEGY_LENGTH_MAX} printable ASCII characters "
        "without spaces",
    )


def check_open(book: Book) -> Refusal | None:
    """Check rule R-4: the instrument is open."""
    if book.status is _OPEN:
        return None
    symbol = book.instrument.symbol
    return Refusal(
        RejectReason.INSTRUMENT_HALTED,
        f"{symbol} is halted; cancels are accepted, orders are not until it resumes",
    )


def check_order(book: Book, c: NewOrder, now_us: int) -> Refusal | None:
    """Check rules R-5, R-6 and R-7 for a create."""
    if c.ord_type is not _LIMIT or c.min_qty or c.display_qty or c.post_only or c.stop_price:
        refusal = _check_combination(c)
        if refusal is not None:
            return refusal
    elif c.price == 0 or c.cash_qty:
        return _misfit("a limit order needs a price, and an order by money is a market order")
    refusal = None if c.cash_qty else check_quantity(book, c.qty)
    if refusal is not None:
        return refusal
    if not (0 <= c.min_qty <= c.qty and 0 <= c.display_qty <= c.qty):
        return Refusal(
            RejectReason.INVALID_QUANTITY,
            "the minimum and the display quantity are at most the quantity",
        )
    if c.cash_qty < 0:
        return Refusal(
            RejectReason.INVALID_QUANTITY, "the amount of money must be greater than zero"
        )
    if c.cash_qty > _notional_max(book):
        return Refusal(
            RejectReason.QUANTITY_TOO_LARGE, "the amount of money is above the largest order's"
        )
    refusal = check_prices(book, c.price, c.stop_price)
    if refusal is None and c.ord_type is _LIMIT and not book.within_band(c.price):
        refusal = outside_band(book, c.price)
    if refusal is not None:
        return refusal
    return check_expiry(c.tif, c.expire_at, now_us)


def _notional_max(book: Book) -> int:
    instrument = book.instrument
    return instrument.max_qty * instrument.max_price * instrument.unit


def _misfit(text: str) -> Refusal:
    return Refusal(RejectReason.UNSUPPORTED_COMBINATION, text)


def _check_combination(c: NewOrder) -> Refusal | None:
    """Check rule R-5; each condition is one sentence of it."""
    kind = c.ord_type
    rests = c.tif in (_GTC, _DAY, _GTD)
    if kind in (_LIMIT, _STOP_LIMIT) and c.price == 0:
        return _misfit("a limit or stop-limit order needs a price")
    if kind in (_MARKET, _STOP) and c.price:
        return _misfit("a market or stop order has no price")
    if kind in (_STOP, _STOP_LIMIT) and c.stop_price == 0:
        return _misfit("a stop or stop-limit order needs a stop price")
    if kind in (_MARKET, _LIMIT) and c.stop_price:
        return _misfit("only a stop or stop-limit order has a stop price")
    if (c.post_only or c.display_qty) and not (kind is _LIMIT and rests):
        return _misfit(
            "post-only and a display quantity need a limit order that may rest (Day, GTC, GTD)"
        )
    if c.min_qty and (c.tif is not _IOC or kind not in (_MARKET, _LIMIT)):
        return _misfit("a minimum quantity needs an IOC order")
    if kind in (_STOP, _STOP_LIMIT) and not rests:
        return _misfit("a stop order cannot be IOC or FOK")
    if c.cash_qty and (kind is not _MARKET or c.qty or c.min_qty):
        return _misfit("an order by money is a market order without quantity or minimum")
    return None


def check_quantity(book: Book, qty: int) -> Refusal | None:
    """Check rule R-6 for a quantity in lots."""
    instrument = book.instrument
    if instrument.min_qty <= qty <= instrument.max_qty:
        return None
    if qty <= 0:
        return Refusal(RejectReason.INVALID_QUANTITY, "the quantity must be greater than zero")
    shown = instrument.quantity_text(qty)
    if qty < instrument.min_qty:
        bound = instrument.quantity_text(instrument.min_qty)
        return Refusal(
            RejectReason.QUANTITY_TOO_SMALL,
            f"quantity {shown} is below the minimum {bound} of {instrument.symbol}",
        )
    bound = instrument.quantity_text(instrument.max_qty)
    return Refusal(
        RejectReason.QUANTITY_TOO_LARGE,
        f"quantity {shown} is above the maximum {bound} of {instrument.symbol}",
    )


def check_prices(book: Book, price: int, stop_price: int) -> Refusal | None:
    """Check rule R-6 for prices in ticks; 0 if the order has none."""
    bound = book.instrument.max_price
    if 0 <= price <= bound and 0 <= stop_price <= bound:
        return None
    if price < 0 or stop_price < 0:
        return Refusal(RejectReason.INVALID_PRICE, "a price must be greater than zero")
    instrument = book.instrument
    shown = instrument.price_text(max(price, stop_price))
    return Refusal(
        RejectReason.PRICE_TOO_LARGE,
        f"price {shown} is above the maximum {instrument.price_text(bound)} of "
        f"{instrument.symbol}",
    )


def outside_band(book: Book, price: int, what: str = "price") -> Refusal:
    """Return the refusal of rule P-3."""
    instrument = book.instrument
    low, high, anchor = (instrument.price_text(ticks) for ticks in (*book.band(), book.anchor))
    return Refusal(
        RejectReason.PRICE_OUTSIDE_BAND,
        f"{what} {instrument.price_text(price)} is outside the price band {low} to {high} of "
        f"{instrument.symbol}, which lies around {anchor}",
    )


def check_worth(book: Book, qty: int, price: int) -> Refusal | None:
    """Check that an order beyond the current bounds still fits into 64 bits (rules C-9, N-5)."""
    if 2 * qty * price * book.unit <= INT64_MAX:
        return None
    instrument = book.instrument
    return Refusal(
        RejectReason.QUANTITY_TOO_LARGE,
        f"{instrument.quantity_text(qty)} at {instrument.price_text(price)} is more than an order "
        f"of {instrument.symbol} can be worth; cancel it and enter smaller ones",
    )


def check_expiry(tif: TimeInForce, expire_at: int, now_us: int) -> Refusal | None:
    """Rule R-7."""
    if tif is _GTD:
        if expire_at > now_us:
            return None
        return Refusal(
            RejectReason.INVALID_EXPIRY, "a GTD order needs an expiry time in the future"
        )
    if expire_at:
        return Refusal(RejectReason.INVALID_EXPIRY, "only a GTD order has an expiry time")
    return None
