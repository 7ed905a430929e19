"""The common part of the engine clients: errors, outcomes, and the protocol without any I/O.

``ClientCore`` turns calls into bytes and received bytes into completed requests and
transactions. It never touches a socket or a clock; the thread client and the asyncio client
do that around it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Literal, Protocol, TypeVar

import msgspec

from engine import wire
from engine.core.commands import COMMAND_KINDS, Command
from engine.wire import Transaction

CLIENT_FRAMES_PER_SEND: int = 4096
"""Bound on the commands of one ``post``; more are refused before anything is sent."""
BACKOFF_FIRST_S: Final = 0.05
BACKOFF_MAX_S: Final = 0.25
"""A failed connect costs microseconds, so retries are frequent and find a restarted engine soon."""
MIN_SEQ_GRACE_S: Final = 1.0
"""A query with min_seq waits this much longer, so that the engine's own timeout comes first."""


class EngineError(Exception):
    """Base class of everything that a call of an engine client can raise."""


class EngineUnavailable(EngineError):
    """The engine could not be reached, or the connection was lost.

    ``outcome`` is "not_applied" if the command was never sent, and "unknown" if it was:
    then the same command sent again is recognized and not executed twice.
    """

    def __init__(self, text: str, outcome: Literal["not_applied", "unknown"]) -> None:
        super().__init__(text)
        self.outcome: Literal["not_applied", "unknown"] = outcome


class EngineTimeout(EngineError):
    """No answer in time; whether the command was executed is unknown."""

    outcome: Literal["unknown"] = "unknown"


