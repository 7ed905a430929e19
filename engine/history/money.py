"""Queries about money: ledger, deposits, withdrawals, transfers. See ``queries``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, select

from engine.core.types import Deposit, HistoryStep, Withdrawal, WithdrawalState
from engine.history import schema
from engine.history.paging import between, check_limit, keyset_page, narrowed, of_accounts
from engine.history.position import last_seq
from engine.history.rows import LedgerEntry, Page, TransferRow


def ledger(
    connection: Connection,
    accounts: Sequence[str],
    *,
    asset: str = "",
    cause: str = "",
    from_us: int = 0,
    to_us: int = 0,
    cursor: str = "",
    limit: int = 100,
) -> Page[LedgerEntry]:
    """Return ledger entries in the order in which they happened, each with the balance after it."""
    table, balances = schema.ledger, schema.balances
    check_limit(limit)
    query = select(*(table.c[name] for name in LedgerEntry._fields))
    query = between(narrowed(query, (table.c.cause, cause)), table.c.time_us, from_us, to_us)
    # Whoever has lines of an asset has a balance of it. The lines of one of both are in order.
    both = select(balances.c.account, balances.c.asset).where(balances.c.account.in_(accounts))
    parts = [
        query.where(table.c.account == row.account, table.c.asset == row.asset)
        for row in connection.execute(narrowed(both, (balances.c.asset, asset)))
    ]
    key = (table.c.seq, table.c.event_index, table.c.line)
    rows, next_cursor = keyset_page(connection, parts, "ledger", key, cursor, limit)
    return Page([LedgerEntry(*row) for row in rows], next_cursor, last_seq(connection))


def deposit(connection: Connection, accounts: Sequence[str], deposit_id: str) -> Deposit | None:
    """Return one deposit by its id."""
    table = schema.deposits
    query = of_accounts(table, Deposit, accounts).where(table.c.deposit_id == deposit_id)
    row = connection.execute(query).first()
    return None if row is None else Deposit(*row)


def deposits(
    connection: Connection,
    accounts: Sequence[str],
    *,
    asset: str = "",
    cursor: str = "",
    limit: int = 100,
) -> Page[Deposit]:
    """Return deposits in the order in which they were first seen."""
    table = schema.deposits
    check_limit(limit)
    key = (table.c.first_seq, table.c.first_index)
    query = of_accounts(table, Deposit, accounts).add_columns(*key)
    query = narrowed(query, (table.c.asset, asset))
    rows, next_cursor = keyset_page(connection, query, "deposits", key, cursor, limit)
    found = [Deposit(*row[: len(Deposit._fields)]) for row in rows]
    return Page(found, next_cursor, last_seq(connection))


def withdrawal(
    connection: Connection,
    accounts: Sequence[str],
    *,
    withdrawal_id: int = 0,
    client_withdrawal_id: str = "",
) -> Withdrawal | None:
    """Return one withdrawal by its id or the client's id; both given must agree."""
    table = schema.withdrawals
    query = of_accounts(table, Withdrawal, accounts)
    query = narrowed(query, (table.c.withdrawal_id, withdrawal_id))
    if client_withdrawal_id or not withdrawal_id:
        query = query.where(table.c.client_withdrawal_id == client_withdrawal_id)
    row = connection.execute(query.order_by(table.c.withdrawal_id).limit(1)).first()
    return None if row is None else _withdrawal(row)


def withdrawals(
    connection: Connection,
    accounts: Sequence[str],
    *,
    asset: str = "",
    states: Iterable[WithdrawalState] = (),
    cursor: str = "",
    limit: int = 100,
) -> Page[Withdrawal]:
    """Return withdrawals with their histories, ascending by id; no ``states`` means all."""
    table = schema.withdrawals
    check_limit(limit)
    query = narrowed(of_accounts(table, Withdrawal, accounts), (table.c.asset, asset))
    wanted = [int(state) for state in states]
    if wanted:
        query = query.where(table.c.state.in_(wanted))
    key: tuple[ColumnElement[Any], ...] = (table.c.withdrawal_id,)
    rows, next_cursor = keyset_page(connection, query, "withdrawals", key, cursor, limit)
    return Page([_withdrawal(row) for row in rows], next_cursor, last_seq(connection))


def transfers(
    connection: Connection,
    accounts: Sequence[str],
    *,
    asset: str = "",
    client_transfer_id: str = "",
    cursor: str = "",
    limit: int = 100,
) -> Page[TransferRow]:
    """Return transfers, ascending by id; one row per side that belongs to the accounts."""
    table = schema.transfers
    check_limit(limit)
    query = of_accounts(table, TransferRow, accounts)
    query = narrowed(
        query, (table.c.asset, asset), (table.c.client_transfer_id, client_transfer_id)
    )
    key = (table.c.transfer_id, table.c.account)
    rows, next_cursor = keyset_page(connection, query, "transfers", key, cursor, limit)
    return Page([TransferRow(*row) for row in rows], next_cursor, last_seq(connection))


_history: Final = msgspec.json.Decoder(tuple[HistoryStep, ...])


def _withdrawal(row: Any) -> Withdrawal:
    found = Withdrawal(*row)
    return found._replace(state=WithdrawalState(found.state), history=_history.decode(row.history))
