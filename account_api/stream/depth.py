"""A public book: displayed quantity and number of orders at each price, and its checksum."""

from __future__ import annotations

import zlib
from typing import Final, NamedTuple

from sortedcontainers import SortedDict

from engine.core.instruments import Instrument
from engine.core.types import PriceLevel, Side

CHECKSUM_LEVELS: Final = 10


class DepthFault(AssertionError):
    """Events contradict the book that was built from them: a fault of ours."""


class Changes(NamedTuple):
    """Levels as they are now, of those that changed; quantity 0 means that it is gone."""

    bids: list[PriceLevel]
    asks: list[PriceLevel]


class DepthBook:
    """Price levels of one instrument, in ticks and lots."""

    def __init__(self) -> None:
        # Keys are negated prices for bids, so that the best level of a side comes first.
        self._sides: dict[Side, SortedDict] = {Side.BUY: SortedDict(), Side.SELL: SortedDict()}
        self._changed: dict[Side, dict[int, None]] = {Side.BUY: {}, Side.SELL: {}}

    def add(self, side: Side, price: int, qty: int, orders: int) -> None:
        """Change a level by a quantity and a number of orders, either of which may be negative.

        O(log levels). Raises DepthFault when a level would become negative.
        """
        key = -price if side is Side.BUY else price
        levels = self._sides[side]
        old_qty, old_orders = levels.get(key, (0, 0))
        level = (old_qty + qty, old_orders + orders)
        if level[0] < 0 or level[1] < 0 or (level[0] == 0) != (level[1] == 0):
            raise DepthFault(f"level {price} would hold {level[0]} lots of {level[1]} orders")
        if level[0]:
            levels[key] = level
        else:
            levels.pop(key, None)
        self._changed[side][key] = None

    def take_changes(self) -> Changes:
        """The levels changed since the last call."""
        taken = Changes(self._levels_of(Side.BUY), self._levels_of(Side.SELL))
        self._changed = {Side.BUY: {}, Side.SELL: {}}
        return taken

    def levels(self, side: Side, depth: int | None = None) -> list[PriceLevel]:
        """The best levels of a side, best first; all of them by default."""
        items = self._sides[side].items()
        shown = list(items) if depth is None else [items[i] for i in range(min(depth, len(items)))]
        return [PriceLevel(abs(key), qty, orders) for key, (qty, orders) in shown]

    def checksum(self, instrument: Instrument) -> int:
        """CRC-32 of the best ten levels of both sides as decimal text.

        ``price:quantity`` of the best bid, the best ask, the second bid and so on, joined by
        colons; a side that has fewer levels is passed over.
        """
        bids = self.levels(Side.BUY, CHECKSUM_LEVELS)
        asks = self.levels(Side.SELL, CHECKSUM_LEVELS)
        parts: list[str] = []
        for index in range(CHECKSUM_LEVELS):
            for side in (bids, asks):
                if index < len(side):
                    level = side[index]
                    parts.append(instrument.price_text(level.price))
                    parts.append(instrument.quantity_text(level.qty))
        return zlib.crc32(":".join(parts).encode("ascii"))

    def _levels_of(self, side: Side) -> list[PriceLevel]:
        levels = self._sides[side]
        return [PriceLevel(abs(key), *levels.get(key, (0, 0))) for key in self._changed[side]]
