"""Cancels of many orders: a purge does them in pieces of bounded work (rules C-7, C-10, A-3, S-2).

What a purge covers is settled when it begins. An order that it covers and has not canceled yet
is canceled by whatever meets it first: an order that would trade with it, its own turn, a
request that names it. So nobody can tell the pieces from one turn that did everything, except
that a query still shows what is left.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

from engine.core.events import DeadMansSwitchSet, MassCanceled
from engine.core.types import CancelReason, Side

if TYPE_CHECKING:
    from engine.core.book import Order
    from engine.core.exchange import Exchange

LOOKS_PER_STEP: Final = 16
"""Orders looked at and left alone count too: so many of them as one that is canceled."""
AFFECTED_MAX: Final = 1000
"""A summary names so many orders; ``total`` counts all of them."""
MASS_CANCELS_MAX: Final = 8
"""Mass cancels of one account that may be in progress."""


class Ending(IntEnum):
    """What is said when a purge is done."""

    NOTHING = 0
    SUMMARY = 1
    SWITCH = 2


class Purge:
    """Which orders are to be canceled, why, and how far that has come.

    ``account`` acts; with ``firm_wide`` the orders of its whole firm are meant. ``order_max`` is
    the highest order id at the beginning. ``withdrawal_max``, if not 0, is the highest
    withdrawal id at the beginning: those of the account that can be canceled go as well, for
    ``actor`` and with ``note``. ``accounts_left`` are the accounts not yet begun, the next one
    last, and ``numbers_left`` the order ids of the one at hand, the next one last.
    """

    __slots__ = (
        "account", "accounts_left", "actor", "affected", "client_order_id", "ending", "firm",
        "firm_wide", "note", "numbers_left", "order_max", "reason", "requester", "session",
        "side", "strategy", "symbol", "total", "withdrawal_max",
    )  # fmt: skip

    def __init__(
        self, account: str, firm: str, firm_wide: bool, order_max: int, reason: CancelReason,
        ending: Ending,
    ) -> None:  # fmt: skip
        self.account = account
        self.firm = firm
        self.firm_wide = firm_wide
        self.order_max = order_max
        self.reason = reason
        self.ending = ending
        self.session = ""
        self.symbol = ""
        self.side: Side | None = None
        self.strategy = ""
        self.client_order_id = ""
        self.requester = ""
        self.withdrawal_max = 0
        self.actor = ""
        self.note = ""
        self.total = 0
        self.affected: list[tuple[str, str, int]] = []
        self.accounts_left: list[str] = []
        self.numbers_left: list[int] = []

    def covers(self, order: Order) -> bool:
        """Whether an open order is one of those to be canceled."""
        terms = order.terms
        return (
            order.order_id <= self.order_max
            and (
                order.account.firm == self.firm
                if self.firm_wide
                else order.account.name == self.account
            )
            and (not self.session or terms.session == self.session)
            and (not self.symbol or terms.symbol == self.symbol)
            and (self.side is None or terms.side is self.side)
            and (not self.strategy or terms.strategy == self.strategy)
        )


def make(
    exchange: Exchange, account: str, firm_wide: bool, reason: CancelReason, ending: Ending
) -> Purge:
    """A purge of the orders of an account or its firm that are open now."""
    firm = exchange.accounts[account].firm
    purge = Purge(account, firm, firm_wide, exchange.next_order_id - 1, reason, ending)
    purge.accounts_left = exchange.firms[firm][::-1] if firm_wide else [account]
    return purge


def covered(exchange: Exchange, order: Order) -> bool:
    """Whether an open order is to be canceled by a purge, or by its time, in progress."""
    return 0 < order.expire_at <= exchange.expired_to or any(
        purge.covers(order) for purge in exchange.purges
    )


def meet(exchange: Exchange, order: Order) -> bool:
    """Cancel an open order that something in progress covers; tells whether it did."""
    for purge in exchange.purges:
        if purge.covers(order):
            _cancel(exchange, purge, order)
            return True
    if 0 < order.expire_at <= exchange.expired_to:
        exchange.cancel_order(order, CancelReason.EXPIRED)
        return True
    return False


def begin(exchange: Exchange, purge: Purge) -> None:
    """Start a purge and do as much of it as this command may; Ticks do the rest."""
    exchange.purges.append(purge)
    exchange.wary = True
    run(exchange, purge)


def run(exchange: Exchange, purge: Purge) -> bool:
    """Do a piece of a purge; tells whether it is done."""
    looks = LOOKS_PER_STEP * exchange.work_left
    while True:
        while not purge.numbers_left and purge.accounts_left:
            orders = exchange.accounts[purge.accounts_left.pop()].orders
            purge.numbers_left = [number for number in orders if number <= purge.order_max]
            purge.numbers_left.reverse()
        if not purge.numbers_left:
            break
        if exchange.work_left <= 0 or looks <= 0:
            return False
        looks -= 1
        order = exchange.orders.get(purge.numbers_left.pop())
        if order is not None and order.open and purge.covers(order):
            exchange.work_left -= 1
            _cancel(exchange, purge, order)
    if not _cancel_withdrawals(exchange, purge):
        return False
    _finish(exchange, purge)
    return True


def _cancel(exchange: Exchange, purge: Purge, order: Order) -> None:
    purge.total += 1
    if purge.ending is Ending.SUMMARY and len(purge.affected) < AFFECTED_MAX:
        row = (order.account.name, order.terms.client_order_id, order.order_id)
        purge.affected.append(row)
    exchange.cancel_order(order, purge.reason, purge.client_order_id, purge.requester)


def _cancel_withdrawals(exchange: Exchange, purge: Purge) -> bool:
    """Cancel withdrawals by number as far as the work of this command goes (rule A-3)."""
    from engine.core import withdrawals

    if purge.withdrawal_max:
        for number in list(exchange.open_withdrawals.get(purge.account, ())):
            if exchange.work_left <= 0:
                return False
            record = exchange.withdrawals[number]
            if withdrawals.cancel_covered(exchange, record, purge):
                exchange.work_left -= 1
    return True


def _finish(exchange: Exchange, purge: Purge) -> None:
    exchange.purges.remove(purge)
    exchange.wary = bool(exchange.purges or exchange.expired_to)
    if purge.ending is Ending.SUMMARY:
        summarize(exchange, purge, complete=True)
    elif purge.ending is Ending.SWITCH:
        exchange.emit(
            DeadMansSwitchSet, exchange.accounts[purge.account], purge.strategy, 0
        )


def summarize(exchange: Exchange, purge: Purge, *, complete: bool) -> None:
    """Say what a mass cancel has done so far (rule C-7)."""
    exchange.emit(
        MassCanceled, exchange.accounts[purge.account], purge.client_order_id,
        tuple(purge.affected), purge.symbol, purge.side, purge.strategy, purge.session,
        purge.firm_wide, None, "", purge.total, complete, purge.requester,
    )  # fmt: skip


def export(purge: Purge) -> list[object]:
    """A purge as plain values, for a snapshot."""
    return [
        purge.account, purge.firm, int(purge.firm_wide), purge.order_max, int(purge.reason),
        int(purge.ending), purge.session, purge.symbol,
        0 if purge.side is None else int(purge.side), purge.strategy, purge.client_order_id,
        purge.requester, purge.withdrawal_max, purge.actor, purge.note, purge.total,
        [list(row) for row in purge.affected], list(purge.accounts_left),
        list(purge.numbers_left),
    ]  # fmt: skip


def restore(row: list[Any]) -> Purge:
    """What ``export`` made, as a purge again."""
    account, firm, firm_wide, order_max, reason, ending = row[:6]
    purge = Purge(
        account, firm, bool(firm_wide), order_max, CancelReason(reason), Ending(ending)
    )
    (
        purge.session, purge.symbol, side, purge.strategy, purge.client_order_id,
        purge.requester, purge.withdrawal_max, purge.actor, purge.note, purge.total, affected,
        accounts_left, numbers_left,
    ) = row[6:]  # fmt: skip
    purge.side = Side(side) if side else None
    purge.affected = [(name, client_id, number) for name, client_id, number in affected]
    purge.accounts_left = list(accounts_left)
    purge.numbers_left = list(numbers_left)
    return purge
