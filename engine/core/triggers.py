"""Stop orders that wait, and which of them the last price sets off (rules T)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sortedcontainers import SortedKeyList

if TYPE_CHECKING:
    from engine.core.book import Order


def _nearest_above(order: Order) -> tuple[int, int]:
    return (order.terms.stop_price, order.order_id)


def _nearest_below(order: Order) -> tuple[int, int]:
    return (-order.terms.stop_price, order.order_id)


class StopBook:
    """Armed stop orders of one instrument; buys wait above the market, sells below.

    Adding and removing are O(log n), finding the next triggered one O(1).
    """

    __slots__ = ("buys", "sells")

    def __init__(self) -> None:
        self.buys: SortedKeyList = SortedKeyList(key=_nearest_above)
        self.sells: SortedKeyList = SortedKeyList(key=_nearest_below)

    def __len__(self) -> int:
        return len(self.buys) + len(self.sells)

    def add(self, order: Order) -> None:
        """Arm an order."""
        order.armed = True
        (self.buys if order.buy else self.sells).add(order)

    def remove(self, order: Order) -> None:
        """Disarm an order."""
        order.armed = False
        (self.buys if order.buy else self.sells).remove(order)

    def triggered(self, last_price: int) -> Order | None:
        """The next order that this last price sets off (rules T-1, T-2), None if there is none."""
        if last_price == 0:
            return None
        if self.buys and self.buys[0].terms.stop_price <= last_price:
            return self.buys[0]  # type: ignore[no-any-return]
        if self.sells and self.sells[0].terms.stop_price >= last_price:
            return self.sells[0]  # type: ignore[no-any-return]
        return None
