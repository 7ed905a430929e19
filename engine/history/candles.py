"""Candles, made of what was traded within a minute."""

from __future__ import annotations

from typing import Any, Final

MINUTE_US: Final = 60_000_000
CANDLE_INTERVALS_US: Final[dict[str, int]] = {
    "1m": MINUTE_US,
    "5m": 300_000_000,
    "15m": 900_000_000,
    "1h": 3_600_000_000,
    "4h": 14_400_000_000,
    "1d": 86_400_000_000,
}
"""All of whole minutes, so that a minute is part of one candle of each interval."""


class Minute:
    """What was traded of a symbol within one minute, or within part of it."""

    __slots__ = ("cash", "close", "end_us", "high", "low", "open", "qty", "start_us", "trades")

    def __init__(self, time_us: int, price: int) -> None:
        self.start_us = time_us - time_us % MINUTE_US
        self.end_us = self.start_us + MINUTE_US
        self.open = self.high = self.low = self.close = price
        self.qty = self.cash = self.trades = 0

    def add(self, price: int, qty: int, cash: int) -> None:
        """Add a trade."""
        if price > self.high:
            self.high = price
        elif price < self.low:
            self.low = price
        self.close = price
        self.qty += qty
        self.cash += cash
        self.trades += 1


def new_candle(symbol: str, interval_us: int, minute: Minute) -> dict[str, Any]:
    """Return the empty candle to which a minute belongs, which is its first."""
    return {
        "symbol": symbol,
        "interval_us": interval_us,
        "start_us": minute.start_us - minute.start_us % interval_us,
        "open": minute.open,
        "high": minute.high,
        "low": minute.low,
        "close": minute.close,
        "qty": 0,
        "cash": 0,
        "trades": 0,
    }


def add_minute(candle: dict[str, Any], minute: Minute) -> None:
    """Add the trades of a minute to a candle."""
    candle["high"] = max(candle["high"], minute.high)
    candle["low"] = min(candle["low"], minute.low)
    candle["close"] = minute.close
    candle["qty"] += minute.qty
    candle["cash"] += minute.cash
    candle["trades"] += minute.trades
