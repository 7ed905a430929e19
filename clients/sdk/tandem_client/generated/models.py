# Made by `python -m tools.client_code` from spec/openapi.yaml and spec/asyncapi.yaml.
"""What the venue responds: amounts are Decimal, times are datetime in UTC."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from tandem_client.document import Document
from tandem_client.values import Side


class AccountStatusView(Document, frozen=True, kw_only=True):
    """An account after it was suspended or reactivated, and how much that canceled."""

    account: str
    status: str
    canceled_orders: int
    canceled_withdrawals: int
    as_of_seq: int
    replayed: bool = False
    """The request had been executed before; this is its result."""


class AccountsView(Document, frozen=True, kw_only=True):
    """The accounts that the key may name, by name."""

    accounts: list[AccountView]
    as_of_seq: int


class AccountView(Document, frozen=True, kw_only=True):
    """An account. The one that has its firm's name speaks for the firm; others are
    sub-accounts.

    `status` is active or suspended.
    """

    account: str
    firm: str
    status: str
    open_orders: int


class AddressAnswer(Document, frozen=True, kw_only=True):
    """An entry of the address book as of a sequence; `removed` is true once it is removed."""

    address_id: str
    account: str
    asset: str
    network: str
    address: str
    memo: str | None = None
    label: str
    created_at: datetime
    available_at: datetime
    available: bool
    removed: bool = False
    as_of_seq: int
    replayed: bool = False
    """The request had been executed before; this is its result."""


class AddressesView(Document, frozen=True, kw_only=True):
    """The address book of an account, and whether withdrawals are limited to it."""

    account: str
    required: bool
    cool_off_s: int
    addresses: list[AddressView]
    as_of_seq: int


class AddressView(Document, frozen=True, kw_only=True):
    """An entry of the address book; withdrawals may use it from `available_at` on."""

    address_id: str
    account: str
    asset: str
    network: str
    address: str
    memo: str | None = None
    label: str
    created_at: datetime
    available_at: datetime
    available: bool


class AssetsView(Document, frozen=True, kw_only=True):
    """Every asset."""

    assets: list[AssetView]
    as_of_seq: int


class AssetView(Document, frozen=True, kw_only=True):
    """An asset; amounts have at most `decimals` places."""

    asset: str
    decimals: int


class BalancesView(Document, frozen=True, kw_only=True):
    """Money of an account."""

    account: str
    balances: list[BalanceView]
    as_of_seq: int


class BalanceView(Document, frozen=True, kw_only=True):
    """Money in one asset: posted = available + held; `pending` are uncredited deposits."""

    asset: str
    posted: Decimal
    held: Decimal
    available: Decimal
    pending: Decimal


class BatchView(Document, frozen=True, kw_only=True):
    """One result for each operation, in their order."""

    batch_id: str
    mode: str
    accepted: int
    refused: int
    results: list[BatchResult]
    as_of_seq: int
    replayed: bool = False
    """The request had been executed before; this is its result."""


class BatchResult(Document, frozen=True, kw_only=True):
    """The result of one operation; exactly one of `order` and `error` is set."""

    index: int
    op: str
    client_order_id: str | None = None
    accepted: bool
    replayed: bool = False
    order: OrderAnswer | None = None
    error: BatchError | None = None


class OrderAnswer(Document, frozen=True, kw_only=True):
    """An order with what this request did to it.

    `fills` are the executions of this request; `priority_kept` is set after a replace.
    """

    order_id: str
    client_order_id: str
    first_client_order_id: str
    account: str
    symbol: str
    side: Side
    type: str
    time_in_force: str
    quantity: Decimal
    cash_quantity: Decimal | None = None
    price: Decimal | None = None
    stop_price: Decimal | None = None
    min_quantity: Decimal | None = None
    display_quantity: Decimal | None = None
    expire_at: datetime | None = None
    post_only: bool
    self_trade_prevention: str
    strategy: str | None = None
    manual: bool
    entered_by: str
    third_party: ThirdPartyView | None = None
    status: str
    filled_quantity: Decimal
    leaves_quantity: Decimal
    average_price: Decimal | None = None
    fees: Decimal
    fee_asset: str
    held: Decimal
    held_asset: str
    triggered: bool
    cancel_reason: str | None = None
    created_at: datetime
    updated_at: datetime
    fills: list[FillView] = []
    priority_kept: bool | None = None
    as_of_seq: int
    replayed: bool = False
    """The request had been executed before; this is its result."""


class ThirdPartyView(Document, frozen=True, kw_only=True):
    """Third parties of an order entered over FIX, as the header of its message had them.

    OnBehalfOfCompID(115), OnBehalfOfSubID(116), DeliverToCompID(128), DeliverToSubID(129).
    """

    on_behalf_of_comp_id: str | None = None
    on_behalf_of_sub_id: str | None = None
    deliver_to_comp_id: str | None = None
    deliver_to_sub_id: str | None = None


class FillView(Document, frozen=True, kw_only=True):
    """One execution of one order, with the ids that the client gave."""

    trade_id: int
    order_id: str
    client_order_id: str
    first_client_order_id: str
    strategy: str | None = None
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    notional: Decimal
    fee: Decimal
    fee_asset: str
    liquidity: str
    time: datetime
    seq: int


class BatchError(Document, frozen=True, kw_only=True):
    """Why an operation of a batch was refused."""

    code: str
    detail: str
    status: int
    retryable: bool
    field: str | None = None


class BookView(Document, frozen=True, kw_only=True):
    """Depth of one instrument, best prices first."""

    symbol: str
    status: str
    bids: list[LevelView]
    asks: list[LevelView]
    last_price: Decimal | None = None
    as_of_seq: int


class LevelView(Document, frozen=True, kw_only=True):
    """One price level."""

    price: Decimal
    quantity: Decimal
    orders: int


class CancelAllView(Document, frozen=True, kw_only=True):
    """What a cancel-all did.

    ``canceled`` names at most 1,000 orders, ``total`` counts all. ``complete`` is false if
    there were more than one command may cancel: none of the orders can trade any more, and
    the rest is canceled in the moments that follow; the ``orders`` channel shows when.
    """

    canceled: list[CanceledView]
    total: int
    complete: bool
    as_of_seq: int
    replayed: bool = False
    """The request had been executed before; this is its result."""


class CanceledView(Document, frozen=True, kw_only=True):
    """One order that a cancel-all canceled."""

    order_id: str
    client_order_id: str


class CandlesView(Document, frozen=True, kw_only=True):
    """Candles, ascending."""

    symbol: str
    interval: str
    candles: list[CandleView]
    as_of_seq: int


class CandleView(Document, frozen=True, kw_only=True):
    """Trades of one interval; an interval without a trade has no candle."""

    start: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal
    trades: int


class DeadMansSwitchView(Document, frozen=True, kw_only=True):
    """When the switch fires; null if it is off."""

    strategy: str | None = None
    fires_at: datetime | None = None
    as_of_seq: int
    replayed: bool = False
    """The request had been executed before; this is its result."""


class DeletedWebhookView(Document, frozen=True, kw_only=True):
    """An endpoint that was deleted."""

    webhook_id: str
    deleted: bool
    replayed: bool = False
    """The request had been executed before; this is its result."""


class DeliveriesView(Document, frozen=True, kw_only=True):
    """Attempts of an endpoint, newest first; the last 1,000 are kept."""

    webhook_id: str
    deliveries: list[DeliveryView]
    next_cursor: str | None = None


class DeliveryView(Document, frozen=True, kw_only=True):
    """One attempt. `kind` is event, resend or ping. Without an answer `http_status` is null;
    `answer` holds its first 256 bytes.
    """

    event_id: str
    type: str
    kind: str
    attempted_at: datetime
    delivered: bool
    http_status: int | None = None
    latency_ms: int
    error: str | None = None
    answer: str | None = None


class DepositAddressAnswer(Document, frozen=True, kw_only=True):
    """An address for deposits as of a sequence."""

    asset: str
    network: str
    address: str
    memo: str | None = None
    confirmations_required: int
    created_at: datetime
    as_of_seq: int
    replayed: bool = False
    """The request had been executed before; this is its result."""


class DepositAddressesView(Document, frozen=True, kw_only=True):
    """Every address for deposits that the account has."""

    account: str
    deposit_addresses: list[DepositAddressView]
    as_of_seq: int


class DepositAddressView(Document, frozen=True, kw_only=True):
    """Where to send deposits of an asset on a network, and when they are credited."""

    asset: str
    network: str
    address: str
    memo: str | None = None
    confirmations_required: int
    created_at: datetime


class DepositAnswer(Document, frozen=True, kw_only=True):
    """A deposit as of a sequence."""

    deposit_id: str
    account: str
    asset: str
    network: str | None = None
    address: str | None = None
    txid: str | None = None
    amount: Decimal
    confirmations: int
    confirmations_required: int
    credited: bool
    created_at: datetime
    updated_at: datetime
    as_of_seq: int
    replayed: bool = False
    """The request had been executed before; this is its result."""


class DepositsView(Document, frozen=True, kw_only=True):
    """Deposits, in the order in which they were first seen."""

    account: str
    deposits: list[DepositView]
    next_cursor: str | None = None
    as_of_seq: int


class DepositView(Document, frozen=True, kw_only=True):
    """A deposit: credited once, when confirmations reach what is required."""

    deposit_id: str
    account: str
    asset: str
    network: str | None = None
    address: str | None = None
    txid: str | None = None
    amount: Decimal
    confirmations: int
    confirmations_required: int
    credited: bool
    created_at: datetime
    updated_at: datetime


class FeesView(Document, frozen=True, kw_only=True):
    """Fees of an account, as a fraction of the notional, in the quote asset."""

    account: str
    maker: Decimal
    taker: Decimal
    withdrawal: list[NetworkView]
    as_of_seq: int


class NetworkView(Document, frozen=True, kw_only=True):
    """A network of an asset, its fees and limits, and the form of its addresses."""

    asset: str
    network: str
    withdrawal_fee: Decimal
    withdrawal_min: Decimal
    withdrawal_step: Decimal
    confirmations_required: int
    memo_required: bool
    suspended: bool
    address_format: str
    address_pattern: str


class FillsView(Document, frozen=True, kw_only=True):
    """Fills, ascending by trade id."""

    account: str
    fills: list[FillView]
    next_cursor: str | None = None
    as_of_seq: int


class FixMessagesView(Document, frozen=True, kw_only=True):
    """Messages of a session by time; `after` with this `cursor` continues behind the newest."""

    session: str
    messages: list[FixMessageView]
    cursor: str


class FixMessageView(Document, frozen=True, kw_only=True):
    """A message. `direction` is `in` for one of the client and `out` for one of the venue.

    `time` is that of arrival, or SendingTime(52) of what the venue sent. `raw` has `|` for
    SOH; passwords and signatures are `***` there and in `fields`.
    """

    direction: str
    number: int
    time: datetime | None = None
    type: str
    name: str
    raw: str
    fields: list[FixFieldView]


class FixFieldView(Document, frozen=True, kw_only=True):
    """A field: its tag, its name, its value, and what the value means where FIX has a list."""

    tag: int
    name: str
    value: str
    meaning: str | None = None


class HealthView(Document, frozen=True, kw_only=True):
    """Whether the process is alive."""

    status: str
    detail: str | None = None


class HoldsView(Document, frozen=True, kw_only=True):
    """Every open hold of an account."""

    account: str
    holds: list[HoldView]
    as_of_seq: int


class HoldView(Document, frozen=True, kw_only=True):
    """Money held for an open order or withdrawal."""

    hold_id: str
    asset: str
    amount: Decimal
    order_id: str | None = None
    withdrawal_id: str | None = None


class InstrumentStatusView(Document, frozen=True, kw_only=True):
    """An instrument after a halt or resume."""

    symbol: str
    status: str
    as_of_seq: int
    replayed: bool = False
    """The request had been executed before; this is its result."""


class InstrumentsView(Document, frozen=True, kw_only=True):
    """Every instrument."""

    instruments: list[InstrumentView]
    as_of_seq: int


class InstrumentView(Document, frozen=True, kw_only=True):
    """An instrument: tick, lot and limits of its prices and quantities. `band` is how far a
    price may be from `reference_price`, 0.1 for 10 %, which gives `band_low` and
    `band_high`.
    """

    symbol: str
    base: str
    quote: str
    tick: Decimal
    lot: Decimal
    min_quantity: Decimal
    max_quantity: Decimal
    max_price: Decimal
    status: str
    last_price: Decimal | None = None
    band: Decimal | None = None
    reference_price: Decimal | None = None
    band_low: Decimal | None = None
    band_high: Decimal | None = None


class KeyView(Document, frozen=True, kw_only=True):
    """An API key, without its secret.

    `state` is active, pending_approval, expired (from `valid_until` on) or revoked. For keys
    of the venue's configuration `name` and `created_at` are null. An empty `allow` means
    from anywhere.
    """

    key: str
    name: str | None = None
    account: str
    kind: str
    user: str
    scopes: list[str]
    allow: list[str]
    state: str
    created_at: datetime | None = None
    created_by: str | None = None
    approved_at: datetime | None = None
    approved_by: str | None = None
    revoked_at: datetime | None = None
    revoked_by: str | None = None
    valid_until: datetime | None = None
    replayed: bool = False
    """The request had been executed before; this is its result."""


class KeysView(Document, frozen=True, kw_only=True):
    """The keys of an account: those of the configuration, then the others, oldest first."""

    account: str
    keys: list[KeyView]


class LedgerView(Document, frozen=True, kw_only=True):
    """Ledger entries, ascending."""

    account: str
    entries: list[LedgerEntryView]
    next_cursor: str | None = None
    as_of_seq: int


class LedgerEntryView(Document, frozen=True, kw_only=True):
    """One change of an account's money, and the balance after it."""

    seq: int
    account_seq: int
    time: datetime
    asset: str
    available_change: Decimal
    held_change: Decimal
    available: Decimal
    held: Decimal
    cause: str
    reference: str
    order_id: str | None = None
    trade_id: int | None = None
    client_order_id: str | None = None
    strategy: str | None = None


