"""Address books with cool-off, pinned withdrawal fees, deposit addresses (rules W-10 to W-12)."""

from __future__ import annotations

from typing import Final

from engine.core import commands
from engine.core.events import AddressChanged, DepositAddressAssigned, WithdrawalQuoted
from engine.core.firms import address_rules, books_to_obey
from engine.core.ledger import Account
from engine.core.networks import find_network
from engine.core.order_checks import Refusal, check_active, unknown_account
from engine.core.records import Network
from engine.core.types import (
    Address,
    DepositAddress,
    RejectReason,
    WithdrawalQuote,
)
from engine.core.venue import Venue

ADDRESSES_MAX: Final = 1000
QUOTES_MAX: Final = 100
QUOTE_LIFE_US: Final = 60_000_000
TEXT_LENGTH_MAX: Final = 200


def _target(
    venue: Venue, name: str, asset: str, network: str
) -> tuple[Account, Network] | Refusal:
    """Return the account and network that a request names."""
    account = venue.accounts.get(name)
    if account is None:
        return unknown_account(name)
    found = find_network(venue, asset, network)
    return found if isinstance(found, Refusal) else (account, found)


def _check_texts(address: str, memo: str, label: str = "") -> Refusal | None:
    if 0 < len(address) <= TEXT_LENGTH_MAX and max(len(memo), len(label)) <= TEXT_LENGTH_MAX:
        return None
    text = f"an address has 1 to {TEXT_LENGTH_MAX} characters, memo and label at most as many"
    return Refusal(RejectReason.INVALID_FIELD, text)


def add(venue: Venue, c: commands.AddAddress) -> None:
    """Add an address, or return the existing entry (rule W-10)."""
    target = _target(venue, c.account, c.asset, c.network)
    refusal = target if isinstance(target, Refusal) else _check_texts(c.address, c.memo, c.label)
    if isinstance(target, Refusal) or refusal is not None:
        venue.refuse(c.account, c.address, *(refusal or target))
        return
    account, network = target
    known = find(account.addresses, c.asset, c.network, c.address, c.memo)
    if known is not None:
        venue.emit(AddressChanged, account, known, False)
        return
    inactive = check_active(account)
    if inactive is not None:
        venue.refuse(c.account, c.address, *inactive)
        return
    if network.memo_required and not c.memo:
        text = f"an address of {c.asset} on {c.network} needs a memo"
        venue.refuse(c.account, c.address, RejectReason.MEMO_REQUIRED, text)
        return
    if len(account.addresses) >= ADDRESSES_MAX:
        text = f"the address book has its maximum of {ADDRESSES_MAX} entries"
        venue.refuse(c.account, c.address, RejectReason.TOO_MANY_ADDRESSES, text)
        return
    address_id = venue.next_address_id
    venue.next_address_id += 1
    now = venue.time_us
    entry = Address(
        address_id, c.account, c.asset, c.network, c.address, c.memo, c.label, now,
        now + address_rules(venue, account).address_cooloff_us,
    )  # fmt: skip
    account.addresses[address_id] = entry
    venue.emit(AddressChanged, account, entry, False)


def remove(venue: Venue, c: commands.RemoveAddress) -> None:
    """Remove an entry; adding the same address again restarts its cool-off."""
    account = venue.accounts.get(c.account)
    entry = account.addresses.pop(c.address_id, None) if account else None
    if account is None or entry is None:
        text = f"there is no address {c.address_id} in the book"
        venue.refuse(c.account, str(c.address_id), RejectReason.UNKNOWN_ADDRESS, text)
        return
    venue.emit(AddressChanged, account, entry, True)


def find(
    book: dict[int, Address], asset: str, network: str, address: str, memo: str
) -> Address | None:
    """Return the entry of exactly this address in a book. O(addresses)."""
    wanted = (asset, network, address, memo)
    for entry in book.values():
        if (entry.asset, entry.network, entry.address, entry.memo) == wanted:
            return entry
    return None


def check_allowed(
    venue: Venue, account: Account, c: commands.RequestWithdrawal
) -> tuple[Refusal, int] | None:
    """Rules W-10 and W-13 for a withdrawal; the number is when the address becomes usable."""
    for owner in books_to_obey(venue, account):
        entry = find(owner.addresses, c.asset, c.network, c.address, c.memo)
        if entry is None:
            text = f"the address is not in the address book of account {owner.name}"
            return Refusal(RejectReason.ADDRESS_NOT_ALLOWED, text), 0
        if entry.available_at > venue.time_us:
            text = (
                f"the address was added recently to the book of account {owner.name} and cannot "
                "be used before its cool-off has passed"
            )
            return Refusal(RejectReason.ADDRESS_COOLING, text), entry.available_at
    return None


def quote(venue: Venue, c: commands.QuoteWithdrawal) -> None:
    """Quote the current fee for one withdrawal (rule W-11)."""
    target = _target(venue, c.account, c.asset, c.network)
    if isinstance(target, Refusal):
        venue.refuse(c.account, c.asset, *target)
        return
    account, network = target
    inactive = check_active(account)
    if inactive is not None:
        venue.refuse(c.account, c.asset, *inactive)
        return
    if c.amount <= 0:
        text = "the amount of a withdrawal must be greater than zero"
        venue.refuse(c.account, c.asset, RejectReason.AMOUNT_TOO_SMALL, text)
        return
    now = venue.time_us
    for quote_id, old in list(account.quotes.items()):
        if old.expires_at < now or len(account.quotes) >= QUOTES_MAX:
            del account.quotes[quote_id]
    number = venue.next_quote_id
    venue.next_quote_id += 1
    made = WithdrawalQuote(
        f"Q{number}", c.account, c.asset, c.network, c.amount, network.withdrawal_fee,
        now + QUOTE_LIFE_US,
    )  # fmt: skip
    account.quotes[made.quote_id] = made
    venue.emit(WithdrawalQuoted, account, made)


def quoted_fee(
    venue: Venue, account: Account, c: commands.RequestWithdrawal, network: Network
) -> int | Refusal:
    """Return the fee of a withdrawal: the quoted one if a quote is named (rule W-11)."""
    if not c.quote_id:
        return network.withdrawal_fee
    made = account.quotes.get(c.quote_id)
    if made is None:
        text = f"there is no quote {c.quote_id!r}, or it was used already"
        return Refusal(RejectReason.UNKNOWN_QUOTE, text)
    if made.expires_at < venue.time_us:
        return Refusal(RejectReason.QUOTE_EXPIRED, f"quote {c.quote_id} has expired")
    if (made.asset, made.network, made.amount) != (c.asset, c.network, c.amount):
        text = f"quote {c.quote_id} is for another asset, network or amount"
        return Refusal(RejectReason.MISMATCH, text)
    return made.fee


def assign(venue: Venue, c: commands.AssignDepositAddress) -> None:
    """Record an account's deposit address, or return the existing one (rule W-12)."""
    target = _target(venue, c.account, c.asset, c.network)
    refusal = target if isinstance(target, Refusal) else _check_texts(c.address, c.memo)
    if isinstance(target, Refusal) or refusal is not None:
        venue.refuse(c.account, c.address, *(refusal or target))
        return
    account, _ = target
    key = (c.asset, c.network)
    made = account.deposit_addresses.get(key)
    if made is None:
        made = DepositAddress(
            c.account, c.asset, c.network, c.address, c.memo, venue.time_us
        )
        account.deposit_addresses[key] = made
    venue.emit(DepositAddressAssigned, account, made)
