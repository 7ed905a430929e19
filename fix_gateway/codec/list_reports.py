"""Events to message bodies: r, N, UC, j and f, which are not about a single order."""

from __future__ import annotations

from typing import Final, NamedTuple

from engine.client import own_event
from engine.core.commands import Batch, BatchEntry, NewOrder, RecordRefusal
from engine.core.events import (
    BatchDone,
    CancelRejected,
    Event,
    InstrumentStatusChanged,
    MassCanceled,
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderRejected,
    OrderReplaced,
    OrderRestated,
    Refused,
)
from engine.core.types import InstrumentStatus, OrdStatus, RejectReason
from fix_gateway.codec.execution_reports import Frame
from fix_gateway.codec.formatting import clean, cursor, optional, sentence, texts_of
from fix_gateway.codec.message import SOH
from fix_gateway.codec.reject_codes import (
    BUSINESS_REJECT_REASON,
    MASS_CANCEL_REJECT_REASON,
    ORD_REJ_OTHER,
    ORD_REJ_REASON,
    ORD_STATUS,
    reject_code,
)

_OPENINGS: Final = (OrderAccepted, OrderReplaced, OrderCanceled)
AFFECTED_MAX: Final = 500
"""Orders in one OrderMassCancelReport; more come in further parts of the same report."""


