"""Market data by FIX with real processes: a stock QuickFIX client, the door, and what may die."""

from __future__ import annotations

import itertools
import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from engine.client import queries
from engine.core.commands import NewOrder, SetInstrumentStatus
from engine.core.types import InstrumentStatus, OrdType, Origin, Side, TimeInForce
from tests.fix.processes import ROOT, Venue, logged_on
from tests.fix.rawfix import Message, RawFix
from tests.support import pace
from tests.support.processes import Process

BOOK = "262={0}|263=1|264=0|265=1|267=2|269=0|269=1|146=1|55=BTC-USD|"


class MarketVenue(Venue):
    """Engine, gateway, history and the market data process."""

    market_data: Process | None = None
    history: Process | None = None

    def start_history(self) -> Process:
        self.history = Process("engine.history.main", self.environment)
        return self.history

    def start_market_data(self) -> Process:
        self.market_data = Process("fix_gateway.market_data.main", self.environment)
        self.market_data.wait_for("ready")
        self.market_data.wait_for("following")
        return self.market_data

    def start(self) -> MarketVenue:
        super().start()
        self.start_history()
        self.start_market_data()
        return self

    def stop(self) -> None:
        for process in (self.market_data, self.history):
            if process is not None and process.popen.poll() is None:
                process.kill()
        super().stop()


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MarketVenue]:
    with MarketVenue(
        tmp_path_factory.mktemp("venue"),
        {r'(comp_id = "CAROL"\n[^\[]*?)\n\n': '\\1\nmarket_data = true\n\n'},
    ) as running:
        yield running.start()


class StockClient:
    """The program ``tests.fix.market_reader``."""

    def __init__(self, venue: Venue, comp_id: str, folder: Path) -> None:
        self.events: list[dict[str, str]] = []
        self._news = threading.Condition()
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "tests.fix.market_reader", str(venue.address[1]), comp_id,
             str(folder)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            if line.startswith("{"):
                with self._news:
                    self.events.append(json.loads(line))
                    self._news.notify_all()

    def send(self, body: str) -> None:
        assert self.popen.stdin is not None
        self.popen.stdin.write(f"{body}\n")
        self.popen.stdin.flush()

    def until(self, holds: Callable[[], bool], timeout: float = 20.0) -> None:
        with self._news:
            came = self._news.wait_for(holds, pace.seconds(timeout))
        assert came, self.events

    def count(self, event: str) -> int:
        return sum(one["event"] == event for one in self.events)

    def app(self) -> list[Message]:
        return [
            Message(one["text"].replace("|", "\x01").encode()) for one in self.events
            if one["event"] == "app"
        ]  # fmt: skip

    def close(self) -> None:
        self.popen.kill()
        self.popen.wait()


@pytest.fixture
def stock(venue: MarketVenue, tmp_path: Path) -> Iterator[StockClient]:
    client = StockClient(venue, "ALICE-MD", tmp_path)
    client.until(lambda: client.count("logon") > 0)
    yield client
    client.close()


def groups(message: Message) -> list[dict[str, str]]:
    """The entries of a W or X, whose first tag is 269 or 279."""
    first = "279" if message["35"] == "X" else "269"
    entries: list[dict[str, str]] = []
    for field in message.text.partition("\x01268=")[2].split("\x01")[1:]:
        tag, _, value = field.partition("=")
        if tag == first:
            entries.append({})
        if tag in ("20001", "10"):
            break
        entries[-1][tag] = value
    return entries


class Book:
    """A book as a client makes it of what it is told; it notices a message that is missing."""

    def __init__(self) -> None:
        self.sides: dict[str, dict[str, tuple[str, str]]] = {"0": {}, "1": {}}
        self.seq = 0
        self.as_of = 0

    def take(self, message: Message) -> None:
        if message["35"] == "W":
            self.sides = {"0": {}, "1": {}}
        else:
            assert int(message["20025"]) == self.seq
        self.seq, self.as_of = int(message["20024"]), int(message["20001"])
        for entry in groups(message):
            if entry["269"] not in self.sides:
                continue
            side = self.sides[entry["269"]]
            if entry.get("279") == "2":
                del side[entry["270"]]
            else:
                side[entry["270"]] = entry["271"], entry["346"]


