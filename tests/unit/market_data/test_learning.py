"""A day that the history tells later: as if it had been known all along, or not at all."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from engine.core.types import Side
from engine.market_data.day import DAY_US, DayStatistics, day_of
from engine.market_data.market import TRADES_KEPT, Market, Trade
from engine.server.rows import book_orders
from tests.support.strategies import Flow
from tests.support.wide_flow import WideFlow
from tests.unit.market_data.test_market import play

SYMBOL = "BTC-USD"
ROLL_US = 7 * 3_600_000_000


def values(day: DayStatistics | None) -> tuple[int, ...] | None:
    return None if day is None else tuple(getattr(day, name) for name in DayStatistics.__slots__)


class Known(NamedTuple):
    """What a history knows at one transaction."""

    seq: int
    time_us: int
    trades: dict[str, list[Trade]]
    days: dict[str, DayStatistics]


def known(seq: int, time_us: int, trades: list[Trade]) -> Known:
    """The history of these trades, which began with the first of them."""
    today, days, by_symbol = day_of(time_us, ROLL_US), {}, {}
    for symbol in {trade.symbol for trade in trades}:
        own = by_symbol[symbol] = [trade for trade in trades if trade.symbol == symbol]
        before = [trade for trade in own if day_of(trade.time_us, ROLL_US) < today]
        day = days[symbol] = DayStatistics(before[-1].price if before else 0)
        for trade in own[len(before) :]:
            day.add(trade.price, trade.qty)
    return Known(seq, time_us, by_symbol, days)


@pytest.mark.parametrize("flow", [Flow(1), Flow(3), WideFlow(4), WideFlow(5)])
@pytest.mark.parametrize("read_at", [400, 500, 700, 1_100])
def test_a_day_learned_late_is_that_of_who_knew_it_all_along(
    flow: Flow | WideFlow, read_at: int
) -> None:
    whole, late = Market((), ROLL_US, flow.now), Market((), ROLL_US, flow.now)
    began, read, trades = 0, None, list[Trade]()
    for number, (exchange, seq, time_us, events) in enumerate(play(type(flow)(flow.seed), 1_200)):
        whole.roll(time_us)
        late.roll(time_us)
        for event in events:
            whole.apply(event, seq, time_us)
            late.apply(event, seq, time_us)
        trades += [t for feed in whole.feeds.values() for t in feed.trades_since(seq - 1) or []]
        if number == 400:
            began = seq
            late = Market((), ROLL_US, time_us)
            for symbol in exchange.books:
                late.seed(book_orders(exchange.books[symbol]), seq)
                late.seed_trades(symbol, seq, (), None)
        if number == read_at:
            read = known(seq, time_us, list(trades))
    assert read is not None
    # After a trade and a roll a day is known without the history, and its past is not asked for.
    unknown = {symbol for symbol, feed in late.feeds.items() if feed.day is None}
    for symbol, day in read.days.items():
        late.learn(symbol, read.seq, read.time_us, read.trades[symbol], day)
        feed, other = late.feed(symbol), whole.feed(symbol)
        learned = symbol in unknown
        assert values(feed.day) == values(other.day)
        since = [trade for trade in other.trades if trade.seq > began]
        assert feed.trades_since(began) == since
        assert feed.last_trades(1_000) == (other.last_trades(1_000) if learned else since)
    assert read.days


def a_trade(seq: int, price: int = 50, time_us: int = 0) -> Trade:
    return Trade(seq, SYMBOL, price, 2, Side.BUY, time_us, seq)


def a_market(seq: int = 10) -> Market:
    """A market that was read at ``seq``, without days."""
    market = Market([SYMBOL])
    market.seed_trades(SYMBOL, seq, (), None)
    return market


def a_day(price: int = 40) -> DayStatistics:
    day = DayStatistics(previous_close=30)
    day.add(price, 1)
    return day


def test_a_history_that_is_behind_what_was_read_teaches_nothing() -> None:
    market = a_market(10)
    market.learn(SYMBOL, 9, 0, [a_trade(9)], a_day())
    feed = market.feed(SYMBOL)
    assert feed.day is None and not feed.trades
    market.learn(SYMBOL, 10, 0, [a_trade(9)], a_day())
    assert values(feed.day) == values(a_day())
    assert feed.last_trades(5) == [a_trade(9)]


def test_a_day_that_is_known_is_not_learned_again_and_an_unknown_symbol_is_not_made() -> None:
    market = a_market()
    market.learn(SYMBOL, 10, 0, [], a_day(40))
    market.learn(SYMBOL, 11, 0, [a_trade(11)], a_day(41))
    feed = market.feed(SYMBOL)
    assert feed.day is not None and feed.day.last == 40 and not feed.trades
    market.learn("ETH-USD", 11, 0, [], a_day())
    assert list(market.feeds) == [SYMBOL]


def test_what_was_traded_since_the_history_counts_once() -> None:
    market = a_market(10)
    feed = market.feed(SYMBOL)
    for seq in (11, 12, 13):
        feed.add_trade(a_trade(seq, 50 + seq))
    market.learn(SYMBOL, 12, 0, [a_trade(8), a_trade(11), a_trade(12)], a_day())
    assert feed.day is not None
    assert (feed.day.volume, feed.day.last, feed.day.high) == (3, 63, 63)
    assert [trade.seq for trade in feed.trades] == [8, 11, 12, 13]
    assert feed.trades_since(9) is None  # What happened between 8 and 10 is not known.


def test_a_day_that_began_since_the_history_begins_with_its_first_trade() -> None:
    market = a_market(10)
    feed = market.feed(SYMBOL)
    feed.add_trade(a_trade(11, 50, 5))
    feed.add_trade(a_trade(12, 60, DAY_US))
    market.day = 1  # As no day was known, the roll had nothing to begin.
    market.learn(SYMBOL, 10, 0, [], a_day())
    assert feed.day is not None
    assert (feed.day.previous_close, feed.day.opening, feed.day.volume) == (50, 60, 2)


def test_days_without_a_trade_leave_the_last_price_before_them() -> None:
    market = a_market(10)
    market.day = 3
    market.learn(SYMBOL, 10, 0, [], a_day())
    assert values(market.feed(SYMBOL).day) == values(DayStatistics(40))


def test_where_trades_since_the_history_are_not_kept_the_day_stays_unknown() -> None:
    market = a_market(10)
    feed = market.feed(SYMBOL)
    for seq in range(11, 11 + TRADES_KEPT):
        feed.add_trade(a_trade(seq))
    market.learn(SYMBOL, 10, 0, [a_trade(9)], a_day())
    assert feed.day is not None  # All of them are there, so older ones have no place.
    assert len(feed.trades) == TRADES_KEPT and feed.trades[0].seq == 11
    feed.day = None
    feed.add_trade(a_trade(11 + TRADES_KEPT))
    market.learn(SYMBOL, 10, 0, [], a_day())
    assert feed.day is None


def test_a_roll_makes_no_day_known_whose_price_before_it_nobody_knows() -> None:
    market = a_market(10)
    feed = market.feed(SYMBOL)
    assert market.roll(DAY_US)
    assert feed.day is None  # It may have traded yesterday, before what was read.
    market.learn(SYMBOL, 10, 0, [], a_day())
    assert values(feed.day) == values(DayStatistics(40))
