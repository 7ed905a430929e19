"""Replace one order (rules C-1 and C-3 to C-6)."""

from __future__ import annotations

from typing import Final, NamedTuple

from engine.core.book import Order
from engine.core.commands import ReplaceOrder
from engine.core.events import OrderReplaced
from engine.core.execution import execute, insufficient, next_roll
from engine.core.ledger import limit_hold, set_hold
from engine.core.lookup import check_target, find_named
from engine.core.order_checks import (
    Refusal,
    check_active,
    check_client_id,
    check_expiry,
    check_open,
    check_prices,
    check_quantity,
    check_worth,
    duplicate_client_id,
    outside_band,
    valid_tag,
)
from engine.core.orders import arm
from engine.core.refusals import refuse_change
from engine.core.types import (
    CLIENT_ID_LENGTH_MAX,
    InstrumentStatus,
    OrderTerms,
    OrdStatus,
    OrdType,
    Origin,
    RejectReason,
    RequestKind,
    Side,
    TimeInForce,
    make,
)
from engine.core.venue import Venue

CHAIN_IDS_MAX: Final = 1000
CHAIN_IDS_RETIRED: Final = 100
_LIMIT: Final = OrdType.LIMIT
_DAY: Final = TimeInForce.DAY
_GTC: Final = TimeInForce.GTC
_GTD: Final = TimeInForce.GTD
_RESTING: Final = (_DAY, _GTC, _GTD)
_BUY: Final = Side.BUY
_OPEN: Final = InstrumentStatus.OPEN
_FILLED: Final = OrdStatus.FILLED


class _Change(NamedTuple):
    """The result of a replace before it is applied."""

    terms: OrderTerms
    leaves: int
    kept: bool
    needed: int


def check_replace(venue: Venue, c: ReplaceOrder) -> Order | Refusal:
    """Return the order to replace, or the refusal (C-1, and C-5 for ids and targets)."""
    found = find_named(venue, c)
    if isinstance(found, Refusal):
        return found
    if c.client_order_id:
        refusal = check_client_id(c.client_order_id)
        if refusal is not None:
            return refusal
        known = found.account.client_ids.get(c.client_order_id) or c.prior
        if known is not None:
            return duplicate_client_id(c.client_order_id, known.order_id)
    if c.ord_type is not None and c.ord_type is not found.terms.ord_type:
        name = found.terms.ord_type.name.lower().replace("_", "-")
        return Refusal(RejectReason.MISMATCH, f"the order is a {name} order")
    return (
        check_target(found, c) or check_active(found.account) or check_open(found.book) or found
    )


def _change(venue: Venue, order: Order, c: ReplaceOrder) -> _Change | Refusal:
    """Compute the new terms and check them (rules C-3 to C-6)."""
    old = order.terms
    qty = old.qty if c.qty is None else c.qty
    price = old.price if c.price is None else c.price
    stop_price = old.stop_price if c.stop_price is None else c.stop_price
    display_qty = old.display_qty if c.display_qty is None else c.display_qty
    tif = old.tif if c.tif is None else c.tif
    if bool(price) != bool(old.price) or bool(stop_price) != bool(old.stop_price):
        text = "a replace cannot give an order a kind of price that its type does not have"
        return Refusal(RejectReason.UNSUPPORTED_COMBINATION, text)
    if tif not in _RESTING or old.tif not in _RESTING:
        text = "an order can be replaced that is Day, GTC or GTD, and stays one of them"
        return Refusal(RejectReason.UNSUPPORTED_COMBINATION, text)
    if display_qty and old.ord_type is not _LIMIT:
        text = "a display quantity needs a limit order"
        return Refusal(RejectReason.UNSUPPORTED_COMBINATION, text)
    if stop_price != old.stop_price and order.triggered:
        return Refusal(RejectReason.TOO_LATE, "the stop price of a triggered order is final")
    # Only changes are checked: an unchanged value may be the venue's own doing (rule C-9).
    refusal: Refusal | None = None
    same_qty = qty == old.qty
    if not same_qty and (qty <= 0 or qty > order.cum):
        refusal = check_quantity(order.book, qty)
    qty = max(qty, order.cum)
    if c.display_qty is None or (same_qty and display_qty == old.display_qty):
        display_qty = min(display_qty, qty)
    elif refusal is None and not 0 <= display_qty <= qty:
        text = "the display quantity is at most the quantity"
        refusal = Refusal(RejectReason.INVALID_QUANTITY, text)
    refusal = refusal or check_prices(
        order.book,
        0 if price == old.price else price,
        0 if stop_price == old.stop_price else stop_price,
    )
    if refusal is None and price != old.price and not order.armed:
        refusal = None if order.book.within_band(price) else outside_band(order.book, price)
    refusal = refusal or check_worth(order.book, qty, max(price, stop_price))
    if refusal is not None:
        return refusal
    expiry = _expiry(venue, order, c, tif)
    if isinstance(expiry, Refusal):
        return expiry
    new_id = c.client_order_id or old.client_order_id
    return _changed(order, new_id, tif, qty, price, stop_price, display_qty, expiry, c.origin)


