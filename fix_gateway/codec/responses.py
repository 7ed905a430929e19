"""Responses to requests, made of rows that the engine or the history gave: pure.

These messages are not caused by an event of the engine, so they never carry the cursor
fields EventIndex(20002) and Part(20007). EngineSeq(20001) is there where the answer is true
as of a transaction: it is the ``as_of_seq`` of the REST API.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from engine.core.instruments import Instrument, format_scaled
from engine.core.types import Balance, InstrumentRow, InstrumentStatus, OrderRow, Route
from fix_gateway.codec.execution_reports import status_fields
from fix_gateway.codec.formatting import clean, known_texts, optional, sentence
from fix_gateway.codec.message import time_text
from fix_gateway.codec.reject_codes import TRADE_REQUEST_OTHER, TRADE_REQUEST_RESULT
from fix_gateway.codec.requests import (
    QUERY_MSG_TYPES,
    BalancesQuery,
    InvalidRequest,
    MassStatusQuery,
    OrderStatusQuery,
    Query,
    ReplayQuery,
    SecurityListQuery,
    TradesQuery,
)
from fix_gateway.codec.third_party import order_header, reversed_header

NO_SYMBOL: Final = "[N/A]"
"""FIX's value for a required Symbol(55) where there is none."""
SECURITIES_MAX: Final = 200
"""Instruments in one SecurityList(y); more come in further messages of the same list."""


class Response(NamedTuple):
    """A message: its type, and every field after the header, each ended by SOH.

    ``header`` are fields of the header in the same form.
    """

    msg_type: str
    body: str
    header: str = ""


def addressed(response: Response, route: Route | None) -> Response:
    """Return the answer to a request, with the request's route reversed in its header."""
    return response if route is None else response._replace(header=reversed_header(route))


class SharedBody:
    """What messages to several receivers have in common: all but a first field of each.

    ``made`` is QuickFIX's message, which whoever sends it first makes for all, and ``value`` what
    its first field has now.
    """

    __slots__ = ("made", "text", "value")

    def __init__(self, text: str) -> None:
        self.text = text
        self.made: Any = None
        self.value = ""


class SharedResponse(NamedTuple):
    """A message whose first field, tag and value, is the receiver's own; as is its ``header``."""

    msg_type: str
    tag: int
    value: str
    shared: SharedBody
    header: str = ""

    @property
    def body(self) -> str:
        """As in ``Response``."""
        return f"{self.tag}={self.value}\x01{self.shared.text}"


def business_reject(num: int, msg_type: str, ref_id: str, reason: str, text: str) -> Response:
    """Make the BusinessMessageReject(j) of the client's message ``num``; ``reason`` is 380."""
    return Response(
        "j",
        f"45={num}\x01372={clean(msg_type)}\x01{optional('379', ref_id)}380={reason}\x01"
        f"58={sentence(text)}\x01",
    )


def market_data_reject(request_id: str, reason: str, text: str) -> Response:
    """Make the MarketDataRequestReject(Y) of a request; ``reason`` is 281, "" for none."""
    return Response(
        "Y", f"262={clean(request_id)}\x01{optional('281', reason)}58={sentence(text)}\x01"
    )


def reject_query(query: Query, reason: str, text: str) -> Response:
    """Make the BusinessMessageReject(j), for AD the AQ, of what cannot be answered now."""
    if isinstance(query, InvalidRequest):
        return answer_invalid_request(query)
    if isinstance(query, TradesQuery):
        return trades_ack(query, TRADE_REQUEST_OTHER, "2", text)
    return business_reject(query.num, QUERY_MSG_TYPES[type(query)], query.request_id, reason, text)


def answer_invalid_request(query: InvalidRequest) -> Response:
    """Make the BusinessMessageReject(j), for AD the AQ, for V the Y, of what could not be read."""
    if query.msg_type == "AD":
        result = TRADE_REQUEST_RESULT.get(query.code, TRADE_REQUEST_OTHER)
        return trades_ack(query, result, "2", query.text)
    if query.msg_type == "V":
        return market_data_reject(query.request_id, query.reason, query.text)
    return business_reject(query.num, query.msg_type, query.request_id, query.reason, query.text)


def trades_ack(
    query: TradesQuery | InvalidRequest, result: str, status: str, text: str
) -> Response:
    """Make a TradeCaptureReportRequestAck(AQ): ``result`` is 749, ``status`` 750."""
    symbol = query.symbol if isinstance(query, TradesQuery) else ""
    return Response(
        "AQ",
        f"568={clean(query.request_id)}\x01748=0\x01569={query.request_type}\x01749={result}\x01"
        f"750={status}\x01{optional('55', symbol)}58={sentence(text)}\x01",
    )


