"""The engine client for asyncio: the same protocol core on an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Final, TypeVar

import msgspec

from engine import queries, wire
from engine.client.protocol import (
    Backoff,
    ClientCore,
    EngineError,
    EngineTimeout,
    EngineUnavailable,
    Outcome,
    SubscriptionDropped,
    lost_error,
    settle,
)
from engine.core.commands import Command
from engine.core.types import Answered
from engine.wire import Transaction, Welcome

T = TypeVar("T")
_Handle = asyncio.Future[Any]
QUEUED_TRANSACTIONS_MAX: Final = 20_000
"""Past this many undelivered transactions the client stops reading from the socket."""



class _Connection(asyncio.Protocol):
    """One socket on the loop and the protocol state of that connection."""

    def __init__(self, path: str, name: str) -> None:
        self.path = path
        self.core: ClientCore[_Handle] = ClientCore(name)
        self.alive = False
        self.transport: asyncio.Transport | None = None
        loop = asyncio.get_running_loop()
        self.welcomed: asyncio.Future[Welcome] = loop.create_future()
        self.changed = asyncio.Event()
        self.queue: list[Transaction] = []
        self.error: EngineError | None = None
        self.on_lost: Callable[[EngineError], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.alive = True
        transport.write(self.core.hello())

    def data_received(self, data: bytes) -> None:
        try:
            received = self.core.feed(data)
        except wire.WireError as error:
            self.end(EngineUnavailable(f"lost the engine: {error}", "not_applied"))
            return
        if received.welcome is not None and not self.welcomed.done():
            self.welcomed.set_result(received.welcome)
        for handle, value in received.completed:
            settle(handle, value)
        if received.transactions:
            self.queue += received.transactions
            self.changed.set()
            if len(self.queue) > QUEUED_TRANSACTIONS_MAX and self.transport is not None:
                self.transport.pause_reading()
        if received.dropped is not None:
            self.end(SubscriptionDropped(received.dropped.reason, received.dropped.seq))

    def connection_lost(self, exc: Exception | None) -> None:
        self.end(lost_error(False, self.path))

    def end(self, error: EngineError) -> None:
        """Fail all waiting requests and close; the first reason given is kept."""
        if self.error is not None:
            return
        self.error = error
        self.alive = False
        if not self.welcomed.done():
            self.welcomed.set_exception(error)
            self.welcomed.exception()  # There may be no waiter.
        for handle, is_command in self.core.lose():
            settle(handle, lost_error(is_command, self.path))
        self.changed.set()
        if self.transport is not None:
            self.transport.abort()
        if self.on_lost is not None:
            self.on_lost(error)

    async def take(self) -> list[Transaction]:
        """Wait for transactions. Raises the error of a connection that has ended."""
        while not self.queue:
            if self.error is not None:
                raise self.error
            self.changed.clear()
            await self.changed.wait()
        batch, self.queue = self.queue, []
        if self.transport is not None and self.alive:
            self.transport.resume_reading()
        return batch


class AsyncEngineClient:
    """Client of the engine for one event loop; calls as those of ``EngineClient``.

    A consumer of ``subscribe`` that falls behind makes the client stop reading, so requests on
    the same client wait too: give a slow subscription its own client.
    """

    def __init__(
        self,
        path: str,
        name: str,
        *,
        timeout_s: float = 5.0,
        on_lost: Callable[[EngineError], None] | None = None,
    ) -> None:
        self._path = str(path)
        self._name = name
        self._timeout_s = timeout_s
        self._on_lost = on_lost
        self._connection: _Connection | None = None
        self._connect_lock = asyncio.Lock()
        self._closed = False
        self._subscribed = False
        self.boot_id = ""

    @property
    def connected(self) -> bool:
        """Return whether there is a live connection at this moment."""
        return self._connection is not None and self._connection.alive

    async def connect(self) -> Welcome:
        """Connect now, if not connected. Raises EngineUnavailable (not_applied)."""
        return (await self._live()).welcomed.result()

    async def close(self) -> None:
        """End the connection; the client cannot be used again."""
        self._closed = True
        if self._connection is not None:
            self._connection.on_lost = None
            self._connection.end(EngineUnavailable("this client was closed", "not_applied"))

    async def submit(self, command: Command, timeout_s: float | None = None) -> Outcome:
        """Submit a command to the engine and wait until it is durable."""
        connection = await self._live()
        handle = self._handle()
        number, data = connection.core.submit(command, handle)
        outcome = await self._finish(connection, number, data, handle, timeout_s)
        assert isinstance(outcome, Outcome)
        return outcome

    async def post(self, commands: Iterable[Command]) -> None:
        """Send commands without waiting; subscribers see their transactions."""
        data = ClientCore.post(commands)
        connection = await self._live()
        if data and connection.transport is not None:
            connection.transport.write(data)

    async def ask(self, query: str, min_seq: int = 0, **arguments: Any) -> tuple[int, msgspec.Raw]:
        """Send a query by name; return (as_of_seq, encoded body)."""
        connection = await self._live()
        handle = self._handle()
        number, data = connection.core.ask(query, arguments, min_seq, handle)
        answer = await self._finish(connection, number, data, handle, None)
        return answer.seq, answer.body

    async def fetch(self, query: queries.Query[T], min_seq: int = 0) -> Answered[T]:
        """Send a typed query; wait, bounded by the engine, until min_seq is reached."""
        seq, body = await self.ask(query.name, min_seq, **msgspec.to_builtins(query))
        return Answered(query.decode(body), seq)

    async def subscribe(
        self, from_seq: int, accounts: tuple[str, ...] = ()
    ) -> AsyncIterator[list[Transaction]]:
        """Yield every transaction from ``from_seq`` on, in batches, in order, without a gap.

        Continues after a lost connection. Raises GapTooOld or EngineRefused if the engine
        cannot serve it; one subscription per client at a time.
        """
        if self._subscribed:
            raise ValueError("this client has a subscription already; use another client")
        self._subscribed = True
        next_seq, backoff = max(1, from_seq), Backoff()
        try:
            while True:
                try:
                    connection = await self._subscribe(next_seq, tuple(accounts))
                    backoff.reset()
                    while True:
                        batch = await connection.take()
                        next_seq = batch[-1].seq + 1
                        yield batch
                except (EngineUnavailable, EngineTimeout, SubscriptionDropped):
                    if self._closed:
                        return
                    await asyncio.sleep(backoff.failed())
        finally:
            self._subscribed = False
            if self.connected and self._connection is not None:
                self._connection.end(EngineUnavailable("the subscription has ended", "not_applied"))

    async def _subscribe(self, from_seq: int, accounts: tuple[str, ...]) -> _Connection:
        connection = await self._live()
        connection.queue.clear()
        handle = self._handle()
        number, data = connection.core.subscribe(from_seq, accounts, handle)
        await self._finish(connection, number, data, handle, None)
        return connection

    def _handle(self) -> _Handle:
        return asyncio.get_running_loop().create_future()

    async def _finish(
        self,
        connection: _Connection,
        number: int,
        data: bytes,
        handle: _Handle,
        timeout_s: float | None,
    ) -> Any:
        """Send a registered request and wait for its completion."""
        assert connection.transport is not None
        connection.transport.write(data)
        wait_s = self._timeout_s if timeout_s is None else timeout_s
        try:
            # Not wait_for: in Python 3.11 it loses a cancellation that comes with the answer.
            async with asyncio.timeout(wait_s):
                return await handle
        except TimeoutError:
            raise EngineTimeout(f"no answer from the engine within {wait_s:g} s") from None
        finally:
            connection.core.forget(number)

    async def _live(self) -> _Connection:
        """Return the live connection; connect if there is none."""
        async with self._connect_lock:
            if self._connection is not None and self._connection.alive:
                return self._connection
            if self._closed:
                raise EngineUnavailable("this client was closed", "not_applied")
            connection = _Connection(self._path, self._name)
            try:
                async with asyncio.timeout(self._timeout_s):
                    loop = asyncio.get_running_loop()
                    await loop.create_unix_connection(lambda: connection, self._path)
                    self.boot_id = (await connection.welcomed).boot_id
                self._connection = connection
            except (TimeoutError, OSError, EngineError) as error:
                raise EngineUnavailable(
                    f"the engine at {self._path} cannot be reached: {str(error) or 'no answer'}",
                    "not_applied",
                ) from error
            finally:
                if self._connection is not connection:
                    connection.end(EngineUnavailable("no connection was made", "not_applied"))
            connection.on_lost = self._on_lost
            return connection
