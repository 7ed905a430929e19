"""The engine client for threads; the one for asyncio is in ``aio``.

``EngineClient`` may be used by many threads at once. It keeps one socket and one reader
thread; ``pooled`` has a client without either, for callers that only query and submit. A lost
connection fails waiting requests (``EngineUnavailable``). The next call reconnects; with a
subscription the client reconnects at once and the subscription resumes where it was.

The queries are declared in ``engine.queries``: ``fetch(queries.Book(...)).value``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any, TypeVar

import msgspec

from engine import queries, wire
from engine.client.connection import RECEIVE_BYTES, Connection, Connector, Handle
from engine.client.protocol import (
    MIN_SEQ_GRACE_S,
    ClientCore,
    EngineError,
    EngineRefused,
    EngineTimeout,
    EngineUnavailable,
    Outcome,
    SubscriptionDropped,
    lost_error,
    refusal,
    settle,
)
from engine.core.commands import COMMAND_KINDS, Command
from engine.core.types import Answered
from engine.wire import Transaction, Welcome

T = TypeVar("T")



class _Subscription:
    """A subscription that outlives connections: its position and its callback."""

    def __init__(
        self,
        from_seq: int,
        callback: Callable[[list[Any]], None],
        accounts: tuple[str, ...],
        decode: Callable[[msgspec.Raw], Any],
    ) -> None:
        self.next_seq = max(1, from_seq)
        self.callback = callback
        self.accounts = accounts
        self.decode = decode


class EngineClient:
    """Blocking, thread-safe client of the engine at the Unix socket ``path``.

    ``on_lost(error)`` is called on the reader thread whenever the connection is lost or the
    subscription ends; ``on_connected(welcome)`` after every successful connection, before
    anything else is sent on it. Neither may wait for the engine. With ``silence_s`` the caller
    promises to send something more often than that, and the engine ends the connection, and the
    sessions that were opened on it, when nothing comes. Calls raise EngineUnavailable,
    EngineTimeout or EngineRefused.
    """

    def __init__(
        self,
        path: str,
        name: str,
        *,
        timeout_s: float = 5.0,
        silence_s: float = 0.0,
        on_lost: Callable[[EngineError], None] | None = None,
        on_connected: Callable[[Welcome], None] | None = None,
    ) -> None:
        self._path = str(path)
        self._name = name
        self._timeout_s = timeout_s
        self._on_lost = on_lost
        self._on_connected = on_connected
        self._connect_lock = threading.Lock()
        self._connector = Connector(self._path, name, timeout_s, silence_s)
        self._connection: Connection | None = None
        self._subscription: _Subscription | None = None
        self._reader: threading.Thread | None = None
        self._closed = threading.Event()
        self.boot_id = ""

    @property
    def connected(self) -> bool:
        """Return whether there is a live connection at this moment."""
        connection = self._connection
        return connection is not None and connection.alive

    def connect(self) -> Welcome:
        """Connect now, if not connected. Raises EngineUnavailable (not_applied)."""
        return self._live().welcome

    def close(self) -> None:
        """End the connection and the reader thread; the client cannot be used again."""
        self._closed.set()
        connection, reader = self._connection, self._reader
        if connection is not None:
            connection.close()
        if reader is not None and reader is not threading.current_thread():
            reader.join(timeout=self._timeout_s)

    def submit(self, command: Command, timeout_s: float | None = None) -> Outcome:
        """Submit a command to the engine and wait until it is durable."""
        outcome = self._request(
            lambda core, handle: core.submit(command, handle),
            timeout_s,
            COMMAND_KINDS[type(command)],
        )
        assert isinstance(outcome, Outcome)
        return outcome

    def post(self, commands: Iterable[Command], *, connect: bool = True) -> None:
        """Send commands without waiting; subscribers see their transactions.

        With ``connect`` False only the existing connection is used: no connection is opened and
        no callback called, so the caller may hold a lock that ``on_connected`` takes. Raises
        EngineUnavailable: "not_applied" if nothing was sent, else "unknown".
        """
        data = ClientCore.post(commands)
        connection = self._live() if connect else self._connection
        if connection is None or not connection.alive:
            raise EngineUnavailable(
                f"there is no connection to the engine at {self._path}", "not_applied"
            )
        if not data:
            return
        try:
            connection.send(data)
        except OSError as error:
            connection.close()
            raise EngineUnavailable(f"lost while sending: {error}", "unknown") from error

    def ask(self, query: str, min_seq: int = 0, **arguments: Any) -> tuple[int, msgspec.Raw]:
        """Send a query by name; return (as_of_seq, encoded body)."""
        answer = self._request(
            lambda core, handle: core.ask(query, arguments, min_seq, handle),
            self._timeout_s + (MIN_SEQ_GRACE_S if min_seq else 0.0),
            0,
        )
        return answer.seq, answer.body

    def fetch(self, query: queries.Query[T], min_seq: int = 0) -> Answered[T]:
        """Send a typed query; wait, bounded by the engine, until min_seq is reached."""
        seq, body = self.ask(query.name, min_seq, **msgspec.to_builtins(query))
        return Answered(query.decode(body), seq)

    def subscribe(
        self,
        from_seq: int,
        callback: Callable[[list[Transaction]], None],
        accounts: tuple[str, ...] = (),
    ) -> None:
        """Deliver every transaction from ``from_seq`` on, in order, without a gap.

        ``callback`` runs on the reader thread with those that arrived together. After a lost
        connection the subscription resumes automatically. Raises GapTooOld or EngineRefused if
        the engine cannot serve it; there is one subscription per client.
        """
        decode = wire.decode_transaction
        self._subscribe(from_seq, _Subscription(from_seq, callback, tuple(accounts), decode))

    def subscribe_decoded(
        self,
        from_seq: int,
        callback: Callable[[list[T]], None],
        decode: Callable[[msgspec.Raw], T],
    ) -> None:
        """Subscribe as ``subscribe`` does, with a decoder of one's own for each transaction.

        What it makes must have ``seq``, and it may raise WireError only.
        """
        self._subscribe(from_seq, _Subscription(from_seq, callback, (), decode))

    def _subscribe(self, from_seq: int, subscription: _Subscription) -> None:
        if self._subscription is not None:
            raise ValueError("this client has a subscription already; use another client")
        self._subscription = subscription
        connection: Connection | None = None
        try:
            connection = self._live()
            if not self._claim(connection):
                return  # The reader thread was faster, on a connection made just now.
            self._request_on(
                connection,
                lambda core, handle: core.subscribe(
                    from_seq, subscription.accounts, handle, subscription.decode
                ),
                None,
                0,
            )
        except EngineUnavailable:
            if not self._reader_alive():
                self._subscription = None
                raise
        except EngineError:
            self._subscription = None
            if connection is not None:
                connection.subscribed = False
            raise

    def _claim(self, connection: Connection) -> bool:
        """Return whether the caller is the one to subscribe on this connection."""
        with connection.core_lock:
            claimed = not connection.subscribed
            connection.subscribed = True
        return claimed

    def _reader_alive(self) -> bool:
        """Return whether a reader thread will make the next connection and subscribe there."""
        with self._connect_lock:
            return self._reader is not None

    def _request(
        self,
        register: Callable[[ClientCore[Handle], Handle], tuple[int, bytes]],
        timeout_s: float | None,
        command_kind: int,
    ) -> Any:
        return self._request_on(self._live(), register, timeout_s, command_kind)

    def _request_on(
        self,
        connection: Connection,
        register: Callable[[ClientCore[Handle], Handle], tuple[int, bytes]],
        timeout_s: float | None,
        command_kind: int,
    ) -> Any:
        """Register, send and wait; ``command_kind`` is 0 for a request that changes nothing."""
        if threading.current_thread() is self._reader:
            raise RuntimeError("a callback of this client must not wait for the engine")
        handle: Handle = Future()
        is_command = command_kind != 0
        with connection.core_lock:
            if not connection.alive:
                raise EngineUnavailable(
                    f"the connection to the engine at {self._path} was lost", "not_applied"
                )
            number, data = register(connection.core, handle)
        try:
            connection.send(data)
        except OSError as error:
            connection.forget(number)
            connection.close()
            raise lost_error(is_command, self._path) from error
        wait_s = self._timeout_s if timeout_s is None else timeout_s
        try:
            return handle.result(wait_s)
        except FutureTimeout:
            connection.forget(number)
            raise EngineTimeout(f"no answer from the engine within {wait_s:g} s") from None

    def _live(self) -> Connection:
        """Return the live connection; connect if there is none."""
        connection = self._connection
        if connection is not None and connection.alive:
            return connection
        with self._connect_lock:
            connection = self._connection
            if connection is not None and connection.alive:
                return connection
            return self._connect()

    def _connect(self) -> Connection:
        """Connect (the connect lock is held). Raises EngineUnavailable."""
        if self._closed.is_set():
            raise EngineUnavailable("this client was closed", "not_applied")
        connection = self._connector.connect()
        self.boot_id = connection.welcome.boot_id
        self._connection = connection
        if self._reader is None:
            self._reader = threading.Thread(
                target=self._read, args=(connection,), name=f"{self._name}-reader", daemon=True
            )
            self._reader.start()
        if self._on_connected is not None:
            self._on_connected(connection.welcome)
        return connection

    def _read(self, connection: Connection) -> None:
        """Run the reader thread: deliver until the connection is lost, then reconnect."""
        current: Connection | None = connection
        while current is not None:
            try:
                error = self._read_until_lost(current)
            except BaseException:
                # The callback failed; end the connection too.
                self._closed.set()
                self._end(current)
                raise
            self._end(current)
            if self._on_lost is not None and not self._closed.is_set():
                self._on_lost(error)
            current = self._next_connection()

    def _end(self, current: Connection) -> None:
        """Fail the requests that wait on a connection that has ended."""
        current.alive = False
        with current.core_lock:
            waiting = current.core.lose()
        current.socket.close()
        for handle, is_command in waiting:
            settle(handle, lost_error(is_command, self._path))

    def _read_until_lost(self, connection: Connection) -> EngineError:
        """Deliver what arrives; return why the connection ended."""
        # Made once: a buffer of this size is mapped and unmapped each time.
        buffer = memoryview(bytearray(RECEIVE_BYTES))
        while True:
            try:
                size = connection.socket.recv_into(buffer)
                if not size:
                    return lost_error(False, self._path)
                with connection.core_lock:
                    received = connection.core.feed(buffer[:size])
            except (OSError, wire.WireError) as error:
                return EngineUnavailable(f"lost the engine: {error}", "not_applied")
            for handle, value in received.completed:
                settle(handle, value)
            subscription = self._subscription
            if received.transactions and subscription is not None:
                subscription.next_seq = received.transactions[-1].seq + 1
                subscription.callback(received.transactions)
            if received.dropped is not None:
                return SubscriptionDropped(received.dropped.reason, received.dropped.seq)
            if received.failed is not None:
                return refusal(received.failed.code, received.failed.text)

    def _next_connection(self) -> Connection | None:
        """Return the connection to continue with after a loss, or None if the thread may end."""
        while not self._closed.is_set():
            with self._connect_lock:
                current = self._connection
                if current is not None and current.alive:
                    if self._subscription is not None:
                        self._resubscribe(current, self._subscription)
                    return current
                if self._subscription is None:
                    self._reader = None
                    return None
                if self._connector.pause_s <= 0:
                    try:
                        self._connect()
                    except EngineUnavailable:
                        pass  # The next attempt is made after the pause.
                pause_s = self._connector.pause_s
            self._closed.wait(max(pause_s, 0.0))
        return None

    def _resubscribe(self, connection: Connection, subscription: _Subscription) -> None:
        """Subscribe from the last transaction seen + 1; a refusal ends the subscription."""
        if not self._claim(connection):
            return
        handle: Handle = Future()
        handle.add_done_callback(self._resubscribed)
        with connection.core_lock:
            _, data = connection.core.subscribe(
                subscription.next_seq, subscription.accounts, handle, subscription.decode
            )
        try:
            connection.send(data)
        except OSError:
            connection.close()  # The reader sees the end of the stream and tries again.

    def _resubscribed(self, handle: Handle) -> None:
        error = handle.exception()
        if isinstance(error, EngineRefused):
            self._subscription = None
            if self._on_lost is not None:
                self._on_lost(error)
