"""Market data by FIX: a client that reads W and X alone has the book that there is."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest
import quickfix

from engine.core.instruments import Instrument
from engine.core.types import Side
from engine.market_data.book import CHECKSUM_LEVELS, SIDES
from engine.market_data.day import DayStatistics
from engine.market_data.market import Feed, Market, Trade
from fix_gateway.codec.formatting import texts_of
from fix_gateway.codec.market_data import (
    reject,
    security_status,
    trading_session_status,
)
from fix_gateway.codec.market_data_requests import (
    Bounds,
    MarketDataQuery,
    MarketRequestError,
    SecurityStatusQuery,
    TradingSessionQuery,
    read,
)
from fix_gateway.codec.message import FixMessage
from fix_gateway.codec.responses import Response
from fix_gateway.market_data.views import Shared, Subscription, TradesLost, View
from tests.support.strategies import Flow
from tests.support.wide_flow import WideFlow
from tests.unit.market_data.test_market import play

STOCK = Path(sys.prefix) / "share" / "quickfix" / "FIX44.xml"
OWN = Path(__file__).parents[3] / "spec" / "FIX44.xml"
GROUP = frozenset(("269", "270", "271", "272", "273", "278", "37", "279", "346", "55"))
HEAD = "34=2\x0149=TANDEM\x0152=20261130-12:00:00.000\x0156=READER\x01"


@pytest.fixture(scope="module")
def dictionaries() -> list[quickfix.DataDictionary]:
    """The one that comes with QuickFIX, which passes over tags of ours, and ours."""
    stock, own = quickfix.DataDictionary(str(STOCK)), quickfix.DataDictionary(str(OWN))
    stock.checkUserDefinedFields(False)
    return [stock, own]


def hold_to(response: Response, dictionaries: list[quickfix.DataDictionary]) -> FixMessage:
    """Have QuickFIX check a message as a client's would; gives what that client reads."""
    text = f"8=FIX.4.4\x019=0\x0135={response.msg_type}\x01{HEAD}{response.body}10=000\x01"
    for dictionary in dictionaries:
        message = quickfix.Message()
        message.setString(text, False, dictionary)
        whole = message.toString()
        again = quickfix.Message()
        again.setString(whole, True, dictionary)
        dictionary.validate(again)
    return FixMessage(whole)


class Client:
    """Rebuilds what one subscription shows, from its messages."""

    def __init__(self, subscription: Subscription) -> None:
        self.subscription = subscription
        self.book: dict[tuple[str, str], tuple[str, str]] = {}
        self.trades: list[str] = []
        self.statistics: dict[str, str] = {}
        self.seq = -1

    def take(self, message: FixMessage, depth: int) -> None:
        entries = message.group("268", "269" if message.msg_type == "W" else "279", GROUP)
        assert len(entries) == int(message.get("268"))
        seq, prev = int(message.get("20024")), int(message.get("20025"))
        if message.msg_type == "W":
            assert seq == prev
            self.book.clear()
            self.statistics.clear()
        else:
            assert prev == self.seq, "a message is missing"
        self.seq = seq
        for entry in entries:
            action = entry.get("279", "0")
            if message.msg_type == "X":
                assert entry["55"] == self.subscription.symbol
            kind = entry["269"]
            if kind in "01":
                self._change(action, kind, entry)
                if depth:
                    prices = {key[1] if "278" not in entry and "37" not in entry else value[0]
                              for key, value in self.book.items() if key[0] == kind}
                    assert len(prices) <= depth or "278" in entry
            elif kind == "2":
                assert action == "0"
                self.trades.append(entry.get("278") or entry["37"])
            elif action == "2":
                del self.statistics[kind]
            else:
                assert (kind in self.statistics) == (action == "1")
                self.statistics[kind] = entry.get("270") or entry["271"]

    def _change(self, action: str, kind: str, entry: dict[str, str]) -> None:
        name = entry.get("278") or entry.get("37") or entry["270"]
        if action == "2":
            del self.book[kind, name]
            return
        assert ((kind, name) in self.book) == (action == "1")
        self.book[kind, name] = (entry["270"], entry["271"] + "x" + entry.get("346", "1"))


