"""The public market, built from events: the book, trades and day of every instrument.

An event has the displayed quantity of its order after it; the one before is kept here, and the
difference is the change of its level.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final, NamedTuple

from engine.core import events as ev
from engine.core.types import BookOrders, InstrumentStatus, Liquidity, OrderTerms, Side
from engine.market_data.book import DepthBook
from engine.market_data.day import DayStatistics, day_of

RECENT_TRADES: Final = 50
TRADES_KEPT: Final = 20_000
"""Trades of an instrument that are kept for readers that are behind."""
_SHOWING: Final = (
    ev.OrderAccepted, ev.OrderFilled, ev.OrderReplaced, ev.OrderRestated, ev.OrderTriggered,
)  # fmt: skip


class Trade(NamedTuple):
    """A public trade; ``side`` is the taker's. Price in ticks, quantity in lots."""

    trade_id: int
    symbol: str
    price: int
    qty: int
    side: Side
    time_us: int
    seq: int


class _Shown(NamedTuple):
    """The entry of one order in the public book."""

    symbol: str
    side: Side
    price: int
    qty: int
    entry_id: int


class Feed:
    """The public data of one instrument: its book, its newest trades, its day.

    ``book_seq`` and ``trades_seq`` are the sequence numbers of the transactions that last changed
    them; a change of ``status`` counts as a change of the book. ``day`` is None if unknown.
    """

    def __init__(self, symbol: str, seq: int = 0) -> None:
        self.symbol = symbol
        self.book = DepthBook()
        self.status = InstrumentStatus.OPEN
        self.trades: deque[Trade] = deque(maxlen=TRADES_KEPT)
        self.trades_floor = seq
        self.day: DayStatistics | None = DayStatistics()
        self.seeded_seq = self.book_seq = self.status_seq = seq
        self.trades_seeded_seq = self.trades_seq = seq

    def last_trades(self, count: int) -> list[Trade]:
        """Return the newest ``count`` trades, oldest first; O(count)."""
        found = [trade for trade, _ in zip(reversed(self.trades), range(count), strict=False)]
        found.reverse()
        return found

    def trades_since(self, seq: int) -> list[Trade] | None:
        """Return the trades after ``seq``, oldest first; None if some are no longer kept."""
        if seq < self.trades_floor:
            return None
        found = []
        for trade in reversed(self.trades):
            if trade.seq <= seq:
                break
            found.append(trade)
        found.reverse()
        return found

    def roll(self) -> None:
        """Begin the next day; if the day was unknown, the new one is known after a known trade."""
        if self.day is not None:
            self.day.roll()
        elif self.trades:
            self.day = DayStatistics(self.trades[-1].price)

    def add_trade(self, trade: Trade) -> None:
        """Add a trade; the oldest one is discarded at TRADES_KEPT."""
        trades = self.trades
        if len(trades) == trades.maxlen:
            self.trades_floor = max(self.trades_floor, trades[0].seq)
        trades.append(trade)
        self.trades_seq = trade.seq


