"""What an instrument did in the last 24 hours, put together from its candles."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, select

from engine.history import schema
from engine.history.candles import CANDLE_INTERVALS_US
from engine.history.rows import Ticker

_MINUTE_US: Final = CANDLE_INTERVALS_US["1m"]
_HOUR_US: Final = CANDLE_INTERVALS_US["1h"]
WINDOW_US: Final = 24 * _HOUR_US


def ticker(connection: Connection, symbol: str, now_us: int) -> Ticker:
    """Return the last 24 hours of an instrument, begun at a whole minute; reads 83 candles at most.

    Whole hours come from candles of an hour, the hour in which the window begins from minutes.
    """
    start = (now_us - WINDOW_US) // _MINUTE_US * _MINUTE_US
    hour = -(-start // _HOUR_US) * _HOUR_US
    rows = [
        *_candles(connection, symbol, _MINUTE_US, start, hour),
        *_candles(connection, symbol, _HOUR_US, hour, now_us + 1),
    ]
    table = schema.trades
    query = select(table.c.trade_id, table.c.price, table.c.time_us)
    last = connection.execute(
        query.where(table.c.symbol == symbol).order_by(table.c.trade_id.desc()).limit(1)
    ).first()
    found = Ticker(symbol, start)
    if last is not None:
        found = found._replace(last_trade_id=last[0], last_price=last[1], last_us=last[2])
    if not rows:
        return found
    return found._replace(
        open=rows[0].open,
        high=max(row.high for row in rows),
        low=min(row.low for row in rows),
        close=rows[-1].close,
        qty=sum(row.qty for row in rows),
        cash=sum(row.cash for row in rows),
        trades=sum(row.trades for row in rows),
    )


def _candles(
    connection: Connection, symbol: str, interval_us: int, from_us: int, to_us: int
) -> list[Any]:
    table = schema.candles
    query = select(table).where(
        table.c.symbol == symbol, table.c.interval_us == interval_us,
        table.c.start_us >= from_us, table.c.start_us < to_us,
    )  # fmt: skip
    return list(connection.execute(query.order_by(table.c.start_us)))
