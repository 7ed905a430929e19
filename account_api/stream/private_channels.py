"""An account's events as messages of its private channels.

Every event of an account has its place in the account's contiguous sequence and appears on
``orders`` or on ``transfers``; fills appear on ``executions`` as well, and whatever moves
money on ``balances`` and ``ledger``. All messages of one event carry the same ``seq``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from msgspec import structs

from account_api.schema.from_orders import fill_of, fill_view, order_members
from account_api.schema.from_rows import SCOPE_TEXT, SIDE_TEXT, instant_text
from account_api.stream.catalogue import LiveCatalogue
from account_api.stream.transfer_events import MONEY
from engine.core import events as ev
from engine.core.instruments import format_scaled
from engine.core.types import OrderTerms, OrdStatus
from engine.history.postings import Posting

ORDERS: Final = "orders"
EXECUTIONS: Final = "executions"
BALANCES: Final = "balances"
LEDGER: Final = "ledger"
TRANSFERS: Final = "transfers"
PRIVATE_CHANNELS: Final = (ORDERS, EXECUTIONS, BALANCES, LEDGER, TRANSFERS)


class BalanceChange(NamedTuple):
    """A posting of the account and its balance afterwards, in atoms."""

    posting: Posting
    available: int
    held: int


class AccountEvent(NamedTuple):
    """An event of an account with what it did to the account's money."""

    seq: int
    as_of_seq: int
    time_us: int
    event: ev.Event
    lines: tuple[BalanceChange, ...]


def channels_of(account_event: AccountEvent) -> list[str]:
    """Return the channels that show the event."""
    event = account_event.event
    found = [TRANSFERS] if type(event) in MONEY else [ORDERS]
    if isinstance(event, ev.OrderFilled):
        found.insert(0, EXECUTIONS)
    if account_event.lines:
        found += [BALANCES, LEDGER]
    return found


def data_of(channel: str, account_event: AccountEvent, catalogue: LiveCatalogue) -> Any:
    """Render the ``data`` of a channel's message about the event."""
    if channel == BALANCES:
        return _balances(account_event, catalogue)
    if channel == LEDGER:
        return [_entry(account_event, line, catalogue) for line in account_event.lines]
    if channel == EXECUTIONS:
        if not isinstance(account_event.event, ev.OrderFilled):
            raise TypeError("only a fill is an execution")
        return _execution(account_event, account_event.event, catalogue)
    return _RENDER[type(account_event.event)](account_event.event, catalogue)


def _balances(account_event: AccountEvent, catalogue: LiveCatalogue) -> list[dict[str, str]]:
    rows: dict[str, list[int]] = {}
    for posting, available, held in account_event.lines:
        row = rows.setdefault(posting.asset, [0, 0, 0, 0])
        row[0] += posting.available_change
        row[1] += posting.held_change
        row[2:] = available, held
    found = []
    for asset, (available_change, held_change, available, held) in rows.items():
        scale = catalogue.scales[asset]
        found.append(
            {
                "asset": asset,
                "posted": format_scaled(available + held, scale),
                "held": format_scaled(held, scale),
                "available": format_scaled(available, scale),
                "available_change": format_scaled(available_change, scale),
                "held_change": format_scaled(held_change, scale),
            }
        )
    return found


def _entry(
    account_event: AccountEvent, line: BalanceChange, catalogue: LiveCatalogue
) -> dict[str, Any]:
    posting = line.posting
    scale = catalogue.scales[posting.asset]
    return {
        "asset": posting.asset,
        "available_change": format_scaled(posting.available_change, scale),
        "held_change": format_scaled(posting.held_change, scale),
        "available": format_scaled(line.available, scale),
        "held": format_scaled(line.held, scale),
        "cause": posting.cause,
        "reference": posting.reference,
        "order_id": str(posting.order_id) if posting.order_id else None,
        "trade_id": posting.trade_id or None,
        "client_order_id": posting.client_order_id or None,
        "strategy": posting.strategy or None,
        "time": instant_text(account_event.time_us),
    }


def _execution(
    account_event: AccountEvent, event: ev.OrderFilled, catalogue: LiveCatalogue
) -> dict[str, Any]:
    instrument = catalogue.instruments[event.order.symbol]
    fill = fill_of(event, account_event.seq, account_event.time_us, instrument.quote)
    shown = structs.asdict(fill_view(fill, catalogue))
    # The message around it has the sequence.
    del shown["seq"]
    shown["filled_quantity"] = instrument.quantity_text(event.cum)
    shown["leaves_quantity"] = instrument.quantity_text(event.leaves)
    return shown


def _order(
    what: str,
    order: OrderTerms,
    catalogue: LiveCatalogue,
    status: OrdStatus,
    leaves: int,
    cum: int,
    notional: int,
    **more: Any,
) -> dict[str, Any]:
    """Render an order as an event leaves it; ``event`` says what happened."""
    instrument = catalogue.instruments[order.symbol]
    members = order_members(order, instrument, status, leaves, cum, notional)
    return {"event": what, **members, **more}


def _accepted(event: ev.OrderAccepted, catalogue: LiveCatalogue) -> Any:
    return _order("accepted", event.order, catalogue, OrdStatus.NEW, event.leaves, 0, 0)


def _filled(event: ev.OrderFilled, catalogue: LiveCatalogue) -> Any:
    return _order(
        "filled", event.order, catalogue, event.status, event.leaves, event.cum,
        event.notional, trade_id=event.trade_id,
    )  # fmt: skip


