"""Requests as clients send them: the types that validate them and from which OpenAPI is made.

Amounts, prices and quantities are decimal text, never JSON numbers; ids that only name a
thing are text; numbers that order things (sequences, trade ids) are integers. Unknown fields
are refused, and so is every value that its field's type does not allow.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from engine.core.types import BATCH_ENTRIES_MAX, INT64_MAX, STRATEGY_LENGTH_MAX

_DECIMAL: Final = r"^[0-9]+(\.[0-9]+)?\Z"
_CLIENT_ID: Final = r"^[!-~]{1,64}\Z"
_NAME: Final = r"^[A-Za-z0-9._:@-]{1,64}\Z"
_SYMBOL: Final = r"^[A-Za-z0-9._/-]{1,32}\Z"
_STRATEGY: Final = r"^[!-~]{1,32}\Z"
_ADDRESS: Final = r"^[!-~]{1,128}\Z"
_NOTE: Final = r"^[ -~]{0,200}\Z"
_INSTANT: Final = (
    r"^([0-9]{1,14}|[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z)\Z"
)
_CURSOR: Final = r"^[A-Za-z0-9_=-]{1,128}\Z"

FORMS: Final = {
    _DECIMAL: "must be plain decimal text such as \"0.5\": digits, at most one point, no sign, "
    "no exponent, no space",
    _CLIENT_ID: "must be 1 to 64 visible ASCII characters without spaces",
    _NAME: "must be 1 to 64 characters out of letters, digits and . _ : @ -",
    _SYMBOL: "must be a symbol such as BTC-USD",
    _STRATEGY: f"must be 1 to {STRATEGY_LENGTH_MAX} visible ASCII characters without spaces",
    _ADDRESS: "must be 1 to 128 visible ASCII characters without spaces",
    _NOTE: "must be at most 200 printable ASCII characters",
    _INSTANT: "must be an instant in UTC such as 2030-01-31T12:00:00Z, or milliseconds",
    _CURSOR: "must be a cursor as an earlier answer gave it",
}
"""What each pattern requires, in words."""

Amount = Annotated[
    str,
    Meta(pattern=_DECIMAL, max_length=40, description="Decimal text.", examples=["0.5"]),
]
OrderNumber = Annotated[
    str,
    Meta(
        description="Decimal text: digits, at most one point, no sign, no exponent. A bad value "
        "is refused for the same reason as over FIX: invalid_price, quantity_too_large …",
        extra_json_schema={"pattern": _DECIMAL.replace("\\Z", "$"), "maxLength": 40},
        examples=["0.5"],
    ),
]
"""A price or quantity of an order; a bad one is refused with the engine's reject reasons."""
ClientId = Annotated[
    str, Meta(pattern=_CLIENT_ID, description="Chosen by the client.", examples=["order-1"])
]
Name = Annotated[str, Meta(pattern=_NAME, examples=["payout-2030-01"])]
Symbol = Annotated[str, Meta(pattern=_SYMBOL, examples=["BTC-USD"])]
AssetName = Annotated[str, Meta(pattern=_SYMBOL, examples=["BTC"])]
NetworkName = Annotated[str, Meta(pattern=_SYMBOL, examples=["bitcoin"])]
AccountName = Annotated[str, Meta(pattern=_NAME, examples=["alice"])]
OrderName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=80,
        description="An order id, or `client:` and a client order id.",
        examples=["client:order-1"],
    ),
]
Strategy = Annotated[
    str, Meta(pattern=_STRATEGY, description="Tag of the model.", examples=["mm1"])
]
Address = Annotated[
    str, Meta(pattern=_ADDRESS, examples=["bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"])
]
Note = Annotated[str, Meta(pattern=_NOTE)]
InstantText = Annotated[str, Meta(pattern=_INSTANT, examples=["2030-01-31T12:00:00Z"])]
Milliseconds = Annotated[int, Meta(ge=0, le=10**14)]
Instant = InstantText | Milliseconds
"""An instant in UTC: text, or milliseconds since 1970."""
Cursor = Annotated[str, Meta(pattern=_CURSOR, description="Opaque; from `next_cursor`.")]
Limit = Annotated[int, Meta(ge=1, le=1000)]
Seq = Annotated[int, Meta(ge=0, le=INT64_MAX)]
SideText = Literal["buy", "sell"]
OrderTypeText = Literal["limit", "market", "stop", "stop_limit"]
TifText = Literal["gtc", "ioc", "fok", "gtd", "day"]
StpText = Literal["none", "cancel_newest", "cancel_oldest", "cancel_both", "decrement"]


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of everything that a client sends."""


class ForAccount(Request, frozen=True, kw_only=True):
    """Base of requests that act: a key of a firm's main account may name another of the firm."""

    account: AccountName | None = None


