"""Requests in any order, of several sessions: what is granted, refused, and left behind."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import quickfix

from engine.core.exchange import Exchange
from engine.core.types import Side
from engine.market_data.market import Market
from fix_gateway.codec import market_data as render
from fix_gateway.codec.market_data_requests import (
    ENTRY_TYPES,
    MarketDataQuery,
    MarketQuery,
    MarketRequestError,
    SecurityStatusQuery,
    TradingSessionQuery,
)
from fix_gateway.codec.message import FixMessage
from fix_gateway.codec.responses import Response, SharedResponse
from fix_gateway.market_data.desk import Desk, DeskBounds
from fix_gateway.market_data.receiver import Reader
from tests.support.fix_desk import wire_text
from tests.support.market_reader import RebuiltBook
from tests.support.strategies import Flow
from tests.unit.market_data.test_market import play

SEED: Final = int(os.environ.get("TANDEM_FUZZ_SEED", "1"))
STEPS: Final = int(os.environ.get("TANDEM_MARKET_DATA_STEPS", "1500"))
SUBSCRIPTIONS_MAX: Final = 8
NOW_US: Final = 1_796_000_000_000_000
STOCK: Final = Path(sys.prefix) / "share" / "quickfix" / "FIX44.xml"


class Silent:
    """A session for which nothing is sent by itself."""

    name = "READER"
    conflation_ms = 0

    def send(self, response: Response | SharedResponse) -> bool:
        raise AssertionError(f"a desk sends nothing by itself: {response}")

    def cork(self, corked: bool) -> None:
        raise AssertionError("a desk sends nothing by itself")

    def unread(self) -> int:
        return 0

    def end(self, reason: str) -> None:
        raise AssertionError(f"a desk ends nobody: {reason}")


def thing(query: MarketDataQuery, symbol: str) -> tuple[object, ...]:
    """What a request is about: the order in which entry types are named says nothing."""
    book = bool(query.book_types)
    return (
        symbol, frozenset(query.entry_types), query.incremental, book and query.depth,
        book and query.aggregated,
    )  # fmt: skip


class Model:
    """What one session has subscribed, by the rules."""

    def __init__(self) -> None:
        self.books: dict[str, MarketDataQuery] = {}
        self.statuses: dict[str, str] = {}
        self.days: set[str] = set()

    @property
    def count(self) -> int:
        symbols = sum(len(query.symbols) for query in self.books.values())
        return symbols + len(self.statuses) + len(self.days)

    def things(self) -> set[tuple[object, ...]]:
        return {
            thing(query, symbol) for query in self.books.values() for symbol in query.symbols
        }

    def judge(self, query: MarketQuery) -> set[str]:
        """The reasons for which a request may be refused; none where it must be granted."""
        if isinstance(query, MarketDataQuery):
            return self._judge_book(query)
        known = query.request_id in (
            self.statuses if isinstance(query, SecurityStatusQuery) else self.days
        )
        over = query.subscription == "1" and self.count >= SUBSCRIPTIONS_MAX
        return {"0"} if known != (query.subscription == "2") or over else set()

    def _judge_book(self, query: MarketDataQuery) -> set[str]:
        known = query.request_id in self.books
        if query.subscription == "2":
            return set() if known else {""}
        found = {"1"} if known else set()
        if query.subscription == "1":
            if self.things() & {thing(query, symbol) for symbol in query.symbols}:
                found.add("1")
            if self.count + len(query.symbols) > SUBSCRIPTIONS_MAX:
                found.add("2")
        return found

    def grant(self, query: MarketQuery) -> None:
        if query.subscription == "0":
            return
        if isinstance(query, MarketDataQuery):
            if query.subscription == "1":
                self.books[query.request_id] = query
            else:
                del self.books[query.request_id]
        elif isinstance(query, SecurityStatusQuery):
            if query.subscription == "1":
                self.statuses[query.request_id] = query.symbol
            else:
                del self.statuses[query.request_id]
        elif query.subscription == "1":
            self.days.add(query.request_id)
        else:
            self.days.remove(query.request_id)


@pytest.fixture(scope="module")
def stock() -> Any:
    """FIX 4.4 as QuickFIX brings it, which passes over tags of ours."""
    dictionary = quickfix.DataDictionary(str(STOCK))
    dictionary.checkUserDefinedFields(False)
    return dictionary


def told(stock: Any, response: Response) -> FixMessage:
    """A message as a client reads it that knows FIX 4.4 alone."""
    text = wire_text(response.msg_type, response.body, "TANDEM", "READER", 2)
    message = quickfix.Message(text, stock, True)
    stock.validate(message)
    return FixMessage(message.toString())


def chance_query(pick: random.Random, symbols: list[str], num: int) -> MarketQuery:
    """A request that is right by itself."""
    subscription = pick.choice("0111122")
    request_id = f"r{pick.randrange(6)}"
    which = pick.random()
    if which < 0.1:
        return TradingSessionQuery(num, request_id, subscription)
    if which < 0.25:
        return SecurityStatusQuery(num, request_id, subscription, pick.choice(symbols))
    if subscription == "2":
        return MarketDataQuery(num, request_id, subscription)
    if pick.random() < 0.6:
        kinds = pick.choice((("0", "1"), ("1", "0"), ("0",), ("2",), ("B", "2"), ("2", "B")))
    else:
        kinds = tuple(pick.sample(list(ENTRY_TYPES), pick.randrange(1, 7)))
    return MarketDataQuery(
        num, request_id, subscription, pick.choice((0, 0, 1, 2, 10)), pick.random() < 0.7,
        pick.random() < 0.7, kinds, tuple(pick.sample(symbols, pick.randrange(1, len(symbols)))),
    )  # fmt: skip


def hold_to_market(message: FixMessage, query: MarketDataQuery, exchange: Exchange) -> None:
    """A snapshot is what the exchange holds."""
    symbol = message.get("55")
    book, rebuilt = exchange.books[symbol], RebuiltBook(symbol, query.depth)
    rebuilt.take(message)
    instrument = book.instrument
    for kind, side in (("0", book.bids), ("1", book.asks)):
        levels = side.depth(query.depth or 10_000) if kind in query.entry_types else ()
        expected = [
            (instrument.price_text(level.price), instrument.quantity_text(level.qty), level.orders)
            for level in levels
        ]
        if query.aggregated:
            assert rebuilt.level_rows(kind) == expected
        else:
            assert rebuilt.prices(kind) == [price for price, _, _ in expected]
            assert len(rebuilt.order_rows(kind)) == sum(count for _, _, count in expected)
    assert not rebuilt.trades or "2" in query.entry_types
    assert set(rebuilt.statistics) <= set(query.entry_types)


def hold_to_model(desk: Desk, readers: dict[str, tuple[Reader, Model]]) -> None:
    """Nothing is left behind of what has ended, and nothing is forgotten."""
    wanted: dict[str, int] = {}
    for reader, model in readers.values():
        assert reader.count == model.count <= SUBSCRIPTIONS_MAX
        assert reader.idle == (model.count == 0)
        assert set(reader.requests) == set(model.books)
        assert len(reader.things) == sum(len(query.symbols) for query in model.books.values())
        for query in model.books.values():
            for symbol in query.symbols:
                wanted[symbol] = wanted.get(symbol, 0) + 1
        assert reader.waiting.keys() <= {one for each in reader.requests.values() for one in each}
    assert {symbol: len(each) for symbol, each in desk.by_symbol.items()} == wanted


@pytest.mark.parametrize("seed", [SEED, SEED + 1, SEED + 2])
def test_requests_of_several_sessions_in_any_order(seed: int, stock: Any) -> None:
    pick, market = random.Random(seed), Market(time_us=NOW_US)
    desk = Desk(DeskBounds(SUBSCRIPTIONS_MAX, 5), lambda: NOW_US, 0)
    readers = {name: (Reader(Silent()), Model()) for name in ("a", "b", "c")}
    granted = refused = 0
    for exchange, seq, time_us, events in play(Flow(seed), STEPS):
        for event in events:
            market.apply(event, seq, time_us)
        desk.as_of_seq = seq
        desk.instruments = {one: book.instrument for one, book in exchange.books.items()}
        if len(exchange.books) < 3 or seq % 2:
            continue
        desk.market = market
        name = pick.choice(list(readers))
        reader, model = readers[name]
        if pick.random() < 0.02:
            gone = desk.lost(reader) if pick.random() < 0.5 else desk.forget(reader)
            assert gone is None or len(gone) == len(model.books) + len(model.statuses) + len(
                model.days
            )
            for response in gone or ():
                assert told(stock, response).msg_type in ("Y", "j")
            readers[name] = (reader, Model())
            hold_to_model(desk, readers)
            continue
        query = chance_query(pick, list(exchange.books), seq)
        reasons = model.judge(query)
        try:
            answers = [told(stock, one) for one in desk.answer(reader, query)]
        except MarketRequestError as error:
            refused += 1
            assert error.reason in reasons, error.text
            assert (error.num, error.request_id) == (query.num, query.request_id)
            assert told(stock, render.reject(error)).get("58")
        else:
            granted += 1
            assert not reasons, query
            model.grant(query)
            if isinstance(query, MarketDataQuery):
                assert [each.get("55") for each in answers] == list(query.symbols)
                for each in answers:
                    assert each.get("262") == query.request_id
                    hold_to_market(each, query, exchange)
            else:
                assert len(answers) == (query.subscription != "2")
        hold_to_model(desk, readers)
    assert granted > STEPS / 10 and refused > STEPS / 10
    for reader, _ in readers.values():
        desk.forget(reader)
        assert reader.idle and not reader.things and not reader.waiting
    assert not desk.by_symbol


@pytest.mark.parametrize("msg_type", ["V", "e", "g"])
def test_without_a_market_every_request_is_refused_and_nothing_kept(
    msg_type: str, stock: Any
) -> None:
    desk, reader = Desk(DeskBounds(), lambda: NOW_US, 0), Reader(Silent())
    query: MarketQuery = {
        "V": MarketDataQuery(3, "r", "1", 0, True, True, ("0",), ("BTC-USD",)),
        "e": SecurityStatusQuery(3, "r", "1", "BTC-USD"),
        "g": TradingSessionQuery(3, "r", "1"),
    }[msg_type]
    with pytest.raises(MarketRequestError) as raised:
        desk.answer(reader, query)
    assert reader.idle and not desk.by_symbol
    assert "ask again" in told(stock, render.reject(raised.value)).get("58")


def test_the_order_of_entry_types_makes_no_other_subscription() -> None:
    desk, reader = Desk(DeskBounds(), lambda: NOW_US, 0), Reader(Silent())
    for exchange, seq, time_us, events in play(Flow(1), 40):
        desk.market = desk.market or Market(time_us=NOW_US)
        for event in events:
            desk.market.apply(event, seq, time_us)
        desk.instruments = {one: book.instrument for one, book in exchange.books.items()}
    symbol = next(iter(desk.instruments))

    def ask(request_id: str, depth: int, kinds: str) -> None:
        query = MarketDataQuery(1, request_id, "1", depth, True, True, tuple(kinds), (symbol,))
        list(desk.answer(reader, query))

    ask("r1", 0, "01")
    ask("r2", 0, "2B")
    for depth, kinds in ((0, "10"), (0, "B2"), (5, "2B")):
        with pytest.raises(MarketRequestError) as raised:
            ask("r3", depth, kinds)
        assert raised.value.reason == "1" and "subscribed already" in raised.value.text
    ask("r3", 5, "10")
    assert Side.BUY in reader.requests["r3"][0].view.sides
