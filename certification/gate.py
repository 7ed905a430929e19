"""A TCP server with a bounded number of connections: the base of the certifier's servers."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import Final

import structlog

log = structlog.get_logger()

LINE_BYTES_MAX: Final = 65_536


class Gate(ABC):
    """Accepts up to ``connections_max`` connections and serves each in its own task.

    ``limit`` is the size of a connection's read buffer in bytes.
    """

    def __init__(self, connections_max: int, limit: int = LINE_BYTES_MAX) -> None:
        self._connections_max = connections_max
        self._limit = limit
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """Return the port on which it listens."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def serving(self) -> bool:
        """Return whether it accepts connections."""
        return self._server is not None and self._server.is_serving()

    async def start(self, host: str, port: int) -> None:
        """Start to accept connections. Raises OSError."""
        self._server = await asyncio.start_server(self._take, host, port, limit=self._limit)

    async def stop(self) -> None:
        """Stop accepting connections, ``settle``, and cancel the connections that remain."""
        if self._server is not None:
            self._server.close()
        await self.settle()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def settle(self) -> None:  # noqa: B027
        """Wait, for a bounded time, for work that must complete; the base class has none."""

    @abstractmethod
    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until it ends; it is closed afterwards.

        A peer that disconnects or is silent for too long is not an error.
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
            pass  # The peer disconnected or was silent for too long.
        except Exception:
            log.exception("connection_failed", gate=type(self).__name__)
        finally:
            self._tasks.discard(task)
            writer.close()
