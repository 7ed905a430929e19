"""Create, cancel and replace one order (rules R and C)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from engine.core.book import Order
from engine.core.commands import CancelOrder, NewOrder, ReplaceOrder
from engine.core.events import OrderAccepted, OrderReplaced, StatusReported
from engine.core.execution import (
    execute,
    insufficient,
    market_cost,
    next_roll,
)
from engine.core.ledger import hold, limit_hold, set_hold
from engine.core.lookup import check_target, find
from engine.core.matching import walk
from engine.core.refusals import refuse_change, refuse_new
from engine.core.risk import (
    Refusal,
    check_client_id,
    check_expiry,
    check_open,
    check_order,
    check_prices,
    check_quantity,
)
from engine.core.timers import Timer, TimerKind
from engine.core.types import (
    CancelReason,
    OrderTerms,
    OrdStatus,
    OrdType,
    RejectReason,
    RequestKind,
    RetiredId,
    Side,
    TimeInForce,
)

if TYPE_CHECKING:
    from engine.core.exchange import Exchange

CHAIN_IDS_MAX: Final = 1000
_LIMIT: Final = OrdType.LIMIT
_MARKET: Final = OrdType.MARKET
_STOP: Final = OrdType.STOP
_STOP_LIMIT: Final = OrdType.STOP_LIMIT
_IOC: Final = TimeInForce.IOC
_FOK: Final = TimeInForce.FOK
_DAY: Final = TimeInForce.DAY
_GTC: Final = TimeInForce.GTC
_GTD: Final = TimeInForce.GTD
_BUY: Final = Side.BUY
_event = tuple.__new__


def new_order(exchange: Exchange, c: NewOrder) -> bool:
    """Create an order; tells whether it was accepted."""
    refusal = check_new(exchange, c)
    if refusal is _REPORTED:
        return _report(exchange, exchange.accounts[c.account].client_ids[c.client_order_id])
    if refusal is not None:
        return refuse_new(exchange, c, refusal)
    account = exchange.accounts[c.account]
    book = exchange.books[c.symbol]
    if len(account.orders) >= account.open_orders_max:
        text = f"the account has its maximum of {account.open_orders_max} open orders"
        return refuse_new(exchange, c, Refusal(RejectReason.TOO_MANY_OPEN_ORDERS, text))
    stp = account.stp if c.stp is None else c.stp
    expire_at = c.expire_at
    if c.tif is _DAY:
        expire_at = next_roll(exchange.time_us, exchange.day_roll_us)
    buy = c.side is _BUY
    limit_order = c.ord_type is _LIMIT
    crossing = not limit_order or book.crosses(buy, c.price)
    if crossing and c.post_only:
        text = "the order is post-only and would trade on arrival"
        return refuse_new(exchange, c, Refusal(RejectReason.POST_ONLY_WOULD_TRADE, text))
    qty, cost = c.qty, 0
    if c.ord_type is _MARKET and (buy or c.cash_qty):
        want = qty or book.instrument.max_qty
        reach = walk(book, buy, account.firm, stp, 0, want, c.cash_qty)
        cost = reach.cost
        if c.cash_qty:
            qty = reach.used
            if qty == 0:
                text = "nothing can be traded for this amount of money at present"
                return refuse_new(exchange, c, Refusal(RejectReason.NO_LIQUIDITY, text))
    terms = _event(
        OrderTerms,
        (
            exchange.next_order_id, c.account, c.client_order_id, c.client_order_id, c.symbol,
            c.side, c.ord_type, c.tif, qty, c.price, c.stop_price, c.cash_qty, c.min_qty,
            c.display_qty, expire_at, c.post_only, stp, c.strategy, c.manual, c.origin.source,
            exchange.time_us,
        ),
    )  # fmt: skip
    order = Order(terms, account, book)
    if not buy or order.price:
        needed = limit_hold(order, order.price, qty)
    else:
        needed = market_cost(order, cost)
    money = order.quote if buy else order.base
    if needed > money.available:
        return refuse_new(exchange, c, insufficient(exchange, order, needed, money.available))
    _accept(exchange, order, needed, crossing)
    return True


def _report(exchange: Exchange, known: Order) -> bool:
    """Answer a repeated create with the state of the order it created (row F.1.b)."""
    exchange.emit(
        StatusReported, known.account, known.terms, known.status, known.leaves, known.cum,
        known.notional,
    )  # fmt: skip
    return True


def _accept(exchange: Exchange, order: Order, needed: int, crossing: bool) -> None:
    """Everything is checked: the order exists from here on."""
    terms = order.terms
    account = order.account
    order_id = order.order_id
    exchange.next_order_id = order_id + 1
    exchange.orders[order_id] = account.orders[order_id] = order
    account.client_ids[terms.client_order_id] = order
    if terms.expire_at:
        exchange.timers.add(terms.expire_at, Timer(TimerKind.ORDER, "", "", order_id))
    if needed:
        hold(order.quote if order.buy else order.base, needed)
        order.held = needed
    rests = not crossing and terms.tif is not _IOC and terms.tif is not _FOK
    if rests:
        order.display = terms.display_qty or order.leaves
        (order.book.bids if order.buy else order.book.asks).add(order)
    account.seq = seq = account.seq + 1
    fields = (account.name, seq, terms, order.leaves, needed, order.display)
    exchange.events.append(_event(OrderAccepted, fields))
    if rests:
        return
    if terms.ord_type is _STOP or terms.ord_type is _STOP_LIMIT:
        order.book.stops.add(order)
        exchange.armed[terms.symbol] = order.book
        return
    execute(exchange, order)


_REPORTED: Final = Refusal(RejectReason.DUPLICATE_CLIENT_ORDER_ID, "")
"""Stands for a repeat that was answered with the order's state: nothing is refused."""


