"""``Stream``: the WebSocket stream for threads."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, TypeVar

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tandem_client.book import Book
from tandem_client.connection import (
    DEFAULT_URL,
    FAILURES,
    Line,
    StreamSettings,
    answer_of,
    closing,
)
from tandem_client.credentials import Credentials
from tandem_client.document import Document
from tandem_client.errors import NoAnswer, StreamEnded, TandemError
from tandem_client.generated.events import CancelOnDisconnect
from tandem_client.generated.stream_methods import StreamOperations
from tandem_client.messages import Frame, StreamItem, read
from tandem_client.session import unanswered

D = TypeVar("D", bound=Document)
Scope = Literal["none", "connection", "account", "firm"]


class Stream(StreamOperations):
    """A connection to the stream, and the ones that follow it when it is lost.

    Use it as a context, from one thread, and iterate over it: messages of what is subscribed, and
    notices (``Disconnected``, ``Reconnected``, ``Gap``). Private events come once each and in
    order, whatever happens to connections. It must be read: each call reads what has arrived, and
    more than ``items_max`` items that wait end it.

    Operations wait for their answer, ``timeout_s`` at most. One that got none because the
    connection was lost is sent again if that is harmless; otherwise it raises NoAnswer.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        key: str = "",
        secret: str = "",
        *,
        credentials: Credentials | None = None,
        clock_offset_ms: int = 0,
        settings: StreamSettings | None = None,
    ) -> None:
        self._line = Line(
            url, key, secret, credentials, clock_offset_ms, settings or StreamSettings()
        )
        self._session = self._line.session
        self._socket: ClientConnection | None = None
        self._items: deque[StreamItem] = deque()

    # The connection

    def open(self) -> Stream:
        """Connect and log in. Raises ConnectionFailed, and ApiError if the login is refused."""
        try:
            self._socket = connect(self._line.url, **self._line.options()).__enter__()
        except FAILURES as error:
            raise self._line.refused(error) from None
        self._items.extend(self._line.opened())
        self._flush()
        # Its answer is behind that of the login, which is refused before it.
        self.ping()
        return self

    def close(self) -> None:
        """Close the connection; what is guarded by cancel_on_disconnect is canceled."""
        socket, self._socket = self._socket, None
        if socket is not None:
            socket.close()

    def __enter__(self) -> Stream:
        try:
            return self.open() if self._socket is None else self
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def connected(self) -> bool:
        """Return whether there is a connection."""
        return self._line.connected

    @property
    def stale(self) -> bool:
        """Return whether nothing, not even a heartbeat, has come for ``stale_after_s``."""
        return not self._line.connected or self._line.patience_s == 0.0

    @property
    def engine_connected(self) -> bool:
        """Return whether the service had its matching engine at the last heartbeat."""
        return self._session.engine_connected

    # Subscriptions

    def subscribe(
        self, *channels: str, symbols: Sequence[str] = (), account: str | None = None,
        from_seq: int | None = None,
    ) -> None:
        """Subscribe to channels: book and trades of ``symbols``, and private ones of ``account``.

        ``from_seq`` is the first event of the account that is wanted; without it private channels
        begin with a snapshot. Raises ApiError.
        """
        for number in self._session.subscribe(channels, symbols, account, from_seq):
            self._result(number, "subscribe")

    def unsubscribe(
        self, *channels: str, symbols: Sequence[str] = (), account: str | None = None
    ) -> None:
        """End subscriptions. Raises ApiError."""
        for number in self._session.unsubscribe(channels, symbols, account):
            self._result(number, "unsubscribe")

    def book(self, symbol: str) -> Book:
        """Return the copy of a book, which changes as the stream is read. Raises KeyError."""
        return self._session.book(symbol)

    def cancel_on_disconnect(
        self, scope: Scope, *, grace_s: int = 0, account: str | None = None
    ) -> CancelOnDisconnect:
        """Have orders canceled when the connection ends, on this one and each that follows."""
        params = {"scope": scope, "grace_s": grace_s, "account": account}
        number = self._session.guard({k: v for k, v in params.items() if v is not None})
        return answer_of(self._result(number, "cancel_on_disconnect"), CancelOnDisconnect)

    def ping(self) -> int:
        """Return the venue's clock in ms, after everything that was sent before."""
        result = self._result(self._session.ask("ping", {}, again=True), "ping")
        return int(read(result.data, dict[str, int])["time_ms"])

    def logout(self, *, cancel_orders: bool = True) -> None:
        """End the stream in order; False leaves orders that a disconnect would cancel."""
        number = self._session.ask("logout", {"cancel_orders": cancel_orders}, again=False)
        self._result(number, "logout")
        self.close()

    # Reading

    def receive(self, timeout_s: float | None = None) -> StreamItem | None:
        """Return the next item; None if none comes within ``timeout_s``. Raises TandemError."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        left = timeout_s
        while not self._items:
            self._pump(left)  # Once at least: what has arrived is there without a wait too.
            if deadline is not None:
                left = max(0.0, deadline - time.monotonic())
                if not left:
                    break
        return self._items.popleft() if self._items else None

    def __iter__(self) -> Iterator[StreamItem]:
        while True:
            item = self.receive()
            if item is not None:
                yield item

    # Inside

    def _operate(
        self, op: str, operation: str, answer: type[D], params: Mapping[str, Any]
    ) -> D:
        return answer_of(self._result(self._line.operate(op, operation, params), op), answer)

    def _result(self, number: int, op: str) -> Frame:
        """Read until the result of a request is there."""
        deadline = time.monotonic() + self._line.settings.timeout_s
        self._flush()
        while number not in self._session.results:
            left = deadline - time.monotonic()
            if left < 0:
                pending = self._session.forget(number)
                if pending is None:
                    raise NoAnswer(f"{op}: no answer in time.")
                raise unanswered(pending, "no answer in time")
            self._pump(left)
        result = self._session.results.pop(number)
        if isinstance(result, TandemError):
            raise result
        return result

    def _pump(self, timeout_s: float | None) -> None:
        """Read one frame, or make one attempt to connect, within a time."""
        if self._socket is None:
            raise StreamEnded("The stream is closed.")
        if not self._line.connected:
            self._connect(timeout_s)
            return
        patience = self._line.patience_s
        wait = patience if timeout_s is None else min(patience, timeout_s)
        try:
            text = self._socket.recv(wait)
        except TimeoutError:
            if self._line.patience_s == 0.0:
                self._drop(f"nothing was heard for {self._line.settings.stale_after_s:g} s")
            return
        except ConnectionClosed as closed:
            self._items.extend(self._line.lost(*closing(closed)))
            return
        self._items.extend(self._line.heard(text))
        if self._session.restart:
            self._drop(self._session.restart)
            return
        if len(self._items) > self._line.settings.items_max:
            self.close()
            raise StreamEnded(
                f"More than {self._line.settings.items_max} items wait to be read; read faster, or "
                "subscribe to less."
            )
        self._flush()

    def _connect(self, timeout_s: float | None) -> None:
        wait = max(0.0, self._line.next_at - time.monotonic())
        if timeout_s is not None and wait > timeout_s:
            time.sleep(timeout_s)
            return
        time.sleep(wait)
        options = self._line.options()
        if timeout_s is not None:
            options["open_timeout"] = min(options["open_timeout"], max(timeout_s - wait, 0.5))
        try:
            self._socket = connect(self._line.url, **options).__enter__()
        except FAILURES as error:
            self._line.failed(error)
            return
        self._items.extend(self._line.opened())
        self._flush()

    def _drop(self, reason: str) -> None:
        """End the connection without waiting for the other side."""
        if self._socket is not None:
            self._socket.socket.close()
        self._items.extend(self._line.lost(reason))

    def _flush(self) -> None:
        if not self._line.connected or self._socket is None:
            return
        frames, self._session.outgoing = self._session.outgoing, []
        try:
            for frame in frames:
                self._socket.send(frame)
        except ConnectionClosed as closed:
            self._items.extend(self._line.lost(*closing(closed)))