class NewOrderRequest(ForAccount, frozen=True, kw_only=True):
    """An order to create.

    `time_in_force` defaults to gtc for orders with a price and to ioc for market orders.
    `expires_at` is the request's deadline: after it the order is refused with 408.
    """

    client_order_id: ClientId
    symbol: Symbol
    side: SideText
    type: OrderTypeText = "limit"
    quantity: OrderNumber | None = None
    cash_quantity: OrderNumber | None = None
    price: OrderNumber | None = None
    stop_price: OrderNumber | None = None
    min_quantity: OrderNumber | None = None
    display_quantity: OrderNumber | None = None
    time_in_force: TifText | None = None
    expire_at: Instant | None = None
    post_only: bool = False
    self_trade_prevention: StpText | None = None
    strategy: Strategy | None = None
    manual: bool = False
    expires_at: Instant | None = None


class ReplaceOrderRequest(ForAccount, frozen=True, kw_only=True):
    """Changes to an open order; what is absent stays. `quantity` includes what is executed.

    `client_order_id` gives the order a new client id; the old ones still find it. With a
    `request_id` an identical repeat is answered with the original response.
    """

    request_id: Name | None = None
    client_order_id: ClientId | None = None
    quantity: OrderNumber | None = None
    price: OrderNumber | None = None
    stop_price: OrderNumber | None = None
    display_quantity: OrderNumber | None = None
    time_in_force: TifText | None = None
    expire_at: Instant | None = None
    expires_at: Instant | None = None


class BatchCreate(NewOrderRequest, tag_field="op", tag="create", frozen=True, kw_only=True):
    """A create inside a batch; the account is that of the batch."""

    account: None = None
    expires_at: None = None


class BatchReplace(ReplaceOrderRequest, tag_field="op", tag="replace", frozen=True, kw_only=True):
    """A replace inside a batch; the order is named by `order`: its id or `client:<id>`."""

    order: OrderName
    account: None = None
    request_id: None = None
    expires_at: None = None


class BatchCancel(Request, tag_field="op", tag="cancel", frozen=True, kw_only=True):
    """A cancel inside a batch; the order is named by `order`: its id or `client:<id>`."""

    order: OrderName


BatchOperation = BatchCreate | BatchReplace | BatchCancel


class BatchRequest(ForAccount, frozen=True, kw_only=True):
    """Up to 50 operations over any symbols, done in order in one turn of the engine."""

    operations: Annotated[
        list[BatchOperation], Meta(min_length=1, max_length=BATCH_ENTRIES_MAX)
    ]
    mode: Literal["independent", "validate_all"] = "independent"
    batch_id: Name | None = None
    expires_at: Instant | None = None


class DeadMansSwitchRequest(ForAccount, frozen=True, kw_only=True):
    """Cancel all orders (of one strategy, if given) unless this comes again in time."""

    timeout_s: Annotated[
        int,
        Meta(
            ge=0,
            le=300,
            description="0 switches it off, else 3–300.",
            extra_json_schema={"not": {"enum": [1, 2]}},
        ),
    ]
    strategy: Strategy | None = None


class WithdrawalRequest(ForAccount, frozen=True, kw_only=True):
    """A withdrawal; `amount` is what arrives, and the network's fee is held in addition.

    `network` may be left out if the asset has only one. `client_withdrawal_id` is remembered
    permanently: an identical repeat returns the original.
    """

    client_withdrawal_id: Name
    asset: AssetName
    address: Address
    amount: Amount
    network: NetworkName | None = None
    memo: Address | None = None
    quote_id: Name | None = None
    expires_at: Instant | None = None


class QuoteRequest(ForAccount, frozen=True, kw_only=True):
    """Ask for a withdrawal's fee, fixed for a while; the quote is valid for one withdrawal."""

    asset: AssetName
    amount: Amount
    network: NetworkName | None = None


class AddressRequest(ForAccount, frozen=True, kw_only=True):
    """An address for the account's book; usable once its cool-off has passed."""

    asset: AssetName
    address: Address
    network: NetworkName | None = None
    memo: Address | None = None
    label: Note = ""


class DepositAddressRequest(ForAccount, frozen=True, kw_only=True):
    """Ask for the account's deposit address; it is always the same one."""

    asset: AssetName
    network: NetworkName | None = None


class TransferRequest(ForAccount, frozen=True, kw_only=True):
    """Move available money to another account of the firm; the id is remembered permanently."""

    client_transfer_id: Name
    to_account: AccountName
    asset: AssetName
    amount: Amount


class RejectWithdrawalRequest(ForAccount, frozen=True, kw_only=True):
    """Why a withdrawal is refused."""

    note: Note = ""


class DepositRequest(Request, frozen=True, kw_only=True):
    """A deposit that an operator reports; credited once, when it has its confirmations.

    Its `network` determines how many it needs, so `confirmations_required` may be left out;
    without a network the first report determines it.
    """

    deposit_id: Name
    account: AccountName
    asset: AssetName
    amount: Amount
    network: NetworkName | None = None
    address: Address | None = None
    txid: Name | None = None
    confirmations: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    confirmations_required: Annotated[int, Meta(ge=0, le=1_000_000)] = 0


