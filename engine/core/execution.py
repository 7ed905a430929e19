"""What happens to an order when its turn comes: on arrival, after others, when a stop is set
off (rules M-4 to M-6, M-10, T)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

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
from engine.core.matching import match, walk
from engine.core.risk import Refusal
from engine.core.types import (
    PPM,
    CancelReason,
    InstrumentStatus,
    OrdStatus,
    RejectReason,
    RestateReason,
    TimeInForce,
)

if TYPE_CHECKING:
    from engine.core.exchange import Exchange

DAY_US: Final = 86_400_000_000
_IOC: Final = TimeInForce.IOC
_FOK: Final = TimeInForce.FOK
_HOLDING: Final = (OrderAccepted, OrderCanceled, OrderFilled, OrderRestated, OrderTriggered)
_SHOWING: Final = (OrderFilled, OrderAccepted, OrderReplaced, OrderRestated, OrderTriggered)


def execute(exchange: Exchange, order: Order) -> None:
    """Let an order trade, and deal with what is left (rules M-4 to M-6, M-10)."""
    terms = order.terms
    stp = terms.stp
    if (terms.tif is _FOK or terms.min_qty > order.cum) and not _whole(exchange, order):
        return
    if match(exchange, order, stp):
        _interrupt(exchange, order)
    elif not order.leaves:
        if order.status is OrdStatus.FILLED:
            exchange.close_order(order)
    elif not order.price:
        exchange.cancel_order(order, _remainder(order))
    elif terms.tif is _IOC:
        exchange.cancel_order(order, CancelReason.IOC_REMAINDER)
    else:
        rest(exchange, order)


def _whole(exchange: Exchange, order: Order) -> bool:
    """Whether FOK or MinQty is met; else the order has ended, or waits for a whole turn."""
    terms = order.terms
    want = order.leaves
    reach = walk(
        exchange, order.book, order.buy, order.account.firm, terms.stp, order.limit, want
    )
    if reach.traded >= (want if terms.tif is _FOK else terms.min_qty):
        return True
    if reach.cut and exchange.work_left < exchange.work_max:
        _interrupt(exchange, order)  # A command that does nothing else may do more.
    elif reach.cut:
        exchange.cancel_order(order, CancelReason.SWEEP_TOO_LARGE)
    elif terms.tif is _FOK:
        exchange.cancel_order(order, CancelReason.FOK_UNFILLABLE)
    else:
        exchange.cancel_order(order, CancelReason.MIN_QTY)
    return False


def _interrupt(exchange: Exchange, order: Order) -> None:
    """The work of this command is used up in the middle of an order's turn (rule M-10).

    A market buy holds nothing from one turn to the next.
    """
    if order.held and order.buy and not order.price:
        _add_to_hold_change(exchange, order, 0, set_hold(order, 0))
    book = order.book
    book.current = order
    book.busy = True
    exchange.busy[book.symbol] = book


def _remainder(order: Order) -> CancelReason:
    """Why the rest of an order without a price ends: nothing is there, or only beyond the band."""
    side = order.book.side(not order.buy)
    beyond = order.limit and side.best is not None
    return CancelReason.PRICE_BAND if beyond else CancelReason.MARKET_REMAINDER


def rest(exchange: Exchange, order: Order) -> None:
    """Put what is left of an order into the book, and say so in its last event.

    An order that came to its turn later than it arrived, and did not trade, has no event in
    this command yet, and gets one.
    """
    leaves = order.leaves
    shown = order.terms.display_qty
    order.display = display = shown if 0 < shown < leaves else leaves
    order.book.side(order.buy).add(order)
    events = exchange.events
    for at in range(len(events) - 1, -1, -1):
        event = events[at]
        if isinstance(event, _SHOWING) and event.order is order.terms:
            events[at] = event._replace(display=display)
            return
    exchange.emit(
        OrderRestated, order.account, order.terms, order.status, leaves, order.cum,
        order.notional, RestateReason.RESTS, 0, display,
    )  # fmt: skip


def next_roll(now_us: int, day_roll_us: int) -> int:
    """The first roll after ``now_us``."""
    return ((now_us - day_roll_us) // DAY_US + 1) * DAY_US + day_roll_us


def market_cost(order: Order, cost: int) -> int:
    """What a market buy holds for a cost in ticks × lots: the cash and the taker fee."""
    cash = cost * order.book.unit
    return cash - (-(order.fee_weight + cash * order.taker_ppm) // PPM) - order.fees


def market_hold(exchange: Exchange, order: Order) -> int:
    """What a market buy holds for as much as the work of this command lets it trade (L-3)."""
    terms = order.terms
    firm = order.account.firm
    reach = walk(exchange, order.book, True, firm, terms.stp, order.limit, order.leaves)
    return market_cost(order, reach.cost)


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
    for symbol in sorted(exchange.armed):
        book = exchange.books[symbol]
        while not book.busy and _trigger_next(exchange, book):
            pass


def stops_pending(exchange: Exchange) -> bool:
    """Whether the bound of a cascade left stops waiting that a trade has reached."""
    return any(
        book.status is InstrumentStatus.OPEN and book.stops.next_reached() is not None
        for book in exchange.armed.values()
    )


def queues_pending(exchange: Exchange) -> bool:
    """Whether an order waits for its turn that it could have."""
    return any(book.status is InstrumentStatus.OPEN for book in exchange.busy.values())


def go_on(exchange: Exchange) -> None:
    """Go on with orders whose turn is not over or has not come (rule M-10).

    The instruments take turns: the one that had this command's work comes last in the next.
    """
    for symbol in list(exchange.busy):
        book = exchange.books[symbol]
        if exchange.work_left <= 0:
            return
        if book.status is not InstrumentStatus.OPEN:
            continue
        exchange.busy.move_to_end(symbol)
        while exchange.work_left > 0 and _one_turn(exchange, book):
            pass
        if book.current is None and not book.queue:
            exchange.idle(book)


def _one_turn(exchange: Exchange, book: Book) -> bool:
    """Let the next one act; tells whether its turn is over, and another's may come.

    What an order set off comes before those that arrived after it (rule T-2).
    """
    if book.current is None and book.stops.next_reached() is not None:
        if not _trigger_next(exchange, book):
            return False
    elif book.current is not None or book.queue:
        _take_turn(exchange, book)
        exchange.work_left -= 1
    else:
        return False
    return book.current is None


def _take_turn(exchange: Exchange, book: Book) -> None:
    """Let the order whose turn it is act: the current one, or the first in the queue."""
    order = book.current
    if order is None:
        _, order = book.queue.popitem(last=False)
    book.current = None
    if exchange.wary and purges.meet(exchange, order):
        return
    terms = order.terms
    if terms.post_only and book.crosses(order.buy, order.price):
        exchange.cancel_order(order, CancelReason.POST_ONLY)
        return
    needed = 0
    if order.buy and not order.price:
        needed = market_hold(exchange, order)
        if needed > order.quote.available:
            exchange.cancel_order(order, CancelReason.UNFUNDED)
            return
        hold(order.quote, needed)
        order.held = needed
    start = len(exchange.events)
    execute(exchange, order)
    if needed and not _add_to_hold_change(exchange, order, start, needed):
        check(book.current is order, "an order that holds money for its turn begins it")


def _add_to_hold_change(exchange: Exchange, order: Order, start: int, change: int) -> bool:
    """Say with an order's first event since ``start`` that its hold changed; false if none."""
    events = exchange.events
    for at in range(start, len(events)):
        event = events[at]
        if isinstance(event, _HOLDING) and event.order.order_id == order.order_id:
            events[at] = event._replace(hold_change=event.hold_change + change)
            return True
    return False


