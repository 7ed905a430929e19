"""Matching: trade an arriving order against the other side of the book (rules M).

``simulate`` changes nothing, ``match`` trades; both traverse the queue in the same way, so that
what was found possible (FOK, MinQty, market funds) is what happens.
"""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

from engine.core import purges
from engine.core.book import Book, BookSide, Order
from engine.core.events import OrderFilled, OrderRestated
from engine.core.ledger import limit_hold, set_hold, settle
from engine.core.types import (
    CancelReason,
    Liquidity,
    OrdStatus,
    RestateReason,
    SelfTrade,
    make,
)
from engine.core.venue import Venue

_NONE: Final = SelfTrade.NONE
_NEWEST: Final = SelfTrade.CANCEL_NEWEST
_OLDEST: Final = SelfTrade.CANCEL_OLDEST
_DECREMENT: Final = SelfTrade.DECREMENT
_PARTIAL: Final = OrdStatus.PARTIALLY_FILLED
_FILLED: Final = OrdStatus.FILLED
_MAKER: Final = Liquidity.MAKER
_TAKER: Final = Liquidity.TAKER


class Sweep(NamedTuple):
    """What an arriving order would get: lots traded, lots used up (trades and M-7
    decrements together), and the cost of the trades in ticks × lots. ``cut`` is true if the
    work of this command is used up before the order is."""

    traded: int
    used: int
    cost: int
    cut: bool


