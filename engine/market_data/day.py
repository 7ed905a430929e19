"""The statistics of an instrument's trading day."""

from __future__ import annotations

from typing import Final

DAY_US: Final = 86_400_000_000


def day_of(time_us: int, day_roll_us: int) -> int:
    """Return the number of the trading day at ``time_us``.

    A day begins ``day_roll_us`` after midnight UTC.
    """
    return (time_us - day_roll_us) // DAY_US


def start_of(day: int, day_roll_us: int) -> int:
    """Return the beginning of a trading day, in microseconds since 1970."""
    return day * DAY_US + day_roll_us


class DayStatistics:
    """Prices in ticks, volume in lots, ``notional`` in ticks × lots; 0 before the first trade.

    ``previous_close`` is the last price before the day, 0 if there was no trade before.
    """

    __slots__ = ("high", "last", "low", "notional", "opening", "previous_close", "volume")

    def __init__(self, previous_close: int = 0) -> None:
        self.opening = self.high = self.low = self.last = 0
        self.volume = self.notional = 0
        self.previous_close = previous_close

    def add(self, price: int, qty: int) -> None:
        """Count a trade: price in ticks, quantity in lots."""
        if not self.volume:
            self.opening = self.high = self.low = price
        elif price > self.high:
            self.high = price
        elif price < self.low:
            self.low = price
        self.last = price
        self.volume += qty
        self.notional += price * qty

    def roll(self) -> None:
        """Begin the next day."""
        self.previous_close = self.last or self.previous_close
        self.opening = self.high = self.low = self.last = 0
        self.volume = self.notional = 0
