"""What a taker does next: when, which instrument, which side, how much. Pure, from a seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

from bots.grid import Grid
from tandem_client import Side

HOME: Final = 40
"""At a position of this many typical orders reducing it is twice as likely as adding to it."""


class Appetite:
    """Draws orders. The position it has built up pulls it back towards none."""

    def __init__(self, seed: str, orders_per_minute: int) -> None:
        self._draw = random.Random(seed)
        self._per_second = orders_per_minute / 60
        self._positions: dict[str, int] = {}

    def pause_s(self) -> float:
        """Return seconds until the next order: independent arrivals, never more than 30 s apart."""
        return min(self._draw.expovariate(self._per_second), 30.0)

    def symbol(self, symbols: Sequence[str]) -> str:
        """Return the instrument of the next order."""
        return self._draw.choice(symbols)

    def side(self, grid: Grid, typical: int) -> Side:
        """Return "buy" or "sell"."""
        position = self._positions.get(grid.symbol, 0)
        limit = HOME * max(typical, 1)
        lean = max(-limit, min(limit, position))
        # From 1/3 to 2/3, in whole draws, so that no float decides about money.
        return "sell" if self._draw.randrange(6 * limit) < 3 * limit + lean else "buy"

    def lots(self, grid: Grid, typical: int) -> int:
        """Return how much: mostly little, sometimes several times as much."""
        size = typical * self._draw.randint(2, 40) // 100
        if self._draw.randrange(12) == 0:
            size *= 5
        return min(max(size, 1), grid.max_lots)

    def filled(self, symbol: str, side: str, lots: int) -> None:
        """Record a fill of an order, in part or whole."""
        change = lots if side == "buy" else -lots
        self._positions[symbol] = self._positions.get(symbol, 0) + change
