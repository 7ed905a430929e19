"""The WebSocket server: accepts connections, sends heartbeats, ends cleanly."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final

import structlog
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from account_api.errors import Problem
from account_api.http.routing import Route
from account_api.ports import ClockUs
from account_api.schema.from_rows import instant_text
from account_api.security.keyring import Keys
from account_api.services import HistoryOpener, Services
from account_api.stream.compression import DeflateFactory
from account_api.stream.handler import STREAM_PATH, Handler
from account_api.stream.hub import Hub
from account_api.stream.loading import Loader
from account_api.stream.logins import Logins
from account_api.stream.messages import text_of
from account_api.stream.operations import Operations
from account_api.stream.pacing import PacedConnection
from account_api.stream.peer import CLOSE_GOING_AWAY, Peer
from account_api.stream.sessions import Sessions
from account_api.stream.settings import StreamSettings
from engine.client import AsyncEngineClient, EngineClient

_LOOK_US: Final = 1_000_000
_RECORDS_WAIT_S: Final = 0.25
_log: Final = structlog.get_logger("account_api.stream")


class StreamServer:
    """The service, without its process."""

    def __init__(
        self,
        settings: StreamSettings,
        routes: Iterable[Route],
        history: HistoryOpener | None,
        clock_us: ClockUs,
    ) -> None:
        self._settings = settings
        self._clock_us = clock_us
        path, timeout_s = settings.engine_path, settings.api.engine_timeout_s
        self.hub = Hub(lambda name: AsyncEngineClient(path, name, timeout_s=timeout_s))
        # One that asks on the loop's thread must not hold up all connections.
        api = replace(settings.api, records_wait_s=_RECORDS_WAIT_S)
        self._services = Services(
            api, lambda: EngineClient(path, "stream-orders", timeout_s=timeout_s),
            history, clock_us,
        )  # fmt: skip
        self.handler: Handler | None = None
        self._names = itertools.count(1)
        self._start_ms = clock_us() // 1000
        self._routes = tuple(routes)
        self._keys: Keys | None = None
        self._look_us = 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Server]:
        """Serve while the context lasts. Raises what the service cannot continue after."""
        settings = self._settings
        path, timeout_s = settings.engine_path, settings.api.engine_timeout_s
        queries = AsyncEngineClient(path, "stream-queries", timeout_s=timeout_s)
        watched = AsyncEngineClient(
            path, "stream-sessions", timeout_s=timeout_s, on_lost=lambda e: sessions.lost(e)
        )
        sessions = Sessions(watched)
        self.hub.before_publishing = self._end_revoked
        operations = Operations(self._routes, self._services, settings.workers)
        logins = Logins(settings.api.logins)
        self.handler = handler = Handler(
            settings, self.hub,
            Loader(self.hub, queries, settings.replay_events_max, settings.replays_at_once_max),
            operations, sessions, logins, self._services.authenticator, self._clock_us,
        )  # fmt: skip
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self.hub.run()),
                    group.create_task(sessions.run()),
                    group.create_task(self._beat()),
                ]
                async with serve(
                    lambda connection: handler.serve(self._peer(connection)),
                    settings.host,
                    settings.port,
                    process_request=self._accept,
                    compression=None,
                    extensions=self._extensions(),
                    max_size=settings.message_bytes_max,
                    ping_interval=settings.ping_s,
                    ping_timeout=settings.ping_s,
                    close_timeout=settings.close_s,
                    server_header=None,
                    create_connection=PacedConnection,
                ) as server:
                    try:
                        yield server
                    finally:
                        await self._end_peers()
                        for task in tasks:
                            task.cancel()
        finally:
            operations.close()
            logins.close()
            self._services.close()
            await queries.close()
            await watched.close()

    def _end_revoked(self) -> None:
        """Close connections whose key is no longer valid, before anything more is sent to them.

        One that expires is noticed within a second, and at once by a request.
        """
        unknown = ""
        try:
            keys = self._services.ring.current()
        except Problem as problem:
            keys = None  # A revocation may be unread: all logged-in connections are closed.
            unknown = f"{problem.kind.code}: {problem.kind.title}"
        now_us = self._clock_us()
        # Keys that expire are looked for once a second: messages of the market come more often.
        if keys is self._keys and now_us < self._look_us:
            return
        self._keys, self._look_us = keys, now_us + _LOOK_US
        for peer in list(self.hub.peers):
            peer.check_key(keys, now_us, unknown)

    def _extensions(self) -> list[DeflateFactory]:
        least = self._settings.deflate_bytes_min
        return [DeflateFactory(least)] if least else []

    def _peer(self, connection: ServerConnection) -> Peer:
        name = f"{self._start_ms:x}-{next(self._names)}"
        return Peer(connection, name, self._settings.buffer_bytes_max)

    def _accept(self, connection: ServerConnection, request: Request) -> Response | None:
        """Refuse requests for other paths, or above the limit, before the WebSocket handshake."""
        if request.path.partition("?")[0] != STREAM_PATH:
            return connection.respond(HTTPStatus.NOT_FOUND, f"The stream is at {STREAM_PATH}.\n")
        if len(self.hub.peers) >= self._settings.connections_max:
            return connection.respond(
                HTTPStatus.SERVICE_UNAVAILABLE, "There are too many connections; try again.\n"
            )
        return None

    async def _beat(self) -> None:
        """Send heartbeats."""
        while True:
            await asyncio.sleep(self._settings.heartbeat_s)
            self._end_revoked()
            for peer in list(self.hub.peers):
                peer.write(self.heartbeat(peer))

    def heartbeat(self, peer: Peer) -> str:
        """Write a peer's heartbeat: where its channels are, so that it can notice a loss."""
        hub = self.hub
        data: dict[str, Any] = {
            "engine_connected": hub.connected,
            "book": {s: hub.market.feed(s).book_seq for s in sorted(peer.symbols["book"])},
            "trades": {s: hub.market.feed(s).trades_seq for s in sorted(peer.symbols["trades"])},
            "accounts": {a: hub.accounts.state(a).account_seq for a in sorted(peer.accounts)},
        }
        if peer.principal is not None and peer.principal.account:
            data["account"] = peer.principal.account
            data["account_seq"] = hub.accounts.state(peer.principal.account).account_seq
        return text_of(
            {
                "channel": "heartbeat",
                "epoch": hub.epoch,
                "type": "update",
                "as_of_seq": hub.as_of_seq,
                "ts": instant_text(self._clock_us()),
                "data": data,
            }
        )

    async def _end_peers(self) -> None:
        """Close every connection with a reason, within the time that a close may take."""
        closing = [
            peer.connection.close(CLOSE_GOING_AWAY, "the service ends; connect again")
            for peer in list(self.hub.peers)
        ]
        await asyncio.gather(*closing, return_exceptions=True)