def mass_canceled(e: MassCanceled, i: int, f: Frame) -> list[str]:
    """Write an OrderMassCancelReport(r), in as many parts as the affected orders need."""
    asked = "1" if e.symbol else "7"
    if isinstance(f.command, RecordRefusal) and f.command.echo:
        asked = clean(f.command.echo)
    head = f"{optional('11', e.client_order_id)}37={f.seq}-{i}\x01530={asked}\x01"
    tail = (
        f"{optional('55', e.symbol)}{f'54={e.side}{SOH}' if e.side else ''}"
        f"{optional('526', e.strategy)}1={clean(e.account)}\x0160={f.time}\x01"
    )
    if e.reason is not None:
        why = MASS_CANCEL_REJECT_REASON.get(e.reason, "99")
        return [
            f"{head}531=0\x01532={why}\x01{tail}58={sentence(e.text)}\x01"
            f"{cursor(f.seq, i)}20016={reject_code(e.reason)}\x01"
        ]
    total = max(e.total, len(e.affected))  # Records from before ``total`` have 0.
    parts = max(1, -(-len(e.affected) // AFFECTED_MAX))
    bodies = []
    for part in range(parts):
        rows = e.affected[part * AFFECTED_MAX : (part + 1) * AFFECTED_MAX]
        group = f"534={len(rows)}\x01" if rows else ""
        group += "".join([f"41={row[1]}\x01535={row[2]}\x01" for row in rows])
        counts = f"531={asked}\x01533={total}\x01"
        bodies.append(f"{head}{counts}{group}{tail}{cursor(f.seq, i, part)}20020={parts}\x01")
    return bodies


class _Standing(NamedTuple):
    """How an order of a batch stands when the batch is done; quantities in lots."""

    symbol: str
    order_id: int
    status: OrdStatus
    qty: int
    cum: int
    leaves: int
    notional: int


def _final_state(
    events: tuple[Event, ...], entry: BatchEntry, first: int, count: int
) -> _Standing | None:
    """Find the last state of the order that an entry created, changed or canceled.

    ``first`` and ``count`` say which events are the entry's own; None where there is no order.
    Looks through all events behind ``first``.
    """
    opening = own_event(events[first : first + count], entry, *_OPENINGS)
    if opening is None:
        return None
    order_id = opening.order.order_id
    found: _Standing | None = None
    for event in events[first:]:
        if isinstance(event, OrderAccepted) and event.order.order_id == order_id:
            o, status, leaves, cum, notional = event.order, OrdStatus.NEW, event.leaves, 0, 0
        elif (
            isinstance(event, OrderFilled | OrderReplaced | OrderRestated)
            and event.order.order_id == order_id
        ):
            o, status, leaves = event.order, event.status, event.leaves
            cum, notional = event.cum, event.notional
        elif isinstance(event, OrderCanceled) and event.order.order_id == order_id:
            o, status, leaves = event.order, event.status, 0
            cum, notional = event.cum, event.notional
        else:
            continue
        found = _Standing(o.symbol, order_id, status, o.qty, cum, leaves, notional)
    return found


def batch_done(e: BatchDone, i: int, f: Frame) -> tuple[str, str]:
    """Write a batch's summary, MsgType and body: N for a list, UC for any other batch."""
    command = f.command
    echo = command.echo if isinstance(command, Batch | RecordRefusal) else ""
    msg_type, _, total = echo.partition(SOH)
    if msg_type == "E":
        return "N", _list_status(e, i, f, total)
    return "UC", _batch_summary(e, i, f)


def _refusal(e: BatchDone, text_tag: str) -> str:
    """Return why a batch was refused, with its text in this tag; "" where it was not."""
    if e.reason is None:
        return ""
    return f"{text_tag}={sentence(e.text)}\x0120016={reject_code(e.reason)}\x01"


def _list_status(e: BatchDone, i: int, f: Frame, total: str) -> str:
    """Write the ListStatus(N) of a NewOrderList: how each of its orders stands now."""
    entries = f.command.entries if isinstance(f.command, Batch) else ()
    group, any_open = "", False
    for entry, (first, count, _) in zip(entries, e.results, strict=False):
        standing = _final_state(f.transaction.events, entry, first, count)
        any_open = any_open or (standing is not None and standing.leaves > 0)
        group += _list_row(entry, standing, f, f.transaction.events[first : first + count])
    state = "7" if e.reason is not None else "3" if any_open else "6"
    rows = f"73={len(e.results)}\x01{group}" if group else ""
    return (
        f"66={clean(e.batch_id) or 'NONE'}\x01429=2\x0182=1\x01431={state}\x0183=1\x01"
        f"{_refusal(e, '444')}60={f.time}\x0168={len(entries) or total or 0}\x01{rows}"
        f"{cursor(f.seq, i)}"
    )


def _list_row(
    entry: BatchEntry, standing: _Standing | None, f: Frame, own: tuple[Event, ...]
) -> str:
    row = f"11={clean(entry.client_order_id) or 'NONE'}\x01"
    if isinstance(entry, NewOrder | RecordRefusal):
        row += optional("526", entry.strategy)
    texts = texts_of(standing.symbol, f.instruments) if standing is not None else None
    if standing is not None and texts is not None:
        quantity = texts.quantity
        gone = standing.qty - standing.cum - standing.leaves
        return row + (
            f"14={quantity[standing.cum]}\x0139={ORD_STATUS[standing.status]}\x01"
            f"151={quantity[standing.leaves]}\x0184={quantity[gone]}\x01"
            f"6={texts.average(standing.notional, standing.cum)}\x01"
        )
    row += "14=0\x0139=8\x01151=0\x0184=0\x016=0\x01"
    event = own_event(own, entry, OrderRejected)
    if event is not None:
        row += (
            f"103={ORD_REJ_REASON.get(event.reason, ORD_REJ_OTHER)}\x0158={sentence(event.text)}"
            "\x01"
        )
    return row


def _reason_of(own: tuple[Event, ...], entry: BatchEntry) -> RejectReason | None:
    event = own_event(own, entry, OrderRejected, CancelRejected)
    return None if event is None else event.reason


def _batch_summary(e: BatchDone, i: int, f: Frame) -> str:
    """Write an OrderBatchSummary(UC): which entries were accepted; their reports came before."""
    entries = f.command.entries if isinstance(f.command, Batch) else ()
    rows = ""
    for number, (entry, (first, count, done)) in enumerate(
        zip(entries, e.results, strict=False), 1
    ):
        rows += f"20012={number}\x01{optional('11', entry.client_order_id)}"
        standing = _final_state(f.transaction.events, entry, first, count)
        rows += f"37={standing.order_id}\x01" if standing is not None else ""
        rows += f"20013={'Y' if done else 'N'}\x01"
        reason = None if done else _reason_of(f.transaction.events[first : first + count], entry)
        rows += f"20023={reject_code(reason)}\x01" if reason is not None else ""
    group = f"20010={min(len(entries), len(e.results))}\x01{rows}" if rows else ""
    accepted = sum(done for _, _, done in e.results)
    return (
        f"66={clean(e.batch_id) or 'NONE'}\x0120014={0 if e.reason is None else 1}\x01"
        f"20015={accepted}\x01{_refusal(e, '58')}60={f.time}\x01{group}{cursor(f.seq, i)}"
    )


def refused(e: Refused, i: int, f: Frame) -> str | None:
    """Write the BusinessMessageReject(j) of a message that nothing else answers, else None."""
    command = f.command
    if not isinstance(command, RecordRefusal):
        return None
    msg_type, _, _ = command.echo.partition(SOH)
    return (
        f"45={command.origin.num}\x01372={clean(msg_type) or '0'}\x01{optional('379', e.subject)}"
        f"380={BUSINESS_REJECT_REASON.get(e.reason, '0')}\x0158={sentence(e.text)}\x01"
        f"60={f.time}\x01{cursor(f.seq, i)}20016={reject_code(e.reason)}\x01"
    )


def status_changed(e: InstrumentStatusChanged, i: int, f: Frame) -> str:
    """Write a SecurityStatus(f), unsolicited: an instrument was halted (326=2) or resumed (3)."""
    halted = e.status is InstrumentStatus.HALTED
    return (
        f"55={e.symbol}\x01325=Y\x01326={'2' if halted else '3'}\x0160={f.time}\x01"
        f"{optional('58', e.note)}{cursor(f.seq, i)}"
    )
