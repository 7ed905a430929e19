"""Cancels of many orders: a purge does them in pieces of bounded work (rules C-7, C-10, A-3, S-2).

What a purge covers is fixed when it begins. An order that it covers and has not canceled yet
is canceled by whatever meets it first: an order that would trade with it, its own turn, or a
request that names it. The pieces therefore look like one turn that did everything, except that
a query still shows what is left.
"""

from __future__ import annotations

from typing import Any, Final

from engine.core.book import Order
from engine.core.events import DeadMansSwitchSet, MassCanceled
from engine.core.records import Ending, Purge
from engine.core.types import CancelReason, Route, Side
from engine.core.venue import Venue

LOOKS_PER_STEP: Final = 16
"""This many orders examined without a cancel count as one canceled order."""
AFFECTED_MAX: Final = 1000
"""A summary names at most this many orders; ``total`` counts all of them."""
MASS_CANCELS_MAX: Final = 8
"""The maximum number of mass cancels of one account in progress."""


def make(
    venue: Venue, account: str, firm_wide: bool, reason: CancelReason, ending: Ending
) -> Purge:
    """Return a purge of the orders of an account or its firm that are open now."""
    firm = venue.accounts[account].firm
    purge = Purge(account, firm, firm_wide, venue.next_order_id - 1, reason, ending)
    purge.accounts_left = venue.firms[firm][::-1] if firm_wide else [account]
    return purge


def covered(venue: Venue, order: Order) -> bool:
    """Return whether a purge or an expiry in progress covers an open order."""
    return 0 < order.expire_at <= venue.expired_to or any(
        purge.covers(order) for purge in venue.purges
    )


def meet(venue: Venue, order: Order) -> bool:
    """Cancel an open order that something in progress covers. Return True if it did."""
    for purge in venue.purges:
        if purge.covers(order):
            _cancel(venue, purge, order)
            return True
    if 0 < order.expire_at <= venue.expired_to:
        venue.cancel_order(order, CancelReason.EXPIRED)
        return True
    return False


def begin(venue: Venue, purge: Purge) -> None:
    """Start a purge and do as much of it as this command may; Ticks do the rest (rule C-10)."""
    venue.purges.append(purge)
    venue.wary = True
    run(venue, purge)


def run(venue: Venue, purge: Purge) -> bool:
    """Do a piece of a purge. Return True if it is done."""
    looks = LOOKS_PER_STEP * venue.work_left
    while True:
        while not purge.numbers_left and purge.accounts_left:
            orders = venue.accounts[purge.accounts_left.pop()].orders
            purge.numbers_left = [number for number in orders if number <= purge.order_max]
            purge.numbers_left.reverse()
        if not purge.numbers_left:
            break
        if venue.work_left <= 0 or looks <= 0:
            return False
        looks -= 1
        order = venue.orders.get(purge.numbers_left.pop())
        if order is not None and order.open and purge.covers(order):
            venue.work_left -= 1
            _cancel(venue, purge, order)
    if not _cancel_withdrawals(venue, purge):
        return False
    _finish(venue, purge)
    return True


def _cancel(venue: Venue, purge: Purge, order: Order) -> None:
    purge.total += 1
    if purge.ending is Ending.SUMMARY and len(purge.affected) < AFFECTED_MAX:
        row = (order.account.name, order.terms.client_order_id, order.order_id)
        purge.affected.append(row)
    venue.cancel_order(
        order, purge.reason, purge.client_order_id, purge.requester, purge.route
    )


def _cancel_withdrawals(venue: Venue, purge: Purge) -> bool:
    """Cancel withdrawals by number as far as the work of this command goes (rule A-3)."""
    from engine.core import withdrawals

    if purge.withdrawal_max:
        for number in list(venue.open_withdrawals.get(purge.account, ())):
            if venue.work_left <= 0:
                return False
            record = venue.withdrawals[number]
            if withdrawals.cancel_covered(venue, record, purge):
                venue.work_left -= 1
    return True


def _finish(venue: Venue, purge: Purge) -> None:
    venue.purges.remove(purge)
    venue.wary = bool(venue.purges or venue.expired_to)
    if purge.ending is Ending.SUMMARY:
        summarize(venue, purge, complete=True)
    elif purge.ending is Ending.SWITCH:
        venue.emit(
            DeadMansSwitchSet, venue.accounts[purge.account], purge.strategy, 0
        )


def summarize(venue: Venue, purge: Purge, *, complete: bool) -> None:
    """Report what a mass cancel has done so far (rule C-7)."""
    venue.emit(
        MassCanceled, venue.accounts[purge.account], purge.client_order_id,
        tuple(purge.affected), purge.symbol, purge.side, purge.strategy, purge.session,
        purge.firm_wide, None, "", purge.total, complete, purge.requester,
        purge.route,
    )  # fmt: skip


def export(purge: Purge) -> list[object]:
    """Return a purge as plain values, for a snapshot."""
    return [
        purge.account, purge.firm, int(purge.firm_wide), purge.order_max, int(purge.reason),
        int(purge.ending), purge.session, purge.symbol,
        0 if purge.side is None else int(purge.side), purge.strategy, purge.client_order_id,
        purge.requester, purge.withdrawal_max, purge.actor, purge.note, purge.total,
        [list(row) for row in purge.affected], list(purge.accounts_left),
        list(purge.numbers_left), None if purge.route is None else list(purge.route),
    ]  # fmt: skip


def restore(row: list[Any]) -> Purge:
    """Rebuild a purge from what ``export`` returned."""
    account, firm, firm_wide, order_max, reason, ending = row[:6]
    purge = Purge(
        account, firm, bool(firm_wide), order_max, CancelReason(reason), Ending(ending)
    )
    (
        purge.session, purge.symbol, side, purge.strategy, purge.client_order_id,
        purge.requester, purge.withdrawal_max, purge.actor, purge.note, purge.total, affected,
        accounts_left, numbers_left,
    ) = row[6:19]  # fmt: skip
    route = row[19] if len(row) > 19 else None  # Rows of state version 2 have none.
    purge.route = None if route is None else Route(*route)
    purge.side = Side(side) if side else None
    purge.affected = [(name, client_id, number) for name, client_id, number in affected]
    purge.accounts_left = list(accounts_left)
    purge.numbers_left = list(numbers_left)
    return purge
