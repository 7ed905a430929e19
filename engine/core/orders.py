"""Create and cancel one order (rules R and C)."""

from __future__ import annotations

from typing import Final

from engine.core.book import Book, Order
from engine.core.commands import CancelOrder, NewOrder
from engine.core.events import OrderAccepted, StatusReported
from engine.core.execution import (
    execute,
    insufficient,
    market_cost,
    next_roll,
)
from engine.core.faults import EngineFault
from engine.core.ledger import Account, limit_hold
from engine.core.lookup import check_target, find_named
from engine.core.matching import simulate
from engine.core.order_checks import (
    Refusal,
    check_active,
    check_client_id,
    check_open,
    check_order,
    check_strategy,
    duplicate_client_id,
    outside_band,
    unknown_account,
    valid_tag,
)
from engine.core.ordertable import PARTS_MASK, RUN_BITS
from engine.core.refusals import refuse_change, refuse_new
from engine.core.types import (
    CLIENT_ID_LENGTH_MAX,
    STRATEGY_LENGTH_MAX,
    CancelReason,
    InstrumentStatus,
    OrderTerms,
    OrdStatus,
    OrdType,
    RejectReason,
    RequestKind,
    RetiredId,
    SelfTrade,
    Side,
    TimeInForce,
    make,
)
from engine.core.venue import Venue

_LIMIT: Final = OrdType.LIMIT
_MARKET: Final = OrdType.MARKET
_STOP: Final = OrdType.STOP
_STOP_LIMIT: Final = OrdType.STOP_LIMIT
_IOC: Final = TimeInForce.IOC
_FOK: Final = TimeInForce.FOK
_DAY: Final = TimeInForce.DAY
_GTD: Final = TimeInForce.GTD
_BUY: Final = Side.BUY
_OPEN: Final = InstrumentStatus.OPEN
_NEW: Final = OrdStatus.NEW
_PARTIAL: Final = OrdStatus.PARTIALLY_FILLED
_REQUESTED: Final = CancelReason.REQUESTED


def new_order(venue: Venue, c: NewOrder) -> bool:
    """Create an order. Return True if it was accepted.

    Most are plain limit orders that pass rules R-1 to R-7. One condition recognizes them at a
    fraction of the cost of ``check_new``, which handles everything else, faults included.
    """
    (
        origin, name, client_id, symbol, side, kind, tif, qty, price, stop_price, cash_qty,
        min_qty, display_qty, expire_at, post_only, stp, strategy, manual, _, prior,
    ) = c  # fmt: skip
    account = venue.accounts.get(name)
    book = venue.books.get(symbol)
    if (
        account is None
        or book is None
        or kind is not _LIMIT
        or tif is _GTD
        or not book.min_qty <= qty <= book.max_qty
        or not 0 < price <= book.max_price
        or (book.band_ppm and not book.within_band(price))
        or book.status is not _OPEN
        or account.suspended
        or book.busy
        or client_id in account.client_ids
        or not valid_tag(client_id, CLIENT_ID_LENGTH_MAX)
        or stop_price
        or cash_qty
        or min_qty
        or display_qty
        or expire_at
        or post_only
        or (strategy and not valid_tag(strategy, STRATEGY_LENGTH_MAX))
        or prior is not None
    ):
        refusal = check_new(venue, c)
        if refusal is REPORTED and account is not None:
            return _report(venue, account.client_ids[client_id])
        if refusal is not None:
            return refuse_new(venue, c, refusal)
        if account is None or book is None:
            raise EngineFault("an order that passed its checks has an account and an instrument")
    if len(account.orders) >= account.open_orders_max:
        return refuse_new(venue, c, _too_many(account))
    if stp is None:
        stp = account.stp
    if tif is _DAY:
        expire_at = next_roll(venue.time_us, venue.day_roll_us)
    buy = side is _BUY
    best = book.asks.best if buy else book.bids.best
    crossing = kind is not _LIMIT or (
        best is not None and (best.price <= price if buy else best.price >= price)
    )
    if crossing and post_only:
        text = "the order is post-only and would trade on arrival"
        return refuse_new(venue, c, Refusal(RejectReason.POST_ONLY_WOULD_TRADE, text))
    cost = 0
    if kind is _MARKET and (buy or cash_qty):
        sized = _size(venue, book, c, account.firm, stp)
        if isinstance(sized, Refusal):
            return refuse_new(venue, c, sized)
        qty, cost = sized
    # Orders live long, so they share the strings of the state and not those of the command.
    known = venue.sessions.get(origin.source)
    fields = (
        venue.next_order_id, account.name, client_id, client_id, book.symbol, side, kind, tif,
        qty, price, stop_price, cash_qty, min_qty, display_qty, expire_at, post_only, stp,
        strategy, manual, known.name if known else origin.source, venue.time_us, origin.route,
    )  # fmt: skip
    order = Order(make(OrderTerms, fields), account, book)
    if not price:
        order.limit = book.worst(buy)
    if not buy:
        needed = qty * book.lot_atoms
    else:
        needed = limit_hold(order, price, qty) if price else market_cost(order, cost)
    return _accept(venue, c, order, needed, crossing)


def _size(
    venue: Venue, book: Book, c: NewOrder, firm: str, stp: SelfTrade
) -> tuple[int, int] | Refusal:
    """Compute the quantity of a market order, in lots, and its cost from the book (rule M-9)."""
    if book.busy:
        return _busy(book) if c.cash_qty else (c.qty, 0)
    buy = c.side is _BUY
    want = c.qty or book.max_qty
    sweep = simulate(venue, book, buy, firm, stp, book.worst(buy), want, c.cash_qty)
    if not c.cash_qty:
        return c.qty, sweep.cost
    if sweep.cut:
        return _too_much(venue, book)
    if sweep.traded == 0:
        return _nothing_for_money(book, buy)
    return sweep.used, sweep.cost


