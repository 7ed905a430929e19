"""State of the core as the rows that queries answer with."""

from __future__ import annotations

from engine.core.book import Book, Order
from engine.core.ledger import Account
from engine.core.types import AccountRow, BookOrders, OrderRow, ShownOrder


def order_row(order: Order) -> OrderRow:
    """Return an order as a query shows it."""
    instrument = order.book.instrument
    return OrderRow(
        order.terms, order.status, order.leaves, order.cum, order.notional, order.fees,
        order.held, instrument.quote if order.buy else instrument.base, order.display,
        order.triggered, order.updated_at,
    )  # fmt: skip


def account_row(account: Account) -> AccountRow:
    """Return an account as a query shows it."""
    return AccountRow(
        account.name, account.firm, account.maker_ppm, account.taker_ppm, account.stp,
        account.open_orders_max, tuple(account.approval_above.items()),
        tuple(account.daily_limits.items()), account.require_known_address,
        account.address_cooloff_us, len(account.orders), account.seq, account.suspended,
    )  # fmt: skip


def book_orders(book: Book) -> BookOrders:
    """Return what a book shows, order by order; O(orders)."""
    orders = tuple(
        ShownOrder(order.order_id, order.terms.side, order.price, order.display)
        for side in (book.bids, book.asks)
        for order in side.by_priority()
    )
    return BookOrders(book.symbol, book.status, orders)
