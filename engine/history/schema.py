"""Tables of the read model, the same on SQLite and PostgreSQL.

All numbers are whole: prices in ticks, quantities in lots, money in atoms, times in
microseconds, enums as their code points. The gateways convert them into decimal text with
``engine.core.instruments``; this package never does. Every number of one transaction fits into
64 bits (rule N-5); totals over many, such as the volume of a candle, are a ``WideInteger``.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    TypeDecorator,
)

SCHEMA_VERSION: Final = 5
"""Raised whenever a table changes; a store of another version is rebuilt from the journal."""

metadata: Final = MetaData()

# SQLite makes a 64-bit row id only of a column that is declared INTEGER.
_big = BigInteger().with_variant(Integer(), "sqlite")


def _int(name: str, *, key: bool = False) -> Column[int]:
    return Column(name, _big, primary_key=key, nullable=False, autoincrement=False)


def _small(name: str) -> Column[int]:
    return Column(name, SmallInteger, nullable=False)


class WideInteger(TypeDecorator[int]):
    """An integer of any size, stored as decimal text: sums of money over time have no bound.

    Rows are written without SQLAlchemy (``writing.py``), which converts them in the same way.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> str | None:
        """Return the text to store."""
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> int | None:
        """Return the integer that was stored."""
        return None if value is None else int(value)


def _wide(name: str) -> Column[int]:
    return Column(name, WideInteger, nullable=False)


def _text(name: str, *, key: bool = False) -> Column[str]:
    return Column(name, Text, primary_key=key, nullable=False)


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False)


meta: Final = Table(
    "meta",
    metadata,
    _int("id", key=True),
    _int("schema_version"),
    _int("last_seq"),
    _int("last_time_us"),
)
"""One row (id 1): the last transaction that the other tables contain."""

assets: Final = Table("assets", metadata, _text("asset", key=True), _int("scale"))

instruments: Final = Table(
    "instruments",
    metadata,
    _text("symbol", key=True),
    _text("base"),
    _text("quote"),
    _text("tick"),
    _text("lot"),
    _int("min_qty"),
    _int("max_qty"),
    _int("max_price"),
)

accounts: Final = Table("accounts", metadata, _text("account", key=True), _text("firm"))

balances: Final = Table(
    "balances",
    metadata,
    _text("account", key=True),
    _text("asset", key=True),
    _int("available"),
    _int("held"),
)
"""Running balances at ``last_seq``, house accounts included."""

orders: Final = Table(
    "orders",
    metadata,
    _int("order_id", key=True),
    _text("account"),
    _text("client_order_id"),
    _text("first_client_order_id"),
    _text("symbol"),
    _small("side"),
    _small("ord_type"),
    _small("tif"),
    _int("qty"),
    _int("price"),
    _int("stop_price"),
    _int("cash_qty"),
    _int("min_qty"),
    _int("display_qty"),
    _int("expire_at"),
    _flag("post_only"),
    _small("stp"),
    _text("strategy"),
    _flag("manual"),
    _text("session"),
    _int("created_at"),
    _text("on_behalf_of_comp_id"),
    _text("on_behalf_of_sub_id"),
    _text("deliver_to_comp_id"),
    _text("deliver_to_sub_id"),
    _small("status"),
    _int("leaves"),
    _int("cum"),
    _int("notional"),
    _int("fees"),
    _int("held"),
    _text("hold_asset"),
    _int("display"),
    _flag("triggered"),
    _int("updated_at"),
    _flag("open"),
    _small("cancel_reason"),
    _int("first_seq"),
    _int("last_seq"),
    Index("orders_by_account", "account", "order_id"),
    Index("orders_by_account_symbol", "account", "symbol", "order_id"),
)
"""Every order ever accepted, in its current state, with its first and last transaction."""

client_ids: Final = Table(
    "client_ids",
    metadata,
    _text("account", key=True),
    _text("client_order_id", key=True),
    _int("order_id"),
    sqlite_with_rowid=False,
)
"""Every client order id of every replace chain, and the order that it names."""

