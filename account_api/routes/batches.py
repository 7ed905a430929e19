"""Batches: up to 50 creates, replaces and cancels over any symbols in one engine turn."""

from __future__ import annotations

from typing import Final, NamedTuple

from account_api.errors import Problem, refusal
from account_api.http.routing import AnyCall, BodyCall, Route
from account_api.reply import Reply, answered
from account_api.routes.common import not_after, own_account
from account_api.routes.find_orders import find_order, symbol_of
from account_api.routes.orders import canceled_before, repeated_create, repeated_replace
from account_api.schema import from_events, to_commands
from account_api.schema.catalogue import Catalogue
from account_api.schema.from_orders import order_answer
from account_api.schema.identifiers import is_reference, order_reference, sentence
from account_api.schema.order_responses import BatchError, BatchResult, BatchView, OrderAnswer
from account_api.schema.requests import (
    BatchCancel,
    BatchCreate,
    BatchOperation,
    BatchReplace,
    BatchRequest,
)
from engine.client import Transaction, own_event
from engine.core.authority import Thing
from engine.core.commands import (
    Batch,
    BatchEntry,
    CancelOrder,
    NewOrder,
    RecordRefusal,
    ReplaceOrder,
)
from engine.core.events import (
    BatchDone,
    CancelRejected,
    Event,
    OrderAccepted,
    OrderCanceled,
    OrderRejected,
    OrderReplaced,
)
from engine.core.types import BatchMode, Origin, RejectReason, RequestKind

_OPS: Final = {BatchCreate: "create", BatchReplace: "replace", BatchCancel: "cancel"}
_ANSWERS: Final = (OrderAccepted, OrderReplaced, OrderCanceled, OrderRejected, CancelRejected)
_KINDS: Final = {
    BatchCreate: RequestKind.NEW,
    BatchReplace: RequestKind.REPLACE,
    BatchCancel: RequestKind.CANCEL,
}


def submit_batch(call: BodyCall[BatchRequest]) -> Reply:
    """Do up to 50 operations in order, with one result for each, at its index.

    An operation that is refused does not stop the others, unless `mode` is `validate_all`.
    """
    request = call.body
    account = own_account(call, request.account)
    origin = call.principal.origin(not_after(call, request.expires_at))
    # The entries carry only the source: a repeat is recognised by the token of the batch.
    plain = Origin(source=origin.source, user=origin.user)
    catalogue = call.services.catalogue()
    faults: dict[int, Problem] = {}
    entries: list[BatchEntry] = []
    made: dict[str, str] = {}
    for index, operation in enumerate(request.operations):
        try:
            entries.append(_entry(call, operation, catalogue, account, plain, made))
        except Problem as problem:
            if problem.status >= 500:
                raise
            faults[index] = problem
            entries.append(_recorded(operation, problem, account, plain))
    batch_id = request.batch_id or f"batch-{origin.token[:24]}"
    mode = BatchMode.VALIDATE_ALL if request.mode == "validate_all" else BatchMode.INDEPENDENT
    command = Batch(origin, account, batch_id, mode, tuple(entries))
    outcome = call.services.submit(command)
    transaction = outcome.transaction
    done = from_events.answer_to(outcome, BatchDone)
    if done.reason is not None and not done.results:
        raise refusal(done.reason, sentence(done.text))
    rows = [
        _result(call, transaction, operation, entry, faults.get(part.number), catalogue, part)
        for operation, entry, part in zip(
            request.operations, entries, _parts(transaction, entries, done), strict=True
        )
    ]
    accepted = sum(row.accepted for row in rows)
    answer = BatchView(
        batch_id=batch_id,
        mode=request.mode,
        accepted=accepted,
        refused=len(rows) - accepted,
        results=rows,
        as_of_seq=transaction.seq,
    )
    return answered(answer, replayed=outcome.duplicate)


def _entry(
    call: AnyCall,
    operation: BatchOperation,
    catalogue: Catalogue,
    account: str,
    origin: Origin,
    made: dict[str, str],
) -> BatchEntry:
    """Translate an operation into a command. Raises Problem.

    ``made`` has the instruments, by client order id, of the orders that earlier operations of the
    batch create: such an order can be named although it does not exist yet.
    """
    if isinstance(operation, BatchCreate):
        made.setdefault(operation.client_order_id, operation.symbol)
        return to_commands.new_order(operation, catalogue, account, origin)
    reference = order_reference(operation.order)
    if isinstance(operation, BatchCancel):
        return to_commands.cancel_order(account, reference, origin)
    symbol = symbol_of(call.services, account, *reference, made)
    if symbol is None:
        raise refusal(
            RejectReason.UNKNOWN_ORDER, f"There is no order {operation.order!r}.", field="order"
        )
    if operation.client_order_id is not None:
        made.setdefault(operation.client_order_id, symbol)
    instrument = call.services.instrument(symbol)
    return to_commands.replace_order(operation, instrument, account, reference, origin)


def _recorded(
    operation: BatchOperation, problem: Problem, account: str, origin: Origin
) -> RecordRefusal:
    """Record an operation that is no command, which keeps its place and its own reason."""
    name = problem.kind.code.upper()
    reason = RejectReason[name] if name in RejectReason.__members__ else RejectReason.INVALID_FIELD
    client_order_id = "" if isinstance(operation, BatchCancel) else operation.client_order_id
    order_id, orig_client_order_id = 0, ""
    if not isinstance(operation, BatchCreate) and is_reference(operation.order):
        order_id, orig_client_order_id = order_reference(operation.order)
    return RecordRefusal(
        origin=origin,
        account=account,
        request=_KINDS[type(operation)],
        reason=reason,
        text=problem.detail,
        client_order_id=client_order_id or "",
        orig_client_order_id=orig_client_order_id,
        order_id=order_id,
        symbol=operation.symbol if isinstance(operation, BatchCreate) else "",
    )


