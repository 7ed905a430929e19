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
from collections.abc import Callable, Container, Iterable
from typing import Final, NamedTuple

import structlog

from engine.client import Transaction
from engine.core.events import InstrumentStatusChanged
from engine.core.instruments import Instrument
from engine.market_data.day import day_of, start_of
from engine.market_data.market import Feed
from fix_gateway.codec import market_data as render
from fix_gateway.codec.market_data_requests import Bounds, MarketRequestError, read
from fix_gateway.codec.responses import Response, SharedResponse
from fix_gateway.market_data.desk import Desk, DeskBounds
from fix_gateway.market_data.metrics import MarketDataCounts
from fix_gateway.market_data.receiver import Reader, Receiver
from fix_gateway.market_data.seeding import Past, Seed
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


class _Every(Container[str]):
    """Holds everything."""

    def __contains__(self, _: object) -> bool:
        return True


_EVERY: Final = _Every()


class ServiceBounds(NamedTuple):
    """How slow a session may be.

    One that leaves more than ``slow_bytes`` unread is told nothing until it has read, and then
    the newest; one that does so for ``unread_s_max`` is ended.
    """

    slow_bytes: int = 1 << 16
    unread_s_max: float = 30.0


class MarketDataService:
    """Serves receivers. ``clock`` gives microseconds since 1970, ``day_roll_us`` is the venue's.

    ``monotonic`` gives the seconds by which intervals and slow sessions are measured.
    """

    def __init__(
        self,
        bounds: ServiceBounds,
        desk_bounds: DeskBounds,
        request_bounds: Bounds,
        clock: Callable[[], int],
        day_roll_us: int,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bounds = bounds
        self._monotonic = monotonic
        self._request_bounds = request_bounds
        self._clock = clock
        self._day_roll_us = day_roll_us
        self._desk = Desk(desk_bounds, clock, day_roll_us)
        self.counts = MarketDataCounts()
        self._coming: Seed | None = None
        self._expected = False
        self._readers: dict[Receiver, Reader] = {}
        self._queued: dict[Receiver, int] = {}
        self._due: dict[int, tuple[float, set[Reader]]] = {}
        self._slow: set[Reader] = set()
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

    def expect(self) -> None:
        """Let requests wait, as a market is being read."""
        self._offer(self._expect)

    def begin(self, seed: Seed) -> None:
        """Take a market to go on from; it is shown as soon as it is whole."""
        self._offer(lambda: self._begin(seed))

    def lose(self) -> None:
        """End every subscription, as the engine is away, and say so."""
        self._offer(self._lose)

    def learn(self, past: Past) -> None:
        """Take in what the history says of days that are not known yet."""
        self._offer(lambda: self._learn(past))

    def take(self, batch: list[Transaction]) -> None:
        """Take transactions in; wait where too many are queued."""
        self._room.acquire()
        self._offer(lambda: self._take(batch))

    def request(self, receiver: Receiver, text: str) -> None:
        """Answer a request (V, e or g) of a session that is logged on, or refuse it, in its turn.

        ``text`` is the message as QuickFIX's ``toString`` gives it.
        """
        with self._wakes:
            waiting = self._queued.get(receiver, 0)
            self._queued[receiver] = waiting + 1
        if waiting == REQUESTS_MAX:
            self._offer(lambda: self._end(receiver, FLOOD_TEXT))
        elif waiting < REQUESTS_MAX:
            self._offer(lambda: self._answer(receiver, text))

    def forget(self, receiver: Receiver) -> None:
        """Drop a session that has ended, with its subscriptions."""
        self._offer(lambda: self._forget(receiver))

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
    def busy(self) -> bool:
        """True while a session has a subscription or waits for an answer."""
        return bool(self._readers or self._queued)

    @property
    def days_known(self) -> bool:
        """True if the day's statistics of every instrument are known."""
        market = self._desk.market
        return market is None or all(feed.day is not None for feed in market.feeds.values())

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
            self.turn()

    def turn(self) -> None:
        """Do what waits, and tell what is due; for whoever has not started the thread."""
        with self._wakes:
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
        now = self._monotonic()
        waits += [due - now for due, _ in self._due.values()]
        if self._slow:
            waits.append(SLOW_CHECK_S)
        return max(0.0, min(waits))

    def _stop(self) -> None:
        self._stopping = True

    # The market.

    def _expect(self) -> None:
        self._expected = True

    def _begin(self, seed: Seed) -> None:
        desk = self._desk
        self._expected, self._coming = True, seed
        desk.instruments, desk.as_of_seq = seed.instruments, seed.first_seq - 1
        self._show_if_whole()

    def _show_if_whole(self) -> None:
        """Show a market that has taken in all that some part of it was read after."""
        seed, desk = self._coming, self._desk
        if seed is None or desk.as_of_seq < seed.whole_at:
            return
        market = desk.market = seed.market
        self._coming, self._expected = None, False
        market.take_changed()
        self._answer_held()

    def _learn(self, past: Past) -> None:
        desk = self._desk
        if desk.market is None or past.seq > desk.as_of_seq:
            return  # Trades that the history has already are still to come.
        for symbol, day in past.days.items():
            desk.market.learn(symbol, past.seq, past.time_us, past.trades[symbol], day)

    def _lose(self) -> None:
        self._desk.market = self._coming = None
        self._expected = False
        for reader in list(self._readers.values()):
            self._send_all(reader, self._desk.lost(reader))
        self._answer_held()
        for reader in list(self._readers.values()):
            if reader.idle:  # Others are to be answered when they have read.
                self._drop(reader)

    def _take(self, batch: list[Transaction]) -> None:
        self._room.release()
        desk = self._desk
        market = self._coming.market if self._coming is not None else desk.market
        if market is None:
            return
        for transaction in batch:
            desk.as_of_seq = transaction.seq
            for event in transaction.events:
                market.apply(event, transaction.seq, transaction.time_us)
                if type(event) is InstrumentStatusChanged and self._coming is None:
                    self._tell_status(market.feed(event.symbol))
        if self._coming is not None:
            self._show_if_whole()
            return
        for feed in market.take_changed():
            self._changed(feed)

    def _changed(self, feed: Feed) -> None:
        due = self._due
        for subscription, reader in self._desk.by_symbol.get(feed.symbol, {}).items():
            reader.waiting[subscription] = None
            interval = reader.receiver.conflation_ms
            if interval not in due:
                due[interval] = (self._monotonic() + interval / 1000, set())
            due[interval][1].add(reader)

    def _tell_status(self, feed: Feed) -> None:
        for reader in list(self._readers.values()):
            for request_id, asked in reader.statuses.items():
                if asked.symbol == feed.symbol:
                    reader.news["f", request_id] = None
            self._tell_news(reader)

    def _roll(self) -> None:
        """Begin a day whose time has come, and tell those that asked to be told."""
        market = self._desk.market
        if market is None or not market.roll(self._clock()):
            return
        for feed in market.feeds.values():
            self._changed(feed)
        for reader in list(self._readers.values()):
            reader.news.update(dict.fromkeys(("h", each) for each in reader.trading_sessions))
            self._tell_news(reader)

    def _tell_news(self, reader: Reader) -> None:
        if reader.news and not self._is_slow(reader, self._monotonic()):
            self._send_all(reader, self._desk.news(reader))

    # Requests.

    def _answer(self, receiver: Receiver, text: str) -> None:
        """Answer a request, or hold it while a market is read or the session is to read first."""
        with self._wakes:
            if receiver not in self._queued:
                return  # It has ended since.
        reader = self._readers.get(receiver)
        if reader is None:
            reader = self._readers[receiver] = Reader(receiver)
        reader.held.append(text)
        self._answer_held_of(reader, self._monotonic())

    def _answer_held(self) -> None:
        """Answer what waited for a market."""
        now = self._monotonic()
        for reader in list(self._readers.values()):
            self._answer_held_of(reader, now)

    def _answer_held_of(self, reader: Reader, now: float) -> None:
        while reader.held and not self._expected:
            if self._is_slow(reader, now) or self._readers.get(reader.receiver) is not reader:
                return
            self._answer_one(reader, reader.held.popleft())

    def _answer_one(self, reader: Reader, text: str) -> None:
        receiver = reader.receiver
        with self._wakes:
            left = self._queued.get(receiver, 1) - 1
            if left:
                self._queued[receiver] = left
            else:
                self._queued.pop(receiver, None)
        self.counts.requests += 1
        try:
            query = read(text, self._request_bounds, self._symbols())
            if query is not None:
                self._send_all(reader, self._desk.answer(reader, query))
        except MarketRequestError as error:
            self.counts.rejected += 1
            self._send(reader, render.reject(error))
        if reader.idle:
            self._drop(reader)

    def _symbols(self) -> Container[str]:
        """The symbols that there are; while nobody knows them, every one may be."""
        return self._desk.instruments if self._desk.market is not None else _EVERY

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

    def _tell(self) -> None:
        """Tell every session whose interval is over, and those that have read meanwhile."""
        now = self._monotonic()
        ready: set[Reader] = set()
        for interval, (due, marked) in list(self._due.items()):
            if due <= now:
                ready |= marked
                del self._due[interval]
        ready |= self._slow
        shared: dict[str, Shared] = {}
        for reader in ready:
            self._tell_one(reader, shared, now)

    def _tell_one(self, reader: Reader, shared: dict[str, Shared], now: float) -> None:
        if self._is_slow(reader, now):
            return
        self._slow.discard(reader)
        self._send_all(reader, self._desk.news(reader))
        if reader.held:
            self._answer_held_of(reader, now)
        waiting, reader.waiting = reader.waiting, {}
        # A packet costs the kernel more than a message costs QuickFIX.
        together = len(waiting) > 1
        if together:
            reader.receiver.cork(True)
        try:
            for subscription in waiting:
                symbol = subscription.symbol
                if symbol not in shared:
                    shared[symbol] = self._desk.shared(symbol)
                response = subscription.update(shared[symbol])
                if response is not None and not self._send(reader, response):
                    return
        except TradesLost:
            self.counts.ended_slow += 1
            self._end(reader.receiver, LOST_TEXT)
        finally:
            if together:
                reader.receiver.cork(False)

    def _is_slow(self, reader: Reader, now: float) -> bool:
        """Return True if a session leaves too much unread to be told more; end it in the end.

        Who has been slow stays among the slow until it has been told what it missed.
        """
        if reader.receiver.unread() <= self._bounds.slow_bytes:
            reader.slow_since = 0.0
            return False
        if not reader.slow_since:
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

    def _send(self, reader: Reader, response: Response | SharedResponse) -> bool:
        self.counts.messages += 1
        if reader.receiver.send(response):
            return True
        self._drop(reader)
        return False