def engine_book(venue: Venue) -> dict[str, dict[str, tuple[str, str]]]:
    """What GET /v1/books/BTC-USD is made of."""
    client = venue.client()
    instruments = {one.symbol: one for one in client.fetch(queries.Instruments()).value}
    one = instruments["BTC-USD"]
    row = client.fetch(queries.Book("BTC-USD", 1_000)).value
    assert row is not None

    def shown(levels: Any) -> dict[str, tuple[str, str]]:
        return {
            one.price_text(each.price): (one.quantity_text(each.qty), str(each.orders))
            for each in levels
        }

    return {"0": shown(row.bids), "1": shown(row.asks)}


def test_a_stock_client_rebuilds_the_book_and_refuses_nothing(
    venue: MarketVenue, stock: StockClient
) -> None:
    stock.send(f"35=V|{BOOK.format('whole')}")
    stock.until(lambda: any(m["35"] == "W" for m in stock.app()))
    bob = logged_on(venue, "BOB", reset=True)
    chance = random.Random(19)
    for number in range(60):
        price = 100 + chance.randrange(-4, 5)
        bob.order(f"o{number}", 1 + chance.randrange(2), f"0.0{chance.randrange(1, 9)}", str(price))
    bob.order("last", 1, "0.01", "50")
    deadline = time.monotonic() + pace.seconds(20)
    while bob.receive(deadline - time.monotonic()).get("11") != "last":
        pass
    last = max(int(m["20001"]) for m in bob.received if "20001" in m)
    stock.until(lambda: any(int(m.get("20024", "0")) >= last for m in stock.app()))
    book = Book()
    for message in stock.app():
        if message.get("262") == "whole":
            book.take(message)
    assert book.sides == engine_book(venue)
    assert book.seq == last
    assert stock.count("refuses") == 0
    stock.send("35=V|262=whole|263=2|264=0|267=1|269=0|146=1|55=BTC-USD|")
    stock.send("35=V|262=whole|263=2|264=0|267=1|269=0|146=1|55=BTC-USD|")
    stock.until(lambda: any(m["35"] == "Y" for m in stock.app()))
    (said,) = [m for m in stock.app() if m["35"] == "Y"]
    assert said["58"] == "MDReqID(262) whole is not subscribed"
    bob.send("q", f"11=all|530=7|60={bob.received[-1]['52']}|")
    bob.close()


def test_a_stock_client_accepts_the_list_of_instruments_and_reads_all_of_it(
    venue: MarketVenue, stock: StockClient
) -> None:
    stock.send("35=x|320=list|559=4|")
    stock.until(lambda: any(m["35"] == "y" for m in stock.app()) or stock.count("refuses") > 0)
    assert stock.count("refuses") == 0
    (listed,) = [m for m in stock.app() if m["35"] == "y"]
    assert (listed["320"], listed["560"], listed["393"]) == ("list", "0", "3")
    found = securities(listed)
    # An order session gets the same in fields of its own.
    with logged_on(venue, "CERT", reset=True) as other:
        other.send("x", "320=list|559=4|")
        expected = securities(other.expect("y"))
        other.logout()
    assert found == expected
    assert {"15", "326", "561", "562", "969", "1140", "1149", "20021"} <= found["BTC-USD"].keys()


def securities(message: Message) -> dict[str, dict[str, str]]:
    """The fields of each instrument of a y; those that stand as attributes as well."""
    found: dict[str, dict[str, str]] = {}
    row: dict[str, str] = {}
    for field in message.text.partition("\x01146=")[2].split("\x01")[1:]:
        tag, _, value = field.partition("=")
        if tag == "55":
            row = found[value] = {}
        elif tag in ("20001", "10"):
            break
        elif tag == "872":
            name, _, text = value.partition("=")
            row[name] = text
        elif tag not in ("870", "871"):
            row[tag] = value
    return found


def test_the_state_of_the_market_and_its_end_is_told(
    venue: MarketVenue, stock: StockClient
) -> None:
    stock.send("35=e|324=halts|263=1|55=BTC-USD|")
    stock.send("35=g|335=days|263=1|")
    stock.until(lambda: {"f", "h"} <= {m["35"] for m in stock.app()})
    operator = Origin("operator:test", user="operator")
    for status in (InstrumentStatus.HALTED, InstrumentStatus.OPEN):
        venue.client().submit(SetInstrumentStatus(operator, "BTC-USD", status, "test"))
    stock.until(lambda: sum(m["35"] == "f" for m in stock.app()) == 3)
    told = [(m["324"], m["325"], m["326"]) for m in stock.app() if m["35"] == "f"]
    assert told == [("halts", "N", "17"), ("halts", "Y", "2"), ("halts", "Y", "17")]
    (day,) = [m for m in stock.app() if m["35"] == "h"]
    assert (day["335"], day["336"], day["340"]) == ("days", "DAY", "2")
    assert stock.count("refuses") == 0


