"""Books that others publish, each by the quickest documented way to use it.

``python -m benchmarks.book_peers NAME FILE COUNT`` plays the first ``COUNT`` operations
of ``benchmarks.book_flow`` on one of them and prints its processor time and how the book stood
at the end, so that what was compared did the same. It runs in a virtual environment that has
that book and nothing of the venue.
"""

from __future__ import annotations

import gc
import json
import marshal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

Operation = tuple[int, int, bool, int, int]
Outcome = tuple[int | None, int | None, int | None]
"""Orders that rest, best bid, best ask; None where the book cannot tell."""


class Driver(NamedTuple):
    """How to play operations on a book, and how to ask how it stands."""

    run: Callable[[list[Operation]], None]
    outcome: Callable[[], Outcome]


def limit_order_book() -> Driver:
    """C++ through ctypes. It tells nobody about trades."""
    from limit_order_book.limit_order_book import LimitOrderBook

    book = LimitOrderBook()

    def run(operations: list[Operation]) -> None:
        buy_limit, sell_limit, cancel = book.limit_buy, book.limit_sell, book.cancel
        buy_market, sell_market = book.market_buy, book.market_sell
        for kind, order_id, buy, qty, price in operations:
            if kind == 0:
                (buy_limit if buy else sell_limit)(order_id, qty, price)
            elif kind == 1:
                cancel(order_id)
            elif kind == 2:
                cancel(order_id)
                (buy_limit if buy else sell_limit)(order_id, qty, price)
            else:
                (buy_market if buy else sell_market)(order_id, qty)

    return Driver(run, lambda: (book.count(), book.best_buy(), book.best_sell()))


def orderly_chaos() -> Driver:
    """C++ through ctypes. There is no listener; trades are reported as the quantity filled."""
    from orderly_chaos import LimitOrderBook, Side

    book = LimitOrderBook()

    def run(operations: list[Operation]) -> None:
        limit, market, cancel = book.limit, book.market, book.cancel
        buying, selling = Side.BUY, Side.SELL
        for kind, order_id, buy, qty, price in operations:
            if kind == 0:
                limit(buying if buy else selling, order_id, qty, price)
            elif kind == 1:
                cancel(order_id)
            elif kind == 2:
                cancel(order_id)
                limit(buying if buy else selling, order_id, qty, price)
            else:
                market(buying if buy else selling, order_id, qty)

    return Driver(run, lambda: (len(book), book.best_buy() or 0, book.best_sell() or 0))


def liquibook(listening: bool = False) -> Driver:
    """C++ through SWIG. Without a listener trades are told to nobody.

    An order object must live as long as it rests; without a listener nobody hears that it
    was filled, so that those stay in the dict.
    """
    from liquibook import (
        OrderListener,
        SimpleOrder,
        liquibook_book_OrderBook,
        oc_immediate_or_cancel,
    )

    trades: list[tuple[int, int, int]] = []

    class Listener(OrderListener):  # type: ignore[misc]
        """Hears everything, as it must, and keeps the trades."""

        def on_accept(self, order: Any) -> None: ...

        def on_cancel(self, order: Any) -> None: ...

        def on_fill(self, resting: Any, arriving: Any, qty: int, cost: int) -> None:
            trades.append((resting.order_id_, qty, cost))

    book, listener = liquibook_book_OrderBook(), Listener()
    if listening:
        book.set_order_listener(listener)
    orders: dict[int, Any] = {}

    def run(operations: list[Operation]) -> None:
        add, cancel = book.add, book.cancel
        for kind, order_id, buy, qty, price in operations:
            if kind == 0:
                order = orders[order_id] = SimpleOrder(buy, price, qty)
                add(order)
            elif kind == 1:
                cancel(orders.pop(order_id))
            elif kind == 2:
                cancel(orders[order_id])
                order = orders[order_id] = SimpleOrder(buy, price, qty)
                add(order)
            else:
                order = orders[order_id] = SimpleOrder(buy, price, qty)
                add(order, oc_immediate_or_cancel)

    def outcome() -> Outcome:
        assert listener is not None  # Named here because the book does not keep it alive.
        return None, None, None

    return Driver(run, outcome)


