"""Events to message bodies: ExecutionReport(8) and OrderCancelReject(9).

A body is every field after the header, each ended by SOH. Every function here is pure; the
fields that are the same for a whole transaction come in a Frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple, Protocol

from engine.core.commands import Batch, Command, NewOrder, RecordRefusal
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
    StatusReported,
)
from engine.core.instruments import Instrument
from engine.core.types import (
    CancelReason,
    OrderTerms,
    OrdStatus,
    RejectReason,
    RequestKind,
    TimeInForce,
)
from fix_gateway.codec.formatting import (
    InstrumentText,
    clean,
    cursor,
    known_texts,
    optional,
    sentence,
    texts_of,
)
from fix_gateway.codec.message import time_text
from fix_gateway.codec.reject_codes import (
    CANCEL_TEXT,
    CXL_REJ_OTHER,
    CXL_REJ_REASON,
    CXL_REJ_UNKNOWN,
    ORD_REJ_OTHER,
    ORD_REJ_REASON,
    ORD_STATUS,
    RESTATE_REASON,
    reject_code,
)

_GTD: Final = TimeInForce.GTD
_EXPIRED: Final = OrdStatus.EXPIRED
_REQUESTED: Final = CancelReason.REQUESTED


class Committed(Protocol):
    """A transaction as the engine's client hands it out."""

    @property
    def seq(self) -> int: ...
    @property
    def time_us(self) -> int: ...
    @property
    def command(self) -> Command: ...
    @property
    def events(self) -> tuple[Event, ...]: ...


class Frame(NamedTuple):
    """What all messages of one transaction share."""

    transaction: Committed
    seq: int
    time: str
    instruments: Mapping[str, Instrument]

    @property
    def command(self) -> Command:
        """The command that caused it all."""
        return self.transaction.command


def frame_of(transaction: Committed, instruments: Mapping[str, Instrument]) -> Frame:
    """Prepare a transaction for its reports."""
    return Frame(transaction, transaction.seq, time_text(transaction.time_us), instruments)


def terms_fields(o: OrderTerms, t: InstrumentText) -> str:
    """Write an order as it stands, without its ids: Account to SelfTradePrevention."""
    text = (
        f"1={o.account}\x0155={o.symbol}\x0154={o.side}\x0138={t.quantity[o.qty]}\x01"
        f"40={o.ord_type}\x0159={o.tif}\x01"
    )
    if o.price:
        text += f"44={t.price[o.price]}\x01"
    if o.strategy:
        text += f"526={o.strategy}\x01"
    if o.stop_price:
        text += f"99={t.price[o.stop_price]}\x01"
    if o.tif is _GTD:
        text += f"126={time_text(o.expire_at)}\x01"
    return text + _instructions(o, t) + (f"20005={o.stp}\x01" if o.stp else "")


def _instructions(o: OrderTerms | NewOrder, t: InstrumentText) -> str:
    """Return ExecInst to ManualOrderIndicator, of an order or of one that was refused."""
    text = "18=6\x01" if o.post_only else ""
    if o.display_qty > 0:
        text += f"111={t.quantity[o.display_qty]}\x01"
    if o.min_qty > 0:
        text += f"110={t.quantity[o.min_qty]}\x01"
    if o.cash_qty > 0:
        text += f"152={t.money(o.cash_qty)}\x01"
    if o.manual:
        text += "1028=Y\x01"
    return text


def accepted(e: OrderAccepted, i: int, f: Frame) -> str:
    """Write ExecType(150)=0: the order is on the venue."""
    o = e.order
    t = known_texts(o.symbol, f.instruments)
    return (
        f"37={o.order_id}\x0111={o.client_order_id}\x0117={f.seq}-{i}\x01150=0\x0139=0\x01"
        f"151={t.quantity[e.leaves]}\x0114=0\x016=0\x01{terms_fields(o, t)}60={f.time}\x01"
        f"{cursor(f.seq, i)}"
    )


def filled(e: OrderFilled, i: int, f: Frame) -> str:
    """Write ExecType(150)=F: one side of a trade, its fee as Commission(12) and MiscFeeAmt(137)."""
    o = e.order
    t = known_texts(o.symbol, f.instruments)
    quantity = t.quantity
    fee = t.money(e.fee)
    return (
        f"37={o.order_id}\x0111={o.client_order_id}\x0117={f.seq}-{i}\x01150=F\x01"
        f"39={ORD_STATUS[e.status]}\x01151={quantity[e.leaves]}\x0114={quantity[e.cum]}\x01"
        f"6={t.average(e.notional, e.cum)}\x0132={quantity[e.last_qty]}\x01"
        f"31={t.price[e.last_price]}\x01{terms_fields(o, t)}60={f.time}\x01"
        f"880={e.trade_id}\x01851={e.liquidity}\x01381={t.money(e.cash)}\x01"
        f"12={fee}\x0113=3\x01479={t.quote}\x01"
        f"136=1\x01137={fee}\x01138={t.quote}\x01139=4\x01891=0\x01"
        f"{cursor(f.seq, i)}"
    )


