"""Reading the market as it is, so that transactions can go on from it.

The history gives the newest trades and the day up to the transaction that it has reached, the
engine every book as it is now. Both are read before the subscription begins, which starts behind
the older of the two: ``Market`` passes over what a part contains already, so nothing is lost and
nothing counted twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from engine.client import EngineClient, queries
from engine.core.instruments import Instrument
from engine.history import reader as history
from engine.market_data.day import DayStatistics, day_of, start_of
from engine.market_data.market import Market, Trade

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from engine.history.rows import Candle

log = structlog.get_logger()

MINUTE_US: Final = 60_000_000
OpenHistory = Callable[[], "Engine"]
"""Opens the history for reading. Raises StoreError."""


class Seed(NamedTuple):
    """A market from which transactions go on, ``first_seq`` the next of them.

    It is whole once it has taken in every transaction up to ``whole_at``. ``days_known`` False says
    that the history could not be read, or not used.
    """

    market: Market
    instruments: dict[str, Instrument]
    first_seq: int
    whole_at: int
    days_known: bool = True


class Past(NamedTuple):
    """What the history knows, up to the transaction ``seq`` at ``time_us``."""

    seq: int
    time_us: int
    trades: Mapping[str, list[Trade]]
    days: Mapping[str, DayStatistics]


def read_market(
    client: EngineClient, open_history: OpenHistory, day_roll_us: int, trades_max: int
) -> Seed:
    """Read the market. ``trades_max`` is how many past trades of an instrument are wanted.

    Where the history cannot be read, or what it lacks is not served any more, days are unknown
    and there are no past trades. Raises EngineError.
    """
    welcome = client.connect()
    instruments = {one.symbol: one for one in client.fetch(queries.Instruments()).value}
    past = read_history(open_history, instruments, day_roll_us, trades_max)
    if past is not None and past.seq + 1 < welcome.first_seq:
        log.warning("history_too_old", seq=past.seq, oldest=welcome.first_seq)
        past = None
    status = client.fetch(queries.Status()).value
    time_us = status.time_us if past is None else past.time_us
    market = Market(instruments, day_roll_us, time_us)
    positions = [status.seq if past is None else past.seq]
    for symbol in instruments:
        book = client.fetch(queries.BookOrders(symbol))
        if book.value is None:
            continue
        market.seed(book.value, book.as_of_seq)
        positions.append(book.as_of_seq)
        if past is None:
            market.seed_trades(symbol, book.as_of_seq, (), None)
        else:
            market.seed_trades(symbol, past.seq, past.trades[symbol], past.days[symbol])
    return Seed(
        market, instruments, min(positions) + 1, max(positions), days_known=past is not None
    )


def read_history(
    open_history: OpenHistory,
    instruments: Mapping[str, Instrument],
    day_roll_us: int,
    trades_max: int,
) -> Past | None:
    """Return what the history knows; None where it cannot be read."""
    try:
        engine = open_history()
        try:
            # One transaction, so that everything is as of one position.
            with engine.connect() as connection:
                return _past(connection, instruments, day_roll_us, trades_max)
        finally:
            engine.dispose()
    except (history.SQLAlchemyError, history.StoreError) as error:
        log.warning("history_not_read", reason=str(error).splitlines()[0])
        return None


def _past(
    connection: Connection, instruments: Mapping[str, Instrument], day_roll_us: int, trades_max: int
) -> Past:
    seq, time_us = history.newest(connection)
    start_us = start_of(day_of(time_us, day_roll_us), day_roll_us)
    return Past(
        seq,
        time_us,
        {
            symbol: [
                Trade(
                    row.trade_id, symbol, row.price, row.qty, row.taker_side, row.time_us, row.seq
                )
                for row in history.trades(connection, symbol, limit=trades_max).rows
            ]
            for symbol in instruments
        },
        {
            symbol: day_statistics(connection, instrument, start_us)
            for symbol, instrument in instruments.items()
        },
    )


def day_statistics(
    connection: Connection, instrument: Instrument, start_us: int
) -> DayStatistics:
    """Return what the history's candles say of the day that began at ``start_us``.

    A day begins with a minute, so candles of one minute belong to it whole. Their cash is the
    price in ticks times the quantity in lots times the instrument's unit, exactly.
    """
    before: list[Candle] = []
    if start_us > 0:
        before = history.candles(
            connection, instrument.symbol, MINUTE_US, to_us=start_us, limit=1
        ).rows
    day = DayStatistics(before[-1].close if before else 0)
    cash, from_us = 0, max(1, start_us)
    while True:
        page = history.candles(
            connection, instrument.symbol, MINUTE_US, from_us=from_us, limit=history.LIMIT_MAX
        )
        for candle in page.rows:
            if not day.volume:
                day.opening = day.high = day.low = candle.open
            day.high, day.low = max(day.high, candle.high), min(day.low, candle.low)
            day.last = candle.close
            day.volume += candle.qty
            cash += candle.cash
        if page.cursor is None:
            break
        from_us = int(page.cursor)
    day.notional = cash // instrument.unit
    return day