def _canceled(event: ev.OrderCanceled, catalogue: LiveCatalogue) -> Any:
    what = "expired" if event.status is OrdStatus.EXPIRED else "canceled"
    return _order(
        what, event.order, catalogue, event.status, 0, event.cum, event.notional,
        reason=event.reason.name.lower(), requested_by=event.requester or None,
        request_client_order_id=event.client_order_id or None,
    )  # fmt: skip


def _replaced(event: ev.OrderReplaced, catalogue: LiveCatalogue) -> Any:
    return _order(
        "replaced", event.order, catalogue, event.status, event.leaves, event.cum,
        event.notional, orig_client_order_id=event.orig_client_order_id,
        priority_kept=event.priority_kept, requested_by=event.requester or None,
    )  # fmt: skip


def _restated(event: ev.OrderRestated, catalogue: LiveCatalogue) -> Any:
    return _order(
        "restated", event.order, catalogue, event.status, event.leaves, event.cum,
        event.notional, reason=event.reason.name.lower(),
    )  # fmt: skip


def _triggered(event: ev.OrderTriggered, catalogue: LiveCatalogue) -> Any:
    return _order("triggered", event.order, catalogue, OrdStatus.NEW, event.leaves, 0, 0)


def _reported(event: ev.StatusReported, catalogue: LiveCatalogue) -> Any:
    return _order(
        "status", event.order, catalogue, event.status, event.leaves, event.cum, event.notional
    )


def _order_rejected(event: ev.OrderRejected, catalogue: LiveCatalogue) -> Any:
    return {
        "event": "rejected",
        "client_order_id": event.client_order_id,
        "strategy": event.strategy or None,
        "symbol": event.symbol or None,
        "side": None if event.side is None else SIDE_TEXT[event.side],
        "order_id": str(event.order_id) if event.order_id else None,
        "status": event.status.name.lower(),
        "reason": event.reason.name.lower(),
        "text": event.text,
    }


def _cancel_rejected(event: ev.CancelRejected, catalogue: LiveCatalogue) -> Any:
    return {
        "event": f"{event.request.name.lower()}_rejected",
        "client_order_id": event.current_client_order_id or event.orig_client_order_id,
        "request_client_order_id": event.client_order_id or None,
        "orig_client_order_id": event.orig_client_order_id or None,
        "order_id": str(event.order_id) if event.order_id else None,
        "status": event.status.name.lower(),
        "reason": event.reason.name.lower(),
        "text": event.text,
    }


def _mass_canceled(event: ev.MassCanceled, catalogue: LiveCatalogue) -> Any:
    return {
        "event": "mass_canceled",
        "client_order_id": event.client_order_id or None,
        "strategy": event.strategy or None,
        "symbol": event.symbol or None,
        "side": None if event.side is None else SIDE_TEXT[event.side],
        "firm_wide": event.firm_wide,
        "canceled": [
            {"account": account, "client_order_id": client_id, "order_id": str(order_id)}
            for account, client_id, order_id in event.affected
        ],
        "total": max(event.total, len(event.affected)),
        "complete": event.complete,
        "reason": None if event.reason is None else event.reason.name.lower(),
        "text": event.text,
    }


def _batch_done(event: ev.BatchDone, catalogue: LiveCatalogue) -> Any:
    return {
        "event": "batch_done",
        "batch_id": event.batch_id,
        "accepted": [accepted for _, _, accepted in event.results],
        "reason": None if event.reason is None else event.reason.name.lower(),
        "text": event.text,
    }


def _refused(event: ev.Refused, catalogue: LiveCatalogue) -> Any:
    return {
        "event": "refused",
        "subject": event.subject,
        "reason": event.reason.name.lower(),
        "text": event.text,
    }


def _switch(event: ev.DeadMansSwitchSet, catalogue: LiveCatalogue) -> Any:
    return {
        "event": "dead_mans_switch",
        "strategy": event.strategy or None,
        "fires_at": instant_text(event.fires_at) if event.fires_at else None,
    }


def _session(event: ev.SessionChanged, catalogue: LiveCatalogue) -> Any:
    return {
        "event": f"session_{event.what}",
        "session": event.session,
        "cancel_on_disconnect": SCOPE_TEXT[event.cancel_scope],
    }


def _account(event: ev.AccountDefined, catalogue: LiveCatalogue) -> Any:
    return {
        "event": "account_defined",
        "maker_fee_ppm": event.maker_fee_ppm,
        "taker_fee_ppm": event.taker_fee_ppm,
        "self_trade_prevention": event.stp.name.lower(),
    }


def _account_status(event: ev.AccountStatusChanged, catalogue: LiveCatalogue) -> Any:
    return {
        "event": "account_suspended" if event.suspended else "account_resumed",
        "note": event.note,
    }


_RENDER: Final[dict[type, Callable[[Any, LiveCatalogue], Any]]] = {
    ev.OrderAccepted: _accepted,
    ev.OrderRejected: _order_rejected,
    ev.OrderFilled: _filled,
    ev.OrderCanceled: _canceled,
    ev.OrderReplaced: _replaced,
    ev.OrderRestated: _restated,
    ev.OrderTriggered: _triggered,
    ev.CancelRejected: _cancel_rejected,
    ev.StatusReported: _reported,
    ev.MassCanceled: _mass_canceled,
    ev.BatchDone: _batch_done,
    ev.Refused: _refused,
    ev.DeadMansSwitchSet: _switch,
    ev.SessionChanged: _session,
    ev.AccountDefined: _account,
    ev.AccountStatusChanged: _account_status,
    **MONEY,
}
