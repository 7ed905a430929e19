"""Execute an order when its turn comes: on arrival, after others, or as a triggered stop (rules
M-4 to M-6, M-10, T)."""

from __future__ import annotations

from typing import Final

from engine.core import purges
from engine.core.book import Book, Order
from engine.core.events import (
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderReplaced,
    OrderRestated,
    OrderTriggered,
)
from engine.core.faults import check
from engine.core.instruments import format_scaled
from engine.core.ledger import hold, set_hold
from engine.core.matching import match, simulate
from engine.core.order_checks import Refusal
from engine.core.types import (
    PPM,
    CancelReason,
    InstrumentStatus,
    OrdStatus,
    RejectReason,
    RestateReason,
    TimeInForce,
)
from engine.core.venue import Venue

DAY_US: Final = 86_400_000_000
_IOC: Final = TimeInForce.IOC
_FOK: Final = TimeInForce.FOK
_HOLDING: Final = (OrderAccepted, OrderCanceled, OrderFilled, OrderRestated, OrderTriggered)
_SHOWING: Final = (OrderFilled, OrderAccepted, OrderReplaced, OrderRestated, OrderTriggered)


def execute(venue: Venue, order: Order) -> None:
    """Match an order, and rest or cancel its remainder (rules M-4 to M-6, M-10)."""
    terms = order.terms
    stp = terms.stp
    if (terms.tif is _FOK or terms.min_qty > order.cum) and not _whole(venue, order):
        return
    if match(venue, order, stp):
        _interrupt(venue, order)
    elif not order.leaves:
        if order.status is OrdStatus.FILLED:
            venue.close_order(order)
    elif not order.price:
        venue.cancel_order(order, _remainder(order))
    elif terms.tif is _IOC:
        venue.cancel_order(order, CancelReason.IOC_REMAINDER)
    else:
        rest(venue, order)


def _whole(venue: Venue, order: Order) -> bool:
    """Return whether FOK or MinQty is met; if not, the order has ended or waits for a full turn."""
    terms = order.terms
    want = order.leaves
    sweep = simulate(
        venue, order.book, order.buy, order.account.firm, terms.stp, order.limit, want
    )
    if sweep.traded >= (want if terms.tif is _FOK else terms.min_qty):
        return True
    if sweep.cut and venue.work_left < venue.work_max:
        _interrupt(venue, order)  # A command that does nothing else has more room for it.
    elif sweep.cut:
        venue.cancel_order(order, CancelReason.SWEEP_TOO_LARGE)
    elif terms.tif is _FOK:
        venue.cancel_order(order, CancelReason.FOK_UNFILLABLE)
    else:
        venue.cancel_order(order, CancelReason.MIN_QTY)
    return False


def _interrupt(venue: Venue, order: Order) -> None:
    """Interrupt an order's turn because the work of this command is used up (rule M-10).

    A market buy holds nothing between two turns.
    """
    if order.held and order.buy and not order.price:
        _add_to_hold_change(venue, order, 0, set_hold(order, 0))
    book = order.book
    book.current = order
    book.busy = True
    venue.busy[book.symbol] = book


def _remainder(order: Order) -> CancelReason:
    """Return why the rest of an order without a price is canceled: an empty book, or the band."""
    side = order.book.side(not order.buy)
    beyond = order.limit and side.best is not None
    return CancelReason.PRICE_BAND if beyond else CancelReason.MARKET_REMAINDER


def rest(venue: Venue, order: Order) -> None:
    """Rest the remainder of an order in the book, and record that in its last event.

    An order whose turn came later than its arrival, and that did not trade, has no event in
    this command yet, and gets one.
    """
    leaves = order.leaves
    shown = order.terms.display_qty
    order.display = display = shown if 0 < shown < leaves else leaves
    order.book.side(order.buy).add(order)
    events = venue.events
    for at in range(len(events) - 1, -1, -1):
        event = events[at]
        if isinstance(event, _SHOWING) and event.order is order.terms:
            events[at] = event._replace(display=display)
            return
    venue.emit(
        OrderRestated, order.account, order.terms, order.status, leaves, order.cum,
        order.notional, RestateReason.RESTS, 0, display,
    )  # fmt: skip


