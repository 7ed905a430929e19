"""Accounts that may not act: suspended by an operator until one lets them act again (rules A)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.core import batches, firms, withdrawals
from engine.core.commands import SetAccountStatus
from engine.core.events import AccountStatusChanged
from engine.core.risk import unknown_account
from engine.core.types import CancelReason

if TYPE_CHECKING:
    from engine.core.exchange import Exchange


def set_status(exchange: Exchange, c: SetAccountStatus) -> None:
    """Suspend an account, ending what it has open, or let it act again.

    A firm's main account stands for the firm: each of its accounts is suspended with it (A-4).
    Nothing happens where it is so already; but a suspension that kept what was open can be
    repeated without doing so. O(open orders of the accounts + withdrawals of the venue).
    """
    account = exchange.accounts.get(c.account)
    if account is None:
        exchange.refuse(c.account, c.account, *unknown_account(c.account))
        return
    account.barred = c.suspended
    members = firms.members(exchange, account)
    for member in members:
        if firms.settle_suspension(exchange, member):
            exchange.emit(AccountStatusChanged, member, member.suspended, c.note)
    if c.suspended and not c.keep_open:
        source = c.origin.source
        for member in members:
            for order in batches.open_orders(exchange, member, firm_wide=False):
                exchange.cancel_order(order, CancelReason.OPERATOR, "", source)
            withdrawals.cancel_open(exchange, member, c.origin.user or source, c.note)
