"""A client of the account API that plays its cases: the sentences of ``does``, as a program.

What such a client can get wrong is in ``broken``.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

import requests
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.support import pace

SYMBOL = "CERT-USD"
ADDRESS = "cert-address-of-the-treasury"
STEP_S = 20.0


class Lost(Exception):
    """No answer came."""


def signature(secret: str, now: str, method: str, target: str, body: bytes) -> str:
    text = "\n".join((now, method, target, hashlib.sha256(body).hexdigest()))
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


class AccountTrader:
    """Speaks REST and, for the cases W, listens to the stream."""

    def __init__(
        self, url: str, stream: str, firm: str, keys: dict[str, str],
        broken: frozenset[str] = frozenset(),
    ) -> None:  # fmt: skip
        self.url, self.stream_url, self.firm, self.keys = url, stream, firm, keys
        self.broken = broken
        self.http = requests.Session()
        self.http.trust_env = False
        self.case = ""
        self.run = secrets.token_hex(3)
        self.numbers = count(1)
        self.verdicts: list[str] = []
        self.last_ms = 0
        self.retry_after_s = 0
        self.stream: ClientConnection | None = None
        self.reader: asyncio.Task[None] | None = None
        self.told: list[Any] = []
        self.answers: dict[int, asyncio.Future[Any]] = {}
        self.requests = count(1)
        self.seq = 0
        self.gap = False
        self.changed = asyncio.Event()

    # REST.

    def _now(self) -> str:
        """No two requests are signed in the same millisecond."""
        self.last_ms = max(self.last_ms + 1, time.time_ns() // 1_000_000)
        return str(self.last_ms)

    async def call(
        self, method: str, target: str, body: Any = None, kind: str = "trade"
    ) -> tuple[int, Any]:
        """A signed request. Raises Lost."""
        return await asyncio.to_thread(self._call, method, target, body, kind)

    def _call(self, method: str, target: str, body: Any, kind: str) -> tuple[int, Any]:
        data = b"" if body is None else json.dumps(body).encode()
        now, key = self._now(), f"{self.firm}-{kind}"
        headers = {
            "X-Tandem-Key": key, "X-Tandem-Timestamp": now,
            "X-Tandem-Signature": signature(self.keys[kind], now, method, target, data),
        }  # fmt: skip
        if data:
            headers["Content-Type"] = "application/json"
        try:
            answer = self.http.request(
                method, self.url + target, data=data or None, headers=headers,
                timeout=pace.seconds(STEP_S),
            )
        except requests.ConnectionError:
            raise Lost from None
        self.retry_after_s = int(answer.headers.get("Retry-After", "0"))
        if "X-Certification" in answer.headers:
            self.verdicts.append(answer.headers["X-Certification"])
        return answer.status_code, answer.json()

    async def until_answered(self, send: Callable[[], Awaitable[tuple[int, Any]]]) -> Any:
        """Send the same until there is an answer that says what happened."""
        for _ in range(5):
            try:
                status, document = await send()
            except Lost:
                continue
            if status == 429 and "hammers" not in self.broken:
                await asyncio.sleep(self.retry_after_s + 0.05)
            if document.get("outcome") == "unknown" and "gives-up-at-503" in self.broken:
                raise Lost
            if status != 429 and document.get("outcome") != "unknown":
                return document
        raise AssertionError("no answer")

    def new_id(self) -> str:
        return f"{self.case}-{self.run}-{next(self.numbers)}"

    async def order(self, side: str, quantity: object, price: str = "100") -> Any:
        body = {"client_order_id": self.new_id(), "symbol": SYMBOL, "side": side,
                "quantity": str(quantity), "price": price}  # fmt: skip

        async def send() -> tuple[int, Any]:
            sent = dict(body)
            if "new-id-each-time" in self.broken:
                body["client_order_id"] = self.new_id()
            return await self.call("POST", "/v1/orders", sent)

        return await self.until_answered(send)

    async def cancel(self, order: Any) -> Any:
        name = f"client:{order['client_order_id']}"
        return (await self.call("DELETE", f"/v1/orders/{name}"))[1]

    async def sell(self, quantity: object, bought: object) -> None:
        await self.order("sell", bought if "sells-what-it-wanted" in self.broken else quantity)

    async def balances(self, seq: int) -> Any:
        more = "" if "reads-old-balances" in self.broken else f"?min_seq={seq}"
        return (await self.call("GET", f"/v1/balances{more}"))[1]

    # The stream.

    async def online(self, *, resume: bool = False, cancel: bool = False) -> None:
        """Connect, log in, subscribe; ``resume`` goes on after the last seq."""
        if self.reader is not None:
            self.reader.cancel()
            await asyncio.gather(self.reader, return_exceptions=True)
        self.stream = await connect(self.stream_url, proxy=None)
        self.reader = asyncio.create_task(self._read(self.stream))
        now = self._now()
        sign = signature(self.keys["trade"], now, "GET", "/v1/stream", b"")
        await self.op("login", key=f"{self.firm}-trade", timestamp=now, signature=sign)
        if cancel and "forgets-cancel-on-disconnect" not in self.broken:
            await self.op("cancel_on_disconnect", scope="firm")
        await self.subscribe(resume=resume)

    async def subscribe(self, *, resume: bool) -> None:
        more = {"from_seq": self.seq + 1} if resume and "never-resumes" not in self.broken else {}
        self.gap = False
        await self.op("subscribe", channels=["orders", "executions", "balances"], **more)

    async def op(self, op: str, **params: Any) -> Any:
        """An operation that must go well; its data."""
        answer = await self.raw(op, params)
        assert answer["ok"], answer
        return answer["data"]

    async def raw(self, op: str, params: dict[str, Any]) -> Any:
        """An operation and its answer. Raises Lost."""
        assert self.stream is not None
        number = next(self.requests)
        self.answers[number] = asyncio.get_running_loop().create_future()
        try:
            await self.stream.send(json.dumps({"op": op, "req_id": number, "params": params}))
        except ConnectionClosed:
            raise Lost from None
        async with asyncio.timeout(pace.seconds(STEP_S)):
            return await self.answers[number]

    async def _read(self, stream: ClientConnection) -> None:
        last: dict[str, int] = {}
        try:
            async for text in stream:
                message = json.loads(text)
                if "op" in message:
                    self.answers.pop(message["req_id"]).set_result(message)
                    continue
                channel = message["channel"]
                if channel not in ("orders", "executions", "balances"):
                    continue
                if message["type"] == "update" and message["prev_seq"] != last.get(
                    channel, message["prev_seq"]
                ):
                    self.gap = True
                last[channel] = message["seq"]
                if not self.gap:
                    self.seq = max(self.seq, message["seq"])
                    self.told.append(message)
                self.changed.set()
        except ConnectionClosed:
            pass
        for waiting in self.answers.values():
            if not waiting.done():
                waiting.set_exception(Lost())
        self.changed.set()

    async def until(self, met: Callable[[], Any]) -> Any:
        async with asyncio.timeout(pace.seconds(STEP_S)):
            while not (found := met()):
                self.changed.clear()
                await self.changed.wait()
        return found

    def filled(self, order: Any) -> str:
        """What the stream has told of an order's fills."""
        found = "0"
        for message in self.told:
            data = message["data"]
            if message["channel"] == "executions" and isinstance(data, dict) and (
                data["client_order_id"] == order["client_order_id"]
            ):
                found = data["filled_quantity"]
        return found

    async def leave(self) -> None:
        if self.stream is not None:
            await self.stream.close()
        if self.reader is not None:
            await asyncio.gather(self.reader, return_exceptions=True)
        self.http.close()

    # The cases.

    async def play(self, case: str) -> None:
        self.case = case
        await getattr(self, case.lower())()

    async def h01(self) -> None:
        order = await self.order("buy", 501)
        await self.balances(order["as_of_seq"])
        end = await self.cancel(order)
        await self.balances(end["as_of_seq"])
        await self.sell(end["filled_quantity"], 501)

    async def _enter_and_cancel(self, quantity: object) -> None:
        await self.cancel(await self.order("buy", quantity))

    async def h02(self) -> None:
        await self._enter_and_cancel(502)

    async def h03(self) -> None:
        await self._enter_and_cancel(503)

    async def h04(self) -> None:
        await self._enter_and_cancel(504)

    async def h05(self) -> None:
        await self._enter_and_cancel(505)

    async def h06(self) -> None:
        refused = await self.order("buy", 506, "100.005")
        assert refused["outcome"] == "not_applied"
        await self.cancel(await self.order(
            "buy", 506, "100.005" if "trusts-refused" in self.broken else "100"
        ))  # fmt: skip

    async def h07(self) -> None:
        order = await self.order("buy", 507)
        target = f"/v1/fills?symbol={SYMBOL}&limit=1000"
        first = (await self.call("GET", target))[1]["fills"]
        if "fills-from-the-start" not in self.broken:
            target += f"&after_trade_id={first[-1]['trade_id']}"
        await self.call("GET", target)
        end = await self.cancel(order)
        await self.sell(end["filled_quantity"], 507)

    async def h08(self) -> None:
        order = await self.order("buy", 508)
        now = (await self.call("GET", f"/v1/orders/{order['order_id']}"))[1]
        total = 10 if "patches-what-is-left" in self.broken else int(now["filled_quantity"]) + 10
        name = f"/v1/orders/{order['order_id']}"
        await self.call("PATCH", name, {"quantity": str(total)})
        end = (await self.call("DELETE", name))[1]
        await self.sell(end["filled_quantity"], 508)

    async def h09(self) -> None:
        rows = [(509, "100"), (20, "99"), (10, "100.005")]
        _, done = await self.call("POST", "/v1/orders/batch", {"operations": [
            {"op": "create", "client_order_id": self.new_id(), "symbol": SYMBOL, "side": "buy",
             "quantity": str(quantity), "price": price} for quantity, price in rows
        ]})  # fmt: skip
        live = [row["order"] for row in done["results"] if row["accepted"]]
        await self.call("POST", "/v1/orders/batch", {"operations": [
            {"op": "cancel", "order": order["order_id"]} for order in live
        ]})  # fmt: skip

    async def withdraw(self, amount: str) -> Any:
        body = {"client_withdrawal_id": self.new_id(), "asset": "CERT", "network": "certnet",
                "address": ADDRESS, "amount": amount}  # fmt: skip

        async def send() -> tuple[int, Any]:
            sent = dict(body)
            if "new-id-each-time" in self.broken:
                body["client_withdrawal_id"] = self.new_id()
            return await self.call("POST", "/v1/withdrawals", sent, "withdraw")

        return await self.until_answered(send)

    async def completed(self, row: Any) -> None:
        while True:
            _, now = await self.call("GET", f"/v1/withdrawals/{row['withdrawal_id']}")
            if now["state"] == "completed":
                return
            await asyncio.sleep(0.05)

    async def h10(self) -> None:
        row = await self.withdraw("60")
        kind = "withdraw" if "approves-itself" in self.broken else "approve"
        await self.call("POST", f"/v1/withdrawals/{row['withdrawal_id']}/approve", None, kind)
        await self.completed(row)

    async def h11(self) -> None:
        row = await self.withdraw("61")
        await self.call("DELETE", f"/v1/withdrawals/{row['withdrawal_id']}", None, "withdraw")

    async def h12(self) -> None:
        assert (await self.withdraw("0.5"))["code"] == "amount_too_small"
        await self.completed(await self.withdraw("1.5"))

    async def w01(self) -> None:
        await self.online()
        order = await self.order("buy", 601)
        await self.until(lambda: self.filled(order) != "0")
        await self.cancel(order)
        await self.sell(self.filled(order), 601)

    async def w02(self) -> None:
        await self.online()
        order = await self.order("buy", 602)
        assert self.reader is not None
        await asyncio.gather(self.reader, return_exceptions=True)
        await self.online(resume=True)
        await self.until(lambda: self.filled(order) != "0")
        await self.cancel(order)
        await self.sell(self.filled(order), 602)

    async def w03(self) -> None:
        await self.online()
        order = await self.order("buy", 603)
        await self.until(lambda: self.gap or "ignores-gaps" in self.broken)
        if "ignores-gaps" not in self.broken:
            await self.online(resume=True)
            await self.until(lambda: self.filled(order) == "170")
        await self.cancel(order)
        await self.sell(170, 603)

    async def w04(self) -> None:
        await self.online(cancel=True)
        order = await self.order("buy", 604)
        while True:
            _, now = await self.call("GET", f"/v1/orders/{order['order_id']}")
            if now["status"] == "canceled":
                break
            await asyncio.sleep(0.02)
        await self._enter_and_cancel(604)