def _nothing_for_money(book: Book, buy: bool) -> Refusal:
    """Return the refusal of rule R-10, or of the band if there are orders only beyond it."""
    worst, best = book.worst(buy), book.side(not buy).best
    if worst and best is not None and (best.price > worst if buy else best.price < worst):
        return outside_band(book, best.price, "the best price")
    text = "nothing can be traded for this amount of money at present"
    return Refusal(RejectReason.NO_LIQUIDITY, text)


def _too_many(account: Account) -> Refusal:
    """Return the refusal of rule R-8."""
    text = f"the account has its maximum of {account.open_orders_max} open orders"
    return Refusal(RejectReason.TOO_MANY_OPEN_ORDERS, text)


def _busy(book: Book) -> Refusal:
    """Refuse an order by money while its instrument is busy (rule M-10)."""
    text = (
        f"{book.symbol} is still executing earlier orders; an order by money is accepted once "
        "they are done"
    )
    return Refusal(RejectReason.INSTRUMENT_BUSY, text)


def _too_much(venue: Venue, book: Book) -> Refusal:
    """Refuse an order by money that meets more orders than one command may process (rule M-10)."""
    if venue.work_left < venue.work_max:
        return _busy(book)
    text = (
        f"an order by money is executed in one step and would match more than the "
        f"{venue.work_max} orders allowed; order less"
    )
    return Refusal(RejectReason.SWEEP_TOO_LARGE, text)


def _report(venue: Venue, known: Order) -> bool:
    """Answer a repeated create with the state of the order it created (row F.1.b)."""
    venue.emit(
        StatusReported, known.account, known.terms, known.status, known.leaves, known.cum,
        known.notional,
    )  # fmt: skip
    return True


def _accept(
    venue: Venue, c: NewOrder, order: Order, needed: int, crossing: bool
) -> bool:
    """Place the order's hold and register it, or refuse it for its cost."""
    account = order.account
    money = order.quote if order.buy else order.base
    if needed > money.available:
        return refuse_new(venue, c, insufficient(venue, order, needed, money.available))
    money.available -= needed
    money.held += needed
    order.held = needed
    terms = order.terms
    tif = terms.tif
    order_id = order.order_id
    venue.next_order_id = order_id + 1
    parts = venue.orders.parts
    parts[order_id >> RUN_BITS & PARTS_MASK][order_id] = order
    account.orders[order_id] = order
    account.client_ids[terms.client_order_id] = order
    if order.expire_at:
        venue.timers.add(order.expire_at, order_id)
    queues = order.book.busy
    rests = not crossing and tif is not _IOC and tif is not _FOK and not queues
    if rests:
        order.display = terms.display_qty or order.leaves
        (order.book.bids if order.buy else order.book.asks).add(order)
    account.seq = seq = account.seq + 1
    fields = (account.name, seq, terms, order.leaves, needed, order.display)
    venue.events.append(make(OrderAccepted, fields))
    if rests:
        return True
    if terms.ord_type is _STOP or terms.ord_type is _STOP_LIMIT:
        arm(venue, order)
    elif queues:
        venue.join_queue(order)
    else:
        execute(venue, order)
    return True


def arm(venue: Venue, order: Order) -> None:
    """Add a stop order to the stop book; the last price may have reached it already (rule T-1)."""
    book = order.book
    book.stops.arm(order, book.last_price)
    venue.armed[order.terms.symbol] = book


REPORTED: Final = Refusal(RejectReason.DUPLICATE_CLIENT_ORDER_ID, "")
"""Marks a repeat that was answered with the order's state: nothing is refused."""


def check_new(venue: Venue, c: NewOrder) -> Refusal | None:
    """Check rules R-1 to R-7 for a create."""
    account = venue.accounts.get(c.account)
    if account is None:
        return unknown_account(c.account)
    refusal = check_client_id(c.client_order_id) or check_strategy(c.strategy)
    if refusal is not None:
        return refusal
    known: Order | RetiredId | None = account.client_ids.get(c.client_order_id) or c.prior
    if known is not None:
        if c.poss_resend and isinstance(known, Order):
            return REPORTED
        return duplicate_client_id(c.client_order_id, known.order_id)
    book = venue.books.get(c.symbol)
    if book is None:
        return Refusal(RejectReason.UNKNOWN_SYMBOL, f"there is no instrument {c.symbol!r}")
    return check_active(account) or check_open(book) or check_order(book, c, venue.time_us)


def check_cancel(venue: Venue, c: CancelOrder) -> Order | Refusal:
    """Return the order to cancel, or the refusal."""
    found = find_named(venue, c)
    if isinstance(found, Refusal):
        return found
    return check_target(found, c) or found


def cancel(venue: Venue, c: CancelOrder) -> bool:
    """Cancel one order; return True if it was canceled.

    Most requests name an open order by a client order id and state nothing wrong about it; these
    are handled here, everything else by ``check_cancel``.
    """
    origin, name, client_id, orig_id, order_id, symbol, side = c
    account = venue.accounts.get(name)
    order = None if account is None or order_id else account.client_ids.get(orig_id)
    if (
        order is not None
        and (order.status is _NEW or order.status is _PARTIAL)
        and not venue.wary
        and (not symbol or symbol == order.book.symbol)
        and (side is None or (side is _BUY) is order.buy)
    ):
        venue.cancel_order(order, _REQUESTED, client_id, origin.source, origin.route)
        return True
    found = check_cancel(venue, c)
    if isinstance(found, Order):
        venue.cancel_order(found, _REQUESTED, client_id, origin.source, origin.route)
        return True
    refuse_change(venue, c, RequestKind.CANCEL, found)
    return False
