"""Search for orders: first in the engine, which has the open and recently closed ones, then in
the history, which has all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from account_api.errors import Problem
from account_api.schema.catalogue import Listing
from account_api.schema.from_orders import order_answer, order_view
from account_api.schema.from_rows import SIDES
from account_api.schema.identifiers import cursor_id
from account_api.schema.order_responses import FillView, OrderAnswer, OrdersView
from account_api.schema.requests import OrdersQuery
from account_api.services import Services
from engine.client import queries
from engine.core.commands import NewOrder
from engine.core.events import OrderAccepted
from engine.core.types import CancelReason, OrderRow, OrderTerms, OrdStatus, Origin, TimeInForce
from engine.history import reader as history

_log: Final = structlog.get_logger("account_api")


@dataclass(frozen=True, slots=True)
class FoundOrder:
    """An order as of a sequence; ``reason`` says why it was canceled, where that is known."""

    row: OrderRow
    reason: CancelReason | None
    as_of_seq: int

    def answer(
        self,
        listing: Listing,
        executions: list[FillView] | None = None,
        priority_kept: bool | None = None,
    ) -> OrderAnswer:
        """Render it as the answer to a request about this order."""
        return order_answer(
            self.row, self.reason, listing, self.as_of_seq, executions, priority_kept
        )


def _is_open(row: OrderRow) -> bool:
    return row.status in (OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED)


def find_order(
    services: Services, account: str, order_id: int, client_order_id: str, min_seq: int = 0
) -> FoundOrder | None:
    """Find one order, open or closed, by its id or by any client id of its chain.

    A client id finds only orders of the account itself. By order id the firm's main account finds
    the orders of all its accounts (rules C-1, S-6).
    """
    answer = services.fetch(queries.Order(account, client_order_id, order_id), min_seq)
    row = answer.value
    if row is not None and (_is_open(row) or services.history_opener is None):
        return FoundOrder(row, None, answer.as_of_seq)
    try:
        with services.history() as connection:
            past = history.order(
                connection,
                [row.order.account] if row is not None else _named_by(services, account, order_id),
                order_id=row.order.order_id if row is not None else order_id,
                client_order_id="" if row is not None else client_order_id,
            )
    except Problem:
        if row is None:
            raise
        past = None
    if row is not None:
        # The engine is ahead of the history and decides; only the reason comes from there.
        current = past is not None and not _is_open(past.row)
        return FoundOrder(row, past.cancel_reason if past and current else None, answer.as_of_seq)
    return None if past is None else FoundOrder(past.row, past.cancel_reason, answer.as_of_seq)


def _named_by(services: Services, account: str, order_id: int) -> list[str]:
    """Return the accounts whose orders a reference of this account can mean."""
    if not order_id:
        return [account]
    # The main account bears the firm's name; any other is the name of no firm.
    firm = services.fetch(queries.Accounts(account)).value
    return [account, *(row.account for row in firm if row.account != account)]


def symbol_of(
    services: Services,
    account: str,
    order_id: int,
    client_order_id: str,
    made: Mapping[str, str],
) -> str | None:
    """Return the instrument of an order, None if there is no such order.

    ``made`` has the instruments, by client order id, of orders that will exist when the command
    is done. The engine is asked first: a client id that is taken creates no second order.
    """
    row = services.fetch(queries.Order(account, client_order_id, order_id)).value
    if row is not None:
        return row.order.symbol
    if client_order_id in made:
        return made[client_order_id]
    found = find_order(services, account, order_id, client_order_id)
    return None if found is None else found.row.order.symbol


def original_create(services: Services, found: FoundOrder) -> NewOrder:
    """Read the create that an order began with from the transaction that created it.

    If that cannot be read now, or is archived, the order's present terms are used instead.
    """
    order = found.row.order
    try:
        with services.history(found.as_of_seq) as connection:
            past = history.order(connection, [order.account], order_id=order.order_id)
        transaction = None if past is None else services.transaction(past.first_seq)
    except Problem as problem:
        _log.warning("original_not_read", order_id=order.order_id, reason=problem.detail)
        transaction = None
    for event in transaction.events if transaction is not None else ():
        if isinstance(event, OrderAccepted) and event.order.order_id == order.order_id:
            return _create_of(event.order)
    return _create_of(order)


def _create_of(order: OrderTerms) -> NewOrder:
    """Return the create that was accepted with these terms."""
    return NewOrder(
        origin=Origin(order.session),
        account=order.account,
        client_order_id=order.first_client_order_id,
        symbol=order.symbol,
        side=order.side,
        ord_type=order.ord_type,
        tif=order.tif,
        qty=0 if order.cash_qty else order.qty,
        price=order.price,
        stop_price=order.stop_price,
        cash_qty=order.cash_qty,
        min_qty=order.min_qty,
        display_qty=order.display_qty,
        expire_at=order.expire_at if order.tif is TimeInForce.GTD else 0,
        post_only=order.post_only,
        stp=order.stp,
        strategy=order.strategy,
        manual=order.manual,
    )


def list_orders(services: Services, account: str, query: OrdersQuery) -> OrdersView:
    """List a page of orders by order id, ascending or newest first; open ones are the engine's."""
    if query.status == "open":
        return _open_orders(services, account, query)
    with services.fresh_history(query.min_seq) as connection:
        page = history.orders(
            connection,
            [account],
            status="closed" if query.status == "closed" else "",
            symbol=query.symbol or "",
            strategy=query.strategy or "",
            side=None if query.side is None else SIDES[query.side],
            client_order_id=query.client_order_id or "",
            newest=query.sort == "newest",
            cursor=query.cursor or "",
            limit=query.limit,
        )
    catalogue = services.catalogue()
    orders = [order_view(past.row, catalogue, past.cancel_reason) for past in page.rows]
    return OrdersView(
        account=account, orders=orders, next_cursor=page.cursor, as_of_seq=page.as_of_seq
    )


def _open_orders(services: Services, account: str, query: OrdersQuery) -> OrdersView:
    catalogue = services.catalogue()
    newest = query.sort == "newest"
    after = cursor_id(query.cursor, "open orders")
    if query.client_order_id is not None:
        one = services.fetch(queries.Order(account, query.client_order_id), query.min_seq)
        found = [one.value] if one.value is not None and _is_open(one.value) else []
        as_of_seq = one.as_of_seq
    else:
        side = None if query.side is None else SIDES[query.side]
        answer = services.fetch(
            queries.OpenOrders(
                account, symbol=query.symbol or "", strategy=query.strategy or "", side=side
            ),
            query.min_seq,
        )
        found, as_of_seq = answer.value, answer.as_of_seq

    def beyond(order_id: int) -> bool:
        return (not after or order_id < after) if newest else order_id > after

    rows = sorted(
        (row for row in found if beyond(row.order.order_id) and _matches(row, query)),
        key=lambda row: row.order.order_id,
        reverse=newest,
    )
    page = rows[: query.limit]
    more = str(page[-1].order.order_id) if len(rows) > len(page) else None
    orders = [order_view(row, catalogue) for row in page]
    return OrdersView(account=account, orders=orders, next_cursor=more, as_of_seq=as_of_seq)


def _matches(row: OrderRow, query: OrdersQuery) -> bool:
    order = row.order
    return (
        query.symbol in (None, order.symbol)
        and query.strategy in (None, order.strategy)
        and (query.side is None or SIDES[query.side] is order.side)
    )
