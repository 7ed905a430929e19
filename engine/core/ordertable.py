"""Orders by id in many small dictionaries instead of one that grows without bound.

A full dictionary is copied to one twice as large while the command that fills it waits: a tenth
of a second and more at a million entries. Here each part grows by itself, with a small fraction
of the orders, so that no command waits longer than that.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Final

from engine.core.book import Order

RUN_BITS: Final = 10
"""Ids that differ only in these low bits share a part, so that new orders lie close together."""
PARTS_MASK: Final = 255


class OrderTable:
    """Orders in memory, open or closed, by order id. Every operation on one of them is O(1).

    ``parts`` is for the two hot paths: the order with ``order_id`` is in
    ``parts[order_id >> RUN_BITS & PARTS_MASK]``.
    """

    __slots__ = ("parts",)

    def __init__(self) -> None:
        self.parts: list[dict[int, Order]] = [{} for _ in range(PARTS_MASK + 1)]

    def __getitem__(self, order_id: int) -> Order:
        return self.parts[order_id >> RUN_BITS & PARTS_MASK][order_id]

    def __setitem__(self, order_id: int, order: Order) -> None:
        self.parts[order_id >> RUN_BITS & PARTS_MASK][order_id] = order

    def get(self, order_id: int) -> Order | None:
        """Return the order, None if it is not in memory."""
        return self.parts[order_id >> RUN_BITS & PARTS_MASK].get(order_id)

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def values(self) -> Iterator[Order]:
        """Yield every order by ascending id. O(n log n)."""
        for order_id in sorted(chain.from_iterable(self.parts)):
            yield self[order_id]
