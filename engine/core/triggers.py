"""The stop book: stop orders that wait, and those that the last price triggers (rules T)."""

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

    A trade that reaches a stop marks it permanently: it is triggered when its turn comes, even if
    the price has moved away by then. One trade can reach any number of stops, so it does not
    modify each: buys with a stop price up to ``zone_high`` count as reached, sells down to
    ``zone_low`` likewise; 0 means none. A stop that arrives inside a zone was not reached by it,
    and waits in ``late`` until the zone has been processed. Adding and removing are O(log n), a
    trade is O(1) except for late stops that it reaches.
    """

    __slots__ = (
        "buys", "late", "late_buys", "late_sells", "reached_buys", "reached_sells", "sells",
        "zone_high", "zone_low",
    )  # fmt: skip

    def __init__(self) -> None:
        self.buys: SortedKeyList = SortedKeyList(key=_nearest_above)
        self.sells: SortedKeyList = SortedKeyList(key=_nearest_below)
        self.late_buys: SortedKeyList = SortedKeyList(key=_nearest_above)
        self.late_sells: SortedKeyList = SortedKeyList(key=_nearest_below)
        self.reached_buys: SortedKeyList = SortedKeyList(key=_nearest_above)
        self.reached_sells: SortedKeyList = SortedKeyList(key=_nearest_below)
        self.late: dict[int, None] = {}
        """The orders of ``late_buys`` and ``late_sells``, by order id."""
        self.zone_high = 0
        self.zone_low = 0

    def __bool__(self) -> bool:
        return bool(
            self.buys or self.sells or self.reached_buys or self.reached_sells or self.late
        )

    def _list(self, order: Order) -> SortedKeyList:
        if order.reached:
            return self.reached_buys if order.buy else self.reached_sells
        if order.order_id in self.late:
            return self.late_buys if order.buy else self.late_sells
        return self.buys if order.buy else self.sells

    def arm(self, order: Order, last_price: int) -> None:
        """Arm a stop order; the last price (0 for none) may have reached it already."""
        stop_price = order.terms.stop_price
        order.armed = True
        if order.buy:
            order.reached = 0 < stop_price <= last_price
            late = stop_price <= self.zone_high
        else:
            order.reached = 0 < last_price <= stop_price
            late = self.zone_low > 0 and stop_price >= self.zone_low
        if late and not order.reached:
            self.late[order.order_id] = None
        self._list(order).add(order)

    def put_back(self, order: Order) -> None:
        """Restore an armed order; its ``reached`` is set, and ``late`` and the zones are known."""
        self._list(order).add(order)

    def remove(self, order: Order) -> None:
        """Disarm an order; a zone in which no stop is left ends."""
        self._list(order).remove(order)
        self.late.pop(order.order_id, None)
        order.armed = order.reached = False
        high, low = self.zone_high, self.zone_low
        if high and not (self.buys and self.buys[0].terms.stop_price <= high):
            self.zone_high = 0
            self._merge(self.late_buys, self.buys)
        if low and not (self.sells and self.sells[0].terms.stop_price >= low):
            self.zone_low = 0
            self._merge(self.late_sells, self.sells)

    def _merge(self, late: SortedKeyList, waiting: SortedKeyList) -> None:
        for order in late:
            del self.late[order.order_id]
        waiting.update(late)
        late.clear()

    def mark_reached(self, price: int) -> None:
        """Mark the stops that a trade at this price reaches."""
        if self.buys and price > self.zone_high and self.buys[0].terms.stop_price <= price:
            self.zone_high = price
        if (
            self.sells
            and (price < self.zone_low or not self.zone_low)
            and self.sells[0].terms.stop_price >= price
        ):
            self.zone_low = price
        if self.late:
            self._reach_late(price)

    def _reach_late(self, price: int) -> None:
        buys, sells = self.late_buys, self.late_sells
        while buys and buys[0].terms.stop_price <= price:
            self._mark(buys.pop(0))
        while sells and sells[0].terms.stop_price >= price:
            self._mark(sells.pop(0))

    def _mark(self, order: Order) -> None:
        del self.late[order.order_id]
        order.reached = True
        self._list(order).add(order)

    def next_reached(self) -> Order | None:
        """Return the order whose turn it is (rule T-2), None if no stop has been reached."""
        first: Order | None = self.reached_buys[0] if self.reached_buys else None
        if self.zone_high:
            order: Order = self.buys[0]
            if first is None or _nearest_above(order) < _nearest_above(first):
                first = order
        if first is not None:
            return first
        first = self.reached_sells[0] if self.reached_sells else None
        if self.zone_low:
            order = self.sells[0]
            if first is None or _nearest_below(order) < _nearest_below(first):
                first = order
        return first
