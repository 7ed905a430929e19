"""Balances made from events are those of the exchange, after every transaction."""

from __future__ import annotations

import random

from account_api.stream.accounts import Accounts
from account_api.stream.catalogue import LiveCatalogue
from account_api.stream.private_channels import channels_of, data_of
from engine.client import Transaction
from engine.core.events import OrderFilled
from engine.core.types import AccountSnapshot, Balance
from tests.unit.history.test_against_exchange import play


def test_replayed_money_equals_what_was_live() -> None:
    exchange, transactions, _ = play(3, 700)
    catalogue = LiveCatalogue((), ())
    live = Accounts(catalogue)
    happened = []
    for transaction in transactions:
        happened += take(live, catalogue, transaction)
    pick = random.Random(1)
    for account in exchange.accounts:
        own = [each for each in happened if each.event.account == account]
        assert [each.seq for each in own] == list(range(1, len(own) + 1))
        start = pick.randrange(len(own))
        past = [(each.as_of_seq, each.time_us, each.event) for each in own[start:]]
        assert live.replayed(past, live.state(account).money) == own[start:]
        for each in own:
            for channel in channels_of(each):
                assert data_of(channel, each, catalogue)
    assert any(isinstance(each.event, OrderFilled) for each in happened)


def take(accounts: Accounts, catalogue: LiveCatalogue, transaction: Transaction) -> list[object]:
    found = []
    for event in transaction.events:
        catalogue.apply(event)
        if event.account_seq:
            one = accounts.apply(event, transaction.seq, transaction.time_us)
            assert one is not None
            found.append(one)
    return found


def test_what_a_snapshot_contains_is_not_applied_again() -> None:
    exchange, transactions, _ = play(4, 400)
    catalogue = LiveCatalogue((), ())
    seeded = Accounts(catalogue)
    for name, account in exchange.accounts.items():
        rows = [
            Balance(name, asset, m.available + m.held, m.held, m.available, 0)
            for asset, m in account.balances.items()
        ]
        seeded.seed(AccountSnapshot(name, account.seq, rows, [], [], exchange.seq))
    for transaction in transactions:
        for event in transaction.events:
            catalogue.apply(event)
            if event.account_seq:
                assert seeded.apply(event, transaction.seq, transaction.time_us) is None
