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

    A trade that reaches a stop marks its order for good: it acts when its turn comes, even if
    the price has moved away by then. Adding and removing are O(log n), a trade that reaches
    nothing O(1).
    """

    __slots__ = ("buys", "reached_buys", "reached_sells", "sells")

    def __init__(self) -> None:
        self.buys: SortedKeyList = SortedKeyList(key=_nearest_above)
        self.sells: SortedKeyList = SortedKeyList(key=_nearest_below)
        self.reached_buys: SortedKeyList = SortedKeyList(key=_nearest_above)
        self.reached_sells: SortedKeyList = SortedKeyList(key=_nearest_below)

    def __bool__(self) -> bool:
        return bool(self.buys or self.sells or self.reached_buys or self.reached_sells)

    def _list(self, order: Order) -> SortedKeyList:
        if order.reached:
            return self.reached_buys if order.buy else self.reached_sells
        return self.buys if order.buy else self.sells

    def add(self, order: Order) -> None:
        """Arm an order; ``order.reached`` says whether its price was reached already."""
        order.armed = True
        self._list(order).add(order)

    def remove(self, order: Order) -> None:
        """Disarm an order."""
        self._list(order).remove(order)
        order.armed = order.reached = False

    def reach(self, price: int) -> None:
        """A trade was made at this price, or an order arrives and this is the last price."""
        if price == 0:
            return
        buys, sells = self.buys, self.sells
        while buys and buys[0].terms.stop_price <= price:
            self._mark(buys.pop(0))
        while sells and sells[0].terms.stop_price >= price:
            self._mark(sells.pop(0))

    def _mark(self, order: Order) -> None:
        order.reached = True
        self._list(order).add(order)

    def next_reached(self) -> Order | None:
        """The order whose turn it is (rule T-2), None if no stop has been reached."""
        reached = self.reached_buys or self.reached_sells
        return reached[0] if reached else None
