"""The order flow of the benchmarks, from a seed: 48 % new, 37 % cancel, 10 % replace, 5 % IOC.

About as many orders rest at the end as at the beginning. A flow is made by running it once
on an exchange of its own, so that cancels and replaces name orders that are open; replayed
on a fresh exchange it gives the same events again.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec

from benchmarks.common import progress
from engine.core.commands import (
    COMMAND_KINDS,
    CancelOrder,
    Command,
    DefineAccount,
    DefineAsset,
    DefineInstrument,
    DefineVenue,
    Deposit,
    NewOrder,
    ReplaceOrder,
    StartEpoch,
)
from engine.core.events import (
    CancelRejected,
    Event,
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderRejected,
    OrderReplaced,
    Refused,
)
from engine.core.exchange import Exchange
from engine.core.types import INT64_MAX, OrdType, Origin, SelfTrade, Side, TimeInForce
from engine.wire import decode_command, encode_command

START_US: Final = 1_700_000_000_000_000
STEP_US: Final = 25
MIDDLE: Final = 5_000_000
ENGINE: Final = Origin("engine")
FUNDS_MAX: Final = 10**17


class Shape(NamedTuple):
    """How large the venue is: orders that rest, accounts, instruments, levels a side.

    ``closed`` orders that are kept after their end are there before the first command.
    """

    resting: int = 2_000
    accounts: int = 10
    instruments: int = 1
    levels: int = 500
    closed: int = 0


def definitions(shape: Shape) -> Iterator[Command]:
    """Yield commands that make the venue: fees 0.05 % and 0.10 %, every account with money."""
    yield DefineVenue(ENGINE, 0, 1000, max(10_000, shape.closed), 30 * 86_400_000_000)
    yield DefineAsset(ENGINE, "USD", 8)
    for number in range(shape.instruments):
        yield DefineAsset(ENGINE, f"C{number}", 8)
        symbol, tick, lot = f"C{number}-USD", "0.01", "0.00001"
        yield DefineInstrument(ENGINE, symbol, f"C{number}", "USD", tick, lot, 1, 10**9, 10**8)
    # Of every asset there may be as much as an amount can tell.
    funds = min(FUNDS_MAX, INT64_MAX // 2 // shape.accounts)
    for number in range(shape.accounts):
        account = f"firm{number}"
        yield DefineAccount(ENGINE, account, account, 500, 1000, SelfTrade.NONE, 10**7)
        yield StartEpoch(Origin(f"fix:F{number}", 1), account, (0, 0, 0), "benchmark")
        yield Deposit(ENGINE, f"usd:{account}", account, "USD", funds)
        for coin in range(shape.instruments):
            yield Deposit(ENGINE, f"C{coin}:{account}", account, f"C{coin}", funds // 100)


class Flow:
    """Generates commands, applies them to its own exchange and tracks the open orders."""

    def __init__(self, shape: Shape, seed: int) -> None:
        self.shape = shape
        self.random = random.Random(seed)
        self.exchange = Exchange()
        self.commands: list[Command] = []
        self.open: list[tuple[str, str]] = []
        self.place: dict[tuple[str, str], int] = {}
        self.prices: dict[tuple[str, str], tuple[str, Side]] = {}
        self.numbers = [0] * shape.accounts
        self.ids = 0

    def do(self, command: Command) -> list[Event]:
        """Raises ValueError for a command that is refused: that would be another benchmark."""
        events = self.apply(command)
        self.commands.append(command)
        for event in events:
            if isinstance(event, Refused | OrderRejected | CancelRejected):
                raise ValueError(f"{command} was refused: {event.text}")
            self.watch(event)
        return events

    def apply(self, command: Command) -> list[Event]:
        """Do a command as the venue does; ``watch`` must then see its events."""
        seq = self.exchange.seq + 1
        return self.exchange.apply(seq, START_US + seq * STEP_US, command)

    def watch(self, event: Event) -> None:
        if isinstance(event, OrderAccepted | OrderFilled | OrderReplaced):
            terms = event.order
            key = (terms.account, terms.client_order_id)
            if isinstance(event, OrderReplaced):
                self.forget((terms.account, event.orig_client_order_id))
            if event.leaves == 0:
                self.forget(key)
            elif key not in self.place:
                self.place[key] = len(self.open)
                self.open.append(key)
                self.prices[key] = (terms.symbol, terms.side)
        elif isinstance(event, OrderCanceled):
            self.forget((event.account, event.order.client_order_id))

    def forget(self, key: tuple[str, str]) -> None:
        place = self.place.pop(key, None)
        if place is None:
            return
        del self.prices[key]
        last = self.open.pop()
        if last != key:
            self.open[place] = last
            self.place[last] = place

    # Commands.

    def identity(self, account: str) -> tuple[Origin, str]:
        """Return a FIX origin with the next number, and a new client order id."""
        number = int(account[4:])
        self.numbers[number] += 1
        self.ids += 1
        return Origin(f"fix:F{number}", 1, self.numbers[number]), f"{account}-{self.ids}"

    def passive(self, side: Side) -> int:
        """Return a price on the own side of the middle, nearer ones more often."""
        distance = 1 + min(int(self.random.expovariate(4 / self.shape.levels)), self.shape.levels)
        return MIDDLE - distance if side is Side.BUY else MIDDLE + distance

    def new(self, ioc: bool = False) -> NewOrder:
        pick = self.random
        account = f"firm{pick.randrange(self.shape.accounts)}"
        origin, client_id = self.identity(account)
        side = Side.BUY if pick.random() < 0.5 else Side.SELL
        symbol = f"C{pick.randrange(self.shape.instruments)}-USD"
        price, tif, qty = self.passive(side), TimeInForce.GTC, pick.randrange(100, 1_000)
        if ioc:
            # Takes about as much as comes to rest beyond what is canceled: 11 in 5.
            excess = len(self.open) - self.shape.resting
            orders = max(0.5, min(2.2 + excess / 50, 20.0))
            price = MIDDLE + 10_000 if side is Side.BUY else MIDDLE - 10_000
            tif, qty = TimeInForce.IOC, int(orders * 550)
        return NewOrder(origin, account, client_id, symbol, side, OrdType.LIMIT, tif, qty, price)

    def cancel(self) -> CancelOrder:
        account, target = self.random.choice(self.open)
        origin, client_id = self.identity(account)
        return CancelOrder(origin, account, client_id, target)

    def replace(self) -> ReplaceOrder:
        """Return a replace: half have a smaller or larger quantity, half a new price."""
        pick = self.random
        key = pick.choice(self.open)
        symbol, side = self.prices[key]
        origin, client_id = self.identity(key[0])
        change: dict[str, Any] = {"qty": pick.randrange(1_000, 1_500)}
        if pick.random() < 0.5:
            change = {"price": self.passive(side)}
        return ReplaceOrder(origin, key[0], client_id, key[1], 0, symbol, side, **change)

    def next(self) -> Command:
        share = self.random.random()
        if share < 0.48 or not self.open:
            return self.new()
        if share < 0.85:
            return self.cancel()
        if share < 0.95:
            return self.replace()
        return self.new(ioc=True)


class Recording(NamedTuple):
    """A flow that can be replayed: commands before the measured ones, and these, encoded."""

    before: list[Command]
    encoded: list[tuple[int, msgspec.Raw]]
    resting: int
    events_per_command: float

    @property
    def measured(self) -> list[Command]:
        """The measured commands, decoded again."""
        return [decode_command(*raw) for raw in self.encoded]


def record(shape: Shape, count: int, seed: int = 1) -> Recording:
    """Make ``count`` commands at a steady number of resting orders."""
    flow = Flow(shape, seed)
    for command in definitions(shape):
        flow.do(command)
    while len(flow.open) < shape.resting:
        flow.do(flow.new())
        if len(flow.open) % 50_000 == 0:
            progress(f"preparing {len(flow.open):,} of {shape.resting:,} resting orders")
    for number in range(shape.closed):
        flow.do(flow.new())
        flow.do(flow.cancel())
        if number % 50_000 == 0:
            progress(f"preparing {number:,} of {shape.closed:,} closed orders")
    for _ in range(min(count // 10, 20_000)):
        flow.do(flow.next())
    ready = len(flow.commands)
    events, encoded = 0, []
    for number in range(count):
        command = flow.next()
        events += len(flow.do(command))
        encoded.append((COMMAND_KINDS[type(command)], encode_command(command)))
        if number % 50_000 == 0:
            progress(f"preparing command {number:,} of {count:,}")
    return Recording(flow.commands[:ready], encoded, len(flow.open), events / count)


def replayed(commands: list[Command]) -> Exchange:
    """Return a fresh exchange to which commands were applied."""
    exchange = Exchange()
    for seq, command in enumerate(commands, 1):
        exchange.apply(seq, START_US + seq * STEP_US, command)
    return exchange
