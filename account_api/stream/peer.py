"""One connection: its caller, its subscriptions and its write buffer.

Writing never waits: bytes go to the transport at once, and a peer with too many unsent bytes is
closed with a reason. Only what a peer requested in bulk (a snapshot, a replay) is sent at the
peer's own pace, by ``send``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final

from websockets.asyncio.server import ServerConnection, broadcast
from websockets.exceptions import ConnectionClosed

from account_api.security.keyring import Keys
from account_api.stream.principal import StreamPrincipal

CLOSE_SLOW: Final = 4008
CLOSE_RESTART: Final = 1012
CLOSE_GOING_AWAY: Final = 1001
CLOSE_CREDENTIALS: Final = 4001


class Peer:
    """A client's connection."""

    def __init__(self, connection: ServerConnection, name: str, buffer_bytes_max: int) -> None:
        self.connection = connection
        self.name = name
        """Unique among all connections ever made."""
        self.principal: StreamPrincipal | None = None
        self.symbols: dict[str, set[str]] = {"book": set(), "trades": set()}
        self.accounts: set[str] = set()
        """Whose private channels it has."""
        self.loading = 0
        self.closing = False
        self.close_reason = ""
        self.close_code = 0
        self.clean = False
        self._limit = buffer_bytes_max
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def waiting_bytes(self) -> int:
        """Bytes written and not yet taken by the kernel."""
        return self.connection.transport.get_write_buffer_size()

    def can_take(self) -> bool:
        """Return True if a message may be written; a peer that is too slow is closed here."""
        if self.closing:
            return False
        waiting = self.waiting_bytes
        if waiting > self._limit:
            self.fail(CLOSE_SLOW, f"too slow: {waiting} bytes wait to be read")
            return False
        return True

    def write(self, text: str) -> None:
        """Write a message at once."""
        if self.can_take():
            broadcast((self.connection,), text)

    async def send(self, text: str) -> None:
        """Write a message and wait until the peer keeps up; other connections always get a turn."""
        if self.closing:
            return
        try:
            await self.connection.send(text)
        except ConnectionClosed:
            self.closing = True
        # Neither reading what has arrived nor writing what the kernel takes yields to others.
        await asyncio.sleep(0)

    def check_key(self, keys: Keys | None, now_us: int, unknown: str = "") -> bool:
        """Close the connection if the key that logged in is no longer valid, or nobody knows.

        ``unknown`` says why nobody does.
        """
        if self.principal is None:
            return True
        if keys is None:
            self.fail(CLOSE_RESTART, unknown or "the service cannot read which API keys are good")
            return False
        if self.principal.key.key not in keys.named:
            self.fail(CLOSE_CREDENTIALS, "the key was revoked")
            return False
        if self.principal.key.has_expired(now_us):
            self.fail(CLOSE_CREDENTIALS, "the key has expired")
            return False
        return True

    def fail(self, code: int, reason: str) -> None:
        """Close the connection with a reason, without waiting for it."""
        if self.closing:
            return
        self.closing = True
        self.close_reason, self.close_code = reason, code
        self.spawn(self.connection.close(code, reason[:120]))

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a task that ends with this connection at the latest."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def end(self) -> None:
        """Cancel the connection's tasks."""
        self.closing = True
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def write_to_all(peers: Iterable[Peer], make: Callable[[], str]) -> int:
    """Write one message, made only if needed, to many peers; returns how many."""
    able = [peer.connection for peer in peers if peer.can_take()]
    if able:
        broadcast(able, make())
    return len(able)
