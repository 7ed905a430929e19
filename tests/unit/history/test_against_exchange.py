"""The history of the real exchange under random commands says what the exchange says."""

from __future__ import annotations

import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from engine.core.commands import (
    AdvanceWithdrawal,
    CancelWithdrawal,
    Command,
    DefineNetwork,
    Deposit,
    RequestWithdrawal,
    Transfer,
)
from engine.core.exchange import Exchange
from engine.core.types import Origin
from engine.history import queries, schema
from engine.history.postings import FEES_ACCOUNT, SETTLEMENT_ACCOUNT
from engine.history.projector import Projector
from engine.history.store import open_reader, open_writer
from engine.wire import Transaction
from tests.support.strategies import ACCOUNTS, ASSETS, ENGINE, Flow
from tests.unit.history.test_projector import dump

Balances = dict[tuple[str, str], tuple[int, int]]


def money_command(pick: random.Random, number: int) -> Command:
    """A deposit, a withdrawal or a step of one, or a transfer; some of them refused."""
    account, asset = pick.choice(list(ACCOUNTS)), pick.choice(list(ASSETS))
    origin = Origin(f"api:{account}", user=account)
    withdrawal_id = pick.randint(1, 1 + number // 12)
    kind = pick.randrange(8)
    if kind == 0:
        confirmations = pick.randint(0, 2)
        return Deposit(
            ENGINE, f"d{pick.randint(1, 9)}", account, asset, 50, "net", "a", "t", confirmations, 2
        )
    if kind == 1:
        return Transfer(origin, account, pick.choice(list(ACCOUNTS)), asset, 7, f"t{number}")
    if kind == 2:
        return CancelWithdrawal(origin, account, withdrawal_id)
    if kind in (3, 4):
        return RequestWithdrawal(
            origin, account, f"w{number}", asset, "net", "address", pick.randint(1, 90)
        )
    return AdvanceWithdrawal(ENGINE, withdrawal_id, pick.choice((5, 6, 6, 7, 10)))


def balances_of(exchange: Exchange) -> Balances:
    """All money that is not zero, the house's included."""
    found = {
        (name, asset): (money.available, money.held)
        for name, account in exchange.accounts.items()
        for asset, money in account.balances.items()
    }
    for asset, money in exchange.house.fees.items():
        found[FEES_ACCOUNT, asset] = (money.available, money.held)
    for asset, amount in exchange.house.settlement.items():
        found[SETTLEMENT_ACCOUNT, asset] = (amount, 0)
    return {key: value for key, value in found.items() if value != (0, 0)}


def play(seed: int, count: int) -> tuple[Exchange, list[Transaction], list[Balances]]:
    """Random commands on a real exchange; the balances after every transaction."""
    exchange, flow, pick = Exchange(), Flow(seed), random.Random(f"money {seed}")
    commands = flow.definitions()
    commands += [DefineNetwork(ENGINE, asset, "net", 3, 1, 1, 2) for asset in ASSETS]
    now = flow.now
    transactions: list[Transaction] = []
    balances: list[Balances] = []
    for number in range(count):
        if number < len(commands):
            command = commands[number]
        elif number % 4 == 0:
            command = money_command(pick, number)
        else:
            now, command = flow.next()
        now = max(now, exchange.time_us)
        events = exchange.apply(number + 1, now, command)
        flow.observe(events)
        transactions.append(Transaction(number + 1, now, command, tuple(events)))
        balances.append(balances_of(exchange))
    return exchange, transactions, balances


def project_in_random_batches(url: str, transactions: list[Transaction], seed: int) -> None:
    """Batches of any size, now and then by a projector that has just been started."""
    pick = random.Random(seed)
    engine = open_writer(url)
    projector = Projector(engine)
    while projector.last_seq < len(transactions):
        if pick.random() < 0.2:
            engine.dispose()
            engine = open_writer(url)
            projector = Projector(engine)
        start = max(0, projector.last_seq - pick.choice((0, 0, 3)))
        projector.apply(transactions[start : start + pick.choice((1, 2, 7, 60))])
    engine.dispose()


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_balances_equal_the_exchanges_after_every_transaction(url: str, seed: int) -> None:
    exchange, transactions, balances = play(seed, 500)
    project_in_random_batches(url, transactions, seed)
    reader = open_reader(url)
    key = (schema.ledger.c.seq, schema.ledger.c.event_index, schema.ledger.c.line)
    with reader.connect() as connection:
        lines: dict[int, list[Any]] = defaultdict(list)
        for row in connection.execute(select(schema.ledger).order_by(*key)):
            lines[row.seq].append(row)
        causes = {row.cause for rows in lines.values() for row in rows}
        known: Balances = {}
        for seq, expected in enumerate(balances, 1):
            sums: dict[str, int] = defaultdict(int)
            for row in lines[seq]:
                known[row.account, row.asset] = (row.available, row.held)
                sums[row.asset] += row.available_change + row.held_change
            assert {k: v for k, v in known.items() if v != (0, 0)} == expected, seq
            assert set(sums.values()) <= {0}, seq
        stored = {
            (row.account, row.asset): (row.available, row.held)
            for row in connection.execute(select(schema.balances))
        }
        assert {k: v for k, v in stored.items() if v != (0, 0)} == balances[-1]
        assert causes > {"fill", "order_hold", "deposit", "transfer", "withdrawal_hold"}
        for order in exchange.orders.values():
            found = queries.order(connection, list(ACCOUNTS), order_id=order.order_id)
            assert found is not None
            assert found.row.order == order.terms
            state = (found.row.status, found.row.leaves, found.row.cum, found.row.notional)
            assert state == (order.status, order.leaves, order.cum, order.notional)
            assert (found.row.fees, found.row.held) == (order.fees, order.held)
            for client_id in order.client_ids():
                by_client = queries.order(
                    connection, [order.account.name], client_order_id=client_id
                )
                assert by_client == found
    reader.dispose()


@pytest.mark.parametrize("seed", [5, 6])
def test_rebuilt_history_equals_the_incremental_one(tmp_path: Path, seed: int) -> None:
    _, transactions, _ = play(seed, 600)
    incremental, at_once = (f"sqlite:///{tmp_path / name}.db" for name in ("a", "b"))
    project_in_random_batches(incremental, transactions, seed)
    engine, other = open_writer(at_once), open_writer(incremental)
    projector = Projector(engine)
    projector.apply(transactions[:100])
    projector.clear()
    projector.apply(transactions)
    assert dump(engine) == dump(other)
    engine.dispose()
    other.dispose()


def test_fills_of_a_symbol_sum_up_to_the_filled_quantities(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'history.db'}"
    exchange, transactions, _ = play(7, 800)
    project_in_random_batches(url, transactions, 7)
    reader = open_reader(url)
    with reader.connect() as connection:
        filled: dict[int, int] = defaultdict(int)
        for symbol in exchange.books:
            after = 0
            while True:
                page = queries.fills(
                    connection, list(ACCOUNTS), symbol=symbol, after_trade_id=after, limit=7
                )
                for row in page.rows:
                    assert row.client_order_id
                    filled[row.order_id] += row.qty
                if page.cursor is None:
                    break
                after = int(page.cursor)
        expected = {o.order_id: o.cum for o in exchange.orders.values() if o.cum}
        assert len(expected) > 20
        assert dict(filled) == expected
        volume = sum(
            candle.qty
            for symbol in exchange.books
            for candle in queries.candles(connection, symbol, 60_000_000, limit=1000).rows
        )
        assert 2 * volume == sum(filled.values())
    reader.dispose()