def _changed(
    order: Order,
    new_id: str,
    tif: TimeInForce,
    qty: int,
    price: int,
    stop_price: int,
    display_qty: int,
    expire_at: int,
    origin: Origin,
) -> _Change:
    """Return the change that gives an order these terms, without further checks."""
    (
        number, owner, _, first_id, symbol, side, kind, _, old_qty, old_price, old_stop_price,
        cash_qty, min_qty, old_display_qty, _, post_only, stp, strategy, manual, session,
        created_at, route,
    ) = order.terms  # fmt: skip
    if origin.source == session:
        route = origin.route
    fields = (
        number, owner, new_id, first_id, symbol, side, kind, tif, qty, price, stop_price,
        cash_qty, min_qty, display_qty, expire_at, post_only, stp, strategy, manual, session,
        created_at, route,
    )  # fmt: skip
    leaves = qty - order.cum
    kept = (
        price == old_price
        and stop_price == old_stop_price
        and leaves <= order.leaves
        and (
            display_qty == old_display_qty
            or (display_qty or qty) <= (old_display_qty or old_qty)
        )
    )
    needed = limit_hold(order, price, leaves) if price or not order.buy else 0
    return make(_Change, (make(OrderTerms, fields), leaves, kept, needed))


def check_change(venue: Venue, c: ReplaceOrder) -> Refusal | None:
    """Check everything about a replace but funds and post-only (rule B-3)."""
    found = check_replace(venue, c)
    change = found if isinstance(found, Refusal) else _change(venue, found, c)
    return change if isinstance(change, Refusal) else None


def _expiry(
    venue: Venue, order: Order, c: ReplaceOrder, tif: TimeInForce
) -> int | Refusal:
    """Return when the replaced order expires (rule R-7)."""
    old = order.terms
    if tif is old.tif and c.expire_at is None:
        return old.expire_at
    stated = c.expire_at or 0
    refusal = check_expiry(tif, stated, venue.time_us)
    if refusal is not None:
        return refusal
    if tif is _DAY:
        return next_roll(venue.time_us, venue.day_roll_us)
    return stated


def _plain_change(venue: Venue, c: ReplaceOrder) -> tuple[Order, _Change] | None:
    """Return the change of a plain resting limit order that passes rules C-1 to C-6, else None.

    Nearly every replace is one of these and costs a fraction of the general path;
    ``check_replace`` and ``_change`` handle everything else, faults included.
    """
    (
        origin, name, new_id, orig_id, order_id, symbol, side, kind, tif, qty, price, stop_price,
        display_qty, expire_at, prior,
    ) = c  # fmt: skip
    account = venue.accounts.get(name)
    order = None if account is None or order_id else account.client_ids.get(orig_id)
    if order is None or account is None or order.level is None:
        return None
    terms = order.terms
    book = order.book
    old_price = order.price
    if qty is None:
        qty = terms.qty
    if price is None:
        price = old_price
    if (
        terms.ord_type is not _LIMIT
        or terms.display_qty
        or stop_price
        or display_qty
        or expire_at is not None
        or prior is not None
        or (kind is not None and kind is not _LIMIT)
        or (tif is not None and tif is not terms.tif)
        or (symbol and symbol != book.symbol)
        or (side is not None and (side is _BUY) is not order.buy)
        or book.status is not _OPEN
        or order.account.suspended
        or venue.wary
        or new_id in account.client_ids
        or not valid_tag(new_id, CLIENT_ID_LENGTH_MAX)
        or not book.min_qty <= qty <= book.max_qty
        or qty <= order.cum
        or not 0 < price <= book.max_price
        or (book.band_ppm and price != old_price and not book.within_band(price))
    ):
        return None
    return order, _changed(order, new_id, terms.tif, qty, price, 0, 0, terms.expire_at, origin)


