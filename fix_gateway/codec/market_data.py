"""Market data to FIX: W, X, Y, f and h, from the public market's levels, orders and trades.

A message is about one instrument. Its position in the stream of changes is at message level, in
custom tags, which a client with the standard FIX 4.4 dictionary can ignore: EngineSeq(20001) is the
last transaction that it reflects; BookSeq(20024) is the transaction of the subscription's last
change, and PrevBookSeq(20025) the BookSeq of the subscription's previous message, so that a lost
message is detected; BookChecksum(20026) is the checksum of the best ten levels, as over WebSocket.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from engine.core.instruments import Instrument
from engine.core.types import InstrumentStatus, PriceLevel, Side
from engine.market_data.book import LevelChange, OrderChange, OrderEntry
from engine.market_data.day import DayStatistics
from engine.market_data.market import Trade
from fix_gateway.codec.formatting import InstrumentText, clean, optional
from fix_gateway.codec.market_data_requests import TRADING_SESSION, MarketRequestError
from fix_gateway.codec.message import time_text
from fix_gateway.codec.responses import (
    Response,
    SharedBody,
    SharedResponse,
    business_reject,
    market_data_reject,
)

ENTRY_TYPE: Final = {Side.BUY: "0", Side.SELL: "1"}
NEW, CHANGE, DELETE = "0", "1", "2"
"""Values of MDUpdateAction(279)."""
TRADING_STATUS: Final = {InstrumentStatus.OPEN: "17", InstrumentStatus.HALTED: "2"}
"""SecurityTradingStatus(326)."""


# Entries of W.


def level_entry(side: Side, level: PriceLevel, texts: InstrumentText) -> str:
    """Return the entry of a level in a full refresh."""
    return (
        f"269={ENTRY_TYPE[side]}\x01270={texts.price[level.price]}\x01"
        f"271={texts.quantity[level.qty]}\x01346={level.orders}\x01"
    )


def order_entry(entry: OrderEntry, texts: InstrumentText) -> str:
    """Return the entry of an order in a full refresh, with its public id in OrderID(37)."""
    return (
        f"269={ENTRY_TYPE[entry.side]}\x01270={texts.price[entry.price]}\x01"
        f"271={texts.quantity[entry.qty]}\x0137={entry.entry_id}\x01"
    )


def trade_entry(trade: Trade, texts: InstrumentText) -> str:
    """Return the entry of a past trade, with its trade id in OrderID(37)."""
    return f"269=2\x01{_trade_terms(trade, texts)}37={trade.trade_id}\x01"


def statistics(
    day: DayStatistics, kinds: Iterable[str], texts: InstrumentText
) -> dict[str, str]:
    """Return the field, 270 or 271, of each kind of statistics that has a value.

    VWAP(9) is the notional divided by the volume, with at most eight decimals beyond the tick.
    """
    found = {}
    for kind in kinds:
        if kind == "B":
            if day.volume:
                found[kind] = f"271={texts.quantity[day.volume]}\x01"
        elif kind == "9":
            if day.volume:
                found[kind] = f"270={texts.average(day.notional, day.volume)}\x01"
        else:
            price = {"4": day.opening, "5": day.previous_close, "7": day.high, "8": day.low}[kind]
            if price:
                found[kind] = f"270={texts.price[price]}\x01"
    return found


def statistics_entries(values: Mapping[str, str]) -> list[str]:
    """Return the entries of W for these statistics."""
    return [f"269={kind}\x01{value}" for kind, value in values.items()]


# Entries of X.


def level_change(change: LevelChange, texts: InstrumentText) -> str:
    """Return the entry of a new, changed or deleted level, identified by side and price."""
    head = f"269={ENTRY_TYPE[change.side]}\x0155={texts.instrument.symbol}\x01"
    price = f"270={texts.price[change.price]}\x01"
    if not change.qty:
        return f"279={DELETE}\x01{head}{price}"
    action = CHANGE if change.qty_before else NEW
    size = f"271={texts.quantity[change.qty]}\x01346={change.orders}\x01"
    return f"279={action}\x01{head}{price}{size}"


def order_change(change: OrderChange, texts: InstrumentText) -> str:
    """Return the entry of a new, reduced or deleted order, identified by MDEntryID(278)."""
    action = DELETE if not change.qty else CHANGE if change.qty_before else NEW
    size = f"271={texts.quantity[change.qty]}\x01" if change.qty else ""
    return (
        f"279={action}\x01269={ENTRY_TYPE[change.side]}\x01278={change.entry_id}\x01"
        f"55={texts.instrument.symbol}\x01270={texts.price[change.price]}\x01{size}"
    )


def new_trade(trade: Trade, texts: InstrumentText) -> str:
    """Return the entry of a new trade."""
    return (
        f"279={NEW}\x01269=2\x01278={trade.trade_id}\x0155={trade.symbol}\x01"
        f"{_trade_terms(trade, texts)}"
    )


def statistics_changes(
    before: Mapping[str, str], now: Mapping[str, str], symbol: str
) -> list[str]:
    """Return the entries of X for statistics that are new, changed or deleted."""
    entries = []
    for kind in (*before, *(kind for kind in now if kind not in before)):
        old, new = before.get(kind), now.get(kind)
        if old != new:
            action = DELETE if new is None else CHANGE if old is not None else NEW
            entries.append(f"279={action}\x01269={kind}\x0155={symbol}\x01{new or ''}")
    return entries


def _trade_terms(trade: Trade, texts: InstrumentText) -> str:
    day, _, time = time_text(trade.time_us).partition("-")
    return (
        f"270={texts.price[trade.price]}\x01271={texts.quantity[trade.qty]}\x01272={day}\x01"
        f"273={time[:12]}\x01"
    )


# Messages.


def place(as_of_seq: int, seq: int, prev_seq: int, checksum: int | None) -> str:
    """Return the fields of a message's position in the stream of changes."""
    tail = "" if checksum is None else f"20026={checksum}\x01"
    return f"20001={as_of_seq}\x0120024={seq}\x0120025={prev_seq}\x01{tail}"


