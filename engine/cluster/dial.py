"""One connection to the leader, from its beginning to its end; without a thread or a lock.

``Link`` calls ``advance`` when the socket is ready or a deadline has come, and asks ``events``
and ``deadline`` what to wait for. Times are monotonic seconds, passed with the calls.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
from collections import deque
from typing import Final, NamedTuple, TypeAlias

from engine import wire
from engine.queries import Standing
from engine.server.tls import (
    RECEIVE_BYTES,
    Contexts,
    TlsError,
    TlsSocket,
    scratch,
    split_address,
    tune,
)
from engine.wire import EngineFrame

PING_ID: Final = (1 << 63) - 1
"""The id of the link's own questions, whose answers are not passed on."""
PING: Final = wire.encode_frame(wire.Ask(PING_ID, Standing.name, {}))
SEND_CHUNK_BYTES: Final = 1 << 18


class LinkLimits(NamedTuple):
    """Bounds of a link: deadlines in seconds, queues and frames in bytes.

    Beyond ``inbox_bytes_max`` nothing is received until the frames that have arrived are taken; one
    frame that is larger is received whole.
    """

    connect_s: float = 1.0
    welcome_s: float = 2.0
    """From the TCP connection to Welcome, the handshake included."""
    ping_s: float = 0.5
    """A question is sent this often, so that each side hears the other."""
    silence_s: float = 3.0
    inbox_bytes_max: int = 64 << 20
    outbox_bytes_max: int = 64 << 20
    frame_bytes_max: int = wire.RECORD_BYTES_MAX + 1024


class Buffers:
    """What the connections of one thread share, because they follow one another."""

    def __init__(self) -> None:
        self.encrypted = scratch()
        self.received = memoryview(bytearray(RECEIVE_BYTES))


class Fresh(NamedTuple):
    """Whoever has everything up to ``seq`` has all that the cluster had at ``at`` (monotonic).

    It may arrive before what it speaks of: a subscriber that is behind is served piece by piece.
    """

    at: float
    seq: int


Carried: TypeAlias = EngineFrame | Fresh