def _any_change(venue: Venue, c: ReplaceOrder) -> tuple[Order, _Change] | Refusal:
    """Return the change of any order, or the refusal."""
    found = check_replace(venue, c)
    if isinstance(found, Refusal):
        return found
    change = _change(venue, found, c)
    return change if isinstance(change, Refusal) else (found, change)


def replace(venue: Venue, c: ReplaceOrder) -> bool:
    """Replace one order. Return True if it was replaced."""
    found = _plain_change(venue, c) or _any_change(venue, c)
    if isinstance(found, Refusal):
        refuse_change(venue, c, RequestKind.REPLACE, found)
        return False
    order, change = found
    terms, leaves, kept, needed = change
    crossing = (
        not kept
        and not order.armed
        and leaves > 0
        and order.book.crosses(order.buy, terms.price)
    )
    available = (order.quote if order.buy else order.base).available
    refusal: Refusal | None = None
    if crossing and terms.post_only:
        text = "the order is post-only and would trade at its new price"
        refusal = Refusal(RejectReason.POST_ONLY_WOULD_TRADE, text)
    elif needed - order.held > available:
        refusal = insufficient(venue, order, needed - order.held, available)
    if refusal is not None:
        refuse_change(venue, c, RequestKind.REPLACE, refusal)
        return False
    _apply_change(venue, c, order, change, crossing)
    return True


def _apply_change(
    venue: Venue, c: ReplaceOrder, order: Order, change: _Change, crossing: bool
) -> None:
    """Apply a checked change: give the order its new terms, place and hold."""
    old = order.terms
    terms, leaves, kept, needed = change
    book = order.book
    side = book.bids if order.buy else book.asks
    if terms.client_order_id != old.client_order_id:
        _rename(venue, order, terms.client_order_id)
    if terms.expire_at != old.expire_at:
        if old.expire_at:
            venue.timers.discard(old.expire_at, order.order_id)
        if terms.expire_at:
            venue.timers.add(terms.expire_at, order.order_id)
    armed = order.armed
    waits = not armed and order.level is None
    queues = waits or book.busy
    if armed:
        venue.disarm(order)
    elif not kept or not leaves:
        if waits:
            venue.leave_queue(order)
        else:
            side.remove(order)
    order.terms = terms
    order.expire_at = terms.expire_at
    order.price = order.limit = terms.price
    order.leaves = leaves
    order.updated_at = venue.time_us
    hold_change = set_hold(order, needed)
    shown = terms.display_qty
    if not leaves:
        order.status = _FILLED
    elif armed:
        arm(venue, order)
    elif kept:
        if not waits:
            side.resize(order, min(order.display, shown, leaves) if shown else leaves)
    elif queues:
        venue.join_queue(order)
    elif not crossing:
        order.display = shown if 0 < shown < leaves else leaves
        side.add(order)
    account = order.account
    account.seq = seq = account.seq + 1
    fields = (
        account.name, seq, terms, old.client_order_id, order.status, leaves, order.cum,
        order.notional, kept, c.origin.source, hold_change, order.display,
    )  # fmt: skip
    venue.events.append(make(OrderReplaced, fields))
    if not leaves:
        venue.close_order(order)
    elif crossing and not queues:
        execute(venue, order)


def _rename(venue: Venue, order: Order, new_id: str) -> None:
    """Register the new client order id, so that the order is found by it too (rule C-1)."""
    order.account.client_ids[new_id] = order
    later_ids = order.later_ids
    if later_ids is None:
        order.later_ids = [new_id]
        return
    later_ids.append(new_id)
    if len(later_ids) > CHAIN_IDS_MAX and venue.retire_left > 0:
        count = min(CHAIN_IDS_RETIRED, CHAIN_IDS_MAX // 2)  # Never the id that it has now.
        venue.retire_chain(order, later_ids[:count])
        del later_ids[:count]