def check_new(exchange: Exchange, c: NewOrder) -> Refusal | None:
    """Rules R-1 to R-7 for a create."""
    account = exchange.accounts.get(c.account)
    if account is None:
        return Refusal(RejectReason.UNKNOWN_ACCOUNT, f"there is no account {c.account!r}")
    refusal = check_client_id(c.client_order_id)
    if refusal is not None:
        return refusal
    known: Order | RetiredId | None = account.client_ids.get(c.client_order_id) or c.prior
    if known is not None:
        if c.poss_resend and isinstance(known, Order):
            return _REPORTED
        return Refusal(
            RejectReason.DUPLICATE_CLIENT_ORDER_ID,
            f"client order id {c.client_order_id} belongs to order {known.order_id}",
        )
    book = exchange.books.get(c.symbol)
    if book is None:
        return Refusal(RejectReason.UNKNOWN_SYMBOL, f"there is no instrument {c.symbol!r}")
    return check_open(book) or check_order(book, c, exchange.time_us)


def check_cancel(exchange: Exchange, c: CancelOrder) -> Order | Refusal:
    """The order to cancel, or why not."""
    account = exchange.accounts.get(c.account)
    if account is None:
        return Refusal(RejectReason.UNKNOWN_ACCOUNT, f"there is no account {c.account!r}")
    found = find(exchange, account, c.orig_client_order_id, c.order_id)
    if isinstance(found, Refusal):
        return found
    return check_target(found, c) or found


def cancel(exchange: Exchange, c: CancelOrder) -> bool:
    """Cancel one order; tells whether it was done."""
    found = check_cancel(exchange, c)
    if isinstance(found, Order):
        exchange.cancel_order(
            found, CancelReason.REQUESTED, c.client_order_id, c.origin.source
        )
        return True
    refuse_change(exchange, c, RequestKind.CANCEL, found)
    return False


class _Change(NamedTuple):
    """What a replace would make of an order."""

    terms: OrderTerms
    leaves: int
    kept: bool
    needed: int


