"""Books and balances made from events are those of the exchange, after every transaction."""

from __future__ import annotations

import random

import pytest

from account_api.stream.accounts import Accounts
from account_api.stream.catalogue import LiveCatalogue
from account_api.stream.depth import DepthBook, DepthFault
from account_api.stream.private_channels import channels_of, data_of
from account_api.stream.public_channels import Market
from engine.client import Transaction
from engine.core.events import OrderFilled
from engine.core.exchange import Exchange
from engine.core.types import AccountSnapshot, Balance, Side
from engine.server.queries import order_row
from tests.support.strategies import Flow
from tests.unit.history.test_against_exchange import play


def books_of(exchange: Exchange) -> dict[str, tuple[object, object]]:
    """Every level of every book that has one."""
    return {
        symbol: (list(book.bids.depth(1000)), list(book.asks.depth(1000)))
        for symbol, book in exchange.books.items()
    }


def books_in(market: Market) -> dict[str, tuple[object, object]]:
    return {
        symbol: (feed.book.levels(Side.BUY), feed.book.levels(Side.SELL))
        for symbol, feed in market.feeds.items()
    }


@pytest.mark.parametrize("seed", range(8))
def test_books_from_events_equal_the_exchanges_after_every_transaction(seed: int) -> None:
    exchange, flow = Exchange(), Flow(seed)
    catalogue = LiveCatalogue((), ())
    market = Market(catalogue.instruments)
    commands, now = flow.definitions(), flow.now
    for number in range(1200):
        if number < len(commands):
            command = commands[number]
        else:
            now, command = flow.next()
        events = exchange.apply(number + 1, max(now, exchange.time_us), command)
        flow.observe(events)
        for event in events:
            catalogue.apply(event)
            market.apply(event, number + 1, now)
        shown = books_in(market)
        for symbol, expected in books_of(exchange).items():
            assert shown.get(symbol, ([], [])) == expected, (number, command)


@pytest.mark.parametrize("seed", [1, 5])
def test_a_market_seeded_in_the_middle_goes_on_alike(seed: int) -> None:
    exchange, flow = Exchange(), Flow(seed)
    commands, now = flow.definitions(), flow.now
    market, catalogue = None, LiveCatalogue((), ())
    for number in range(1200):
        if number < len(commands):
            command = commands[number]
        else:
            now, command = flow.next()
        events = exchange.apply(number + 1, max(now, exchange.time_us), command)
        flow.observe(events)
        for event in events:
            catalogue.apply(event)
            if market is not None:
                market.apply(event, number + 1, now)
        if number == 600:
            market = Market(catalogue.instruments)
            for account in exchange.accounts.values():
                market.seed(order_row(order) for order in account.orders.values())
            market.seeded(number + 1)
            assert market.take_changed_books() == []
        if market is not None:
            assert books_in(market) == books_of(exchange)


def test_replayed_money_equals_what_was_live() -> None:
    exchange, transactions, _ = play(3, 700)
    catalogue = LiveCatalogue((), ())
    live = Accounts(catalogue)
    happened = []
    for transaction in transactions:
        happened += take(live, catalogue, transaction)
    pick = random.Random(1)
    for account in exchange.accounts:
        own = [each for each in happened if each.account == account]
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


def test_levels_that_would_become_negative_are_a_fault() -> None:
    book = DepthBook()
    book.add(Side.BUY, 100, 5, 1)
    with pytest.raises(DepthFault):
        book.add(Side.BUY, 100, -6, 0)
    with pytest.raises(DepthFault):
        book.add(Side.BUY, 100, -5, 0)
    book.add(Side.BUY, 100, -5, -1)
    changes = book.take_changes()
    assert [tuple(level) for level in changes.bids] == [(100, 0, 0)]
    assert book.take_changes().bids == []
