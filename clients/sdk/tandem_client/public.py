"""The public channels of a stream: books that are checked, and trades without doubles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tandem_client.book import Book
from tandem_client.generated.events import PublicTrade
from tandem_client.messages import (
    Beat,
    BookData,
    Frame,
    Gap,
    StreamItem,
    book_message,
    read,
    trades_message,
)


@dataclass(slots=True)
class Place:
    """Where a channel of a symbol is; ``seq`` is None until its snapshot has come."""

    seq: int | None = None
    beaten: int = 0


@dataclass(slots=True)
class Trades(Place):
    """Where the trades of a symbol are."""

    trade_id: int = 0
    broken: bool = False
    """Nothing is taken but a snapshot."""


@dataclass(slots=True)
class Kept(Place):
    """A book and where it is."""

    book: Book = field(default_factory=lambda: Book(""))


class Public:
    """All public subscriptions of a stream."""

    def __init__(self) -> None:
        self._books: dict[str, Kept] = {}
        self._trades: dict[str, Trades] = {}
        self._broken: list[tuple[str, str]] = []

    def want(self, channels: Iterable[str], symbols: Iterable[str]) -> None:
        """Remember what is subscribed."""
        for symbol in symbols:
            if "book" in channels:
                self._books.setdefault(symbol, Kept(book=Book(symbol)))
            if "trades" in channels:
                self._trades.setdefault(symbol, Trades())

    def forget(self, channels: Iterable[str], symbols: Iterable[str]) -> None:
        """Forget what is unsubscribed; its book is stale from now on."""
        for symbol in symbols:
            if "book" in channels and symbol in self._books:
                self._books.pop(symbol).book.stale = True
            if "trades" in channels:
                self._trades.pop(symbol, None)

    def wanted(self) -> Iterator[tuple[list[str], list[str]]]:
        """Yield what to subscribe on a new connection."""
        if self._books:
            yield ["book"], sorted(self._books)
        if self._trades:
            yield ["trades"], sorted(self._trades)

    def book(self, symbol: str) -> Book:
        """Return the copy of a book. Raises KeyError."""
        return self._books[symbol].book

    def lost(self) -> None:
        """The connection ended: no book is good until its next snapshot."""
        for place in (*self._books.values(), *self._trades.values()):
            place.seq, place.beaten = None, 0
        for trades in self._trades.values():
            trades.broken = False
        for kept in self._books.values():
            kept.book.stale = True

    def take_broken(self) -> list[tuple[str, str]]:
        """Return what needs a snapshot, once."""
        found, self._broken = self._broken, []
        return found

    def received(self, frame: Frame) -> list[StreamItem]:
        """Take a message."""
        return self._book(frame) if frame.channel == "book" else self._new_trades(frame)

    def beat(self, frame: Frame) -> Beat:
        """Compare with a heartbeat: twice behind without a message between means a loss."""
        beat: Beat = read(frame.data, Beat)
        for channel, told, places in (
            ("book", beat.book, self._books), ("trades", beat.trades, self._trades),
        ):  # fmt: skip
            for symbol, seq in told.items():
                place = places.get(symbol)
                if place is None or place.seq is None:
                    continue
                behind = seq > place.seq
                if behind and place.beaten > place.seq:
                    self._break(channel, symbol)
                place.beaten = seq if behind else 0
        return beat

    def _book(self, frame: Frame) -> list[StreamItem]:
        data: BookData = read(frame.data, BookData)
        kept = self._books.get(data.symbol)
        if kept is None:
            return []
        if frame.type == "snapshot":
            kept.book.replace(data.status, data.bids, data.asks, frame.seq)
        elif kept.seq is None:
            return []  # Its snapshot comes.
        elif frame.prev_seq != kept.seq:
            return self._break("book", data.symbol, "lost")
        else:
            kept.book.change(data.status, data.bids, data.asks, frame.seq)
        if kept.book.checksum() != data.checksum:
            return self._break("book", data.symbol, "checksum")
        kept.seq, kept.book.stale = frame.seq, False
        return [book_message(frame, data)]

    def _new_trades(self, frame: Frame) -> list[StreamItem]:
        trades: list[PublicTrade] = read(frame.data, list[PublicTrade])
        if not trades:
            return []  # A snapshot of a symbol without trades says nothing.
        symbol = trades[0].symbol
        place = self._trades.get(symbol)
        if place is None:
            return []
        found: list[StreamItem] = []
        new = [trade for trade in trades if trade.trade_id > place.trade_id]
        if frame.type == "snapshot":
            place.broken = False
            if place.trade_id and len(new) == len(trades):
                # Older ones than these may be missing.
                found.append(Gap(("trades",), "", symbol, "lost"))
        elif place.broken:
            return []
        elif place.seq is not None and frame.prev_seq != place.seq:
            return self._break("trades", symbol)
        elif place.seq is None and place.trade_id:
            # A service that has just begun has no snapshot of what it has not seen.
            found.append(Gap(("trades",), "", symbol, "lost"))
        place.seq = frame.seq
        if not new:
            return found
        place.trade_id = new[-1].trade_id
        return [*found, trades_message(frame, symbol, new)]

    def _break(self, channel: str, symbol: str, reason: str = "") -> list[StreamItem]:
        """Ask for a snapshot; until it comes updates are passed over."""
        self._broken.append((channel, symbol))
        if channel == "trades":
            # Its snapshot says whether anything is missing.
            self._trades[symbol].seq, self._trades[symbol].broken = None, True
            return []
        kept = self._books[symbol]
        kept.seq, kept.book.stale = None, True
        return [Gap(("book",), "", symbol, reason or "lost")]
