"""What a transaction did to an order, read from its events.

The events of a transaction are complete in themselves, so the answer to a create needs no
further query of the engine and shows exactly what the command did, however much has traded
since.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar, overload

from account_api.errors import Problem, refusal
from account_api.schema.catalogue import Listing
from account_api.schema.from_orders import fill_of, fill_view
from account_api.schema.identifiers import sentence
from account_api.schema.order_responses import FillView
from engine.client import Outcome, own_event
from engine.core.events import (
    CancelRejected,
    Event,
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderRejected,
    OrderReplaced,
    OrderRestated,
    OrderTriggered,
    Refused,
)
from engine.core.types import CancelReason, OrderRow, OrdStatus, Side

_ORDER_EVENTS = (
    OrderAccepted,
    OrderFilled,
    OrderCanceled,
    OrderReplaced,
    OrderRestated,
    OrderTriggered,
)

A = TypeVar("A")
B = TypeVar("B")


@overload
def answer_to(outcome: Outcome, first: type[A], /) -> A: ...
@overload
def answer_to(outcome: Outcome, first: type[A], second: type[B], /) -> A | B: ...
def answer_to(outcome: Outcome, *kinds: type[Any]) -> Any:
    """Find the event that answers the command among all events of its turn.

    Raises RuntimeError where no event of the given kinds does.
    """
    transaction = outcome.transaction
    event = own_event(transaction.events, transaction.command, *kinds)
    if event is None:
        name = type(transaction.command).__name__
        raise RuntimeError(
            f"the engine answered {name} in seq {transaction.seq} without saying what became of it"
        )
    return event


def accepted(outcome: Outcome, kind: type[A]) -> A:
    """Find the event that says that the command was done.

    Raises the Problem of the refusal where the engine refused it.
    """
    event = answer_to(outcome, kind, Refused)
    if isinstance(event, Refused):
        raise refused(event)
    return event


def created(
    events: Iterable[Event], order_id: int, time_us: int, listing: Listing
) -> tuple[OrderRow, CancelReason | None]:
    """Compute the order as it stood after the transaction that created it."""
    row: OrderRow | None = None
    reason: CancelReason | None = None
    held, fees, triggered = 0, 0, False
    status, leaves, cum, notional, display = OrdStatus.NEW, 0, 0, 0, 0
    for event in events:
        if not isinstance(event, _ORDER_EVENTS) or event.order.order_id != order_id:
            continue
        if isinstance(event, OrderTriggered):
            triggered, leaves, display = True, event.leaves, event.display
        elif isinstance(event, OrderAccepted):
            leaves, display = event.leaves, event.display
        elif isinstance(event, OrderCanceled):
            status, leaves, display = event.status, 0, 0
            cum, notional, reason = event.cum, event.notional, event.reason
        else:
            status, leaves, display = event.status, event.leaves, event.display
            cum, notional = event.cum, event.notional
        if isinstance(event, OrderFilled):
            fees = event.fees
        held += event.hold_change
        instrument = listing.instruments[event.order.symbol]
        asset = instrument.quote if event.order.side is Side.BUY else instrument.base
        row = OrderRow(
            event.order, status, leaves, cum, notional, fees, held, asset, display,
            triggered, time_us,
        )  # fmt: skip
    if row is None:
        raise RuntimeError(f"the transaction does not create order {order_id}")
    return row, reason


def fills(
    events: Iterable[Event], order_id: int, seq: int, time_us: int, listing: Listing
) -> list[FillView]:
    """Render the executions of one order in a transaction."""
    return [
        fill_view(
            fill_of(event, seq, time_us, listing.instruments[event.order.symbol].quote), listing
        )
        for event in events
        if isinstance(event, OrderFilled) and event.order.order_id == order_id
    ]


def rejected(event: OrderRejected | CancelRejected) -> Problem:
    """Make the problem for a refused request about an order; not for a duplicate id."""
    members: dict[str, Any] = {}
    if event.order_id:
        members["order_id"] = str(event.order_id)
        members["order_status"] = event.status.name.lower()
    if event.client_order_id:
        members["client_order_id"] = event.client_order_id
    return refusal(event.reason, sentence(event.text), **members)


def refused(event: Refused, **options: Any) -> Problem:
    """Make the problem of a refusal that is not about an order; ``options`` are Problem's."""
    return refusal(event.reason, sentence(event.text), **options)
