"""Frames of the local socket and records of the journal, as bytes. Specified in spec/IPC.md.

A frame is a 4-byte big-endian length and a msgpack array whose first element is its kind.
A command inside a frame stays raw until the engine decodes it with the type of its kind,
so that there is one definition of a command (``engine.core.commands``) and full validation
at C speed. A transaction is encoded once; the journal and every subscriber get the same bytes.
"""

from __future__ import annotations

import struct
from typing import Any, Final, NamedTuple

import msgspec

from engine.core.commands import (
    COMMAND_KINDS,
    Batch,
    CancelOrder,
    Command,
    NewOrder,
    RecordRefusal,
    ReplaceOrder,
)
from engine.core.events import EVENT_KINDS, Event
from engine.core.types import BatchMode, Origin

PROTOCOL_VERSION: Final = 1
FRAME_BYTES_MAX: Final = 1 << 20
"""Bound on a frame that a client sends."""
ENGINE_FRAME_BYTES_MAX: Final = 1 << 30
"""Bound on a frame that the engine sends. Transactions are far smaller (rule M-10); an answer
to a query may be large, and so may a transaction from before that rule."""
RECORD_BYTES_MAX: Final = 1 << 26
"""Bound on a transaction that the engine commits; the largest possible is 16 times smaller."""
HEADER: Final = struct.Struct(">I")
EMPTY: Final = msgspec.Raw(b"\xc0")
"""The body of an Answer that only confirms."""


class WireError(ValueError):
    """Bytes that are not a valid frame or record; the message says what is wrong."""


class FrameTooLong(WireError):
    """A frame announces more bytes than allowed; ``frames`` are those complete before it."""

    def __init__(self, length: int, limit: int, frames: list[bytes]) -> None:
        super().__init__(f"a frame of {length} bytes is above the limit of {limit} bytes")
        self.frames = frames