def expected(feed: Feed, view: View, instrument: Instrument) -> dict[tuple[str, str], object]:
    """What a view of a book shows, from the book itself."""
    price, quantity = instrument.price_text, instrument.quantity_text
    found: dict[tuple[str, str], object] = {}
    for side in view.sides:
        kind = "0" if side is Side.BUY else "1"
        if view.aggregated:
            for level in feed.book.levels(side, view.depth):
                text = price(level.price)
                found[kind, text] = (text, f"{quantity(level.qty)}x{level.orders}")
        else:
            for entry in feed.book.orders(side, view.depth):
                found[kind, str(entry.entry_id)] = (price(entry.price), f"{quantity(entry.qty)}x1")
    return found


VIEWS = [
    ("01", 0, True, True), ("01", 10, True, True), ("0", 1, True, True), ("01", 3, True, False),
    ("012", 2, True, True), ("1245789B", 5, True, True), ("01", 0, False, True),
    ("01", 2, False, True), ("2", 0, True, True), ("459B", 0, True, True), ("012B", 0, True, False),
]  # fmt: skip


@pytest.mark.parametrize("flow", [Flow(21), Flow(22), WideFlow(23)])
def test_a_client_that_reads_when_it_likes_has_the_book_that_there_is(
    flow: Flow | WideFlow, dictionaries: list[quickfix.DataDictionary]
) -> None:
    market, pick = Market(), random.Random(3)
    instruments: dict[str, Instrument] = {}
    clients: list[Client] = []
    traded: dict[str, list[str]] = {}
    messages = 0
    for exchange, seq, time_us, events in play(flow, 1200):
        for event in events:
            market.apply(event, seq, time_us)
        for symbol, book in exchange.books.items():
            instruments[symbol] = book.instrument
            traded[symbol] = [str(trade.trade_id) for trade in market.feed(symbol).trades]
        if seq == 500:
            for symbol in exchange.books:
                for kinds, depth, aggregated, incremental in VIEWS:
                    view = View(MarketDataQuery(
                        1, "r", "1", depth, incremental, aggregated, tuple(kinds), (symbol,)
                    ))  # fmt: skip
                    clients.append(Client(Subscription("r", symbol, view)))
        shared: dict[str, Shared] = {}
        for client in clients:
            subscription, view = client.subscription, client.subscription.view
            if client.seq >= 0 and pick.random() > 0.2:
                continue
            symbol = subscription.symbol
            texts = texts_of(symbol, instruments)
            assert texts is not None
            feed = market.feed(symbol)
            work = shared.setdefault(symbol, Shared(feed, texts, seq))
            if client.seq < 0:
                response: Response | None = subscription.snapshot(work, 5)
            else:
                response = subscription.update(work)
            if response is not None:
                messages += 1
                message = hold_to(response, dictionaries)
                assert message.get("20001") == str(seq)
                client.take(message, view.depth)
                if view.checked:
                    assert message.get("20026") == str(feed.book.checksum(instruments[symbol]))
            if view.sides:
                assert client.book == expected(feed, view, instruments[symbol])
            if view.trades and len(traded[symbol]) > 5:
                new = [each for each in client.trades if each in traded[symbol][5:]]
                assert sorted(new) == sorted(set(new), key=str)
                assert traded[symbol][-1] in client.trades
            day = feed.day
            assert day is not None
            if "B" in view.kinds and day.volume:
                assert client.statistics["B"] == instruments[symbol].quantity_text(day.volume)
            if "5" in view.kinds:
                assert ("5" in client.statistics) == bool(day.previous_close)
    assert messages > 150


def request(**fields: str) -> str:
    """The text of a MarketDataRequest; ``kinds`` and ``symbols`` are lists joined by commas."""
    kinds, symbols = fields.pop("kinds", "0,1").split(","), fields.pop("symbols", "BTC-USD")
    rows = {"f262": "r1", "f263": "1", "f264": "0", "f265": "1", **fields}
    head = "".join(f"{tag[1:]}={value}\x01" for tag, value in rows.items() if value)
    listed = [symbol for symbol in symbols.split(",") if symbol]
    kinds = [kind for kind in kinds if kind]
    return (
        f"8=FIX.4.4\x019=0\x0135=V\x0134=7\x01{head}"
        f"267={len(kinds)}\x01{''.join(f'269={kind}{chr(1)}' for kind in kinds)}"
        f"146={len(listed)}\x01{''.join(f'55={symbol}{chr(1)}' for symbol in listed)}10=000\x01"
    )


