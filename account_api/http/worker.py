"""gunicorn's threaded worker, with threads that see only complete requests.

gunicorn hands a connection to a thread as soon as it is accepted, where it may wait for
bytes: a few clients that send half a header would hold every thread. Here the worker's event
loop reads each request completely first, however slowly it is sent, and gives up after a fixed
time. What a client does not read of its response the loop sends later, also for a fixed time: a
thread never waits for a client. If there are too many connections the oldest that has not yet
sent a request is closed, so a well-behaved client is served during a flood.
"""

from __future__ import annotations

import errno
import selectors
import socket
import time
from collections import Counter
from concurrent.futures import Future
from functools import partial
from typing import Any, Final

import structlog
from gunicorn.workers.gthread import TConn, ThreadWorker

from account_api.descriptors import descriptors
from account_api.http.bad_request import answer_by_problem
from account_api.http.request_framing import Reading, read, without_expectation

GATHER_S: Final = 5.0
"""A request must be complete this long after its connection, or its first byte, arrived."""
LINGER_S: Final = 2.0
"""How long a client may take to read the last response and close."""
ANSWER_S: Final = 10.0
"""How long a client may take to read a response."""
ACCEPTS_PER_TURN: Final = 64
REPORT_S: Final = 1.0
PIECE_BYTES: Final = 1 << 18
GATHERED_BYTES_MAX: Final = 64 << 20
"""What all unfinished requests together may hold."""
UNREAD_BYTES_MAX: Final = 64 << 20
"""What all unread responses together may hold."""
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_TOO_LONG: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\n"
    b"Content-Length: 0\r\n\r\n"
)
_GONE: Final = (errno.EAGAIN, errno.EWOULDBLOCK, errno.ECONNABORTED)
_FULL: Final = (errno.EMFILE, errno.ENFILE)

log = structlog.get_logger("account_api")


