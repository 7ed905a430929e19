"""Responses as clients see them: the types in OpenAPI, which ``from_rows.py`` fills.

Amounts are decimal text without superfluous zeros, instants are text in UTC with
microseconds, ids that only name a thing are text, and ``as_of_seq`` is the engine's sequence
as of which the response is true.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from msgspec import structs

from account_api.schema.requests import SideText


class View(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """Base of all responses."""


V = TypeVar("V", bound=View)


def extended(view: View, kind: type[V], **more: Any) -> V:
    """Make an answer of type ``kind``, which extends the view's type, from a view and ``more``."""
    return kind(**structs.asdict(view), **more)


class TimeView(View, frozen=True, kw_only=True):
    """The venue's clock."""

    time: str
    time_ms: int


class AssetView(View, frozen=True, kw_only=True):
    """An asset; amounts have at most `decimals` places."""

    asset: str
    decimals: int


class NetworkView(View, frozen=True, kw_only=True):
    """A network of an asset, its fees and limits, and the form of its addresses."""

    asset: str
    network: str
    withdrawal_fee: str
    withdrawal_min: str
    withdrawal_step: str
    confirmations_required: int
    memo_required: bool
    suspended: bool
    address_format: str
    address_pattern: str


class InstrumentView(View, frozen=True, kw_only=True):
    """An instrument: tick, lot and limits of its prices and quantities. `band` is how far a price
    may be from `reference_price`, 0.1 for 10 %, which gives `band_low` and `band_high`."""

    symbol: str
    base: str
    quote: str
    tick: str
    lot: str
    min_quantity: str
    max_quantity: str
    max_price: str
    status: str
    last_price: str | None
    band: str | None
    reference_price: str | None
    band_low: str | None
    band_high: str | None


class AssetsView(View, frozen=True, kw_only=True):
    """Every asset."""

    assets: list[AssetView]
    as_of_seq: int


class NetworksView(View, frozen=True, kw_only=True):
    """Every network of every asset."""

    networks: list[NetworkView]
    as_of_seq: int


class InstrumentsView(View, frozen=True, kw_only=True):
    """Every instrument."""

    instruments: list[InstrumentView]
    as_of_seq: int


class LevelView(View, frozen=True, kw_only=True):
    """One price level."""

    price: str
    quantity: str
    orders: int


class BookView(View, frozen=True, kw_only=True):
    """Depth of one instrument, best prices first."""

    symbol: str
    status: str
    bids: list[LevelView]
    asks: list[LevelView]
    last_price: str | None
    as_of_seq: int


class TradeView(View, frozen=True, kw_only=True):
    """A public trade; `side` is the taker's."""

    trade_id: int
    symbol: str
    price: str
    quantity: str
    side: SideText
    time: str
    seq: int


class TradesView(View, frozen=True, kw_only=True):
    """Public trades, ascending."""

    trades: list[TradeView]
    next_after_trade_id: int | None
    as_of_seq: int


class CandleView(View, frozen=True, kw_only=True):
    """Trades of one interval; an interval without a trade has no candle."""

    start: str
    open: str
    high: str
    low: str
    close: str
    volume: str
    quote_volume: str
    trades: int


class CandlesView(View, frozen=True, kw_only=True):
    """Candles, ascending."""

    symbol: str
    interval: str
    candles: list[CandleView]
    as_of_seq: int


class BalanceView(View, frozen=True, kw_only=True):
    """Money in one asset: posted = available + held; `pending` are uncredited deposits."""

    asset: str
    posted: str
    held: str
    available: str
    pending: str


class BalancesView(View, frozen=True, kw_only=True):
    """Money of an account."""

    account: str
    balances: list[BalanceView]
    as_of_seq: int


class HoldView(View, frozen=True, kw_only=True):
    """Money held for an open order or withdrawal."""

    hold_id: str
    asset: str
    amount: str
    order_id: str | None
    withdrawal_id: str | None


class HoldsView(View, frozen=True, kw_only=True):
    """Every open hold of an account."""

    account: str
    holds: list[HoldView]
    as_of_seq: int


class LedgerEntryView(View, frozen=True, kw_only=True):
    """One change of an account's money, and the balance after it."""

    seq: int
    account_seq: int
    time: str
    asset: str
    available_change: str
    held_change: str
    available: str
    held: str
    cause: str
    reference: str
    order_id: str | None
    trade_id: int | None
    client_order_id: str | None
    strategy: str | None


class LedgerView(View, frozen=True, kw_only=True):
    """Ledger entries, ascending."""

    account: str
    entries: list[LedgerEntryView]
    next_cursor: str | None
    as_of_seq: int