class LimitsView(Document, frozen=True, kw_only=True):
    """Limits of an account, its firm's rules included, and how much of them is used. `status`
    is active or suspended; an account is also suspended with its firm.
    """

    account: str
    status: str
    open_orders_max: int
    open_orders_used: int
    open_orders_remaining: int
    batch_operations_max: int
    require_known_address: bool
    address_cooloff_s: int
    withdrawals: list[WithdrawalLimitView]
    as_of_seq: int


class WithdrawalLimitView(Document, frozen=True, kw_only=True):
    """Withdrawals of one asset in the present day (UTC); null means no limit. Of the account's
    and its firm's daily limit, the one that leaves less; the firm's counts all of its
    accounts.
    """

    asset: str
    daily_limit: Decimal | None = None
    daily_used: Decimal
    daily_remaining: Decimal | None = None
    limit_of: str
    approval_above: Decimal | None = None


class NetworksView(Document, frozen=True, kw_only=True):
    """Every network of every asset."""

    networks: list[NetworkView]
    as_of_seq: int


class NewKeyView(Document, frozen=True, kw_only=True):
    """A created key. `secret` (of a bearer key: the token) is shown only this once."""

    key: str
    name: str | None = None
    account: str
    kind: str
    user: str
    scopes: list[str]
    allow: list[str]
    state: str
    created_at: datetime | None = None
    created_by: str | None = None
    approved_at: datetime | None = None
    approved_by: str | None = None
    revoked_at: datetime | None = None
    revoked_by: str | None = None
    valid_until: datetime | None = None
    secret: str | None = None
    replayed: bool = False
    """The request had been executed before; this is its result."""


