"""Hypothesis drives the exchange and the oracle side by side, and shrinks what it finds.

TANDEM_STATEFUL_EXAMPLES sets how many runs of up to 40 commands are tried (default 80).
"""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
)

from engine.core.commands import Command
from engine.core.events import OrderAccepted
from engine.core.types import SelfTrade, Side, TimeInForce
from engine.wire import encode_transaction
from tests.differential.compare import account_money, oracle_money, without_text
from tests.property.bookkeeper import Bookkeeper
from tests.support.oracle import Oracle
from tests.support.strategies import ppm, self_trades, sides
from tests.support.venue import Venue, definitions, kinds, new_exchange, violations

EXAMPLES = int(os.environ.get("TANDEM_STATEFUL_EXAMPLES", "80"))
accounts = st.sampled_from(("alice", "alice2", "bob", "carol"))
prices = st.integers(8, 12)
lots = st.integers(1, 6)
resting_tifs = st.sampled_from((TimeInForce.GTC, TimeInForce.DAY))
quick_tifs = st.sampled_from((TimeInForce.IOC, TimeInForce.FOK))


class Exchanges(RuleBasedStateMachine):
    """A venue of four accounts; every command goes to both exchanges."""

    orders = Bundle("orders")

    @initialize(maker=ppm, taker=ppm, funds=st.sampled_from((60, 400)), cascade=st.integers(1, 3))
    def open_venue(self, maker: int, taker: int, funds: int, cascade: int) -> None:
        self.exchange, self.oracle, self.keeper = new_exchange(), Oracle(), Bookkeeper()
        self.words = Venue(Oracle())  # makes the commands, and is asked for nothing else
        self.now, self.seq = self.words.now, 0
        rules = {"maker": maker, "taker": taker, "funds": funds, "cascade_max": cascade}
        for command in definitions(**rules):  # type: ignore[arg-type]
            self.do(command)

    def do(self, command: Command) -> list[Any]:
        self.seq += 1
        expected = self.oracle.apply(self.seq, self.now, command)
        events = self.exchange.apply(self.seq, self.now, command)
        assert without_text(events) == without_text(expected)
        assert encode_transaction(self.seq, self.now, command, events)
        self.keeper.take(events)
        return list(events)

    def send(self, account: str, side: Side, qty: int, price: int, **fields: Any) -> Any:
        events = self.do(self.words.new_command(account, side, qty, price, **fields))
        known = kinds(events)[0] == "OrderAccepted"
        return events[0].order if known and isinstance(events[0], OrderAccepted) else None

    @rule(target=orders, account=accounts, side=sides, qty=lots, price=prices, tif=resting_tifs,
          display=st.integers(0, 2), post_only=st.booleans(), stp=self_trades)  # fmt: skip
    def limit(
        self, account: str, side: Side, qty: int, price: int, tif: TimeInForce, display: int,
        post_only: bool, stp: SelfTrade,
    ) -> Any:  # fmt: skip
        return self.send(account, side, qty, price, tif=tif, stp=stp, post_only=post_only,
                         display_qty=min(display, qty))  # fmt: skip

    @rule(account=accounts, side=sides, qty=lots, price=st.one_of(st.just(0), prices),
          tif=quick_tifs, least=st.integers(0, 3), stp=self_trades)  # fmt: skip
    def take(
        self, account: str, side: Side, qty: int, price: int, tif: TimeInForce, least: int,
        stp: SelfTrade,
    ) -> None:  # fmt: skip
        min_qty = min(least, qty) if tif is TimeInForce.IOC else 0
        self.send(account, side, qty, price, tif=tif, stp=stp, min_qty=min_qty)

    @rule(account=accounts, side=sides, money=st.integers(1, 90), stp=self_trades)
    def by_money(self, account: str, side: Side, money: int, stp: SelfTrade) -> None:
        self.send(account, side, 0, 0, cash_qty=money, stp=stp)

    @rule(target=orders, account=accounts, side=sides, qty=lots, stop=prices,
          price=st.one_of(st.just(0), prices), stp=self_trades)  # fmt: skip
    def stop(
        self, account: str, side: Side, qty: int, stop: int, price: int, stp: SelfTrade
    ) -> Any:
        return self.send(account, side, qty, price, stop_price=stop, stp=stp)

    @rule(order=consumes(orders))
    def cancel(self, order: Any) -> None:
        if order is not None:
            self.do(self.words.cancel_command(order.account, order.client_order_id))

    @rule(order=orders, qty=st.one_of(st.none(), lots), price=st.one_of(st.none(), prices),
          stop=st.one_of(st.none(), prices),
          display=st.one_of(st.none(), st.integers(0, 2)))  # fmt: skip
    def replace(
        self, order: Any, qty: int | None, price: int | None, stop: int | None,
        display: int | None,
    ) -> None:  # fmt: skip
        if order is not None:
            named = order.client_order_id
            self.do(self.words.replace_command(order.account, named, qty=qty, price=price,
                                               stop_price=stop, display_qty=display))  # fmt: skip

    @invariant()
    def nothing_is_violated(self) -> None:
        if hasattr(self, "exchange"):
            assert violations(self.exchange) == []
            assert self.keeper.disagreements(self.exchange) == []
            assert account_money(self.exchange) == oracle_money(self.oracle)


Exchanges.TestCase.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=40,
    deadline=None,
    derandomize="TANDEM_STATEFUL_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
TestExchangeAndOracle = Exchanges.TestCase