def full_refresh(
    request_id: str, symbol: str, where: str, entries: list[str], header: str = ""
) -> Response:
    """Build MarketDataSnapshotFullRefresh(W); an empty book has no entries."""
    group = "".join(entries)
    return Response(
        "W", f"262={clean(request_id)}\x0155={symbol}\x01{where}268={len(entries)}\x01{group}",
        header,
    )  # fmt: skip


def incremental_refresh(
    request_id: str, shared: SharedBody, header: str = ""
) -> SharedResponse:
    """Build MarketDataIncrementalRefresh(X), which all subscriptions with the same state share.

    ``request_id`` is as ``clean`` gives it.
    """
    return SharedResponse("X", 262, request_id, shared, header)


def changes_body(where: str, group: str) -> SharedBody:
    """Return what X says besides MDReqID(262): its position, NoMDEntries(268) and the entries."""
    return SharedBody(f"{where}{group}")


def entries_group(entries: list[str]) -> str:
    """Return NoMDEntries(268) and its entries."""
    return f"268={len(entries)}\x01{''.join(entries)}"


def reject(error: MarketRequestError) -> Response:
    """Build MarketDataRequestReject(Y) for V, BusinessMessageReject(j) for any other request."""
    if error.msg_type != "V":
        answer = business_reject(
            error.num, error.msg_type, error.request_id, error.reason, error.text
        )
    else:
        answer = market_data_reject(error.request_id, error.reason, error.text)
    return answer._replace(header=error.header)


def security_status(
    request_id: str,
    instrument: Instrument,
    status: InstrumentStatus,
    now_us: int,
    as_of_seq: int,
    header: str = "",
    *,
    unsolicited: bool,
) -> Response:
    """Build SecurityStatus(f) of one instrument."""
    return Response(
        "f",
        f"{optional('324', request_id)}55={instrument.symbol}\x01"
        f"325={'Y' if unsolicited else 'N'}\x01326={TRADING_STATUS[status]}\x01"
        f"60={time_text(now_us)}\x0120001={as_of_seq}\x01",
        header,
    )


def trading_session_status(
    request_id: str, start_us: int, end_us: int, header: str = "", *, unsolicited: bool
) -> Response:
    """Build TradingSessionStatus(h): the day is open from its start to its end."""
    return Response(
        "h",
        f"{optional('335', request_id)}336={TRADING_SESSION}\x01"
        f"325={'Y' if unsolicited else 'N'}\x01340=2\x01341={time_text(start_us)}\x01"
        f"345={time_text(end_us)}\x01",
        header,
    )