class OrdersView(Document, frozen=True, kw_only=True):
    """Orders by order id, ascending unless `sort` is newest."""

    account: str
    orders: list[OrderView]
    next_cursor: str | None = None
    as_of_seq: int


class OrderView(Document, frozen=True, kw_only=True):
    """An order in its present state. `client_order_id` is the current one of its chain."""

    order_id: str
    client_order_id: str
    first_client_order_id: str
    account: str
    symbol: str
    side: Side
    type: str
    time_in_force: str
    quantity: Decimal
    cash_quantity: Decimal | None = None
    price: Decimal | None = None
    stop_price: Decimal | None = None
    min_quantity: Decimal | None = None
    display_quantity: Decimal | None = None
    expire_at: datetime | None = None
    post_only: bool
    self_trade_prevention: str
    strategy: str | None = None
    manual: bool
    entered_by: str
    third_party: ThirdPartyView | None = None
    status: str
    filled_quantity: Decimal
    leaves_quantity: Decimal
    average_price: Decimal | None = None
    fees: Decimal
    fee_asset: str
    held: Decimal
    held_asset: str
    triggered: bool
    cancel_reason: str | None = None
    created_at: datetime
    updated_at: datetime


class QuoteView(Document, frozen=True, kw_only=True):
    """A fixed fee: `amount` (also `net`) arrives, `total` is held; valid until `expires_at`."""

    quote_id: str
    asset: str
    network: str
    amount: Decimal
    net: Decimal
    fee: Decimal
    total: Decimal
    expires_at: datetime
    as_of_seq: int
    replayed: bool = False
    """The request had been executed before; this is its result."""