class InstrumentStatusRequest(Request, frozen=True, kw_only=True):
    """Halt an instrument or let it trade again."""

    status: Literal["open", "halted"]
    note: Note = ""


class ReferencePriceRequest(Request, frozen=True, kw_only=True):
    """Center an instrument's price band on a price until its next trade."""

    price: OrderNumber
    note: Note = ""


class AccountStatusRequest(Request, frozen=True, kw_only=True):
    """Suspend an account, or let it act again. `note` says why; its owner sees it too.

    A suspension cancels the account's open orders, and the withdrawals that were not yet sent to
    the network, unless `keep_open` is true.
    """

    status: Literal["active", "suspended"]
    note: Note = ""
    keep_open: bool = False


class NoQuery(Request, frozen=True, kw_only=True):
    """A request without query parameters."""


class AccountQuery(Request, frozen=True, kw_only=True):
    """The account to read: the key's own, unless it may name another."""

    account: AccountName | None = None
    min_seq: Seq = 0


class BalancesQuery(AccountQuery, frozen=True, kw_only=True):
    """Filter of GET /v1/balances."""

    asset: AssetName | None = None


class DepthQuery(Request, frozen=True, kw_only=True):
    """How many levels of each side."""

    depth: Annotated[int, Meta(ge=1, le=1000)] = 50


class TradesQuery(Request, frozen=True, kw_only=True):
    """Public trades of one instrument, ascending after `after_trade_id`."""

    symbol: Symbol
    after_trade_id: Seq | None = None
    limit: Limit = 100


class CandlesQuery(Request, frozen=True, kw_only=True):
    """Candles of one instrument; `start` inclusive, `end` exclusive."""

    symbol: Symbol
    interval: Literal["1m", "5m", "15m", "1h", "4h", "1d"] = "1m"
    start: Instant | None = None
    end: Instant | None = None
    limit: Limit = 100


class OrdersQuery(AccountQuery, frozen=True, kw_only=True):
    """Filter of GET /v1/orders. A cursor is good for the `sort` that gave it."""

    status: Literal["open", "closed", "all"] = "open"
    sort: Literal["oldest", "newest"] = "oldest"
    symbol: Symbol | None = None
    side: SideText | None = None
    strategy: Strategy | None = None
    client_order_id: ClientId | None = None
    cursor: Cursor | None = None
    limit: Limit = 100


class FixMessagesQuery(Request, frozen=True, kw_only=True):
    """Which messages of a FIX session; `start` inclusive, `end` exclusive. `type` is a MsgType(35)
    or its name; `client_order_id` is compared with ClOrdID, OrigClOrdID, OrderID and the ids of
    lists and requests; `text` may stand anywhere in the message; `after` is the `cursor` of an
    earlier response."""

    type: Annotated[str, Meta(pattern=r"^[A-Za-z0-9]{1,40}\Z", examples=["D"])] | None = None
    direction: Literal["in", "out"] | None = None
    client_order_id: ClientId | None = None
    text: Annotated[str, Meta(max_length=100)] | None = None
    start: Instant | None = None
    end: Instant | None = None
    after: Annotated[str, Meta(pattern=r"^[0-9]{1,18}\.[0-9]{1,18}\.[0-9]{1,18}\Z")] | None = None
    limit: Annotated[int, Meta(ge=1, le=500)] = 100


class ActingQuery(ForAccount, frozen=True, kw_only=True):
    """The account to act for, in a request without a body."""


class CancelAllQuery(ActingQuery, frozen=True, kw_only=True):
    """Which open orders to cancel; without a filter all of the account."""

    symbol: Symbol | None = None
    side: SideText | None = None
    strategy: Strategy | None = None


class FillsQuery(AccountQuery, frozen=True, kw_only=True):
    """Filter of GET /v1/fills, ascending; `after_trade_id` is exclusive."""

    symbol: Symbol | None = None
    strategy: Strategy | None = None
    client_order_id: ClientId | None = None
    order_id: Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,17}\Z")] | None = None
    after_trade_id: Seq | None = None
    cursor: Cursor | None = None
    limit: Limit = 100


class PageQuery(AccountQuery, frozen=True, kw_only=True):
    """A page of rows, ascending."""

    cursor: Cursor | None = None
    limit: Limit = 100


class LedgerQuery(PageQuery, frozen=True, kw_only=True):
    """Filter of GET /v1/ledger."""

    asset: AssetName | None = None


class WithdrawalsQuery(PageQuery, frozen=True, kw_only=True):
    """Filter of GET /v1/withdrawals."""

    status: Literal["open", "closed", "all"] = "all"
