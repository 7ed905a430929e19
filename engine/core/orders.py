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
from engine.core.faults import EngineFault
from engine.core.ledger import limit_hold, set_hold
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
    check_strategy,
    valid_client_id,
    valid_strategy,
)
from engine.core.types import (
    CancelReason,
    InstrumentStatus,
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
_OPEN: Final = InstrumentStatus.OPEN
_event = tuple.__new__


def new_order(exchange: Exchange, c: NewOrder) -> bool:
    """Create an order; tells whether it was accepted.

    Most orders are limit orders without extras in which rules R-1 to R-7 find no fault; the
    one condition ``plain`` says so at a fraction of the cost of ``check_new``, to which
    everything else is left.
    """
    (
        origin, name, client_id, symbol, side, kind, tif, qty, price, stop_price, cash_qty,
        min_qty, display_qty, expire_at, post_only, stp, strategy, manual, _, prior,
    ) = c  # fmt: skip
    account = exchange.accounts.get(name)
    book = exchange.books.get(symbol)
    plain = (
        account is not None
        and book is not None
        and kind is _LIMIT
        and tif is not _GTD
        and book.min_qty <= qty <= book.max_qty
        and 0 < price <= book.max_price
        and book.status is _OPEN
        and client_id not in account.client_ids
        and valid_client_id(client_id) is not None
        and not (stop_price or cash_qty or min_qty or display_qty or expire_at or post_only)
        and (not strategy or valid_strategy(strategy) is not None)
        and prior is None
    )
    if not plain:
        refusal = check_new(exchange, c)
        if refusal is REPORTED and account is not None:
            return _report(exchange, account.client_ids[client_id])
        if refusal is not None:
            return refuse_new(exchange, c, refusal)
    if account is None or book is None:
        raise EngineFault("an order that passed its checks has an account and an instrument")
    if len(account.orders) >= account.open_orders_max:
        text = f"the account has its maximum of {account.open_orders_max} open orders"
        return refuse_new(exchange, c, Refusal(RejectReason.TOO_MANY_OPEN_ORDERS, text))
    if stp is None:
        stp = account.stp
    if tif is _DAY:
        expire_at = next_roll(exchange.time_us, exchange.day_roll_us)
    buy = side is _BUY
    crossing = kind is not _LIMIT or book.crosses(buy, price)
    if crossing and post_only:
        text = "the order is post-only and would trade on arrival"
        return refuse_new(exchange, c, Refusal(RejectReason.POST_ONLY_WOULD_TRADE, text))
    cost = 0
    if kind is _MARKET and (buy or cash_qty):
        want = qty or book.max_qty
        reach = walk(book, buy, account.firm, stp, 0, want, cash_qty)
        cost = reach.cost
        if cash_qty:
            qty = reach.used
            if reach.traded == 0:
                text = "nothing can be traded for this amount of money at present"
                return refuse_new(exchange, c, Refusal(RejectReason.NO_LIQUIDITY, text))
    # Orders live long, so they share the strings of the state and not those of the command.
    known = exchange.sessions.get(origin.source)
    fields = (
        exchange.next_order_id, account.name, client_id, client_id, book.symbol, side, kind,
        tif, qty, price, stop_price, cash_qty, min_qty, display_qty, expire_at, post_only, stp,
        strategy, manual, known.name if known else origin.source, exchange.time_us,
    )  # fmt: skip
    terms = _event(OrderTerms, fields)
    order = Order(terms, account, book)
    if not buy:
        money = order.base
        needed = qty * book.lot_atoms
    else:
        money = order.quote
        needed = limit_hold(order, price, qty) if price else market_cost(order, cost)
    if needed > money.available:
        return refuse_new(exchange, c, insufficient(exchange, order, needed, money.available))
    money.available -= needed
    money.held += needed
    order.held = needed
    _accept(exchange, order, crossing)
    return True


def _report(exchange: Exchange, known: Order) -> bool:
    """Answer a repeated create with the state of the order it created (row F.1.b)."""
    exchange.emit(
        StatusReported, known.account, known.terms, known.status, known.leaves, known.cum,
        known.notional,
    )  # fmt: skip
    return True


def _accept(exchange: Exchange, order: Order, crossing: bool) -> None:
    """Everything is checked: the order exists from here on."""
    terms = order.terms
    account = order.account
    order_id = order.order_id
    exchange.next_order_id = order_id + 1
    exchange.orders[order_id] = account.orders[order_id] = order
    account.client_ids[terms.client_order_id] = order
    if terms.expire_at:
        exchange.timers.add(terms.expire_at, order_id)
    rests = not crossing and terms.tif is not _IOC and terms.tif is not _FOK
    if rests:
        order.display = terms.display_qty or order.leaves
        (order.book.bids if order.buy else order.book.asks).add(order)
    account.seq = seq = account.seq + 1
    fields = (account.name, seq, terms, order.leaves, order.held, order.display)
    exchange.events.append(_event(OrderAccepted, fields))
    if rests:
        return
    if terms.ord_type is _STOP or terms.ord_type is _STOP_LIMIT:
        _arm(exchange, order)
        return
    execute(exchange, order)


def _arm(exchange: Exchange, order: Order) -> None:
    """Let a stop order wait; the last price may have reached it already (rule T-1)."""
    book = order.book
    book.stops.add(order)
    book.stops.reach(book.last_price)
    exchange.armed[order.terms.symbol] = book


REPORTED: Final = Refusal(RejectReason.DUPLICATE_CLIENT_ORDER_ID, "")
"""Stands for a repeat that was answered with the order's state: nothing is refused."""


def check_new(exchange: Exchange, c: NewOrder) -> Refusal | None:
    """Rules R-1 to R-7 for a create."""
    account = exchange.accounts.get(c.account)
    if account is None:
        return Refusal(RejectReason.UNKNOWN_ACCOUNT, f"there is no account {c.account!r}")
    refusal = check_client_id(c.client_order_id) or check_strategy(c.strategy)
    if refusal is not None:
        return refusal
    known: Order | RetiredId | None = account.client_ids.get(c.client_order_id) or c.prior
    if known is not None:
        if c.poss_resend and isinstance(known, Order):
            return REPORTED
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
    if tif not in (_DAY, _GTC, _GTD):
        text = "a resting order can be Day, GTC or GTD"
        return Refusal(RejectReason.UNSUPPORTED_COMBINATION, text)
    if display_qty and old.ord_type is not _LIMIT:
        text = "a display quantity needs a limit order"
        return Refusal(RejectReason.UNSUPPORTED_COMBINATION, text)
    if stop_price != old.stop_price and order.triggered:
        return Refusal(RejectReason.TOO_LATE, "the stop price of a triggered order is final")
    refusal: Refusal | None = None
    if qty <= 0 or qty > order.cum:
        refusal = check_quantity(order.book, qty)
    qty = max(qty, order.cum)
    if refusal is None and not 0 <= display_qty <= qty:
        text = "the display quantity is at most the quantity"
        refusal = Refusal(RejectReason.INVALID_QUANTITY, text)
    refusal = refusal or check_prices(order.book, price, stop_price)
    if refusal is not None:
        return refusal
    expiry = _expiry(exchange, order, c, tif)
    if isinstance(expiry, Refusal):
        return expiry
    leaves = qty - order.cum
    terms = _event(
        OrderTerms,
        (
            *old[:2], c.client_order_id or old.client_order_id, *old[3:7], tif, qty, price,
            stop_price, *old[11:13], display_qty, expiry, *old[15:],
        ),
    )  # fmt: skip
    shown_before = old.display_qty or old.qty
    shown_after = display_qty or qty
    kept = (
        price == old.price
        and stop_price == old.stop_price
        and leaves <= order.leaves
        and (shown_after <= shown_before or display_qty == old.display_qty)
    )
    needed = limit_hold(order, price, leaves) if price or not order.buy else 0
    return _event(_Change, (terms, leaves, kept, needed))


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
        if old.expire_at:
            exchange.timers.discard(old.expire_at, order.order_id)
        if terms.expire_at:
            exchange.timers.add(terms.expire_at, order.order_id)
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
        _arm(exchange, order)
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
