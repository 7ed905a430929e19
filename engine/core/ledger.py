"""Double-entry ledger: available and held money, fees, settlement; holds of orders (rules L).

Every function here is one set of postings whose sum per asset is zero. Callers have checked
that the money is there; ``check`` makes sure.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from engine.core.faults import EngineFault, check
from engine.core.types import PPM, Address, DepositAddress, SelfTrade, WithdrawalQuote

if TYPE_CHECKING:
    from engine.core.book import Book, Order


class Money:
    """Money of one owner in one asset, in atoms."""

    __slots__ = ("available", "held")

    def __init__(self) -> None:
        self.available = 0
        self.held = 0


class Account:
    """A customer's account: settings, money, orders, and its event sequence.

    ``orders`` are the open ones by order id; ``client_ids`` finds any order that is still
    in memory by any id of its chain; ``closed`` lists closed orders, oldest first. ``barred``
    is true if the venue suspended this account, ``suspended`` if it may not act because of
    that or because its firm is suspended (rule A-4).
    """

    __slots__ = (
        "address_cooloff_us", "addresses", "approval_above", "balances", "barred", "client_ids",
        "closed", "daily_limits", "deposit_addresses", "firm", "maker_ppm",
        "name", "open_orders_max", "orders", "purses", "quotes", "require_known_address",
        "seq", "stp", "suspended", "switches", "taker_ppm", "withdrawn",
    )  # fmt: skip

    def __init__(self, name: str, firm: str) -> None:
        self.name = name
        self.firm = firm
        self.seq = 0
        self.maker_ppm = 0
        self.taker_ppm = 0
        self.stp = SelfTrade.NONE
        self.barred = False
        self.suspended = False
        self.open_orders_max = 0
        self.approval_above: dict[str, int] = {}
        self.daily_limits: dict[str, int] = {}
        self.require_known_address = False
        self.address_cooloff_us = 0
        self.balances: dict[str, Money] = {}
        self.purses: dict[str, tuple[Money, Money]] = {}
        self.orders: dict[int, Order] = {}
        self.client_ids: dict[str, Order] = {}
        self.closed: deque[Order] = deque()
        self.switches: dict[str, int] = {}
        self.addresses: dict[int, Address] = {}
        self.quotes: dict[str, WithdrawalQuote] = {}
        self.deposit_addresses: dict[tuple[str, str], DepositAddress] = {}
        self.withdrawn: dict[str, tuple[int, int]] = {}

    def money(self, asset: str) -> Money:
        """Return the account's money in an asset; create the balance at first use."""
        money = self.balances.get(asset)
        if money is None:
            money = self.balances[asset] = Money()
        return money

    def purse(self, book: Book) -> tuple[Money, Money]:
        """Return the account's money in base and quote of an instrument, cached by symbol."""
        instrument = book.instrument
        pair = (self.money(instrument.base), self.money(instrument.quote))
        self.purses[instrument.symbol] = pair
        return pair


