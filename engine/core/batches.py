"""Many orders in one turn: mass cancel and batches (rules C-7 and B)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.core import orders, replaces
from engine.core.book import Order
from engine.core.commands import (
    Batch,
    BatchEntry,
    CancelOrder,
    MassCancel,
    NewOrder,
    RecordRefusal,
    ReplaceOrder,
)
from engine.core.events import BatchDone, MassCanceled
from engine.core.ledger import Account
from engine.core.refusals import record_refusal, refuse
from engine.core.risk import Refusal, unknown_account
from engine.core.types import BATCH_ENTRIES_MAX, BatchMode, CancelReason, RejectReason

if TYPE_CHECKING:
    from engine.core.exchange import Exchange


def mass_cancel(exchange: Exchange, c: MassCancel) -> None:
    """Cancel every open order that all filters match, in order of order id."""
    account = exchange.accounts.get(c.account)
    if account is None:
        refuse(exchange, c, *unknown_account(c.account))
        return
    if c.symbol and c.symbol not in exchange.books:
        text = f"there is no instrument {c.symbol!r}"
        refuse(exchange, c, RejectReason.UNKNOWN_SYMBOL, text)
        return
    chosen = [
        order
        for order in open_orders(exchange, account, c.firm_wide)
        if (not c.session or order.terms.session == c.session)
        and (not c.symbol or order.terms.symbol == c.symbol)
        and (c.side is None or order.terms.side is c.side)
        and (not c.strategy or order.terms.strategy == c.strategy)
    ]
    source = c.origin.source
    for order in chosen:
        exchange.cancel_order(order, CancelReason.MASS_CANCEL, c.client_order_id, source)
    affected = tuple(
        (order.account.name, order.terms.client_order_id, order.order_id) for order in chosen
    )
    exchange.emit(
        MassCanceled, account, c.client_order_id, affected, c.symbol, c.side, c.strategy,
        c.session, c.firm_wide, None, "",
    )  # fmt: skip


def open_orders(exchange: Exchange, account: Account, firm_wide: bool) -> list[Order]:
    """Open orders of an account, or of all accounts of its firm, by order id."""
    names = exchange.firms[account.firm] if firm_wide else [account.name]
    chosen = [order for name in names for order in exchange.accounts[name].orders.values()]
    chosen.sort(key=lambda order: order.order_id)
    return chosen


def batch(exchange: Exchange, c: Batch) -> None:
    """Do the entries in order; in mode VALIDATE_ALL only if all of them are in order."""
    account = exchange.accounts.get(c.account)
    if account is None:
        refuse(exchange, c, *unknown_account(c.account))
        return
    if not 1 <= len(c.entries) <= BATCH_ENTRIES_MAX:
        text = f"a batch has 1 to {BATCH_ENTRIES_MAX} entries, this one has {len(c.entries)}"
        refuse(exchange, c, RejectReason.INVALID_BATCH, text)
        return
    if any(exchange.accounts.get(entry.account) is None for entry in c.entries) or any(
        exchange.accounts[entry.account].firm != account.firm for entry in c.entries
    ):
        refuse(exchange, c, RejectReason.INVALID_BATCH, "a batch is for accounts of one firm")
        return
    results: list[tuple[int, int, bool]] = []
    if c.mode is BatchMode.VALIDATE_ALL:
        faults = _faults(exchange, c)
        if any(fault is not None for fault in faults):
            _refuse_all(exchange, c, faults, results)
            text = "an entry is not acceptable, so none was done"
            fields = (c.batch_id, tuple(results), RejectReason.BATCH_REFUSED, text)
            exchange.emit(BatchDone, account, *fields)
            return
    for entry in c.entries:
        start = len(exchange.events)
        if isinstance(entry, NewOrder):
            done = orders.new_order(exchange, entry)
        elif isinstance(entry, CancelOrder):
            done = orders.cancel(exchange, entry)
        elif isinstance(entry, ReplaceOrder):
            done = replaces.replace(exchange, entry)
        else:
            record_refusal(exchange, entry)
            done = False
        results.append((start, len(exchange.events) - start, done))
    exchange.emit(BatchDone, account, c.batch_id, tuple(results), None, "")


def _faults(exchange: Exchange, c: Batch) -> list[Refusal | None]:
    """Rule B-3: what is wrong with each entry, seen from before the batch."""
    new_ids: set[tuple[str, str]] = set()
    faults: list[Refusal | None] = []
    for entry in c.entries:
        fault = _fault(exchange, entry)
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


def _fault(exchange: Exchange, entry: BatchEntry) -> Refusal | None:
    if isinstance(entry, NewOrder):
        fault = orders.check_new(exchange, entry)
        return None if fault is orders.REPORTED else fault
    if isinstance(entry, CancelOrder):
        found = orders.check_cancel(exchange, entry)
        return found if isinstance(found, Refusal) else None
    if isinstance(entry, ReplaceOrder):
        return replaces.check_change(exchange, entry)
    return Refusal(entry.reason, entry.text)


def _refuse_all(
    exchange: Exchange,
    c: Batch,
    faults: list[Refusal | None],
    results: list[tuple[int, int, bool]],
) -> None:
    """Refuse every entry: the faulty ones with their reason, the others with the batch's."""
    others = Refusal(
        RejectReason.BATCH_REFUSED, "another entry of the batch is not acceptable"
    )
    for entry, fault in zip(c.entries, faults, strict=True):
        start = len(exchange.events)
        if isinstance(entry, RecordRefusal):
            record_refusal(exchange, entry)
        else:
            refuse(exchange, entry, *(fault or others))
        results.append((start, len(exchange.events) - start, False))