def next_roll(now_us: int, day_roll_us: int) -> int:
    """Return the first roll after ``now_us``."""
    return ((now_us - day_roll_us) // DAY_US + 1) * DAY_US + day_roll_us


def market_cost(order: Order, cost: int) -> int:
    """Return what a market buy holds for a cost in ticks × lots: the cash and the taker fee."""
    cash = cost * order.book.unit
    return cash - (-(order.fee_weight + cash * order.taker_ppm) // PPM) - order.fees


def market_hold(venue: Venue, order: Order) -> int:
    """Return the hold of a market buy for what it can trade within this command's work (L-3)."""
    terms = order.terms
    firm = order.account.firm
    sweep = simulate(venue, order.book, True, firm, terms.stp, order.limit, order.leaves)
    return market_cost(order, sweep.cost)


def insufficient(venue: Venue, order: Order, needed: int, available: int) -> Refusal:
    """Return the refusal of rule R-11."""
    instrument = order.book.instrument
    asset = instrument.quote if order.buy else instrument.base
    scale = venue.assets[asset]
    return Refusal(
        RejectReason.INSUFFICIENT_FUNDS,
        f"the order needs {format_scaled(needed, scale)} {asset} and "
        f"{format_scaled(available, scale)} {asset} is available",
    )


def run_stops(venue: Venue) -> None:
    """Trigger the stops that were reached, a bounded number (rules T-1 to T-3)."""
    for symbol in sorted(venue.armed):
        book = venue.books[symbol]
        while not book.busy and _trigger_next(venue, book):
            pass


def stops_pending(venue: Venue) -> bool:
    """Return whether reached stops are still waiting because of the cascade bound."""
    return any(
        book.status is InstrumentStatus.OPEN and book.stops.next_reached() is not None
        for book in venue.armed.values()
    )


def queues_pending(venue: Venue) -> bool:
    """Return whether an order waits for a turn that it could take now."""
    return any(book.status is InstrumentStatus.OPEN for book in venue.busy.values())


def go_on(venue: Venue) -> None:
    """Continue orders whose turn is not over or has not come (rule M-10).

    The instruments take turns: the one served by this command comes last in the next.
    """
    for symbol in list(venue.busy):
        book = venue.books[symbol]
        if venue.work_left <= 0:
            return
        if book.status is not InstrumentStatus.OPEN:
            continue
        venue.busy.move_to_end(symbol)
        while venue.work_left > 0 and _one_turn(venue, book):
            pass
        if book.current is None and not book.queue:
            venue.idle(book)


def _one_turn(venue: Venue, book: Book) -> bool:
    """Execute the next turn. Return True if it is over, and another may begin.

    Stops that an order triggered come before orders that arrived after it (rule T-2).
    """
    if book.current is None and book.stops.next_reached() is not None:
        if not _trigger_next(venue, book):
            return False
    elif book.current is not None or book.queue:
        _take_turn(venue, book)
        venue.work_left -= 1
    else:
        return False
    return book.current is None


def _take_turn(venue: Venue, book: Book) -> None:
    """Execute the order whose turn it is: the current one, or the first in the queue."""
    order = book.current
    if order is None:
        _, order = book.queue.popitem(last=False)
    book.current = None
    if venue.wary and purges.meet(venue, order):
        return
    terms = order.terms
    if terms.post_only and book.crosses(order.buy, order.price):
        venue.cancel_order(order, CancelReason.POST_ONLY)
        return
    needed = 0
    if order.buy and not order.price:
        needed = market_hold(venue, order)
        if needed > order.quote.available:
            venue.cancel_order(order, CancelReason.UNFUNDED)
            return
        hold(order.quote, needed)
        order.held = needed
    start = len(venue.events)
    execute(venue, order)
    if needed and not _add_to_hold_change(venue, order, start, needed):
        check(book.current is order, "an order that holds money for its turn begins it")


def _add_to_hold_change(venue: Venue, order: Order, start: int, change: int) -> bool:
    """Add a hold change to an order's first event since ``start``; return False if it has none."""
    events = venue.events
    for at in range(start, len(events)):
        event = events[at]
        if isinstance(event, _HOLDING) and event.order.order_id == order.order_id:
            events[at] = event._replace(hold_change=event.hold_change + change)
            return True
    return False


def _trigger_next(venue: Venue, book: Book) -> bool:
    """Trigger the stop whose turn it is, if there is one and the bound allows it (T-2, T-3)."""
    if (
        book.status is not InstrumentStatus.OPEN
        or venue.triggers_left <= 0
        or venue.work_left <= 0
    ):
        return False
    order = book.stops.next_reached()
    if order is None:
        return False
    venue.triggers_left -= 1
    venue.work_left -= 1
    if not (venue.wary and purges.meet(venue, order)):
        _trigger(venue, order)
    return True


def _trigger(venue: Venue, order: Order) -> None:
    venue.disarm(order)
    order.triggered = True
    order.updated_at = venue.time_us
    needed = 0
    book = order.book
    order.limit = order.price or book.worst(order.buy)
    if order.buy and not order.price:
        needed = market_hold(venue, order)
    funded = needed <= order.quote.available
    hold_change = needed if funded else 0
    if hold_change:
        hold(order.quote, hold_change)
        order.held = hold_change
    venue.emit(OrderTriggered, order.account, order.terms, order.leaves, 0, hold_change)
    if not funded:
        venue.cancel_order(order, CancelReason.STOP_UNFUNDED)
    elif order.price and not book.within_band(order.price):
        venue.cancel_order(order, CancelReason.PRICE_BAND)
    else:
        execute(venue, order)
