"""Prices as a seeded, mean-reverting random walk in integers that cannot leave its bounds.

A price is its anchor plus an offset in parts per billion. Each step adds noise and removes a
small part of the offset, so that the price returns to the anchor within some minutes; the offset
is also clamped. The same seed gives the same prices.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from bots.grid import Grid

BILLION: Final = 1_000_000_000
OFFSET_MAX: Final = BILLION // 5
"""No price is further than a fifth from its anchor."""
NOISE: Final = 60_000
"""Four draws up to this size, in parts per billion, are one step: about 0.007 %."""
PULL: Final = 400
"""Each step removes one part in this many of the offset."""


class Walk:
    """The offset of one price."""

    def __init__(self, random_source: random.Random, offset: int = 0) -> None:
        self._random = random_source
        self.offset = _clamped(offset)

    def step(self) -> None:
        """Advance by one step."""
        noise = sum(self._random.randint(-NOISE, NOISE) for _ in range(4))
        self.offset = _clamped(self.offset + noise - self.offset // PULL)


class Prices:
    """The mid price of every instrument that can be priced, in ticks.

    ``anchors`` are in ticks. An instrument without one is priced by two others that quote
    its assets in one currency, so that no round trip through the three earns anything.
    """

    def __init__(self, seed: int, grids: Mapping[str, Grid], anchors: Mapping[str, int]) -> None:
        self._grids = dict(grids)
        self._anchors = {symbol: anchors[symbol] for symbol in grids if symbol in anchors}
        self._walks = {
            symbol: Walk(random.Random(f"{seed}:{symbol}")) for symbol in self._anchors
        }
        self._crosses = {
            symbol: legs
            for symbol, grid in grids.items()
            if symbol not in self._anchors and (legs := self._legs(grid)) is not None
        }

    @property
    def symbols(self) -> list[str]:
        """The instruments that have a price."""
        return [*self._anchors, *self._crosses]

    def resume(self, symbol: str, last: int) -> None:
        """Resume from the last price, within the bounds."""
        if symbol in self._anchors:
            anchor = self._anchors[symbol]
            offset = _clamped((last - anchor) * BILLION // anchor)
            self._walks[symbol].offset = offset

    def step(self) -> None:
        """Advance all prices by one step."""
        for walk in self._walks.values():
            walk.step()

    def middle(self, symbol: str) -> int:
        """Return the price in ticks, at least 1."""
        if symbol in self._anchors:
            anchor = self._anchors[symbol]
            ticks = anchor + anchor * self._walks[symbol].offset // BILLION
        else:
            base, quote = self._crosses[symbol]
            ratio = self._value(base) / self._value(quote)
            ticks = int(ratio / self._grids[symbol].tick)
        return min(max(ticks, 1), self._grids[symbol].max_price)

    def is_sane(self, symbol: str, ticks: int) -> bool:
        """Return True if a price is near enough to the mid to trade at."""
        middle = self.middle(symbol)
        return abs(ticks - middle) * 4 <= middle

    def _value(self, symbol: str) -> Decimal:
        return self.middle(symbol) * self._grids[symbol].tick

    def _legs(self, grid: Grid) -> tuple[str, str] | None:
        """Return the two anchored instruments, of base and quote, in the same currency."""
        for base in self._anchors:
            for quote in self._anchors:
                one, other = self._grids[base], self._grids[quote]
                assets = (one.base, other.base)
                if assets == (grid.base, grid.quote) and one.quote == other.quote:
                    return base, quote
        return None


def _clamped(offset: int) -> int:
    return max(-OFFSET_MAX, min(OFFSET_MAX, offset))
