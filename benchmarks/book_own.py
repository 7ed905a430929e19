"""The venue's book with nothing around it: what ``benchmarks.book`` measures.

A map of ids, price-time matching and a list of trades on the functions of
``engine.core.book``, as thin as those of the books beside it. The orders are the venue's, with
every field that it needs, but share one set of terms, and nobody checks or pays anything.
"""

from __future__ import annotations

from typing import Final

from engine.core.book import Book, BookSide, Order
from engine.core.instruments import make_instrument
from engine.core.ledger import Account, Money
from engine.core.triggers import StopBook
from engine.core.types import OrderTerms, OrdType, SelfTrade, Side, TimeInForce

INSTRUMENT: Final = make_instrument(
    "BTC-USD", "BTC", 8, "USD", 8, "0.01", "0.00001", 1, 10**9, 10**8
)
TERMS: Final = OrderTerms(
    1, "firm", "id", "id", "BTC-USD", Side.BUY, OrdType.LIMIT, TimeInForce.GTC, 1, 1, 0, 0, 0, 0,
    0, False, SelfTrade.NONE, "", False, "fix:FIRM", 0,
)  # fmt: skip


class BareBook:
    """Limit orders, immediate ones, cancel and replace on one ``Book``."""

    def __init__(self) -> None:
        self.book = Book(INSTRUMENT, StopBook(), Money())
        self.bids: BookSide = self.book.bids
        self.asks: BookSide = self.book.asks
        self.account = Account("firm", "firm")
        self.orders: dict[int, Order] = {}
        self.spare: list[Order] = []
        self.trades: list[tuple[int, int, int]] = []
        """Of every trade the resting order's id, the price and the quantity."""

    def limit(self, order_id: int, buy: bool, qty: int, price: int) -> None:
        """Trade what can be traded; the rest comes to rest."""
        best = self.asks.best if buy else self.bids.best
        if best is not None and (best.price <= price if buy else best.price >= price):
            qty = self.immediate(buy, qty, price)
            if not qty:
                return
        spare = self.spare
        order = spare.pop() if spare else Order(TERMS, self.account, self.book)
        order.order_id = order_id
        order.buy = buy
        order.price = price
        order.leaves = order.display = qty
        self.orders[order_id] = order
        (self.bids if buy else self.asks).add(order)

    def immediate(self, buy: bool, qty: int, price: int) -> int:
        """Trade with the other side up to a price limit; return the remaining quantity."""
        side = self.asks if buy else self.bids
        while qty:
            level = side.best
            if level is None or (level.price > price if buy else level.price < price):
                break
            maker = level.head
            if maker is None:
                raise AssertionError("a level in the book has an order")
            shown = maker.display
            if shown > qty:
                self.trades.append((maker.order_id, level.price, qty))
                maker.leaves = shown - qty
                side.resize(maker, shown - qty)
                return 0
            self.trades.append((maker.order_id, level.price, shown))
            qty -= shown
            maker.leaves = 0
            side.remove(maker)
            del self.orders[maker.order_id]
            self.spare.append(maker)
        return qty

    def cancel(self, order_id: int) -> None:
        """Take an order out."""
        order = self.orders.pop(order_id)
        self.spare.append(order)
        if order.buy:
            self.bids.remove(order)
        else:
            self.asks.remove(order)

    def replace(self, order_id: int, qty: int, price: int) -> None:
        """Give an order another quantity and price; it goes to the back of the queue."""
        order = self.orders[order_id]
        buy = order.buy
        side = self.bids if buy else self.asks
        side.remove(order)
        if self.book.crosses(buy, price):
            qty = self.immediate(buy, qty, price)
            if not qty:
                del self.orders[order_id]
                self.spare.append(order)
                return
        order.price = price
        order.leaves = qty
        order.display = qty
        side.add(order)

    def run(self, operations: list[tuple[int, int, bool, int, int]]) -> None:
        """Do one operation after the other, as ``benchmarks.book_flow`` has them."""
        limit, immediate, cancel, replace = self.limit, self.immediate, self.cancel, self.replace
        for kind, order_id, buy, qty, price in operations:
            if kind == 0:
                limit(order_id, buy, qty, price)
            elif kind == 1:
                cancel(order_id)
            elif kind == 2:
                replace(order_id, qty, price)
            else:
                immediate(buy, qty, price)

    def outcome(self) -> tuple[int, int, int]:
        """Return resting orders, best bid and best ask (0 for none)."""
        bid, ask = self.bids.best, self.asks.best
        return len(self.orders), bid.price if bid else 0, ask.price if ask else 0
