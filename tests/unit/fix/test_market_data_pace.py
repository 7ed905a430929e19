"""How fast sessions are told: intervals, readers that are slow, bounds of what they ask for.

The service has no thread here and no time of its own: a test takes its turns and moves its clock.
"""

from __future__ import annotations

from collections import deque

import pytest

from engine.core.types import InstrumentStatus
from engine.market_data.book import DepthBook
from engine.market_data.market import Market
from fix_gateway.codec.market_data_requests import Bounds
from fix_gateway.codec.message import FixMessage
from fix_gateway.codec.responses import Response, SharedResponse
from fix_gateway.market_data.desk import AWAY_TEXT, DeskBounds
from fix_gateway.market_data.seeding import Seed
from fix_gateway.market_data.service import (
    FLOOD_TEXT,
    LOST_TEXT,
    REQUESTS_MAX,
    UNREAD_TEXT,
    MarketDataService,
    ServiceBounds,
)
from tests.support.fix_desk import FixDesk, instruments, wire_text
from tests.support.market_reader import RebuiltBook

SLOW = 1_000
UNREAD_S = 30.0
SYMBOL = "BTC-USD"


class Reader:
    """A session that keeps its book from what it is told, as a client would."""

    name = "READER"

    def __init__(self, conflation_ms: int = 0) -> None:
        self.conflation_ms = conflation_ms
        self.left = 0
        self.ended = ""
        self.told: list[FixMessage] = []
        self.book = RebuiltBook(SYMBOL)

    def send(self, response: Response | SharedResponse) -> bool:
        assert not self.ended
        num = len(self.told) + 1
        text = wire_text(response.msg_type, response.body, "TANDEM", self.name, num)
        message = FixMessage(text)
        self.told.append(message)
        if response.msg_type in ("W", "X") and message.get("262") == "r":
            self.book.take(message)
        return True

    def cork(self, corked: bool) -> None:
        """There are no packets."""

    def unread(self) -> int:
        return self.left

    def end(self, reason: str) -> None:
        self.ended = reason

    @property
    def types(self) -> str:
        return "".join(message.msg_type for message in self.told)


class Venue:
    """An exchange, and the service that follows it turn by turn at ``seconds``."""

    def __init__(
        self, *, subscriptions_max: int = 256, symbols_max: int = 64
    ) -> None:
        self.desk = FixDesk(["ALICE", "BOB"])
        self.seconds = 1_000.0
        self._ids = 0
        self.service = MarketDataService(
            ServiceBounds(SLOW, UNREAD_S), DeskBounds(subscriptions_max),
            Bounds(symbols_max, 1_000), lambda: self.desk.now, 0, monotonic=lambda: self.seconds,
        )  # fmt: skip
        self.market = Market(instruments(), 0, self.desk.now)
        self.service.begin(Seed(self.market, instruments(), self.desk.exchange.seq + 1, 0))
        self.service.turn()

    def advance(self, seconds: float) -> None:
        """Let time pass, and the service see that it has."""
        self.seconds += seconds
        self.service.turn()

    def order(self, price: int, side: int = 1, comp_id: str = "ALICE", **more: str) -> None:
        """Enter an order of one BTC, and have the service take in what it did."""
        self._ids += 1
        known = len(self.desk.transactions)
        fields = {"55": SYMBOL, "54": str(side), "38": "1", "40": "2", "44": str(price)} | more
        body = "|".join(f"{tag}={value}" for tag, value in fields.items())
        self.desk.send(comp_id, f"35=D|11=o{self._ids}|60=20260105-09:30:00|{body}")
        self.service.take(self.desk.transactions[known:])
        self.service.turn()

    def set_status(self, status: InstrumentStatus) -> None:
        """Have an operator halt or resume the instrument."""
        known = len(self.desk.transactions)
        self.desk.halt(SYMBOL, status)
        self.service.take(self.desk.transactions[known:])
        self.service.turn()

    def trade(self, price: int) -> None:
        """Two orders that trade one BTC."""
        self.order(price)
        self.order(price, 2, "BOB")

    def ask(self, reader: Reader, msg_type: str, body: str) -> None:
        """Send a request and have it answered, as far as it is now."""
        text = f"8=FIX.4.4|9=1|35={msg_type}|34=5|{body}10=000|".replace("|", "\x01")
        self.service.request(reader, text)
        self.service.turn()

    def subscribe(
        self, reader: Reader, kinds: str = "01", request_id: str = "r", symbols: str = SYMBOL,
        update: int = 1,
    ) -> None:  # fmt: skip
        asked = "".join(f"269={kind}|" for kind in kinds)
        named = symbols.split()
        group = "".join(f"55={symbol}|" for symbol in named)
        self.ask(
            reader, "V", f"262={request_id}|263=1|264=0|265={update}|267={len(kinds)}|{asked}"
            f"146={len(named)}|{group}",
        )  # fmt: skip

    def hold(self, reader: Reader) -> None:
        """What the reader has is the book of the exchange."""
        book, instrument = self.desk.exchange.books[SYMBOL], instruments()[SYMBOL]
        for kind, side in (("0", book.bids), ("1", book.asks)):
            assert [
                (instrument.ticks(price), instrument.lots(qty), count)
                for price, qty, count in reader.book.level_rows(kind)
            ] == [tuple(level) for level in side.depth(1_000)]


