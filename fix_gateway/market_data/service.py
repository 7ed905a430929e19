"""Market data for sessions: one thread that follows the market, answers requests, tells changes.

Everything happens on the service's own thread, one thing after the other, so a snapshot and the
changes after it fit together without a lock. What comes from other threads (transactions,
requests, the end of a session) is queued: ``take`` waits where the service does not keep up, so
that the engine sees a slow subscriber and not a growing queue; everything else returns at once.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

import structlog

from engine.client import Transaction
from engine.core.instruments import Instrument
from engine.market_data.day import day_of, start_of
from engine.market_data.market import Feed, Market
from fix_gateway.codec import market_data as render
from fix_gateway.codec.market_data_requests import MarketQuery, MarketRequestError
from fix_gateway.codec.responses import Response
from fix_gateway.market_data.desk import Desk, DeskBounds
from fix_gateway.market_data.metrics import MarketDataCounts
from fix_gateway.market_data.receiver import Reader, Receiver
from fix_gateway.market_data.views import Shared, TradesLost

log = structlog.get_logger()

BATCHES_MAX: Final = 256
REQUESTS_MAX: Final = 64
"""Requests of one session that may wait; beyond it the session is logged out."""
SLOW_CHECK_S: Final = 0.01
"""No kernel says when a client has read, so who was slow is looked at again this often."""
LOST_TEXT: Final = "Trades that this session was to be told of are gone; read faster"
UNREAD_TEXT: Final = "This session leaves too much unread; read faster"
FLOOD_TEXT: Final = "Too many requests wait to be answered; slow down and log on again"


class ServiceBounds(NamedTuple):
    """How slow a session may be.

    One that leaves more than ``slow_bytes`` unread is told nothing until it has read, and then
    the newest; one that does so for ``unread_s_max`` is ended.
    """

    slow_bytes: int = 1 << 16
    unread_s_max: float = 30.0


class Seed(NamedTuple):
    """The market at ``as_of_seq``, from which transactions go on."""

    market: Market
    instruments: dict[str, Instrument]
    as_of_seq: int


class MarketDataService:
    """Serves receivers. ``clock`` gives microseconds since 1970, ``day_roll_us`` is the venue's."""

    def __init__(
        self,
        bounds: ServiceBounds,
        desk_bounds: DeskBounds,
        clock: Callable[[], int],
        day_roll_us: int,
    ) -> None:
        self._bounds = bounds
        self._clock = clock
        self._day_roll_us = day_roll_us
        self._desk = Desk(desk_bounds, clock, day_roll_us)
        self.counts = MarketDataCounts()
        self._readers: dict[Receiver, Reader] = {}
        self._queued: dict[Receiver, int] = {}
        self._due: dict[int, tuple[float, set[Reader]]] = {}
        self._slow: set[Reader] = set()
        self._status_told: dict[str, int] = {}
        self._work: deque[Callable[[], None]] = deque()
        self._wakes = threading.Condition()
        self._room = threading.BoundedSemaphore(BATCHES_MAX)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="market-data", daemon=True)

    # From other threads.

    def start(self) -> None:
        """Begin to serve; requests are refused until there is a market."""
        self._thread.start()

    def stop(self) -> None:
        """Serve nobody any more."""
        self._offer(self._stop)
        self._thread.join(timeout=5.0)

    def begin(self, seed: Seed) -> None:
        """Take a market to go on from."""
        self._offer(lambda: self._begin(seed))

    def lose(self) -> None:
        """End every subscription, as the engine is away, and say so."""
        self._offer(self._lose)

    def take(self, batch: list[Transaction]) -> None:
        """Take transactions in; wait where too many are queued."""
        self._room.acquire()
        self._offer(lambda: self._take(batch))

    def request(self, receiver: Receiver, query: MarketQuery | MarketRequestError) -> None:
        """Answer a request of a session that is logged on, or refuse it, in its turn."""
        with self._wakes:
            waiting = self._queued.get(receiver, 0)
            self._queued[receiver] = waiting + 1
        if waiting == REQUESTS_MAX:
            self._offer(lambda: self._end(receiver, FLOOD_TEXT))
        elif waiting < REQUESTS_MAX:
            self._offer(lambda: self._answer(receiver, query))

    def forget(self, receiver: Receiver) -> None:
        """Drop a session that has ended, with its subscriptions."""
        self._offer(lambda: self._forget(receiver))

    @property
    def symbols(self) -> frozenset[str]:
        """The instruments that there are; empty before the first market."""
        return frozenset(self._desk.instruments)

    @property
    def instruments(self) -> dict[str, Instrument]:
        """The instruments by symbol, as they are now."""
        return self._desk.instruments

    @property
    def available(self) -> bool:
        """True while there is a market to show."""
        return self._desk.market is not None

    @property
    def position(self) -> int:
        """The transaction up to which the market is known."""
        return self._desk.as_of_seq

    @property
    def readers(self) -> int:
        """How many sessions have subscriptions."""
        return len(self._readers)

    def _offer(self, work: Callable[[], None]) -> None:
        with self._wakes:
            self._work.append(work)
            self._wakes.notify()

    # The thread.

    def _run(self) -> None:
        while not self._stopping:
            with self._wakes:
                if not self._work:
                    self._wakes.wait(self._timeout())
                work, self._work = self._work, deque()
            for one in work:
                self._guarded(one)
            self._guarded(self._roll)
            self._guarded(self._tell)

    @staticmethod
    def _guarded(work: Callable[[], None]) -> None:
        """Do something; an error of ours must not end the service for everybody."""
        try:
            work()
        except Exception:
            log.exception("market_data_failed")

    def _timeout(self) -> float:
        """Return for how many seconds there is nothing to do unless something comes."""
        now_us = self._clock()
        day = day_of(now_us, self._day_roll_us)
        waits = [(start_of(day + 1, self._day_roll_us) - now_us) / 1e6]
        now = time.monotonic()
        waits += [due - now for due, _ in self._due.values()]
        if self._slow:
            waits.append(SLOW_CHECK_S)
        return max(0.0, min(waits))

    def _stop(self) -> None:
        self._stopping = True

    # The market.

    def _begin(self, seed: Seed) -> None:
        desk = self._desk
        desk.market, desk.instruments, desk.as_of_seq = seed
        seed.market.take_changed()
        self._status_told = {feed.symbol: feed.status_seq for feed in seed.market.feeds.values()}

    def _lose(self) -> None:
        self._desk.market = None
        for reader in list(self._readers.values()):
            self._send_all(reader, self._desk.lost(reader))
            self._drop(reader)

    def _take(self, batch: list[Transaction]) -> None:
        self._room.release()
        desk = self._desk
        market = desk.market
        if market is None:
            return
        for transaction in batch:
            desk.as_of_seq = transaction.seq
            for event in transaction.events:
                market.apply(event, transaction.seq, transaction.time_us)
        for feed in market.take_changed():
            self._changed(feed)

    def _changed(self, feed: Feed) -> None:
        for subscription, reader in self._desk.by_symbol.get(feed.symbol, {}).items():
            reader.waiting.add(subscription)
            self._mark(reader)
        if self._status_told.get(feed.symbol, 0) < feed.status_seq:
            self._status_told[feed.symbol] = feed.status_seq
            for reader in list(self._readers.values()):
                for request_id, (_, symbol) in list(reader.statuses.items()):
                    if symbol == feed.symbol:
                        status = self._desk.status(request_id, feed, unsolicited=True)
                        self._send(reader, status)

    def _roll(self) -> None:
        """Begin a day whose time has come, and tell those that asked to be told."""
        market = self._desk.market
        if market is None or not market.roll(self._clock()):
            return
        for feed in market.feeds.values():
            self._changed(feed)
        for reader in list(self._readers.values()):
            for request_id in list(reader.trading_sessions):
                self._send(reader, self._desk.day(request_id, unsolicited=True))

    # Requests.

    def _answer(self, receiver: Receiver, query: MarketQuery | MarketRequestError) -> None:
        with self._wakes:
            left = self._queued.get(receiver, 1) - 1
            if left:
                self._queued[receiver] = left
            else:
                self._queued.pop(receiver, None)
        self.counts.requests += 1
        reader = self._readers.get(receiver)
        if reader is None:
            reader = self._readers[receiver] = Reader(receiver)
        try:
            if isinstance(query, MarketRequestError):
                raise query
            self._send_all(reader, self._desk.answer(reader, query))
        except MarketRequestError as error:
            self.counts.rejected += 1
            self._send(reader, render.reject(error))
        if reader.idle:
            self._drop(reader)

    def _forget(self, receiver: Receiver) -> None:
        with self._wakes:
            self._queued.pop(receiver, None)
        reader = self._readers.get(receiver)
        if reader is not None:
            self._drop(reader)

    def _drop(self, reader: Reader) -> None:
        self._desk.forget(reader)
        self._readers.pop(reader.receiver, None)
        self._slow.discard(reader)
        for _, marked in self._due.values():
            marked.discard(reader)

    def _end(self, receiver: Receiver, reason: str) -> None:
        receiver.end(reason)
        self._forget(receiver)

    # What is to be told.

    def _mark(self, reader: Reader) -> None:
        """Have a session told when its interval is over."""
        interval = reader.receiver.conflation_ms
        if interval not in self._due:
            self._due[interval] = (time.monotonic() + interval / 1000, set())
        self._due[interval][1].add(reader)

    def _tell(self) -> None:
        """Tell every session whose interval is over, and those that have read meanwhile."""
        now = time.monotonic()
        ready: set[Reader] = set()
        for interval, (due, marked) in list(self._due.items()):
            if due <= now:
                ready |= marked
                del self._due[interval]
        ready |= self._slow
        shared: dict[str, Shared] = {}
        for reader in ready:
            if reader.waiting:
                self._tell_one(reader, shared, now)

    def _tell_one(self, reader: Reader, shared: dict[str, Shared], now: float) -> None:
        if self._is_slow(reader, now):
            return
        waiting, reader.waiting = reader.waiting, set()
        for subscription in waiting:
            symbol = subscription.symbol
            try:
                if symbol not in shared:
                    shared[symbol] = self._desk.shared(symbol)
                response = subscription.update(shared[symbol])
            except TradesLost:
                self.counts.ended_slow += 1
                self._end(reader.receiver, LOST_TEXT)
                return
            if response is not None and not self._send(reader, response):
                return

    def _is_slow(self, reader: Reader, now: float) -> bool:
        """Return True if a session leaves too much unread to be told more; end it in the end."""
        if reader.receiver.unread() <= self._bounds.slow_bytes:
            reader.slow_since = 0.0
            self._slow.discard(reader)
            return False
        if reader not in self._slow:
            self.counts.slow += 1
            self._slow.add(reader)
            reader.slow_since = now
        elif now - reader.slow_since > self._bounds.unread_s_max:
            self.counts.ended_slow += 1
            self._end(reader.receiver, UNREAD_TEXT)
        return True

    def _send_all(self, reader: Reader, responses: Iterable[Response]) -> None:
        for response in responses:
            if not self._send(reader, response):
                return

    def _send(self, reader: Reader, response: Response) -> bool:
        self.counts.messages += 1
        if reader.receiver.send(response):
            return True
        self._drop(reader)
        return False
