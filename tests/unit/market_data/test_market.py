"""The public market made from events is the exchange's, and what changed since is exact."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from engine.core.events import OrderFilled
from engine.core.exchange import Exchange
from engine.core.types import Liquidity, PriceLevel, Side
from engine.market_data.book import SIDES, DepthBook, DepthFault, LevelChange, OrderChange
from engine.market_data.day import DAY_US, DayStatistics, day_of
from engine.market_data.market import Market, Trade
from engine.server.rows import book_orders
from tests.support.strategies import Flow
from tests.support.wide_flow import WideFlow

DEPTHS = (0, 1, 2, 3, 5, 10)


def play(flow: Flow | WideFlow, count: int) -> Iterator[tuple[Exchange, int, int, list[object]]]:
    """An exchange after each of so many commands, with the seq, time and events of each."""
    exchange = Exchange()
    commands = [(flow.now, command) for command in flow.definitions()]
    for number in range(count):
        time_us, command = commands[number] if number < len(commands) else flow.next()
        if exchange.find_duplicate(command) is not None:
            continue
        time_us = max(time_us, exchange.time_us)
        events = list(exchange.apply(exchange.seq + 1, time_us, command))
        if isinstance(flow, Flow):
            flow.observe(events)
        yield exchange, exchange.seq, time_us, events


def shown(market: Market, symbol: str) -> list[tuple[Side, int, int]]:
    book = market.feed(symbol).book
    return [(entry.side, entry.price, entry.qty) for side in SIDES for entry in book.orders(side)]


def hold_alike(market: Market, exchange: Exchange) -> None:
    """Levels, and orders in their priority, are those of the exchange."""
    for symbol, book in exchange.books.items():
        feed = market.feed(symbol)
        assert feed.status is book.status
        assert tuple(feed.book.levels(Side.BUY)) == book.bids.depth(10_000)
        assert tuple(feed.book.levels(Side.SELL)) == book.asks.depth(10_000)
        expected = [order[1:] for order in book_orders(book).orders]
        assert shown(market, symbol) == expected


@pytest.mark.parametrize("flow", [Flow(1), Flow(2), Flow(3), WideFlow(4), WideFlow(5), WideFlow(6)])
def test_books_and_priorities_from_events_are_the_exchanges(flow: Flow | WideFlow) -> None:
    market = Market()
    for exchange, seq, time_us, events in play(flow, 1200):
        for event in events:
            market.apply(event, seq, time_us)
        hold_alike(market, exchange)


@pytest.mark.parametrize("seed", [1, 5])
def test_a_market_seeded_in_the_middle_goes_on_alike(seed: int) -> None:
    market: Market | None = None
    for number, (exchange, seq, time_us, events) in enumerate(play(Flow(seed), 1200)):
        if number == 600:
            market = Market()
            for symbol in exchange.books:
                market.seed(book_orders(exchange.books[symbol]), seq)
            assert market.take_changed() == []
        if market is not None:
            for event in events:
                market.apply(event, seq, time_us)  # What was seeded is passed over.
            hold_alike(market, exchange)
    assert market is not None


class Reader:
    """A reader of one book who knows what he was told, as a client would."""

    def __init__(self, book: DepthBook, depth: int, seq: int) -> None:
        self.depth, self.seq = depth, seq
        self.levels = {
            (side, level.price): level[1:] for side in SIDES for level in book.levels(side, depth)
        }
        self.orders = {
            entry.entry_id: (entry.side, entry.price, entry.qty)
            for side in SIDES
            for entry in book.orders(side, depth)
        }

    def take_levels(self, side: Side, changes: list[LevelChange]) -> None:
        for change in changes:
            key = (side, change.price)
            assert self.levels.pop(key, (0, 0)) == (change.qty_before, change.orders_before)
            if change.qty:
                self.levels[key] = (change.qty, change.orders)
            count = sum(1 for each, _ in self.levels if each is side)
            assert not self.depth or count <= self.depth

    def take_orders(self, side: Side, changes: list[OrderChange]) -> None:
        for change in changes:
            _, _, before = self.orders.get(change.entry_id, (side, change.price, 0))
            assert before == change.qty_before
            assert change.qty_before == 0 or change.qty < change.qty_before
            if change.qty:
                self.orders[change.entry_id] = (side, change.price, change.qty)
            else:
                del self.orders[change.entry_id]

    def catch_up(self, book: DepthBook, seq: int) -> None:
        """Make the changes that the book gives, and hold the result to the book."""
        levels, orders = book.levels_since(self.seq, self.depth), book.orders_since(
            self.seq, self.depth
        )
        assert levels is not None and orders is not None
        for side, level_changes, order_changes in zip(SIDES, levels, orders, strict=True):
            self.take_levels(side, level_changes)
            self.take_orders(side, order_changes)
        self.seq = seq
        expected = Reader(book, self.depth, seq)
        assert self.levels == expected.levels
        assert self.orders == expected.orders


@pytest.mark.parametrize("flow", [Flow(11), Flow(12), WideFlow(13), WideFlow(14)])
def test_what_changed_since_any_moment_brings_a_view_of_any_depth_up_to_date(
    flow: Flow | WideFlow,
) -> None:
    market, pick = Market(), random.Random(7)
    readers: dict[str, list[Reader]] = {}
    told = 0
    for exchange, seq, time_us, events in play(flow, 1200):
        for event in events:
            market.apply(event, seq, time_us)
        for symbol in exchange.books:
            book = market.feed(symbol).book
            known = readers.setdefault(symbol, [])
            if len(known) < 24:
                known.append(Reader(book, pick.choice(DEPTHS), seq))
            for reader in known:
                if pick.random() < 0.1:
                    reader.catch_up(book, seq)
                    told += 1
    assert told > 500


def test_orders_of_a_level_that_comes_into_view_come_in_their_priority() -> None:
    book = DepthBook()
    book.show(1, Side.BUY, 100, 1, 5)
    book.show(1, Side.BUY, 99, 2, 6)
    book.show(1, Side.BUY, 99, 3, 7)
    book.show(1, Side.BUY, 98, 4, 7)
    book.hide(2, Side.BUY, 100, 1)
    changes = book.orders_since(1, 1)
    assert changes is not None
    assert changes[0] == [
        OrderChange(1, Side.BUY, 100, 5, 0),
        OrderChange(2, Side.BUY, 99, 0, 6),
        OrderChange(3, Side.BUY, 99, 0, 7),
    ]
    assert book.levels_since(1, 1) == (
        [LevelChange(Side.BUY, 100, 5, 1, 0, 0), LevelChange(Side.BUY, 99, 0, 0, 13, 2)],
        [],
    )


def test_a_log_that_does_not_reach_back_says_so() -> None:
    book = DepthBook(log_max=3)
    for number in range(1, 6):
        book.show(number, Side.SELL, number, number, 1)
    assert book.levels_since(1) is None
    assert book.orders_since(1) is None
    changes = book.levels_since(2)
    assert changes is not None
    assert [change.price for change in changes[1]] == [3, 4, 5]
    assert book.levels(Side.SELL) == [PriceLevel(price, 1, 1) for price in range(1, 6)]


def test_levels_that_would_become_negative_are_a_fault() -> None:
    book = DepthBook()
    book.show(1, Side.BUY, 100, 1, 5)
    with pytest.raises(DepthFault):
        book.resize(2, Side.BUY, 100, 1, -1)


def test_trades_since_a_moment_are_those_that_the_exchange_made() -> None:
    market, made = Market(), []
    for _, seq, time_us, events in play(Flow(3), 1500):
        for event in events:
            market.apply(event, seq, time_us)
            if isinstance(event, OrderFilled) and event.liquidity is Liquidity.TAKER:
                made.append((event.order.symbol, event.trade_id, seq))
    assert len(made) > 15
    for symbol, feed in market.feeds.items():
        own = [(number, seq) for each, number, seq in made if each == symbol]
        for _, seq in own[:: max(1, len(own) // 20)]:
            found = feed.trades_since(seq)
            assert found is not None
            assert [(trade.trade_id, trade.seq) for trade in found] == [
                row for row in own if row[1] > seq
            ]


def test_a_day_has_its_first_highest_lowest_and_last_price_and_its_volume() -> None:
    day = DayStatistics(previous_close=90)
    for price, qty in ((100, 2), (120, 1), (80, 3), (110, 4)):
        day.add(price, qty)
    assert (day.opening, day.high, day.low, day.last) == (100, 120, 80, 110)
    assert (day.volume, day.notional) == (10, 1000)
    day.roll()
    assert (day.previous_close, day.volume, day.opening) == (110, 0, 0)
    day.roll()
    assert day.previous_close == 110


def test_a_day_begins_at_the_roll_and_a_trade_after_it_is_its_first() -> None:
    roll = 7 * 3_600_000_000
    assert day_of(roll - 1, roll) == -1
    assert day_of(roll, roll) == 0
    assert day_of(DAY_US + roll - 1, roll) == 0
    market = Market(["BTC-USD"], day_roll_us=roll)
    assert market.roll(DAY_US + roll)
    assert not market.roll(DAY_US + roll + 5)
    feed = market.feed("BTC-USD")
    assert feed.day is not None
    feed.day.add(7, 1)
    assert market.roll(2 * DAY_US + roll)
    assert feed.day.previous_close == 7


def test_a_day_that_is_not_known_is_known_from_the_next_roll_on() -> None:
    market = Market(["BTC-USD"])
    trade = Trade(1, "BTC-USD", 50, 1, Side.BUY, 0, 4)
    market.seed_trades("BTC-USD", 4, [trade], None)
    feed = market.feed("BTC-USD")
    assert feed.day is None and feed.last_trades(5) == [trade]
    assert market.roll(DAY_US)
    assert feed.day is not None and feed.day.previous_close == 50


@pytest.mark.parametrize("behind", [0, 30])
def test_trades_that_history_and_books_that_the_engine_knew_are_counted_once(behind: int) -> None:
    """The history may be behind the books; what is between comes from the transactions."""
    whole, seeded, past = Market(), Market(), []
    for exchange, seq, time_us, events in play(Flow(3), 1200):
        past.append((seq, time_us, events))
        for event in events:
            whole.apply(event, seq, time_us)
        if seq == 600:
            for symbol in exchange.books:
                seeded.seed(book_orders(exchange.books[symbol]), seq)
                known = [trade for trade in whole.feed(symbol).trades if trade.seq <= seq - behind]
                day = DayStatistics()
                for trade in known:
                    day.add(trade.price, trade.qty)
                seeded.seed_trades(symbol, seq - behind, known, day)
    for seq, time_us, events in past[600 - behind :]:
        for event in events:
            seeded.apply(event, seq, time_us)
    for symbol, feed in whole.feeds.items():
        other = seeded.feed(symbol)
        assert list(other.trades) == list(feed.trades)
        assert feed.day is not None and other.day is not None
        assert other.day.volume == feed.day.volume and other.day.high == feed.day.high
        assert other.book.levels(Side.BUY) == feed.book.levels(Side.BUY)


def test_trades_that_are_not_kept_any_more_are_missed() -> None:
    market = Market(["BTC-USD"])
    feed = market.feed("BTC-USD")
    kept = feed.trades.maxlen or 0
    for seq in range(1, kept + 3):
        feed.add_trade(Trade(seq, "BTC-USD", 1, 1, Side.BUY, 0, seq))
    assert feed.trades_since(1) is None
    found = feed.trades_since(2)
    assert found is not None and len(found) == kept
    assert [trade.seq for trade in feed.last_trades(2)] == [kept + 1, kept + 2]