FAULTS = [
    ("262=f|263=9|264=0|267=1|269=0|146=1|55=BTC-USD|", "4"),
    ("262=f|263=1|264=1001|265=1|267=1|269=0|146=1|55=BTC-USD|", "5"),
    ("262=f|263=1|264=x|265=1|267=1|269=0|146=1|55=BTC-USD|", "5"),
    ("262=f|263=1|264=0|267=1|269=0|146=1|55=BTC-USD|", "6"),
    ("262=f|263=1|264=0|265=2|267=1|269=0|146=1|55=BTC-USD|", "6"),
    ("262=f|263=1|264=0|265=1|266=X|267=1|269=0|146=1|55=BTC-USD|", "7"),
    ("262=f|263=1|264=0|265=1|267=1|269=Z|146=1|55=BTC-USD|", "8"),
    ("262=f|263=1|264=0|265=1|267=1|269=0|146=2|55=BTC-USD|55=NO-SUCH|", "0"),
    (BOOK.format("taken"), "1"),
    (BOOK.format("again"), "1"),
]


@pytest.fixture
def raw(venue: MarketVenue) -> Iterator[RawFix]:
    client = RawFix(venue.address, "BOB-MD")
    client.send("A", "98=0|108=30|553=bob|554=bob-demo|")
    assert client.expect("A")["141"] == "Y"
    yield client
    client.logout()


def test_each_fault_has_its_reason_and_orders_are_not_for_it(raw: RawFix) -> None:
    raw.send("V", BOOK.format("taken"))
    assert raw.expect("W")["262"] == "taken"
    for fields, reason in FAULTS:
        raw.send("V", fields)
        said = raw.expect("Y")
        assert said["281"] == reason, said
    for msg_type, fields in (
        ("D", raw.order_fields("no")), ("AF", "584=s|585=7|"), ("BB", "909=b|"),
    ):  # fmt: skip
        raw.send(msg_type, fields)
        said = raw.expect("j")
        assert (said["372"], said["380"]) == (msg_type, "6"), said
    raw.send("x", "320=list|559=4|")
    assert raw.expect("y")["393"] == "3"
    raw.send("R", "131=q|146=1|55=BTC-USD|")
    assert raw.expect("j")["380"] == "3"
    raw.send("2", "7=1|16=0|")
    assert raw.expect("4")["123"] == "Y"
    raw.send("A", "98=0|108=30|553=bob|554=bob-demo|")
    assert "within a session" in raw.expect("3")["58"]
    assert "within a session" in raw.expect("5")["58"]


def test_numbers_begin_at_1_whatever_the_logon_says_and_one_connection_is_enough(
    venue: MarketVenue,
) -> None:
    first = RawFix(venue.address, "CAROL-MD", num=7)
    first.send("A", "98=0|108=30|553=carol|554=carol-demo|")
    answer = first.expect("A")
    assert (answer["34"], answer["141"]) == ("1", "Y")
    second = RawFix(venue.address, "CAROL-MD")
    second.send("A", "98=0|108=30|553=carol|554=carol-demo|")
    assert second.closed() == b""
    first.num = 2
    first.send("V", BOOK.format("r"))
    assert first.expect("W")["34"] == "2"
    first.close()  # Without a Logout: the next Logon comes at once.
    third = RawFix(venue.address, "CAROL-MD")
    third.send("A", "98=0|108=30|141=Y|553=carol|554=carol-demo|")
    assert third.expect("A")["34"] == "1"
    third.send("V", BOOK.format("r"))
    assert third.expect("W")["262"] == "r"
    third.logout()
    wrong = RawFix(venue.address, "CAROL-MD")
    wrong.send("A", "98=0|108=30|20003=1|553=carol|554=carol-demo|")
    assert "not allowed on a market data session" in wrong.expect("5")["58"]
    stranger = RawFix(venue.address, "CAROL-MD")
    stranger.send("A", "98=0|108=30|553=carol|554=wrong|")
    assert stranger.closed() == b""


