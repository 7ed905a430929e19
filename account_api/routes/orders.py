"""Orders: create, replace, cancel, cancel all, get, list, dead man's switch."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import structs

from account_api.errors import Problem, refusal
from account_api.http.routing import AnyCall, BodyCall, QueryCall, Route
from account_api.reply import Reply, answered
from account_api.routes.common import (
    account_of,
    check_filters,
    expired,
    has_expired,
    not_after,
    original,
    own_account,
)
from account_api.routes.find_orders import FoundOrder, find_order, list_orders, original_create
from account_api.schema import from_events, to_commands
from account_api.schema.catalogue import Catalogue
from account_api.schema.from_orders import order_answer
from account_api.schema.from_rows import SIDES, instant_text
from account_api.schema.identifiers import order_reference, sentence
from account_api.schema.order_responses import (
    CancelAllView,
    CanceledView,
    DeadMansSwitchView,
    OrderAnswer,
    OrdersView,
)
from account_api.schema.requests import (
    AccountQuery,
    ActingQuery,
    CancelAllQuery,
    DeadMansSwitchRequest,
    NewOrderRequest,
    OrdersQuery,
    ReplaceOrderRequest,
)
from account_api.schema.to_commands import instant_us
from account_api.security.idempotency import fingerprint
from engine.client import Transaction
from engine.core.authority import Thing
from engine.core.commands import MassCancel, NewOrder, ReplaceOrder, SetDeadMansSwitch
from engine.core.events import (
    CancelRejected,
    DeadMansSwitchSet,
    MassCanceled,
    OrderAccepted,
    OrderCanceled,
    OrderRejected,
    OrderReplaced,
)
from engine.core.types import OrderRow, OrdStatus, RejectReason

_CLOSED_BY_CANCEL: Final = (OrdStatus.CANCELED, OrdStatus.EXPIRED)


def create_order(call: BodyCall[NewOrderRequest]) -> Reply:
    """Create an order. An identical repeat: 200, the original, and `Idempotent-Replayed`."""
    request = call.body
    account = own_account(call, request.account)
    origin = call.principal.origin(instant_us(request.expires_at, "expires_at"))
    catalogue = call.services.catalogue(symbol=request.symbol)
    command = to_commands.new_order(request, catalogue, account, origin)
    if has_expired(call, request.expires_at):
        return _expired_create(call, command, catalogue)
    outcome = call.services.submit(command)
    event = from_events.answer_to(outcome, OrderAccepted, OrderRejected)
    if isinstance(event, OrderAccepted):
        answer = _created(outcome.transaction, event, catalogue)
        return answered(answer, replayed=outcome.duplicate, status=201)
    if event.reason is RejectReason.DUPLICATE_CLIENT_ORDER_ID:
        return answered(repeated_create(call, command, event, catalogue), replayed=True)
    if event.reason is RejectReason.REQUEST_EXPIRED:
        return _expired_create(call, command, catalogue)
    raise from_events.rejected(event)


def _expired_create(call: AnyCall, command: NewOrder, catalogue: Catalogue) -> Reply:
    """Answer a create that arrived too late: an earlier copy may have arrived in time."""
    found = find_order(call.services, command.account, 0, command.client_order_id)
    answer = _original(call, command, found, expired()).answer(catalogue)
    return answered(answer, replayed=True)


def _created(
    transaction: Transaction, event: OrderAccepted, catalogue: Catalogue
) -> OrderAnswer:
    order_id, time_us = event.order.order_id, transaction.time_us
    row, reason = from_events.created(transaction.events, order_id, time_us, catalogue)
    executions = from_events.fills(
        transaction.events, order_id, transaction.seq, time_us, catalogue
    )
    return order_answer(row, reason, catalogue, transaction.seq, executions)


def repeated_create(
    call: AnyCall, command: NewOrder, event: OrderRejected, catalogue: Catalogue
) -> OrderAnswer:
    """Answer a repeated create with the order that has its client order id.

    Raises Problem ``duplicate_client_order_id`` if that was created with other terms.
    """
    taken = refusal(
        event.reason,
        f"The client order id {command.client_order_id} belongs to order {event.order_id}, "
        "which has other terms.",
        client_order_id=command.client_order_id,
        order_id=str(event.order_id),
        order_status=event.status.name.lower(),
    )
    found = find_order(call.services, command.account, event.order_id, "")
    return _original(call, command, found, taken).answer(catalogue)


def _original(
    call: AnyCall, command: NewOrder, found: FoundOrder | None, otherwise: Problem
) -> FoundOrder:
    """Return the order that was found if the same create made it. Raises ``otherwise``."""
    return original(
        found,
        lambda found: to_commands.same_create(command, original_create(call.services, found)),
        otherwise,
    )


def replace_order(call: BodyCall[ReplaceOrderRequest]) -> Reply:
    """Change an order; `priority_kept` says whether it kept its place in the queue."""
    request = call.body
    account = own_account(call, request.account)
    if request.request_id is None:
        return _replace(call, request, account)
    same = fingerprint(call.parts["order"], msgspec.json.encode(request))
    # The space keeps it apart from Idempotency-Keys, which contain none.
    key = f"request_id {request.request_id}"
    return call.services.idempotency.once(
        account, key, same, lambda token: _replace(call.under(token), request, account),
        call.principal.token, money=False, find=call.find, repeatable=False,
    )  # fmt: skip


def _replace(call: AnyCall, request: ReplaceOrderRequest, account: str) -> Reply:
    reference = order_reference(call.parts["order"])
    origin = call.principal.origin(not_after(call, request.expires_at))
    symbol = _existing(call, account, reference).row.order.symbol
    catalogue = call.services.catalogue(symbol=symbol)
    instrument = call.services.instrument(symbol)
    command = to_commands.replace_order(request, instrument, account, reference, origin)
    outcome = call.services.submit(command)
    event = from_events.answer_to(outcome, OrderReplaced, CancelRejected)
    done = outcome.transaction
    if isinstance(event, CancelRejected):
        repeated = repeated_replace(call, command, event, catalogue, done.time_us)
        return answered(repeated, replayed=True)
    order_id = event.order.order_id
    found = _existing(call, event.account, (order_id, ""), done.seq)
    executions = from_events.fills(done.events, order_id, done.seq, done.time_us, catalogue)
    answer = found.answer(catalogue, executions, event.priority_kept)
    return answered(answer, replayed=outcome.duplicate)


def repeated_replace(
    call: AnyCall,
    command: ReplaceOrder,
    event: CancelRejected,
    catalogue: Catalogue,
    time_us: int,
) -> OrderAnswer:
    """Answer a replace refused at ``time_us`` with the order, if an earlier copy changed it.

    Raises Problem if it did not.
    """
    if event.reason is RejectReason.UNKNOWN_ORDER:
        reference = (command.order_id, command.orig_client_order_id)
        raise _too_late(_let_go(call, command.account, reference, event, time_us), catalogue)
    if event.reason is RejectReason.TOO_LATE:
        now = _existing(call, command.account, (event.order_id, ""))
        raise _too_late(now, catalogue)
    if event.reason is RejectReason.DUPLICATE_CLIENT_ORDER_ID:
        now = _existing(call, command.account, (event.order_id, ""))
        if _has_terms(now.row, command):
            return now.answer(catalogue)
    raise from_events.rejected(event)


def _has_terms(row: OrderRow, command: ReplaceOrder) -> bool:
    """Return True if the order has all that the replace asked for, its new client id included."""
    order = row.order
    pairs = (
        (command.client_order_id, order.client_order_id),
        (command.qty, order.qty),
        (command.price, order.price),
        (command.stop_price, order.stop_price),
        (command.display_qty, order.display_qty),
        (command.tif, order.tif),
        (command.expire_at, order.expire_at),
    )
    return all(asked is None or asked == is_now for asked, is_now in pairs)


def cancel_order(call: QueryCall[ActingQuery]) -> Reply:
    """Cancel an order; one that was canceled before is answered with its final state."""
    account = own_account(call, call.query.account)
    reference = order_reference(call.parts["order"])
    command = to_commands.cancel_order(account, reference, call.principal.origin())
    outcome = call.services.submit(command)
    catalogue = call.services.catalogue()
    event = from_events.answer_to(outcome, OrderCanceled, CancelRejected)
    if isinstance(event, CancelRejected):
        time_us = outcome.transaction.time_us
        return Reply(canceled_before(call, account, reference, event, catalogue, time_us))
    found = _existing(call, event.account, (event.order.order_id, ""), outcome.transaction.seq)
    answer = order_answer(found.row, event.reason, catalogue, found.as_of_seq)
    return answered(answer, replayed=outcome.duplicate)


def canceled_before(
    call: AnyCall,
    account: str,
    reference: tuple[int, str],
    event: CancelRejected,
    catalogue: Catalogue,
    time_us: int,
) -> OrderAnswer:
    """Answer a cancel refused at ``time_us`` with the order, if it was canceled or had expired.

    Raises Problem if it was neither.
    """
    if event.reason is RejectReason.UNKNOWN_ORDER:
        found = _let_go(call, account, reference, event, time_us)
    elif event.reason is RejectReason.TOO_LATE:
        found = _existing(call, account, reference)
    else:
        raise from_events.rejected(event)
    if found.row.status in _CLOSED_BY_CANCEL:
        return found.answer(catalogue)
    raise _too_late(found, catalogue)


def _let_go(
    call: AnyCall, account: str, reference: tuple[int, str], event: CancelRejected, time_us: int
) -> FoundOrder:
    """Find the closed order that only the history still knew at ``time_us``.

    An order created since, by the next operation of the same batch for instance, is not the one
    that was meant. Raises the Problem of the engine's refusal if there is no such order.
    """
    found = find_order(call.services, account, *reference)
    if found is None or found.row.order.created_at >= time_us:
        raise from_events.rejected(event)
    return found


def _too_late(found: FoundOrder, catalogue: Catalogue) -> Problem:
    status = found.row.status.name.lower()
    return refusal(
        RejectReason.TOO_LATE,
        f"The order is {status.replace('_', ' ')} already.",
        order_id=str(found.row.order.order_id),
        client_order_id=found.row.order.client_order_id,
        order_status=status,
        order={
            name: value
            for name, value in structs.asdict(found.answer(catalogue)).items()
            if name != "fills"
        },
    )


def _existing(
    call: AnyCall, account: str, reference: tuple[int, str], min_seq: int = 0
) -> FoundOrder:
    found = find_order(call.services, account, *reference, min_seq=min_seq)
    if found is None:
        shown = str(reference[0]) if reference[0] else f"client id {reference[1][:64]!r}"
        raise refusal(RejectReason.UNKNOWN_ORDER, f"There is no order with {shown}.")
    return found


def cancel_all(call: QueryCall[CancelAllQuery]) -> Reply:
    """Cancel every open order that matches all filters; it succeeds also if none does."""
    query = call.query
    account = own_account(call, query.account)
    check_filters(call, symbol=query.symbol)
    command = MassCancel(
        origin=call.principal.origin(),
        account=account,
        client_order_id="",
        symbol=query.symbol or "",
        side=None if query.side is None else SIDES[query.side],
        strategy=query.strategy or "",
    )
    outcome = call.services.submit(command)
    event = from_events.answer_to(outcome, MassCanceled)
    if event.reason is not None:
        raise refusal(event.reason, sentence(event.text))
    rows = [
        CanceledView(order_id=str(order_id), client_order_id=client_order_id)
        for _, client_order_id, order_id in event.affected
    ]
    answer = CancelAllView(
        canceled=rows,
        total=max(event.total, len(rows)),
        complete=event.complete,
        as_of_seq=outcome.transaction.seq,
    )
    return answered(answer, replayed=outcome.duplicate)


def set_dead_mans_switch(call: BodyCall[DeadMansSwitchRequest]) -> Reply:
    """Cancel all orders (of one strategy, if given) unless this is repeated in time."""
    request = call.body
    account = own_account(call, request.account)
    if request.timeout_s in (1, 2):
        raise Problem(
            "invalid_request",
            "The field timeout_s must be 0, which switches it off, or 3 to 300.",
            field="timeout_s",
        )
    command = SetDeadMansSwitch(
        origin=call.principal.origin(),
        account=account,
        timeout_us=request.timeout_s * 1_000_000,
        strategy=request.strategy or "",
    )
    outcome = call.services.submit(command)
    event = from_events.accepted(outcome, DeadMansSwitchSet)
    answer = DeadMansSwitchView(
        strategy=event.strategy or None,
        fires_at=instant_text(event.fires_at) if event.fires_at else None,
        as_of_seq=outcome.transaction.seq,
    )
    return answered(answer, replayed=outcome.duplicate)


def get_order(call: QueryCall[AccountQuery]) -> Reply:
    """Get one order, open or closed, by its id or as `client:<client_order_id>`."""
    query = call.query
    account = account_of(call, query.account)
    reference = order_reference(call.parts["order"])
    found = _existing(call, account, reference, query.min_seq)
    catalogue = call.services.catalogue(symbol=found.row.order.symbol)
    return Reply(found.answer(catalogue))


def get_orders(call: QueryCall[OrdersQuery]) -> Reply:
    """List orders by status, symbol, side, strategy or client order id; the oldest come first."""
    query = call.query
    account = account_of(call, query.account)
    check_filters(call, symbol=query.symbol)
    return Reply(list_orders(call.services, account, query))


_TERMS: Final = (
    "unknown_symbol", "instrument_halted", "invalid_quantity", "quantity_too_small",
    "quantity_too_large", "invalid_price", "price_too_large", "unsupported_combination",
    "invalid_expiry", "insufficient_funds", "post_only_would_trade", "request_expired",
    "invalid_field", "not_permitted", "account_suspended",
)  # fmt: skip

ROUTES: Final = (
    Route(
        "POST", "/v1/orders", create_order, "Create an order", OrderAnswer,
        thing=Thing.ENTER_ORDERS, status=201, replays=True, tag="orders",
        errors=(*_TERMS, "duplicate_client_order_id", "invalid_client_order_id",
                "too_many_open_orders", "no_liquidity"),
    ),
    Route(
        "DELETE", "/v1/orders", cancel_all, "Cancel all orders that match", CancelAllView,
        thing=Thing.CANCEL_ORDERS, replays=True, repeatable=False, tag="orders",
        errors=("unknown_symbol", "request_expired", "not_permitted"),
    ),
    Route(
        "GET", "/v1/orders", get_orders, "List orders", OrdersView,
        thing=Thing.READ_ORDERS, tag="orders",
        errors=("not_caught_up", "history_unavailable", "unknown_symbol"),
    ),
    Route(
        "PATCH", "/v1/orders/{order}", replace_order, "Change an order", OrderAnswer,
        thing=Thing.CHANGE_ORDERS, replays=True, repeatable=False, tag="orders",
        errors=(*_TERMS, "unknown_order", "too_late", "mismatch", "duplicate_client_order_id",
                "invalid_client_order_id"),
    ),
    Route(
        "DELETE", "/v1/orders/{order}", cancel_order, "Cancel an order", OrderAnswer,
        thing=Thing.CANCEL_ORDERS, replays=True, tag="orders",
        errors=("unknown_order", "too_late", "request_expired", "not_permitted"),
    ),
    Route(
        "GET", "/v1/orders/{order}", get_order, "One order", OrderAnswer,
        thing=Thing.READ_ORDERS, tag="orders",
        errors=("unknown_order", "not_caught_up", "history_unavailable"),
    ),
    Route(
        "PUT", "/v1/dead-man-switch", set_dead_mans_switch, "Dead man's switch",
        DeadMansSwitchView, thing=Thing.SET_SWITCH, replays=True,
        tag="orders", errors=("request_expired", "not_permitted", "account_suspended"),
    ),
)  # fmt: skip