def lightmatchingengine() -> Driver:
    """Make the book of dicts and lists in plain Python; it returns the order and its trades."""
    from lightmatchingengine.lightmatchingengine import (
        LightMatchingEngine,
        Side,
    )

    engine = LightMatchingEngine()
    ids: dict[int, int] = {}

    def run(operations: list[Operation]) -> None:
        add, cancel = engine.add_order, engine.cancel_order
        for kind, order_id, buy, qty, price in operations:
            side = Side.BUY if buy else Side.SELL
            if kind == 0:
                ids[order_id] = add("X", price, qty, side)[0].order_id
            elif kind == 1:
                cancel(ids.pop(order_id), "X")
            elif kind == 2:
                cancel(ids[order_id], "X")
                ids[order_id] = add("X", price, qty, side)[0].order_id
            else:
                order, _ = add("X", 0, qty, side)
                if order.leaves_qty:
                    cancel(order.order_id, "X")

    def outcome() -> Outcome:
        book = engine.order_books["X"]
        resting = sum(map(len, book.bids.values())) + sum(map(len, book.asks.values()))
        return resting, max(book.bids), min(book.asks)

    return Driver(run, outcome)


def order_matching() -> Driver:
    """Make the book in plain Python that places orders, then matches; a trade is an object."""
    from datetime import datetime

    from loguru import logger
    from order_matching.enums import Side
    from order_matching.matching_engine import MatchingEngine
    from order_matching.order import LimitOrder, MarketOrder
    from order_matching.orders import Orders

    logger.remove()
    engine, now = MatchingEngine(seed=1), datetime(2026, 1, 5)  # noqa: DTZ001, it knows no zones
    book = engine.unprocessed_orders

    def make(order_id: int, buy: bool, qty: int, price: int) -> Any:
        return LimitOrder(
            side=Side.BUY if buy else Side.SELL, price=price, size=qty, timestamp=now,
            order_id=str(order_id), trader_id="x",
        )  # fmt: skip

    def run(operations: list[Operation]) -> None:
        if all(kind == 0 for kind, *_ in operations):
            # None of the first orders trades, so they may be placed together.
            engine.place(Orders([make(*order) for _, *order in operations]))
            engine.match(timestamp=now)
            return
        for kind, order_id, buy, qty, price in operations:
            if kind in (1, 2):
                engine.cancel_order(str(order_id))
            if kind in (0, 2):
                engine.place(Orders([make(order_id, buy, qty, price)]))
                engine.match(timestamp=now)
            elif kind == 3:
                side = Side.BUY if buy else Side.SELL
                engine.place(Orders([MarketOrder(
                    side=side, size=qty, timestamp=now, order_id=str(order_id), trader_id="x"
                )]))  # fmt: skip
                engine.match(timestamp=now)

    def outcome() -> Outcome:
        resting = sum(map(len, book.bids.values())) + sum(map(len, book.offers.values()))
        return resting, int(max(book.bids)), int(min(book.offers))

    return Driver(run, outcome)


def cython_orderbook() -> Driver:
    """Cython; trades go to a list."""
    from cython_orderbook import Order, OrderBook, OrderSide

    book, orders = OrderBook(), {}
    bid, ask = OrderSide.BID, OrderSide.ASK

    def run(operations: list[Operation]) -> None:
        limit, market, cancel = book.add_limit_order, book.add_market_order, book.cancel_order
        for kind, order_id, buy, qty, price in operations:
            side = bid if buy else ask
            if kind == 0:
                order = orders[order_id] = Order(side=side, price=price, original_quantity=qty)
                limit(order)
            elif kind == 1:
                cancel(orders.pop(order_id).order_id)
            elif kind == 2:
                cancel(orders[order_id].order_id)
                order = orders[order_id] = Order(side=side, price=price, original_quantity=qty)
                limit(order)
            else:
                market(Order(side=side, original_quantity=qty))

    return Driver(run, lambda: (None, int(book.best_bid()), int(book.best_ask())))


DRIVERS: Final[dict[str, Callable[[], Driver]]] = {
    "limit-order-book": limit_order_book,
    "orderly-chaos": orderly_chaos,
    "liquibook": liquibook,
    "liquibook-listening": partial(liquibook, listening=True),
    "lightmatchingengine": lightmatchingengine,
    "order-matching": order_matching,
    "cython-orderbook": cython_orderbook,
}


def main() -> None:
    name, path, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    filling, operations = marshal.loads(path.read_bytes())
    driver = DRIVERS[name]()
    driver.run(filling)
    chosen = operations[:count]
    gc.collect()
    gc.freeze()  # The flow itself is nothing that the collector should go through.
    began = time.process_time()
    driver.run(chosen)
    took = time.process_time() - began
    print(json.dumps({"per_s": len(chosen) / took, "outcome": driver.outcome()}))


if __name__ == "__main__":
    main()