def test_what_is_asked_for_again_comes_however_much_market_data_goes_out(
    venue: MarketVenue,
) -> None:
    """What is not stored must not have QuickFIX take a report for one that was not."""
    carol = logged_on(venue, "CAROL", reset=True)
    carol.send("V", BOOK.format("c"))
    carol.order("resent", 1, "0.01", "40")
    number = carol.collect(1)[0]["34"]
    ended = threading.Event()
    with closing(venue.client()) as desk:

        def churn() -> None:
            for order in itertools.count():
                if ended.is_set():
                    return
                desk.submit(
                    NewOrder(
                        Origin("api:bob"), "bob", f"churn-{order}", "BTC-USD", Side.BUY,
                        OrdType.LIMIT, TimeInForce.GTC, 1000, price=1000 + order % 50,
                    )
                )  # fmt: skip

        with ThreadPoolExecutor(1) as threads:
            churning = threads.submit(churn)
            try:
                for _ in range(300):
                    carol.send("2", f"7={number}|16={number}|")
                    while (again := carol.receive())["35"] not in ("8", "4"):
                        pass
                    assert (again["35"], again["34"], again["43"]) == ("8", number, "Y")
            finally:
                ended.set()
            churning.result()

    carol.logout()


def test_an_order_session_reads_the_market_where_it_may_and_nothing_of_it_is_stored(
    venue: MarketVenue,
) -> None:
    bob = logged_on(venue, "BOB", reset=True)
    bob.send("V", BOOK.format("b"))
    said = bob.expect("Y")
    assert said["281"] == "3" and "market_data" in said["58"]
    bob.send("e", "324=e|263=0|55=BTC-USD|")
    assert bob.expect("j")["380"] == "6"
    carol = logged_on(venue, "CAROL", reset=True)
    carol.send("V", BOOK.format("c"))
    begin = carol.expect("W")
    bob.order("tell", 1, "0.01", "42")
    update = carol.expect("X")
    assert int(update["34"]) == int(begin["34"]) + 1
    carol.order("own", 1, "0.01", "41")
    report = carol.collect(1)[0]
    assert report["11"] == "own"
    carol.send("2", "7=2|16=0|")
    fill = carol.collect(1, "4")[0]
    assert (fill["34"], fill["123"]) == ("2", "Y")
    again = carol.collect(1)[0]
    assert (again["11"], again["43"], again["34"]) == ("own", "Y", report["34"])
    assert fill["36"] <= report["34"]
    assert venue.gateway is not None
    carol.logout()
    venue.gateway.wait_for("market_data_ends")
    for client, name in ((bob, "tell"), (logged_on(venue, "CAROL", reset=True), "own")):
        client.send("F", f"11=x-{name}|41={name}|55=BTC-USD|54=1|60={begin['52']}|")
        while client.expect("8")["150"] != "4":
            pass
        client.close()


def test_the_process_and_the_engine_may_die_and_the_client_gets_on_again(
    tmp_path: Path,
) -> None:
    with MarketVenue(tmp_path) as venue:
        venue.start()
        reader = RawFix(venue.address, "ALICE-MD")
        reader.send("A", "98=0|108=30|553=alice|554=alice-demo|")
        reader.expect("A")
        reader.send("V", BOOK.format("r"))
        reader.send("e", "324=e|263=1|55=BTC-USD|")
        reader.expect("W")
        reader.expect("f")
        assert venue.engine is not None and venue.market_data is not None
        venue.engine.kill()
        assert "has ended" in reader.expect("Y")["58"]
        assert reader.expect("j")["380"] == "4"
        reader.send("V", BOOK.format("r"))
        assert "not available" in reader.expect("Y")["58"]
        since = len(venue.market_data.lines)
        venue.start_engine()
        venue.market_data.wait_for("following", since=since)
        reader.send("V", BOOK.format("r"))
        assert reader.expect("W")["262"] == "r"
        venue.market_data.kill()
        assert reader.closed() == b""
        told = RawFix(venue.address, "ALICE-MD")
        told.send("A", "98=0|108=30|553=alice|554=alice-demo|")
        assert "not available" in told.expect("5")["58"]
        venue.start_market_data()
        back = RawFix(venue.address, "ALICE-MD")
        back.send("A", "98=0|108=30|553=alice|554=alice-demo|")
        assert back.expect("A")["34"] == "1"
        back.send("V", BOOK.format("r"))
        assert back.expect("W")["262"] == "r"
        assert venue.gateway is not None
        venue.gateway.kill()  # The connection is not the gateway's any more.
        back.send("1", "112=alive|")
        assert back.expect("0")["112"] == "alive"
        assert venue.market_data is not None
        venue.market_data.popen.terminate()
        assert "stopping" in back.expect("5")["58"]
        back.send("5")
        assert venue.market_data.wait() == 0