class Dial:
    """Connects to ``address``, is welcomed, and carries frames until ``ended`` says why not.

    Of the addresses that a name has, ``attempt`` chooses one after the other.
    """

    def __init__(
        self, address: str, attempt: int, contexts: Contexts, name: str, limits: LinkLimits,
        buffers: Buffers, now: float,
    ) -> None:  # fmt: skip
        self.address = address
        self.welcome: wire.Welcome | None = None
        self.ended: str | None = None
        """The reason why nothing arrives any more, once it is so."""
        self.up_since = 0.0
        self.arrived_bytes = 0
        """Size of what the last ``advance`` has received."""
        self._contexts = contexts
        self._hello = wire.encode_frame(wire.Hello(wire.PROTOCOL_VERSION, name))
        self._limits = limits
        self._buffers = buffers
        self._socket: socket.socket | None = None
        self._tls: TlsSocket | None = None
        self._shaken = False
        self._inbox = bytearray()
        self._parts: deque[bytes] = deque()
        self._chunk = memoryview(b"")
        self._bytes = 0
        self._blocked = False
        self._paused = False
        self._last_words = ""
        self._since = now
        """When the present state began: connecting, or being welcomed."""
        self._heard_at = now
        self._ping_at = now
        self._asked: deque[float] = deque()
        """When the questions were sent that are not answered yet."""
        self._host, port = split_address(address)
        try:
            found = socket.getaddrinfo(self._host, port, type=socket.SOCK_STREAM)
            family, kind, protocol, _, where = found[attempt % len(found)]
            self._socket = socket.socket(family, kind, protocol)
            tune(self._socket, limits.silence_s)
            code = self._socket.connect_ex(where)
            if code not in (0, errno.EINPROGRESS):
                raise OSError(code, os.strerror(code))
        except OSError as error:
            self.ended = f"no connection to {address}: {error.strerror or error}"

    @property
    def peer(self) -> str:
        """Return the name in the leader's certificate."""
        return self._tls.peer if self._tls is not None else ""

    @property
    def unsent_bytes(self) -> int:
        """Return the size of what is queued and not sent yet."""
        return self._bytes

    def fileno(self) -> int:
        """Return the descriptor, -1 if there is none."""
        return self._socket.fileno() if self._socket is not None else -1

    def close(self) -> None:
        """Close the socket; nothing is called afterwards."""
        if self._socket is not None:
            self._socket.close()

    def queue(self, data: bytes) -> None:
        """Queue whole frames; they leave with the next ``advance``."""
        self._parts.append(data)
        self._bytes += len(data)

    def pause(self, paused: bool, now: float) -> None:
        """Receive nothing for now, or receive again."""
        if self._paused and not paused:
            self._heard_at = now
        self._paused = paused

    def events(self) -> int:
        """Return the events of the selector to wait for; 0 if only ``pause`` ends the wait."""
        if self._tls is None:
            return selectors.EVENT_WRITE
        if not self._shaken:
            wants = self._tls.waits_to_send
            return selectors.EVENT_WRITE if wants else selectors.EVENT_READ
        reads = 0 if self._paused else selectors.EVENT_READ
        return reads | (selectors.EVENT_WRITE if self._blocked else 0)

    def deadline(self) -> float:
        """Return when ``advance`` is due even though nothing has happened."""
        if self._tls is None:
            return self._since + self._limits.connect_s
        if self.welcome is None:
            return self._since + self._limits.welcome_s
        if self._paused:
            return self._ping_at
        return min(self._ping_at, self._heard_at + self._limits.silence_s)

    def advance(self, events: int, now: float) -> list[Carried]:
        """Do what can be done without waiting; return the frames that have arrived.

        Welcome and the answers to the link's own questions are not among them.
        """
        self.arrived_bytes = 0
        frames: list[Carried] = []
        try:
            if self._tls is None and events:
                self._open(now)
            if self._tls is not None and not self._shaken:
                self._shake()
            if self._shaken:
                if events & selectors.EVENT_READ and not self._paused:
                    self._receive(frames, now)
                if self.ended is None:
                    self._look_at_the_clock(now)
                    self._send(frames, now)
            elif self.ended is None:
                self._look_at_the_clock(now)
        except TlsError as error:
            self.ended = str(error)
        except wire.WireError as error:
            self.ended = f"{self.address} sends what is no frame: {error}"
        except OSError as error:
            what = "connection to" if self.welcome is None else "more from"
            self.ended = f"no {what} {self.address}: {error.strerror or error}"
        return frames

    def _open(self, now: float) -> None:
        """Begin the handshake once TCP is connected. Raises OSError if it is not."""
        assert self._socket is not None
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
        self._since = now
        self._tls = TlsSocket(
            self._socket, self._contexts.current(), self._buffers.encrypted, self.address,
            server_side=False, host=self._host,
        )  # fmt: skip

    def _shake(self) -> None:
        assert self._tls is not None
        if self._tls.handshake():
            self._shaken = True
            self.queue(self._hello)

    def _receive(self, frames: list[Carried], now: float) -> None:
        """Receive once."""
        assert self._tls is not None
        try:
            size = self._tls.recv_into(self._buffers.received)
        except (BlockingIOError, InterruptedError):
            return
        if not size:
            self.ended = f"{self.address} has closed the connection" + (
                f": {self._last_words}" if self._last_words else ""
            )
            return
        self._heard_at = now
        self.arrived_bytes += size
        self._inbox += self._buffers.received[:size]
        try:
            bodies = wire.split_frames(self._inbox, self._limits.frame_bytes_max)
        except wire.FrameTooLong as error:
            bodies = error.frames
            self.ended = f"{self.address} sends too much at once: {error}"
        for body in bodies:
            self._take(wire.decode_engine_frame(body), frames, now)

    def _take(self, frame: EngineFrame, frames: list[Carried], now: float) -> None:
        kind = type(frame)
        if kind is wire.Answer or kind is wire.Failed:
            if frame.id == PING_ID:  # type: ignore[union-attr]
                self._answered(frame, frames)
                return
            if frame.id == 0:  # type: ignore[union-attr]
                self._last_words = getattr(frame, "text", "")
        elif kind is wire.Dropped:
            self._last_words = frame.reason  # type: ignore[union-attr]
        if self.welcome is not None:
            if kind is wire.Welcome:
                raise wire.WireError("a second Welcome")
            frames.append(frame)
        elif kind is wire.Welcome:
            self.welcome = frame  # type: ignore[assignment]
            self.up_since = now
            self._ping_at = now + self._limits.ping_s
        elif kind is not wire.Failed:
            raise wire.WireError("the first frame must be Welcome")

    def _answered(self, frame: EngineFrame, frames: list[Carried]) -> None:
        """Take in the leader's standing, and how far it was when it answered."""
        if not self._asked:
            raise wire.WireError("an answer to no question")
        asked_at = self._asked.popleft()
        if isinstance(frame, wire.Answer):
            standing = Standing().decode(frame.body)
            if standing.leads:
                frames.append(Fresh(asked_at - standing.age_ms / 1_000, frame.seq))

    def _look_at_the_clock(self, now: float) -> None:
        """End what has taken too long; ask, when it is time to."""
        if now < self.deadline():
            return
        limits = self._limits
        if self._tls is None:
            self.ended = f"no connection to {self.address} within {limits.connect_s:g} s"
        elif self.welcome is None:
            self.ended = f"no Welcome from {self.address} within {limits.welcome_s:g} s"
        elif not self._paused and now >= self._heard_at + limits.silence_s:
            self.ended = f"nothing heard from {self.address} for {limits.silence_s:g} s"
        else:
            self._ping_at = now + limits.ping_s
            if not self._parts or self._parts[0] is not PING:
                # Before what else waits; a chunk that is sent in part still goes first.
                self._parts.appendleft(PING)
                self._bytes += len(PING)
                self._asked.append(now)

    def _send(self, frames: list[Carried], now: float) -> None:
        """Send until nothing is left or the kernel takes no more."""
        assert self._tls is not None
        if self.ended is not None:
            return
        try:
            while self._chunk or self._parts:
                if not self._chunk:
                    self._next_chunk()
                sent = self._tls.send(self._chunk)
                self._bytes -= sent
                self._chunk = self._chunk[sent:]
            self._blocked = False
        except (BlockingIOError, InterruptedError):
            self._blocked = True
        except OSError:
            # Who ends a connection may have said why; and what came before that counts.
            while self.ended is None:
                before = self.arrived_bytes
                self._receive(frames, now)
                if self.arrived_bytes == before:
                    break
            if self.ended is None:
                raise

    def _next_chunk(self) -> None:
        """Join queued frames into one piece of about SEND_CHUNK_BYTES."""
        joined = [self._parts.popleft()]
        size = len(joined[0])
        while self._parts and size < SEND_CHUNK_BYTES:
            joined.append(self._parts.popleft())
            size += len(joined[-1])
        self._chunk = memoryview(joined[0] if len(joined) == 1 else b"".join(joined))
