"""Orders for three instruments: deep books, thin ones, empty ones, trades, halts; seeded."""

from __future__ import annotations

import random
from typing import Final, NamedTuple

from engine.core.commands import (
    CancelOrder,
    Command,
    MassCancel,
    NewOrder,
    ReplaceOrder,
    SetInstrumentStatus,
)
from engine.core.types import InstrumentStatus, OrdType, Origin, Side, TimeInForce

ACCOUNTS: Final = ("alice", "bob", "carol")
OPERATOR: Final = Origin("engine")
OPEN_MAX: Final = 1_500


class Market(NamedTuple):
    """An instrument, in ticks and lots: around ``price`` there are ``width`` levels a side.

    ``empties`` is how likely a turn is to cancel all of its orders.
    """

    symbol: str
    price: int
    step: int
    width: int
    lot: int
    empties: float


MARKETS: Final = (
    Market("BTC-USD", 3_000_000, 7, 400, 100, 0.0),
    Market("ETH-USD", 200_000, 1, 12, 100, 0.002),
    Market("ETH-BTC", 6_000, 1, 3, 10, 0.02),
)
SYMBOLS: Final = tuple(market.symbol for market in MARKETS)


class OrderFlow:
    """A source of commands. It knows what it sent and not what came of it, so some go astray."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(f"market flow {seed}")
        self._name = f"m{seed}-"
        self._ids = 0
        self._open: list[tuple[str, str, Market]] = []
        self._halted: set[str] = set()

    def burst(self, count: int) -> list[Command]:
        """Some commands."""
        return [command for _ in range(count) for command in self._next()]

    def halt(self, symbol: str) -> list[Command]:
        """Halt an instrument."""
        self._halted.add(symbol)
        return [SetInstrumentStatus(OPERATOR, symbol, InstrumentStatus.HALTED)]

    def empty(self, symbol: str) -> list[Command]:
        """Cancel every order of an instrument."""
        return [
            MassCancel(Origin(f"api:{account}"), account, self._id(), True, "", symbol)
            for account in ACCOUNTS
        ]

    def resume(self) -> list[Command]:
        """Let every instrument trade again."""
        halted, self._halted = sorted(self._halted), set()
        return [SetInstrumentStatus(OPERATOR, symbol, InstrumentStatus.OPEN) for symbol in halted]

    def _next(self) -> list[Command]:
        pick = self._random
        market = pick.choices(MARKETS, (5, 3, 2))[0]
        chance = pick.random()
        if chance < 0.003:
            return [self._halt_or_resume(market)]
        if pick.random() < market.empties:
            return self.empty(market.symbol)
        full = len(self._open) > OPEN_MAX
        if self._open and (chance < 0.25 or full):
            account, name, _ = self._open.pop(pick.randrange(len(self._open)))
            return [CancelOrder(Origin(f"api:{account}"), account, self._id(), name)]
        if self._open and chance < 0.45:
            return [self._replace()]
        return [self._new(market)]

    def _halt_or_resume(self, market: Market) -> Command:
        halt = market.symbol not in self._halted
        (self._halted.add if halt else self._halted.discard)(market.symbol)
        status = InstrumentStatus.HALTED if halt else InstrumentStatus.OPEN
        return SetInstrumentStatus(OPERATOR, market.symbol, status)

    def _new(self, market: Market) -> Command:
        pick = self._random
        account, name = pick.choice(ACCOUNTS), self._id()
        side = pick.choice((Side.BUY, Side.SELL))
        crosses = pick.random() < 0.2
        away = market.step * pick.randrange(market.width)
        price = market.price + (away if (side is Side.SELL) != crosses else -away)
        qty = market.lot * pick.randint(1, 9)
        tif = TimeInForce.IOC if crosses and pick.random() < 0.5 else TimeInForce.GTC
        iceberg = tif is TimeInForce.GTC and pick.random() < 0.1
        if tif is TimeInForce.GTC:
            self._open.append((account, name, market))
        return NewOrder(
            Origin(f"api:{account}"), account, name, market.symbol, side, OrdType.LIMIT, tif, qty,
            price=price, display_qty=market.lot if iceberg else 0,
        )  # fmt: skip

    def _replace(self) -> Command:
        pick = self._random
        place = pick.randrange(len(self._open))
        account, old, market = self._open[place]
        name = self._id()
        self._open[place] = (account, name, market)
        fields = {"qty": market.lot * pick.randint(1, 9)}
        if pick.random() < 0.3:
            fields["price"] = market.price + market.step * pick.randint(-market.width, market.width)
        return ReplaceOrder(Origin(f"api:{account}"), account, name, old, **fields)

    def _id(self) -> str:
        self._ids += 1
        return f"{self._name}{self._ids}"
