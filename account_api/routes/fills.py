"""Fills: every execution of the account, without an order id, each with its client ids."""

from __future__ import annotations

from typing import Final

from account_api.http.routing import QueryCall, Route
from account_api.reply import Reply
from account_api.routes.common import account_of, check_filters
from account_api.schema.from_orders import fill_view
from account_api.schema.identifiers import cursor_id
from account_api.schema.order_responses import FillsView
from account_api.schema.requests import FillsQuery
from engine.core.authority import Thing
from engine.history import reader as history


def get_fills(call: QueryCall[FillsQuery]) -> Reply:
    """List fills, ascending by trade id; a symbol and the last trade id are enough to sync."""
    query = call.query
    account = account_of(call, query.account)
    check_filters(call, symbol=query.symbol)
    after = max(query.after_trade_id or 0, cursor_id(query.cursor, "fills"))
    with call.services.fresh_history(query.min_seq) as connection:
        page = history.fills(
            connection,
            [account],
            symbol=query.symbol or "",
            after_trade_id=after,
            strategy=query.strategy or "",
            order_id=int(query.order_id) if query.order_id else 0,
            client_order_id=query.client_order_id or "",
            limit=query.limit,
        )
    catalogue = call.services.catalogue()
    rows = [fill_view(fill, catalogue) for fill in page.rows]
    return Reply(
        FillsView(
            account=account, fills=rows, next_cursor=page.cursor, as_of_seq=page.as_of_seq
        )
    )


ROUTES: Final = (
    Route(
        "GET", "/v1/fills", get_fills, "Fills", FillsView,
        thing=Thing.READ_FILLS, tag="orders",
        errors=("not_caught_up", "history_unavailable", "unknown_symbol"),
    ),
)  # fmt: skip