class Market:
    """Every instrument's public data. Its days begin ``day_roll_us`` after midnight UTC."""

    def __init__(
        self, symbols: Iterable[str] = (), day_roll_us: int = 0, time_us: int = 0
    ) -> None:
        """Begin with empty books at ``time_us``."""
        self.feeds: dict[str, Feed] = {symbol: Feed(symbol) for symbol in symbols}
        self.day = day_of(time_us, day_roll_us)
        self._day_roll_us = day_roll_us
        self._shown: dict[int, _Shown] = {}
        self._entries = 0
        self._changed: dict[str, Feed] = {}

    def feed(self, symbol: str) -> Feed:
        """Return the data of a symbol, created on first use."""
        feed = self.feeds.get(symbol)
        if feed is None:
            feed = self.feeds[symbol] = Feed(symbol)
        return feed

    def seed(self, book: BookOrders, seq: int) -> None:
        """Set a book to its state as of ``seq``; earlier events are then ignored. O(orders)."""
        feed = self.feeds[book.symbol] = Feed(book.symbol, seq)
        feed.status = book.status
        for order in book.orders:
            self._enter(feed, order.order_id, order.side, order.price, order.qty, seq)
        feed.book.forget(seq)
        self._changed.pop(book.symbol, None)

    def seed_trades(
        self, symbol: str, seq: int, trades: Iterable[Trade], day: DayStatistics | None
    ) -> None:
        """Set an instrument's newest trades and its day to their state as of ``seq``.

        Trades up to ``seq`` are then ignored. ``day`` is None if unknown.
        """
        feed = self.feed(symbol)
        for trade in trades:
            feed.add_trade(trade)
        feed.trades_floor = feed.trades_seeded_seq = feed.trades_seq = seq
        feed.day = day

    def learn(
        self, symbol: str, seq: int, time_us: int, trades: Iterable[Trade], day: DayStatistics
    ) -> None:
        """Take in a day that was not known, as it was at ``seq``, the transaction of ``time_us``.

        ``trades`` are the newest up to there. Does nothing where the trades since are not all kept.
        ``seq`` must not be beyond what was taken in.
        """
        feed = self.feeds.get(symbol)
        later = feed.trades_since(seq) if feed is not None else None
        if feed is None or feed.day is not None or later is None:
            return
        number = day_of(time_us, self._day_roll_us)
        for trade in later:
            number = _rolled(day, number, day_of(trade.time_us, self._day_roll_us))
            day.add(trade.price, trade.qty)
        _rolled(day, number, self.day)
        feed.day = day
        known = feed.trades[0].seq if feed.trades else feed.trades_floor + 1
        older = [trade for trade in trades if trade.seq < known]
        if len(older) + len(feed.trades) <= TRADES_KEPT:
            feed.trades.extendleft(reversed(older))

    def apply(self, event: ev.Event, seq: int, time_us: int) -> None:
        """Apply an event of transaction ``seq``; O(log levels)."""
        if isinstance(event, _SHOWING):
            order = event.order
            feed = self.feed(order.symbol)
            filled = event if isinstance(event, ev.OrderFilled) else None
            if seq > feed.seeded_seq:
                moved = isinstance(event, ev.OrderReplaced) and not event.priority_kept
                display = event.display if event.leaves else 0
                self._show(feed, order, display, seq, filled.last_qty if filled else 0, moved)
            taken = filled is not None and filled.liquidity is Liquidity.TAKER
            if filled is not None and taken and seq > feed.trades_seeded_seq:
                self._trade(feed, filled, seq, time_us)
        elif isinstance(event, ev.OrderCanceled):
            feed = self.feed(event.order.symbol)
            if seq > feed.seeded_seq:
                self._show(feed, event.order, 0, seq, 0, False)
        elif isinstance(event, ev.InstrumentStatusChanged):
            feed = self.feed(event.symbol)
            if seq > feed.seeded_seq:
                feed.status = event.status
                feed.book_seq = feed.status_seq = seq
                self._changed[feed.symbol] = feed
        elif isinstance(event, ev.InstrumentDefined):
            self.feed(event.symbol)

    def roll(self, time_us: int) -> bool:
        """Begin the day of ``time_us`` if it has not begun; return whether it began now."""
        day = day_of(time_us, self._day_roll_us)
        if day <= self.day:
            return False
        self.day = day
        for feed in self.feeds.values():
            feed.roll()
        return True

    def take_changed(self) -> list[Feed]:
        """Return the instruments that changed since the last call."""
        changed, self._changed = self._changed, {}
        return list(changed.values())

    def _show(
        self, feed: Feed, order: OrderTerms, display: int, seq: int, traded: int, moved: bool
    ) -> None:
        """Set the displayed quantity of an order to ``display`` lots, after ``traded`` lots traded.

        It keeps its priority unless it ``moved``, has another price, or displays a new slice.
        """
        before = self._shown.get(order.order_id)
        if before is None:
            if display:
                self._enter(feed, order.order_id, order.side, order.price, display, seq)
            return
        left = before.qty - traded
        stays = display and before.price == order.price and not moved
        if stays and (display <= left or (not traded and display == before.qty)):
            if display != before.qty:
                feed.book.resize(seq, before.side, before.price, before.entry_id, display)
                self._shown[order.order_id] = before._replace(qty=display)
                self._touch(feed, seq)
            return
        del self._shown[order.order_id]
        feed.book.hide(seq, before.side, before.price, before.entry_id)
        self._touch(feed, seq)
        if display:
            self._enter(feed, order.order_id, order.side, order.price, display, seq)

    def _enter(
        self, feed: Feed, order_id: int, side: Side, price: int, qty: int, seq: int
    ) -> None:
        self._entries += 1
        self._shown[order_id] = _Shown(feed.symbol, side, price, qty, self._entries)
        feed.book.show(seq, side, price, self._entries, qty)
        self._touch(feed, seq)

    def _touch(self, feed: Feed, seq: int) -> None:
        feed.book_seq = seq
        self._changed[feed.symbol] = feed

    def _trade(self, feed: Feed, event: ev.OrderFilled, seq: int, time_us: int) -> None:
        self.roll(time_us)
        trade = Trade(
            event.trade_id, feed.symbol, event.last_price, event.last_qty, event.order.side,
            time_us, seq,
        )  # fmt: skip
        feed.add_trade(trade)
        if feed.day is not None:
            feed.day.add(trade.price, trade.qty)
        self._changed[feed.symbol] = feed


def _rolled(day: DayStatistics, number: int, to: int) -> int:
    """Begin the day ``to`` if it is later than ``number``; return the number of the day."""
    if to > number:
        day.roll()
    return max(number, to)