def _status(row: OrderRow, instruments: Mapping[str, Instrument]) -> str:
    texts = known_texts(row.order.symbol, instruments)
    return status_fields(row.order, texts, row.status, row.leaves, row.cum, row.notional)


def _no_order(symbol: str, side: str, text: str) -> str:
    """Write the ExecutionReport that says there is no such order (row G.1.a)."""
    return (
        f"37=NONE\x0117=0\x01150=I\x0139=8\x01103=5\x0155={clean(symbol) or NO_SYMBOL}\x01"
        f"54={side or '7'}\x01151=0\x0114=0\x016=0\x0158={sentence(text)}\x01"
    )


def answer_order_status(
    query: OrderStatusQuery,
    row: OrderRow | None,
    instruments: Mapping[str, Instrument],
    as_of_seq: int,
    now_us: int,
) -> Response:
    """Answer an OrderStatusRequest(H) with an ExecutionReport.

    ``row`` None, or of another symbol or side than asked for, is an unknown order.
    """
    tail = f"{optional('790', query.request_id)}60={time_text(now_us)}\x0120001={as_of_seq}\x01"
    if row is not None:
        same_symbol = not query.symbol or query.symbol == row.order.symbol
        if same_symbol and (not query.side or query.side == str(int(row.order.side))):
            return Response("8", _status(row, instruments) + tail)
    ids = optional("11", query.client_order_id)
    text = "No order of yours has this ClOrdID(11) or OrderID(37) with this Symbol and Side"
    return Response("8", ids + _no_order(query.symbol, query.side, text) + tail)


def answer_mass_status(
    query: MassStatusQuery,
    rows: Sequence[OrderRow],
    instruments: Mapping[str, Instrument],
    as_of_seq: int,
    now_us: int,
) -> list[Response]:
    """Answer an OrderMassStatusRequest(AF): an ExecutionReport per open order, the last marked."""
    tail = f"60={time_text(now_us)}\x0120001={as_of_seq}\x01"
    request_id = clean(query.request_id)
    if not rows:
        side = "" if query.side is None else str(int(query.side))
        none = _no_order(query.symbol, side, "No open order matches")
        return [Response("8", f"{none}584={request_id}\x01911=0\x01912=Y\x01{tail}")]
    total = len(rows)
    return [
        Response(
            "8",
            f"{_status(row, instruments)}584={request_id}\x01911={total}\x01"
            f"912={'Y' if number == total else 'N'}\x01{tail}",
        )
        for number, row in enumerate(rows, 1)
    ]


def open_order_snapshot(
    rows: Sequence[OrderRow],
    instruments: Mapping[str, Instrument],
    as_of_seq: int,
    now_us: int,
    source: str,
) -> list[Response]:
    """Make what follows a Logon with OpenOrderSnapshot(20006)=Y: the open orders, then News(B).

    Each report has its order's route, as the session of this ``source`` is told it.
    """
    end = news(
        "Open order snapshot complete",
        (f"{len(rows)} open orders as of engine sequence {as_of_seq}",),
        now_us,
        f"20001={as_of_seq}\x0120018={len(rows)}\x01",
    )
    if not rows:
        return [end]
    query = MassStatusQuery(0, f"snapshot-{as_of_seq}", "", "", None, "")
    reports = answer_mass_status(query, rows, instruments, as_of_seq, now_us)
    return [
        *[
            report._replace(header=order_header(row.order, source))
            for report, row in zip(reports, rows, strict=True)
        ],
        end,
    ]


def news(headline: str, lines: Iterable[str], now_us: int, more: str = "") -> Response:
    """Make a News(B): a headline and its lines; ``more`` is appended fields."""
    texts = [sentence(line) for line in lines] or [sentence(headline)]
    group = "".join([f"58={text}\x01" for text in texts])
    return Response(
        "B",
        f"42={time_text(now_us)}\x01148={sentence(headline)}\x0133={len(texts)}\x01{group}{more}",
    )


