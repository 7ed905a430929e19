"""The queries that the engine answers: each declared once, for all clients and for the server.

A query is a message, as a command is: a class with its name on the wire, its arguments and the
type of its answer. ``client.fetch(queries.Book("BTC-USD", 10)).value`` asks it, and
``engine.server.queries`` has the handler of each. Every answer comes with the sequence that it
is true of.
"""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar, Generic, TypeVar, get_args

import msgspec
from msgspec.msgpack import Decoder

from engine import wire
from engine.core import types
from engine.core.instruments import Instrument

T = TypeVar("T")


class Query(msgspec.Struct, Generic[T], frozen=True, forbid_unknown_fields=True):
    """A question to the engine, answered with a ``T``; its fields are its arguments."""

    name: ClassVar[str]
    """What it is called on the wire."""

    def decode(self, body: msgspec.Raw) -> T:
        """Decode the body of an answer. Raises WireError."""
        try:
            answer: T = _decoder(type(self)).decode(body)
        except msgspec.MsgspecError as error:
            raise wire.WireError(f"the engine's answer is malformed: {error}") from None
        return answer


@cache
def _decoder(kind: type[Query[Any]]) -> Decoder[Any]:
    """Make the decoder of a query's answers, when the first of them arrives."""
    return Decoder(answer_type(kind))


def answer_type(kind: type[Query[Any]]) -> Any:
    """Return the type that a query promises of its answer."""
    return get_args(kind.__dict__["__orig_bases__"][0])[0]


class Status(Query[types.EngineStatus], frozen=True):
    """Where the engine stands."""

    name: ClassVar = "status"


class Metrics(Query[types.EngineMetrics], frozen=True):
    """What the engine has counted since its start."""

    name: ClassVar = "figures"


class Forget(Query[int], frozen=True):
    """Have the engine serve nothing before ``seq`` any more; the oldest that it still does."""

    name: ClassVar = "forget"
    seq: int


class Assets(Query[list[types.AssetRow]], frozen=True):
    """Every asset and its scale."""

    name: ClassVar = "assets"


class Networks(Query[list[types.NetworkRow]], frozen=True):
    """Every network of every asset."""

    name: ClassVar = "networks"


class Instruments(Query[list[Instrument]], frozen=True):
    """Every instrument's grid."""

    name: ClassVar = "instruments"


class InstrumentStates(Query[list[types.InstrumentRow]], frozen=True):
    """Status and last price of every instrument."""

    name: ClassVar = "instrument_states"


class Accounts(Query[list[types.AccountRow]], frozen=True):
    """Every account, or those of one firm."""

    name: ClassVar = "accounts"
    firm: str = ""


class Balances(Query[list[types.Balance]], frozen=True):
    """Money of an account in every asset it has ever held; unknown account: empty."""

    name: ClassVar = "balances"
    account: str


class Holds(Query[list[types.Hold]], frozen=True):
    """What is set aside for the account's open orders and withdrawals."""

    name: ClassVar = "holds"
    account: str


class OpenOrders(Query[list[types.OrderRow]], frozen=True):
    """Open orders of an account (or of its whole firm) that every given filter matches."""

    name: ClassVar = "open_orders"
    account: str
    firm_wide: bool = False
    symbol: str = ""
    strategy: str = ""
    session: str = ""
    side: types.Side | None = None


class Order(Query[types.OrderRow | None], frozen=True):
    """An order of the account, open, or closed and still in memory.

    ``account`` "" finds any by its ``order_id``.
    """

    name: ClassVar = "order"
    account: str
    client_order_id: str = ""
    order_id: int = 0


class Book(Query[types.BookRow | None], frozen=True):
    """The best ``depth`` levels of each side."""

    name: ClassVar = "book"
    symbol: str
    depth: int = 10


class BookOrders(Query[types.BookOrders | None], frozen=True):
    """Every order that the public book shows, each level's in their priority."""

    name: ClassVar = "book_orders"
    symbol: str


class Withdrawal(Query[types.Withdrawal | None], frozen=True):
    """A withdrawal of the account; ``account`` "" finds any by its number."""

    name: ClassVar = "withdrawal"
    account: str
    withdrawal_id: int = 0
    client_withdrawal_id: str = ""


class Withdrawals(Query[list[types.Withdrawal]], frozen=True):
    """Withdrawals of an account or of all, by number."""

    name: ClassVar = "withdrawals"
    account: str = ""
    open_only: bool = False


class Deposits(Query[list[types.Deposit]], frozen=True):
    """Deposits of an account."""

    name: ClassVar = "deposits"
    account: str


class Addresses(Query[list[types.Address]], frozen=True):
    """The account's address book."""

    name: ClassVar = "addresses"
    account: str


class DepositAddresses(Query[list[types.DepositAddress]], frozen=True):
    """Where the account's deposits are to be sent."""

    name: ClassVar = "deposit_addresses"
    account: str


class Limits(Query[types.AccountLimits | None], frozen=True):
    """What bounds the account's withdrawals on a UTC day, counted since 1970."""

    name: ClassVar = "limits"
    account: str
    day: int


class Session(Query[types.SessionRow | None], frozen=True):
    """What the engine remembers of a session, by its ``Origin.source``."""

    name: ClassVar = "session"
    session: str


class Sessions(Query[list[types.SessionRow]], frozen=True):
    """Every session that the engine remembers."""

    name: ClassVar = "sessions"


class Transaction(Query[wire.Transaction], frozen=True):
    """The transaction ``seq``; refused as gap_too_old when it was archived."""

    name: ClassVar = "transaction"
    seq: int

    def decode(self, body: msgspec.Raw) -> wire.Transaction:
        """Decode the bytes of the journal that the answer holds. Raises WireError."""
        try:
            return wire.decode_transaction(msgspec.msgpack.decode(body, type=bytes))
        except msgspec.MsgspecError as error:
            raise wire.WireError(f"the engine's answer is malformed: {error}") from None


class Cluster(Query[types.ClusterStatus | None], frozen=True):
    """The cluster as this member knows it; None on a single machine."""

    name: ClassVar = "cluster"


class Crc(Query[int], frozen=True):
    """The chained crc of the transaction ``seq``; refused as gap_too_old when it was archived."""

    name: ClassVar = "crc"
    seq: int


class Locate(Query[int], frozen=True):
    """Seq of the first transaction that holds that ``account_seq`` of the account, or
    would: one past the last one when the account has not come so far."""

    name: ClassVar = "locate"
    account: str
    account_seq: int


class AccountSnapshot(Query[types.AccountSnapshot | None], frozen=True):
    """Balances, open orders and open withdrawals of an account at one point."""

    name: ClassVar = "account_snapshot"
    account: str


class StoredRecords(Query[types.StoredRecords], frozen=True):
    """What of a collection has changed after the version ``after``; 0: all of it."""

    name: ClassVar = "stored_records"
    collection: str
    after: int = 0


class Standing(Query[types.Standing], frozen=True):
    """Whether the engine leads, and how old its state may be."""

    name: ClassVar = "standing"


class Check(Query[list[str]], frozen=True):
    """Run the invariant checks; empty when all hold."""

    name: ClassVar = "check"


class StateHash(Query[str], frozen=True):
    """The hash of the whole state."""

    name: ClassVar = "state_hash"
