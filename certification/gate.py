"""Taking connections: what the gates of a certification and its page have in common."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import Final

import structlog

log = structlog.get_logger()

LINE_BYTES_MAX: Final = 65_536


class Gate(ABC):
    """Accepts connections, at most so many at once, and serves each in a task of its own.

    ``limit`` bounds what a reader searches for the end of a line or head.
    """

    def __init__(self, connections_max: int, limit: int = LINE_BYTES_MAX) -> None:
        self._connections_max = connections_max
        self._limit = limit
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """Return the port where it listens."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def serving(self) -> bool:
        """Return whether it accepts connections."""
        return self._server is not None and self._server.is_serving()

    async def start(self, host: str, port: int) -> None:
        """Begin to accept connections. Raises OSError."""
        self._server = await asyncio.start_server(self._take, host, port, limit=self._limit)

    async def stop(self) -> None:
        """Accept no more, let what is under way come to its end, and end what is left."""
        if self._server is not None:
            self._server.close()
        await self.settle()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def settle(self) -> None:  # noqa: B027
        """Wait, for a bounded time, for what should not be cut short: here there is nothing."""

    @abstractmethod
    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to its end; it is closed afterwards.

        That the peer leaves, or says nothing in time, is no fault.
        """

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._tasks) >= self._connections_max:
            writer.close()
            return
        self._tasks.add(task)
        try:
            await self.talk(reader, writer)
        except (ConnectionError, TimeoutError, asyncio.IncompleteReadError):
            pass  # It left, or said nothing in time.
        except Exception:
            log.exception("connection_failed", gate=type(self).__name__)
        finally:
            self._tasks.discard(task)
            writer.close()
