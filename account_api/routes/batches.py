"""Batches: up to 50 creates, replaces and cancels over any symbols in one engine turn."""

from __future__ import annotations

from typing import Final

from account_api import results, translate
from account_api.errors import Problem, refusal
from account_api.lookup import find_order
from account_api.order_views import BatchError, BatchResult, BatchView, OrderAnswer
from account_api.registry import REPLAYED, Call, Reply, Route
from account_api.routes.common import not_after, own_account
from account_api.routes.orders import canceled_before, repeated_create
from account_api.schemas import (
    BatchCancel,
    BatchCreate,
    BatchOperation,
    BatchReplace,
    BatchRequest,
)
from account_api.services import Catalogue
from engine.client import Transaction
from engine.core.commands import (
    Batch,
    BatchEntry,
    CancelOrder,
    NewOrder,
    RecordRefusal,
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
_KINDS: Final = {
    BatchCreate: RequestKind.NEW,
    BatchReplace: RequestKind.REPLACE,
    BatchCancel: RequestKind.CANCEL,
}


def submit_batch(call: Call) -> Reply:
    """Do up to 50 operations in order; one result for each, at its index.

    An operation that is refused does not stop the others, unless `mode` is `validate_all`.
    """
    request = call.body(BatchRequest)
    account = own_account(call, request.account)
    origin = call.principal.origin(not_after(call, request.expires_at))
    # The entries carry the source alone: the batch is what is recognised when repeated.
    plain = Origin(source=origin.source, user=origin.user)
    catalogue = call.services.catalogue()
    faults: dict[int, Problem] = {}
    entries: list[BatchEntry] = []
    for index, operation in enumerate(request.operations):
        try:
            entries.append(_entry(call, operation, catalogue, account, plain))
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
    done = transaction.events[-1] if transaction.events else None
    if not isinstance(done, BatchDone):
        raise RuntimeError("the engine answered a batch without saying what became of it")
    if done.reason is not None and not done.results:
        raise refusal(done.reason, results.sentence(done.text))
    rows = [
        _result(call, transaction, index, request.operations[index], entries[index],
                faults.get(index), catalogue, span)
        for index, span in enumerate(done.results)
    ]  # fmt: skip
    accepted = sum(row.accepted for row in rows)
    answer = BatchView(
        batch_id=batch_id,
        mode=request.mode,
        accepted=accepted,
        refused=len(rows) - accepted,
        results=rows,
        as_of_seq=transaction.seq,
    )
    return Reply(answer, 200, (REPLAYED,) if outcome.duplicate else ())


def _entry(
    call: Call, operation: BatchOperation, catalogue: Catalogue, account: str, origin: Origin
) -> BatchEntry:
    if isinstance(operation, BatchCreate):
        return translate.new_order(operation, catalogue, account, origin)
    reference = translate.order_reference(operation.order)
    if isinstance(operation, BatchCancel):
        return translate.cancel_order(account, reference, origin)
    found = find_order(call.services, account, *reference)
    if found is None:
        raise refusal(
            RejectReason.UNKNOWN_ORDER, f"There is no order {operation.order!r}.", field="order"
        )
    instrument = call.services.instrument(found.row.order.symbol)
    return translate.replace_order(operation, instrument, account, reference, origin)


def _recorded(
    operation: BatchOperation, problem: Problem, account: str, origin: Origin
) -> RecordRefusal:
    """An operation that is no command: it keeps its place and fails with its own reason."""
    name = problem.kind.code.upper()
    reason = RejectReason[name] if name in RejectReason.__members__ else RejectReason.INVALID_FIELD
    client_order_id = "" if isinstance(operation, BatchCancel) else operation.client_order_id
    return RecordRefusal(
        origin=origin,
        account=account,
        request=_KINDS[type(operation)],
        reason=reason,
        text=problem.detail,
        client_order_id=client_order_id or "",
        symbol=operation.symbol if isinstance(operation, BatchCreate) else "",
    )


def _result(
    call: Call,
    transaction: Transaction,
    index: int,
    operation: BatchOperation,
    entry: BatchEntry,
    fault: Problem | None,
    catalogue: Catalogue,
    span: tuple[int, int, bool],
) -> BatchResult:
    """What became of one operation, from its own events."""
    first, count, accepted = span
    events = transaction.events[first : first + count]
    order: OrderAnswer | None = None
    problem: Problem | None = fault
    replayed = False
    if fault is None:
        try:
            if accepted:
                order = _done(call, transaction, events, catalogue)
            else:
                order = _repeated(call, entry, events, catalogue)
                replayed = True
        except Problem as refused:
            problem = refused
    return BatchResult(
        index=index,
        op=_OPS[type(operation)],
        client_order_id=(
            order.client_order_id
            if order is not None
            else (entry.client_order_id or getattr(entry, "orig_client_order_id", "") or None)
        ),
        accepted=order is not None,
        replayed=replayed,
        order=order,
        error=None if problem is None else _error(problem),
    )


def _done(
    call: Call, transaction: Transaction, events: tuple[Event, ...], catalogue: Catalogue
) -> OrderAnswer:
    """The order that an accepted operation was about.

    A create is told from its events; what was changed or canceled is shown as it stands now,
    since the events alone do not tell what the order had held and paid before.
    """
    head = events[0]
    seq = transaction.seq
    if isinstance(head, OrderAccepted):
        order_id = head.order.order_id
        row, reason = results.created(events, order_id, transaction.time_us, catalogue)
        executions = results.fills(events, order_id, seq, transaction.time_us, catalogue)
        return results.order_answer(row, reason, catalogue, seq, executions)
    if not isinstance(head, OrderReplaced | OrderCanceled):
        raise RuntimeError("the engine accepted an operation without saying what became of it")
    order_id = head.order.order_id
    found = find_order(call.services, head.account, order_id, "", min_seq=seq)
    if found is None:
        raise RuntimeError(f"order {order_id} was changed and cannot be found")
    executions = results.fills(events, order_id, seq, transaction.time_us, catalogue)
    if isinstance(head, OrderCanceled):
        return results.order_answer(found.row, head.reason, catalogue, found.as_of_seq)
    return results.order_answer(
        found.row, found.reason, catalogue, found.as_of_seq, executions, head.priority_kept
    )


def _repeated(
    call: Call, entry: BatchEntry, events: tuple[Event, ...], catalogue: Catalogue
) -> OrderAnswer:
    """The order, where a refused operation repeats one that was done. Else Problem."""
    for event in events:
        if isinstance(event, OrderRejected):
            duplicate = event.reason is RejectReason.DUPLICATE_CLIENT_ORDER_ID
            if duplicate and isinstance(entry, NewOrder):
                return repeated_create(call, entry, event, catalogue)
            raise results.rejected(event)
        if isinstance(event, CancelRejected):
            if isinstance(entry, CancelOrder):
                reference = (entry.order_id, entry.orig_client_order_id)
                return canceled_before(call, entry.account, reference, event, catalogue)
            raise results.rejected(event)
    raise RuntimeError("the engine refused an operation without saying why")


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
        BatchView, scope="trade", body=BatchRequest, replays=True, tag="orders",
        errors=("request_expired", "not_permitted", "invalid_batch"),
    ),
)  # fmt: skip
