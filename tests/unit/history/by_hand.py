"""Transactions written by hand: two accounts, one trade in two parts, money in and out."""

from __future__ import annotations

from typing import Any

from engine.core import events as ev
from engine.core.commands import Tick
from engine.core.types import (
    CancelReason,
    Deposit,
    HistoryStep,
    Liquidity,
    OrderTerms,
    OrdStatus,
    OrdType,
    Origin,
    SelfTrade,
    Side,
    TimeInForce,
    Withdrawal,
    WithdrawalState,
)
from engine.wire import Transaction

START_US = 1_700_000_040_000_000
"""A whole minute, so that candles begin where the day does."""
SECOND_US = 1_000_000


def terms(order_id: int, account: str, client: str, side: Side, **changes: Any) -> OrderTerms:
    """A limit order on BTC-USD, 10 lots at 100 ticks unless changed."""
    order = OrderTerms(
        order_id, account, client, client, "BTC-USD", side, OrdType.LIMIT, TimeInForce.GTC,
        10, 100, 0, 0, 0, 0, 0, False, SelfTrade.NONE, "", False, "api:k", START_US,
    )  # fmt: skip
    return order._replace(**changes)


def filled(
    account_seq: int, order: OrderTerms, trade_id: int, qty: int, cum: int, **changes: Any
) -> ev.OrderFilled:
    """A fill at 100 ticks; one lot is 5 base atoms, one lot at one tick 2 quote atoms."""
    leaves = order.qty - cum
    event = ev.OrderFilled(
        order.account, account_seq, order,
        OrdStatus.FILLED if leaves == 0 else OrdStatus.PARTIALLY_FILLED,
        leaves, cum, cum * 100, trade_id, qty, 100, Liquidity.MAKER, qty * 5, qty * 200,
        0, 0, 0, leaves,
    )  # fmt: skip
    return event._replace(**changes)


def deposit(account: str, asset: str, amount: int) -> ev.DepositUpdated:
    """A deposit credited at once."""
    about = Deposit(
        f"genesis:{account}:{asset}", account, asset, "", "", "", amount, 0, 0, True,
        START_US, START_US,
    )  # fmt: skip
    return ev.DepositUpdated(account, 1, about, amount)


def withdrawal(state: WithdrawalState, *steps: WithdrawalState) -> Withdrawal:
    """Alice's withdrawal of 300 with a fee of 7, after ``steps``, in ``state``."""
    history = tuple(HistoryStep(step, START_US, "alice", "") for step in (*steps, state))
    return Withdrawal(
        1, "alice", "w-1", "USD", "wire", "addr", "", 300, 7, state, "alice", "", START_US,
        START_US, 0, "", 0, 1, history,
    )  # fmt: skip


class Journal:
    """Numbers transactions and stamps them, one second apart."""

    def __init__(self) -> None:
        self.transactions: list[Transaction] = []

    def add(self, *events: ev.Event) -> None:
        seq = len(self.transactions) + 1
        time_us = START_US + (seq - 1) * SECOND_US
        command = Tick(Origin("engine"))
        self.transactions.append(Transaction(seq, time_us, command, events))


def day() -> list[Transaction]:
    """A small day: definitions, grants, a replace chain, fills, a cancel, money out."""
    journal = Journal()
    journal.add(ev.AssetDefined("", 0, "BTC", 8), ev.AssetDefined("", 0, "USD", 8))
    journal.add(
        ev.InstrumentDefined("", 0, "BTC-USD", "BTC", "USD", "0.01", "0.1", 1, 1000, 10**6)
    )
    journal.add(
        ev.AccountDefined("alice", 1, "alice", 500, 1000, SelfTrade.NONE),
        ev.AccountDefined("bob", 1, "bob", 500, 1000, SelfTrade.NONE),
    )
    journal.add(deposit("alice", "USD", 10_000))
    journal.add(deposit("bob", "BTC", 1_000))
    # Alice bids for 12, replaces to 10 (5 keeps ids a-1 and a-2), strategy mm.
    bid = terms(1, "alice", "a-1", Side.BUY, qty=12, strategy="mm")
    journal.add(ev.OrderAccepted("alice", 3, bid, 12, 2403, 12))
    changed = bid._replace(client_order_id="a-2", qty=10)
    journal.add(
        ev.OrderReplaced(
            "alice", 4, changed, "a-1", OrdStatus.NEW, 10, 0, 0, True, "api:k", -401, 10
        )
    )
    # Bob sells 4, then 3 by another order.
    offer = terms(2, "bob", "b-1", Side.SELL, qty=4)
    journal.add(
        ev.OrderAccepted("bob", 3, offer, 4, 20, 0),
        filled(4, offer, 1, 4, 4, fee=1, fees=1, hold_change=-20, liquidity=Liquidity.TAKER),
        filled(5, changed, 1, 4, 4, fee=1, fees=1, hold_change=-801),
    )
    again = terms(3, "bob", "b-2", Side.SELL, qty=3)
    journal.add(
        ev.OrderAccepted("bob", 5, again, 3, 15, 0),
        filled(6, again, 2, 3, 3, fee=1, fees=1, hold_change=-15, liquidity=Liquidity.TAKER),
        filled(6, changed, 2, 3, 7, fee=0, fees=1, hold_change=-600),
    )
    journal.add(
        ev.OrderCanceled(
            "alice", 7, changed, OrdStatus.CANCELED, 7, 700, CancelReason.REQUESTED, "a-3",
            "api:k", -601,
        )  # fmt: skip
    )
    requested, state = WithdrawalState.REQUESTED, WithdrawalState
    journal.add(ev.WithdrawalUpdated("alice", 8, withdrawal(requested), 307, 0))
    journal.add(
        ev.WithdrawalUpdated("alice", 9, withdrawal(state.CONFIRMING, requested), -307, 307)
    )
    journal.add(
        ev.WithdrawalUpdated(
            "alice", 10, withdrawal(state.FAILED, requested, state.CONFIRMING), 0, -307
        )
    )
    journal.add(
        ev.Transferred("alice", 11, "t-1", 1, "bob", "USD", -100),
        ev.Transferred("bob", 7, "t-1", 1, "alice", "USD", 100),
    )
    return journal.transactions
