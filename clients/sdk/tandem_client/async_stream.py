"""``AsyncStream``: the WebSocket stream for asyncio."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

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
from tandem_client.generated.stream_methods_async import AsyncStreamOperations
from tandem_client.messages import Frame, StreamItem, read
from tandem_client.session import unanswered
from tandem_client.stream import Scope

D = TypeVar("D", bound=Document)


class AsyncStream(AsyncStreamOperations):
    """A connection to the stream, and the ones that follow it, for one event loop; see Stream.

    A task of its own reads the connection, so operations may wait while nobody iterates.
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
        self._news = asyncio.Event()
        self._answers: dict[int, asyncio.Future[Frame]] = {}
        self._reader: asyncio.Task[None] | None = None
        self._sending = asyncio.Lock()
        self._ended: TandemError | None = None

    # The connection

    async def open(self) -> AsyncStream:
        """Connect and log in. Raises ConnectionFailed, and ApiError if the login is refused."""
        try:
            self._socket = await connect(self._line.url, **self._line.options())
        except FAILURES as error:
            raise self._line.refused(error) from None
        self._line.opened()
        await self._flush()
        self._reader = asyncio.create_task(self._read(), name="tandem-stream")
        # Its answer is behind that of the login, which is refused before it.
        await self.ping()
        return self

    async def aclose(self) -> None:
        """Close the connection; what is guarded by cancel_on_disconnect is canceled."""
        self._end(StreamEnded("The stream is closed."))
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.cancel()
            await asyncio.wait((reader,))
        socket, self._socket = self._socket, None
        if socket is not None:
            await socket.close()

    async def __aenter__(self) -> AsyncStream:
        try:
            return await self.open()
        except BaseException:
            await self.aclose()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

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

    async def subscribe(
        self, *channels: str, symbols: Sequence[str] = (), account: str | None = None,
        from_seq: int | None = None,
    ) -> None:
        """Subscribe to channels: book and trades of ``symbols``, and private ones of ``account``.

        ``from_seq`` is the first event of the account that is wanted; without it private channels
        begin with a snapshot. Raises ApiError.
        """
        for number in self._session.subscribe(channels, symbols, account, from_seq):
            await self._result(number, "subscribe")

    async def unsubscribe(
        self, *channels: str, symbols: Sequence[str] = (), account: str | None = None
    ) -> None:
        """End subscriptions. Raises ApiError."""
        for number in self._session.unsubscribe(channels, symbols, account):
            await self._result(number, "unsubscribe")

    def book(self, symbol: str) -> Book:
        """Return the copy of a book, which changes as the stream is read. Raises KeyError."""
        return self._session.book(symbol)

    async def cancel_on_disconnect(
        self, scope: Scope, *, grace_s: int = 0, account: str | None = None
    ) -> CancelOnDisconnect:
        """Have orders canceled when the connection ends, on this one and each that follows."""
        params = {"scope": scope, "grace_s": grace_s, "account": account}
        number = self._session.guard({k: v for k, v in params.items() if v is not None})
        return answer_of(await self._result(number, "cancel_on_disconnect"), CancelOnDisconnect)

    async def ping(self) -> int:
        """Return the venue's clock in ms, after everything that was sent before."""
        result = await self._result(self._session.ask("ping", {}, again=True), "ping")
        return int(read(result.data, dict[str, int])["time_ms"])

    async def logout(self, *, cancel_orders: bool = True) -> None:
        """End the stream in order; False leaves orders that a disconnect would cancel."""
        number = self._session.ask("logout", {"cancel_orders": cancel_orders}, again=False)
        await self._result(number, "logout")
        await self.aclose()

    # Reading

    async def receive(self) -> StreamItem:
        """Return the next item. Raises TandemError when the stream has ended."""
        while not self._items:
            if self._ended is not None:
                raise self._ended
            self._news.clear()
            await self._news.wait()
        return self._items.popleft()

    async def __aiter__(self) -> AsyncIterator[StreamItem]:
        while True:
            yield await self.receive()

    # Inside

    async def _operate(
        self, op: str, operation: str, answer: type[D], params: Mapping[str, Any]
    ) -> D:
        result = await self._result(self._line.operate(op, operation, params), op)
        return answer_of(result, answer)

    async def _result(self, number: int, op: str) -> Frame:
        if self._ended is not None:
            raise self._ended
        future: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._answers[number] = future
        self._settle()
        await self._flush()
        try:
            async with asyncio.timeout(self._line.settings.timeout_s):
                return await future
        except TimeoutError:
            pending = self._session.forget(number)
            if pending is None:
                raise NoAnswer(f"{op}: no answer in time.") from None
            raise unanswered(pending, "no answer in time") from None
        finally:
            self._answers.pop(number, None)

    async def _read(self) -> None:
        """Read connections, one after the other, until the stream ends."""
        try:
            while True:
                if self._line.connected:
                    await self._hear()
                else:
                    await self._connect()
                await self._flush()
        except TandemError as error:
            self._end(error)
        except asyncio.CancelledError:
            self._end(StreamEnded("The stream is closed."))
            raise

    async def _hear(self) -> None:
        socket, patience = self._socket, self._line.patience_s
        assert socket is not None
        try:
            async with asyncio.timeout(patience):
                text = await socket.recv()
        except TimeoutError:
            if self._line.patience_s == 0.0:
                self._drop(f"nothing was heard for {self._line.settings.stale_after_s:g} s")
            return
        except ConnectionClosed as closed:
            self._add(self._line.lost(*closing(closed)))
            return
        self._add(self._line.heard(text))
        if self._session.restart:
            self._drop(self._session.restart)
        if len(self._items) > self._line.settings.items_max:
            raise StreamEnded(
                f"More than {self._line.settings.items_max} items wait to be read; read faster, or "
                "subscribe to less."
            )

    async def _connect(self) -> None:
        await asyncio.sleep(max(0.0, self._line.next_at - time.monotonic()))
        try:
            self._socket = await connect(self._line.url, **self._line.options())
        except FAILURES as error:
            self._line.failed(error)
            return
        self._add(self._line.opened())

    def _drop(self, reason: str) -> None:
        """End the connection without waiting for the other side."""
        if self._socket is not None:
            self._socket.transport.abort()
        self._add(self._line.lost(reason))

    def _add(self, items: list[StreamItem]) -> None:
        self._items.extend(items)
        self._settle()
        if items:
            self._news.set()

    def _settle(self) -> None:
        """Give results to who waits for them."""
        for number, result in list(self._session.results.items()):
            future = self._answers.get(number)
            if future is None:
                continue
            del self._session.results[number]
            if future.done():
                continue
            if isinstance(result, TandemError):
                future.set_exception(result)
            else:
                future.set_result(result)

    def _end(self, error: TandemError) -> None:
        """Nothing comes any more: whoever waits is told why."""
        self._ended = self._ended or error
        self._line.connected = False
        self._news.set()
        for future in self._answers.values():
            if not future.done():
                future.set_exception(self._ended)

    async def _flush(self) -> None:
        async with self._sending:  # What is asked first is sent first.
            socket = self._socket
            if not self._line.connected or socket is None:
                return
            frames, self._session.outgoing = self._session.outgoing, []
            try:
                for frame in frames:
                    await socket.send(frame)
            except ConnectionClosed:
                return  # Whoever reads learns it too.