class ReadyView(Document, frozen=True, kw_only=True):
    """`ready`, or `degraded`: the account API can serve, but another part does not work."""

    status: str
    detail: str
    parts: list[PartView]


class PartView(Document, frozen=True, kw_only=True):
    """One part of the venue. `status` is ok, behind, troubled, away, low or full (of the disk).

    `required`: without it the account API cannot serve. `lag_records` and `lag_ms` say how
    many of the engine's transactions it has not processed, and since when.
    """

    part: str
    status: str
    required: bool
    detail: str
    seq: int | None = None
    lag_records: int = 0
    lag_ms: int = 0


class ReferencePriceView(Document, frozen=True, kw_only=True):
    """The price on which an instrument's band is centered until its next trade."""

    symbol: str
    reference_price: Decimal
    as_of_seq: int
    replayed: bool = False
    """The request had been executed before; this is its result."""


class RevokedKeyView(Document, frozen=True, kw_only=True):
    """A revoked key. `descendants` are the keys revoked with it, oldest first; none without
    `descendants=true`.
    """

    key: str
    name: str | None = None
    account: str
    kind: str
    user: str
    scopes: list[str]
    allow: list[str]
    state: str
    created_at: datetime | None = None
    created_by: str | None = None
    approved_at: datetime | None = None
    approved_by: str | None = None
    revoked_at: datetime | None = None
    revoked_by: str | None = None
    valid_until: datetime | None = None
    descendants: list[str]
    replayed: bool = False
    """The request had been executed before; this is its result."""


