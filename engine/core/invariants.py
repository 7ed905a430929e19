"""Invariants of the venue, checked after every command in tests and on demand live."""

from __future__ import annotations

from engine.core import stored_records
from engine.core.book import Book, BookSide
from engine.core.ledger import limit_hold
from engine.core.types import OrdStatus, OrdType
from engine.core.venue import Venue
from engine.core.withdrawals import MOVES


def violations(venue: Venue) -> list[str]:
    """Return a sentence for every invariant that does not hold; empty if all hold. O(state)."""
    faults: list[str] = []
    _money(venue, faults)
    _holds(venue, faults)
    for book in venue.books.values():
        _book(book, faults)
        _waiting(venue, book, faults)
        _stops(book, faults)
    if venue.wary is not bool(venue.purges or venue.expired_to):
        faults.append("whether cancels are in progress is not remembered")
    _orders(venue, faults)
    faults.extend(stored_records.violations(venue))
    return faults


def _money(venue: Venue, faults: list[str]) -> None:
    """Check rules L-1 and L-2."""
    for asset in venue.assets:
        fees = venue.house.fees.get(asset)  # A check creates no balance.
        total = fees.available if fees else 0
        total += venue.house.settlement.get(asset, 0)
        for account in venue.accounts.values():
            money = account.balances.get(asset)
            if money is None:
                continue
            total += money.available + money.held
            if money.available < 0 or money.held < 0:
                faults.append(f"{account.name} has negative {asset}")
        if total:
            faults.append(f"postings of {asset} sum to {total}, not to zero")


def _holds(venue: Venue, faults: list[str]) -> None:
    """Check rule L-5, and that each order and withdrawal holds what it needs (L-3, W-2)."""
    held: dict[tuple[str, str], int] = {}
    for account in venue.accounts.values():
        for order in account.orders.values():
            instrument = order.book.instrument
            key = (account.name, instrument.quote if order.buy else instrument.base)
            held[key] = held.get(key, 0) + order.held
            needed = limit_hold(order, order.price, order.leaves)
            if order.buy and not order.price:
                needed = 0
            if order.held != needed:
                faults.append(
                    f"order {order.order_id} holds {order.held} atoms and needs {needed}"
                )
    for record in venue.withdrawals.values():
        if MOVES[record.row.state] and not record.posted:
            key = (record.row.account, record.row.asset)
            held[key] = held.get(key, 0) + record.row.amount + record.row.fee
    for account in venue.accounts.values():
        for asset, money in account.balances.items():
            expected = held.get((account.name, asset), 0)
            if money.held != expected:
                faults.append(
                    f"{account.name} holds {money.held} {asset} atoms, its holds add up to "
                    f"{expected}"
                )


def _side(book: Book, side: BookSide, buy: bool, faults: list[str]) -> int:
    symbol = book.instrument.symbol
    resting = 0
    if list(side.keys) != sorted(price if buy else -price for price in side.levels):
        faults.append(f"the price list of {symbol} does not match its levels")
    best = side.levels[abs(side.keys[-1])] if side.keys else None
    if side.best is not best:
        faults.append(f"the best price of {symbol} is wrong")
    for price, level in side.levels.items():
        count = qty = 0
        order, before = level.head, None
        while order is not None:
            count += 1
            qty += order.display
            if order.price != price or order.buy is not buy or order.ahead is not before:
                faults.append(f"order {order.order_id} is misplaced in {symbol}")
            if not 0 < order.display <= order.leaves or not order.open:
                faults.append(f"order {order.order_id} shows {order.display} lots")
            order, before = order.behind, order
        if level.tail is not before or (level.count, level.qty) != (count, qty) or not count:
            faults.append(f"the level {price} of {symbol} does not add up")
        resting += count
    return resting


def _waiting(venue: Venue, book: Book, faults: list[str]) -> None:
    """Check rule M-10: an order that waits for a turn is open, and its book lists it."""
    symbol = book.instrument.symbol
    waiting = [*book.queue.values(), *([book.current] if book.current else [])]
    if book.busy is not bool(waiting) or book.busy is not (symbol in venue.busy):
        faults.append(f"{symbol} does not know whether an order waits for its turn")
    for number, order in book.queue.items():
        if number != order.order_id or order is book.current:
            faults.append(f"order {order.order_id} waits twice in {symbol}")
    for order in waiting:
        if not order.open or order.book is not book:
            faults.append(f"order {order.order_id} waits in {symbol} and is not open there")


def _stops(book: Book, faults: list[str]) -> None:
    """Check that a zone of reached stops has a stop in it, and that late stops have a zone."""
    stops = book.stops
    high, low = stops.zone_high, stops.zone_low
    first_buy = stops.buys[0].terms.stop_price if stops.buys else 0
    first_sell = stops.sells[0].terms.stop_price if stops.sells else 0
    if (high and not 0 < first_buy <= high) or (low and first_sell < low):
        faults.append(f"{book.symbol} keeps a zone of reached stops in which there is none")
    if (stops.late_buys and not high) or (stops.late_sells and not low):
        faults.append(f"a stop of {book.symbol} waits for a zone that is over")
    if sorted(stops.late) != sorted(o.order_id for o in [*stops.late_buys, *stops.late_sells]):
        faults.append(f"{book.symbol} has lost count of its late stops")


def _book(book: Book, faults: list[str]) -> None:
    _side(book, book.bids, True, faults)
    _side(book, book.asks, False, faults)
    if book.bids.best and book.asks.best and book.bids.best.price >= book.asks.best.price:
        faults.append(f"the book of {book.instrument.symbol} is crossed")


def _orders(venue: Venue, faults: list[str]) -> None:
    """Check that each open order is in exactly one place, and that quantities add up."""
    for account in venue.accounts.values():
        for order in account.orders.values():
            book = order.book
            queued = book.current is order or order.order_id in book.queue
            if order.armed + (order.level is not None) + queued != 1:
                faults.append(f"order {order.order_id} must rest or wait, in one place")
            if queued and order.display:
                faults.append(f"order {order.order_id} waits for its turn and shows itself")
            if order.leaves <= 0 or order.leaves + order.cum != order.terms.qty:
                faults.append(f"the quantities of order {order.order_id} do not add up")
            expected = OrdStatus.PARTIALLY_FILLED if order.cum else OrdStatus.NEW
            if order.status is not expected:
                faults.append(f"order {order.order_id} has status {order.status.name}")
            if order.armed and order.terms.ord_type not in (OrdType.STOP, OrdType.STOP_LIMIT):
                faults.append(f"order {order.order_id} waits and is no stop order")
        for order in account.closed:
            if order.open or order.leaves or order.held or order.level or order.armed:
                faults.append(f"closed order {order.order_id} is not quite closed")
