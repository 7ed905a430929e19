"""Requests of FIX messages that only read: they change nothing and leave no record in the engine.

``num`` is the message's MsgSeqNum and ``route`` its route, by which the answer goes back;
``account`` "" means all accounts of the firm.
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

from engine.core.types import Route, Side


class NotAvailable(Exception):
    """What the answer is made of cannot be read now; the message is for the client."""


class OrderStatusQuery(NamedTuple):
    """OrderStatusRequest(H): one order by client order id or order id (0: not given)."""

    num: int
    account: str
    client_order_id: str
    order_id: int
    request_id: str
    symbol: str
    side: str
    route: Route | None = None


class MassStatusQuery(NamedTuple):
    """OrderMassStatusRequest(AF): open orders that match the filters ("" and None: all)."""

    num: int
    request_id: str
    account: str
    symbol: str
    side: Side | None
    strategy: str
    route: Route | None = None


class SecurityListQuery(NamedTuple):
    """SecurityListRequest(x): one symbol, or "" for all."""

    num: int
    request_id: str
    symbol: str
    route: Route | None = None


class TradesQuery(NamedTuple):
    """TradeCaptureReportRequest(AD): fills that match; times in µs, 0 for no bound.

    The period is ``from_us`` up to, not including, ``until_us``. ``subscription`` is
    SubscriptionRequestType(263): 0 what there is, 1 and what comes, 2 no more of it.
    """

    num: int
    request_id: str
    request_type: str
    account: str
    symbol: str
    side: Side | None
    strategy: str
    order_id: int
    client_order_id: str
    trade_id: int
    from_us: int
    until_us: int
    subscription: str = "0"
    route: Route | None = None


class BalancesQuery(NamedTuple):
    """CollateralInquiry(BB): balances of an account or of all, of one asset or of all."""

    num: int
    request_id: str
    account: str
    asset: str
    route: Route | None = None


class ReplayQuery(NamedTuple):
    """ReplayRequest(UD): every report after ``after_seq``/``after_index``, (0, -1) for all.

    ``exec_id`` is what was named, "" for nothing; where it is no ExecID at all the place is
    (-1, -1), which no report has.
    """

    num: int
    request_id: str
    after_seq: int
    after_index: int
    exec_id: str = ""
    route: Route | None = None


class MarketRequest(NamedTuple):
    """A request for market data (V, e, g) of a session that may have it, not read any further.

    Its terms depend on the instruments that there are, which the service knows that answers it.
    """

    num: int
    msg_type: str


class InvalidRequest(NamedTuple):
    """A request that cannot be answered; a BusinessMessageReject(j) says why, for AD AQ, for V Y.

    ``code`` is the reason as RejectCode(20016) names it.
    """

    num: int
    msg_type: str
    request_id: str
    reason: str
    text: str
    code: str = ""
    request_type: str = "0"
    route: Route | None = None


Query: TypeAlias = (
    OrderStatusQuery
    | MassStatusQuery
    | SecurityListQuery
    | TradesQuery
    | BalancesQuery
    | ReplayQuery
    | InvalidRequest
)

QUERY_MSG_TYPES: Final[dict[type[Query], str]] = {
    OrderStatusQuery: "H",
    MassStatusQuery: "AF",
    SecurityListQuery: "x",
    TradesQuery: "AD",
    BalancesQuery: "BB",
    ReplayQuery: "UD",
}
"""The MsgType(35) of each request."""
