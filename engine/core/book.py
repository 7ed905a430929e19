"""The order book of one instrument: price levels, FIFO queues, best price. No matching rules.

Each side is a dict of levels by price beside a sorted list of keys in which the best price
is always last (bids by price, asks by its negative), so that the list is touched only when
a level appears or goes, and most often at its end. Orders hang in a level as an intrusive
doubly linked list: adding, removing and reaching the best order are O(1). A new or vanished
level is found in O(log levels) and moves the keys of the better ones by one place, which is a
copy of 8 bytes each: 20 µs where 100,000 levels are better.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from engine.core.instruments import Instrument
from engine.core.types import PPM, InstrumentStatus, OrderTerms, OrdStatus, PriceLevel, Side

if TYPE_CHECKING:
    from engine.core.ledger import Account, Money
    from engine.core.triggers import StopBook


_NEW: Final = OrdStatus.NEW
_PARTIAL: Final = OrdStatus.PARTIALLY_FILLED
_BUY: Final = Side.BUY


class Order:
    """An order, open or closed, with its place in the queue.

    ``leaves`` is the quantity still to be filled, ``display`` what the book shows of it (0 while
    the order does not rest). ``fee_weight`` is the sum of notional × rate of its fills, in atoms
    × parts per million, from which rule N-3 computes the fee. ``held`` is in atoms of the asset
    that the order pays with. ``armed`` is true for a stop order that waits, ``reached`` when its
    stop price was met and its turn has not come, ``triggered`` after that.
    ``limit`` is the worst price at which it may trade: its own, or for an order without one the
    end of the band when it arrived; 0 for any.
    ``later_ids`` are the client order ids that replaces gave it, after the first. ``ahead`` and
    ``behind`` are its neighbours in the queue. Attributes are laid out in memory by name; these
    names place them beside the reference count that is accessed with them.
    """

    __slots__ = (
        "account", "ahead", "armed", "base", "behind", "book", "buy", "cum", "display", "expire_at",
        "fee_weight", "fees", "held", "later_ids", "leaves", "level", "limit", "maker_ppm",
        "notional", "order_id", "price", "quote", "reached", "status", "taker_ppm", "terms",
        "triggered", "updated_at",
    )  # fmt: skip

    def __init__(self, terms: OrderTerms, account: Account, book: Book) -> None:
        # In a compiled build they are laid out in this order: neighbours first, accessed with the
        # reference count, then what every cancel needs, last what only a trade does.
        self.ahead: Order | None = None
        self.behind: Order | None = None
        self.level: Level | None = None
        self.status: OrdStatus = _NEW
        self.book = book
        self.account = account
        self.terms = terms
        self.buy: bool = terms.side is _BUY
        self.armed = False
        self.reached = False
        self.triggered = False
        self.leaves: int = terms.qty
        self.display = 0
        self.held = 0
        self.cum = 0
        self.notional = 0
        self.updated_at: int = terms.created_at
        self.expire_at: int = terms.expire_at
        self.base: Money
        self.quote: Money
        self.base, self.quote = account.purses.get(terms.symbol) or account.purse(book)
        self.price: int = terms.price
        self.limit: int = terms.price
        self.order_id: int = terms.order_id
        self.later_ids: list[str] | None = None
        self.fee_weight = 0
        self.fees = 0
        self.maker_ppm: int = account.maker_ppm
        self.taker_ppm: int = account.taker_ppm

    @property
    def open(self) -> bool:
        """Whether the order can still trade."""
        return self.status is _NEW or self.status is _PARTIAL

    def client_ids(self) -> list[str]:
        """Return every client order id of the chain that is in memory, the first one first."""
        first = self.terms.first_client_order_id
        return [first] if self.later_ids is None else [first, *self.later_ids]


class Level:
    """All resting orders at one price in FIFO order; ``qty`` is the sum of what they display.

    ``key`` is its place among the levels of its side. A level is created with its first order and
    removed with its last: it is never empty.
    """

    __slots__ = ("count", "head", "key", "price", "qty", "tail")

    def __init__(self, order: Order, key: int) -> None:
        self.key = key
        self.price: int = order.price
        self.qty: int = order.display
        self.count = 1
        self.head: Order | None = order
        self.tail: Order | None = order


class BookSide:
    """One side of the book; ``best`` is its best level, None if it is empty."""

    __slots__ = ("best", "buy", "keys", "levels")

    def __init__(self, buy: bool) -> None:
        self.buy = buy
        self.levels: dict[int, Level] = {}
        self.keys: list[int] = []
        self.best: Level | None = None

    def add(self, order: Order) -> None:
        """Add an order, with its ``display`` set, at the back of its level."""
        price = order.price
        level = self.levels.get(price)
        if level is not None:
            tail = level.tail
            if tail is None:
                raise AssertionError("a level with orders has a tail")
            order.level = level
            order.ahead = tail
            tail.behind = order
            level.tail = order
            level.qty += order.display
            level.count += 1
            return
        key = price if self.buy else -price
        order.level = self.levels[price] = level = Level(order, key)
        best = self.best
        if best is None or key > best.key:
            self.best = level
            self.keys.append(key)
        else:
            insort(self.keys, key)

    def remove(self, order: Order) -> None:
        """Remove a resting order; its ``display`` becomes 0."""
        level = order.level
        if level is None:
            raise AssertionError(f"order {order.order_id} does not rest")
        before, after = order.ahead, order.behind
        if before is not None:
            before.behind = after
            order.ahead = None
            if after is None:
                level.tail = before
            else:
                after.ahead = before
                order.behind = None
        elif after is not None:
            level.head = after
            after.ahead = None
            order.behind = None
        else:
            self._drop(level)
        level.qty -= order.display
        level.count -= 1
        order.level = None
        order.display = 0

    def _drop(self, level: Level) -> None:
        """Remove a level together with its last order."""
        levels, keys = self.levels, self.keys
        del levels[level.price]
        if level is not self.best:
            del keys[bisect_left(keys, level.key)]
            return
        del keys[-1]
        self.best = levels[abs(keys[-1])] if keys else None

    def requeue(self, order: Order, display: int) -> None:
        """Show an iceberg's next slice at the back of its level (rule M-8)."""
        level = order.level
        if level is None:
            raise AssertionError(f"order {order.order_id} does not rest")
        level.qty += display - order.display
        order.display = display
        if level.tail is order:
            return
        before, after = order.ahead, order.behind
        if before is None:
            level.head = after
        else:
            before.behind = after
        if after is not None:
            after.ahead = before
        tail = level.tail
        if tail is None:
            raise AssertionError("a level with orders has a tail")
        order.ahead = tail
        order.behind = None
        tail.behind = order
        level.tail = order

    def resize(self, order: Order, display: int) -> None:
        """Change what an order shows without moving it."""
        level = order.level
        if level is None:
            raise AssertionError(f"order {order.order_id} does not rest")
        level.qty += display - order.display
        order.display = display

    def depth(self, levels: int) -> tuple[PriceLevel, ...]:
        """Return the best levels, best first; O(levels)."""
        rows = []
        for key in self.keys[: -levels - 1 : -1]:
            level = self.levels[abs(key)]
            rows.append(PriceLevel(level.price, level.qty, level.count))
        return tuple(rows)

    def by_priority(self) -> Iterator[Order]:
        """Go through the resting orders from the best price on, each level's by priority."""
        for key in reversed(self.keys):
            order = self.levels[abs(key)].head
            while order is not None:
                yield order
                order = order.behind


