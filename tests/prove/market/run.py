"""A venue under orders, and clients of market data that come and go."""

from __future__ import annotations

import random
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import requests

from config.control import ask, socket_path
from engine.client import EngineClient, queries
from engine.core.commands import Tick
from engine.core.types import Origin
from engine.wire import Transaction
from fix_gateway.codec.market_data_requests import ENTRY_TYPES
from tests.prove.market.check import Asked, Checked, Sample, Told, check, sort_out
from tests.prove.market.client import StockClient
from tests.prove.market.flow import SYMBOLS, OrderFlow
from tests.prove.venue import Venue
from tests.support import pace
from tests.support.market_reader import ReaderFault
from tests.support.waiting import until

BURST: Final = 8
SLOW_COUNT: Final = "tandem_market_data_slow_total"
PAUSE_EVERY: Final = 200
FILLING: Final = 80
"""Bursts before anybody subscribes, so that books are deep by then."""
ALIVE_MAX: Final = 12
"""Subscriptions of one client at a time; each is one of up to three symbols."""
CONFLATED: Final = {"MD-10": 10, "MD-100": 100}
HOSTED: Final = "CAROL"
"""An order session that may read the market: the gateway serves it, not the process of its own."""
CLIENTS: Final = ("ALICE-MD", "BOB-MD", "CAROL-MD", *CONFLATED, HOSTED)
SLOW: Final = "BOB-MD"
ALWAYS: Final = "CAROL-MD"
"""One client reads every book from beginning to end."""
RECEIVE_BYTES: Final = 16_384
"""What the kernel takes for the client that is slow, so that the venue sees it early."""
DEPTHS: Final = (0, 0, 1, 2, 5, 10, 37, 1000)
KINDS: Final = ("01", "01", "01", "0", "1", "012", "2", "012B", "01478B", "478B", "2B")
SESSION: Final = """
[[sessions]]
comp_id = "{name}"
account = "alice"
username = "alice"
password_hash = "{password_hash}"
kind = "market_data"
conflation_ms = {conflation_ms}
"""


@dataclass(slots=True)
class Reading:
    """A client and what it has asked for."""

    client: StockClient
    asked: dict[str, Asked] = field(default_factory=dict)
    alive: list[str] = field(default_factory=list)


class Followed:
    """Every transaction, as the engine publishes it."""

    def __init__(self, client: EngineClient) -> None:
        self.transactions: list[Transaction] = []
        self._news = threading.Condition()
        client.subscribe(1, self._take)

    def _take(self, batch: list[Transaction]) -> None:
        with self._news:
            self.transactions += batch
            self._news.notify_all()

    def await_seq(self, seq: int) -> None:
        """Wait for a transaction. Raises AssertionError."""
        with self._news:
            there = self._news.wait_for(
                lambda: self.transactions and self.transactions[-1].seq >= seq, pace.seconds(30)
            )
        assert there, f"transaction {seq} was not published"


@dataclass(slots=True)
class Record:
    """What happened: transactions, and what each client asked for and was told."""

    transactions: list[Transaction]
    received: dict[str, list[str]]
    asked: dict[str, dict[str, Asked]]
    samples: list[Sample]
    trades: dict[str, list[str]]
    """The ids of each instrument's trades, as GET /v1/trades lists them."""
    faults: list[str]
    slow: int
    """Times that the venue found a client to leave too much unread."""
    day_roll_us: int

    def check(self) -> Checked:
        """Hold everything to an exchange that does the transactions again."""
        told: list[Told] = []
        faults = list(self.faults)
        for client, texts in self.received.items():
            try:
                told += sort_out(client, texts, self.asked[client])
            except ReaderFault as error:
                faults.append(str(error))
            faults += [
                f"{client} is refused: {text!r}"
                for text in texts
                if "\x0135=Y\x01" in text or "\x0135=j\x01" in text
            ]
        checked = check(self.transactions, told, self.samples, self.day_roll_us)
        for each in told:
            if each.asked.kind == "1" and not each.asked.ended and "2" in each.asked.kinds:
                ids = [trade["id"] for trade in each.rebuilt.trades]
                if ids and ids != self.trades[each.symbol][-len(ids) :]:
                    checked.wrong(f"{each.client}: trades of {each.symbol} differ from REST")
        for fault in faults:
            checked.wrong(fault)
        return checked


def record(
    seed: int, subscriptions: int, bursts: int, say: Callable[[str], None] = lambda text: None
) -> Record:
    """Play ``bursts`` of orders, and ``subscriptions`` at random moments of them."""
    with tempfile.TemporaryDirectory(prefix="tandem-market-") as folder:
        order_session = f'comp_id = "{HOSTED}"\naccount = "carol"\n'
        venue = Venue(Path(folder), {order_session: f"{order_session}market_data = true\n"})
        _add_sessions(venue)
        try:
            # The days are known where the history is there first; else a second later.
            venue.start_all("engine", "history")
            venue.start_all("fix", "marketdata", "api")
            return _Run(venue, seed, subscriptions, bursts, say).play()
        finally:
            venue.kill_all()


