"""A market read from history and engine: exactly what whoever saw every transaction has."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, insert

from engine import queries
from engine.core.commands import Tick
from engine.core.exchange import Exchange
from engine.core.instruments import Instrument
from engine.core.types import Answered, Origin, Side
from engine.history import reader as history
from engine.history import schema
from engine.history.projector import Projector
from engine.history.store import StoreError, open_reader, open_writer
from engine.market_data.day import DayStatistics, day_of, start_of
from engine.market_data.market import Market, Trade
from engine.server.rows import book_orders
from engine.wire import Transaction
from fix_gateway.market_data.seeding import (
    MINUTE_US,
    Seed,
    day_statistics,
    read_history,
    read_market,
)
from tests.support.strategies import Flow
from tests.unit.market_data.test_market import play

ROLL_US = 7 * 3_600_000_000
COUNT = 1_200
TRADES_MAX = 5


def values(day: DayStatistics | None) -> tuple[int, ...] | None:
    return None if day is None else tuple(getattr(day, name) for name in DayStatistics.__slots__)


class Played:
    """Two days of an exchange: its transactions, and what whoever saw them all knows."""

    def __init__(self) -> None:
        self.transactions: list[Transaction] = []
        self.trades: list[Trade] = []
        self.market = Market((), ROLL_US, 0)
        for exchange, seq, time_us, events in play(Flow(1), COUNT):
            self.exchange: Exchange = exchange
            made: Any = tuple(events)
            self.transactions.append(Transaction(seq, time_us, Tick(Origin("engine")), made))
            for event in made:
                self.market.apply(event, seq, time_us)
            for feed in self.market.feeds.values():
                self.trades += feed.trades_since(seq - 1) or []
        self.instruments: dict[str, Instrument] = {
            symbol: book.instrument for symbol, book in exchange.books.items()
        }

    def day(self, symbol: str, number: int, up_to: int = COUNT) -> DayStatistics:
        """The day of this number, from the trades themselves."""
        own = [trade for trade in self.trades if trade.symbol == symbol and trade.seq <= up_to]
        before = [trade for trade in own if day_of(trade.time_us, ROLL_US) < number]
        day = DayStatistics(before[-1].price if before else 0)
        for trade in own[len(before) :]:
            day.add(trade.price, trade.qty)
        return day


@pytest.fixture(scope="module")
def played() -> Played:
    return Played()


def project(url: str, transactions: list[Transaction]) -> None:
    writer = open_writer(url)
    Projector(writer).apply(transactions)
    writer.dispose()


@pytest.fixture
def connection(url: str, played: Played) -> Iterator[Connection]:
    project(url, played.transactions)
    engine = open_reader(url)
    with engine.connect() as opened:
        yield opened
    engine.dispose()


@pytest.mark.parametrize("page", [1, 3, 1_000])
def test_the_candles_of_a_day_are_its_statistics_exactly_in_pages_of_any_size(
    connection: Connection, played: Played, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.load()
    monkeypatch.setattr(history, "LIMIT_MAX", page, raising=False)
    last = day_of(played.transactions[-1].time_us, ROLL_US)
    first = day_of(played.transactions[0].time_us, ROLL_US)
    assert last - first >= 2
    for symbol, instrument in played.instruments.items():
        for number in (last, last + 1):
            found = day_statistics(connection, instrument, start_of(number, ROLL_US))
            assert values(found) == values(played.day(symbol, number))
            assert all(type(value) is int for value in values(found) or ())
        # From the beginning of time, all is one day.
        found = day_statistics(connection, instrument, 0)
        assert values(found) == values(played.day(symbol, 0))
        assert found.volume and found.notional


def test_every_minute_of_a_day_counts_where_pages_end_between_them(
    url: str, played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.load()
    monkeypatch.setattr(history, "LIMIT_MAX", 2, raising=False)
    instrument, start = played.instruments["BTC-USD"], start_of(20_000, ROLL_US)
    rows = [
        {
            "symbol": "BTC-USD", "interval_us": MINUTE_US, "start_us": start + minute * MINUTE_US,
            "open": 100 + minute, "high": 110 + minute, "low": 90 + minute, "close": 105 + minute,
            "qty": 3, "cash": 300 * instrument.unit, "trades": 2,
        }
        for minute in range(-1, 7)
    ]  # fmt: skip
    engine = open_writer(url)
    Projector(engine)
    with engine.begin() as opened:
        opened.execute(insert(schema.candles), rows)
        day = day_statistics(opened, instrument, start)
    engine.dispose()
    assert (day.previous_close, day.opening, day.last) == (104, 100, 111)
    assert (day.high, day.low, day.volume, day.notional) == (116, 90, 21, 2_100)


def test_a_candle_belongs_to_the_day_with_which_its_minute_begins(
    connection: Connection, played: Played
) -> None:
    trade = next(trade for trade in reversed(played.trades) if trade.time_us % MINUTE_US)
    instrument = played.instruments[trade.symbol]
    minute = trade.time_us // MINUTE_US * MINUTE_US
    at, after = (day_statistics(connection, instrument, start) for start in
                 (minute, minute + MINUTE_US))  # fmt: skip
    assert at.volume > after.volume
    assert after.previous_close and after.volume == sum(
        one.qty for one in played.trades
        if one.symbol == trade.symbol and one.time_us >= minute + MINUTE_US
    )  # fmt: skip


def test_a_history_knows_the_newest_trades_and_the_day_of_its_newest_transaction(
    url: str, played: Played
) -> None:
    project(url, played.transactions)
    past = read_history(lambda: open_reader(url), played.instruments, ROLL_US, TRADES_MAX)
    assert past is not None
    assert (past.seq, past.time_us) == played.transactions[-1][:2]
    for symbol in played.instruments:
        own = [trade for trade in played.trades if trade.symbol == symbol]
        assert past.trades[symbol] == own[-TRADES_MAX:]
        number = day_of(past.time_us, ROLL_US)
        assert values(past.days[symbol]) == values(played.day(symbol, number))


def test_a_history_that_is_empty_knows_that_nothing_was_traded(url: str, played: Played) -> None:
    open_writer(url).dispose()
    project(url, [])
    past = read_history(lambda: open_reader(url), played.instruments, ROLL_US, TRADES_MAX)
    assert past is not None and past.seq == 0
    for symbol in played.instruments:
        assert past.trades[symbol] == []
        assert values(past.days[symbol]) == values(DayStatistics())


class Client:
    """An engine's client; the venue goes on while the market is read."""

    def __init__(self, at: int, first_seq: int = 1) -> None:
        self.exchange = Exchange()
        self._flow = play(Flow(1), COUNT)
        self._first_seq = first_seq
        self.go_on(at)

    def go_on(self, count: int) -> None:
        for exchange, *_ in islice(self._flow, count):
            self.exchange = exchange

    def connect(self) -> Any:
        return SimpleNamespace(first_seq=self._first_seq)

    def fetch(self, query: Any) -> Answered[Any]:
        exchange = self.exchange
        self.go_on(7)
        if isinstance(query, queries.Instruments):
            value: Any = [book.instrument for book in exchange.books.values()]
        elif isinstance(query, queries.Status):
            value = SimpleNamespace(seq=exchange.seq, time_us=exchange.time_us)
        else:
            assert isinstance(query, queries.BookOrders)
            exchange = self.exchange
            value = book_orders(exchange.books[query.symbol])
        return Answered(value, exchange.seq)


