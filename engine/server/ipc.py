"""The server of frames: sockets, framing, bounded queues. It does not know commands.

``Server.poll`` returns what arrived, in order, as (connection, item) pairs; an item is a
frame, ``Malformed`` or ``Gone``. Replies are queued on a connection and leave with ``flush``,
all frames of a batch in one send. Every queue is bounded: see ``Limits``. It listens on a Unix
socket, and on TCP as well if it is given a listener.
"""

from __future__ import annotations

import errno
import math
import os
import selectors
import socket
from collections import deque
from collections.abc import Container
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import structlog

from engine import wire
from engine.server.tcp import TcpListener
from engine.server.tls import RECEIVE_BYTES, TlsSocket
from engine.server.unixsocket import listen
from engine.wire import ClientFrame

ATTENDED_S_MAX: Final = 0.5
"""As so long a turn of the engine counts at most, against a client that is silent."""
SEND_CHUNK_BYTES: Final = 1 << 20
SOCKET_BUFFER_BYTES: Final = 1 << 20
ACCEPTS_PER_POLL: Final = 32

log = structlog.get_logger("engine.server.ipc")


class Limits(NamedTuple):
    """Bounds of the server. A client whose queue does not move for ``stall_s`` is dropped."""

    clients_max: int = 64
    queue_bytes_max: int = 64 << 20
    frame_bytes_max: int = wire.FRAME_BYTES_MAX
    stall_s: float = 30.0


class Malformed(NamedTuple):
    """Bytes that are not a frame; the connection is failed and closed."""

    id: int
    text: str


class Gone(NamedTuple):
    """The connection has ended; nothing more arrives from it."""


Item: TypeAlias = ClientFrame | Malformed | Gone


class Connection:
    """One client: its partial next frame, and the bytes that wait to be sent to it."""

    __slots__ = (
        "number", "socket", "name", "greeted", "open", "reading", "inbox", "parts", "bytes",
        "chunk", "chunk_seq", "sent_seq", "closing", "blocked_since", "writing", "refused",
        "remote", "peer", "silence_s", "heard_at",
    )  # fmt: skip

    def __init__(self, number: int, sock: socket.socket | TlsSocket) -> None:
        self.number = number
        self.socket = sock
        self.remote = isinstance(sock, TlsSocket)
        """It came over TCP, from another machine."""
        self.peer = sock.peer if isinstance(sock, TlsSocket) else ""
        """The node that its certificate names; "" on the Unix socket."""
        self.name = ""
        self.greeted = False
        self.open = True
        self.reading = True
        self.inbox = bytearray()
        self.parts: deque[tuple[bytes | memoryview, int]] = deque()
        self.bytes = 0
        """Bytes queued and not yet taken by the kernel."""
        self.chunk = memoryview(b"")
        self.chunk_seq = 0
        self.sent_seq = 0
        """The last transaction published on this connection that the kernel has taken."""
        self.closing = False
        """The last frame is queued; later frames are not sent."""
        self.refused = False
        """It violated the protocol; what it sent afterwards is ignored."""
        self.blocked_since = 0.0
        self.silence_s = 0.0
        """The client sends something more often than that; 0: whenever it likes."""
        self.heard_at = 0.0
        self.writing = False

    def queue(self, data: bytes | memoryview, seq: int = 0) -> None:
        """Queue whole frames; ``seq`` is the last transaction published in them, if any."""
        if self.open and not self.closing:
            self.parts.append((data, seq))
            self.bytes += len(data)


