"""The one table of authority: who may do and read what, over whichever interface.

Every interface uses this table: the FIX gateway for each message and each Logon, the routes of the
HTTP API and the operations of the WebSocket for each request, the engine for every command.
``docs/reference/authority.md`` is generated from it, and a test checks every interface with every
holder.

Two things are checked for every request. *What*: ``may`` says whether a holder may do a thing at
all. *Whose*: ``reaches`` says for which accounts. The account that has the firm's name speaks
for the firm and reaches all of its accounts; any other account is a sub-account and reaches
only itself. An operator acts for no account and reads every account.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Final, Literal, NamedTuple, TypeAlias

SessionKind: TypeAlias = Literal["order", "drop_copy", "market_data"]
"""What a FIX session is for."""
Reports: TypeAlias = Literal["own", "firm"]
"""Whose reports a FIX session gets: those of its own orders, or of all on accounts it reaches."""


class Holder(Enum):
    """What stands behind a request: a kind of FIX session, or a scope of an API key."""

    FIX_ORDER = "FIX order session"
    FIX_DROP_COPY = "FIX drop copy"
    FIX_MARKET_DATA = "FIX market data session"
    READ = "read"
    TRADE = "trade"
    WITHDRAW = "withdraw"
    ADDRESS = "address"
    APPROVE = "approve"
    KEYS = "keys"
    OPERATOR = "operator"


class Reach(Enum):
    """For whom a holder may do a thing."""

    NONE = "no"
    OWN = "its own account; the firm's account: all of the firm"
    VENUE = "every account, and the venue"


class Thing(Enum):
    """What can be done or read over some interface."""

    ENTER_ORDERS = "enter orders"
    CHANGE_ORDERS = "change orders"
    CANCEL_ORDERS = "cancel orders, one or all that match"
    BATCH_ORDERS = "enter, change and cancel orders in a batch"
    CANCEL_ON_DISCONNECT = "cancel on disconnect: of the session, of an account"
    CANCEL_FIRM_ON_DISCONNECT = "cancel on disconnect: of the whole firm"
    SET_SWITCH = "dead man's switch"
    FAUCET = "request test coins from a test-net's faucet"
    READ_ORDERS = "read orders, their reports and replays"
    READ_FILLS = "read fills, subscribe to trade capture"
    READ_MONEY = "read balances, holds, ledger, transfers, deposits, withdrawals, limits and fees"
    READ_SESSIONS = "read sessions, and the messages of FIX sessions"
    STREAM_ACCOUNT = "subscribe to private channels"
    REQUEST_WITHDRAWALS = "request, quote and cancel withdrawals"
    TRANSFER = "transfer within the firm"
    DECIDE_WITHDRAWALS = "approve and reject pending withdrawals"
    ADDRESS_BOOK = "read and change the address book"
    DEPOSIT_ADDRESSES = "request deposit addresses"
    READ_KEYS = "read API keys"
    MAKE_KEYS = "make API keys"
    REVOKE_KEYS = "revoke API keys"
    APPROVE_KEYS = "approve pending API keys"
    READ_WEBHOOKS = "read webhook endpoints and the log of their deliveries"
    MANAGE_WEBHOOKS = "register, change, test and delete webhook endpoints"
    REPORT_DEPOSITS = "report deposits"
    SUSPEND_ACCOUNTS = "suspend and resume accounts"
    HALT_INSTRUMENTS = "halt and resume instruments"
    SET_REFERENCE_PRICES = "set the reference price of an instrument"
    READ_MARKET = (
        "subscribe to market data by FIX; an order session only where it has `market_data = true`"
    )
    READ_REFERENCE = "read instruments, assets, networks and the public market"


class Row(NamedTuple):
    """One thing and who may do it; ``firm``: only who speaks for the whole firm."""

    thing: Thing
    own: tuple[Holder, ...]
    venue: tuple[Holder, ...] = ()
    firm: bool = False
    public: bool = False


_TRADERS: Final = (Holder.FIX_ORDER, Holder.TRADE)
_READERS: Final = (Holder.FIX_ORDER, Holder.FIX_DROP_COPY, Holder.READ)
_OPERATOR: Final = (Holder.OPERATOR,)

TABLE: Final = (
    Row(Thing.ENTER_ORDERS, _TRADERS),
    Row(Thing.CHANGE_ORDERS, _TRADERS),
    Row(Thing.CANCEL_ORDERS, _TRADERS),
    Row(Thing.BATCH_ORDERS, _TRADERS),
    Row(Thing.CANCEL_ON_DISCONNECT, _TRADERS),
    Row(Thing.CANCEL_FIRM_ON_DISCONNECT, _TRADERS, firm=True),
    Row(Thing.SET_SWITCH, (Holder.TRADE,)),
    Row(Thing.FAUCET, (Holder.TRADE,)),
    Row(Thing.READ_ORDERS, _READERS, _OPERATOR),
    Row(Thing.READ_FILLS, _READERS, _OPERATOR),
    Row(Thing.READ_MONEY, _READERS, _OPERATOR),
    Row(Thing.READ_SESSIONS, (Holder.READ,), _OPERATOR),
    Row(Thing.STREAM_ACCOUNT, (Holder.READ,)),
    Row(Thing.REQUEST_WITHDRAWALS, (Holder.WITHDRAW,)),
    Row(Thing.TRANSFER, (Holder.WITHDRAW,)),
    Row(Thing.DECIDE_WITHDRAWALS, (Holder.APPROVE,)),
    Row(Thing.ADDRESS_BOOK, (Holder.ADDRESS,)),
    Row(Thing.DEPOSIT_ADDRESSES, (Holder.ADDRESS,)),
    Row(Thing.READ_KEYS, (Holder.READ,), _OPERATOR),
    Row(Thing.MAKE_KEYS, (Holder.KEYS,)),
    Row(Thing.REVOKE_KEYS, (Holder.KEYS,), _OPERATOR),
    Row(Thing.APPROVE_KEYS, (Holder.APPROVE,)),
    Row(Thing.READ_WEBHOOKS, (Holder.READ,), _OPERATOR),
    Row(Thing.MANAGE_WEBHOOKS, (Holder.KEYS,)),
    Row(Thing.REPORT_DEPOSITS, (), _OPERATOR),
    Row(Thing.SUSPEND_ACCOUNTS, (), _OPERATOR),
    Row(Thing.HALT_INSTRUMENTS, (), _OPERATOR),
    Row(Thing.SET_REFERENCE_PRICES, (), _OPERATOR),
    Row(Thing.READ_MARKET, (Holder.FIX_ORDER, Holder.FIX_MARKET_DATA)),
    Row(Thing.READ_REFERENCE, tuple(Holder), public=True),
)
ROWS: Final = {row.thing: row for row in TABLE}

SCOPES: Final = (
    Holder.READ, Holder.TRADE, Holder.WITHDRAW, Holder.ADDRESS, Holder.APPROVE, Holder.KEYS,
    Holder.OPERATOR,
)  # fmt: skip
"""The holders that are scopes of API keys."""


def reach(holder: Holder, thing: Thing) -> Reach:
    """For whom a holder may do a thing."""
    row = ROWS[thing]
    if holder in row.venue:
        return Reach.VENUE
    return Reach.OWN if holder in row.own else Reach.NONE


def may(holders: Iterable[Holder], thing: Thing) -> Reach:
    """Return the widest reach that any of a key's scopes gives, or that of one session."""
    found = {reach(holder, thing) for holder in holders}
    for widest in (Reach.VENUE, Reach.OWN):
        if widest in found:
            return widest
    return Reach.NONE


def scope_of(thing: Thing) -> Holder | None:
    """Return the scope that a key needs for a thing; None if anybody may do it.

    Raises LookupError for a thing that no API key may do.
    """
    row = ROWS[thing]
    if row.public:
        return None
    for holder in (*row.own, *row.venue):
        if holder in SCOPES:
            return holder
    raise LookupError(f"no scope allows to {thing.value}")


def speaks_for_firm(account: str, firm: str) -> bool:
    """Return whether an account is the firm's main account, and not a sub-account."""
    return bool(account) and account == firm


def reaches(account: str, firm: str, other: str, other_firm: str) -> bool:
    """Return whether a holder for ``account`` of ``firm`` may act for and read another account."""
    if account == other:
        return bool(account)
    return speaks_for_firm(account, firm) and firm == other_firm


def accounts_of(account: str, firm: str, firm_accounts: Iterable[str]) -> frozenset[str]:
    """Return the accounts that ``account`` reaches, ``firm_accounts`` being all of its firm."""
    if speaks_for_firm(account, firm):
        return frozenset(firm_accounts) | {account}
    return frozenset((account,))
