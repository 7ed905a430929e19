"""A connection whose frames of every kind are processed at a bounded rate.

The WebSocket library parses everything that one read of the socket returned, and answers each
PING, before another connection has a turn; a read can contain forty thousand frames. Here it gets
the bytes in small pieces, a bounded number of frames a turn, and every frame is charged to a token
bucket: control frames to one, messages and their fragments to another, which is small until the
connection has logged in. While a bucket is empty the connection is not read, so a client that sends
too much waits in its own socket and costs others nothing.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from websockets.asyncio.server import ServerConnection
from websockets.frames import CloseCode, Frame, Opcode

PIECE_BYTES: Final = 512
"""Bytes given to the parser at once: at most some eighty frames of at least six bytes."""
FRAMES_PER_TURN: Final = 64
FRAGMENTS_MAX: Final = 256
"""Frames of one message; empty ones cost memory and count for no size."""
_CONTROL: Final = (Opcode.PING, Opcode.PONG, Opcode.CLOSE)


@dataclass(frozen=True, slots=True)
class Pace:
    """What a connection may send: so many a second, and so many at once."""

    per_s: float
    burst: int


CONTROLS: Final = Pace(10, 100)
"""Control frames. Most clients ping now and then; some do with every message."""
STRANGER: Final = Pace(20, 200)
"""Messages before a login: public channels and queries."""
KNOWN: Final = Pace(5_000, 10_000)
"""Messages after a login; the rate limits of the key are tighter, and answered singly."""


class Budget:
    """A token bucket that may be overdrawn by one piece."""

    __slots__ = ("_at", "_left", "_pace")

    def __init__(self, pace: Pace, now_s: float) -> None:
        self._pace = pace
        self._left = float(pace.burst)
        self._at = now_s

    def spend(self) -> None:
        """Take one token."""
        self._left -= 1.0

    def wait_s(self, now_s: float) -> float:
        """Return the seconds until there is a token; 0 if there is one."""
        pace = self._pace
        self._left = min(float(pace.burst), self._left + (now_s - self._at) * pace.per_s)
        self._at = now_s
        return 0.0 if self._left >= 1.0 else (1.0 - self._left) / pace.per_s


class PacedConnection(ServerConnection):
    """A server's connection that reads no more than its budgets allow."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.frames = 0
        """How many frames have been taken."""
        self._unread = bytearray()
        self._controls = Budget(CONTROLS, self.loop.time())
        self._messages = Budget(STRANGER, self.loop.time())
        self._fragments = 0
        self._queue_full = False
        self._refused = False
        self._later: asyncio.Handle | None = None

    def logged_in(self) -> None:
        """Count messages by the limits of the key from now on."""
        self._messages = Budget(KNOWN, self.loop.time())

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        # Unhandled messages and an empty bucket are two reasons not to read; both must be over.
        self.recv_messages.pause = self._hold
        self.recv_messages.resume = self._go_on

    def data_received(self, data: bytes) -> None:
        self._unread += data
        if self._later is None:
            self._take()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unread.clear()
        if self._later is not None:
            self._later.cancel()
            self._later = None
        super().connection_lost(exc)

    # How it is taken.

    def process_event(self, event: Any) -> None:
        if isinstance(event, Frame):
            self.frames += 1
            if event.opcode in _CONTROL:
                self._controls.spend()
            else:
                self._messages.spend()
                self._fragments = 0 if event.fin else self._fragments + 1
                if self._fragments > FRAGMENTS_MAX:
                    self._refuse(f"a message of more than {FRAGMENTS_MAX} fragments")
                    return
        super().process_event(event)

    def _hold(self) -> None:
        self._queue_full = True
        self.transport.pause_reading()

    def _go_on(self) -> None:
        self._queue_full = False
        if self._later is None:
            # Not at once: the queue is just being read.
            self._later = self.loop.call_soon(self._take)

    def _take(self) -> None:
        """Pass on what has arrived piece by piece, then resume reading."""
        self._later = None
        until = self.frames + FRAMES_PER_TURN
        while self._unread and not self._queue_full and not self._refused:
            now_s = self.loop.time()
            wait_s = max(self._controls.wait_s(now_s), self._messages.wait_s(now_s))
            if wait_s > 0:
                self.transport.pause_reading()
                self._later = self.loop.call_later(wait_s, self._take)
                return
            if self.frames >= until:
                self.transport.pause_reading()
                self._later = self.loop.call_soon(self._take)
                return
            piece = bytes(self._unread[:PIECE_BYTES])
            del self._unread[:PIECE_BYTES]
            super().data_received(piece)
        if self._queue_full or self._refused:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    def _refuse(self, reason: str) -> None:
        """Read nothing more, and close with a reason."""
        if not self._refused:
            self._refused = True
            self._unread.clear()
            self._closing = asyncio.ensure_future(self.close(CloseCode.POLICY_VIOLATION, reason))
