"""Many orders in one turn: mass cancel and batches (rules C-7 and B)."""

from __future__ import annotations

from engine.core import orders, purges, replaces
from engine.core.authority import reaches, speaks_for_firm
from engine.core.commands import (
    Batch,
    BatchEntry,
    CancelOrder,
    MassCancel,
    NewOrder,
    RecordRefusal,
    ReplaceOrder,
)
from engine.core.events import BatchDone
from engine.core.ledger import Account
from engine.core.lookup import find_named
from engine.core.order_checks import Refusal, not_for_firm, unknown_account
from engine.core.purges import MASS_CANCELS_MAX
from engine.core.records import Ending, Purge
from engine.core.refusals import record_refusal, refuse
from engine.core.types import BATCH_ENTRIES_MAX, BatchMode, CancelReason, RejectReason
from engine.core.venue import Venue


def mass_cancel(venue: Venue, c: MassCancel) -> None:
    """Cancel every open order that all filters match (rule C-7).

    Account by account of the firm, each in order of order id.
    """
    account = venue.accounts.get(c.account)
    if account is None:
        refuse(venue, c, *unknown_account(c.account))
        return
    if c.symbol and c.symbol not in venue.books:
        text = f"there is no instrument {c.symbol!r}"
        refuse(venue, c, RejectReason.UNKNOWN_SYMBOL, text)
        return
    if c.firm_wide and not speaks_for_firm(account.name, account.firm):
        refuse(venue, c, *not_for_firm(account))
        return
    if sum(_is_theirs(purge, c.account) for purge in venue.purges) >= MASS_CANCELS_MAX:
        text = f"{MASS_CANCELS_MAX} mass cancels of this account are in progress; wait for one"
        refuse(venue, c, RejectReason.THROTTLED, text)
        return
    reason = CancelReason.MASS_CANCEL
    purge = purges.make(venue, c.account, c.firm_wide, reason, Ending.SUMMARY)
    purge.session = c.session
    purge.symbol = c.symbol
    purge.side = c.side
    purge.strategy = c.strategy
    purge.client_order_id = c.client_order_id
    purge.requester = c.origin.source
    purge.route = c.origin.route
    purges.begin(venue, purge)
    if purge in venue.purges:
        purges.summarize(venue, purge, complete=False)


def _is_theirs(purge: Purge, account: str) -> bool:
    return purge.ending is Ending.SUMMARY and purge.account == account


def batch(venue: Venue, c: Batch) -> None:
    """Execute the entries in order; in mode VALIDATE_ALL only if all of them are valid."""
    account = venue.accounts.get(c.account)
    if account is None:
        refuse(venue, c, *unknown_account(c.account))
        return
    if not 1 <= len(c.entries) <= BATCH_ENTRIES_MAX:
        text = f"a batch has 1 to {BATCH_ENTRIES_MAX} entries, this one has {len(c.entries)}"
        refuse(venue, c, RejectReason.INVALID_BATCH, text)
        return
    if not all(_reached(venue, account, entry.account) for entry in c.entries):
        text = f"a batch of {account.name} is for the accounts that {account.name} acts for"
        refuse(venue, c, RejectReason.INVALID_BATCH, text)
        return
    results: list[tuple[int, int, bool]] = []
    if c.mode is BatchMode.VALIDATE_ALL:
        faults = _faults(venue, c)
        if any(fault is not None for fault in faults):
            _refuse_all(venue, c, faults, results)
            text = "an entry is not acceptable, so none was done"
            fields = (c.batch_id, tuple(results), RejectReason.BATCH_REFUSED, text)
            venue.emit(BatchDone, account, *fields)
            return
    for entry in c.entries:
        if venue.wary and not isinstance(entry, NewOrder):
            find_named(venue, entry)  # A cancel in progress may cover it (rule C-10).
        start = len(venue.events)
        if isinstance(entry, NewOrder):
            done = orders.new_order(venue, entry)
        elif isinstance(entry, CancelOrder):
            done = orders.cancel(venue, entry)
        elif isinstance(entry, ReplaceOrder):
            done = replaces.replace(venue, entry)
        else:
            record_refusal(venue, entry)
            done = False
        results.append((start, len(venue.events) - start, done))
    venue.emit(BatchDone, account, c.batch_id, tuple(results), None, "")


def _reached(venue: Venue, account: Account, name: str) -> bool:
    other = venue.accounts.get(name)
    return other is not None and reaches(account.name, account.firm, name, other.firm)


def _faults(venue: Venue, c: Batch) -> list[Refusal | None]:
    """Return what is wrong with each entry in the state before the batch (rule B-3)."""
    new_ids: set[tuple[str, str]] = set()
    faults: list[Refusal | None] = []
    for entry in c.entries:
        fault = _fault(venue, entry)
        if isinstance(entry, NewOrder | ReplaceOrder) and fault is None and entry.client_order_id:
            new_id = (entry.account, entry.client_order_id)
            if new_id in new_ids:
                fault = Refusal(
                    RejectReason.DUPLICATE_CLIENT_ORDER_ID,
                    f"client order id {entry.client_order_id} is in the batch twice",
                )
            new_ids.add(new_id)
        faults.append(fault)
    return faults


def _fault(venue: Venue, entry: BatchEntry) -> Refusal | None:
    if isinstance(entry, NewOrder):
        fault = orders.check_new(venue, entry)
        return None if fault is orders.REPORTED else fault
    if isinstance(entry, CancelOrder):
        found = orders.check_cancel(venue, entry)
        return found if isinstance(found, Refusal) else None
    if isinstance(entry, ReplaceOrder):
        return replaces.check_change(venue, entry)
    return Refusal(entry.reason, entry.text)


def _refuse_all(
    venue: Venue,
    c: Batch,
    faults: list[Refusal | None],
    results: list[tuple[int, int, bool]],
) -> None:
    """Refuse every entry: the invalid ones with their own reason, the others with the batch's."""
    others = Refusal(
        RejectReason.BATCH_REFUSED, "another entry of the batch is not acceptable"
    )
    for entry, fault in zip(c.entries, faults, strict=True):
        start = len(venue.events)
        if isinstance(entry, RecordRefusal):
            record_refusal(venue, entry)
        else:
            refuse(venue, entry, *(fault or others))
        results.append((start, len(venue.events) - start, False))
