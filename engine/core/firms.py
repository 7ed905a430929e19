"""Limits on an account's money that come from its firm (rules A-4, W-13).

A firm's *main account* has the firm's name. Its approval amounts, daily limits, address rules
and suspension are the firm's: each applies to every account of the firm, unless the account's own
is tighter. Money that moves within the firm is therefore subject to the same limits wherever it is.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from engine.core.ledger import Account
from engine.core.types import AddressRules, WithdrawalLimit
from engine.core.venue import Venue

DAY_US: Final = 86_400_000_000


class Room(NamedTuple):
    """A daily limit, what counts towards it, and whether it is the whole firm's; in atoms."""

    limit: int
    used: int
    firm_wide: bool

    @property
    def left(self) -> int:
        """Return what may still be withdrawn that day, in atoms."""
        return max(0, self.limit - self.used)


def main_account(venue: Venue, account: Account) -> Account | None:
    """Return the main account of an account's firm, possibly itself; None if there is none."""
    main = venue.accounts.get(account.firm)
    return main if main is not None and main.firm == account.firm else None


def _rulers(venue: Venue, account: Account) -> tuple[Account, ...]:
    """Return the accounts whose settings apply to an account: its own, and the firm's."""
    main = main_account(venue, account)
    return (account,) if main is None or main is account else (account, main)


def withdrawn(venue: Venue, account: Account, asset: str, day: int) -> int:
    """Return what one account withdrew on a UTC day that counts towards daily limits, in atoms."""
    last, amount = account.withdrawn.get(asset, (0, 0))
    return amount if last == day else 0


def firm_withdrawn(venue: Venue, firm: str, asset: str, day: int) -> int:
    """Return the same of all accounts of a firm together. O(accounts of the firm)."""
    return sum(
        withdrawn(venue, venue.accounts[name], asset, day) for name in venue.firms[firm]
    )


def daily_room(venue: Venue, account: Account, asset: str, day: int) -> Room | None:
    """Return the daily limit that leaves an account the least; None if there is none."""
    rooms = []
    own = account.daily_limits.get(asset)
    main = main_account(venue, account)
    if own is not None and main is not account:
        rooms.append(Room(own, withdrawn(venue, account, asset, day), False))
    of_firm = None if main is None else main.daily_limits.get(asset)
    if of_firm is not None:
        used = firm_withdrawn(venue, account.firm, asset, day)
        rooms.append(Room(of_firm, used, True))
    return min(rooms, key=lambda room: room.left, default=None)


def approval_above(venue: Venue, account: Account, asset: str) -> int | None:
    """Return the amount above which a second person approves: the lower of account and firm."""
    amounts = (ruler.approval_above.get(asset) for ruler in _rulers(venue, account))
    return min((amount for amount in amounts if amount is not None), default=None)


def address_rules(venue: Venue, account: Account) -> AddressRules:
    """Return whether money leaves to known addresses only, and how long a new one cools off."""
    rulers = _rulers(venue, account)
    return AddressRules(
        any(ruler.require_known_address for ruler in rulers),
        max(ruler.address_cooloff_us for ruler in rulers),
    )


def books_to_obey(venue: Venue, account: Account) -> list[Account]:
    """Return the accounts in whose address books an address must be for this one to send to it."""
    return [ruler for ruler in _rulers(venue, account) if ruler.require_known_address]


def limits(venue: Venue, account: Account, day: int) -> list[WithdrawalLimit]:
    """Return the limits on the account's withdrawals on a day, asset by asset, for queries."""
    rows = []
    for asset in venue.assets:
        room = daily_room(venue, account, asset, day)
        used = withdrawn(venue, account, asset, day)
        rows.append(
            WithdrawalLimit(
                asset,
                None if room is None else room.limit,
                used if room is None else room.used,
                None if room is None else room.left,
                room is not None and room.firm_wide,
                approval_above(venue, account, asset),
            )
        )
    return rows


def members(venue: Venue, account: Account) -> list[Account]:
    """Return the accounts that a suspension of this one covers; a main account covers its firm."""
    if main_account(venue, account) is not account:
        return [account]
    return [venue.accounts[name] for name in venue.firms[account.firm]]


def settle_suspension(venue: Venue, account: Account) -> bool:
    """Update ``suspended`` from the account and its firm. Return True if it changed."""
    suspended = any(ruler.barred for ruler in _rulers(venue, account))
    changed = suspended is not account.suspended
    account.suspended = suspended
    return changed
