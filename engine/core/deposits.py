"""Money in: deposits, reported with their confirmations and credited once (rule W-8)."""

from __future__ import annotations

from typing import Final

from engine.core import commands
from engine.core.events import DepositUpdated
from engine.core.instruments import format_scaled
from engine.core.ledger import Account
from engine.core.networks import find_network
from engine.core.order_checks import Refusal, unknown_account
from engine.core.records import DepositRecord
from engine.core.types import INT64_MAX, Deposit, RejectReason
from engine.core.venue import Venue

ID_LENGTH_MAX: Final = 200


def deposit(venue: Venue, c: commands.Deposit) -> None:
    """Record a deposit or its confirmations, and credit it when there are enough (rule W-8)."""
    account = venue.accounts.get(c.account)
    refusal = _check_deposit(venue, account, c)
    if refusal is not None or account is None:
        venue.refuse(c.account, c.deposit_id, *(refusal or unknown_account(c.account)))
        return
    now = venue.time_us
    house = venue.house
    record = venue.deposits.get(c.deposit_id)
    if record is None:
        required = _confirmations_required(venue, c)
        before = Deposit(
            c.deposit_id, c.account, c.asset, c.network, c.address, c.txid, c.amount, 0, required,
            False, now, now,
        )  # fmt: skip
        house.await_deposit(c.asset, c.amount)
    else:
        before = record.row
    reached = max(c.confirmations, before.confirmations)
    reached_now = not before.credited and reached >= before.confirmations_required
    row = before._replace(
        network=before.network or c.network,
        address=before.address or c.address,
        txid=before.txid or c.txid,
        confirmations=reached,
        credited=before.credited or reached_now,
        updated_at=now,
    )
    venue.deposits[c.deposit_id] = DepositRecord(row)
    if reached_now:
        house.await_deposit(c.asset, -c.amount)
        house.bring_in(account.money(c.asset), c.asset, c.amount)
    venue.emit(DepositUpdated, account, row, c.amount if reached_now else 0)


def _confirmations_required(venue: Venue, c: commands.Deposit) -> int:
    """Return how many a new deposit needs: its network's number, or without one the report's."""
    network = venue.networks.get((c.asset, c.network))
    return c.confirmations_required if network is None else network.confirmations_required


def _check_deposit(
    venue: Venue, account: Account | None, c: commands.Deposit
) -> Refusal | None:
    if account is None:
        return unknown_account(c.account)
    if not 0 < len(c.deposit_id) <= ID_LENGTH_MAX:
        text = f"a deposit id has 1 to {ID_LENGTH_MAX} characters"
        return Refusal(RejectReason.INVALID_FIELD, text)
    if c.asset not in venue.assets:
        return Refusal(RejectReason.UNKNOWN_ASSET, f"there is no asset {c.asset!r}")
    if c.amount <= 0 or c.confirmations < 0 or c.confirmations_required < 0:
        text = "the amount of a deposit must be greater than zero"
        return Refusal(RejectReason.AMOUNT_TOO_SMALL, text)
    if c.network:
        network = find_network(venue, c.asset, c.network)
        if isinstance(network, Refusal):
            return network
    record = venue.deposits.get(c.deposit_id)
    if record is None:
        return _check_new_deposit(venue, c)
    row = record.row
    # A field that is absent contradicts nothing; a value once reported stays.
    known = (
        ("account", row.account, c.account), ("asset", row.asset, c.asset),
        ("amount", row.amount, c.amount), ("network", row.network, c.network),
        ("address", row.address, c.address), ("transaction id", row.txid, c.txid),
        ("number of confirmations required", row.confirmations_required,
         c.confirmations_required),
    )  # fmt: skip
    for name, before, now in known:
        if before and now and before != now:
            text = f"deposit {c.deposit_id} was reported before with another {name}: {before}"
            return Refusal(RejectReason.DUPLICATE_DEPOSIT, text)
    return None


def _check_new_deposit(venue: Venue, c: commands.Deposit) -> Refusal | None:
    required = _confirmations_required(venue, c)
    if c.confirmations_required not in (0, required):
        text = (
            f"{c.network} requires {required} confirmations; send that number as "
            "confirmations_required, or leave it out"
        )
        return Refusal(RejectReason.INVALID_FIELD, text)
    if venue.house.total(c.asset) + c.amount > INT64_MAX:
        scale = venue.assets[c.asset]
        room = format_scaled(max(0, INT64_MAX - venue.house.total(c.asset)), scale)
        text = (
            f"the venue's total of {c.asset} would exceed 64 bits; at most {room} {c.asset} more "
            "can be deposited"
        )
        return Refusal(RejectReason.INVALID_FIELD, text)
    return None
