"""MarketDataRequest(V), SecurityStatusRequest(e) and TradingSessionStatusRequest(g) to requests.

An invalid request is answered with MarketDataRequestReject(Y) for V and with
BusinessMessageReject(j) for the others. Subscriptions are not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from typing import Final, NamedTuple

from fix_gateway.codec.fields import shown
from fix_gateway.codec.message import FixMessage
from fix_gateway.codec.third_party import read_route, reversed_header

ENTRY_TYPES: Final = {
    "0": "bid",
    "1": "offer",
    "2": "trade",
    "4": "opening price",
    "5": "closing price",
    "7": "high",
    "8": "low",
    "9": "VWAP",
    "B": "volume",
}
"""The supported values of MDEntryType(269)."""
REQUEST_IDS: Final = {"V": "262", "e": "324", "g": "335"}
"""The tag of each request's own id, by MsgType(35)."""
REQUEST_ID_MAX: Final = 64
TRADING_SESSION: Final = "DAY"
"""TradingSessionID(336): the venue never closes, and its only session is the day."""
SNAPSHOT, SUBSCRIBE, END = "0", "1", "2"

UNKNOWN_SYMBOL, DUPLICATE_ID, TOO_MUCH, NOT_PERMITTED = "0", "1", "2", "3"
BAD_SUBSCRIPTION, BAD_DEPTH, BAD_UPDATE_TYPE, BAD_AGGREGATION, BAD_ENTRY_TYPE = "45678"
"""Values of MDReqRejReason(281)."""


class Bounds(NamedTuple):
    """The bounds of one MarketDataRequest: its symbols, and its levels if not all of them."""

    symbols_max: int
    depth_max: int


class MarketDataQuery(NamedTuple):
    """MarketDataRequest(V). ``depth`` 0 is the whole book.

    ``incremental`` requests changes (MDUpdateType(265)=1), else each change is a full refresh.
    ``aggregated`` requests levels, else orders. With ``subscription`` END only the id is used.
    ``header`` are the header fields of what answers it: its third parties, reversed.
    """

    num: int
    request_id: str
    subscription: str
    depth: int = 0
    incremental: bool = False
    aggregated: bool = True
    entry_types: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    header: str = ""

    @property
    def book_types(self) -> tuple[str, ...]:
        """Return the MDEntryTypes of the book that are requested: bid, offer or both."""
        return tuple(kind for kind in self.entry_types if kind in "01")


class SecurityStatusQuery(NamedTuple):
    """SecurityStatusRequest(e) of one symbol."""

    num: int
    request_id: str
    subscription: str
    symbol: str
    header: str = ""


class TradingSessionQuery(NamedTuple):
    """TradingSessionStatusRequest(g)."""

    num: int
    request_id: str
    subscription: str
    header: str = ""


MarketQuery = MarketDataQuery | SecurityStatusQuery | TradingSessionQuery


class MarketRequestError(Exception):
    """A request that cannot be granted; ``reason`` is 281 for V (may be ""), 380 for others.

    ``header`` are the header fields of the reject.
    """

    def __init__(
        self, num: int, msg_type: str, request_id: str, reason: str, text: str, header: str = ""
    ) -> None:
        super().__init__(text)
        self.num = num
        self.msg_type = msg_type
        self.request_id = request_id
        self.reason = reason
        self.text = text
        self.header = header


def read(text: str, bounds: Bounds, symbols: Container[str]) -> MarketQuery | None:
    """Parse a message in the form of QuickFIX's ``toString``; return None for any other MsgType.

    ``symbols`` are the venue's instruments. Raises MarketRequestError.
    """
    message = FixMessage(text)
    if message.msg_type not in REQUEST_IDS:
        return None
    route, fault = read_route(message.fields)
    header = reversed_header(route)
    try:
        if fault:
            raise MarketRequestError(
                int(message.get("34")), message.msg_type,
                message.get(REQUEST_IDS[message.msg_type]),
                "" if message.msg_type == "V" else "0", fault,
            )  # fmt: skip
        if message.msg_type == "V":
            return _market_data(message, bounds, symbols)._replace(header=header)
        if message.msg_type == "e":
            return _security_status(message, symbols)._replace(header=header)
        return _trading_session(message)._replace(header=header)
    except MarketRequestError as error:
        error.header = header
        raise


