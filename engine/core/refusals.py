"""Refusals as events: each kind of request has its own event, from which its answer is made."""

from __future__ import annotations

from engine.core.book import Order
from engine.core.commands import (
    Batch,
    CancelOrder,
    Command,
    MassCancel,
    NewOrder,
    RecordRefusal,
    ReplaceOrder,
)
from engine.core.events import BatchDone, CancelRejected, Event, MassCanceled, OrderRejected
from engine.core.ledger import Account
from engine.core.lookup import find
from engine.core.order_checks import Refusal
from engine.core.types import OrdStatus, RejectReason, RequestKind, make
from engine.core.venue import Venue


def refuse_new(venue: Venue, c: NewOrder, refusal: Refusal) -> bool:
    """Report a refused create; for a duplicate id with the state of its owner (row F.1.a)."""
    account = venue.accounts.get(c.account)
    status, order_id, cum, leaves, notional = OrdStatus.REJECTED, 0, 0, 0, 0
    qty = c.qty
    if refusal.reason is RejectReason.DUPLICATE_CLIENT_ORDER_ID and account is not None:
        owner = account.client_ids.get(c.client_order_id)
        if owner is not None:
            status, order_id, cum = owner.status, owner.order_id, owner.cum
            leaves, notional, qty = owner.leaves, owner.notional, owner.terms.qty
        elif c.prior is not None:
            _, _, order_id, status, qty, cum, notional = c.prior
    fields = (
        c.client_order_id, c.symbol, c.side, c.ord_type, qty, c.price, c.strategy,
        refusal.reason, refusal.text, status, order_id, cum, leaves, notional, "", "",
    )  # fmt: skip
    _emit_for(venue, account, c.account, OrderRejected, fields)
    return False


def _emit_for(
    venue: Venue,
    account: Account | None,
    name: str,
    kind: type[Event],
    fields: tuple[object, ...],
) -> None:
    """Emit for an account or, if there is none of that name, outside every account's sequence."""
    if account is None:
        venue.events.append(make(kind, (name, 0, *fields)))
    else:
        venue.emit(kind, account, *fields)


def refuse_change(
    venue: Venue, c: CancelOrder | ReplaceOrder, request: RequestKind, refusal: Refusal
) -> None:
    """Report a refused cancel or replace with the current state of the order it named."""
    account = venue.accounts.get(c.account)
    status, order_id, current, strategy = OrdStatus.REJECTED, 0, "", ""
    if account is not None:
        found = find(venue, account, c.orig_client_order_id, c.order_id)
        if isinstance(found, Order):
            status, order_id = found.status, found.order_id
            current, strategy = found.terms.client_order_id, found.terms.strategy
    fields = (
        request, c.client_order_id, c.orig_client_order_id, current, order_id, status,
        refusal.reason, refusal.text, strategy,
    )  # fmt: skip
    _emit_for(venue, account, c.account, CancelRejected, fields)


def record_refusal(venue: Venue, c: RecordRefusal) -> None:
    """Commit what a gateway refused, as the event from which its answer is made."""
    if c.mark_only:
        return
    account = venue.accounts.get(c.account)
    if c.request in (RequestKind.CANCEL, RequestKind.REPLACE):
        target = CancelOrder(
            c.origin, c.account, c.client_order_id, c.orig_client_order_id, c.order_id
        )
        refuse_change(venue, target, c.request, Refusal(c.reason, c.text))
        return
    refuse_request(venue, account, c)


def refuse_request(venue: Venue, account: Account | None, c: RecordRefusal) -> None:
    """Emit a refused create, mass cancel, batch or other message as the event of its kind."""
    if c.request is RequestKind.NEW:
        fields: tuple[object, ...] = (
            c.client_order_id, c.symbol, c.side, c.ord_type, 0, 0, c.strategy, c.reason,
            c.text, OrdStatus.REJECTED, 0, 0, 0, 0, c.qty_text, c.price_text,
        )  # fmt: skip
        _emit_for(venue, account, c.account, OrderRejected, fields)
    elif c.request is RequestKind.MASS_CANCEL:
        fields = (
            c.client_order_id, (), c.symbol, c.side, c.strategy, "", False, c.reason, c.text,
            0, True, c.origin.source, c.origin.route,
        )  # fmt: skip
        _emit_for(venue, account, c.account, MassCanceled, fields)
    elif c.request is RequestKind.BATCH:
        fields = (c.client_order_id, (), c.reason, c.text)
        _emit_for(venue, account, c.account, BatchDone, fields)
    else:
        venue.refuse(c.account, c.client_order_id, c.reason, c.text)


def refuse(venue: Venue, command: Command, reason: RejectReason, text: str) -> None:
    """Refuse any command for a reason that does not depend on its contents."""
    refusal = Refusal(reason, text)
    if isinstance(command, NewOrder):
        refuse_new(venue, command, refusal)
    elif isinstance(command, CancelOrder):
        refuse_change(venue, command, RequestKind.CANCEL, refusal)
    elif isinstance(command, ReplaceOrder):
        refuse_change(venue, command, RequestKind.REPLACE, refusal)
    elif isinstance(command, MassCancel):
        c = command
        fields: tuple[object, ...] = (
            c.client_order_id, (), c.symbol, c.side, c.strategy, c.session, c.firm_wide, reason,
            text, 0, True, c.origin.source, c.origin.route,
        )  # fmt: skip
        _emit_for(venue, venue.accounts.get(c.account), c.account, MassCanceled, fields)
    elif isinstance(command, Batch):
        fields = (command.batch_id, (), reason, text)
        account = venue.accounts.get(command.account)
        _emit_for(venue, account, command.account, BatchDone, fields)
    else:
        venue.refuse(getattr(command, "account", ""), "", reason, text)