def answer_security_list(
    query: SecurityListQuery,
    instruments: Mapping[str, Instrument],
    states: Mapping[str, InstrumentRow],
    as_of_seq: int,
    attributes: bool = False,
) -> list[Response]:
    """Answer with SecurityList(y): grid and bounds of one instrument or of all, in parts.

    With ``attributes`` what FIX 4.4 has no field for stands in its group NoInstrAttrib(870), so
    that a client without our dictionary accepts the message.
    """
    request = f"320={clean(query.request_id)}\x01"
    chosen = sorted(instruments) if not query.symbol else [query.symbol]
    chosen = [symbol for symbol in chosen if symbol in instruments]
    if not chosen:
        return [Response("y", f"{request}322=1\x01560=2\x0120001={as_of_seq}\x01")]
    answers = []
    for start in range(0, len(chosen), SECURITIES_MAX):
        part = chosen[start : start + SECURITIES_MAX]
        last = "Y" if start + len(part) == len(chosen) else "N"
        write = _security_of_44 if attributes else _security
        rows = "".join([write(instruments[symbol], states.get(symbol)) for symbol in part])
        answers.append(
            Response(
                "y",
                f"{request}322={start // SECURITIES_MAX + 1}\x01560=0\x01393={len(chosen)}\x01"
                f"893={last}\x01146={len(part)}\x01{rows}20001={as_of_seq}\x01",
            )
        )
    return answers


def _security(i: Instrument, state: InstrumentRow | None) -> str:
    """Write a row with the fields of later versions of FIX, and one of ours."""
    return f"55={i.symbol}\x01{_lots(i)}{_grid(i, state)}"


def _security_of_44(i: Instrument, state: InstrumentRow | None) -> str:
    """Write a row of FIX 4.4 alone: each further field is an attribute, as text ``tag=value``."""
    fields = _grid(i, state).split("\x01")[:-1]
    attributes = "".join([f"871=99\x01872={field}\x01" for field in fields])
    return f"55={i.symbol}\x01870={len(fields)}\x01{attributes}{_lots(i)}"


def _lots(i: Instrument) -> str:
    return (
        f"15={i.quote}\x01561={i.quantity_text(1)}\x01562={i.quantity_text(i.min_qty)}\x01"
    )


def _grid(i: Instrument, state: InstrumentRow | None) -> str:
    """Write status, tick and bounds; the highest price is the end of a price band (rules P)."""
    trading = {InstrumentStatus.OPEN: "326=17\x01", InstrumentStatus.HALTED: "326=2\x01"}
    highest, band = i.max_price, ""
    if state is not None and state.band_high:
        highest = min(highest, state.band_high)
        band = f"1148={i.price_text(state.band_low)}\x011150={i.price_text(state.reference)}\x01"
    return (
        f"{trading[state.status] if state is not None else ''}"
        f"969={i.price_text(1)}\x011140={i.quantity_text(i.max_qty)}\x01"
        f"1149={i.price_text(highest)}\x01{band}20021={i.base}\x01"
    )


def answer_balances(
    query: BalancesQuery,
    balances: Sequence[Balance],
    scales: Mapping[str, int],
    as_of_seq: int,
    now_us: int,
) -> list[Response]:
    """Answer with a CollateralReport(BA) per account and asset: 900, 901 and 899.

    TotalNetValue(900) is what is posted, CashOutstanding(901) held, MarginExcess(899) available.

    ``scales`` are the decimal places of the assets. Nothing to show is answered with
    CollateralInquiryAck(BG).
    """
    rows = [row for row in balances if query.asset in ("", row.asset)]
    inquiry = f"909={clean(query.request_id)}\x01"
    if not rows:
        return [Response("BG", f"{inquiry}945=2\x01911=0\x0158=No balance matches\x01")]
    answers = []
    for number, row in enumerate(rows, 1):
        scale = scales[row.asset]
        answers.append(
            Response(
                "BA",
                f"908={as_of_seq}-{number}\x01{inquiry}910=3\x01911={len(rows)}\x01"
                f"912={'Y' if number == len(rows) else 'N'}\x011={row.account}\x01"
                f"15={row.asset}\x01900={format_scaled(row.posted, scale)}\x01"
                f"901={format_scaled(row.held, scale)}\x01"
                f"899={format_scaled(row.available, scale)}\x01"
                f"60={time_text(now_us)}\x0120001={as_of_seq}\x01",
            )
        )
    return answers


def replay_end(
    query: ReplayQuery, count: int, last_exec_id: str, as_of_seq: int, complete: bool = True
) -> Response:
    """Make a ReplayEnd(UE): so many reports came, the last with this ExecID ("" if none).

    ``complete`` False says that there is more: the client asks again after that ExecID.
    """
    return Response(
        "UE",
        f"20017={clean(query.request_id)}\x0120018={count}\x0120019={0 if complete else 2}\x01"
        f"{optional('17', last_exec_id)}20001={as_of_seq}\x01",
    )


def replay_refused(query: ReplayQuery, text: str, as_of_seq: int) -> Response:
    """Make the ReplayEnd(UE) of a replay that cannot be done, for instance from too far back."""
    return Response(
        "UE",
        f"20017={clean(query.request_id)}\x0120018=0\x0120019=1\x0158={sentence(text)}\x01"
        f"20001={as_of_seq}\x01",
    )
