"""Rendering of the engine's and the history's rows as the responses that clients see."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from account_api.schema.requests import SideText
from account_api.schema.responses import (
    BalanceView,
    BookView,
    CandleView,
    DepositView,
    HistoryView,
    HoldView,
    LedgerEntryView,
    LevelView,
    NetworkView,
    TradeView,
    WithdrawalView,
)
from engine.core.instruments import Instrument, format_scaled
from engine.core.types import (
    Balance,
    BookRow,
    CancelScope,
    Deposit,
    Hold,
    NetworkRow,
    OrdType,
    SelfTrade,
    Side,
    TimeInForce,
    Withdrawal,
    WithdrawalState,
)
from engine.history.rows import Candle, LedgerEntry, PublicTrade

SIDE_TEXT: Final[dict[Side, SideText]] = {Side.BUY: "buy", Side.SELL: "sell"}
SCOPE_TEXT: Final = {
    CancelScope.NONE: "none",
    CancelScope.SESSION: "connection",
    CancelScope.ACCOUNT: "account",
    CancelScope.FIRM: "firm",
}
"""Which orders are canceled when a session ends, as requests and responses name it."""
SIDES: Final = {"buy": Side.BUY, "sell": Side.SELL}
TYPES: Final = {kind.name.lower(): kind for kind in OrdType}
TIFS: Final = {kind.name.lower(): kind for kind in TimeInForce}
STPS: Final = {kind.name.lower(): kind for kind in SelfTrade}
CANCELLABLE: Final = frozenset(
    (
        WithdrawalState.REQUESTED,
        WithdrawalState.PENDING_APPROVAL,
        WithdrawalState.APPROVED,
        WithdrawalState.QUEUED,
    )
)
_PATTERNS: Final = {
    "": "^[!-~]{1,128}$",
    "bitcoin": "^([13][1-9A-HJ-NP-Za-km-z]{25,34}|bc1[02-9ac-hj-np-z]{11,87}|"
    "BC1[02-9AC-HJ-NP-Z]{11,87})$",
    "ethereum": "^0x[0-9a-fA-F]{40}$",
}
"""The pattern of an address; its checksum is verified in addition."""
TERMINAL: Final = frozenset(
    (
        WithdrawalState.COMPLETED,
        WithdrawalState.REJECTED,
        WithdrawalState.CANCELED,
        WithdrawalState.FAILED,
        WithdrawalState.EXPIRED,
    )
)
_SECOND_US: Final = 1_000_000
_INSTANT_MAX_US: Final = 253_402_300_799 * _SECOND_US


_amount_text: Final = lru_cache(16_384)(format_scaled)
"""Balances are asked for far more often than they change."""


def account_status(suspended: bool) -> str:
    """Name the status of an account as requests and answers do."""
    return "suspended" if suspended else "active"


def instant_text(time_us: int) -> str:
    """Write microseconds since 1970 as text, such as 2030-01-31T12:00:00.000000Z."""
    seconds, micros = divmod(min(max(time_us, 0), _INSTANT_MAX_US), _SECOND_US)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{micros:06d}Z"


def balance_view(row: Balance, scale: int) -> BalanceView:
    """Render the balance of one asset."""
    return BalanceView(
        asset=row.asset,
        posted=_amount_text(row.posted, scale),
        held=_amount_text(row.held, scale),
        available=_amount_text(row.available, scale),
        pending=_amount_text(row.pending, scale),
    )


def hold_view(row: Hold, scale: int) -> HoldView:
    """Render an open hold."""
    number = row.hold_id[1:]
    return HoldView(
        hold_id=row.hold_id,
        asset=row.asset,
        amount=format_scaled(row.amount, scale),
        order_id=number if row.hold_id.startswith("O") else None,
        withdrawal_id=number if row.hold_id.startswith("W") else None,
    )


def ledger_view(row: LedgerEntry, scale: int) -> LedgerEntryView:
    """Render a ledger entry."""
    return LedgerEntryView(
        seq=row.seq,
        account_seq=row.account_seq,
        time=instant_text(row.time_us),
        asset=row.asset,
        available_change=format_scaled(row.available_change, scale),
        held_change=format_scaled(row.held_change, scale),
        available=format_scaled(row.available, scale),
        held=format_scaled(row.held, scale),
        cause=row.cause,
        reference=row.reference,
        order_id=str(row.order_id) if row.order_id else None,
        trade_id=row.trade_id or None,
        client_order_id=row.client_order_id or None,
        strategy=row.strategy or None,
    )


def network_view(row: NetworkRow, scale: int, address_format: str) -> NetworkView:
    """Render a network of an asset."""
    return NetworkView(
        asset=row.asset,
        network=row.network,
        withdrawal_fee=format_scaled(row.withdrawal_fee, scale),
        withdrawal_min=format_scaled(row.withdrawal_min, scale),
        withdrawal_step=format_scaled(row.withdrawal_step, scale),
        confirmations_required=row.confirmations_required,
        memo_required=row.memo_required,
        suspended=row.suspended,
        address_format=address_format or "text",
        address_pattern=_PATTERNS[address_format],
    )


def book_view(row: BookRow, instrument: Instrument, as_of_seq: int) -> BookView:
    """Render the depth of one instrument."""
    price, quantity = instrument.price_text, instrument.quantity_text
    return BookView(
        symbol=row.symbol,
        status=row.status.name.lower(),
        bids=[LevelView(price=price(p), quantity=quantity(q), orders=n) for p, q, n in row.bids],
        asks=[LevelView(price=price(p), quantity=quantity(q), orders=n) for p, q, n in row.asks],
        last_price=price(row.last_price) if row.last_price else None,
        as_of_seq=as_of_seq,
    )


def trade_view(row: PublicTrade, instrument: Instrument) -> TradeView:
    """Render a public trade."""
    return TradeView(
        trade_id=row.trade_id,
        symbol=row.symbol,
        price=instrument.price_text(row.price),
        quantity=instrument.quantity_text(row.qty),
        side=SIDE_TEXT[row.taker_side],
        time=instant_text(row.time_us),
        seq=row.seq,
    )


def candle_view(row: Candle, instrument: Instrument, quote_scale: int) -> CandleView:
    """Render a candle."""
    return CandleView(
        start=instant_text(row.start_us),
        open=instrument.price_text(row.open),
        high=instrument.price_text(row.high),
        low=instrument.price_text(row.low),
        close=instrument.price_text(row.close),
        volume=instrument.quantity_text(row.qty),
        quote_volume=format_scaled(row.cash, quote_scale),
        trades=row.trades,
    )


def withdrawal_view(row: Withdrawal, scale: int) -> WithdrawalView:
    """Render a withdrawal with its history."""
    return WithdrawalView(
        withdrawal_id=str(row.withdrawal_id),
        client_withdrawal_id=row.client_withdrawal_id,
        account=row.account,
        asset=row.asset,
        network=row.network,
        address=row.address,
        memo=row.memo or None,
        amount=format_scaled(row.amount, scale),
        fee=format_scaled(row.fee, scale),
        state=row.state.name.lower(),
        cancellable=row.state in CANCELLABLE,
        hold_id=f"W{row.withdrawal_id}",
        requested_by=row.requested_by,
        approved_by=row.approved_by or None,
        txid=row.txid or None,
        confirmations=row.confirmations,
        confirmations_required=row.confirmations_required,
        created_at=instant_text(row.created_at),
        updated_at=instant_text(row.updated_at),
        expires_at=instant_text(row.expires_at) if row.expires_at else None,
        history=[
            HistoryView(
                state=step.state.name.lower(),
                time=instant_text(step.time_us),
                actor=step.actor,
                note=step.note,
            )
            for step in row.history
        ],
    )


def deposit_view(row: Deposit, scale: int) -> DepositView:
    """Render a deposit."""
    return DepositView(
        deposit_id=row.deposit_id,
        account=row.account,
        asset=row.asset,
        network=row.network or None,
        address=row.address or None,
        txid=row.txid or None,
        amount=format_scaled(row.amount, scale),
        confirmations=row.confirmations,
        confirmations_required=row.confirmations_required,
        credited=row.credited,
        created_at=instant_text(row.created_at),
        updated_at=instant_text(row.updated_at),
    )
