"""The expected balances of the firms, computed independently of the venue.

This is a second, small implementation of the rules N-3, L-3, L-4 and W-6 of
``spec/MATCHING.md``; it shares no code with the engine. All amounts are integers of 10**-8,
the scale of every asset of the demo.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

SCALE: Final = 8
UNIT: Final = 10**SCALE
PPM: Final = 1_000_000
MAKER_PPM: Final = 500
TAKER_PPM: Final = 1000


def atoms(text: str) -> int:
    """Return decimal text as a count of 10**-8. Raises ValueError for more decimals."""
    value = Decimal(text).scaleb(SCALE)
    if value != int(value):
        raise ValueError(f"{text} has more than {SCALE} decimals")
    return int(value)


def text(value: int) -> str:
    """Return a count of 10**-8 as plain decimal text without superfluous zeros."""
    sign = "-" if value < 0 else ""
    whole, fraction = divmod(abs(value), UNIT)
    digits = f"{fraction:08d}".rstrip("0")
    return f"{sign}{whole}.{digits}" if digits else f"{sign}{whole}"


def _up(value: int) -> int:
    """Divide by a million, rounding up."""
    return -(-value // PPM)


@dataclass(slots=True)
class Order:
    """An open or closed order; ``charged`` is the sum of notional × rate of its fills."""

    firm: str
    symbol: str
    buys: bool
    price: int
    qty: int
    cum: int = 0
    spent: int = 0
    charged: int = 0

    @property
    def leaves(self) -> int:
        """Return LeavesQty: the quantity that is still open."""
        return self.qty - self.cum

    @property
    def average(self) -> str:
        """Return the average price of its fills, to eight decimals (the demo's are exact)."""
        return text(self.spent * UNIT // self.cum) if self.cum else "0"

    @property
    def hold(self) -> tuple[str, int]:
        """Return the asset and the amount that the order holds (L-3)."""
        base, quote = self.symbol.split("-")
        if not self.buys:
            return base, self.leaves
        cost = _notional(self.price, self.leaves)
        fee = _up(self.charged + cost * TAKER_PPM) - _up(self.charged)
        return quote, cost + fee


def _notional(price: int, qty: int) -> int:
    cost, rest = divmod(price * qty, UNIT)
    if rest:
        raise ValueError("a notional of the demo is whole atoms")
    return cost


@dataclass(slots=True)
class Money:
    """Posted balances by (firm, asset), and the orders and withdrawals that hold part of them.

    ``fees`` are the trading fees by asset, ``fills`` the number of fills by firm, ``left`` the
    amounts withdrawn by asset, including network fees.
    """

    posted: dict[tuple[str, str], int]
    orders: dict[str, Order] = field(default_factory=dict)
    withdrawals: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    fees: dict[str, int] = field(default_factory=dict)
    fills: dict[str, int] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)

    def place(self, name: str, order: Order) -> Order:
        """Add an order, which rests or is about to trade."""
        self.orders[name] = order
        return order

    def trade(self, maker: str, taker: str, qty: int) -> tuple[int, int]:
        """Trade two orders at the maker's price; return the fees of maker and taker."""
        price = self.orders[maker].price
        fee_maker = self._fill(self.orders[maker], price, qty, MAKER_PPM)
        return fee_maker, self._fill(self.orders[taker], price, qty, TAKER_PPM)

    def _fill(self, order: Order, price: int, qty: int, rate: int) -> int:
        base, quote = order.symbol.split("-")
        cost = _notional(price, qty)
        fee = _up(order.charged + cost * rate) - _up(order.charged)
        order.charged += cost * rate
        order.cum += qty
        order.spent += cost
        sign = 1 if order.buys else -1
        self._post(order.firm, base, sign * qty)
        self._post(order.firm, quote, -sign * cost - fee)
        self.fees[quote] = self.fees.get(quote, 0) + fee
        self.fills[order.firm] = self.fills.get(order.firm, 0) + 1
        return fee

    def _post(self, firm: str, asset: str, change: int) -> None:
        self.posted[firm, asset] += change

    def close(self, name: str) -> None:
        """Cancel an order and release its hold."""
        del self.orders[name]

    def request(self, name: str, firm: str, asset: str, total: int) -> None:
        """Hold the amount and fee of a withdrawal."""
        self.withdrawals[name] = (firm, asset, total)

    def settle(self, name: str) -> None:
        """Post the hold of a withdrawal that has been sent."""
        firm, asset, total = self.withdrawals.pop(name)
        self._post(firm, asset, -total)
        self.left[asset] = self.left.get(asset, 0) + total

    def release(self, name: str) -> None:
        """Release the hold of a withdrawal that was canceled or rejected."""
        del self.withdrawals[name]

    def held(self, firm: str, asset: str) -> int:
        """Return the sum of the firm's holds on an asset."""
        holds = [o.hold for o in self.orders.values() if o.firm == firm]
        from_orders = sum(amount for held_asset, amount in holds if held_asset == asset)
        leaving = [total for owner, kind, total in self.withdrawals.values()
                   if (owner, kind) == (firm, asset)]  # fmt: skip
        return from_orders + sum(leaving)

    def row(self, firm: str, asset: str) -> tuple[str, str, str]:
        """Return the posted, held and available amounts as text."""
        posted, held = self.posted[firm, asset], self.held(firm, asset)
        return text(posted), text(held), text(posted - held)
