"""Withdrawals, with their life cycle as a table, and transfers (rules W)."""

from __future__ import annotations

from typing import Final

from engine.core import commands, firms
from engine.core.addresses import check_allowed, quoted_fee
from engine.core.events import Transferred, WithdrawalUpdated
from engine.core.firms import DAY_US as DAY_US
from engine.core.instruments import format_scaled
from engine.core.ledger import Account, hold, release
from engine.core.networks import find_network
from engine.core.order_checks import Refusal, check_active, check_client_id, unknown_account
from engine.core.records import Network, Purge, WithdrawalRecord
from engine.core.timers import Timer, TimerKind
from engine.core.types import (
    HistoryStep,
    RejectReason,
    Withdrawal,
    WithdrawalState,
)
from engine.core.venue import Venue

APPROVAL_WINDOW_US: Final = DAY_US
TEXT_LENGTH_MAX: Final = 200

S = WithdrawalState
MOVES: Final[dict[WithdrawalState, tuple[WithdrawalState, ...]]] = {
    S.REQUESTED: (S.PENDING_APPROVAL, S.APPROVED, S.CANCELED),
    S.PENDING_APPROVAL: (S.APPROVED, S.REJECTED, S.CANCELED, S.EXPIRED),
    S.APPROVED: (S.QUEUED, S.CANCELED),
    S.QUEUED: (S.BROADCASTING, S.CANCELED, S.FAILED),
    S.BROADCASTING: (S.CONFIRMING, S.FAILED),
    S.CONFIRMING: (S.COMPLETED, S.BROADCASTING),
    S.COMPLETED: (),
    S.REJECTED: (),
    S.CANCELED: (),
    S.FAILED: (),
    S.EXPIRED: (),
}
"""The legal transitions (rule W-3)."""

_RELEASING: Final = (S.REJECTED, S.CANCELED, S.FAILED, S.EXPIRED)
_WORKER_STATES: Final = (S.BROADCASTING, S.CONFIRMING, S.COMPLETED, S.FAILED)


def _no_account(name: str) -> Refusal:
    return unknown_account(name)


def request(venue: Venue, c: commands.RequestWithdrawal) -> None:
    """Hold amount + fee and start the life of a withdrawal (rules W-1, W-2, W-4)."""
    account = venue.accounts.get(c.account)
    if account is None:
        venue.refuse(c.account, c.client_withdrawal_id, *_no_account(c.account))
        return
    refusal = check_client_id(c.client_withdrawal_id)
    known = venue.withdrawal_ids.get((c.account, c.client_withdrawal_id))
    if refusal is None and known is not None:
        text = f"client withdrawal id {c.client_withdrawal_id} belongs to withdrawal {known}"
        refusal = Refusal(RejectReason.DUPLICATE_CLIENT_WITHDRAWAL_ID, text)
    checked = refusal or _check_request(venue, account, c)
    detail = known or 0
    if not isinstance(checked, Refusal):
        barred = check_allowed(venue, account, c)
        if barred is not None:
            checked, detail = barred
    if isinstance(checked, Refusal):
        if checked.reason is RejectReason.WITHDRAWAL_LIMIT:
            room = _room(venue, account, c.asset)
            detail = 0 if room is None else room.left
        venue.refuse(c.account, c.client_withdrawal_id, *checked, detail)
        return
    network, fee = checked
    account.quotes.pop(c.quote_id, None)
    now = venue.time_us
    hold(account.money(c.asset), c.amount + fee)
    _count_towards_limit(venue, account, c.asset, c.amount)
    withdrawal_id = venue.next_withdrawal_id
    venue.next_withdrawal_id += 1
    venue.withdrawal_ids[(c.account, c.client_withdrawal_id)] = withdrawal_id
    actor = c.origin.user or c.origin.source
    approval_above = firms.approval_above(venue, account, c.asset)
    needs_approval = approval_above is not None and c.amount > approval_above
    row = Withdrawal(
        withdrawal_id, c.account, c.client_withdrawal_id, c.asset, c.network, c.address, c.memo,
        c.amount, fee, S.REQUESTED, actor, "", now, now,
        now + APPROVAL_WINDOW_US if needs_approval else 0, "", 0,
        network.confirmations_required, (HistoryStep(S.REQUESTED, now, actor, ""),),
    )  # fmt: skip
    record = WithdrawalRecord(row, posted=False)
    venue.withdrawals[withdrawal_id] = record
    venue.open_withdrawals.setdefault(c.account, {})[withdrawal_id] = None
    venue.emit(WithdrawalUpdated, account, row, c.amount + fee, 0)
    if needs_approval:
        timer = Timer(TimerKind.WITHDRAWAL, "", "", withdrawal_id)
        venue.timers.add(row.expires_at, timer)
        move(venue, record, S.PENDING_APPROVAL, "venue", "above the approval limit")
    else:
        move(venue, record, S.APPROVED, "venue", "at or below the approval limit")
        move(venue, record, S.QUEUED, "venue", "")