def canceled(e: OrderCanceled, i: int, f: Frame) -> str:
    """Write ExecType(150)=4, or C when the order's time is over; CumQty stays, LeavesQty is 0."""
    o = e.order
    t = known_texts(o.symbol, f.instruments)
    kind = "C" if e.status is _EXPIRED else "4"
    ids = f"11={o.client_order_id}\x01"
    if e.reason is _REQUESTED and e.client_order_id:
        ids = f"11={clean(e.client_order_id)}\x0141={o.client_order_id}\x01"
    why = CANCEL_TEXT[e.reason]
    return (
        f"37={o.order_id}\x01{ids}17={f.seq}-{i}\x01150={kind}\x0139={kind}\x01151=0\x01"
        f"14={t.quantity[e.cum]}\x016={t.average(e.notional, e.cum)}\x01{terms_fields(o, t)}"
        f"60={f.time}\x01{optional('58', why)}{cursor(f.seq, i)}"
    )


def replaced(e: OrderReplaced, i: int, f: Frame) -> str:
    """Write ExecType(150)=5: the new terms and id; OrderID, CumQty and AvgPx carry over."""
    o = e.order
    t = known_texts(o.symbol, f.instruments)
    kept = "Y" if e.priority_kept else "N"
    return (
        f"37={o.order_id}\x0111={o.client_order_id}\x0141={e.orig_client_order_id}\x01"
        f"17={f.seq}-{i}\x01150=5\x0139={ORD_STATUS[e.status]}\x01"
        f"151={t.quantity[e.leaves]}\x0114={t.quantity[e.cum]}\x01"
        f"6={t.average(e.notional, e.cum)}\x01{terms_fields(o, t)}60={f.time}\x01"
        f"{cursor(f.seq, i)}20022={kept}\x01"
    )


def restated(e: OrderRestated, i: int, f: Frame) -> str:
    """Write ExecType(150)=D, by ExecRestatementReason(378): 5 or 8.

    5: self-trade prevention took a part of the quantity; 8: the order has come to rest in the
    book later than it arrived.
    """
    o = e.order
    t = known_texts(o.symbol, f.instruments)
    code, text = RESTATE_REASON[e.reason]
    return (
        f"37={o.order_id}\x0111={o.client_order_id}\x0117={f.seq}-{i}\x01150=D\x01"
        f"39={ORD_STATUS[e.status]}\x01378={code}\x01151={t.quantity[e.leaves]}\x01"
        f"14={t.quantity[e.cum]}\x016={t.average(e.notional, e.cum)}\x01{terms_fields(o, t)}"
        f"60={f.time}\x0158={text}\x01"
        f"{cursor(f.seq, i)}"
    )


def triggered(e: OrderTriggered, i: int, f: Frame) -> str:
    """Write ExecType(150)=L (of FIX 5.0): the stop price was reached."""
    o = e.order
    t = known_texts(o.symbol, f.instruments)
    return (
        f"37={o.order_id}\x0111={o.client_order_id}\x0117={f.seq}-{i}\x01150=L\x0139=0\x01"
        f"151={t.quantity[e.leaves]}\x0114=0\x016=0\x01{terms_fields(o, t)}60={f.time}\x01"
        f"{cursor(f.seq, i)}"
    )


def status_fields(
    o: OrderTerms, t: InstrumentText, status: OrdStatus, leaves: int, cum: int, notional: int
) -> str:
    """Write how an order stands: ExecType(150)=I, ExecID(17)=0.

    FIX 4.4, volume 4, appendix D, rows F.1.b and G.1. Quantities in lots, ``notional`` in
    lots times ticks.
    """
    return (
        f"37={o.order_id}\x0111={o.client_order_id}\x0117=0\x01150=I\x01"
        f"39={ORD_STATUS[status]}\x01151={t.quantity[leaves]}\x0114={t.quantity[cum]}\x01"
        f"6={t.average(notional, cum)}\x01{terms_fields(o, t)}"
    )


