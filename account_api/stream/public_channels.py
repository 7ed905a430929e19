"""Public data from events: the book of every instrument, and its trades.

An event says what the book shows of its order afterwards, so what each order showed before is
remembered here; the difference is what changes at its level. Messages are made once for all
subscribers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from account_api.schema.from_rows import SIDE_TEXT, instant_text
from account_api.stream.depth import Changes, DepthBook
from engine.core import events as ev
from engine.core.instruments import Instrument
from engine.core.types import InstrumentStatus, Liquidity, OrderRow, OrderTerms, PriceLevel, Side

RECENT_TRADES: Final = 50
_SHOWING: Final = (
    ev.OrderAccepted, ev.OrderFilled, ev.OrderReplaced, ev.OrderRestated, ev.OrderTriggered,
)  # fmt: skip


class _Shown(NamedTuple):
    """What the book shows of one order."""

    symbol: str
    side: Side
    price: int
    qty: int


class Feed:
    """One instrument: its book, its newest trades, and where its two channels stand.

    ``book_seq`` and ``trades_seq`` are the sequences of the transactions that changed them
    last; ``prev_book_seq`` and ``prev_trades_seq`` of those before the pending changes.
    """

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.book = DepthBook()
        self.status = InstrumentStatus.OPEN
        self.recent: deque[dict[str, Any]] = deque(maxlen=RECENT_TRADES)
        self.new_trades: list[dict[str, Any]] = []
        self.book_seq = self.prev_book_seq = 0
        self.trades_seq = self.prev_trades_seq = 0


class Market:
    """Every instrument's public data; ``instruments`` is shared with its owner."""

    def __init__(self, instruments: dict[str, Instrument]) -> None:
        self.instruments = instruments
        self.feeds: dict[str, Feed] = {symbol: Feed(symbol) for symbol in instruments}
        self._shown: dict[int, _Shown] = {}
        self._changed_books: dict[str, Feed] = {}
        self._changed_trades: dict[str, Feed] = {}

    def seed(self, rows: Iterable[OrderRow]) -> None:
        """Take in resting orders as a query shows them."""
        for row in rows:
            self._show(row.order, row.display)

    def seeded(self, seq: int) -> None:
        """What was taken in so far is the state at ``seq`` and not a change."""
        for feed in self.feeds.values():
            feed.book.take_changes()
            feed.book_seq = feed.prev_book_seq = seq
            feed.trades_seq = feed.prev_trades_seq = seq

    def feed(self, symbol: str) -> Feed:
        """The data of a symbol, made at first use."""
        feed = self.feeds.get(symbol)
        if feed is None:
            feed = self.feeds[symbol] = Feed(symbol)
        return feed

    def apply(self, event: ev.Event, seq: int, time_us: int) -> None:
        """Take in an event of transaction ``seq``."""
        if isinstance(event, _SHOWING):
            self._change(event.order, event.display if event.leaves else 0, seq)
            if isinstance(event, ev.OrderFilled) and event.liquidity is Liquidity.TAKER:
                self._trade(event, seq, time_us)
        elif isinstance(event, ev.OrderCanceled):
            self._change(event.order, 0, seq)
        elif isinstance(event, ev.InstrumentStatusChanged):
            feed = self.feed(event.symbol)
            feed.status = event.status
            self._touch(feed, seq)

    def take_changed_books(self) -> list[tuple[Feed, Changes]]:
        """Books that changed since the last call, with their changed levels."""
        changed, self._changed_books = self._changed_books, {}
        return [(feed, feed.book.take_changes()) for feed in changed.values()]

    def take_changed_trades(self) -> list[tuple[Feed, list[dict[str, Any]]]]:
        """Instruments that traded since the last call, with their new trades."""
        changed, self._changed_trades = self._changed_trades, {}
        taken = []
        for feed in changed.values():
            trades, feed.new_trades = feed.new_trades, []
            taken.append((feed, trades))
        return taken

    def book_data(self, feed: Feed, bids: list[PriceLevel], asks: list[PriceLevel]) -> Any:
        """The ``data`` of a book message."""
        instrument = self.instruments[feed.symbol]
        price, quantity = instrument.price_text, instrument.quantity_text
        return {
            "symbol": feed.symbol,
            "status": feed.status.name.lower(),
            "bids": [[price(level.price), quantity(level.qty), level.orders] for level in bids],
            "asks": [[price(level.price), quantity(level.qty), level.orders] for level in asks],
            "checksum": feed.book.checksum(instrument),
        }

    def _change(self, order: OrderTerms, display: int, seq: int) -> None:
        if self._show(order, display):
            self._touch(self.feed(order.symbol), seq)

    def _touch(self, feed: Feed, seq: int) -> None:
        if feed.symbol not in self._changed_books:
            feed.prev_book_seq = feed.book_seq
            self._changed_books[feed.symbol] = feed
        feed.book_seq = seq

    def _show(self, order: OrderTerms, display: int) -> bool:
        """Let the book show ``display`` lots of an order; whether that changes anything."""
        before = self._shown.pop(order.order_id, None)
        after = _Shown(order.symbol, order.side, order.price, display) if display else None
        if after is not None:
            self._shown[order.order_id] = after
        if before == after:
            return False
        if before is not None and after is not None and before.price == after.price:
            book = self.feed(order.symbol).book
            book.add(before.side, before.price, after.qty - before.qty, 0)
            return True
        if before is not None:
            self.feed(before.symbol).book.add(before.side, before.price, -before.qty, -1)
        if after is not None:
            self.feed(after.symbol).book.add(after.side, after.price, after.qty, 1)
        return True

    def _trade(self, event: ev.OrderFilled, seq: int, time_us: int) -> None:
        order = event.order
        feed, instrument = self.feed(order.symbol), self.instruments[order.symbol]
        trade = {
            "trade_id": event.trade_id,
            "symbol": order.symbol,
            "price": instrument.price_text(event.last_price),
            "quantity": instrument.quantity_text(event.last_qty),
            "side": SIDE_TEXT[order.side],
            "time": instant_text(time_us),
            "seq": seq,
        }
        if order.symbol not in self._changed_trades:
            feed.prev_trades_seq = feed.trades_seq
            self._changed_trades[order.symbol] = feed
        feed.trades_seq = seq
        feed.new_trades.append(trade)
        feed.recent.append(trade)
