"""The queries that the engine answers, with the types of their answers.

Each function builds a ``Query``; ``EngineClient.fetch(query, min_seq)`` answers it with the
value and the sequence it is true of. The helpers of the clients are these, by the same name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from msgspec.msgpack import Decoder

from engine.core.instruments import Instrument
from engine.core.types import (
    AccountLimits,
    AccountRow,
    AccountSnapshot,
    Address,
    AssetRow,
    Balance,
    BookRow,
    Deposit,
    DepositAddress,
    EngineFigures,
    EngineStatus,
    Hold,
    InstrumentRow,
    NetworkRow,
    OrderRow,
    SessionRow,
    Side,
    Withdrawal,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Query(Generic[T]):
    """A question by name with its arguments, and the decoder of its answer."""

    name: str
    arguments: dict[str, Any]
    decoder: Decoder[T]


_STATUS: Final = Decoder(EngineStatus)
_FIGURES: Final = Decoder(EngineFigures)
_ASSETS: Final = Decoder(list[AssetRow])
_NETWORKS: Final = Decoder(list[NetworkRow])
_INSTRUMENTS: Final = Decoder(list[Instrument])
_INSTRUMENT_STATES: Final = Decoder(list[InstrumentRow])
_ACCOUNTS: Final = Decoder(list[AccountRow])
_BALANCES: Final = Decoder(list[Balance])
_HOLDS: Final = Decoder(list[Hold])
_ORDERS: Final = Decoder(list[OrderRow])
_ORDER: Final[Decoder[OrderRow | None]] = Decoder(OrderRow | None)
_BOOK: Final[Decoder[BookRow | None]] = Decoder(BookRow | None)
_WITHDRAWAL: Final[Decoder[Withdrawal | None]] = Decoder(Withdrawal | None)
_WITHDRAWALS: Final = Decoder(list[Withdrawal])
_DEPOSITS: Final = Decoder(list[Deposit])
_ADDRESSES: Final = Decoder(list[Address])
_DEPOSIT_ADDRESSES: Final = Decoder(list[DepositAddress])
_LIMITS: Final = Decoder(AccountLimits | None)
_SESSION: Final[Decoder[SessionRow | None]] = Decoder(SessionRow | None)
_SESSIONS: Final = Decoder(list[SessionRow])
_BYTES: Final = Decoder(bytes)
_INT: Final = Decoder(int)
_TEXTS: Final = Decoder(list[str])
_TEXT: Final = Decoder(str)
_SNAPSHOT: Final[Decoder[AccountSnapshot | None]] = Decoder(AccountSnapshot | None)


def status() -> Query[EngineStatus]:
    """Where the engine stands."""
    return Query("status", {}, _STATUS)


def figures() -> Query[EngineFigures]:
    """What the engine has counted since its start."""
    return Query("figures", {}, _FIGURES)


def forget(seq: int) -> Query[int]:
    """Have the engine serve nothing before ``seq`` any more; the oldest that it still does."""
    return Query("forget", {"seq": seq}, _INT)


def assets() -> Query[list[AssetRow]]:
    """Every asset and its scale."""
    return Query("assets", {}, _ASSETS)


def networks() -> Query[list[NetworkRow]]:
    """Every network of every asset."""
    return Query("networks", {}, _NETWORKS)


def instruments() -> Query[list[Instrument]]:
    """Every instrument's grid."""
    return Query("instruments", {}, _INSTRUMENTS)


def instrument_states() -> Query[list[InstrumentRow]]:
    """Status and last price of every instrument."""
    return Query("instrument_states", {}, _INSTRUMENT_STATES)


def accounts(firm: str = "") -> Query[list[AccountRow]]:
    """Every account, or those of one firm."""
    return Query("accounts", {"firm": firm}, _ACCOUNTS)


def balances(account: str) -> Query[list[Balance]]:
    """Money of an account in every asset it has ever held; unknown account: empty."""
    return Query("balances", {"account": account}, _BALANCES)