def status_reported(e: StatusReported, i: int, f: Frame) -> str:
    """Write the response to an order that came again with PossResend(97)=Y (row F.1.b)."""
    t = known_texts(e.order.symbol, f.instruments)
    return (
        f"{status_fields(e.order, t, e.status, e.leaves, e.cum, e.notional)}60={f.time}\x01"
        f"{cursor(f.seq, i)}"
    )


def rejected(e: OrderRejected, i: int, f: Frame) -> str:
    """Write ExecType(150)=8; for a duplicate ClOrdID the rest is the original (row F.1.a)."""
    t = texts_of(e.symbol, f.instruments)
    order_id = str(e.order_id) if e.order_id else "NONE"
    known = e.order_id and t is not None
    leaves = t.quantity[e.leaves] if known and t is not None else "0"
    cum = t.quantity[e.cum] if known and t is not None else "0"
    average = t.average(e.notional, e.cum) if known and t is not None else "0"
    return (
        f"37={order_id}\x01{optional('11', e.client_order_id)}17={f.seq}-{i}\x01150=8\x01"
        f"39={ORD_STATUS[e.status]}\x01103={ORD_REJ_REASON.get(e.reason, ORD_REJ_OTHER)}\x01"
        f"151={leaves}\x0114={cum}\x016={average}\x01{_rejected_terms(e, t, f.command)}"
        f"{optional('526', e.strategy)}60={f.time}\x0158={sentence(e.text)}\x01"
        f"{cursor(f.seq, i)}20016={reject_code(e.reason)}\x01"
    )


def _rejected_terms(e: OrderRejected, t: InstrumentText | None, command: Command) -> str:
    """Write a refused order as it was sent: what was kept of its message, or of its command."""
    entry = _entry_of(e, command)
    if isinstance(entry, RecordRefusal) and entry.echo:
        return entry.echo
    text = f"1={clean(e.account)}\x0155={clean(e.symbol) or '[N/A]'}\x0154={e.side or 7}\x01"
    if e.qty_text:
        text += optional("38", e.qty_text)
    elif t is not None and e.qty > 0:
        text += f"38={t.quantity[e.qty]}\x01"
    if e.order_id:
        return text  # The rest of the original order is not in the event, and the copy's is not it.
    if isinstance(entry, NewOrder) and t is not None:
        return text + _sent_terms(entry, t)
    if e.ord_type is not None:
        text += f"40={e.ord_type}\x01"
    return text + optional("44", e.price_text)


def _sent_terms(c: NewOrder, t: InstrumentText) -> str:
    """Write OrdType to SelfTradePrevention of an order that the engine refused."""
    text = f"40={c.ord_type}\x0159={c.tif}\x01"
    if c.price > 0:
        text += f"44={t.price[c.price]}\x01"
    if c.stop_price > 0:
        text += f"99={t.price[c.stop_price]}\x01"
    if c.expire_at > 0:
        text += f"126={time_text(c.expire_at)}\x01"
    return text + _instructions(c, t) + ("" if c.stp is None else f"20005={c.stp}\x01")


def _entry_of(e: OrderRejected, command: Command) -> Command | None:
    """Return the create that this refusal answers: the command, or an entry of its batch."""
    if not isinstance(command, Batch):
        return command
    for entry in command.entries:
        if entry.client_order_id == e.client_order_id and (
            isinstance(entry, NewOrder)
            or (isinstance(entry, RecordRefusal) and entry.request is RequestKind.NEW)
        ):
            return entry
    return None


def cancel_rejected(e: CancelRejected, i: int, f: Frame) -> str:
    """Write an OrderCancelReject(9): the order's current status, or 39=8 with 37=NONE if unknown.

    FIX 4.4, volume 4, Order Cancel Reject.
    """
    if e.order_id:
        order_id, orig = str(e.order_id), e.current_client_order_id
    else:
        order_id, orig = "NONE", clean(e.orig_client_order_id) or "NONE"
    reason = CXL_REJ_REASON.get(e.reason, CXL_REJ_OTHER)
    if e.reason is RejectReason.MISMATCH and not e.order_id:
        reason = CXL_REJ_UNKNOWN  # OrderID(37) and OrigClOrdID(41) name no order together.
    answered = "2" if e.request is RequestKind.REPLACE else "1"
    strategy = f"526={e.strategy}\x01" if e.strategy else ""
    return (
        f"37={order_id}\x0111={clean(e.client_order_id) or 'NONE'}\x0141={orig}\x01{strategy}"
        f"39={ORD_STATUS[e.status]}\x011={clean(e.account)}\x01434={answered}\x01"
        f"102={reason}\x0160={f.time}\x01"
        f"58={sentence(e.text)}\x01"
        f"{cursor(f.seq, i)}20016={reject_code(e.reason)}\x01"
    )