def check_replace(exchange: Exchange, c: ReplaceOrder) -> Order | Refusal:
    """The order to replace, or why not (rules C-1 and C-5, as far as ids and targets go)."""
    account = exchange.accounts.get(c.account)
    if account is None:
        return Refusal(RejectReason.UNKNOWN_ACCOUNT, f"there is no account {c.account!r}")
    found = find(exchange, account, c.orig_client_order_id, c.order_id)
    if isinstance(found, Refusal):
        return found
    if c.client_order_id:
        refusal = check_client_id(c.client_order_id)
        if refusal is not None:
            return refusal
        known = found.account.client_ids.get(c.client_order_id) or c.prior
        if known is not None:
            return Refusal(
                RejectReason.DUPLICATE_CLIENT_ORDER_ID,
                f"client order id {c.client_order_id} belongs to order {known.order_id}",
            )
    if c.ord_type is not None and c.ord_type is not found.terms.ord_type:
        name = found.terms.ord_type.name.lower().replace("_", "-")
        return Refusal(RejectReason.MISMATCH, f"the order is a {name} order")
    return check_target(found, c) or check_open(found.book) or found


def _change(exchange: Exchange, order: Order, c: ReplaceOrder) -> _Change | Refusal:
    """Work out the new terms and check them (rules C-3 to C-6)."""
    old = order.terms
    qty = old.qty if c.qty is None else c.qty
    price = old.price if c.price is None else c.price
    stop_price = old.stop_price if c.stop_price is None else c.stop_price
    display_qty = old.display_qty if c.display_qty is None else c.display_qty
    tif = old.tif if c.tif is None else c.tif
    if bool(price) != bool(old.price) or bool(stop_price) != bool(old.stop_price):
        text = "a replace cannot give an order a kind of price that its type does not have"
        return Refusal(RejectReason.UNSUPPORTED_COMBINATION, text)
    if stop_price != old.stop_price and order.triggered:
        return Refusal(RejectReason.TOO_LATE, "the stop price of a triggered order is final")
    if tif not in (_DAY, _GTC, _GTD):
        text = "a resting order can be Day, GTC or GTD"
        return Refusal(RejectReason.UNSUPPORTED_COMBINATION, text)
    if display_qty and old.ord_type is not _LIMIT:
        text = "a display quantity needs a limit order"
        return Refusal(RejectReason.UNSUPPORTED_COMBINATION, text)
    refusal = check_prices(order.book, price, stop_price)
    if refusal is None and (qty <= 0 or qty > order.cum):
        refusal = check_quantity(order.book, qty)
    if refusal is not None:
        return refusal
    qty = max(qty, order.cum)
    if not 0 <= display_qty <= qty:
        text = "the display quantity is at most the quantity"
        return Refusal(RejectReason.INVALID_QUANTITY, text)
    expiry = _expiry(exchange, order, c, tif)
    if isinstance(expiry, Refusal):
        return expiry
    leaves = qty - order.cum
    terms = old._replace(
        client_order_id=c.client_order_id or old.client_order_id,
        qty=qty,
        price=price,
        stop_price=stop_price,
        display_qty=display_qty,
        tif=tif,
        expire_at=expiry,
    )
    shown_before = old.display_qty or old.qty
    shown_after = display_qty or qty
    kept = (
        price == old.price
        and stop_price == old.stop_price
        and leaves <= order.leaves
        and (shown_after <= shown_before or display_qty == old.display_qty)
    )
    needed = limit_hold(order, price, leaves) if price or not order.buy else 0
    return _Change(terms, leaves, kept, needed)


def check_change(exchange: Exchange, c: ReplaceOrder) -> Refusal | None:
    """Everything about a replace but funds and post-only (rule B-3)."""
    found = check_replace(exchange, c)
    change = found if isinstance(found, Refusal) else _change(exchange, found, c)
    return change if isinstance(change, Refusal) else None


