"""Fills of the history as TradeCaptureReports: the answer to TradeCaptureReportRequest(AD)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.core.instruments import Instrument
from engine.history.rows import Fill
from fix_gateway.codec.formatting import clean, cursor, known_texts, optional
from fix_gateway.codec.message import time_text
from fix_gateway.codec.requests import TradesQuery
from fix_gateway.codec.responses import Response, trades_ack


def answer_trades(
    query: TradesQuery, fills: Sequence[Fill], instruments: Mapping[str, Instrument], as_of_seq: int
) -> list[Response]:
    """Make a TradeCaptureReport(AE) per fill, the last marked; an AQ with 748=0 for no fill."""
    total = len(fills)
    if not total:
        return [trades_ack(query, "0", "1", "No trade matches")]
    return [
        Response(
            "AE",
            _report(
                query, fill, instruments,
                f"748={total}\x01912={'Y' if number == total else 'N'}\x01",
                f"20001={as_of_seq}\x01",
            ),
        )
        for number, fill in enumerate(fills, 1)
    ]  # fmt: skip


def captured(
    query: TradesQuery, fill: Fill, instruments: Mapping[str, Instrument], part: int
) -> str:
    """Write the TradeCaptureReport(AE), unsolicited, of a fill that has just happened."""
    place = cursor(fill.seq, fill.event_index, part)
    return _report(query, fill, instruments, "325=Y\x01", place)


def _report(
    query: TradesQuery,
    fill: Fill,
    instruments: Mapping[str, Instrument],
    count: str,
    place: str,
) -> str:
    texts = known_texts(fill.symbol, instruments)
    exec_id = f"{fill.seq}-{fill.event_index}"
    time = time_text(fill.time_us)
    fee = texts.money(fill.fee)
    return (
        f"571={exec_id}\x01568={clean(query.request_id)}\x01{count}880={fill.trade_id}\x0117={exec_id}\x01150=F\x01570=N\x01"
        f"55={fill.symbol}\x0132={texts.quantity[fill.qty]}\x0131={texts.price[fill.price]}\x01"
        f"75={time[:8]}\x0160={time}\x01573=0\x01851={fill.liquidity}\x01"
        f"552=1\x0154={fill.side}\x0137={fill.order_id}\x0111={fill.client_order_id}\x01"
        f"{optional('526', fill.strategy)}1={fill.account}\x0112={fee}\x0113=3\x01"
        f"479={fill.fee_asset}\x01381={texts.money(fill.cash)}\x01"
        f"136=1\x01137={fee}\x01138={fill.fee_asset}\x01139=4\x01891=0\x01"
        f"{place}"
    )
