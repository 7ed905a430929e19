"""A copy of an order book, kept from a snapshot and its changes, and checked after each."""

from __future__ import annotations

import zlib
from bisect import bisect_left, insort
from collections.abc import Iterable
from decimal import Decimal
from typing import Final, NamedTuple

from tandem_client.values import Side

CHECKED: Final = 10
"""The checksum covers this many levels of each side."""


class Level(NamedTuple):
    """A price level: its quantity, and how many orders it has."""

    price: Decimal
    quantity: Decimal
    orders: int


class Book:
    """The levels of one instrument. While ``stale`` they must not be traded on.

    The stream keeps it; a book is stale until its first snapshot, and from the loss of the
    connection, of a change, or of the checksum until the next one.
    """

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.status = ""
        self.seq = 0
        self.stale = True
        self._bids = _Half(-1)
        self._asks = _Half(1)

    @property
    def bids(self) -> list[Level]:
        """Return the bids, best first."""
        return self._bids.levels()

    @property
    def asks(self) -> list[Level]:
        """Return the asks, best first."""
        return self._asks.levels()

    @property
    def best_bid(self) -> Level | None:
        """Return the highest bid."""
        return self._bids.best()

    @property
    def best_ask(self) -> Level | None:
        """Return the lowest ask."""
        return self._asks.best()

    def cost(self, side: Side, quantity: Decimal) -> tuple[Decimal, Decimal]:
        """Walk the book: return what ``quantity`` would cost or bring, and how much of it fills."""
        left, cash = quantity, Decimal(0)
        for level in self.asks if side == "buy" else self.bids:
            taken = min(left, level.quantity)
            cash, left = cash + taken * level.price, left - taken
            if not left:
                break
        return cash, quantity - left

    def replace(self, status: str, bids: Iterable[Level], asks: Iterable[Level], seq: int) -> None:
        """Take in a snapshot."""
        self._bids, self._asks = _Half(-1), _Half(1)
        self.change(status, bids, asks, seq)

    def change(self, status: str, bids: Iterable[Level], asks: Iterable[Level], seq: int) -> None:
        """Take in levels as they are now; those without a quantity are gone."""
        self.status, self.seq = status, seq
        self._bids.change(bids)
        self._asks.change(asks)

    def checksum(self) -> int:
        """Return the CRC-32 that the venue computes: the best ten levels of both sides in turn."""
        bids, asks = self._bids.levels(CHECKED), self._asks.levels(CHECKED)
        parts: list[str] = []
        for index in range(max(len(bids), len(asks))):
            for half in (bids, asks):
                if index < len(half):
                    parts += format(half[index].price, "f"), format(half[index].quantity, "f")
        return zlib.crc32(":".join(parts).encode())


class _Half:
    """One side; ``sign`` is -1 for bids, whose best price is the highest."""

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._order: list[Decimal] = []
        self._levels: dict[Decimal, Level] = {}

    def change(self, levels: Iterable[Level]) -> None:
        for level in levels:
            known = level.price in self._levels
            if level.quantity:
                self._levels[level.price] = level
                if not known:
                    insort(self._order, self._sign * level.price)
            elif known:
                del self._levels[level.price]
                del self._order[bisect_left(self._order, self._sign * level.price)]

    def levels(self, count: int | None = None) -> list[Level]:
        return [self._levels[self._sign * key] for key in self._order[:count]]

    def best(self) -> Level | None:
        return self._levels[self._sign * self._order[0]] if self._order else None
