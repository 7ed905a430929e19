"""Suspended accounts: they may not act until an operator resumes them (rules A)."""

from __future__ import annotations

from engine.core import firms, purges
from engine.core.commands import SetAccountStatus
from engine.core.events import AccountStatusChanged
from engine.core.order_checks import unknown_account
from engine.core.records import Ending
from engine.core.types import CancelReason
from engine.core.venue import Venue


def set_status(venue: Venue, c: SetAccountStatus) -> None:
    """Suspend an account, canceling what it has open, or resume it.

    A suspension of a firm's main account suspends every account of the firm (A-4). Repeating
    either changes nothing, except that a suspension that kept what was open can be repeated
    without ``keep_open``.
    """
    account = venue.accounts.get(c.account)
    if account is None:
        venue.refuse(c.account, c.account, *unknown_account(c.account))
        return
    account.barred = c.suspended
    members = firms.members(venue, account)
    for member in members:
        if firms.settle_suspension(venue, member):
            venue.emit(AccountStatusChanged, member, member.suspended, c.note)
    if c.suspended and not c.keep_open:
        for member in members:
            purge = purges.make(
                venue, member.name, False, CancelReason.OPERATOR, Ending.NOTHING
            )
            purge.requester = c.origin.source
            purge.withdrawal_max = venue.next_withdrawal_id - 1
            purge.actor = c.origin.user or c.origin.source
            purge.note = c.note
            purges.begin(venue, purge)