class EngineRefused(EngineError):
    """The engine could not serve a frame; ``code`` is stable, ``text`` is for a person."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{text} ({code})")
        self.code = code
        self.text = text


class GapTooOld(EngineRefused):
    """The requested transaction is older than the oldest that the engine keeps."""


class SubscriptionDropped(EngineError):
    """The engine ended the connection; ``seq`` is the last transaction that it sent."""

    def __init__(self, reason: str, seq: int) -> None:
        super().__init__(f"the engine dropped this subscription after seq {seq}: {reason}")
        self.reason = reason
        self.seq = seq


@dataclass(frozen=True, slots=True)
class Outcome:
    """The transaction of a durable command. ``duplicate``: it had been executed before."""

    transaction: Transaction
    duplicate: bool


class Handle(Protocol):
    """The part of a future (of threads or asyncio) that the core uses."""

    def done(self) -> bool: ...
    def set_result(self, result: Any, /) -> None: ...
    def set_exception(self, exception: BaseException, /) -> None: ...


H = TypeVar("H", bound=Handle)


@dataclass(slots=True)
class Received(Generic[H]):
    """The results of one piece of the byte stream.

    ``completed`` pairs each finished request with its Outcome, Answer, or exception.
    """

    welcome: wire.Welcome | None = None
    completed: list[tuple[H, Any]] = field(default_factory=list)
    transactions: list[Transaction] = field(default_factory=list)
    dropped: wire.Dropped | None = None
    failed: wire.Failed | None = None
    """The engine refused the connection as a whole, and closes it."""


class Backoff:
    """The pauses between attempts to connect: each is twice the one before, up to a maximum."""

    def __init__(self) -> None:
        self._pause_s = BACKOFF_FIRST_S

    def failed(self) -> float:
        """Count a failed attempt; return the pause before the next one, in seconds."""
        pause_s = self._pause_s
        self._pause_s = min(2 * pause_s, BACKOFF_MAX_S)
        return pause_s

    def reset(self) -> None:
        """Begin with the shortest pause again, after a successful attempt."""
        self._pause_s = BACKOFF_FIRST_S


def refusal(code: str, text: str) -> EngineRefused:
    """Return the exception for a Failed frame."""
    return GapTooOld(code, text) if code == "gap_too_old" else EngineRefused(code, text)


class ClientCore(Generic[H]):
    """One connection's protocol state. Not thread-safe: the caller holds a lock."""

    def __init__(self, name: str, silence_s: float = 0.0) -> None:
        self.name = name
        self._silence_ms = round(silence_s * 1_000)
        self.decode: Callable[[msgspec.Raw], Any] = wire.decode_transaction
        """Makes what a subscription delivers of an encoded transaction; the result has ``seq``."""
        self.next_seq = 0
        """The next transaction expected by an unfiltered subscription, 0 without one."""
        self._buffer = bytearray()
        self._pending: dict[int, H] = {}
        self._commands: set[int] = set()
        self._last_id = 0

    def hello(self) -> bytes:
        """Return the first frame of a connection."""
        return wire.encode_frame(wire.Hello(wire.PROTOCOL_VERSION, self.name, self._silence_ms))

    def submit(self, command: Command, handle: H) -> tuple[int, bytes]:
        """Register a command whose Result ``handle`` waits for."""
        number = self._register(handle)
        self._commands.add(number)
        kind = COMMAND_KINDS[type(command)]
        frame = wire.Submit(number, kind, wire.encode_command(command))
        return number, self._encode(number, frame)

    @staticmethod
    def post(commands: Iterable[Command]) -> bytes:
        """Encode commands that need no Result, as one piece of bytes."""
        parts = [
            wire.encode_frame(
                wire.Submit(0, COMMAND_KINDS[type(command)], wire.encode_command(command))
            )
            for command in commands
        ]
        if len(parts) > CLIENT_FRAMES_PER_SEND:
            raise ValueError(
                f"{len(parts)} commands in one post are above the limit "
                f"{CLIENT_FRAMES_PER_SEND}; post them in pieces"
            )
        return b"".join(parts)

    def ask(
        self, query: str, arguments: dict[str, Any], min_seq: int, handle: H
    ) -> tuple[int, bytes]:
        """Register a query."""
        number = self._register(handle)
        return number, self._encode(number, wire.Ask(number, query, arguments, min_seq))

    def subscribe(
        self,
        from_seq: int,
        accounts: tuple[str, ...],
        handle: H,
        decode: Callable[[msgspec.Raw], Any] = wire.decode_transaction,
    ) -> tuple[int, bytes]:
        """Register a subscription; ``handle`` completes when the engine has accepted it."""
        number = self._register(handle)
        self.decode = decode
        self.next_seq = 0 if accounts else max(1, from_seq)
        return number, self._encode(number, wire.Subscribe(number, from_seq, accounts))

    def forget(self, number: int) -> None:
        """Stop waiting for a request; a late answer is ignored."""
        self._pending.pop(number, None)
        self._commands.discard(number)

    def feed(self, data: bytes | memoryview) -> Received[H]:
        """Process received bytes. Raises WireError if they are malformed."""
        self._buffer += data
        received: Received[H] = Received()
        for body in wire.split_frames(self._buffer, wire.ENGINE_FRAME_BYTES_MAX):
            self._take(wire.decode_engine_frame(body), received)
        return received

    def lose(self) -> list[tuple[H, bool]]:
        """Return every waiting request of a lost connection, and whether it was a command."""
        lost = [(handle, number in self._commands) for number, handle in self._pending.items()]
        self._pending.clear()
        self._commands.clear()
        self._buffer.clear()
        return lost

    def _register(self, handle: H) -> int:
        self._last_id += 1
        self._pending[self._last_id] = handle
        return self._last_id

    def _encode(self, number: int, frame: wire.ClientFrame) -> bytes:
        """Encode a registered request; unregister it if it cannot be encoded."""
        try:
            return wire.encode_frame(frame)
        except BaseException:
            self.forget(number)
            raise

    def _take(self, frame: wire.EngineFrame, received: Received[H]) -> None:
        if isinstance(frame, wire.Published):
            transaction = self.decode(frame.transaction)
            if self.next_seq:
                if transaction.seq != self.next_seq:
                    raise wire.WireError(
                        f"the engine published seq {transaction.seq} where {self.next_seq} "
                        "was expected"
                    )
                self.next_seq += 1
            received.transactions.append(transaction)
        elif isinstance(frame, wire.Result):
            outcome = Outcome(wire.decode_transaction(frame.transaction), frame.duplicate)
            self._complete(frame.id, outcome, received)
        elif isinstance(frame, wire.Answer):
            self._complete(frame.id, frame, received)
        elif isinstance(frame, wire.Failed):
            if frame.id == 0:
                received.failed = frame
            self._complete(frame.id, refusal(frame.code, frame.text), received)
        elif isinstance(frame, wire.Welcome):
            received.welcome = frame
        else:
            received.dropped = frame

    def _complete(self, number: int, value: Any, received: Received[H]) -> None:
        handle = self._pending.pop(number, None)
        self._commands.discard(number)
        if handle is not None:
            received.completed.append((handle, value))


def settle(handle: Handle, value: Any) -> None:
    """Give a handle its value or exception, unless its waiter has gone."""
    if handle.done():
        return
    if isinstance(value, BaseException):
        handle.set_exception(value)
    else:
        handle.set_result(value)


def lost_error(command: bool, path: str) -> EngineUnavailable:
    """Return the exception for a request that was waiting when the connection was lost."""
    if command:
        return EngineUnavailable(
            f"the connection to the engine at {path} was lost before the answer came", "unknown"
        )
    return EngineUnavailable(f"the connection to the engine at {path} was lost", "not_applied")
