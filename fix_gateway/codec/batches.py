"""Batches: NewOrderList(E) and our OrderBatch(UB) to one Batch command.

An entry that cannot become a command takes its place as a RecordRefusal, so that the others
of an independent batch are not touched by it.
"""

from __future__ import annotations

from typing import Final

from engine.core.commands import Batch, BatchEntry
from engine.core.types import (
    BATCH_ENTRIES_MAX,
    BatchMode,
    Origin,
    RejectReason,
    RequestKind,
)
from fix_gateway.codec.context import SessionContext
from fix_gateway.codec.fields import (
    Fields,
    Instruments,
    Rejected,
    account_to_record,
    client_id,
    shown,
)
from fix_gateway.codec.message import FixMessage
from fix_gateway.codec.orders import cancel_order, new_order, order_echo, refusal, replace_order

_ORDER_TAGS: Final = "11 1 526 18 21 110 111 55 54 60 38 152 40 44 99 59 126 58 528 529 1028 20005"
_LIST_MEMBERS: Final = frozenset(f"{_ORDER_TAGS} 67".split())
_BATCH_MEMBERS: Final = frozenset(f"{_ORDER_TAGS} 20011 41 37".split())
_ACTIONS: Final = {"D": RequestKind.NEW, "F": RequestKind.CANCEL, "G": RequestKind.REPLACE}


def new_order_list(
    message: FixMessage, context: SessionContext, origin: Origin, instruments: Instruments
) -> Batch:
    """Read a NewOrderList(E): independent orders without bidding (BidType(394)=3).

    FIX 4.4, volume 4. The list must come in one message: TotNoOrders(68) is the number of its
    orders. Raises Rejected where the list as a whole cannot become a command.
    """
    entries = message.group("73", "11", _LIST_MEMBERS)
    if message.get("394") != "3":
        raise Rejected(
            RejectReason.INVALID_BATCH,
            f"BidType(394) {shown(message.get('394'))} is not supported; use 3 (no bidding)",
        )
    if message.get("68") != str(len(entries)):
        raise Rejected(
            RejectReason.INVALID_BATCH,
            f"TotNoOrders(68) is {shown(message.get('68'))}, but the message has {len(entries)} "
            "orders; a list comes in one message",
        )
    for number, entry in enumerate(entries, 1):
        if entry.get("67") != str(number):
            raise Rejected(
                RejectReason.INVALID_BATCH,
                f"ListSeqNo(67) of order {number} is {shown(entry.get('67', ''))}; "
                "number them 1, 2, 3, ...",
            )
    made = [_entry("D", entry, context, origin, instruments, message) for entry in entries]
    return _batch(message, context, origin, made)


def batch(
    message: FixMessage, context: SessionContext, origin: Origin, instruments: Instruments
) -> Batch:
    """Read an OrderBatch(UB): creates, replaces and cancels in one turn. Raises Rejected."""
    entries = message.group("20010", "20011", _BATCH_MEMBERS)
    made = [
        _entry(entry["20011"], entry, context, origin, instruments, message) for entry in entries
    ]
    return _batch(message, context, origin, made)


def _batch(
    message: FixMessage, context: SessionContext, origin: Origin, entries: list[BatchEntry]
) -> Batch:
    mode = message.get("20009", "0")
    if mode not in ("0", "1"):
        raise Rejected(
            RejectReason.INVALID_BATCH,
            f"BatchMode(20009) {shown(mode)} is neither 0 (independent) nor 1 (validate all)",
        )
    if not 1 <= len(entries) <= BATCH_ENTRIES_MAX:
        raise Rejected(
            RejectReason.INVALID_BATCH,
            f"A batch has 1 to {BATCH_ENTRIES_MAX} entries; this one has {len(entries)}",
        )
    batch_id = client_id(message.fields, "66", "ListID(66)")
    return Batch(
        origin, context.settings.account, batch_id, BatchMode(int(mode)), tuple(entries),
        message.msg_type,
    )  # fmt: skip


def _entry(
    action: str,
    fields: Fields,
    context: SessionContext,
    origin: Origin,
    instruments: Instruments,
    message: FixMessage,
) -> BatchEntry:
    """Read one entry: a command, or the refusal that stands in its place."""
    request = _ACTIONS.get(action)
    if request is None:
        raise Rejected(
            RejectReason.INVALID_BATCH,
            f"BatchAction(20011) {shown(action)} is not one of D (create), F (cancel), G (replace)",
        )
    try:
        if request is RequestKind.NEW:
            return new_order(fields, context, origin, instruments, message.get("97") == "Y")
        if request is RequestKind.CANCEL:
            return cancel_order(fields, context, origin, instruments)
        return replace_order(fields, context, origin, instruments)
    except Rejected as error:
        account = account_to_record(fields, context)
        echo = order_echo(fields, account) if request is RequestKind.NEW else ""
        return refusal(fields, account, origin, request, error.reason, error.text, echo)
