"""A proxy for WebSockets between a client under test and its venue, frame by frame."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed, WebSocketException

from certification.api.http import as_json

log = structlog.get_logger()

FRAME_BYTES_MAX: Final = 1_048_576
CONNECTIONS_MAX: Final = 16
OPEN_S: Final = 10.0


@dataclass(slots=True, eq=False)
class ConnectionPair:
    """A connection of the client and its connection to the venue."""

    client: ServerConnection
    venue: ClientConnection
    channels: set[str] = field(default_factory=set)

    def cut(self) -> None:
        """Abort both, without a close frame."""
        self.client.transport.abort()
        self.venue.transport.abort()


class Watcher(Protocol):
    """Decides about every frame."""

    def connected(self, pair: ConnectionPair) -> None:
        """Record a new connection."""

    async def from_client(self, pair: ConnectionPair, text: str, document: Any) -> bool:
        """Take a frame of the client; return False to drop it. May wait."""

    async def from_venue(self, pair: ConnectionPair, text: str, document: Any) -> bool:
        """Take a frame of the venue; return False to drop it."""

    def disconnected(self, pair: ConnectionPair) -> None:
        """Record the end of a connection."""


class StreamGate:
    """Accepts the WebSockets of one client and opens one to its venue for each."""

    def __init__(self, host: str, port: int, watcher: Watcher) -> None:
        self._url = f"ws://{host}:{port}"
        self._watcher = watcher
        self._server: Server | None = None
        self._pairs: set[ConnectionPair] = set()

    @property
    def port(self) -> int:
        """Return the port on which it listens."""
        assert self._server is not None
        return int(next(iter(self._server.sockets)).getsockname()[1])

    async def start(self, host: str, port: int) -> None:
        """Start to accept connections. Raises OSError."""
        self._server = await serve(
            self._connection, host, port, max_size=FRAME_BYTES_MAX, compression=None
        )

    async def stop(self) -> None:
        """Stop accepting connections, and abort the open ones."""
        for pair in list(self._pairs):
            pair.cut()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _connection(self, client: ServerConnection) -> None:
        if len(self._pairs) >= CONNECTIONS_MAX or client.request is None:
            await client.close(1013, "too many connections")
            return
        try:
            venue = await connect(
                self._url + client.request.path, max_size=None, compression=None,
                open_timeout=OPEN_S, proxy=None,
            )  # fmt: skip
        except (OSError, WebSocketException, TimeoutError):
            await client.close(1011, "the venue's stream cannot be reached")
            return
        pair = ConnectionPair(client, venue)
        self._pairs.add(pair)
        self._watcher.connected(pair)
        back = asyncio.create_task(self._from_venue(pair))
        try:
            async for text in client:
                if await self._watcher.from_client(pair, _text(text), as_json(text)):
                    await venue.send(text)
        except ConnectionClosed:
            pass  # A clean close and a broken connection are handled alike.
        except Exception:
            log.exception("stream_failed")
        finally:
            self._pairs.discard(pair)
            self._watcher.disconnected(pair)
            # The venue sees the same end as the client caused: an abort, or a clean close.
            if client.close_code in (None, 1006):
                venue.transport.abort()
            await venue.close()
            back.cancel()
            await asyncio.gather(back, return_exceptions=True)

    async def _from_venue(self, pair: ConnectionPair) -> None:
        venue, client = pair.venue, pair.client
        try:
            async for text in venue:
                if await self._watcher.from_venue(pair, _text(text), as_json(text)):
                    await client.send(text)
            await client.close(venue.close_code or 1011, venue.close_reason or "")
        except ConnectionClosed:
            client.transport.abort()
        except Exception:
            log.exception("stream_failed")
            client.transport.abort()


def _text(text: str | bytes) -> str:
    return text if isinstance(text, str) else text.decode("utf-8", "replace")