def gone_on(seed: Seed, played: Played) -> Market:
    """The market of a seed after all transactions from its first one on."""
    for transaction in played.transactions[seed.first_seq - 1 :]:
        for event in transaction.events:
            seed.market.apply(event, transaction.seq, transaction.time_us)
    return seed.market


def hold_books(market: Market, played: Played) -> None:
    for symbol in played.instruments:
        for side in (Side.BUY, Side.SELL):
            assert market.feed(symbol).book.levels(side) == (
                played.market.feed(symbol).book.levels(side)
            )


@pytest.mark.parametrize("behind", [0, 1, 50, 400])
def test_a_market_that_was_read_goes_on_as_if_it_had_seen_everything(
    tmp_path: Any, played: Played, behind: int
) -> None:
    url, at = f"sqlite:///{tmp_path / 'history.db'}", 900
    project(url, played.transactions[: at - behind])
    client: Any = Client(at)
    seed = read_market(client, lambda: open_reader(url), ROLL_US, TRADES_MAX)
    assert seed.days_known and seed.first_seq == at - behind + 1
    assert at < seed.whole_at <= client.exchange.seq
    assert seed.instruments == played.instruments
    market = gone_on(seed, played)
    hold_books(market, played)
    for symbol, feed in market.feeds.items():
        whole = played.market.feed(symbol)
        assert values(feed.day) == values(whole.day)
        assert feed.last_trades(TRADES_MAX) == whole.last_trades(TRADES_MAX)


def refuse() -> Engine:
    raise StoreError("history.url names nothing")


@pytest.mark.parametrize("kind", ["refused", "no file", "no tables", "too old"])
def test_without_a_history_that_can_be_used_books_are_there_and_days_are_unknown(
    tmp_path: Any, played: Played, kind: str
) -> None:
    url, at = f"sqlite:///{tmp_path / 'history.db'}", 900
    first_seq = 1
    if kind == "no tables":
        project(url, played.transactions[:at])
        writer = open_writer(url)
        schema.candles.drop(writer)
        writer.dispose()
    elif kind == "too old":
        first_seq = 502
        project(url, played.transactions[:500])
    client: Any = Client(at, first_seq)
    seed = read_market(
        client, refuse if kind == "refused" else lambda: open_reader(url), ROLL_US, TRADES_MAX
    )
    assert not seed.days_known
    assert at < seed.first_seq <= seed.whole_at <= client.exchange.seq
    for symbol in played.instruments:
        feed = seed.market.feed(symbol)
        assert feed.day is None and not feed.trades
    hold_books(gone_on(seed, played), played)


def test_a_history_that_ends_where_the_engine_begins_is_not_too_old(
    tmp_path: Any, played: Played
) -> None:
    url = f"sqlite:///{tmp_path / 'history.db'}"
    project(url, played.transactions[:500])
    client: Any = Client(900, 501)
    seed = read_market(client, lambda: open_reader(url), ROLL_US, TRADES_MAX)
    assert seed.days_known and seed.first_seq == 501
