"""Queries for notifications: what happened to accounts, in the venue's order. See ``queries``.

Fills are read from their own table, which is in the order of trade ids; these rise with the
sequence, so the first trade of a transaction is found without an index by sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, Table, and_, func, or_, select

from engine.core import events as ev
from engine.core.events import InstrumentDefined
from engine.core.instruments import Instrument, defined_instrument
from engine.core.types import Deposit, Liquidity, Side, Withdrawal
from engine.history import schema
from engine.history.paging import check_limit, of_accounts
from engine.history.rows import Fill, Notice

Place = tuple[int, int]
"""(seq, event index)."""

_decoders: Final[dict[int, msgspec.json.Decoder[Any]]] = {
    ev.EVENT_KINDS[ev.DepositUpdated]: msgspec.json.Decoder(Deposit),
    ev.EVENT_KINDS[ev.WithdrawalUpdated]: msgspec.json.Decoder(Withdrawal),
}


def notices(
    connection: Connection,
    accounts: Sequence[str],
    *,
    after: Place,
    until: Place | None = None,
    fills_after: Place | None = None,
    limit: int = 100,
) -> list[Notice]:
    """Return what happened to accounts behind ``after``, up to ``until``, ascending by place.

    ``fills_after`` is where fills are read from, if that is later; None: no fills are read.
    """
    check_limit(limit)
    table = schema.money_events
    query = select(table).where(table.c.account.in_(accounts), _behind(table, after))
    if until is not None:
        query = query.where(~_behind(table, until))
    query = query.order_by(table.c.seq, table.c.event_index).limit(limit)
    found = [
        Notice(row.seq, row.event_index, row.account, row.time_us,
               _decoders[row.kind].decode(row.body))
        for row in connection.execute(query)
    ]  # fmt: skip
    if fills_after is not None:
        found += _fills(connection, accounts, max(after, fills_after), until, limit)
        found.sort(key=lambda one: one.place)
    return found[:limit]


def _fills(
    connection: Connection,
    accounts: Sequence[str],
    after: Place,
    until: Place | None,
    limit: int,
) -> list[Notice]:
    table = schema.fills
    first = first_trade(connection, after[0])
    query = of_accounts(table, Fill, accounts)
    query = query.where(table.c.trade_id >= first, _behind(table, after))
    if until is not None:
        query = query.where(~_behind(table, until))
    query = query.order_by(table.c.trade_id, table.c.event_index).limit(limit)
    found = []
    for row in connection.execute(query):
        fill = Fill(*row)
        fill = fill._replace(side=Side(fill.side), liquidity=Liquidity(fill.liquidity))
        found.append(Notice(fill.seq, fill.event_index, fill.account, fill.time_us, fill))
    return found


def first_trade(connection: Connection, seq: int) -> int:
    """Return the first trade id of ``seq`` or later; one past the last where there is none."""
    table = schema.fills
    low = 1
    high = (connection.execute(select(func.max(table.c.trade_id))).scalar() or 0) + 1
    while low < high:
        middle = (low + high) // 2
        row = connection.execute(
            select(table.c.trade_id, table.c.seq).where(table.c.trade_id >= middle)
            .order_by(table.c.trade_id).limit(1)
        ).first()  # fmt: skip
        if row is None or row.seq >= seq:
            high = middle
        else:
            low = row.trade_id + 1
    return low


def newest_trade(connection: Connection) -> int:
    """Return the id of the newest trade; 0 if there is none."""
    return connection.execute(select(func.max(schema.fills.c.trade_id))).scalar() or 0


def touched(connection: Connection, after_seq: int, after_trade: int) -> set[str]:
    """Return the accounts to which something happened behind a transaction and a trade."""
    money, fills = schema.money_events, schema.fills
    rows = connection.execute(
        select(money.c.account).where(money.c.seq > after_seq).distinct()
        .union(select(fills.c.account).where(fills.c.trade_id > after_trade).distinct())
    )  # fmt: skip
    return {row.account for row in rows}


def firm_accounts(connection: Connection, firm: str) -> list[str]:
    """Return the accounts of a firm."""
    table = schema.accounts
    rows = connection.execute(select(table.c.account).where(table.c.firm == firm))
    return sorted(row.account for row in rows)


def scales(connection: Connection) -> dict[str, int]:
    """Return the scale of each asset."""
    table = schema.assets
    return {row.asset: row.scale for row in connection.execute(select(table))}


def instruments(connection: Connection) -> dict[str, Instrument]:
    """Return every instrument, without its band, by symbol."""
    known = scales(connection)
    found = {}
    for row in connection.execute(select(schema.instruments)):
        event = InstrumentDefined("", 0, **row._mapping)
        found[event.symbol] = defined_instrument(event, known)
    return found


def _behind(table: Table, place: Place) -> ColumnElement[bool]:
    """(seq, event_index) > place, written out because not every index is used for row values."""
    seq, index = place
    return and_(
        table.c.seq >= seq, or_(table.c.seq > seq, table.c.event_index > index)
    )