class Hello(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """First frame of a client: who it is and which protocol it speaks.

    With ``silence_ms`` other than 0 it sends something more often than that; the engine ends the
    connection of one that does not.
    """

    version: int
    name: str
    silence_ms: int = 0


class Submit(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """One command. With ``id`` 0 there is no Result."""

    id: int
    kind: int
    command: msgspec.Raw


class Ask(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """A query, answered from committed state; ``min_seq`` waits, bounded, for a sequence."""

    id: int
    query: str
    arguments: dict[str, Any]
    min_seq: int = 0


class Subscribe(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """Send every transaction from ``from_seq`` on, then live (``accounts`` empty: all)."""

    id: int
    from_seq: int
    accounts: tuple[str, ...] = ()


class Welcome(msgspec.Struct, frozen=True, array_like=True, tag=11):
    """The engine's answer to Hello. ``boot_id`` changes with every start of the engine.

    ``role`` is "leader" where commands are executed, "follower" where they are forwarded.
    """

    version: int
    boot_id: str
    seq: int
    first_seq: int
    role: str = "leader"


class Result(msgspec.Struct, frozen=True, array_like=True, tag=12):
    """A command is durable. ``duplicate``: it was executed before, and this is its transaction."""

    id: int
    duplicate: bool
    transaction: msgspec.Raw


class Answer(msgspec.Struct, frozen=True, array_like=True, tag=13):
    """Answer to a query, as of ``seq``; with an empty body the confirmation of Subscribe."""

    id: int
    seq: int
    body: msgspec.Raw


class Failed(msgspec.Struct, frozen=True, array_like=True, tag=14):
    """A frame could not be served; ``code`` is stable, ``text`` is for a person."""

    id: int
    code: str
    text: str


class Published(msgspec.Struct, frozen=True, array_like=True, tag=15):
    """One committed transaction, for a subscriber."""

    transaction: msgspec.Raw


class Dropped(msgspec.Struct, frozen=True, array_like=True, tag=16):
    """The reason why the engine closes this connection; ``seq`` is the last one it sent."""

    reason: str
    seq: int


ClientFrame = Hello | Submit | Ask | Subscribe
EngineFrame = Welcome | Result | Answer | Failed | Published | Dropped


class Transaction(NamedTuple):
    """A stamped command and its events; ``events`` in order of happening."""

    seq: int
    time_us: int
    command: Command
    events: tuple[Event, ...]


_encoder: Final = msgspec.msgpack.Encoder()
_client_frames: Final = msgspec.msgpack.Decoder(ClientFrame)
_engine_frames: Final = msgspec.msgpack.Decoder(EngineFrame)


class _RawTransaction(NamedTuple):
    seq: int
    time_us: int
    kind: int
    command: msgspec.Raw
    events: tuple[tuple[int, msgspec.Raw], ...]


class _RawBatch(NamedTuple):
    origin: Origin
    account: str
    batch_id: str
    mode: BatchMode
    entries: tuple[tuple[int, msgspec.Raw], ...]
    echo: str = ""


_raw_transactions: Final = msgspec.msgpack.Decoder(_RawTransaction)
_raw_batches: Final = msgspec.msgpack.Decoder(_RawBatch)
_command_decoders: Final[dict[int, msgspec.msgpack.Decoder[Any]]] = {
    kind: msgspec.msgpack.Decoder(command)
    for command, kind in COMMAND_KINDS.items()
    if command is not Batch
}
_event_decoders: Final[dict[int, msgspec.msgpack.Decoder[Any]]] = {
    kind: msgspec.msgpack.Decoder(event) for event, kind in EVENT_KINDS.items()
}
_ENTRY_KINDS: Final = frozenset(
    COMMAND_KINDS[kind] for kind in (NewOrder, CancelOrder, ReplaceOrder, RecordRefusal)
)


def _encodable(command: Command) -> tuple[Any, ...]:
    """Return a command as the tuple to encode; the entries of a batch carry their kinds."""
    if type(command) is Batch:
        entries = tuple((COMMAND_KINDS[type(entry)], entry) for entry in command.entries)
        return (*command[:4], entries, command.echo)
    return command


def encode_command(command: Command) -> msgspec.Raw:
    """Encode a command for Submit."""
    return msgspec.Raw(_encoder.encode(_encodable(command)))


def decode_command(kind: int, raw: msgspec.Raw | bytes) -> Command:
    """Decode and validate a command of the given kind. Raises WireError."""
    try:
        if kind == COMMAND_KINDS[Batch]:
            batch = _raw_batches.decode(raw)
            for entry_kind, _ in batch.entries:
                if entry_kind not in _ENTRY_KINDS:
                    raise WireError(f"a batch cannot hold a command of kind {entry_kind}")
            entries = tuple(_command_decoders[k].decode(body) for k, body in batch.entries)
            return Batch(*batch[:4], entries, batch.echo)
        return _command_decoders[kind].decode(raw)  # type: ignore[no-any-return]
    except KeyError:
        raise WireError(f"there is no command of kind {kind}") from None
    except (msgspec.MsgspecError, RecursionError) as error:
        raise WireError(f"command of kind {kind} is malformed: {error}") from None


def encode_transaction(
    seq: int, time_us: int, command: Command, events: tuple[Event, ...] | list[Event]
) -> bytes:
    """Encode a transaction once, for the journal and for every subscriber."""
    return _encoder.encode(
        (
            seq,
            time_us,
            COMMAND_KINDS[type(command)],
            _encodable(command),
            [(EVENT_KINDS[type(event)], event) for event in events],
        )
    )


def decode_transaction(raw: msgspec.Raw | bytes) -> Transaction:
    """Decode the result of ``encode_transaction``. Raises WireError."""
    try:
        seq, time_us, kind, command, events = _raw_transactions.decode(raw)
        return Transaction(
            seq,
            time_us,
            decode_command(kind, command),
            tuple(_event_decoders[k].decode(body) for k, body in events),
        )
    except KeyError as error:
        raise WireError(f"a transaction holds an event of unknown kind {error}") from None
    except msgspec.MsgspecError as error:
        raise WireError(f"a transaction is malformed: {error}") from None


def transaction_seq(body: bytes | memoryview) -> int:
    """Return the sequence number of an encoded transaction, without the rest. Raises WireError."""
    try:
        seq: int = _raw_transactions.decode(body).seq
        return seq
    except msgspec.MsgspecError as error:
        raise WireError(f"a transaction is malformed: {error}") from None


def encode_value(value: Any) -> bytes:
    """Encode the body of an Answer."""
    return _encoder.encode(value)


def encode_frame(frame: ClientFrame | EngineFrame) -> bytes:
    """Encode a frame with its length in front. Raises WireError above the size limit."""
    body = _encoder.encode(frame)
    limit = FRAME_BYTES_MAX if isinstance(frame, ClientFrame) else ENGINE_FRAME_BYTES_MAX
    if len(body) > limit:
        raise WireError(f"a frame of {len(body)} bytes is above the limit {limit}")
    return HEADER.pack(len(body)) + body


def published_frame(transaction: bytes) -> bytes:
    """Return the frame ``Published(transaction)``, assembled without encoding it again."""
    return HEADER.pack(len(transaction) + 2) + b"\x92\x0f" + transaction


def result_frame(number: int, duplicate: bool, transaction: bytes) -> bytes:
    """Return the frame ``Result(number, duplicate, transaction)``."""
    return encode_frame(Result(number, duplicate, msgspec.Raw(transaction)))


def raw(body: bytes) -> msgspec.Raw:
    """Return bytes that are encoded already."""
    return msgspec.Raw(body)


def split_frames(buffer: bytearray, limit: int) -> list[bytes]:
    """Remove and return the complete frames at the front of ``buffer``; the rest is incomplete.

    Raises WireError when a length is above ``limit``, before that frame is read.
    """
    frames: list[bytes] = []
    position, size = 0, len(buffer)
    while size - position >= 4:
        (length,) = HEADER.unpack_from(buffer, position)
        if length > limit:
            del buffer[:position]
            raise FrameTooLong(length, limit, frames)
        end = position + 4 + length
        if end > size:
            break
        frames.append(bytes(buffer[position + 4 : end]))
        position = end
    if position:
        del buffer[:position]
    return frames


def transaction_accounts(transaction: Transaction) -> set[str]:
    """Return the accounts that a transaction concerns: of its command and of its events."""
    accounts = {event.account for event in transaction.events}
    account = getattr(transaction.command, "account", "")
    if account:
        accounts.add(account)
    accounts.discard("")
    return accounts


def decode_client_frame(body: bytes | memoryview) -> ClientFrame:
    """Decode a frame that a client sent. Raises WireError."""
    try:
        frame: ClientFrame = _client_frames.decode(body)
        return frame
    except (msgspec.MsgspecError, RecursionError) as error:
        raise WireError(f"malformed frame: {error}") from None


def decode_engine_frame(body: bytes | memoryview) -> EngineFrame:
    """Decode a frame that the engine sent. Raises WireError."""
    try:
        frame: EngineFrame = _engine_frames.decode(body)
        return frame
    except (msgspec.MsgspecError, RecursionError) as error:
        raise WireError(f"malformed frame: {error}") from None
