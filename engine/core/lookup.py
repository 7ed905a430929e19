"""Find the order to which a cancel or replace refers (rule C-1)."""

from __future__ import annotations

from engine.core import purges
from engine.core.authority import reaches
from engine.core.book import Order
from engine.core.commands import CancelOrder, RecordRefusal, ReplaceOrder
from engine.core.ledger import Account
from engine.core.order_checks import Refusal, unknown_account
from engine.core.types import RejectReason
from engine.core.venue import Venue


def find(
    venue: Venue, account: Account, orig_client_order_id: str, order_id: int
) -> Order | Refusal:
    """Find the order to which a cancel or replace refers (rule C-1, first half)."""
    order: Order | None = None
    if order_id:
        order = venue.orders.get(order_id)
        if order is not None:
            owner = order.account
            if not reaches(account.name, account.firm, owner.name, owner.firm):
                order = None
        owner = account if order is None else order.account
        named = owner.client_ids.get(orig_client_order_id) if orig_client_order_id else order
        if order is not None and named is not order:
            text = f"order {order_id} is not the order with client order id {orig_client_order_id}"
            return Refusal(RejectReason.MISMATCH, text)
    else:
        order = account.client_ids.get(orig_client_order_id)
    if order is not None and venue.wary and order.open:
        purges.meet(venue, order)
    if order is None:
        shown = f"order id {order_id}" if order_id else f"client order id {orig_client_order_id}"
        return Refusal(RejectReason.UNKNOWN_ORDER, f"there is no order with {shown}")
    return order


def find_named(
    venue: Venue, c: CancelOrder | ReplaceOrder | RecordRefusal
) -> Order | Refusal:
    """Return the order that a request names, for the account that it names."""
    account = venue.accounts.get(c.account)
    if account is None:
        return unknown_account(c.account)
    return find(venue, account, c.orig_client_order_id, c.order_id)


def check_target(order: Order, c: CancelOrder | ReplaceOrder) -> Refusal | None:
    """Check that the order is open and matches the stated fields (rule C-1, second half)."""
    terms = order.terms
    if c.symbol and c.symbol != terms.symbol:
        return Refusal(RejectReason.MISMATCH, f"the order is for {terms.symbol}, not {c.symbol}")
    if c.side is not None and c.side is not terms.side:
        return Refusal(RejectReason.MISMATCH, f"the order is a {terms.side.name.lower()}")
    if not order.open:
        text = f"the order is {order.status.name.lower().replace('_', ' ')} already"
        return Refusal(RejectReason.TOO_LATE, text)
    return None