class _Part(NamedTuple):
    """The part of a transaction that belongs to one operation of a batch.

    ``event`` is the engine's answer to it. ``fills_from`` and ``fills_to`` bound the fills that
    are reported with it: those of its order until the next operation on the same order, stops
    triggered by the batch included. So no fill is reported twice, and none is missing.
    """

    number: int
    event: Event | None
    accepted: bool
    fills_from: int
    fills_to: int


def _parts(transaction: Transaction, entries: list[BatchEntry], done: BatchDone) -> list[_Part]:
    """Find the part of each operation in the transaction."""
    events = transaction.events
    parts: list[_Part] = []
    latest: dict[int, int] = {}
    for index, (entry, (first, count, accepted)) in enumerate(
        zip(entries, done.results, strict=True)
    ):
        event = own_event(events[first : first + count], entry, *_ANSWERS)
        if accepted and isinstance(event, OrderAccepted | OrderReplaced | OrderCanceled):
            order_id = event.order.order_id
            before = latest.get(order_id)
            if before is not None:
                parts[before] = parts[before]._replace(fills_to=first)
            latest[order_id] = index
        parts.append(_Part(index, event, accepted, first, len(events)))
    return parts


def _result(
    call: AnyCall,
    transaction: Transaction,
    operation: BatchOperation,
    entry: BatchEntry,
    fault: Problem | None,
    catalogue: Catalogue,
    part: _Part,
) -> BatchResult:
    """Make the result of one operation."""
    order: OrderAnswer | None = None
    problem: Problem | None = fault
    replayed = False
    if fault is None:
        try:
            if part.accepted:
                order = _done(call, transaction, part, catalogue)
            else:
                order = _repeated(call, entry, part.event, catalogue, transaction.time_us)
                replayed = True
        except Problem as refused:
            problem = refused
    named = entry.client_order_id or (order.client_order_id if order is not None else "")
    return BatchResult(
        index=part.number,
        op=_OPS[type(operation)],
        client_order_id=named or getattr(entry, "orig_client_order_id", "") or None,
        accepted=order is not None,
        replayed=replayed,
        order=order,
        error=None if problem is None else _error(problem),
    )


def _done(
    call: AnyCall, transaction: Transaction, part: _Part, catalogue: Catalogue
) -> OrderAnswer:
    """Return the order of an accepted operation, as it stands when the turn is over.

    A create is rendered from its events. What was changed or canceled is queried, since the events
    alone do not say what the order had held and paid before.
    """
    head, seq, time_us = part.event, transaction.seq, transaction.time_us
    if not isinstance(head, OrderAccepted | OrderReplaced | OrderCanceled):
        raise RuntimeError("the engine accepted an operation without saying what became of it")
    order_id = head.order.order_id
    reported = transaction.events[part.fills_from : part.fills_to]
    executions = from_events.fills(reported, order_id, seq, time_us, catalogue)
    if isinstance(head, OrderAccepted):
        row, reason = from_events.created(transaction.events, order_id, time_us, catalogue)
        return order_answer(row, reason, catalogue, seq, executions)
    found = find_order(call.services, head.account, order_id, "", min_seq=seq)
    if found is None:
        raise RuntimeError(f"order {order_id} was changed and cannot be found")
    if isinstance(head, OrderCanceled):
        return order_answer(found.row, head.reason, catalogue, found.as_of_seq)
    return found.answer(catalogue, executions, head.priority_kept)


def _repeated(
    call: AnyCall, entry: BatchEntry, event: Event | None, catalogue: Catalogue, time_us: int
) -> OrderAnswer:
    """Return the order if a refused operation repeats one that was done. Raises Problem."""
    if isinstance(event, OrderRejected):
        duplicate = event.reason is RejectReason.DUPLICATE_CLIENT_ORDER_ID
        # Without an order it is the batch itself that has the id twice.
        if duplicate and event.order_id and isinstance(entry, NewOrder):
            return repeated_create(call, entry, event, catalogue)
        raise from_events.rejected(event)
    if not isinstance(event, CancelRejected):
        raise RuntimeError("the engine refused an operation without saying why")
    if isinstance(entry, CancelOrder):
        reference = (entry.order_id, entry.orig_client_order_id)
        return canceled_before(call, entry.account, reference, event, catalogue, time_us)
    if isinstance(entry, ReplaceOrder):
        return repeated_replace(call, entry, event, catalogue, time_us)
    raise from_events.rejected(event)


def _error(problem: Problem) -> BatchError:
    field = problem.members.get("field")
    return BatchError(
        code=problem.kind.code,
        detail=problem.detail,
        status=problem.status,
        retryable=problem.retryable,
        field=field if isinstance(field, str) else None,
    )


ROUTES: Final = (
    Route(
        "POST", "/v1/orders/batch", submit_batch, "Create, replace and cancel in one turn",
        BatchView, thing=Thing.BATCH_ORDERS, replays=True, repeatable=False, tag="orders",
        errors=("request_expired", "not_permitted", "invalid_batch"),
    ),
)  # fmt: skip