class Book:
    """Both sides of an instrument, its stop orders and its last price (0 before any trade).

    ``current`` is the order whose turn has begun and is not over, ``queue`` those that arrived
    behind it, by order id (rule M-10). ``busy`` is true while there is either. ``anchor`` is the
    price around which the band lies: of the last trade or as an operator set it, whichever came
    last (rule P-2).
    """

    __slots__ = (
        "anchor", "asks", "band_ppm", "bids", "busy", "current", "fees", "instrument", "last_price",
        "lot_atoms", "max_price", "max_qty", "min_qty", "queue", "status", "stops", "symbol",
        "unit",
    )  # fmt: skip

    def __init__(self, instrument: Instrument, stops: StopBook, fees: Money) -> None:
        self.bids = BookSide(True)
        self.asks = BookSide(False)
        self.stops = stops
        self.fees = fees
        self.status = InstrumentStatus.OPEN
        self.last_price = 0
        self.busy = False
        self.current: Order | None = None
        self.queue: OrderedDict[int, Order] = OrderedDict()
        self.anchor = 0
        self.adopt(instrument)

    def adopt(self, instrument: Instrument) -> None:
        """Take an instrument's grid and bounds."""
        self.instrument = instrument
        self.symbol: str = instrument.symbol
        self.unit: int = instrument.unit
        self.lot_atoms: int = instrument.lot_atoms
        self.min_qty: int = instrument.min_qty
        self.max_qty: int = instrument.max_qty
        self.max_price: int = instrument.max_price
        self.band_ppm: int = instrument.band_ppm

    def band(self) -> tuple[int, int]:
        """Return the lowest and highest price of the band, in ticks; (0, 0) without one (P-1)."""
        anchor, ppm = self.anchor, self.band_ppm
        if not ppm or not anchor:
            return 0, 0
        return -(-anchor * (PPM - ppm) // PPM), anchor * (PPM + ppm) // PPM

    def within_band(self, price: int) -> bool:
        """Return whether a price lies inside the band, if there is one."""
        low, high = self.band()
        return not high or low <= price <= high

    def worst(self, buy: bool) -> int:
        """Return the worst price at which an order without a price may trade; 0 for any (P-4)."""
        low, high = self.band()
        return high if buy else low

    def side(self, buy: bool) -> BookSide:
        """Return the side on which a buy (or sell) order rests."""
        return self.bids if buy else self.asks

    def crosses(self, buy: bool, price: int) -> bool:
        """Return whether an order at this price would trade on arrival."""
        best = self.asks.best if buy else self.bids.best
        if best is None:
            return False
        return best.price <= price if buy else best.price >= price