def holds(account: str) -> Query[list[Hold]]:
    """What is set aside for the account's open orders and withdrawals."""
    return Query("holds", {"account": account}, _HOLDS)


def open_orders(
    account: str,
    firm_wide: bool = False,
    symbol: str = "",
    strategy: str = "",
    session: str = "",
    side: Side | None = None,
) -> Query[list[OrderRow]]:
    """Open orders of an account (or of its whole firm) that every given filter matches."""
    arguments = {
        "account": account,
        "firm_wide": firm_wide,
        "symbol": symbol,
        "strategy": strategy,
        "session": session,
        "side": None if side is None else int(side),
    }
    return Query("open_orders", arguments, _ORDERS)


def order(account: str, client_order_id: str = "", order_id: int = 0) -> Query[OrderRow | None]:
    """An order of the account, open, or closed and still in memory."""
    arguments = {
        "account": account,
        "client_order_id": client_order_id,
        "order_id": order_id,
    }
    return Query("order", arguments, _ORDER)


def book(symbol: str, depth: int) -> Query[BookRow | None]:
    """The best ``depth`` levels of each side."""
    return Query("book", {"symbol": symbol, "depth": depth}, _BOOK)


def withdrawal(
    account: str, withdrawal_id: int = 0, client_withdrawal_id: str = ""
) -> Query[Withdrawal | None]:
    """A withdrawal of the account; ``account`` "" finds any by its number."""
    arguments = {
        "account": account,
        "withdrawal_id": withdrawal_id,
        "client_withdrawal_id": client_withdrawal_id,
    }
    return Query("withdrawal", arguments, _WITHDRAWAL)


def withdrawals(account: str = "", open_only: bool = False) -> Query[list[Withdrawal]]:
    """Withdrawals of an account or of all, by number."""
    return Query("withdrawals", {"account": account, "open_only": open_only}, _WITHDRAWALS)


def deposits(account: str) -> Query[list[Deposit]]:
    """Deposits of an account."""
    return Query("deposits", {"account": account}, _DEPOSITS)


def addresses(account: str) -> Query[list[Address]]:
    """The account's address book."""
    return Query("addresses", {"account": account}, _ADDRESSES)


def deposit_addresses(account: str) -> Query[list[DepositAddress]]:
    """Where the account's deposits are to be sent."""
    return Query("deposit_addresses", {"account": account}, _DEPOSIT_ADDRESSES)


def limits(account: str, day: int) -> Query[AccountLimits | None]:
    """What bounds the account's withdrawals on a UTC day, counted since 1970."""
    return Query("limits", {"account": account, "day": day}, _LIMITS)


def session(session: str) -> Query[SessionRow | None]:
    """What the engine remembers of a session, by its ``Origin.source``."""
    return Query("session", {"session": session}, _SESSION)


def sessions() -> Query[list[SessionRow]]:
    """Every session that the engine remembers."""
    return Query("sessions", {}, _SESSIONS)


def transaction(seq: int) -> Query[bytes]:
    """The encoded transaction ``seq``; refused as gap_too_old when it was archived."""
    return Query("transaction", {"seq": seq}, _BYTES)


def locate(account: str, account_seq: int) -> Query[int]:
    """Seq of the first transaction that holds that ``account_seq`` of the account, or
    would: one past the last one when the account has not come so far."""
    return Query("locate", {"account": account, "account_seq": account_seq}, _INT)


def account_snapshot(account: str) -> Query[AccountSnapshot | None]:
    """Balances, open orders and open withdrawals of an account at one point."""
    return Query("account_snapshot", {"account": account}, _SNAPSHOT)


def check() -> Query[list[str]]:
    """Run the invariant checks; empty when all hold."""
    return Query("check", {}, _TEXTS)


def state_hash() -> Query[str]:
    """The hash of the whole state."""
    return Query("state_hash", {}, _TEXT)