class _Patient(socket.socket):
    """A socket that never blocks: what the kernel does not take waits in ``unread``.

    gunicorn's calls that would make it block do nothing, and if it would have to wait for bytes
    the client counts as gone: a request was complete before a thread saw it.
    """

    def __init__(self, fileno: int) -> None:
        super().__init__(fileno=fileno)
        super().setblocking(False)
        self.unread = bytearray()

    def setblocking(self, flag: bool) -> None:
        """Do nothing: this socket never blocks."""

    def settimeout(self, value: float | None) -> None:
        """Do nothing: this socket never waits."""

    def take(self, size: int) -> bytes:
        """Return bytes that have arrived. Raises BlockingIOError if there are none."""
        return super().recv(size)

    def recv(self, *arguments: Any) -> bytes:
        try:
            return super().recv(*arguments)
        except BlockingIOError:
            raise ConnectionResetError(errno.ECONNRESET, "the request is incomplete") from None

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Buffer the data, to be sent together with what follows; send at once if it is much."""
        self.unread += data
        if len(self.unread) > PIECE_BYTES:
            self.flush()

    def flush(self) -> bool:
        """Send what the kernel takes; returns True if nothing is left."""
        try:
            while self.unread:
                with memoryview(self.unread) as view:
                    sent = self.send(view[:PIECE_BYTES])
                del self.unread[:sent]
        except BlockingIOError:
            return False
        return True


class Visit(TConn):  # type: ignore[misc]
    """A connection and what has arrived of its next request; ``whole``: all of it."""

    def __init__(self, cfg: Any, sock: socket.socket, client: Any, server: Any) -> None:
        super().__init__(cfg, _Patient(sock.detach()), client, server)
        self.gathered = b""
        self.deadline = 0.0
        self.whole = False
        self.told_to_go_on = False
        self.watched = False
        self.goes_on = False
        """Another request may follow the response that is being sent."""


class Worker(ThreadWorker):  # type: ignore[misc]
    """Serves ``cfg.worker_connections`` connections, fewer if file descriptors are scarce.

    It does not wait for a body longer than ``body_bytes_max``: the application refuses it.
    """

    body_bytes_max = 65_536

    def init_process(self) -> None:
        self._most = descriptors(self.cfg.worker_connections)
        # The base class's loop must never stop accepting: connections are closed instead.
        self.worker_connections = self._most + ACCEPTS_PER_TURN + 1
        self._gathering: dict[Visit, None] = {}
        self._lingering: dict[Visit, None] = {}
        self._sending: dict[Visit, None] = {}
        self._gathered_bytes = 0
        self._dropped: Counter[str] = Counter()
        self._reported = 0.0
        answer_by_problem()
        super().init_process()

    # A new connection.

    def accept(self, listener: socket.socket) -> None:
        """Accept waiting connections, and begin to read their requests."""
        for _ in range(ACCEPTS_PER_TURN):
            try:
                client, address = listener.accept()
            except OSError as error:
                if error.errno in _FULL:
                    self._make_room()
                elif error.errno not in _GONE:
                    raise
                return
            self.nr_conns += 1
            if self.nr_conns > self._most:
                self._make_room()
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            visit = Visit(self.cfg, client, address, listener.getsockname())
            self._gather(visit)

    def _make_room(self) -> None:
        """Close the oldest connection for which no request is being served."""
        if self._lingering:
            self._end_lingering(next(iter(self._lingering)), "too many connections")
        elif self._gathering:
            oldest = next(iter(self._gathering))
            self._let_go(oldest)
            self._drop(oldest, "too many connections")
        elif self.keepalived_conns:
            idle = self.keepalived_conns.popleft()
            self.poller.unregister(idle.sock)
            self._drop(idle, "too many connections")

    # Until its request is complete.

    def _gather(self, visit: Visit) -> None:
        visit.deadline = time.monotonic() + GATHER_S
        visit.whole = visit.told_to_go_on = False
        self._gathering[visit] = None
        self._gathered_bytes += len(visit.gathered)
        if visit.gathered:
            self._look(visit)
        else:
            self._more(visit, visit.sock)

    def _more(self, visit: Visit, sock: _Patient) -> None:
        """Read what has arrived."""
        try:
            data = sock.take(65_536)
        except BlockingIOError:
            self._watch(visit)
            return
        except OSError:
            data = b""
        if not data:
            self._let_go(visit)
            self._close(visit)
            return
        visit.gathered += data
        self._gathered_bytes += len(data)
        self._look(visit)
        while self._gathered_bytes > GATHERED_BYTES_MAX:
            oldest = next(iter(self._gathering))
            self._let_go(oldest)
            self._drop(oldest, "too many bytes of unfinished requests")

    def _watch(self, visit: Visit) -> None:
        if not visit.watched:
            visit.watched = True
            self.poller.register(visit.sock, selectors.EVENT_READ, partial(self._more, visit))

    def _look(self, visit: Visit) -> None:
        """Hand over a request that is complete."""
        reading = read(visit.gathered, self.body_bytes_max)
        if reading is Reading.WAITS and not visit.told_to_go_on:
            visit.told_to_go_on = True
            before = len(visit.gathered)
            visit.gathered = without_expectation(visit.gathered)
            self._gathered_bytes += len(visit.gathered) - before
            self._say(visit, _CONTINUE)
        if reading in (Reading.PARTIAL, Reading.WAITS):
            self._watch(visit)
            return
        self._let_go(visit)
        if reading is Reading.TOO_LONG:
            self._say(visit, _TOO_LONG)
            self._linger(visit)
            return
        visit.whole = reading is Reading.WHOLE
        visit.data_ready = True
        self.enqueue_req(visit)

    def _let_go(self, visit: Visit) -> None:
        """Stop reading a request."""
        del self._gathering[visit]
        self._gathered_bytes -= len(visit.gathered)
        if visit.watched:
            visit.watched = False
            self.poller.unregister(visit.sock)

    def _say(self, visit: Visit, data: bytes) -> None:
        """Send a few bytes if there is room for them."""
        try:
            visit.sock.send(data)
        except OSError:
            pass  # The client has gone, or reads nothing, and will time out.

    # On a thread.

    def handle(self, conn: Visit) -> Any:
        """Serve one request from the bytes that were read."""
        conn.init()
        conn.parser.unreader.unread(conn.gathered)
        conn.gathered = b""
        result = super().handle(conn)
        try:
            conn.sock.flush()
        except OSError:
            return False  # The client has gone.
        return result

    def handle_request(self, req: Any, conn: Visit) -> Any:
        """Serve it, with ``Connection: close`` in the response if the end of it is not known."""
        if not conn.whole:
            req.force_close()
        return super().handle_request(req, conn)

    def _keepalive_after(self, conn: Visit, keepalive: bool) -> bool:
        """Keep the connection only after a request whose end is known."""
        return bool(keepalive and conn.whole and super()._keepalive_after(conn, keepalive))

    # After its response.

    def finish_request(self, conn: Visit, fs: Future[Any]) -> None:
        """Wait until the response is read, then for the next request or the client's close."""
        try:
            conn.goes_on = not fs.cancelled() and fs.result() is True
            self._send_on(conn)
        except Exception as error:
            log.warning("connection_failed", error=f"{type(error).__name__}: {error}")
            self._close(conn)

    def _send_on(self, visit: Visit) -> None:
        """Send the rest of a response."""
        try:
            done = visit.sock.flush()
        except OSError:
            self._close(visit)  # The client has gone without its response.
            return
        if done:
            self._answered(visit)
            return
        visit.deadline = time.monotonic() + ANSWER_S
        self._sending[visit] = None
        self.poller.register(visit.sock, selectors.EVENT_WRITE, partial(self._writable, visit))
        while sum(len(one.sock.unread) for one in self._sending) > UNREAD_BYTES_MAX:
            self._end_sending(next(iter(self._sending)), "too many bytes of unread answers")

    def _writable(self, visit: Visit, sock: _Patient) -> None:
        try:
            if not sock.flush():
                return
        except OSError:
            self._end_sending(visit, "")
            return
        del self._sending[visit]
        self.poller.unregister(sock)
        self._answered(visit)

    def _end_sending(self, visit: Visit, reason: str) -> None:
        del self._sending[visit]
        self.poller.unregister(visit.sock)
        self._drop(visit, reason)

    def _answered(self, visit: Visit) -> None:
        """Continue after a response was sent, or begin to close."""
        if not (visit.goes_on and self.alive):
            self._linger(visit)
            return
        visit.gathered = visit.parser.unreader.take_buffered()
        if visit.gathered:
            # The next request has begun; the poller will not report these bytes again.
            self._gather(visit)
            return
        visit.set_timeout()
        self.keepalived_conns.append(visit)
        self.poller.register(
            visit.sock, selectors.EVENT_READ, partial(self.on_client_socket_readable, visit)
        )

    def on_client_socket_readable(self, conn: Visit, client: socket.socket) -> None:
        """Begin to read the next request of a connection."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._gather(conn)

    def _linger(self, visit: Visit) -> None:
        """Shut down sending, and close when the client has, so that it receives its response."""
        try:
            visit.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(visit)
            return
        visit.deadline = time.monotonic() + LINGER_S
        self._lingering[visit] = None
        self.poller.register(visit.sock, selectors.EVENT_READ, partial(self._drain, visit))

    def _drain(self, visit: Visit, sock: _Patient) -> None:
        try:
            if sock.take(65_536):
                return
        except BlockingIOError:
            return
        except OSError:
            pass  # Reset by the client, which is closed too.
        self._end_lingering(visit, "")

    def _end_lingering(self, visit: Visit, reason: str) -> None:
        del self._lingering[visit]
        self.poller.unregister(visit.sock)
        self._drop(visit, reason)

    # The end.

    def murder_pending(self) -> None:
        """Close the connections whose time is over and, when stopping, all that are idle."""
        now = time.monotonic()
        while self._gathering:
            oldest = next(iter(self._gathering))
            if oldest.deadline > now and self.alive:
                break
            self._let_go(oldest)
            self._drop(oldest, "no whole request in time")
        while self._sending:
            oldest = next(iter(self._sending))
            if oldest.deadline > now:
                break
            self._end_sending(oldest, "answers are not read")
        while self._lingering:
            oldest = next(iter(self._lingering))
            if oldest.deadline > now:
                break
            self._end_lingering(oldest, "")
        if self._dropped and now - self._reported > REPORT_S:
            self._reported = now
            for reason, count in self._dropped.items():
                log.warning("connections_dropped", reason=reason, count=count)
            self._dropped.clear()

    def _drop(self, visit: Visit, reason: str) -> None:
        """Close a connection that is no longer polled; a reason is counted and logged."""
        if reason:
            self._dropped[reason] += 1
        self._close(visit)

    def _close(self, visit: Visit) -> None:
        self.nr_conns -= 1
        visit.close()