def _trigger_next(exchange: Exchange, book: Book) -> bool:
    """Set off the stop whose turn it is, if there is one and it may be (rules T-2, T-3)."""
    if (
        book.status is not InstrumentStatus.OPEN
        or exchange.triggers_left <= 0
        or exchange.work_left <= 0
    ):
        return False
    order = book.stops.next_reached()
    if order is None:
        return False
    exchange.triggers_left -= 1
    exchange.work_left -= 1
    if not (exchange.wary and purges.meet(exchange, order)):
        _trigger(exchange, order)
    return True


def _trigger(exchange: Exchange, order: Order) -> None:
    exchange.disarm(order)
    order.triggered = True
    order.updated_at = exchange.time_us
    needed = 0
    book = order.book
    order.limit = order.price or book.worst(order.buy)
    if order.buy and not order.price:
        needed = market_hold(exchange, order)
    funded = needed <= order.quote.available
    hold_change = needed if funded else 0
    if hold_change:
        hold(order.quote, hold_change)
        order.held = hold_change
    exchange.emit(OrderTriggered, order.account, order.terms, order.leaves, 0, hold_change)
    if not funded:
        exchange.cancel_order(order, CancelReason.STOP_UNFUNDED)
    elif order.price and not book.within_band(order.price):
        exchange.cancel_order(order, CancelReason.PRICE_BAND)
    else:
        execute(exchange, order)
