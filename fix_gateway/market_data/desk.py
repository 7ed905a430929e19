"""Requests of sessions: what is subscribed, what is refused, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from engine.core.instruments import Instrument
from engine.market_data.day import day_of, start_of
from engine.market_data.market import Feed, Market
from fix_gateway.codec import market_data as render
from fix_gateway.codec.formatting import texts_of
from fix_gateway.codec.market_data_requests import (
    DUPLICATE_ID,
    END,
    SUBSCRIBE,
    TOO_MUCH,
    MarketDataQuery,
    MarketQuery,
    MarketRequestError,
    SecurityStatusQuery,
    TradingSessionQuery,
)
from fix_gateway.codec.responses import Response
from fix_gateway.market_data.receiver import Asked, Reader
from fix_gateway.market_data.views import Shared, Subscription, View

NOT_AVAILABLE: Final = "4"
"""BusinessRejectReason(380): application not available."""
AWAY_TEXT: Final = "Market data is not available at the moment; ask again"
ENDED_TEXT: Final = "The matching engine is away, so this subscription has ended; subscribe again"
MSG_TYPES: Final[Mapping[type, str]] = {
    MarketDataQuery: "V", SecurityStatusQuery: "e", TradingSessionQuery: "g",
}  # fmt: skip


class DeskBounds(NamedTuple):
    """What one session may have subscribed, and how many past trades one request gives."""

    subscriptions_max: int = 256
    recent_trades_max: int = 50


class Desk:
    """Answers requests from the market; ``by_symbol`` says who must hear of an instrument."""

    def __init__(
        self, bounds: DeskBounds, clock: Callable[[], int], day_roll_us: int
    ) -> None:
        self._bounds = bounds
        self._clock = clock
        self._day_roll_us = day_roll_us
        self.market: Market | None = None
        self.instruments: dict[str, Instrument] = {}
        self.as_of_seq = 0
        self.by_symbol: dict[str, dict[Subscription, Reader]] = {}

    def shared(self, symbol: str) -> Shared:
        """Return what messages about an instrument are made of, at this moment."""
        market, texts = self.market, texts_of(symbol, self.instruments)
        if market is None or texts is None:
            raise LookupError(f"there is no market of {symbol!r}")
        return Shared(market.feed(symbol), texts, self.as_of_seq)

    def answer(self, reader: Reader, query: MarketQuery) -> Iterable[Response]:
        """Grant a request, and return what answers it. Raises MarketRequestError."""
        if self.market is None:
            reason = "" if isinstance(query, MarketDataQuery) else NOT_AVAILABLE
            raise _error(query, reason, AWAY_TEXT)
        if isinstance(query, MarketDataQuery):
            return self._market_data(reader, query)
        if isinstance(query, SecurityStatusQuery):
            return self._security_status(reader, query)
        return self._trading_session(reader, query)

    def forget(self, reader: Reader) -> None:
        """End every subscription of a session."""
        for request_id in list(reader.requests):
            self._end(reader, request_id)
        reader.statuses.clear()
        reader.trading_sessions.clear()
        reader.news.clear()

    def lost(self, reader: Reader) -> list[Response]:
        """End every subscription of a session, as the market is away; return what says so."""
        found = [
            render.reject(MarketRequestError(0, "V", request_id, "", ENDED_TEXT, made[0].header))
            for request_id, made in reader.requests.items()
        ]
        found += [
            _ended("e", request_id, asked) for request_id, asked in reader.statuses.items()
        ]
        found += [
            _ended("g", request_id, asked) for request_id, asked in reader.trading_sessions.items()
        ]
        self.forget(reader)
        return found

    def status(
        self, request_id: str, feed: Feed, header: str, *, unsolicited: bool
    ) -> Response:
        """Return SecurityStatus(f) of an instrument."""
        return render.security_status(
            request_id, self.instruments[feed.symbol], feed.status, self._clock(), self.as_of_seq,
            header, unsolicited=unsolicited,
        )  # fmt: skip

    def news(self, reader: Reader) -> Iterable[Response]:
        """Yield what a session is to be told, unasked, of instruments and the day: as it is now."""
        news, reader.news = reader.news, {}
        for msg_type, request_id in news:
            if msg_type == "h":
                header = reader.trading_sessions[request_id].header
                yield self.day(request_id, header, unsolicited=True)
            else:
                asked = reader.statuses[request_id]
                feed = self.shared(asked.symbol).feed
                yield self.status(request_id, feed, asked.header, unsolicited=True)

    def day(self, request_id: str, header: str, *, unsolicited: bool) -> Response:
        """Return TradingSessionStatus(h) of today."""
        today = day_of(self._clock(), self._day_roll_us)
        start, end = (start_of(day, self._day_roll_us) for day in (today, today + 1))
        return render.trading_session_status(
            request_id, start, end, header, unsolicited=unsolicited
        )

    # MarketDataRequest.

    def _market_data(self, reader: Reader, query: MarketDataQuery) -> Iterable[Response]:
        known = query.request_id in reader.requests
        if query.subscription == END:
            if not known:
                raise _error(query, "", f"MDReqID(262) {query.request_id} is not subscribed")
            self._end(reader, query.request_id)
            return ()
        if known:
            raise _error(
                query, DUPLICATE_ID,
                f"MDReqID(262) {query.request_id} is subscribed already; end it with "
                "SubscriptionRequestType(263)=2 first, or choose another",
            )  # fmt: skip
        view = View(query)
        self._check_statistics(query, view)
        if query.subscription == SUBSCRIBE:
            self._check_subscribable(reader, query, view)
        made = [
            Subscription(query.request_id, symbol, view, query.header) for symbol in query.symbols
        ]
        if query.subscription == SUBSCRIBE:
            reader.requests[query.request_id] = made
            for one in made:
                reader.things[one.symbol, view.key] = query.request_id
                self.by_symbol.setdefault(one.symbol, {})[one] = reader
        return self._snapshots(made)

    def _snapshots(self, made: Iterable[Subscription]) -> Iterable[Response]:
        """Yield a snapshot for each, so that no more than one of them is held at a time."""
        for one in made:
            yield one.snapshot(self.shared(one.symbol), self._bounds.recent_trades_max)

    def _check_statistics(self, query: MarketDataQuery, view: View) -> None:
        if not view.kinds or self.market is None:
            return
        for symbol in query.symbols:
            if self.market.feed(symbol).day is None:
                raise _error(
                    query, "",
                    f"The day's statistics of {symbol} are not known yet, as the history is not "
                    "there; ask again, or for MDEntryType(269) 0, 1 and 2 alone",
                )  # fmt: skip

    def _check_subscribable(self, reader: Reader, query: MarketDataQuery, view: View) -> None:
        for symbol in query.symbols:
            request_id = reader.things.get((symbol, view.key))
            if request_id is not None:
                raise _error(
                    query, DUPLICATE_ID,
                    f"The same of {symbol} is subscribed already, under MDReqID(262) {request_id}",
                )  # fmt: skip
        self._check_count(reader, query, len(query.symbols), TOO_MUCH)

    def _check_count(self, reader: Reader, query: MarketQuery, more: int, reason: str) -> None:
        if reader.count + more > self._bounds.subscriptions_max:
            raise _error(
                query, reason,
                f"A session has at most {self._bounds.subscriptions_max} subscriptions, each "
                f"symbol of a request being one; this one has {reader.count}",
            )  # fmt: skip

    def _end(self, reader: Reader, request_id: str) -> None:
        for one in reader.requests.pop(request_id):
            reader.things.pop((one.symbol, one.view.key), None)
            reader.waiting.pop(one, None)
            known = self.by_symbol[one.symbol]
            del known[one]
            if not known:
                del self.by_symbol[one.symbol]

    # The state of an instrument, and of the day.

    def _security_status(self, reader: Reader, query: SecurityStatusQuery) -> Iterable[Response]:
        self._check_id(reader.statuses, query)
        if query.subscription == END:
            del reader.statuses[query.request_id]
            reader.news.pop(("f", query.request_id), None)
            return ()
        if query.subscription == SUBSCRIBE:
            self._check_count(reader, query, 1, "0")
            reader.statuses[query.request_id] = Asked(query.num, query.header, query.symbol)
        feed = self.shared(query.symbol).feed
        return (self.status(query.request_id, feed, query.header, unsolicited=False),)

    def _trading_session(self, reader: Reader, query: TradingSessionQuery) -> Iterable[Response]:
        self._check_id(reader.trading_sessions, query)
        if query.subscription == END:
            del reader.trading_sessions[query.request_id]
            reader.news.pop(("h", query.request_id), None)
            return ()
        if query.subscription == SUBSCRIBE:
            self._check_count(reader, query, 1, "0")
            reader.trading_sessions[query.request_id] = Asked(query.num, query.header)
        return (self.day(query.request_id, query.header, unsolicited=False),)

    @staticmethod
    def _check_id(known: Mapping[str, object], query: MarketQuery) -> None:
        there = query.request_id in known
        if query.subscription == END and not there:
            raise _error(query, "0", f"{query.request_id} is not subscribed")
        if query.subscription != END and there:
            raise _error(
                query, "0",
                f"{query.request_id} is subscribed already; end it with "
                "SubscriptionRequestType(263)=2 first, or choose another",
            )  # fmt: skip


def _error(query: MarketQuery, reason: str, text: str) -> MarketRequestError:
    return MarketRequestError(
        query.num, MSG_TYPES[type(query)], query.request_id, reason, text, query.header
    )


def _ended(msg_type: str, request_id: str, asked: Asked) -> Response:
    return render.reject(
        MarketRequestError(
            asked.num, msg_type, request_id, NOT_AVAILABLE, ENDED_TEXT, asked.header
        )
    )