def _market_data(
    message: FixMessage, bounds: Bounds, symbols: Container[str]
) -> MarketDataQuery:
    num, request_id = int(message.get("34")), message.get("262")

    def refuse(reason: str, text: str) -> MarketRequestError:
        return MarketRequestError(num, "V", request_id, reason, text)

    if not message.text.isascii():
        raise refuse("", "The message holds characters that are not ASCII")
    if len(request_id) > REQUEST_ID_MAX:
        raise refuse("", f"MDReqID(262) has more than {REQUEST_ID_MAX} characters")
    subscription = message.get("263")
    if subscription not in (SNAPSHOT, SUBSCRIBE, END):
        raise refuse(
            BAD_SUBSCRIPTION,
            f"SubscriptionRequestType(263) {shown(subscription)} is not supported; use 0 (the "
            "state now), 1 (that and its changes) or 2 (end MDReqID(262))",
        )
    if subscription == END:
        return MarketDataQuery(num, request_id, subscription)
    depth = _depth(message.get("264"), bounds.depth_max)
    if depth is None:
        raise refuse(
            BAD_DEPTH,
            f"MarketDepth(264) {shown(message.get('264'))} is not supported; use 0 (the whole "
            f"book) or 1 to {bounds.depth_max}",
        )
    update = message.get("265")
    if update not in ("0", "1") and (update or subscription == SUBSCRIBE):
        raise refuse(
            BAD_UPDATE_TYPE,
            f"MDUpdateType(265) {shown(update)} is not supported; use 0 (all at each change) or "
            "1 (changes)" if update else
            "MDUpdateType(265) is needed with SubscriptionRequestType(263)=1; use 0 (all at each "
            "change) or 1 (changes)",
        )
    aggregated = message.get("266", "Y")
    if aggregated not in ("Y", "N"):
        raise refuse(
            BAD_AGGREGATION,
            f"AggregatedBook(266) {shown(aggregated)} is not supported; use Y (levels) or N "
            "(orders)",
        )
    kinds = [row["269"] for row in message.group("267", "269", frozenset(("269",)))]
    for kind in kinds:
        if kind not in ENTRY_TYPES:
            known = ", ".join(f"{each} ({name})" for each, name in ENTRY_TYPES.items())
            text = f"MDEntryType(269) {shown(kind)} is not supported; there are {known}"
            raise refuse(BAD_ENTRY_TYPE, text)
    twice = next(_twice(kinds), None)
    if twice is not None or not kinds:
        raise refuse(
            BAD_ENTRY_TYPE,
            f"MDEntryType(269) {twice} is named twice" if twice else
            "NoMDEntryTypes(267) needs at least one MDEntryType(269)",
        )
    return MarketDataQuery(
        num, request_id, subscription, depth, update == "1", aggregated == "Y", tuple(kinds),
        _symbols(message, bounds, symbols, refuse),
    )  # fmt: skip


def _symbols(
    message: FixMessage,
    bounds: Bounds,
    symbols: Container[str],
    refuse: Callable[[str, str], MarketRequestError],
) -> tuple[str, ...]:
    """Return the requested symbols. Raises MarketRequestError if one of them is unknown."""
    named = [row["55"] for row in message.group("146", "55", frozenset(("55",)))]
    if not named:
        raise refuse(UNKNOWN_SYMBOL, "NoRelatedSym(146) needs at least one Symbol(55)")
    if len(named) > bounds.symbols_max:
        raise refuse(
            TOO_MUCH,
            f"NoRelatedSym(146) is {len(named)}; one request may name {bounds.symbols_max} symbols",
        )
    for symbol in named:
        if symbol not in symbols:
            raise refuse(
                UNKNOWN_SYMBOL,
                f"Symbol(55) {shown(symbol)} is not traded here; SecurityListRequest(x) lists "
                "what is",
            )
    twice = next(_twice(named), None)
    if twice is not None:
        raise refuse("", f"Symbol(55) {twice} is named twice")
    return tuple(named)


def _depth(text: str, depth_max: int) -> int | None:
    """Return MarketDepth(264), None if it is not supported."""
    plain = text.isascii() and text.isdigit() and len(text) < 10
    return int(text) if plain and int(text) <= depth_max else None


def _twice(values: list[str]) -> Iterator[str]:
    """Yield the values that occur more than once."""
    return (value for number, value in enumerate(values) if value in values[:number])


def _subscription(message: FixMessage, num: int, request_id: str, id_name: str) -> str:
    """Return the subscription type of e or g. Raises MarketRequestError."""
    if not message.text.isascii():
        raise MarketRequestError(
            num, message.msg_type, request_id, "0",
            "The message holds characters that are not ASCII",
        )  # fmt: skip
    if len(request_id) > REQUEST_ID_MAX:
        raise MarketRequestError(
            num, message.msg_type, request_id, "0",
            f"{id_name} has more than {REQUEST_ID_MAX} characters",
        )  # fmt: skip
    subscription = message.get("263")
    if subscription not in (SNAPSHOT, SUBSCRIBE, END):
        raise MarketRequestError(
            num, message.msg_type, request_id, "0",
            f"SubscriptionRequestType(263) {shown(subscription)} is not supported; use 0, 1 or 2",
        )  # fmt: skip
    return subscription


def _security_status(message: FixMessage, symbols: Container[str]) -> SecurityStatusQuery:
    num, request_id = int(message.get("34")), message.get("324")
    subscription = _subscription(message, num, request_id, "SecurityStatusReqID(324)")
    symbol = message.get("55")
    if symbol not in symbols and subscription != END:
        raise MarketRequestError(
            num, "e", request_id, "2",
            f"Symbol(55) {shown(symbol)} is not traded here; SecurityListRequest(x) lists what is",
        )  # fmt: skip
    return SecurityStatusQuery(num, request_id, subscription, symbol)


def _trading_session(message: FixMessage) -> TradingSessionQuery:
    num, request_id = int(message.get("34")), message.get("335")
    subscription = _subscription(message, num, request_id, "TradSesReqID(335)")
    named = message.get("336", TRADING_SESSION)
    if named != TRADING_SESSION:
        raise MarketRequestError(
            num, "g", request_id, "0",
            f"TradingSessionID(336) {shown(named)} is not one of this venue; the only one is "
            f"{TRADING_SESSION}",
        )  # fmt: skip
    return TradingSessionQuery(num, request_id, subscription)
