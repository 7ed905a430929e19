"""Find the events of a transaction that answer a command: by identity, never by position.

A transaction holds everything that happened in one turn. Besides the answer to its command these
are the consequences: fills of other accounts' orders, stops that were reached before or by it,
cancels that prevent self-trades, ids that are retired from memory. So neither the first event nor
the last is the answer: it is the event of the right kind that carries the identity of the
request (client order id, order id, batch id, requester and so on).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeVar, overload

from engine.core.commands import (
    AdvanceWithdrawal,
    Batch,
    CancelOrder,
    Command,
    NewOrder,
    RecordRefusal,
    ReplaceOrder,
    RequestWithdrawal,
)
from engine.core.events import (
    BatchDone,
    CancelRejected,
    DeadMansSwitchSet,
    DepositUpdated,
    Event,
    InstrumentStatusChanged,
    MassCanceled,
    OrderAccepted,
    OrderCanceled,
    OrderRejected,
    OrderReplaced,
    SessionChanged,
    SessionHeld,
    Transferred,
    WithdrawalUpdated,
)
from engine.core.types import CancelReason

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")


def own_events(events: Iterable[Event], command: Command, *kinds: type[A]) -> Iterator[A]:
    """Yield, in order, the events of ``kinds`` that answer ``command``.

    ``command`` may be an entry of a batch; then ``events`` are those of that entry.
    """
    for event in events:
        if isinstance(event, kinds) and _answers(event, command):
            yield event


@overload
def own_event(events: Iterable[Event], command: Command, a: type[A], /) -> A | None: ...
@overload
def own_event(
    events: Iterable[Event], command: Command, a: type[A], b: type[B], /
) -> A | B | None: ...
@overload
def own_event(
    events: Iterable[Event], command: Command, a: type[A], b: type[B], c: type[C], /
) -> A | B | C | None: ...
@overload
def own_event(
    events: Iterable[Event], command: Command, /, *kinds: type[Any]
) -> Event | None: ...
def own_event(events: Iterable[Event], command: Command, /, *kinds: type[Any]) -> Any:
    """Return the first event of ``kinds`` that answers ``command``, None if there is none."""
    return next(own_events(events, command, *kinds), None)


def own_cancels(events: Iterable[Event], command: Command) -> Iterator[OrderCanceled]:
    """Yield the cancels of an account's orders that an operator's ``command`` caused."""
    account = getattr(command, "account", None)
    for event in events:
        if (
            isinstance(event, OrderCanceled)
            and event.reason is CancelReason.OPERATOR
            and event.requester == command.origin.source
            and event.account == account
        ):
            yield event


def _answers(event: Any, command: Any) -> bool:
    check = _CHECKS.get(type(event))
    return _same_account(event, command) if check is None else check(event, command)


def _same_account(event: Any, command: Any) -> bool:
    """Commands of the venue itself name no account, and their answers belong to none."""
    name = getattr(command, "account", None)
    return name is None or event.account == name


def _accepted(event: OrderAccepted, c: Any) -> bool:
    return (
        isinstance(c, NewOrder)
        and event.account == c.account
        and event.order.first_client_order_id == c.client_order_id
    )


def _rejected(event: OrderRejected, c: Any) -> bool:
    return (
        isinstance(c, NewOrder | RecordRefusal)
        and event.account == c.account
        and event.client_order_id == c.client_order_id
    )


def _canceled(event: OrderCanceled, c: Any) -> bool:
    # A cancel by order id may be for another account of the firm, so accounts are not compared.
    return (
        isinstance(c, CancelOrder)
        and event.reason is CancelReason.REQUESTED
        and event.requester == c.origin.source
        and event.client_order_id == c.client_order_id
        and c.order_id in (0, event.order.order_id)
    )


def _replaced(event: OrderReplaced, c: Any) -> bool:
    return (
        isinstance(c, ReplaceOrder)
        and event.requester == c.origin.source
        and c.client_order_id in ("", event.order.client_order_id)
        and c.order_id in (0, event.order.order_id)
    )


def _cancel_rejected(event: CancelRejected, c: Any) -> bool:
    return (
        isinstance(c, CancelOrder | ReplaceOrder | RecordRefusal)
        and event.account == c.account
        and event.client_order_id == c.client_order_id
        and event.orig_client_order_id == c.orig_client_order_id
    )


def _batch_done(event: BatchDone, c: Any) -> bool:
    batch_id = c.batch_id if isinstance(c, Batch) else getattr(c, "client_order_id", None)
    return bool(event.account == c.account and event.batch_id == batch_id)


def _mass_canceled(event: MassCanceled, c: Any) -> bool:
    return bool(event.account == c.account and event.client_order_id == c.client_order_id)


def _deposit(event: DepositUpdated, c: Any) -> bool:
    return bool(event.deposit.deposit_id == c.deposit_id)


def _withdrawal(event: WithdrawalUpdated, c: Any) -> bool:
    row = event.withdrawal
    if isinstance(c, RequestWithdrawal):
        return (row.account, row.client_withdrawal_id) == (c.account, c.client_withdrawal_id)
    if isinstance(c, AdvanceWithdrawal):
        return row.withdrawal_id == c.withdrawal_id
    number = getattr(c, "withdrawal_id", None)
    # Without a number the command is about all withdrawals of the account.
    return event.account == c.account and number in (None, row.withdrawal_id)


def _transferred(event: Transferred, c: Any) -> bool:
    return bool(event.account == c.account and event.client_transfer_id == c.client_transfer_id)


def _switch(event: DeadMansSwitchSet, c: Any) -> bool:
    return bool(event.account == c.account and event.strategy == c.strategy)


def _session(event: SessionChanged | SessionHeld, c: Any) -> bool:
    return bool(event.session == c.origin.source)


def _instrument(event: InstrumentStatusChanged, c: Any) -> bool:
    return bool(event.symbol == c.symbol)


_CHECKS: Final[dict[type, Callable[[Any, Any], bool]]] = {
    OrderAccepted: _accepted,
    OrderRejected: _rejected,
    OrderCanceled: _canceled,
    OrderReplaced: _replaced,
    CancelRejected: _cancel_rejected,
    BatchDone: _batch_done,
    MassCanceled: _mass_canceled,
    DepositUpdated: _deposit,
    WithdrawalUpdated: _withdrawal,
    Transferred: _transferred,
    DeadMansSwitchSet: _switch,
    SessionChanged: _session,
    SessionHeld: _session,
    InstrumentStatusChanged: _instrument,
}
"""What must match besides the account, for the kinds of which a turn can hold several."""