class Server:
    """Accepts, receives and sends without ever blocking; used by one thread.

    Times are monotonic seconds, passed with the calls. Raises OSError or ValueError if
    the socket cannot be created. ``tcp`` is closed with the server.
    """

    def __init__(self, path: Path, limits: Limits, tcp: TcpListener | None = None) -> None:
        self.path = Path(path)
        self.limits = limits
        self.connections: dict[int, Connection] = {}
        self._dirty: dict[int, Connection] = {}
        self._gone: list[Connection] = []
        self._last_number = 0
        self.dropped = 0
        """Clients that were disconnected because they did not read."""
        # Shared, because a buffer of this size is mapped and unmapped each time.
        self._received = memoryview(bytearray(RECEIVE_BYTES))
        self._selector = selectors.DefaultSelector()
        self._attended_s = 0.0
        """How long this server has listened: its own pauses are no silence of its clients."""
        self._polled_at = math.inf
        self._promised: dict[int, Connection] = {}
        """Clients that have said how long they are silent at most."""
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._listener = listen(self.path)
        self._selector.register(self._listener, selectors.EVENT_READ, None)
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)
        self._tcp = tcp
        if tcp is not None:
            tcp.register(self._selector)

    def wake(self) -> None:
        """End a waiting ``poll``; may be called from a signal handler."""
        try:
            os.write(self._wake_write, b"w")
        except BlockingIOError:
            pass  # The pipe is full of wake-ups already.

    def poll(
        self, timeout_s: float, now: float, unread: Container[int] = frozenset()
    ) -> list[tuple[Connection, Item]]:
        """Wait for sockets, read each readable one once, and send where there is room.

        Connections whose numbers are in ``unread`` are not read: their earlier frames have not
        been processed yet.
        """
        items: list[tuple[Connection, Item]] = []
        if self._promised:
            timeout_s = min(timeout_s, ATTENDED_S_MAX)
        ready = self._selector.select(timeout_s)
        for key, events in ready:
            connection = key.data
            if connection is None:
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fd == self._wake_read:
                    os.read(self._wake_read, 4096)
                elif self._tcp is not None:
                    self._tcp.attend(key.fileobj, now)
                continue
            if events & selectors.EVENT_WRITE:
                self._send(connection, now)
            if (
                events & selectors.EVENT_READ
                and connection.open
                and connection.number not in unread
            ):
                self._receive(connection, items)
        if self._tcp is not None:
            for sock in self._tcp.shaken(now):
                self._admit(sock, items)
            if silent := self._tcp.silent(now):
                for connection in [*self.connections.values()]:
                    if connection.socket in silent:
                        self.end(connection)
        if self._promised:
            self._end_silent(now, unread)
        for connection in self._gone:
            items.append((connection, Gone()))
        self._gone = []
        return items

    def expect(self, connection: Connection, silence_s: float) -> None:
        """End a connection from which nothing comes for so long; 0: it may be silent."""
        if silence_s > 0:
            connection.silence_s, connection.heard_at = silence_s, self._attended_s
            self._promised[connection.number] = connection

    def _end_silent(self, now: float, unread: Container[int]) -> None:
        """End the connections of clients that have broken their promise to send something."""
        self._attended_s += min(max(0.0, now - self._polled_at), ATTENDED_S_MAX)
        self._polled_at = now
        for connection in [*self._promised.values()]:
            if connection.number in unread:
                connection.heard_at = self._attended_s
            elif self._attended_s - connection.heard_at > connection.silence_s:
                log.warning("client_silent", client=connection.name, s=connection.silence_s)
                self.end(connection)

    def send(self, connection: Connection, frame: wire.EngineFrame) -> None:
        """Queue one frame."""
        self.queue(connection, wire.encode_frame(frame))

    def queue(self, connection: Connection, data: bytes | memoryview, seq: int = 0) -> None:
        """Queue whole frames, to leave with the next flush."""
        connection.queue(data, seq)
        self._dirty[connection.number] = connection

    def reply(self, connection: Connection, data: bytes | memoryview) -> None:
        """Queue an answer; a client that leaves too many of them unread is dropped."""
        if connection.bytes and connection.bytes + len(data) > self.limits.queue_bytes_max:
            self.drop(connection, "this client does not read its answers")
        else:
            self.queue(connection, data)

    def fail(self, connection: Connection, number: int, code: str, text: str) -> None:
        """Queue Failed as the last frame; the connection closes when it has been sent."""
        self.send(connection, wire.Failed(number, code, text))
        self._stop_reading(connection)
        connection.closing = True

    def drop(self, connection: Connection, reason: str) -> None:
        """End a connection whose queue is too long: discard the queue, send Dropped, close.

        A frame that the kernel has taken in part is still completed, so that frames stay whole.
        """
        if connection.closing or not connection.open:
            return
        seq = connection.chunk_seq if len(connection.chunk) else connection.sent_seq
        self.dropped += 1
        connection.parts.clear()
        connection.bytes = len(connection.chunk)
        self.send(connection, wire.Dropped(reason, max(seq, connection.sent_seq)))
        self._stop_reading(connection)
        connection.closing = True

    def flush(self, now: float) -> None:
        """Send what was queued since the last flush, as far as the kernel accepts it."""
        dirty, self._dirty = self._dirty, {}
        for connection in dirty.values():
            if connection.open and not connection.writing:
                self._send(connection, now)

    def stalled(self, now: float) -> list[Connection]:
        """Return the connections that have read nothing for longer than the limit."""
        return [
            connection
            for connection in self.connections.values()
            if connection.writing and now - connection.blocked_since > self.limits.stall_s
        ]

    def end(self, connection: Connection) -> None:
        """Close a connection at once; ``Gone`` is reported by the next poll."""
        if not connection.open:
            return
        connection.open = False
        if connection.reading or connection.writing:
            self._selector.unregister(connection.socket)
        connection.reading = connection.writing = False
        connection.socket.close()
        connection.parts.clear()
        connection.chunk = memoryview(b"")
        connection.bytes = 0
        del self.connections[connection.number]
        self._promised.pop(connection.number, None)
        self._dirty.pop(connection.number, None)
        self._gone.append(connection)

    @property
    def has_gone(self) -> bool:
        """Return whether the next poll has an ended connection to report without waiting."""
        return bool(self._gone)

    def close(self) -> None:
        """Close every socket and remove the socket file."""
        self._selector.unregister(self._listener)
        self._listener.close()
        self.path.unlink(missing_ok=True)
        if self._tcp is not None:
            self._tcp.close()
        for connection in list(self.connections.values()):
            self.end(connection)
        self._selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _accept(self) -> None:
        for _ in range(ACCEPTS_PER_POLL):
            try:
                sock, _ = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in (errno.ECONNABORTED, errno.EMFILE, errno.ENFILE):
                    return  # The client left, or must wait for a free descriptor.
                raise
            sock.setblocking(False)
            if len(self.connections) >= self.limits.clients_max:
                self._turn_away(sock)
                continue
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER_BYTES)
            self._add(sock)

    def _add(self, sock: socket.socket | TlsSocket) -> Connection:
        self._last_number += 1
        connection = Connection(self._last_number, sock)
        self.connections[connection.number] = connection
        self._selector.register(sock, selectors.EVENT_READ, connection)
        return connection

    def _admit(self, sock: TlsSocket, items: list[tuple[Connection, Item]]) -> None:
        """Take a connection whose handshake is done, with what it has sent behind that."""
        if len(self.connections) >= self.limits.clients_max:
            self._turn_away(sock)
        else:
            self._receive(self._add(sock), items)

    def _turn_away(self, sock: socket.socket | TlsSocket) -> None:
        text = f"the engine serves {self.limits.clients_max} clients already"
        try:
            sock.send(wire.encode_frame(wire.Failed(0, "too_many_clients", text)))
        except OSError:
            pass  # It did not wait for the answer.
        sock.close()

    def _receive(self, connection: Connection, items: list[tuple[Connection, Item]]) -> None:
        try:
            size = connection.socket.recv_into(self._received)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            size = 0
        if not size:
            self.end(connection)
            return
        connection.heard_at = self._attended_s
        inbox = connection.inbox
        inbox += self._received[:size]
        try:
            for body in wire.split_frames(inbox, self.limits.frame_bytes_max):
                items.append((connection, wire.decode_client_frame(body)))
        except wire.FrameTooLong as error:
            self._take_whole(connection, error.frames, items)
            self._refuse(connection, str(error), items)
        except wire.WireError as error:
            self._refuse(connection, str(error), items)

    def _take_whole(
        self, connection: Connection, frames: list[bytes], items: list[tuple[Connection, Item]]
    ) -> None:
        """Return the frames that were complete before one that is too long."""
        try:
            for body in frames:
                items.append((connection, wire.decode_client_frame(body)))
        except wire.WireError as error:
            self._refuse(connection, str(error), items)

    def _refuse(
        self, connection: Connection, text: str, items: list[tuple[Connection, Item]]
    ) -> None:
        if connection.reading:
            self._stop_reading(connection)
            items.append((connection, Malformed(0, text)))

    def _stop_reading(self, connection: Connection) -> None:
        if connection.open and connection.reading:
            connection.reading = False
            connection.inbox.clear()
            if connection.writing:
                self._selector.modify(connection.socket, selectors.EVENT_WRITE, connection)
            else:
                self._selector.unregister(connection.socket)

    def _send(self, connection: Connection, now: float) -> None:
        """Send until the queue is empty or the kernel accepts no more."""
        progress = False
        while True:
            if not len(connection.chunk):
                if not connection.parts:
                    break
                self._next_chunk(connection)
            try:
                sent = connection.socket.send(connection.chunk)
            except (BlockingIOError, InterruptedError):
                self._want_write(connection, True, progress, now)
                return
            except OSError:
                self.end(connection)
                return
            progress = True
            connection.bytes -= sent
            connection.chunk = connection.chunk[sent:]
            if not len(connection.chunk):
                connection.sent_seq = connection.chunk_seq
        if connection.closing:
            self.end(connection)
        else:
            self._want_write(connection, False, True, now)

    def _next_chunk(self, connection: Connection) -> None:
        """Join queued frames into one piece of about SEND_CHUNK_BYTES."""
        parts = connection.parts
        data, seq = parts.popleft()
        chunk_seq = seq or connection.sent_seq
        if parts and len(data) < SEND_CHUNK_BYTES:
            joined, size = [data], len(data)
            while parts and size < SEND_CHUNK_BYTES:
                data, seq = parts.popleft()
                joined.append(data)
                size += len(data)
                chunk_seq = seq or chunk_seq
            data = b"".join(joined)
        connection.chunk = memoryview(data)
        connection.chunk_seq = chunk_seq

    def _want_write(
        self, connection: Connection, wanted: bool, progress: bool, now: float
    ) -> None:
        if wanted and (progress or not connection.writing):
            connection.blocked_since = now
        if wanted == connection.writing:
            return
        connection.writing = wanted
        events = (selectors.EVENT_READ if connection.reading else 0) | (
            selectors.EVENT_WRITE if wanted else 0
        )
        if not events:
            self._selector.unregister(connection.socket)
        elif connection.reading or not wanted:
            self._selector.modify(connection.socket, events, connection)
        else:
            self._selector.register(connection.socket, events, connection)