def _room(venue: Venue, account: Account, asset: str) -> firms.Room | None:
    """Return the daily limit that leaves the least today (rule W-13)."""
    return firms.daily_room(venue, account, asset, venue.time_us // DAY_US)


def _count_towards_limit(
    venue: Venue, account: Account, asset: str, amount: int
) -> None:
    day = venue.time_us // DAY_US
    today = firms.withdrawn(venue, account, asset, day) + amount
    account.withdrawn[asset] = (day, max(0, today))


def _check_request(
    venue: Venue, account: Account, c: commands.RequestWithdrawal
) -> tuple[Network, int] | Refusal:
    """Check rules A-2 and W-1 for a new id; return the network and the fee."""
    inactive = check_active(account)
    if inactive is not None:
        return inactive
    network = find_network(venue, c.asset, c.network)
    if isinstance(network, Refusal):
        return network
    if network.suspended:
        text = f"withdrawals of {c.asset} on {c.network} are suspended"
        return Refusal(RejectReason.NETWORK_SUSPENDED, text)
    if not 0 < len(c.address) <= TEXT_LENGTH_MAX or len(c.memo) > TEXT_LENGTH_MAX:
        text = f"an address has 1 to {TEXT_LENGTH_MAX} characters, a memo at most as many"
        return Refusal(RejectReason.INVALID_FIELD, text)
    if network.memo_required and not c.memo:
        text = f"a withdrawal of {c.asset} on {c.network} needs a memo"
        return Refusal(RejectReason.MEMO_REQUIRED, text)
    scale = venue.assets[c.asset]
    if c.amount < max(1, network.withdrawal_min):
        least = format_scaled(max(1, network.withdrawal_min), scale)
        text = f"the smallest withdrawal on {c.network} is {least} {c.asset}"
        return Refusal(RejectReason.AMOUNT_TOO_SMALL, text)
    if c.amount % network.withdrawal_step:
        step = format_scaled(network.withdrawal_step, scale)
        amount = format_scaled(c.amount, scale)
        text = (
            f"amount {amount} is not a multiple of the withdrawal step {step} of {c.asset} on "
            f"{c.network}"
        )
        return Refusal(RejectReason.INVALID_QUANTITY, text)
    room = _room(venue, account, c.asset)
    if room is not None and c.amount > room.left:
        whose = "the firm's" if room.firm_wide else "the account's"
        left = format_scaled(room.left, scale)
        text = f"{left} {c.asset} of {whose} withdrawal limit for today is left"
        return Refusal(RejectReason.WITHDRAWAL_LIMIT, text)
    fee = quoted_fee(venue, account, c, network)
    if isinstance(fee, Refusal):
        return fee
    available = account.money(c.asset).available
    needed = c.amount + fee
    if needed > available:
        text = (
            f"amount and fee need {format_scaled(needed, scale)} {c.asset} and "
            f"{format_scaled(available, scale)} {c.asset} is available"
        )
        return Refusal(RejectReason.INSUFFICIENT_FUNDS, text)
    return network, fee


def _find(
    venue: Venue, name: str, withdrawal_id: int
) -> WithdrawalRecord | Refusal:
    """Return a withdrawal of the account; one of another account is reported as unknown."""
    record = venue.withdrawals.get(withdrawal_id)
    if record is None or record.row.account != name:
        text = f"there is no withdrawal {withdrawal_id}"
        return Refusal(RejectReason.UNKNOWN_WITHDRAWAL, text)
    _meet(venue, record)
    return record


def _wrong_state(row: Withdrawal, what: str) -> Refusal:
    text = f"withdrawal {row.withdrawal_id} is {row.state.name.lower()} and cannot be {what}"
    return Refusal(RejectReason.WITHDRAWAL_STATE, text)


def approve(venue: Venue, c: commands.ApproveWithdrawal) -> None:
    """Approve a withdrawal as a second person (rule W-4)."""
    found = _find(venue, c.account, c.withdrawal_id)
    actor = c.origin.user or c.origin.source
    if isinstance(found, WithdrawalRecord):
        if found.row.state is not S.PENDING_APPROVAL:
            found = _wrong_state(found.row, "approved")
        elif found.row.requested_by == actor:
            text = f"withdrawal {c.withdrawal_id} must be approved by another user than {actor}"
            found = Refusal(RejectReason.SELF_APPROVAL, text)
        else:
            found = check_active(venue.accounts[c.account]) or found
    if isinstance(found, Refusal):
        venue.refuse(c.account, str(c.withdrawal_id), *found)
        return
    found.row = found.row._replace(approved_by=actor)
    move(venue, found, S.APPROVED, actor, "")
    move(venue, found, S.QUEUED, "venue", "")


def reject(venue: Venue, c: commands.RejectWithdrawal) -> None:
    """Reject a withdrawal that waits for its approval, whoever requested it (rule W-4)."""
    found = _find(venue, c.account, c.withdrawal_id)
    if isinstance(found, WithdrawalRecord) and found.row.state is not S.PENDING_APPROVAL:
        found = _wrong_state(found.row, "rejected")
    if isinstance(found, Refusal):
        venue.refuse(c.account, str(c.withdrawal_id), *found)
        return
    move(venue, found, S.REJECTED, c.origin.user or c.origin.source, c.note)


def cancel(venue: Venue, c: commands.CancelWithdrawal) -> None:
    """Cancel a withdrawal before it is handed to the network (rule W-5)."""
    found = _find(venue, c.account, c.withdrawal_id)
    if isinstance(found, WithdrawalRecord) and S.CANCELED not in MOVES[found.row.state]:
        found = _wrong_state(found.row, "canceled")
    if isinstance(found, Refusal):
        venue.refuse(c.account, str(c.withdrawal_id), *found)
        return
    move(venue, found, S.CANCELED, c.origin.user or c.origin.source, "")


def cancel_covered(venue: Venue, record: WithdrawalRecord, purge: Purge) -> bool:
    """Cancel a withdrawal that a suspension in progress covers (A-3). Return True if it did."""
    row = record.row
    covered = row.account == purge.account and row.withdrawal_id <= purge.withdrawal_max
    if not covered or S.CANCELED not in MOVES[row.state]:
        return False
    move(venue, record, S.CANCELED, purge.actor, purge.note)
    return True


def _meet(venue: Venue, record: WithdrawalRecord) -> None:
    """Cancel a withdrawal named by a request if a suspension in progress covers it."""
    for purge in venue.purges:
        if cancel_covered(venue, record, purge):
            return


def advance(venue: Venue, c: commands.AdvanceWithdrawal) -> None:
    """Apply a report of the settlement worker (rules W-3, W-6, W-7)."""
    record = venue.withdrawals.get(c.withdrawal_id)
    if record is None or c.state not in _WORKER_STATES:
        text = f"there is no withdrawal {c.withdrawal_id} to bring to state {c.state}"
        venue.refuse("", str(c.withdrawal_id), RejectReason.UNKNOWN_WITHDRAWAL, text)
        return
    state = WithdrawalState(c.state)
    _meet(venue, record)
    row = record.row
    actor = c.origin.user or c.origin.source
    if state is row.state:
        confirmations = max(c.confirmations, row.confirmations)
        if confirmations != row.confirmations:
            record.row = row._replace(
                confirmations=confirmations, updated_at=venue.time_us
            )
            account = venue.accounts[row.account]
            venue.emit(WithdrawalUpdated, account, record.row, 0, 0)
        return
    if state not in MOVES[row.state]:
        refusal = _wrong_state(row, state.name.lower())
        venue.refuse(row.account, str(c.withdrawal_id), *refusal)
        return
    record.row = row._replace(
        txid=c.txid or row.txid,
        confirmations=0 if state is S.BROADCASTING else max(c.confirmations, row.confirmations),
    )
    move(venue, record, state, actor, c.note)


def expire(venue: Venue, withdrawal_id: int) -> None:
    """Expire a withdrawal that was not approved in time (rule S-5)."""
    record = venue.withdrawals[withdrawal_id]
    if record.row.state is S.PENDING_APPROVAL:
        move(venue, record, S.EXPIRED, "venue", "not approved in time")


def move(
    venue: Venue, record: WithdrawalRecord, state: WithdrawalState, actor: str, note: str
) -> None:
    """Make one legal transition, with its postings, and report it."""
    row = record.row
    now = venue.time_us
    account = venue.accounts[row.account]
    total = row.amount + row.fee
    money = account.money(row.asset)
    hold_change = posted = 0
    if row.state is S.PENDING_APPROVAL:
        timer = Timer(TimerKind.WITHDRAWAL, "", "", row.withdrawal_id)
        venue.timers.discard(row.expires_at, timer)
    if state is S.CONFIRMING and not record.posted:
        venue.house.send_out(money, row.asset, row.amount, row.fee)
        record.posted = True
        hold_change, posted = -total, total
    elif state is S.COMPLETED:
        venue.house.finish(row.asset, row.amount)
    elif state in _RELEASING:
        if record.posted:
            venue.house.take_back(money, row.asset, row.amount, row.fee)
            record.posted = False
            posted = -total
        else:
            release(money, total)
            hold_change = -total
        if row.created_at // DAY_US == now // DAY_US:
            _count_towards_limit(venue, account, row.asset, -row.amount)
    record.row = row = row._replace(
        state=state,
        updated_at=now,
        history=(*row.history, HistoryStep(state, now, actor, note[:TEXT_LENGTH_MAX])),
    )
    if not MOVES[state]:
        venue.open_withdrawals[row.account].pop(row.withdrawal_id, None)
    venue.emit(WithdrawalUpdated, account, row, hold_change, posted)


def transfer(venue: Venue, c: commands.Transfer) -> None:
    """Move available money between two accounts of one firm (rule W-9)."""
    account = venue.accounts.get(c.account)
    other = venue.accounts.get(c.to_account)
    refusal = _check_transfer(venue, account, other, c)
    if refusal is not None or account is None or other is None:
        known = venue.transfer_ids.get((c.account, c.client_transfer_id), 0)
        refusal = refusal or _no_account(c.account)
        venue.refuse(c.account, c.client_transfer_id, *refusal, known)
        return
    transfer_id = venue.next_transfer_id
    venue.next_transfer_id += 1
    venue.transfer_ids[(c.account, c.client_transfer_id)] = transfer_id
    account.money(c.asset).available -= c.amount
    other.money(c.asset).available += c.amount
    for owner, counterparty, change in ((account, other, -c.amount), (other, account, c.amount)):
        venue.emit(
            Transferred, owner, c.client_transfer_id, transfer_id, counterparty.name, c.asset,
            change,
        )  # fmt: skip


def _check_transfer(
    venue: Venue, account: Account | None, other: Account | None, c: commands.Transfer
) -> Refusal | None:
    if account is None:
        return _no_account(c.account)
    refusal = check_client_id(c.client_transfer_id)
    if refusal is not None:
        return refusal
    known = venue.transfer_ids.get((c.account, c.client_transfer_id))
    if known is not None:
        text = f"client transfer id {c.client_transfer_id} belongs to transfer {known}"
        return Refusal(RejectReason.DUPLICATE_CLIENT_TRANSFER_ID, text)
    inactive = check_active(account)
    if inactive is not None:
        return inactive
    if other is None or other.firm != account.firm or other is account:
        text = f"{c.to_account!r} is not another account of the firm"
        return Refusal(RejectReason.UNKNOWN_ACCOUNT, text)
    if c.asset not in venue.assets:
        return Refusal(RejectReason.UNKNOWN_ASSET, f"there is no asset {c.asset!r}")
    if c.amount <= 0:
        text = "the amount of a transfer must be greater than zero"
        return Refusal(RejectReason.AMOUNT_TOO_SMALL, text)
    available = account.money(c.asset).available
    if c.amount > available:
        scale = venue.assets[c.asset]
        text = f"{format_scaled(available, scale)} {c.asset} is available"
        return Refusal(RejectReason.INSUFFICIENT_FUNDS, text)
    return None