def _expiry(
    exchange: Exchange, order: Order, c: ReplaceOrder, tif: TimeInForce
) -> int | Refusal:
    """When the replaced order ends (rule R-7)."""
    old = order.terms
    if tif is old.tif and c.expire_at is None:
        return old.expire_at
    stated = c.expire_at or 0
    refusal = check_expiry(tif, stated, exchange.time_us)
    if refusal is not None:
        return refusal
    if tif is _DAY:
        return next_roll(exchange.time_us, exchange.day_roll_us)
    return stated


def replace(exchange: Exchange, c: ReplaceOrder) -> bool:
    """Change one order; tells whether it was done."""
    found = check_replace(exchange, c)
    if isinstance(found, Refusal):
        refuse_change(exchange, c, RequestKind.REPLACE, found)
        return False
    change = _change(exchange, found, c)
    if isinstance(change, Refusal):
        refuse_change(exchange, c, RequestKind.REPLACE, change)
        return False
    order, terms = found, change.terms
    crossing = (
        not change.kept
        and not order.armed
        and change.leaves > 0
        and order.book.crosses(order.buy, terms.price)
    )
    available = (order.quote if order.buy else order.base).available
    refusal: Refusal | None = None
    if crossing and terms.post_only:
        text = "the order is post-only and would trade at its new price"
        refusal = Refusal(RejectReason.POST_ONLY_WOULD_TRADE, text)
    elif change.needed - order.held > available:
        refusal = insufficient(exchange, order, change.needed - order.held, available)
    if refusal is not None:
        refuse_change(exchange, c, RequestKind.REPLACE, refusal)
        return False
    _apply_change(exchange, c, order, change, crossing)
    return True


def _apply_change(
    exchange: Exchange, c: ReplaceOrder, order: Order, change: _Change, crossing: bool
) -> None:
    """Everything is checked: give the order its new terms, place and hold."""
    old, terms = order.terms, change.terms
    side = order.book.side(order.buy)
    _rename(exchange, order, terms)
    if terms.expire_at != old.expire_at:
        timer = Timer(TimerKind.ORDER, "", "", order.order_id)
        if old.expire_at:
            exchange.timers.discard(old.expire_at, timer)
        if terms.expire_at:
            exchange.timers.add(terms.expire_at, timer)
    armed = order.armed
    if armed:
        exchange.disarm(order)
    elif not change.kept or not change.leaves:
        side.remove(order)
    order.terms = terms
    order.price = terms.price
    order.leaves = leaves = change.leaves
    order.updated_at = exchange.time_us
    hold_change = set_hold(order, change.needed)
    shown = terms.display_qty
    if not leaves:
        order.status = OrdStatus.FILLED
    elif armed:
        order.book.stops.add(order)
        exchange.armed[terms.symbol] = order.book
    elif change.kept:
        side.resize(order, min(order.display, shown, leaves) if shown else leaves)
    elif not crossing:
        order.display = shown if 0 < shown < leaves else leaves
        side.add(order)
    exchange.emit(
        OrderReplaced, order.account, terms, old.client_order_id, order.status, leaves,
        order.cum, order.notional, change.kept, c.origin.source, hold_change, order.display,
    )  # fmt: skip
    if not leaves:
        exchange.close_order(order)
    elif crossing:
        execute(exchange, order)


def _rename(exchange: Exchange, order: Order, terms: OrderTerms) -> None:
    """Let the order be found by its new client order id too (rule C-1)."""
    new_id = terms.client_order_id
    if new_id == order.terms.client_order_id:
        return
    account = order.account
    account.client_ids[new_id] = order
    if order.later_ids is None:
        order.later_ids = []
    order.later_ids.append(new_id)
    if len(order.later_ids) > CHAIN_IDS_MAX:
        exchange.retire_chain(order, order.later_ids[: CHAIN_IDS_MAX // 2])
        del order.later_ids[: CHAIN_IDS_MAX // 2]