def _add_sessions(venue: Venue) -> None:
    settings = venue.settings
    alice = next(one for one in settings.sessions if one.comp_id == "ALICE-MD")
    more = "".join(
        SESSION.format(name=name, password_hash=alice.password_hash, conflation_ms=ms)
        for name, ms in CONFLATED.items()
    )
    with venue.config.open("a", encoding="utf-8") as file:
        file.write(more)


class _Run:
    def __init__(
        self, venue: Venue, seed: int, subscriptions: int, bursts: int, say: Callable[[str], None]
    ) -> None:
        self._venue = venue
        self._pick = random.Random(f"market run {seed}")
        self._flow = OrderFlow(seed)
        self._subscriptions, self._bursts, self._say = subscriptions, bursts, say
        self._engine = venue.client()
        self._orders = venue.client("orders")
        self._samples: list[Sample] = []
        self._readings: list[Reading] = []
        self._asked = 0

    def play(self) -> Record:
        day_roll_us = self._venue.settings.venue.day_roll_us
        followed = Followed(self._engine)
        try:
            for name in CLIENTS:
                firm = "alice" if name in CONFLATED else name.split("-")[0].lower()
                client = StockClient(
                    self._venue.fix[1], name, firm, f"{firm}-demo",
                    receive_bytes=RECEIVE_BYTES if name == SLOW else 0,
                )  # fmt: skip
                self._readings.append(Reading(client.start()))
            self._trade()
            last = self._finish()
            followed.await_seq(last)
            faults = [
                f"{one.client.comp_id}: {fault}"
                for one in self._readings
                for fault in one.client.faults
            ]
            rest = self._trades_over_rest()
            slow = self._count(SLOW_COUNT)
        finally:
            for one in self._readings:
                one.client.stop()
            self._engine.close()
            self._orders.close()
        return Record(
            followed.transactions,
            {one.client.comp_id: one.client.received for one in self._readings},
            {one.client.comp_id: one.asked for one in self._readings},
            self._samples, rest, faults, slow, day_roll_us,
        )  # fmt: skip

    # Orders and subscriptions.

    def _trade(self) -> None:
        for _ in range(FILLING):
            self._orders.post(self._flow.burst(BURST))
        self._barrier()
        self._weigh_down()
        always = Asked("always", SYMBOLS, "012", "1", 0, True, True)
        self._send(next(one for one in self._readings if one.client.comp_id == ALWAYS), always)
        every = self._bursts / max(1, self._subscriptions)
        due = 0.0
        for number in range(self._bursts):
            self._orders.post(self._flow.burst(self._pick.randrange(1, BURST)))
            if self._pick.random() < 0.8:
                self._barrier()
            while due <= number and self._asked < self._subscriptions:
                due += every
                self._ask()
            if self._pick.random() < 0.05:
                self._sample()
            self._slow(number)
            self._for_certain(number)
            self._say(f"{number + 1:,} of {self._bursts:,} bursts, {self._asked:,} subscriptions")
        self._orders.post(self._flow.resume())
        self._be_slow_once()

    def _for_certain(self, number: int) -> None:
        """Have an empty book, and cancels in a halt, whatever chance brings."""
        if number == self._bursts // 4:
            self._orders.post(self._flow.empty(SYMBOLS[2]))
            self._barrier()
        elif number == self._bursts // 3:
            self._orders.post([*self._flow.halt(SYMBOLS[1]), *self._flow.empty(SYMBOLS[1])])
        elif number == self._bursts // 2:
            self._orders.post(self._flow.resume())

    def _be_slow_once(self) -> None:
        """Trade on until the slow client is too slow, if it was not yet."""
        def too_slow() -> int:
            self._orders.post(self._flow.burst(BURST))
            self._barrier()
            return self._count(SLOW_COUNT)

        self._slow_one.client.pause()
        until(too_slow, "nobody is found to be too slow")
        self._slow_one.client.go_on()

    def _barrier(self) -> int:
        """A command of no effect, and its sequence once it is done."""
        return self._orders.submit(Tick(Origin("engine"))).transaction.seq

    def _ask(self) -> None:
        pick, reading = self._pick, self._pick.choice(self._readings)
        if len(reading.alive) >= ALIVE_MAX or (reading.alive and pick.random() < 0.3):
            name = reading.alive.pop(pick.randrange(len(reading.alive)))
            reading.asked[name].ended = True
            reading.client.unsubscribe(name)
        self._asked += 1
        kinds, kind = pick.choice(KINDS), pick.choice("01111")
        assert set(kinds) <= set(ENTRY_TYPES)
        asked = Asked(
            f"q{self._asked}", tuple(pick.sample(SYMBOLS, pick.randint(1, len(SYMBOLS)))), kinds,
            kind, pick.choice(DEPTHS), pick.random() < 0.85, pick.random() < 0.75,
        )  # fmt: skip
        if asked.kind == "1" and not self._is_new(reading, asked):
            return
        self._send(reading, asked)
        if kind == "1":
            reading.alive.append(asked.request_id)

    @staticmethod
    def _send(reading: Reading, asked: Asked) -> None:
        reading.asked[asked.request_id] = asked
        reading.client.subscribe(
            asked.request_id, asked.symbols, asked.kinds, kind=asked.kind, depth=asked.depth,
            incremental=asked.incremental, aggregated=asked.aggregated,
        )  # fmt: skip

    @staticmethod
    def _is_new(reading: Reading, asked: Asked) -> bool:
        """The same of a symbol may be subscribed once; without the book its depth says nothing."""

        def thing(one: Asked) -> tuple[object, ...]:
            book = bool(set(one.kinds) & {"0", "1"})
            return one.kinds, one.incremental, book and one.depth, book and one.aggregated

        others = (one for one in reading.asked.values() if one.kind == "1" and not one.ended)
        return not any(
            thing(one) == thing(asked) and set(one.symbols) & set(asked.symbols) for one in others
        )

    def _slow(self, number: int) -> None:
        """One client reads nothing for long, again and again."""
        client = self._slow_one.client
        if number % PAUSE_EVERY == PAUSE_EVERY // 10:
            client.pause()
        elif number % PAUSE_EVERY == PAUSE_EVERY * 9 // 10:
            client.go_on()

    @property
    def _slow_one(self) -> Reading:
        return next(one for one in self._readings if one.client.comp_id == SLOW)

    def _weigh_down(self) -> None:
        """Let the slow client have much to read: whole books at each change."""
        for name, aggregated in (("levels", True), ("orders", False)):
            asked = Asked(name, SYMBOLS, "012", "1", 0, False, aggregated)
            self._send(self._slow_one, asked)

    def _sample(self) -> None:
        """Take a book from the engine, or over REST, with its sequence."""
        pick = self._pick
        symbol, depth = pick.choice(SYMBOLS), pick.choice((1, 10, 1000))
        if pick.random() < 0.5:
            url = f"{self._venue.url}/v1/books/{symbol}?depth={depth}"
            document = requests.get(url, timeout=pace.seconds(10)).json()
            bids, asks = (
                [(row["price"], row["quantity"], row["orders"]) for row in document[side]]
                for side in ("bids", "asks")
            )
            self._samples.append(
                Sample(symbol, document["as_of_seq"], bids, asks, depth, "GET /v1/books")
            )
            return
        one = next(
            one for one in self._engine.fetch(queries.Instruments()).value if one.symbol == symbol
        )
        answered = self._engine.fetch(queries.Book(symbol, depth))
        assert answered.value is not None
        sides = (
            [(one.price_text(row.price), one.quantity_text(row.qty), row.orders) for row in rows]
            for rows in (answered.value.bids, answered.value.asks)
        )
        self._samples.append(Sample(symbol, answered.as_of_seq, *sides, depth, "queries.Book"))

    def _finish(self) -> int:
        """Wait until every client was told everything; the last transaction's sequence."""
        last = self._barrier()
        for one in self._readings:
            one.client.go_on()
        for turn in range(2):
            for one in self._readings:
                name = f"end{turn}"
                one.asked[name] = Asked(name, (SYMBOLS[0],), "01", "0", 0, True, True)

                def caught_up(one: Reading = one, name: str = name) -> bool:
                    return int(one.client.snapshot(name, SYMBOLS[0]).get("20001")) >= last

                until(caught_up, f"{one.client.comp_id} does not reach {last}")
            # What is gathered is told before a snapshot that is asked for after its interval.
            time.sleep(max(CONFLATED.values()) / 1000 * 1.5)
        return last

    def _count(self, name: str) -> int:
        """A counter of the market data process."""
        text = ask(socket_path(self._venue.data, "marketdata"), "metrics")
        return next(
            int(float(value))
            for known, _, value in (line.partition(" ") for line in text.splitlines())
            if known == name
        )

    def _trades_over_rest(self) -> dict[str, list[str]]:
        """Every trade's id of each instrument, oldest first."""
        found: dict[str, list[str]] = {}
        for symbol in SYMBOLS:
            rows: list[str] = []
            while len(rows) % 1000 == 0:
                answer = requests.get(
                    f"{self._venue.url}/v1/trades",
                    params={
                        "symbol": symbol, "limit": "1000",
                        "after_trade_id": rows[-1] if rows else "0",
                    },
                    timeout=pace.seconds(30),
                )  # fmt: skip
                assert answer.ok, answer.text
                page = [str(row["trade_id"]) for row in answer.json()["trades"]]
                rows += page
                if not page:
                    break
            found[symbol] = rows
        return found


