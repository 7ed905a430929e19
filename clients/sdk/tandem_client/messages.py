"""What a stream yields: the messages of its channels, and notices about the stream itself.

A message of a private channel has the ``account`` and its contiguous ``seq``. ``snapshot`` says
whether ``data`` is the whole state or what changed; spec/asyncapi.yaml describes both.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias

import msgspec

from tandem_client.book import Level
from tandem_client.document import Document, convert
from tandem_client.errors import AnswerNotUnderstood
from tandem_client.generated.events import (
    ORDER_EVENTS,
    TRANSFER_EVENTS,
    BalanceChange,
    Execution,
    LedgerEntry,
    PublicTrade,
)
from tandem_client.generated.models import BalanceView, OrderView

PUBLIC: Final = frozenset(("book", "trades"))
PRIVATE: Final = frozenset(("orders", "executions", "balances", "ledger", "transfers"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message of a channel."""

    snapshot: bool
    seq: int
    prev_seq: int
    as_of_seq: int
    time: datetime
    epoch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BookMessage(Message):
    """Levels of a book: all of them, or those that changed."""

    symbol: str
    status: str
    bids: list[Level]
    asks: list[Level]
    checksum: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TradesMessage(Message):
    """Public trades that this stream has not yielded before."""

    symbol: str
    trades: list[PublicTrade]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrdersMessage(Message):
    """The open orders, or an event: what its class is, ``event`` of the document says."""

    account: str
    data: list[OrderView] | Document


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionsMessage(Message):
    """A fill; None in a snapshot, which has none."""

    account: str
    data: Execution | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BalancesMessage(Message):
    """All balances, or those that changed."""

    account: str
    data: list[BalanceView] | list[BalanceChange]


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerMessage(Message):
    """Ledger entries; none in a snapshot."""

    account: str
    data: list[LedgerEntry]


@dataclass(frozen=True, slots=True, kw_only=True)
class TransfersMessage(Message):
    """Deposits and withdrawals that are under way, or an event."""

    account: str
    data: list[Document] | Document


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection is lost or silent; books are stale. The stream connects again by itself."""

    reason: str


@dataclass(frozen=True, slots=True)
class Reconnected:
    """There is a connection again. Private channels go on where they were, unless a Gap follows."""

    attempts: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Something cannot be made good, and a snapshot follows: what was yielded before is not all.

    ``reason``: ``gap_too_old``, ``unknown_seq`` or ``new_epoch`` for private channels of
    ``account``, whose missing fills and orders are in the history (``iter_fills``); ``lost`` or
    ``checksum`` for a book or for trades.
    """

    channels: tuple[str, ...]
    account: str
    symbol: str
    reason: str


class UnknownEvent(Document, frozen=True, kw_only=True):
    """An event that this version does not know."""

    event: str
    members: dict[str, Any]


StreamItem: TypeAlias = (
    BookMessage | TradesMessage | OrdersMessage | ExecutionsMessage | BalancesMessage
    | LedgerMessage | TransfersMessage | Disconnected | Reconnected | Gap
)


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """A frame as it comes: an answer has ``op``, a message of a channel has ``channel``."""

    op: str = ""
    req_id: int | str | None = None
    ok: bool = False
    status: int = 0
    replayed: bool = False
    error: dict[str, Any] | None = None
    channel: str = ""
    epoch: str = ""
    type: str = ""
    account: str = ""
    seq: int = 0
    prev_seq: int = 0
    as_of_seq: int = 0
    ts: datetime | None = None
    data: msgspec.Raw = msgspec.Raw(b"null")


class BookData(msgspec.Struct, frozen=True):
    """The data of a book's message."""

    symbol: str
    status: str
    bids: list[Level]
    asks: list[Level]
    checksum: int


class Beat(msgspec.Struct, frozen=True):
    """The data of a heartbeat."""

    engine_connected: bool
    book: dict[str, int]
    trades: dict[str, int]
    accounts: dict[str, int]


def parse(text: str | bytes) -> Frame:
    """Read a frame. Raises AnswerNotUnderstood."""
    frame: Frame = read(text, Frame)
    return frame


def read(text: str | bytes | msgspec.Raw, kind: Any) -> Any:
    """Read a part of a frame as a type. Raises AnswerNotUnderstood."""
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, ValueError) as error:
        raise AnswerNotUnderstood(f"The stream sent what cannot be read: {error}.") from error


def private_message(frame: Frame) -> StreamItem:
    """Return the message of a private channel. Raises AnswerNotUnderstood."""
    head = _head(frame)
    match frame.channel:
        case "orders":
            return OrdersMessage(**head, data=_orders(frame))
        case "executions":
            data = None if head["snapshot"] else read(frame.data, Execution)
            return ExecutionsMessage(**head, data=data)
        case "balances":
            kind = BalanceView if head["snapshot"] else BalanceChange
            return BalancesMessage(**head, data=read(frame.data, list[kind]))  # type: ignore[valid-type]
        case "ledger":
            return LedgerMessage(**head, data=read(frame.data, list[LedgerEntry]))
        case _:
            return TransfersMessage(**head, data=_transfers(frame))


def book_message(frame: Frame, data: BookData) -> BookMessage:
    """Return the message of a book."""
    return BookMessage(
        **_head(frame, private=False), symbol=data.symbol, status=data.status, bids=data.bids,
        asks=data.asks, checksum=data.checksum,
    )  # fmt: skip


def trades_message(frame: Frame, symbol: str, trades: list[PublicTrade]) -> TradesMessage:
    """Return the message of new trades."""
    return TradesMessage(**_head(frame, private=False), symbol=symbol, trades=trades)


def _head(frame: Frame, private: bool = True) -> dict[str, Any]:
    head: dict[str, Any] = {
        "snapshot": frame.type == "snapshot", "seq": frame.seq, "prev_seq": frame.prev_seq,
        "as_of_seq": frame.as_of_seq, "time": frame.ts, "epoch": frame.epoch,
    }  # fmt: skip
    return head | ({"account": frame.account} if private else {})


def _orders(frame: Frame) -> list[OrderView] | Document:
    if frame.type == "snapshot":
        found: list[OrderView] = read(frame.data, list[OrderView])
        return found
    return _event(read(frame.data, dict[str, Any]), ORDER_EVENTS)


def _transfers(frame: Frame) -> list[Document] | Document:
    if frame.type == "snapshot":
        rows = read(frame.data, list[dict[str, Any]])
        return [_event(row, TRANSFER_EVENTS) for row in rows]
    return _event(read(frame.data, dict[str, Any]), TRANSFER_EVENTS)


def _event(row: dict[str, Any], known: dict[str, type[Document]]) -> Document:
    name = str(row.get("event", ""))
    kind = known.get(name)
    return UnknownEvent(event=name, members=row) if kind is None else convert(row, kind)
