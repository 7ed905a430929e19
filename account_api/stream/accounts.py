"""Balances and sequences of all accounts, as of the last applied transaction."""

from __future__ import annotations

from collections.abc import Iterable

from account_api.stream.catalogue import LiveCatalogue
from account_api.stream.private_channels import AccountEvent, BalanceChange
from engine.core import events as ev
from engine.core.types import AccountSnapshot
from engine.history.postings import postings

Money = dict[str, tuple[int, int]]
"""Available and held atoms by asset."""


class AccountState:
    """One account: the number of its last event, and its money."""

    __slots__ = ("account_seq", "money")

    def __init__(self, account_seq: int = 0) -> None:
        self.account_seq = account_seq
        self.money: Money = {}


class Accounts:
    """Every account's state."""

    def __init__(self, catalogue: LiveCatalogue) -> None:
        self._catalogue = catalogue
        self._states: dict[str, AccountState] = {}

    def state(self, account: str) -> AccountState:
        """Return the state of an account, created at first use."""
        state = self._states.get(account)
        if state is None:
            state = self._states[account] = AccountState()
        return state

    def seed(self, snapshot: AccountSnapshot) -> None:
        """Start from a snapshot."""
        state = self._states[snapshot.account] = AccountState(snapshot.account_seq)
        state.money = {row.asset: (row.available, row.held) for row in snapshot.balances}

    def apply(self, event: ev.Event, seq: int, time_us: int) -> AccountEvent | None:
        """Apply an account's event; None if its state already contains it."""
        state = self.state(event.account)
        if event.account_seq <= state.account_seq:
            return None
        state.account_seq = event.account_seq
        lines = self._lines(event, state.money)
        return AccountEvent(event.account_seq, seq, time_us, event, lines)

    def replayed(
        self, events: Iterable[tuple[int, int, ev.Event]], after: Money
    ) -> list[AccountEvent]:
        """Render past events (seq, time, event) of an account whose money was ``after`` at the end.

        Their changes are subtracted to find what the money was before them.
        """
        kept = list(events)
        money = dict(after)
        for _, _, event in kept:
            for posting in postings(event, self._catalogue.pairs):
                if posting.account == event.account:
                    available, held = money.get(posting.asset, (0, 0))
                    money[posting.asset] = (
                        available - posting.available_change,
                        held - posting.held_change,
                    )
        return [
            AccountEvent(event.account_seq, seq, time_us, event, self._lines(event, money))
            for seq, time_us, event in kept
        ]

    def _lines(self, event: ev.Event, money: Money) -> tuple[BalanceChange, ...]:
        lines = []
        for posting in postings(event, self._catalogue.pairs):
            if posting.account != event.account:
                continue
            available, held = money.get(posting.asset, (0, 0))
            available += posting.available_change
            held += posting.held_change
            money[posting.asset] = (available, held)
            lines.append(BalanceChange(posting, available, held))
        return tuple(lines)