class SessionsView(Document, frozen=True, kw_only=True):
    """Sessions, by name."""

    sessions: list[SessionView]
    as_of_seq: int


class SessionView(Document, frozen=True, kw_only=True):
    """One session: `fix:<CompID>`, or `ws:<key>:<connection>` with cancel on disconnect.

    `epoch` counts the resets of its sequence numbers, `received` is the highest MsgSeqNum
    that the engine has from it. At `closes_at` its orders are canceled unless it reconnects.
    """

    session: str
    account: str
    connected: bool
    epoch: int
    received: int
    cancel_on_disconnect: str
    grace_s: int
    closes_at: datetime | None = None


class TickersView(Document, frozen=True, kw_only=True):
    """The last 24 hours of every instrument that was asked for."""

    tickers: list[TickerView]
    as_of_seq: int


class TickerView(Document, frozen=True, kw_only=True):
    """The last 24 hours of an instrument, begun at a whole minute, `start`.

    `open` is the first price in them, `change` the last less the first, and `change_percent`
    that in percent of the first; null without a trade in them. `last_price`, `last_trade_id`
    and `last_trade_at` are those of the newest trade however old it is; null before the
    first trade.
    """

    symbol: str
    start: datetime
    open: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    change: Decimal | None = None
    change_percent: Decimal | None = None
    volume: Decimal
    quote_volume: Decimal
    trades: int
    last_price: Decimal | None = None
    last_trade_id: int | None = None
    last_trade_at: datetime | None = None


class TimeView(Document, frozen=True, kw_only=True):
    """The venue's clock."""

    time: datetime
    time_ms: int


class TradesView(Document, frozen=True, kw_only=True):
    """Public trades, ascending."""

    trades: list[TradeView]
    next_after_trade_id: int | None = None
    as_of_seq: int


class TradeView(Document, frozen=True, kw_only=True):
    """A public trade; `side` is the taker's."""

    trade_id: int
    symbol: str
    price: Decimal
    quantity: Decimal
    side: Side
    time: datetime
    seq: int


