"""What happens to an order on arrival and when a stop is set off (rules M-4 to M-6, T)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from engine.core.book import Book, Order
from engine.core.events import (
    OrderAccepted,
    OrderFilled,
    OrderReplaced,
    OrderRestated,
    OrderTriggered,
)
from engine.core.instruments import format_scaled
from engine.core.ledger import hold
from engine.core.matching import match, walk
from engine.core.risk import Refusal
from engine.core.types import (
    PPM,
    CancelReason,
    InstrumentStatus,
    OrdStatus,
    RejectReason,
    TimeInForce,
)

if TYPE_CHECKING:
    from engine.core.exchange import Exchange

DAY_US: Final = 86_400_000_000
_IOC: Final = TimeInForce.IOC
_FOK: Final = TimeInForce.FOK
_SHOWING: Final = (OrderFilled, OrderAccepted, OrderReplaced, OrderRestated, OrderTriggered)


def execute(exchange: Exchange, order: Order) -> None:
    """Let an order that just arrived trade, and deal with what is left (rules M-4 to M-6)."""
    terms = order.terms
    stp = terms.stp
    if terms.tif is _FOK or terms.min_qty:
        want = order.leaves
        reach = walk(order.book, order.buy, order.account.firm, stp, order.price, want)
        if terms.tif is _FOK and reach.traded < want:
            exchange.cancel_order(order, CancelReason.FOK_UNFILLABLE)
            return
        if reach.traded < terms.min_qty:
            exchange.cancel_order(order, CancelReason.MIN_QTY)
            return
    match(exchange, order, stp)
    if not order.leaves:
        if order.status is OrdStatus.FILLED:
            exchange.close_order(order)
    elif not order.price:
        exchange.cancel_order(order, CancelReason.MARKET_REMAINDER)
    elif terms.tif is _IOC:
        exchange.cancel_order(order, CancelReason.IOC_REMAINDER)
    else:
        rest(exchange, order)


def rest(exchange: Exchange, order: Order) -> None:
    """Put what is left of an order that traded into the book, and say so in its last event."""
    leaves = order.leaves
    shown = order.terms.display_qty
    order.display = display = shown if 0 < shown < leaves else leaves
    order.book.side(order.buy).add(order)
    events = exchange.events
    at = len(events) - 1
    while True:
        event = events[at]
        if isinstance(event, _SHOWING) and event.order is order.terms:
            events[at] = event._replace(display=display)
            return
        at -= 1


def next_roll(now_us: int, day_roll_us: int) -> int:
    """The first roll after ``now_us``."""
    return ((now_us - day_roll_us) // DAY_US + 1) * DAY_US + day_roll_us


def market_cost(order: Order, cost: int) -> int:
    """What a market buy holds for a cost in ticks × lots: the cash and the taker fee."""
    cash = cost * order.book.unit
    return cash - (-cash * order.taker_ppm // PPM)


def insufficient(exchange: Exchange, order: Order, needed: int, available: int) -> Refusal:
    """Rule R-11 in words."""
    instrument = order.book.instrument
    asset = instrument.quote if order.buy else instrument.base
    scale = exchange.assets[asset]
    return Refusal(
        RejectReason.INSUFFICIENT_FUNDS,
        f"the order needs {format_scaled(needed, scale)} {asset} and "
        f"{format_scaled(available, scale)} {asset} is available",
    )


def run_stops(exchange: Exchange) -> None:
    """Set off the stops that were reached, a bounded number (rules T-1 to T-3)."""
    left = exchange.cascade_max
    for symbol in sorted(exchange.armed):
        book = exchange.books[symbol]
        while left and book.status is InstrumentStatus.OPEN:
            order = book.stops.next_reached()
            if order is None:
                break
            left -= 1
            _trigger(exchange, book, order)


def stops_pending(exchange: Exchange) -> bool:
    """Whether the bound of a cascade left stops waiting that a trade has reached."""
    return any(
        book.status is InstrumentStatus.OPEN and book.stops.next_reached() is not None
        for book in exchange.armed.values()
    )


def _trigger(exchange: Exchange, book: Book, order: Order) -> None:
    exchange.disarm(order)
    order.triggered = True
    order.updated_at = exchange.time_us
    needed = 0
    if order.buy and not order.price:
        firm = order.account.firm
        reach = walk(book, True, firm, order.terms.stp, 0, order.leaves)
        needed = market_cost(order, reach.cost)
    funded = needed <= order.quote.available
    hold_change = needed if funded else 0
    if hold_change:
        hold(order.quote, hold_change)
        order.held = hold_change
    exchange.emit(OrderTriggered, order.account, order.terms, order.leaves, 0, hold_change)
    if funded:
        execute(exchange, order)
    else:
        exchange.cancel_order(order, CancelReason.STOP_UNFUNDED)