def simulate(
    venue: Venue, book: Book, buy: bool, firm: str, stp: SelfTrade, limit: int, want: int,
    budget: int = 0,
) -> Sweep:  # fmt: skip
    """Traverse the other side as ``match`` would, without changing it.

    ``limit`` 0 means none; ``budget`` (quote atoms, 0 for none) bounds the money spent or
    received (rule M-9). O(orders passed), which the work left bounds.
    """
    side = book.asks if buy else book.bids
    traded = used = cost = 0
    purse = budget
    steps = venue.work_left
    wary = venue.wary
    for key in reversed(side.keys):
        level = side.levels[abs(key)]
        price = level.price
        if limit and (price > limit if buy else price < limit):
            break
        hidden: deque[tuple[Order, int]] = deque()
        order = level.head
        while used < want:
            if order is not None:
                maker, shown, behind = order, order.display, order.leaves - order.display
                order = order.behind
            elif hidden:
                maker, behind = hidden.popleft()
                shown = min(maker.terms.display_qty, behind)
                behind -= shown
            else:
                break
            if steps <= 0:
                return Sweep(traded, used, cost, True)
            steps -= 1
            if wary and purges.covered(venue, maker):
                continue
            own = stp is not _NONE and maker.account.firm == firm
            if own and stp is _OLDEST:
                continue
            if own and stp is not _DECREMENT:
                return Sweep(traded, used, cost, False)
            qty = offered = min(want - used, shown + behind if own else shown)
            if budget:
                qty = min(qty, purse // (price * book.unit))
                purse -= qty * price * book.unit
            used += qty
            if not own:
                traded += qty
                cost += qty * price
                if behind:
                    hidden.append((maker, behind))
            if qty < offered:
                return Sweep(traded, used, cost, False)
        if used >= want:
            break
    return Sweep(traded, used, cost, False)


def match(venue: Venue, taker: Order, stp: SelfTrade) -> bool:
    """Trade an order as far as its price and the book allow (rules M-1 to M-3).

    Ends when the order is filled, is canceled by self-trade prevention, or has nothing more to
    trade with. Returns True if it ends because the work of this command is used up (rule M-10).
    O(trades).
    """
    book = taker.book
    buy = taker.buy
    side = book.asks if buy else book.bids
    limit = taker.limit
    firm = taker.account.firm
    wary = venue.wary
    left = venue.work_left
    cut = False
    while taker.leaves:
        level = side.best
        if level is None:
            break
        price = level.price
        if limit and (price > limit if buy else price < limit):
            break
        if left <= 0:
            cut = True
            break
        left -= 1
        maker = level.head
        if maker is None:
            raise AssertionError("a level in the book has an order")
        if wary and purges.meet(venue, maker):
            continue
        if stp is not _NONE and maker.account.firm == firm:
            if not prevent_self_trade(venue, taker, maker, stp):
                break
            continue
        _trade(venue, book, side, taker, maker, price)
    venue.work_left = left
    return cut


def _trade(
    venue: Venue, book: Book, side: BookSide, taker: Order, maker: Order, price: int
) -> None:
    """Make one trade between the arriving order and the first in the queue."""
    shown = maker.display
    leaves = taker.leaves
    qty = leaves if leaves < shown else shown
    trade_id = venue.next_trade_id
    venue.next_trade_id = trade_id + 1
    book.last_price = book.anchor = price
    if venue.armed:
        book.stops.mark_reached(price)
    notional = price * qty
    cash = notional * book.unit
    base_amount = qty * book.lot_atoms
    now = venue.time_us
    events = venue.events

    taker.leaves = leaves = leaves - qty
    taker.cum = cum = taker.cum + qty
    taker.notional = total = taker.notional + notional
    taker.status = status = _PARTIAL if leaves else _FILLED
    taker.updated_at = now
    fee, hold_change = settle(taker, book, cash, base_amount, taker.taker_ppm)
    account = taker.account
    account.seq = seq = account.seq + 1
    events.append(
        make(
            OrderFilled,
            (
                account.name, seq, taker.terms, status, leaves, cum, total,
                trade_id, qty, price, _TAKER, base_amount, cash, fee, taker.fees,
                hold_change, 0,
            ),
        )
    )  # fmt: skip

    maker.leaves = leaves = maker.leaves - qty
    maker.cum = cum = maker.cum + qty
    maker.notional = total = maker.notional + notional
    maker.status = status = _PARTIAL if leaves else _FILLED
    maker.updated_at = now
    fee, hold_change = settle(maker, book, cash, base_amount, maker.maker_ppm)
    if leaves == 0:
        side.remove(maker)
    elif shown == qty:
        display_qty = maker.terms.display_qty
        side.requeue(maker, display_qty if display_qty < leaves else leaves)
    else:
        side.resize(maker, shown - qty)
    account = maker.account
    account.seq = seq = account.seq + 1
    events.append(
        make(
            OrderFilled,
            (
                account.name, seq, maker.terms, status, leaves, cum, total,
                trade_id, qty, price, _MAKER, base_amount, cash, fee, maker.fees,
                hold_change, maker.display,
            ),
        )
    )  # fmt: skip
    if leaves == 0:
        venue.close_order(maker)


def prevent_self_trade(
    venue: Venue, taker: Order, maker: Order, stp: SelfTrade
) -> bool:
    """Apply rule M-7 to two orders of one firm. Return True if the taker continues matching."""
    reason = CancelReason.SELF_TRADE
    if stp is _OLDEST:
        venue.cancel_order(maker, reason)
        return True
    if stp is not _DECREMENT:
        venue.cancel_order(taker, reason)
        if stp is not _NEWEST:
            venue.cancel_order(maker, reason)
        return False
    qty = min(taker.leaves, maker.leaves)
    for order in (taker, maker):
        if order.leaves == qty:
            venue.cancel_order(order, reason)
        else:
            _decrement(venue, order, qty)
    return taker.leaves > 0


def _decrement(venue: Venue, order: Order, qty: int) -> None:
    """Subtract ``qty`` lots from an order without a trade and report it restated."""
    order.leaves -= qty
    total = order.terms.qty - qty
    shown = min(order.terms.display_qty, total)
    order.terms = order.terms._replace(qty=total, display_qty=shown)
    order.updated_at = venue.time_us
    if order.level is not None:
        order.book.side(order.buy).resize(
            order, min(order.display, order.leaves) if shown else order.leaves
        )
    held = order.held
    if order.price or not order.buy:
        held = limit_hold(order, order.price, order.leaves)
    change = set_hold(order, held)
    venue.emit(
        OrderRestated, order.account, order.terms, order.status, order.leaves, order.cum,
        order.notional, RestateReason.SELF_TRADE_DECREMENT, change, order.display,
    )  # fmt: skip
