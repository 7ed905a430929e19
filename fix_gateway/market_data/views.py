"""One subscription to one instrument: what it was told, and what it is to be told next: pure.

A subscription remembers only where it stands. What it has to be told is the difference between
then and now, which the market's logs give, so a reader that is slow gets later and larger changes
and always the newest state, and costs nothing while it reads nothing. Readers that stand at the
same place share the work through ``Shared``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

from engine.core.types import Side
from engine.market_data.book import CHECKSUM_LEVELS, SIDES
from engine.market_data.market import Feed, Trade
from fix_gateway.codec import market_data as render
from fix_gateway.codec.formatting import InstrumentText, clean
from fix_gateway.codec.market_data_requests import MarketDataQuery
from fix_gateway.codec.responses import Response, SharedBody, SharedResponse

Change = TypeVar("Change")
_SIDE_OF: Final = {"0": Side.BUY, "1": Side.SELL}
_STATISTICS: Final = frozenset("45789B")


class TradesLost(Exception):
    """Trades that the subscription was not told of are not kept any more."""


class View:
    """What a subscription shows; equal for all that asked for the same.

    The order in which a request names its entry types says nothing, nor do its depth and
    aggregation where it asks for no side of the book.
    """

    __slots__ = (
        "aggregated", "checked", "depth", "incremental", "key", "kinds", "sides", "trades",
    )  # fmt: skip

    def __init__(self, query: MarketDataQuery) -> None:
        asked = sorted(query.entry_types)
        self.sides = tuple(_SIDE_OF[kind] for kind in asked if kind in _SIDE_OF)
        self.trades = "2" in asked
        self.kinds = tuple(kind for kind in asked if kind in _STATISTICS)
        self.incremental = query.incremental
        self.depth = query.depth if self.sides else 0
        self.aggregated = query.aggregated or not self.sides
        whole = not query.depth or query.depth >= CHECKSUM_LEVELS
        self.checked = len(self.sides) == len(SIDES) and query.aggregated and whole
        self.key = (
            self.depth, self.incremental, self.aggregated, self.sides, self.trades, self.kinds
        )  # fmt: skip
        """Equal for equal views."""


class Step(NamedTuple):
    """What every subscription that stands at one place is told next: ``body``, None for nothing.

    ``whole`` says that it is told by W instead.
    """

    whole: bool
    body: SharedBody | None
    chain_seq: int
    statistics: dict[str, str]


class Shared:
    """The work of one round of messages about one instrument, done once for all that share it."""

    def __init__(self, feed: Feed, texts: InstrumentText, as_of_seq: int) -> None:
        self.feed = feed
        self.texts = texts
        self.as_of_seq = as_of_seq
        self.steps: dict[tuple[object, ...], Step] = {}
        self._checksum: int | None = None

    def checksum(self) -> int:
        """That of the best ten levels."""
        if self._checksum is None:
            self._checksum = self.feed.book.checksum(self.texts.instrument)
        return self._checksum


class Subscription:
    """One MDReqID(262) and one symbol. ``chain_seq`` is the BookSeq of its last message.

    ``header`` are header fields of each of its messages.
    """

    __slots__ = (
        "chain_seq", "clean_id", "header", "request_id", "symbol", "told_seq", "told_statistics",
        "told_trades_seq", "view",
    )  # fmt: skip

    def __init__(self, request_id: str, symbol: str, view: View, header: str = "") -> None:
        self.request_id = request_id
        self.header = header
        self.clean_id = clean(request_id)
        self.symbol = symbol
        self.view = view
        self.told_seq = self.told_trades_seq = self.chain_seq = 0
        self.told_statistics: dict[str, str] = {}

    def snapshot(self, shared: Shared, trades: int = 0) -> Response:
        """MarketDataSnapshotFullRefresh(W), from which the changes go on.

        With the last ``trades`` trades, newest first, where trades are asked for. O(book shown).
        """
        feed, texts, view = shared.feed, shared.texts, self.view
        entries: list[str] = []
        for side in view.sides:
            if view.aggregated:
                entries += [
                    render.level_entry(side, level, texts)
                    for level in feed.book.levels(side, view.depth)
                ]
            else:
                entries += [
                    render.order_entry(entry, texts)
                    for entry in feed.book.orders(side, view.depth)
                ]
        if view.trades and trades:
            last = reversed(feed.last_trades(trades))
            entries += [render.trade_entry(trade, texts) for trade in last]
        self.told_statistics = self._statistics(shared)
        entries += render.statistics_entries(self.told_statistics)
        self.told_seq, self.told_trades_seq = feed.book_seq, feed.trades_seq
        self.chain_seq = self._seq(feed)
        where = render.place(
            shared.as_of_seq, self.chain_seq, self.chain_seq,
            shared.checksum() if view.checked else None,
        )  # fmt: skip
        return render.full_refresh(self.request_id, self.symbol, where, entries, self.header)

    def update(self, shared: Shared) -> Response | SharedResponse | None:
        """What has changed for this subscription since it was told last, None for nothing.

        MarketDataIncrementalRefresh(X), or W where that was asked for or the log of changes
        does not reach back to where the subscription stands. O(depth + changes). Raises TradesLost.
        """
        feed, view = shared.feed, self.view
        statistics = tuple(self.told_statistics.items()) if self.told_statistics else ()
        place = (view.key, self.told_seq, self.told_trades_seq, self.chain_seq, statistics)
        step = shared.steps.get(place)
        if step is None:
            step = shared.steps[place] = self._step(shared)
        if step.whole:
            return self.snapshot(shared, len(self._new_trades(feed)) if view.trades else 0)
        self.told_seq, self.told_trades_seq = feed.book_seq, feed.trades_seq
        if step.body is None:
            return None
        self.chain_seq, self.told_statistics = step.chain_seq, step.statistics
        return render.incremental_refresh(self.clean_id, step.body, self.header)

    def _step(self, shared: Shared) -> Step:
        """What is told to whoever stands where this one does. Raises TradesLost."""
        feed, view = shared.feed, self.view
        now = self._statistics(shared)
        group = self._group(shared, now)
        if group is None or (group and not view.incremental):
            return Step(True, None, 0, now)
        if not group:
            return Step(False, None, 0, now)
        seq = self._seq(feed)
        where = render.place(
            shared.as_of_seq, seq, self.chain_seq, shared.checksum() if view.checked else None
        )
        return Step(False, render.changes_body(where, group), seq, now)

    def _statistics(self, shared: Shared) -> dict[str, str]:
        day = shared.feed.day
        if day is None or not self.view.kinds:
            return {}
        return render.statistics(day, self.view.kinds, shared.texts)

    def _seq(self, feed: Feed) -> int:
        """The newest change of what the subscription is about."""
        view = self.view
        return max(
            feed.book_seq if view.sides else 0,
            feed.trades_seq if view.trades or view.kinds else 0,
            self.chain_seq,
        )

    def _group(self, shared: Shared, now: dict[str, str]) -> str | None:
        """The entries of X with their count, "" for none, None where the whole is needed."""
        feed, texts, view = shared.feed, shared.texts, self.view
        entries: list[str] = []
        if view.sides and feed.book_seq > self.told_seq:
            changes = self._book_changes(feed, texts)
            if changes is None:
                return None
            entries += changes
        if view.trades:
            entries += [render.new_trade(trade, texts) for trade in self._new_trades(feed)]
        entries += render.statistics_changes(self.told_statistics, now, self.symbol)
        return render.entries_group(entries) if entries else ""

    def _new_trades(self, feed: Feed) -> list[Trade]:
        """The trades that the subscription was not told of. Raises TradesLost."""
        trades = feed.trades_since(self.told_trades_seq)
        if trades is None:
            raise TradesLost
        return trades

    def _book_changes(self, feed: Feed, texts: InstrumentText) -> list[str] | None:
        book, told, depth = feed.book, self.told_seq, self.view.depth
        if self.view.aggregated:
            return self._entries(book.levels_since(told, depth), render.level_change, texts)
        return self._entries(book.orders_since(told, depth), render.order_change, texts)

    def _entries(
        self,
        changes: tuple[list[Change], list[Change]] | None,
        entry: Callable[[Change, InstrumentText], str],
        texts: InstrumentText,
    ) -> list[str] | None:
        """The entries of the sides that are asked for, None where the log does not reach back."""
        if changes is None:
            return None
        return [
            entry(change, texts)
            for side, of_side in zip(SIDES, changes, strict=True)
            if side in self.view.sides
            for change in of_side
        ]