class House:
    """The venue's own ledger accounts: fees earned, and settlement, the counterpart of the outside.

    ``awaited`` is what deposits reported but not credited will bring, and ``returnable`` what
    withdrawals that were sent and are not final would bring back if they failed, by asset. Both
    follow from the deposits and withdrawals, and count towards the total that rule N-5 bounds.
    """

    __slots__ = ("awaited", "fees", "returnable", "settlement")

    def __init__(self) -> None:
        self.fees: dict[str, Money] = {}
        self.settlement: dict[str, int] = {}
        self.awaited: dict[str, int] = {}
        self.returnable: dict[str, int] = {}

    def fees_of(self, asset: str) -> Money:
        """Return the fees earned in an asset."""
        money = self.fees.get(asset)
        if money is None:
            money = self.fees[asset] = Money()
        return money

    def total(self, asset: str) -> int:
        """Return all money of an asset that is, or may still arrive, in the venue (rule N-5)."""
        return (
            self.awaited.get(asset, 0)
            + self.returnable.get(asset, 0)
            - self.settlement.get(asset, 0)
        )

    def await_deposit(self, asset: str, amount: int) -> None:
        """Count a deposit that is reported but not credited; a negative amount removes it."""
        self.awaited[asset] = self.awaited.get(asset, 0) + amount

    def finish(self, asset: str, amount: int) -> None:
        """Stop counting a withdrawal that was sent and is final: it can no longer be paid back."""
        self.returnable[asset] -= amount

    def bring_in(self, money: Money, asset: str, amount: int) -> None:
        """Credit a deposit: settlement to available."""
        check(amount > 0, "a deposit is positive")
        self.settlement[asset] = self.settlement.get(asset, 0) - amount
        money.available += amount

    def send_out(self, money: Money, asset: str, amount: int, fee: int) -> None:
        """Post a withdrawal: held to settlement (amount) and to fees (fee)."""
        check(money.held >= amount + fee, "a withdrawal is posted from its hold")
        money.held -= amount + fee
        self.settlement[asset] = self.settlement.get(asset, 0) + amount
        self.returnable[asset] = self.returnable.get(asset, 0) + amount
        self.fees_of(asset).available += fee

    def take_back(self, money: Money, asset: str, amount: int, fee: int) -> None:
        """Undo ``send_out`` of a withdrawal that failed afterwards: back to available."""
        self.settlement[asset] = self.settlement.get(asset, 0) - amount
        self.returnable[asset] -= amount
        self.fees_of(asset).available -= fee
        money.available += amount + fee


def hold(money: Money, amount: int) -> None:
    """Move available money to held."""
    check(0 <= amount <= money.available, "a hold is covered by available money")
    money.available -= amount
    money.held += amount


def release(money: Money, amount: int) -> None:
    """Move held money back to available."""
    check(0 <= amount <= money.held, "a release comes out of held money")
    money.held -= amount
    money.available += amount


def limit_hold(order: Order, price: int, leaves: int) -> int:
    """Return what a limit order must hold for ``leaves`` lots at ``price`` (rule L-3)."""
    if not order.buy:
        return leaves * order.book.lot_atoms
    if leaves == 0:
        return 0
    rest = price * leaves * order.book.unit
    ppm = order.maker_ppm if order.maker_ppm > order.taker_ppm else order.taker_ppm
    return rest - (-(order.fee_weight + rest * ppm) // PPM) - order.fees


def set_hold(order: Order, amount: int) -> int:
    """Bring an order's hold to ``amount``; returns the change. The caller checked the funds."""
    change = amount - order.held
    money = order.quote if order.buy else order.base
    money.available -= change
    money.held += change
    order.held = amount
    if money.available < 0 or money.held < 0:
        raise EngineFault("a hold is covered by available money")
    return change


def settle(order: Order, book: Book, cash: int, base_amount: int, ppm: int) -> tuple[int, int]:
    """Post one side of a trade and shrink the hold (rules N-2, N-3, L-4).

    The order's ``leaves`` are already those after the fill. Returns (fee, hold change), in
    atoms like the rest. The two sides of a trade post opposite amounts of base and cash, and
    each side's fee goes to the venue, so the postings of a trade sum to zero.
    """
    weight = order.fee_weight + cash * ppm
    fees = -(-weight // PPM)
    fee = fees - order.fees
    order.fee_weight = weight
    order.fees = fees
    held = order.held
    if order.buy:
        cost = cash + fee
        leaves = order.leaves
        if leaves == 0:
            rest = 0
        elif order.price:
            rest = limit_hold(order, order.price, leaves)
        else:
            rest = held - cost
        quote = order.quote
        quote.held += rest - held
        quote.available += held - rest - cost
        order.base.available += base_amount
        if rest < 0 or quote.available < 0:
            raise EngineFault("a fill is paid out of its hold")
    else:
        rest = held - base_amount
        order.base.held -= base_amount
        order.quote.available += cash - fee
        if rest < 0:
            raise EngineFault("a fill is paid out of its hold")
    order.held = rest
    book.fees.available += fee
    return fee, rest - held
