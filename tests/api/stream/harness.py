"""A real engine process, the stream server in this process, and a client that checks its rules."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import zlib
from asyncio.trsock import TransportSocket
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from account_api.configuration import api_settings
from account_api.routes import ROUTES
from account_api.security.auth import sign_hmac
from account_api.stream.server import StreamServer
from account_api.stream.settings import StreamSettings
from engine.core.commands import Deposit
from engine.core.types import Origin
from engine.history.projector import Projector
from engine.history.queries import open_reader
from engine.history.store import open_writer
from tests.api.stream import described
from tests.support import pace
from tests.support.processes import EngineProcess

WAIT_S = 10.0


@contextlib.asynccontextmanager
async def running_stream(engine: EngineProcess, **changes: Any) -> AsyncIterator[Stream]:
    """The stream server on a free port; it has its state when this begins."""
    settings = StreamSettings(
        api=api_settings(engine.settings), engine_path=engine.socket, host="127.0.0.1", port=0
    )
    settings = replace(settings, **changes)
    # Nobody projects into it here: it knows the tables and no order.
    url = engine.settings.history.url
    writer = open_writer(url)
    Projector(writer)
    writer.dispose()
    server = StreamServer(
        settings, ROUTES, lambda: open_reader(url), lambda: time.time_ns() // 1000
    )
    async with server.running() as listening:
        await asyncio.wait_for(server.hub.ready.wait(), pace.seconds(WAIT_S))
        yield Stream(server, listening.sockets[0])


class Stream:
    """A running server and where it listens."""

    def __init__(self, server: StreamServer, listening: TransportSocket) -> None:
        self.server = server
        self.listening = listening
        self.port: int = listening.getsockname()[1]

    async def caught_up(self, answer: dict[str, Any]) -> None:
        """Wait until the service knows what an answer tells of."""
        async with asyncio.timeout(pace.seconds(WAIT_S)):
            while self.server.hub.as_of_seq < answer["data"]["as_of_seq"]:
                await asyncio.sleep(0.005)

    @contextlib.asynccontextmanager
    async def client(self, login: str = "", **options: Any) -> AsyncIterator[Client]:
        """A connection, logged in with a demo key such as ``demo-alice-trade``.

        One that leaves before it has read everything does not hear the other side's farewell,
        for which the library would wait ten seconds.
        """
        options = {"compression": None, "close_timeout": 1.0} | options
        options.setdefault("open_timeout", pace.seconds(10))
        async with connect(f"ws://127.0.0.1:{self.port}/v1/stream", **options) as connection:
            client = Client(connection)
            if login:
                answer = await client.ask("login", **signed(login))
                assert answer["ok"], answer
            yield client


def signed(key: str, at_ms: int | None = None) -> dict[str, str]:
    """Parameters of a login by a demo key."""
    timestamp = str(time.time_ns() // 1_000_000 if at_ms is None else at_ms)
    secret = f"{key}-secret".encode()
    signature = sign_hmac(secret, timestamp, "GET", "/v1/stream", b"")
    return {"key": key, "timestamp": timestamp, "signature": signature}


class Client:
    """A client that keeps what it receives, and checks the order of every channel."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.received: list[dict[str, Any]] = []
        self.last: dict[tuple[str, str, str], int] = {}
        """The last ``seq`` by channel, symbol of a book, and account of a private channel."""
        self._req_id = 0

    async def receive(self) -> dict[str, Any]:
        """The next message. Its place in its channel is checked."""
        text = await asyncio.wait_for(self.connection.recv(), pace.seconds(WAIT_S))
        message: dict[str, Any] = json.loads(text)
        described.hold_received(message)
        if "channel" in message and message["channel"] != "heartbeat":
            self.check(message)
            self.received.append(message)
        return message

    def check(self, message: dict[str, Any]) -> None:
        """No gap: ``prev_seq`` is the ``seq`` of the message before it on the channel."""
        data = message["data"]
        symbol = data["symbol"] if message["channel"] == "book" else ""
        key = (message["channel"], symbol, message.get("account", ""))
        if message["type"] == "update" and key in self.last:
            assert message["prev_seq"] == self.last[key], message
        self.last[key] = message["seq"]

    async def ask(self, op: str, **params: Any) -> dict[str, Any]:
        """Send a request and wait for its answer; what comes before it is kept."""
        self._req_id += 1
        request = {"op": op, "req_id": self._req_id, "params": params}
        await self.connection.send(json.dumps(request))
        while True:
            message = await self.receive()
            if message.get("req_id") == self._req_id:
                if message["ok"]:
                    described.hold("request", request)
                return message

    async def until(self, channel: str, count: int = 1, **match: Any) -> list[dict[str, Any]]:
        """Wait for updates of a channel whose data has these members; takes them out."""

        def fits(message: dict[str, Any]) -> bool:
            data = message["data"]
            return message["channel"] == channel and all(
                message.get(name, data.get(name) if isinstance(data, dict) else None) == value
                for name, value in match.items()
            )

        async with asyncio.timeout(pace.seconds(3 * WAIT_S)):  # Heartbeats come for ever.
            while len(found := [m for m in self.received if fits(m)]) < count:
                await self.receive()
        self.received = [message for message in self.received if not fits(message)]
        return found

    def received_on(self, channel: str) -> list[dict[str, Any]]:
        """Updates of a channel that were received and not taken out."""
        return [m for m in self.received if m["channel"] == channel and m["type"] == "update"]

    async def create(self, client_order_id: str, side: str, **terms: Any) -> dict[str, Any]:
        """Create a limit order on BTC-USD, 1 at 100 unless said otherwise."""
        order = {"symbol": "BTC-USD", "price": "100", "quantity": "1", **terms}
        answer = await self.ask(
            "create_order", client_order_id=client_order_id, side=side, **order
        )
        assert answer["ok"], answer
        return answer


class BookCopy:
    """A client's copy of a book, built as the documentation says."""

    def __init__(self) -> None:
        self.levels: dict[str, dict[str, list[Any]]] = {"bids": {}, "asks": {}}

    def apply(self, message: dict[str, Any]) -> None:
        """Take in a snapshot or an update; the checksum must fit."""
        data = message["data"]
        if message["type"] == "snapshot":
            self.levels = {"bids": {}, "asks": {}}
        for name, levels in self.levels.items():
            for price, quantity, orders in data[name]:
                if quantity == "0":
                    del levels[price]
                else:
                    levels[price] = [price, quantity, orders]
        assert self.checksum() == data["checksum"], message

    def side(self, name: str) -> list[list[Any]]:
        """A side, best level first."""
        rows = sorted(self.levels[name].values(), key=lambda row: float(row[0]))
        return rows[::-1] if name == "bids" else rows

    def checksum(self) -> int:
        """CRC-32 of the best ten levels of both sides, alternating."""
        parts = []
        bids, asks = self.side("bids")[:10], self.side("asks")[:10]
        for index in range(10):
            for side in (bids, asks):
                if index < len(side):
                    parts += side[index][:2]
        return zlib.crc32(":".join(parts).encode())


async def begin(client: Client, *channels: str, **params: Any) -> dict[str, Any]:
    """Subscribe; returns the answer."""
    answer = await client.ask("subscribe", channels=list(channels), **params)
    assert answer["ok"], answer
    return answer


def deposit(engine: EngineProcess, account: str, asset: str) -> None:
    """Bring money in."""
    with contextlib.closing(engine.client()) as client:
        client.submit(Deposit(Origin("operator:test"), "d-1", account, asset, 10**6))
