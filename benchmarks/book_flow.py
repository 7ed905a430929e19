"""The flow of the comparison of books, from a seed: 48 % new, 37 % cancel, 10 % replace, 5 % IOC.

About 2,000 orders rest, over some hundred price levels a side. An operation is a plain tuple
(kind, order id, buy, quantity, price), so that every book reads the same file; a replace moves
an order to another price, behind those that are there. The venue's own book, played along,
tells which orders are open.
"""

from __future__ import annotations

import marshal
import random
from pathlib import Path
from typing import Final

from benchmarks.book_own import BareBook

NEW: Final = 0
CANCEL: Final = 1
REPLACE: Final = 2
IOC: Final = 3
RESTING: Final = 2_000
LEVELS: Final = 500
MIDDLE: Final = 5_000_000
Operation = tuple[int, int, bool, int, int]


class BookFlow:
    """Makes operations while it plays them on a book of its own."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.book = BareBook()
        self.ids: list[int] = []
        self.place: dict[int, int] = {}
        self.sides: dict[int, bool] = {}
        self.last = 0

    def price(self, buy: bool) -> int:
        """On the own side of the middle, nearer prices more often."""
        distance = 1 + min(int(self.random.expovariate(4 / LEVELS)), LEVELS)
        return MIDDLE - distance if buy else MIDDLE + distance

    def forget(self, order_id: int) -> None:
        place, last = self.place.pop(order_id), self.ids.pop()
        if last != order_id:
            self.ids[place] = last
            self.place[last] = place
        del self.sides[order_id]

    def new(self) -> Operation:
        """Return an order that will rest."""
        self.last += 1
        buy = self.random.random() < 0.5
        qty, price = self.random.randrange(100, 1_000), self.price(buy)
        self.place[self.last] = len(self.ids)
        self.ids.append(self.last)
        self.sides[self.last] = buy
        self.book.limit(self.last, buy, qty, price)
        return NEW, self.last, buy, qty, price

    def immediate(self) -> Operation:
        """Return an order that takes about as much as comes to rest beyond what is canceled."""
        self.last += 1
        buy = self.random.random() < 0.5
        orders = max(0.5, min(2.2 + (len(self.ids) - RESTING) / 50, 20.0))
        qty, price = int(orders * 550), MIDDLE + 10_000 if buy else MIDDLE - 10_000
        self.book.immediate(buy, qty, price)
        for order_id, _, _ in self.book.trades:
            if order_id in self.place and order_id not in self.book.orders:
                self.forget(order_id)
        self.book.trades.clear()
        return IOC, self.last, buy, qty, price

    def next(self) -> Operation:
        """Return an operation of the mix."""
        share = self.random.random()
        if share < 0.48:
            return self.new()
        if share >= 0.95:
            return self.immediate()
        order_id = self.random.choice(self.ids)
        buy = self.sides[order_id]
        if share < 0.85:
            self.forget(order_id)
            self.book.cancel(order_id)
            return CANCEL, order_id, buy, 0, 0
        qty, price = self.random.randrange(100, 1_000), self.price(buy)
        self.book.replace(order_id, qty, price)
        return REPLACE, order_id, buy, qty, price


def write(path: Path, count: int, seed: int = 1) -> None:
    """Operations that fill the book, and ``count`` more at a steady size, into a file."""
    flow = BookFlow(seed)
    filling = [flow.new() for _ in range(RESTING)]
    path.write_bytes(marshal.dumps((filling, [flow.next() for _ in range(count)])))


def read(path: Path) -> tuple[list[Operation], list[Operation]]:
    """Return both lists of ``write``."""
    filling, operations = marshal.loads(path.read_bytes())
    return filling, operations