@pytest.fixture
def venue() -> Venue:
    return Venue()


# Intervals.


@pytest.mark.parametrize("milliseconds", [10, 100])
def test_changes_of_one_interval_come_as_one_when_it_is_over(
    venue: Venue, milliseconds: int
) -> None:
    reader = Reader(milliseconds)
    venue.subscribe(reader)
    assert reader.types == "W"
    interval = milliseconds / 1_000
    venue.order(60_000)
    venue.advance(interval * 0.5)
    venue.order(60_001)
    venue.order(60_002, 2)  # Is there and gone within the interval: nothing is told of it.
    venue.order(60_002, 1, "BOB")
    venue.advance(interval * 0.25)
    assert reader.types == "W"
    venue.advance(interval * 0.3)
    assert reader.types == "WX"
    assert reader.told[1].get("268") == "2"
    venue.hold(reader)
    venue.advance(interval * 10)
    assert reader.types == "WX"
    venue.order(59_999)  # The next interval begins with the next change.
    venue.advance(interval * 0.75)
    assert reader.types == "WX"
    venue.advance(interval * 0.3)
    assert reader.types == "WXX"
    venue.hold(reader)


def test_no_trade_of_an_interval_is_left_out(venue: Venue) -> None:
    reader = Reader(100)
    venue.subscribe(reader, "012")
    for price in (60_000, 60_001, 60_000):
        venue.trade(price)
    assert reader.types == "W"
    venue.advance(0.11)
    assert reader.types == "WX"
    assert [(one["id"], one["270"]) for one in reader.book.trades] == [
        ("1", "60000"), ("2", "60001"), ("3", "60000"),
    ]  # fmt: skip
    assert reader.told[1].get("268") == "3"


def test_without_an_interval_each_batch_is_told_as_it_comes(venue: Venue) -> None:
    reader = Reader(0)
    venue.subscribe(reader)
    for number, price in enumerate((60_000, 60_001, 60_002), 2):
        venue.order(price)
        assert len(reader.told) == number
        venue.hold(reader)
    assert reader.types == "WXXX"


def test_each_reader_has_its_own_interval(venue: Venue) -> None:
    readers = [Reader(0), Reader(10), Reader(100)]
    for reader in readers:
        venue.subscribe(reader)
    for _ in range(10):
        venue.order(60_000)
        venue.advance(0.011)
    venue.advance(0.011)
    assert [len(reader.told) for reader in readers] == [11, 11, 2]
    for reader in readers:
        venue.hold(reader)


def test_an_interval_that_brings_all_back_tells_nothing_and_full_refreshes_are_conflated_too(
    venue: Venue,
) -> None:
    changes, whole = Reader(10), Reader(10)
    venue.subscribe(changes)
    venue.subscribe(whole, update=0)
    venue.order(60_000, 2)
    venue.order(60_000, 1, "BOB")
    venue.advance(0.011)
    assert (changes.types, whole.types) == ("W", "W")
    venue.order(60_000)
    venue.order(60_001)
    venue.advance(0.011)
    assert (changes.types, whole.types) == ("WX", "WW")
    venue.hold(changes)
    venue.hold(whole)


# Readers that are slow.