class FeesView(View, frozen=True, kw_only=True):
    """Fees of an account, as a fraction of the notional, in the quote asset."""

    account: str
    maker: str
    taker: str
    withdrawal: list[NetworkView]
    as_of_seq: int


class HistoryView(View, frozen=True, kw_only=True):
    """One step in the life of a withdrawal."""

    state: str
    time: str
    actor: str
    note: str


class WithdrawalView(View, frozen=True, kw_only=True):
    """A withdrawal: `amount` goes to the address, `fee` to the venue; both are held until then."""

    withdrawal_id: str
    client_withdrawal_id: str
    account: str
    asset: str
    network: str
    address: str
    memo: str | None
    amount: str
    fee: str
    state: str
    cancellable: bool
    hold_id: str
    requested_by: str
    approved_by: str | None
    txid: str | None
    confirmations: int
    confirmations_required: int
    created_at: str
    updated_at: str
    expires_at: str | None
    history: list[HistoryView]


class WithdrawalAnswer(WithdrawalView, frozen=True, kw_only=True):
    """A withdrawal as of a sequence."""

    as_of_seq: int


class WithdrawalsView(View, frozen=True, kw_only=True):
    """Withdrawals, ascending."""

    account: str
    withdrawals: list[WithdrawalView]
    next_cursor: str | None
    as_of_seq: int


class QuoteView(View, frozen=True, kw_only=True):
    """A fixed fee: `amount` (also `net`) arrives, `total` is held; valid until `expires_at`."""

    quote_id: str
    asset: str
    network: str
    amount: str
    net: str
    fee: str
    total: str
    expires_at: str
    as_of_seq: int


class AddressView(View, frozen=True, kw_only=True):
    """An entry of the address book; withdrawals may use it from `available_at` on."""

    address_id: str
    account: str
    asset: str
    network: str
    address: str
    memo: str | None
    label: str
    created_at: str
    available_at: str
    available: bool


class AddressAnswer(AddressView, frozen=True, kw_only=True):
    """An entry of the address book as of a sequence; `removed` is true once it is removed."""

    removed: bool = False
    as_of_seq: int


class AddressesView(View, frozen=True, kw_only=True):
    """The address book of an account, and whether withdrawals are limited to it."""

    account: str
    required: bool
    cool_off_s: int
    addresses: list[AddressView]
    as_of_seq: int


class DepositAddressView(View, frozen=True, kw_only=True):
    """Where to send deposits of an asset on a network, and when they are credited."""

    asset: str
    network: str
    address: str
    memo: str | None
    confirmations_required: int
    created_at: str


class DepositAddressAnswer(DepositAddressView, frozen=True, kw_only=True):
    """An address for deposits as of a sequence."""

    as_of_seq: int


class DepositAddressesView(View, frozen=True, kw_only=True):
    """Every address for deposits that the account has."""

    account: str
    deposit_addresses: list[DepositAddressView]
    as_of_seq: int


class TransferView(View, frozen=True, kw_only=True):
    """One side of a transfer: `change` of the account's available money."""

    transfer_id: str
    client_transfer_id: str
    account: str
    other_account: str
    asset: str
    change: str
    time: str


class TransferAnswer(TransferView, frozen=True, kw_only=True):
    """The sender's side of a transfer as of a sequence."""

    as_of_seq: int


class TransfersView(View, frozen=True, kw_only=True):
    """Transfers, ascending."""

    account: str
    transfers: list[TransferView]
    next_cursor: str | None
    as_of_seq: int


class DepositView(View, frozen=True, kw_only=True):
    """A deposit: credited once, when confirmations reach what is required."""

    deposit_id: str
    account: str
    asset: str
    network: str | None
    address: str | None
    txid: str | None
    amount: str
    confirmations: int
    confirmations_required: int
    credited: bool
    created_at: str
    updated_at: str


class DepositAnswer(DepositView, frozen=True, kw_only=True):
    """A deposit as of a sequence."""

    as_of_seq: int


class DepositsView(View, frozen=True, kw_only=True):
    """Deposits, in the order in which they were first seen."""

    account: str
    deposits: list[DepositView]
    next_cursor: str | None
    as_of_seq: int


class InstrumentStatusView(View, frozen=True, kw_only=True):
    """An instrument after a halt or resume."""

    symbol: str
    status: str
    as_of_seq: int


class ReferencePriceView(View, frozen=True, kw_only=True):
    """The price on which an instrument's band is centered until its next trade."""

    symbol: str
    reference_price: str
    as_of_seq: int


class AccountStatusView(View, frozen=True, kw_only=True):
    """An account after it was suspended or reactivated, and how much that canceled."""

    account: str
    status: str
    canceled_orders: int
    canceled_withdrawals: int
    as_of_seq: int