class TransferAnswer(Document, frozen=True, kw_only=True):
    """The sender's side of a transfer as of a sequence."""

    transfer_id: str
    client_transfer_id: str
    account: str
    other_account: str
    asset: str
    change: Decimal
    time: datetime
    as_of_seq: int
    replayed: bool = False
    """The request had been executed before; this is its result."""


class TransfersView(Document, frozen=True, kw_only=True):
    """Transfers, ascending."""

    account: str
    transfers: list[TransferView]
    next_cursor: str | None = None
    as_of_seq: int


class TransferView(Document, frozen=True, kw_only=True):
    """One side of a transfer: `change` of the account's available money."""

    transfer_id: str
    client_transfer_id: str
    account: str
    other_account: str
    asset: str
    change: Decimal
    time: datetime


class WebhookErrandView(Document, frozen=True, kw_only=True):
    """What will be sent out of turn; for a test `event_id` finds its attempt in the log."""

    webhook_id: str
    kind: str
    event_id: str | None = None
    from_seq: int | None = None
    to_seq: int | None = None
    replayed: bool = False
    """The request had been executed before; this is its result."""


class WebhookSecretView(Document, frozen=True, kw_only=True):
    """An endpoint with its secret, which is shown only this once."""

    webhook_id: str
    account: str
    firm_wide: bool
    name: str
    url: str
    events: list[str]
    state: str
    reason: str | None = None
    seq: int
    failures: int
    failing_since: datetime | None = None
    next_attempt_at: datetime | None = None
    last_error: str | None = None
    last_delivered_at: datetime | None = None
    old_secret_until: datetime | None = None
    created_at: datetime
    created_by: str
    updated_at: datetime
    secret: str | None = None
    replayed: bool = False
    """The request had been executed before; this is its result."""


class WebhookView(Document, frozen=True, kw_only=True):
    """An endpoint, without its secret.

    `state` is active, failing (its newest delivery failed and is tried again) or disabled;
    then `reason` is by_request, gave_up or gone. `seq` is the sequence up to which it was
    served.
    """

    webhook_id: str
    account: str
    firm_wide: bool
    name: str
    url: str
    events: list[str]
    state: str
    reason: str | None = None
    seq: int
    failures: int
    failing_since: datetime | None = None
    next_attempt_at: datetime | None = None
    last_error: str | None = None
    last_delivered_at: datetime | None = None
    old_secret_until: datetime | None = None
    created_at: datetime
    created_by: str
    updated_at: datetime
    replayed: bool = False
    """The request had been executed before; this is its result."""


class WebhooksView(Document, frozen=True, kw_only=True):
    """The endpoints of an account, oldest first."""

    account: str
    webhooks: list[WebhookView]


class WithdrawalAnswer(Document, frozen=True, kw_only=True):
    """A withdrawal as of a sequence."""

    withdrawal_id: str
    client_withdrawal_id: str
    account: str
    asset: str
    network: str
    address: str
    memo: str | None = None
    amount: Decimal
    fee: Decimal
    state: str
    cancellable: bool
    hold_id: str
    requested_by: str
    approved_by: str | None = None
    txid: str | None = None
    confirmations: int
    confirmations_required: int
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None = None
    history: list[HistoryView]
    as_of_seq: int
    replayed: bool = False
    """The request had been executed before; this is its result."""


class HistoryView(Document, frozen=True, kw_only=True):
    """One step in the life of a withdrawal."""

    state: str
    time: datetime
    actor: str
    note: str


class WithdrawalsView(Document, frozen=True, kw_only=True):
    """Withdrawals, ascending."""

    account: str
    withdrawals: list[WithdrawalView]
    next_cursor: str | None = None
    as_of_seq: int


class WithdrawalView(Document, frozen=True, kw_only=True):
    """A withdrawal: `amount` goes to the address, `fee` to the venue; both are held until then."""

    withdrawal_id: str
    client_withdrawal_id: str
    account: str
    asset: str
    network: str
    address: str
    memo: str | None = None
    amount: Decimal
    fee: Decimal
    state: str
    cancellable: bool
    hold_id: str
    requested_by: str
    approved_by: str | None = None
    txid: str | None = None
    confirmations: int
    confirmations_required: int
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None = None
    history: list[HistoryView]