BOUNDS = Bounds(symbols_max=3, depth_max=1000)
SYMBOLS = ("BTC-USD", "ETH-USD", "ETH-BTC", "SOL-USD")


def test_a_request_is_read_as_it_was_meant() -> None:
    text = request(f264="25", f266="N", kinds="1,2,B", symbols="ETH-USD,BTC-USD")
    assert read(text, BOUNDS, SYMBOLS) == MarketDataQuery(
        7, "r1", "1", 25, True, False, ("1", "2", "B"), ("ETH-USD", "BTC-USD")
    )
    text = request(f263="2", f264="x", kinds="Z", symbols="")
    assert read(text, BOUNDS, SYMBOLS) == MarketDataQuery(7, "r1", "2")
    assert read("35=D\x0134=1\x01", BOUNDS, SYMBOLS) is None


@pytest.mark.parametrize(
    ("fields", "reason", "word"),
    [
        ({"f263": "3"}, "4", "SubscriptionRequestType(263) 3"),
        ({"f263": ""}, "4", "SubscriptionRequestType(263)"),
        ({"f264": "1001"}, "5", "1 to 1000"),
        ({"f264": "-1"}, "5", "MarketDepth(264) -1"),
        ({"f264": "1e3"}, "5", "MarketDepth(264) 1e3"),
        ({"f265": ""}, "6", "is needed with"),
        ({"f265": "2"}, "6", "MDUpdateType(265) 2"),
        ({"f266": "y"}, "7", "AggregatedBook(266) y"),
        ({"kinds": "0,3"}, "8", "MDEntryType(269) 3"),
        ({"kinds": "0,0"}, "8", "named twice"),
        ({"kinds": ""}, "8", "at least one"),
        ({"symbols": "BTC-USD,DOGE"}, "0", "Symbol(55) DOGE"),
        ({"symbols": ""}, "0", "at least one"),
        ({"symbols": "BTC-USD,BTC-USD"}, "", "named twice"),
        ({"symbols": "BTC-USD,ETH-USD,ETH-BTC,SOL-USD"}, "2", "may name 3"),
        ({"f262": "r" * 65}, "", "64 characters"),
        ({"f262": "é"}, "", "ASCII"),
    ],
)
def test_what_is_wrong_with_a_request_is_said_with_its_reason(
    fields: dict[str, str], reason: str, word: str, dictionaries: list[quickfix.DataDictionary]
) -> None:
    with pytest.raises(MarketRequestError) as raised:
        read(request(**fields), BOUNDS, SYMBOLS)
    assert raised.value.reason == reason
    assert word in raised.value.text
    message = hold_to(reject(raised.value), dictionaries)
    assert message.msg_type == "Y"
    assert message.get("281") == reason
    assert word in message.get("58")


def test_the_state_of_an_instrument_and_of_the_day_can_be_asked_for(
    dictionaries: list[quickfix.DataDictionary],
) -> None:
    head = "35=e\x0134=3\x01324=s\x01"
    assert read(f"{head}55=BTC-USD\x01263=1\x01", BOUNDS, SYMBOLS) == SecurityStatusQuery(
        3, "s", "1", "BTC-USD"
    )
    assert read("35=g\x0134=4\x01335=t\x01263=0\x01", BOUNDS, SYMBOLS) == TradingSessionQuery(
        4, "t", "0"
    )
    for text, word in [
        (f"{head}55=DOGE\x01263=1\x01", "DOGE"),
        (f"{head}55=BTC-USD\x01263=9\x01", "263) 9"),
        ("35=g\x0134=4\x01335=t\x01336=NIGHT\x01263=0\x01", "NIGHT"),
    ]:
        with pytest.raises(MarketRequestError) as raised:
            read(text, BOUNDS, SYMBOLS)
        message = hold_to(reject(raised.value), dictionaries)
        assert message.msg_type == "j" and word in message.get("58")
    for exchange, _, _, _ in play(Flow(1), 40):
        books = exchange.books
    instrument = books["BTC-USD"].instrument
    status = security_status(
        "s", instrument, books["BTC-USD"].status, 0, 9, unsolicited=False
    )
    assert hold_to(status, dictionaries).get("326") == "17"
    day = trading_session_status("", 0, 86_400_000_000, unsolicited=True)
    assert hold_to(day, dictionaries).get("345") == "19700102-00:00:00.000000"


