"""Accounts that may not act: suspended by an operator until one lets them act again (rules A)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.core import batches, withdrawals
from engine.core.commands import SetAccountStatus
from engine.core.events import AccountStatusChanged
from engine.core.risk import unknown_account
from engine.core.types import CancelReason

if TYPE_CHECKING:
    from engine.core.exchange import Exchange


def set_status(exchange: Exchange, c: SetAccountStatus) -> None:
    """Suspend an account, ending what it has open, or let it act again.

    Nothing happens where it is so already; but a suspension that kept what was open can be
    repeated without doing so. O(open orders of the account + withdrawals of the venue).
    """
    account = exchange.accounts.get(c.account)
    if account is None:
        exchange.refuse(c.account, c.account, *unknown_account(c.account))
        return
    if c.suspended is not account.suspended:
        account.suspended = c.suspended
        exchange.emit(AccountStatusChanged, account, c.suspended, c.note)
    if c.suspended and not c.keep_open:
        source = c.origin.source
        for order in batches.open_orders(exchange, account, firm_wide=False):
            exchange.cancel_order(order, CancelReason.OPERATOR, "", source)
        withdrawals.cancel_open(exchange, account, c.origin.user or source, c.note)
