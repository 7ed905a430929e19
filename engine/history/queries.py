"""Read-only queries of the history, for any process that can open its database.

Every function takes an open Connection and reads one consistent state. Lists are ascending,
rows that the caller has already (``after_trade_id``, a cursor) are left out, ``limit`` is 1 to
1000, and ``accounts`` are those whose rows the caller may see: there is no query for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

from sqlalchemy import Connection, Select, select
from sqlalchemy.exc import SQLAlchemyError

from engine.core.types import (
    CancelReason,
    Liquidity,
    OrderRow,
    OrderTerms,
    OrdStatus,
    OrdType,
    Route,
    SelfTrade,
    Side,
    TimeInForce,
)
from engine.history import schema
from engine.history.candles import CANDLE_INTERVALS_US
from engine.history.money import (
    deposit,
    deposits,
    ledger,
    transfers,
    withdrawal,
    withdrawals,
)
from engine.history.notices import (
    firm_accounts,
    instruments,
    newest_trade,
    notices,
    scales,
    touched,
)
from engine.history.paging import (
    LIMIT_MAX,
    CursorError,
    between,
    check_limit,
    keyset_page,
    narrowed,
    of_accounts,
)
from engine.history.position import last_seq, newest, wait_for
from engine.history.postings import Pair, Posting, postings
from engine.history.rows import (
    Candle,
    Fill,
    HistoricOrder,
    LedgerEntry,
    Notice,
    Page,
    PublicTrade,
    Ticker,
    TransferRow,
)
from engine.history.store import StoreError, open_reader
from engine.history.tickers import ticker

__all__ = [
    "CANDLE_INTERVALS_US",
    "LIMIT_MAX",
    "Candle",
    "CursorError",
    "Fill",
    "HistoricOrder",
    "LedgerEntry",
    "Notice",
    "Page",
    "Pair",
    "Posting",
    "PublicTrade",
    "SQLAlchemyError",
    "StoreError",
    "Ticker",
    "TransferRow",
    "candles",
    "deposit",
    "deposits",
    "fills",
    "firm_accounts",
    "instruments",
    "last_seq",
    "ledger",
    "newest",
    "newest_trade",
    "notices",
    "open_reader",
    "order",
    "orders",
    "postings",
    "scales",
    "ticker",
    "touched",
    "trades",
    "transfers",
    "wait_for",
    "withdrawal",
    "withdrawals",
]

_TERMS: Final = [name for name in OrderTerms._fields if name != "route"]
_STATE_AT: Final = len(_TERMS) + len(Route._fields)
_order_columns: Final = [
    schema.orders.c[name]
    for name in (*_TERMS, *Route._fields, *OrderRow._fields)
    if name != "order"
]

_order_marks: Final = [
    schema.orders.c.cancel_reason, schema.orders.c.last_seq, schema.orders.c.first_seq,
]  # fmt: skip


def fills(
    connection: Connection,
    accounts: Sequence[str],
    *,
    symbol: str = "",
    after_trade_id: int = 0,
    strategy: str = "",
    order_id: int = 0,
    client_order_id: str = "",
    side: Side | None = None,
    from_us: int = 0,
    to_us: int = 0,
    limit: int = 100,
) -> Page[Fill]:
    """Return fills with a trade id above ``after_trade_id``, ascending, with client order ids.

    ``client_order_id`` may be any id of a chain. Both sides of a trade that the accounts had
    with each other come on one page, so that the last ``trade_id`` of a page is a safe place
    to go on from; a page may therefore hold ``limit`` + 1 rows when the limit is 1. The
    page's cursor is that last trade id as text.
    """
    table = schema.fills
    check_limit(limit)
    query = of_accounts(table, Fill, accounts).where(table.c.trade_id > after_trade_id)
    query = narrowed(
        query, (table.c.symbol, symbol), (table.c.strategy, strategy),
        (table.c.order_id, order_id), (table.c.side, side and int(side)),
    )  # fmt: skip
    if client_order_id:
        query = query.where(table.c.order_id.in_(_orders_named(accounts, client_order_id)))
    query = between(query, table.c.time_us, from_us, to_us)
    query = query.order_by(table.c.trade_id, table.c.order_id).limit(limit + 1)
    found = [_fill(row) for row in connection.execute(query)]
    rows = found[:limit]
    if len(found) > limit and found[limit].trade_id == found[limit - 1].trade_id:
        rows = [row for row in rows if row.trade_id != found[limit].trade_id] or found
    more = len(rows) < len(found) or len(found) > limit
    return Page(rows, str(rows[-1].trade_id) if rows and more else None, last_seq(connection))


def trades(
    connection: Connection,
    symbol: str,
    *,
    after_trade_id: int | None = None,
    from_us: int = 0,
    to_us: int = 0,
    limit: int = 100,
) -> Page[PublicTrade]:
    """Return public trades of a symbol, ascending by trade id.

    With ``after_trade_id`` (exclusive; 0 for the beginning) the next ones, without it the
    newest ``limit``. The cursor is the last trade id as text.
    """
    table = schema.trades
    check_limit(limit)
    query = select(*(table.c[name] for name in PublicTrade._fields)).where(table.c.symbol == symbol)
    query = between(query, table.c.time_us, from_us, to_us)
    if after_trade_id is None:
        newest = connection.execute(query.order_by(table.c.trade_id.desc()).limit(limit))
        rows = [_trade(row) for row in newest][::-1]
        return Page(rows, None, last_seq(connection))
    query = query.where(table.c.trade_id > after_trade_id)
    found = connection.execute(query.order_by(table.c.trade_id).limit(limit + 1))
    rows = [_trade(row) for row in found]
    more, rows = len(rows) > limit, rows[:limit]
    return Page(rows, str(rows[-1].trade_id) if more else None, last_seq(connection))


def candles(
    connection: Connection,
    symbol: str,
    interval_us: int,
    *,
    from_us: int = 0,
    to_us: int = 0,
    limit: int = 100,
) -> Page[Candle]:
    """Return candles that start within [from_us, to_us), ascending; to_us 0 means no end.

    Without ``from_us`` the newest ``limit``. ``interval_us`` is a value of
    CANDLE_INTERVALS_US (else ValueError). The cursor is the next start in µs as text.
    """
    table = schema.candles
    check_limit(limit)
    if interval_us not in CANDLE_INTERVALS_US.values():
        names = ", ".join(CANDLE_INTERVALS_US)
        raise ValueError(f"there are no candles of {interval_us} µs; intervals are {names}")
    query = select(*(table.c[name] for name in Candle._fields)).where(
        table.c.symbol == symbol, table.c.interval_us == interval_us
    )
    query = between(query, table.c.start_us, from_us, to_us)
    if not from_us:
        newest = connection.execute(query.order_by(table.c.start_us.desc()).limit(limit))
        rows = [Candle(*row) for row in newest][::-1]
        return Page(rows, None, last_seq(connection))
    found = connection.execute(query.order_by(table.c.start_us).limit(limit + 1))
    rows = [Candle(*row) for row in found]
    more, rows = len(rows) > limit, rows[:limit]
    return Page(rows, str(rows[-1].start_us + 1) if more else None, last_seq(connection))


def order(
    connection: Connection,
    accounts: Sequence[str],
    *,
    order_id: int = 0,
    client_order_id: str = "",
) -> HistoricOrder | None:
    """Return one order by its id or by any client order id of its chain; both given must agree."""
    table = schema.orders
    query = select(*_order_columns, *_order_marks).where(table.c.account.in_(accounts))
    query = narrowed(query, (table.c.order_id, order_id))
    if client_order_id or not order_id:
        query = query.where(table.c.order_id.in_(_orders_named(accounts, client_order_id)))
    row = connection.execute(query.order_by(table.c.order_id.desc()).limit(1)).first()
    return None if row is None else _order(row)


def orders(
    connection: Connection,
    accounts: Sequence[str],
    *,
    status: Literal["", "open", "closed"] = "",
    symbol: str = "",
    strategy: str = "",
    side: Side | None = None,
    client_order_id: str = "",
    session: str = "",
    from_us: int = 0,
    to_us: int = 0,
    newest: bool = False,
    cursor: str = "",
    limit: int = 100,
) -> Page[HistoricOrder]:
    """Return orders that were created within [from_us, to_us), ascending by order id.

    With ``newest`` descending; a cursor is good for the direction that gave it.
    """
    table = schema.orders
    check_limit(limit)
    query: Select[Any] = select(*_order_columns, *_order_marks).where(
        table.c.account.in_(accounts)
    )
    if status:
        query = query.where(table.c.open.is_(status == "open"))
    query = narrowed(
        query, (table.c.symbol, symbol), (table.c.strategy, strategy),
        (table.c.side, side and int(side)), (table.c.session, session),
    )  # fmt: skip
    if client_order_id:
        query = query.where(table.c.order_id.in_(_orders_named(accounts, client_order_id)))
    query = between(query, table.c.created_at, from_us, to_us)
    rows, next_cursor = keyset_page(
        connection, query, "orders", (table.c.order_id,), cursor, limit, newest=newest
    )
    return Page([_order(row) for row in rows], next_cursor, last_seq(connection))


def _orders_named(accounts: Sequence[str], client_order_id: str) -> Select[Any]:
    table = schema.client_ids
    return select(table.c.order_id).where(
        table.c.account.in_(accounts), table.c.client_order_id == client_order_id
    )


def _fill(row: Any) -> Fill:
    fill = Fill(*row)
    return fill._replace(side=Side(fill.side), liquidity=Liquidity(fill.liquidity))


def _trade(row: Any) -> PublicTrade:
    trade = PublicTrade(*row)
    return trade._replace(taker_side=Side(trade.taker_side))


def _order(row: Any) -> HistoricOrder:
    terms = OrderTerms(*row[: len(_TERMS)])
    route = Route(*row[len(_TERMS) : _STATE_AT])
    terms = terms._replace(
        route=route if any(route) else None,
        side=Side(terms.side),
        ord_type=OrdType(terms.ord_type),
        tif=TimeInForce(terms.tif),
        stp=SelfTrade(terms.stp),
    )
    *state, cancel_reason, seq, first_seq = row[_STATE_AT:]
    shown = OrderRow(terms, OrdStatus(state[0]), *state[1:])
    reason = CancelReason(cancel_reason) if cancel_reason else None
    return HistoricOrder(shown, reason, seq, first_seq)