def test_statistics_come_change_and_go_with_the_day(
    dictionaries: list[quickfix.DataDictionary],
) -> None:
    for exchange, _, _, _ in play(Flow(1), 40):
        books = exchange.books
    symbol, instrument = "BTC-USD", books["BTC-USD"].instrument
    market = Market([symbol])
    feed = market.feed(symbol)
    feed.day = DayStatistics(previous_close=90)
    texts = texts_of(symbol, {symbol: instrument})
    assert texts is not None
    view = View(MarketDataQuery(1, "r", "1", 0, True, True, tuple("45789B"), (symbol,)))
    client = Client(Subscription("r", symbol, view))

    def tell(response: Response | None) -> None:
        assert response is not None
        client.take(hold_to(response, dictionaries), 0)

    def trade(number: int, price: int, qty: int) -> None:
        feed.add_trade(Trade(number, symbol, price, qty, Side.BUY, 0, number))
        assert feed.day is not None
        feed.day.add(price, qty)

    tell(client.subscription.snapshot(Shared(feed, texts, 0)))
    assert client.statistics == {"5": instrument.price_text(90)}
    trade(1, 100, 1)
    trade(2, 103, 2)
    tell(client.subscription.update(Shared(feed, texts, 2)))
    assert client.statistics == {
        "4": instrument.price_text(100), "5": instrument.price_text(90),
        "7": instrument.price_text(103), "8": instrument.price_text(100),
        "9": instrument.price_text(102), "B": instrument.quantity_text(3),
    }  # fmt: skip
    assert client.subscription.update(Shared(feed, texts, 2)) is None
    feed.roll()
    tell(client.subscription.update(Shared(feed, texts, 2)))
    assert client.statistics == {"5": instrument.price_text(103)}


def test_trades_that_cannot_be_told_any_more_end_a_subscription_of_trades() -> None:
    for exchange, _, _, _ in play(Flow(1), 40):
        books = exchange.books
    symbol, instrument = "BTC-USD", books["BTC-USD"].instrument
    feed = Market([symbol]).feed(symbol)
    texts = texts_of(symbol, {symbol: instrument})
    assert texts is not None
    query = MarketDataQuery(1, "r", "1", 0, True, True, ("2",), (symbol,))
    subscription = Subscription("r", symbol, View(query))
    subscription.snapshot(Shared(feed, texts, 0))
    for number in range(1, (feed.trades.maxlen or 0) + 3):
        feed.add_trade(Trade(number, symbol, 1, 1, Side.BUY, 0, number))
    with pytest.raises(TradesLost):
        subscription.update(Shared(feed, texts, number))


def test_there_is_a_checksum_where_the_best_ten_levels_are_shown() -> None:
    def checked(kinds: str, depth: int, aggregated: bool = True) -> bool:
        return View(MarketDataQuery(1, "r", "1", depth, True, aggregated, tuple(kinds))).checked

    assert checked("01", 0) and checked("012", CHECKSUM_LEVELS)
    assert not checked("01", CHECKSUM_LEVELS - 1) and not checked("0", 0)
    assert not checked("01", 0, aggregated=False)
    assert len(SIDES) == 2


@pytest.mark.parametrize("seq", [0, 2**31, 2**63 - 1])
def test_sequences_of_the_engine_may_have_as_many_digits_as_they_ever_will(seq: int) -> None:
    own = quickfix.DataDictionary(str(OWN))
    body = f"148=x\x0133=1\x0158=a\x0120001={seq}\x01"
    assert hold_to(Response("B", body), [own]).get("20001") == str(seq)