def test_who_reads_slowly_is_told_nothing_and_then_one_change_to_the_newest(venue: Venue) -> None:
    reader, other = Reader(), Reader()
    venue.subscribe(reader, "012")
    venue.subscribe(other, "012")
    venue.order(59_000)
    reader.left = SLOW + 1
    for price in (59_001, 59_002, 59_003):
        venue.trade(price)
        venue.order(price - 100)
        venue.advance(1.0)
    assert reader.types == "WX" and len(other.told) > 8
    assert venue.service.counts.slow == 1
    reader.left = SLOW
    venue.advance(0.011)
    assert reader.types == "WXX"
    assert reader.told[2].get("20025") == reader.told[1].get("20024")
    assert reader.told[2].get("20024") == other.told[-1].get("20024")
    assert len(reader.book.trades) == 3 and reader.book.trades == other.book.trades
    venue.hold(reader)
    venue.order(58_000)
    assert reader.types == "WXXX" and not reader.ended
    venue.hold(reader)


def test_who_leaves_too_much_unread_for_too_long_is_ended_and_told_why(venue: Venue) -> None:
    reader = Reader()
    venue.subscribe(reader)
    reader.left = SLOW + 1
    venue.order(60_000)
    venue.advance(UNREAD_S)
    assert not reader.ended
    venue.advance(0.011)
    assert reader.ended == UNREAD_TEXT
    assert venue.service.counts.ended_slow == 1
    assert not venue.service.busy
    reader.left = 0
    venue.order(60_001)
    assert reader.types == "W"


def test_who_reads_in_time_has_the_whole_time_again(venue: Venue) -> None:
    reader = Reader()
    venue.subscribe(reader)
    for price in (60_000, 60_001, 60_002):
        reader.left = SLOW + 1
        venue.order(price)
        venue.advance(UNREAD_S - 1)
        reader.left = 0
        venue.advance(0.011)
        venue.hold(reader)
    assert reader.types == "WXXX" and not reader.ended


def test_who_misses_trades_that_are_kept_no_more_is_ended_and_told_why(venue: Venue) -> None:
    reader, other = Reader(), Reader()
    feed = venue.market.feed(SYMBOL)
    feed.trades = deque(maxlen=2)
    venue.subscribe(reader, "2")
    venue.subscribe(other, "01")
    reader.left = other.left = SLOW + 1
    for price in (60_000, 60_001, 60_002):
        venue.trade(price)
    assert not reader.ended
    venue.order(59_000)
    reader.left = other.left = 0
    venue.advance(0.011)
    assert reader.ended == LOST_TEXT and reader.types == "W"
    assert venue.service.counts.ended_slow == 1
    assert other.types == "WX" and not other.ended
    venue.hold(other)


def test_who_is_behind_what_the_log_of_changes_reaches_is_told_the_whole(venue: Venue) -> None:
    feed = venue.market.feed(SYMBOL)
    feed.book = DepthBook(log_max=3)
    reader = Reader()
    venue.subscribe(reader)
    reader.left = SLOW + 1
    for price in range(60_000, 60_005):
        venue.order(price)
    reader.left = 0
    venue.advance(0.011)
    assert reader.types == "WW"
    venue.hold(reader)
    venue.order(59_000)
    assert reader.types == "WWX"
    venue.hold(reader)


def test_requests_of_who_reads_slowly_wait_until_it_has_read(venue: Venue) -> None:
    reader = Reader()
    reader.left = SLOW + 1
    venue.subscribe(reader)
    venue.ask(reader, "e", f"324=s|263=1|55={SYMBOL}|")
    venue.order(60_000)
    assert not reader.told
    reader.left = 0
    venue.advance(0.011)
    assert reader.types == "Wf"
    venue.hold(reader)


def test_requests_that_wait_are_answered_though_the_engine_is_lost_meanwhile(venue: Venue) -> None:
    reader = Reader()
    venue.subscribe(reader, request_id="old")
    reader.left = SLOW + 1
    venue.subscribe(reader)
    venue.service.lose()
    venue.service.turn()
    told = len(reader.told)
    reader.left = 0
    venue.advance(0.011)
    assert reader.types[told:] == "Y"
    assert (reader.told[-1].get("262"), reader.told[-1].get("58")) == ("r", AWAY_TEXT)
    assert not venue.service.busy


