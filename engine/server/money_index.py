"""Deposits and withdrawals by account, for queries."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from engine.core.exchange import Exchange
from engine.core.types import Deposit, Withdrawal
from engine.core.withdrawals import MOVES


class MoneyIndex:
    """Kept up as they appear; both are never deleted."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._deposits_seen = 0
        self._next_withdrawal = 1
        self._deposits: dict[str, list[str]] = {}
        self._uncredited: dict[str, dict[str, None]] = {}
        self._withdrawals: dict[str, list[int]] = {}
        self._open: dict[int, None] = {}

    def deposits_of(self, account: str) -> int:
        """Return about how many deposits of an account there are."""
        return len(self._deposits.get(account, ()))

    def withdrawals_of(self, account: str, open_only: bool) -> int:
        """Return about how many withdrawals are looked at for a list of them."""
        if open_only:
            return len(self._open)
        return len(self._withdrawals.get(account, ()) if account else self._exchange.withdrawals)

    def deposits(self, account: str) -> list[Deposit]:
        """Return every deposit of an account, the first one first."""
        self.update()
        records = self._exchange.deposits
        return [records[number].row for number in self._deposits.get(account, ())]

    def pending(self, account: str) -> dict[str, int]:
        """Return atoms by asset that deposits not yet confirmed will add."""
        self.update()
        waiting = self._uncredited.get(account, {})
        amounts: dict[str, int] = {}
        for number in list(waiting):
            row = self._exchange.deposits[number].row
            if row.credited:
                del waiting[number]
            else:
                amounts[row.asset] = amounts.get(row.asset, 0) + row.amount
        return amounts

    def withdrawals(self, account: str, open_only: bool) -> list[Withdrawal]:
        """Return withdrawals by number; those of all accounts for ""."""
        self.update()
        records = self._exchange.withdrawals
        numbers: Iterable[int]
        if open_only:
            for number in [n for n in self._open if not MOVES[records[n].row.state]]:
                del self._open[number]
            numbers = self._open
        else:
            numbers = self._withdrawals.get(account, ()) if account else records
        rows = [records[number].row for number in numbers]
        return [row for row in rows if not account or row.account == account]

    def update(self) -> None:
        """Take in what has appeared since the last look; O(what is new)."""
        exchange = self._exchange
        if len(exchange.deposits) > self._deposits_seen:
            for number, record in islice(exchange.deposits.items(), self._deposits_seen, None):
                account = record.row.account
                self._deposits.setdefault(account, []).append(number)
                if not record.row.credited:
                    self._uncredited.setdefault(account, {})[number] = None
            self._deposits_seen = len(exchange.deposits)
        for withdrawal_id in range(self._next_withdrawal, exchange.next_withdrawal_id):
            row = exchange.withdrawals[withdrawal_id].row
            self._withdrawals.setdefault(row.account, []).append(withdrawal_id)
            self._open[withdrawal_id] = None
        self._next_withdrawal = exchange.next_withdrawal_id
