"""Fills of the history as TradeCaptureReports: the answer to TradeCaptureReportRequest(AD)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.core.instruments import Instrument
from engine.history.rows import Fill
from fix_gateway.answers import Answer
from fix_gateway.message import time_text
from fix_gateway.queries import TradesQuery
from fix_gateway.texts import clean, optional, sentence, texts_of


def answer_trades(
    query: TradesQuery, fills: Sequence[Fill], instruments: Mapping[str, Instrument], as_of_seq: int
) -> list[Answer]:
    """One TradeCaptureReport(AE) per fill, the last marked; AQ with 748=0 when there is none."""
    total = len(fills)
    if not total:
        return [_ack(query, "0", "1", "No trade matches")]
    return [
        Answer("AE", _report(query, fill, instruments, total, number == total, as_of_seq))
        for number, fill in enumerate(fills, 1)
    ]


def refuse_trades(query: TradesQuery, result: str, text: str) -> Answer:
    """TradeCaptureReportRequestAck(AQ) of a request that is refused; ``result`` is 749."""
    return _ack(query, result, "2", text)


def _ack(query: TradesQuery, result: str, status: str, text: str) -> Answer:
    return Answer(
        "AQ",
        f"568={clean(query.request_id)}\x01748=0\x01569={query.request_type}\x01749={result}\x01"
        f"750={status}\x01{optional('55', query.symbol)}58={sentence(text)}\x01",
    )


def _report(
    query: TradesQuery,
    fill: Fill,
    instruments: Mapping[str, Instrument],
    total: int,
    last: bool,
    as_of_seq: int,
) -> str:
    texts = texts_of(fill.symbol, instruments)
    if texts is None:
        raise LookupError(f"a fill of the unknown instrument {fill.symbol!r}")
    exec_id = f"{fill.seq}-{fill.event_index}"
    time = time_text(fill.time_us)
    fee = texts.money(fill.fee)
    return (
        f"571={exec_id}\x01568={clean(query.request_id)}\x01748={total}\x01"
        f"912={'Y' if last else 'N'}\x01880={fill.trade_id}\x0117={exec_id}\x01150=F\x01570=N\x01"
        f"55={fill.symbol}\x0132={texts.quantity[fill.qty]}\x0131={texts.price[fill.price]}\x01"
        f"75={time[:8]}\x0160={time}\x01573=0\x01851={fill.liquidity}\x01"
        f"552=1\x0154={fill.side}\x0137={fill.order_id}\x0111={fill.client_order_id}\x01"
        f"{optional('526', fill.strategy)}1={fill.account}\x0112={fee}\x0113=3\x01"
        f"479={fill.fee_asset}\x01381={texts.money(fill.cash)}\x01"
        f"136=1\x01137={fee}\x01138={fill.fee_asset}\x01139=4\x01891=0\x01"
        f"20001={as_of_seq}\x01"
    )
