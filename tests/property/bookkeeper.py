"""What a consumer can know from events alone, to be compared with what the exchange holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.core.events import Event
from engine.core.types import Side
from tests.support.venue import map_held, map_posted

Depth = dict[tuple[str, Side, int], int]


class Bookkeeper:
    """Adds up events: money by account and asset, sequences, and the public book."""

    def __init__(self) -> None:
        self.posted: dict[tuple[str, str], int] = {}
        self.held: dict[tuple[str, str], int] = {}
        self.seqs: dict[str, int] = {}
        self.shown: dict[int, tuple[tuple[str, Side, int], int]] = {}
        self.fees: dict[str, int] = {}
        self.outside: dict[str, int] = {}

    def take(self, events: Sequence[Event]) -> None:
        """Add the events of one transaction; raises AssertionError on a gap."""
        for event in events:
            e: Any = event
            if e.account and e.account_seq:
                expected = self.seqs.get(e.account, 0) + 1
                assert e.account_seq == expected, f"{e.account} jumps to {e.account_seq}"
                self.seqs[e.account] = expected
            self.show(e)
            self.collect(e)
        for account, asset, change in map_posted(events):
            self.posted[account, asset] = self.posted.get((account, asset), 0) + change
        for account, asset, change in map_held(events):
            self.held[account, asset] = self.held.get((account, asset), 0) + change

    def show(self, e: Any) -> None:
        """Keep what each order shows; its last event that says so counts."""
        order = getattr(e, "order", None)
        if order is None or type(e).__name__ == "StatusReported":
            return
        if hasattr(e, "display"):
            key = (order.symbol, order.side, order.price)
            self.shown[order.order_id] = (key, e.display)
        if type(e).__name__ == "OrderCanceled" or getattr(e, "leaves", 1) == 0:
            self.shown.pop(order.order_id, None)

    def collect(self, e: Any) -> None:
        """Fees that the venue earned, and what came in from outside or left."""
        name = type(e).__name__
        if name == "OrderFilled":
            quote = e.order.symbol.split("-")[1]
            self.fees[quote] = self.fees.get(quote, 0) + e.fee
        elif name == "DepositUpdated":
            asset = e.deposit.asset
            self.outside[asset] = self.outside.get(asset, 0) + e.credited_now
        elif name == "WithdrawalUpdated":
            asset = e.withdrawal.asset
            self.outside[asset] = self.outside.get(asset, 0) - e.posted

    def depth(self) -> Depth:
        """Displayed lots by symbol, side and price."""
        found: Depth = {}
        for key, display in self.shown.values():
            if display:
                found[key] = found.get(key, 0) + display
        return found

    def disagreements(self, exchange: Any) -> list[str]:
        """Where the events and the exchange's own state say different things."""
        faults = []
        for (account, asset), amount in self.posted.items():
            money = exchange.accounts[account].balances[asset]
            if money.available + money.held != amount:
                faults.append(f"{account} has {money.available + money.held} {asset}, not {amount}")
            if money.held != self.held.get((account, asset), 0):
                faults.append(f"{account} holds {money.held} {asset}, by events {self.held}")
        for asset, amount in self.outside.items():
            inside = sum(v for (_, a), v in self.posted.items() if a == asset)
            if inside + self.fees.get(asset, 0) != amount:
                faults.append(f"{amount} {asset} came in, {inside} and fees are there")
        if self.depth() != exchange_depth(exchange):
            faults.append(f"the book by events is {self.depth()}, not {exchange_depth(exchange)}")
        return faults


def exchange_depth(exchange: Any) -> Depth:
    """Displayed lots by symbol, side and price, by the book of the exchange."""
    found: Depth = {}
    for symbol, book in exchange.books.items():
        for side, rows in ((Side.BUY, book.bids.depth(10**6)), (Side.SELL, book.asks.depth(10**6))):
            for level in rows:
                found[symbol, side, level.price] = level.qty
    return found
