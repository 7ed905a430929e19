"""A WebSocket client: follows its account without a gap, keeps a copy of two books, trades."""

from __future__ import annotations

import json
import random
import time
from typing import Any, Final

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from account_api.security.auth import sign_hmac
from tests.api.stream.harness import BookCopy
from tests.prove.crash.told import Client, Told


class Copy(BookCopy):
    """A copy of a book. A level that came and went between two updates is news of nothing."""

    def apply(self, message: dict[str, Any]) -> None:
        data = message["data"]
        if message["type"] == "update":
            for name, levels in self.levels.items():
                data[name] = [row for row in data[name] if row[1] != "0" or row[0] in levels]
        super().apply(message)


PRIVATE: Final = ("orders", "executions", "balances", "ledger", "transfers")
SYMBOLS: Final = ("BTC-USD", "ETH-USD")
PACE_S: Final = 0.15
ANSWER_S: Final = 8.0


class WsClient(Client):
    """One account's events, by channel and seq, across every connection."""

    def __init__(self, url: str, key: str, told: Told, seed: int) -> None:
        super().__init__(f"ws:{key}", told)
        self.key = key
        self.account = key.split("-")[1]
        self.random = random.Random(f"ws {key} {seed}")
        self.events: dict[str, dict[int, Any]] = {channel: {} for channel in PRIVATE}
        self.last_seq = 0
        self.created: dict[str, dict[str, Any]] = {}
        self.books = {symbol: Copy() for symbol in SYMBOLS}
        self.book_seqs: dict[tuple[str, str], int] = {}
        self.resumed = 0
        self.last_end = ""
        self._url = url
        self._ids = 0
        self._pending = ""
        self._order: dict[str, Any] = {}
        self._asked_at = self._acted_at = 0.0
        self._previous: dict[str, int] = {}
        self._subscribed = False

    @property
    def busy(self) -> bool:
        return bool(self._pending) or not self._subscribed

    def life(self) -> None:
        self._subscribed = False
        try:
            with connect(self._url, compression=None, open_timeout=5, close_timeout=1,
                         max_size=1 << 22) as connection:  # fmt: skip
                self._begin(connection)
                while not self.over.is_set():
                    self._turn(connection)
        except (OSError, WebSocketException, TimeoutError) as error:
            self.last_end = f"{type(error).__name__}: {error}"
            return  # It is gone; the next life resumes.

    def _begin(self, connection: ClientConnection) -> None:
        stamp = str(time.time_ns() // 1_000_000)
        signature = sign_hmac(f"{self.key}-secret".encode(), stamp, "GET", "/v1/stream", b"")
        login = {"key": self.key, "timestamp": stamp, "signature": signature}
        self._ask(connection, "login", "login", login)
        channels = {"channels": ["book", "trades"], "symbols": list(SYMBOLS)}
        self.book_seqs.clear()
        self._ask(connection, "public", "subscribe", channels)
        # The last event may not have come whole, so it is asked for again.
        private: dict[str, Any] = {"channels": list(PRIVATE), "from_seq": max(1, self.last_seq)}
        self._previous = {}
        self._ask(connection, "private", "subscribe", private)
        if self._pending:
            self._send_order(connection)

    def _ask(
        self, connection: ClientConnection, req_id: str, op: str, params: dict[str, Any]
    ) -> None:
        connection.send(json.dumps({"op": op, "req_id": req_id, "params": params}))

    def _turn(self, connection: ClientConnection) -> None:
        now = time.monotonic()
        if self._pending and now - self._asked_at > ANSWER_S:
            raise TimeoutError("no answer")
        idle = not self._pending and now - self._acted_at > PACE_S
        if idle and self._subscribed and not self.told.ending.is_set():
            self._acted_at = now
            self._ids += 1
            pick = self.random
            self._pending = f"{self.key}-ws-{self._ids}"
            self._order = {
                "client_order_id": self._pending, "symbol": pick.choice(SYMBOLS[:1]),
                "side": pick.choice(("buy", "sell")), "quantity": f"0.{pick.randint(1, 9)}",
                "price": str(100 + pick.randint(-3, 3)),
            }  # fmt: skip
            self._send_order(connection)
        try:
            text = connection.recv(timeout=0.1)
        except TimeoutError:
            return
        self._take(connection, json.loads(text))

    def _send_order(self, connection: ClientConnection) -> None:
        self._asked_at = time.monotonic()
        self._ask(connection, self._pending, "create_order", self._order)

    def _take(self, connection: ClientConnection, message: dict[str, Any]) -> None:
        channel = message.get("channel")
        if channel in PRIVATE:
            self._private(message)
        elif channel in ("book", "trades"):
            self._public(message)
        elif "req_id" in message:
            self._answer(connection, message)

    def _answer(self, connection: ClientConnection, message: dict[str, Any]) -> None:
        req_id = message["req_id"]
        if message["ok"]:
            if req_id == "private":
                about = message["data"]["private"]
                if not about["resumed"]:
                    self.told.found(f"{self.name} was not resumed from {self.last_seq}: {about}")
                self._subscribed = True
                self.resumed += 1
            elif req_id == self._pending:
                self.created[self._pending] = message["data"]
                self._pending = ""
                self.told.progress("WebSocket")
        elif message["error"]["code"] in ("engine_unavailable", "not_caught_up"):
            raise TimeoutError("the engine is away")
        elif not (req_id == "login" and message["error"]["code"] == "outside_window"):
            self.told.found(f"{self.name}: {req_id} was refused: {message['error']}")

    def _private(self, message: dict[str, Any]) -> None:
        channel, seq, data = message["channel"], message["seq"], message["data"]
        if message["type"] != "update":
            self.told.found(f"{self.name}: a snapshot though it resumed: {message}")
            return
        previous = self._previous.get(channel)
        if previous is not None and message["prev_seq"] != previous:
            self.told.found(f"{self.name}: {channel} {seq} follows {message['prev_seq']}, "
                            f"the last was {previous}")  # fmt: skip
        self._previous[channel] = seq
        known = self.events[channel].setdefault(seq, data)
        if known != data:
            self.told.found(f"{self.name}: {channel} {seq} was {known} and is now {data}")
        self.last_seq = max(self.last_seq, seq)
        self.told.progress("WebSocket")

    def _public(self, message: dict[str, Any]) -> None:
        data = message["data"]
        if message["channel"] != "book":
            return
        key = ("book", data["symbol"])
        last = self.book_seqs.get(key)
        if message["type"] == "update" and last is not None and message["prev_seq"] != last:
            self.told.found(f"{self.name}: {key} {message['seq']} does not follow {last}")
        self.book_seqs[key] = message["seq"]
        try:
            self.books[data["symbol"]].apply(message)
        except (AssertionError, KeyError) as error:
            self.told.found(f"{self.name}: the copy of {data['symbol']} is wrong: {error!r:.300}")