fills: Final = Table(
    "fills",
    metadata,
    _int("trade_id", key=True),
    _int("order_id", key=True),
    _text("account"),
    _text("client_order_id"),
    _text("first_client_order_id"),
    _text("strategy"),
    _text("symbol"),
    _small("side"),
    _int("qty"),
    _int("price"),
    _small("liquidity"),
    _int("cash"),
    _int("fee"),
    _text("fee_asset"),
    _int("time_us"),
    _int("seq"),
    _int("event_index"),
    _int("account_seq"),
    Index("fills_by_account", "account", "trade_id"),
    Index("fills_by_account_symbol", "account", "symbol", "trade_id"),
    Index("fills_by_order", "order_id", "trade_id"),
)

trades: Final = Table(
    "trades",
    metadata,
    _int("trade_id", key=True),
    _text("symbol"),
    _int("price"),
    _int("qty"),
    _int("cash"),
    _small("taker_side"),
    _int("time_us"),
    _int("seq"),
    Index("trades_by_symbol", "symbol", "trade_id"),
)

candles: Final = Table(
    "candles",
    metadata,
    _text("symbol", key=True),
    _int("interval_us", key=True),
    _int("start_us", key=True),
    _int("open"),
    _int("high"),
    _int("low"),
    _int("close"),
    _wide("qty"),
    _wide("cash"),
    _int("trades"),
)

ledger: Final = Table(
    "ledger",
    metadata,
    _text("account", key=True),
    _text("asset", key=True),
    _int("seq", key=True),
    _int("event_index", key=True),
    _int("line", key=True),
    _int("available_change"),
    _int("held_change"),
    _int("available"),
    _int("held"),
    _text("cause"),
    _text("reference"),
    _int("order_id"),
    _int("trade_id"),
    _text("client_order_id"),
    _text("strategy"),
    _int("account_seq"),
    _int("time_us"),
    sqlite_with_rowid=False,
)
"""Double entry: within a transaction the changes of each asset sum to zero over all accounts.

It has the most rows, and its key is its only index: lines of several assets are merged when read.
"""

deposits: Final = Table(
    "deposits",
    metadata,
    _text("deposit_id", key=True),
    _text("account"),
    _text("asset"),
    _text("network"),
    _text("address"),
    _text("txid"),
    _int("amount"),
    _int("confirmations"),
    _int("confirmations_required"),
    _flag("credited"),
    _int("created_at"),
    _int("updated_at"),
    _int("first_seq"),
    _int("first_index"),
    _int("last_seq"),
    Index("deposits_by_account", "account", "first_seq", "first_index"),
)

withdrawals: Final = Table(
    "withdrawals",
    metadata,
    _int("withdrawal_id", key=True),
    _text("account"),
    _text("client_withdrawal_id"),
    _text("asset"),
    _text("network"),
    _text("address"),
    _text("memo"),
    _int("amount"),
    _int("fee"),
    _small("state"),
    _text("requested_by"),
    _text("approved_by"),
    _int("created_at"),
    _int("updated_at"),
    _int("expires_at"),
    _text("txid"),
    _int("confirmations"),
    _int("confirmations_required"),
    _text("history"),
    _int("last_seq"),
    Index("withdrawals_by_account", "account", "withdrawal_id"),
    Index("withdrawals_by_client_id", "account", "client_withdrawal_id"),
)
"""``history`` is a JSON list of [state, time_us, actor, note]."""

money_events: Final = Table(
    "money_events",
    metadata,
    _int("seq", key=True),
    _int("event_index", key=True),
    _text("account"),
    _int("time_us"),
    _small("kind"),
    _text("body"),
    Index("money_events_by_account", "account", "seq", "event_index"),
)
"""Each state that a deposit or withdrawal was in. ``kind`` is that of ``EVENT_KINDS``, and ``body``
the row as a JSON list. It came after version 4: a store that lacks it begins it where it stands.
"""

transfers: Final = Table(
    "transfers",
    metadata,
    _int("transfer_id", key=True),
    _text("account", key=True),
    _text("client_transfer_id"),
    _text("other_account"),
    _text("asset"),
    _int("change"),
    _int("time_us"),
    _int("seq"),
    _int("account_seq"),
    Index("transfers_by_account", "account", "transfer_id"),
)