def test_who_has_read_and_asks_at_once_is_told_what_it_missed_all_the_same(venue: Venue) -> None:
    reader = Reader()
    venue.subscribe(reader)
    reader.left = SLOW + 1
    venue.order(60_000)
    reader.left = 0
    venue.ask(reader, "g", "335=d|263=0|")
    assert reader.types == "WhX"
    venue.hold(reader)


def test_halts_and_days_are_told_to_who_reads_slowly_when_it_has_read_as_they_are_then(
    venue: Venue,
) -> None:
    reader = Reader()
    for name in ("s", "ended"):
        venue.ask(reader, "e", f"324={name}|263=1|55={SYMBOL}|")
        venue.ask(reader, "g", f"335={name}|263=1|")
    reader.left = SLOW + 1
    for status in (InstrumentStatus.HALTED, InstrumentStatus.OPEN, InstrumentStatus.HALTED):
        venue.set_status(status)
    venue.desk.now += 86_400_000_000
    venue.advance(1.0)
    assert reader.types == "fhfh"
    reader.left = 0
    venue.ask(reader, "e", f"324=ended|263=2|55={SYMBOL}|")
    told = [(one.msg_type, one.get("324") or one.get("335"), one.get("326"), one.get("325"))
            for one in reader.told[4:]]  # fmt: skip
    assert told == [
        ("f", "s", "2", "Y"), ("h", "s", "", "Y"), ("h", "ended", "", "Y"),
    ]  # fmt: skip


def test_who_asks_and_asks_without_reading_is_ended_and_nothing_of_it_is_kept(
    venue: Venue,
) -> None:
    reader = Reader()
    reader.left = SLOW + 1
    for number in range(REQUESTS_MAX):
        venue.subscribe(reader, request_id=str(number))
    assert not reader.ended
    venue.subscribe(reader)
    assert reader.ended == FLOOD_TEXT
    reader.left = 0
    venue.order(60_000)
    assert not reader.told and not venue.service.busy


# Bounds of what is asked for.


def refused(reader: Reader) -> tuple[str, str]:
    """Why the last request was refused: 281 and 58."""
    assert reader.told[-1].msg_type == "Y"
    return reader.told[-1].get("281"), reader.told[-1].get("58")


def test_of_a_request_with_too_many_symbols_nothing_is_subscribed() -> None:
    venue, reader = Venue(symbols_max=2), Reader()
    venue.subscribe(reader, symbols="BTC-USD ETH-USD ETH-BTC")
    assert reader.types == "Y"
    assert refused(reader) == (
        "2", "NoRelatedSym(146) is 3; one request may name 2 symbols"
    )  # fmt: skip
    assert not venue.service.busy
    venue.order(60_000)
    assert reader.types == "Y"
    venue.subscribe(reader, symbols="BTC-USD ETH-USD")
    assert reader.types == "YWW"


def test_of_a_request_beyond_the_subscriptions_of_a_session_nothing_is_subscribed() -> None:
    venue, reader = Venue(subscriptions_max=3), Reader()
    venue.subscribe(reader, "0", "first", "ETH-USD ETH-BTC")
    venue.subscribe(reader, "01", "r", "BTC-USD ETH-USD")
    assert reader.types == "WWY"
    assert refused(reader) == (
        "2",
        "A session has at most 3 subscriptions, each symbol of a request being one; this one has 2",
    )
    venue.order(60_000)
    assert reader.types == "WWY"
    venue.ask(reader, "V", "262=r|263=2|")
    assert refused(reader) == ("", "MDReqID(262) r is not subscribed")
    venue.subscribe(reader)  # One is left.
    assert reader.types == "WWYYW"
    venue.ask(reader, "g", "335=d|263=1|")
    assert reader.told[-1].msg_type == "j" and reader.told[-1].get("380") == "0"
    venue.ask(reader, "V", "262=first|263=2|")
    venue.ask(reader, "g", "335=d|263=1|")
    assert reader.told[-1].msg_type == "h"


def test_another_session_has_bounds_of_its_own() -> None:
    venue, reader, other = Venue(subscriptions_max=1), Reader(), Reader()
    venue.subscribe(reader)
    venue.subscribe(other)
    venue.order(60_000)
    assert (reader.types, other.types) == ("WX", "WX")
    venue.service.forget(reader)
    venue.order(60_001, 2)
    assert (reader.types, other.types) == ("WX", "WXX")
