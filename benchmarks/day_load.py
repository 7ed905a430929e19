"""The traders of the trading day, one process; ``benchmarks.day`` starts it.

Everything has its time table and every latency counts from the moment when the request was
due, so that a venue that is late does not slow down those that measure it. Prints one JSON
object: of each kind the (seconds since the start, milliseconds) of every request.
"""

from __future__ import annotations

import argparse
import heapq
import http.client
import json
import random
import re
import selectors
import threading
import time
from collections.abc import Callable
from typing import Final

from benchmarks.fix_load import MESSAGE, SOH, Load, encode, now_text

QUOTES: Final = 6
MOVE_S: Final = 0.1
TAKE_S: Final = 0.5
POLL_S: Final = 0.2
ANSWER_S: Final = 120.0
"""A request without an answer for so long ends the day, however slow the machine is."""
MIDDLE: Final = 4_000_000
REACH: Final = 100_000
"""Ticks beyond the middle that an immediate order may go."""
FAILED: Final = re.compile(rb"\x0135=[3j5]\x01")
TYPE: Final = re.compile(rb"\x0135=([^\x01]+)\x01")
CLIENT_ID: Final = re.compile(rb"\x0111=([^\x01]+)\x01")
LIST_ID: Final = re.compile(rb"\x0166=([^\x01]+)\x01")
STATUS: Final = re.compile(rb"\x0139=([^\x01]+)\x01")
ENTRY: Final = re.compile(rb"\x0111=([^\x01]+)(?:\x0137=[^\x01]*)?\x0120013=([YN])")
Sample = tuple[float, float]


class Market:
    """Where the traders believe the price to be, in ticks, and what they measured."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.middle = MIDDLE
        self.start = time.perf_counter()
        self.samples: dict[str, list[Sample]] = {"quotes": [], "orders": [], "balances": []}
        self.fills = 0

    def measure(self, kind: str, due: float) -> None:
        """Record that a request due at ``due`` has its answer now."""
        now = time.perf_counter()
        self.samples[kind].append((round(due - self.start, 4), round((now - due) * 1_000, 4)))


class Trader(Load):
    """A FIX session that reads whole messages; ``due`` are requests that wait for an answer."""

    def __init__(self, address: tuple[str, int], name: str, market: Market) -> None:
        super().__init__(address, name, "")
        self.market = market
        self.due: dict[bytes, float] = {}

    def read(self) -> None:
        """Take in what came; anything that no client of a sound venue gets is an error."""
        data = self.socket.recv(1 << 20)
        if not data:
            raise ConnectionError("the venue closed a session")
        buffer, end = self.tail + data, 0
        for found in MESSAGE.finditer(buffer):
            end = found.end()
            message = found.group()
            if FAILED.search(message):
                raise ConnectionError(f"the venue answered {message!r}")
            self.take(message)
        self.tail = buffer[end:]

    def take(self, message: bytes) -> None:
        """Handle one message."""
        raise NotImplementedError

    def send_body(self, msg_type: str, body: str) -> None:
        """Send a message now."""
        self.socket.sendall(encode(self.header(msg_type) + body))


class Maker(Trader):
    """Moves six quotes at once with one OrderBatch(UB); creates what was filled anew."""

    every_s = MOVE_S
    kind = "quotes"

    def __init__(self, address: tuple[str, int], name: str, market: Market) -> None:
        super().__init__(address, name, market)
        self.ids = [""] * QUOTES

    def act(self, due: float) -> None:
        """Move all quotes."""
        self.made += 1
        list_id = f"L{self.made}"
        parts = [f"66={list_id}{SOH}60={now_text()}{SOH}20010={QUOTES}{SOH}"]
        for slot in range(QUOTES):
            ticks = 50 * (1 + slot // 2) + self.market.random.randrange(40)
            buy = slot % 2 == 0
            price = self.market.middle - ticks if buy else self.market.middle + ticks
            new, old = f"{slot}.{self.made}", self.ids[slot]
            action = f"20011=G{SOH}11={new}{SOH}41={old}" if old else f"20011=D{SOH}11={new}"
            parts.append(
                f"{action}{SOH}55=BTC-USD{SOH}54={1 if buy else 2}{SOH}38=1{SOH}40=2{SOH}"
                f"44={price // 100}.{price % 100:02d}{SOH}"
            )
            self.ids[slot] = new
        self.due[list_id.encode()] = due
        self.send_body("UB", "".join(parts))

    def take(self, message: bytes) -> None:
        kind = TYPE.search(message)
        if kind is None:
            return
        if kind[1] == b"UC":
            list_id = LIST_ID.search(message)
            if list_id is not None:
                self.market.measure(self.kind, self.due.pop(list_id[1]))
            for client_id, accepted in ENTRY.findall(message):
                if accepted == b"N":
                    self.gone(client_id.decode())
        elif kind[1] == b"8" and b"\x0139=2\x01" in message:
            client_id = CLIENT_ID.search(message)
            if client_id is not None:
                self.gone(client_id[1].decode())

    def gone(self, client_id: str) -> None:
        """Note that a quote is not in the book; a change of it under way will be refused too."""
        slot = int(client_id.partition(".")[0])
        if self.ids[slot] == client_id:
            self.ids[slot] = ""


class Taker(Trader):
    """Sends an immediate order now and then, on either side."""

    every_s = TAKE_S
    kind = "orders"

    def act(self, due: float) -> None:
        """Take a little."""
        self.made += 1
        pick = self.market.random
        buy = pick.random() < 0.5
        price = (self.market.middle + (REACH if buy else -REACH)) // 100
        self.due[f"T{self.made}".encode()] = due
        self.send_body(
            "D",
            f"11=T{self.made}{SOH}55=BTC-USD{SOH}54={1 if buy else 2}{SOH}60={now_text()}{SOH}"
            f"38=0.{pick.randrange(1, 10)}{SOH}40=2{SOH}59=3{SOH}44={price}{SOH}",
        )

    def take(self, message: bytes) -> None:
        client_id, status = CLIENT_ID.search(message), STATUS.search(message)
        if client_id is None or status is None:
            return
        self.market.fills += b"\x01150=F\x01" in message
        if status[1] in (b"2", b"4"):
            self.market.measure(self.kind, self.due.pop(client_id[1]))
        elif status[1] == b"8":
            raise ConnectionError(f"the venue refused an order: {message!r}")


class Treasury(threading.Thread):
    """Asks for an account's balances by REST, five times a second."""

    def __init__(self, port: int, market: Market, end: float) -> None:
        super().__init__(daemon=True)
        self.http = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_S)
        self.market = market
        self.finish = end
        self.fault: Exception | None = None

    def run(self) -> None:
        try:
            due = time.perf_counter()
            while due < self.finish:
                time.sleep(max(0.0, due - time.perf_counter()))
                headers = {"Authorization": "Bearer demo-alice-read"}
                self.http.request("GET", "/v1/balances", headers=headers)
                answer = self.http.getresponse()
                body = answer.read()
                if answer.status != 200:
                    raise ConnectionError(f"the API answered {answer.status}: {body!r}")
                self.market.measure("balances", due)
                due += POLL_S
        except Exception as error:
            self.fault = error


def trade(traders: list[Maker | Taker], market: Market, end: float) -> None:
    """Let all traders act when it is their time, until the end, and hear their answers."""
    table: list[tuple[float, int, Callable[[float], None], float]] = []
    for number, trader in enumerate(traders):
        first = market.start + trader.every_s * number / len(traders)
        table.append((first, number, trader.act, trader.every_s))
    heapq.heapify(table)
    moves = market.start
    with selectors.DefaultSelector() as selector:
        for trader in traders:
            selector.register(trader.socket, selectors.EVENT_READ, trader)
        while table or any(trader.due for trader in traders):
            now = time.perf_counter()
            if now > end + ANSWER_S:
                raise TimeoutError(f"some requests were not answered within {ANSWER_S:.0f} s")
            while table and table[0][0] <= now:
                due, number, act, every_s = heapq.heappop(table)
                if due > moves:
                    market.middle += market.random.randrange(-3, 4)
                    moves += MOVE_S
                act(due)
                if due + every_s < end:
                    heapq.heappush(table, (due + every_s, number, act, every_s))
            wait = table[0][0] - time.perf_counter() if table else 0.1
            for key, _ in selector.select(max(0.0, wait)):
                key.data.read()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--http-port", type=int, required=True)
    parser.add_argument("--makers", required=True, help="names, with commas")
    parser.add_argument("--takers", required=True, help="names, with commas")
    parser.add_argument("--seconds", type=float, required=True)
    options = parser.parse_args()
    market, address = Market(seed=1), ("127.0.0.1", options.port)
    traders: list[Maker | Taker] = [
        *(Maker(address, name, market) for name in options.makers.split(",")),
        *(Taker(address, name, market) for name in options.takers.split(",")),
    ]
    for trader in traders:
        trader.logon()
    market.start = time.perf_counter()
    end = market.start + options.seconds
    treasury = Treasury(options.http_port, market, end)
    treasury.start()
    trade(traders, market, end)
    treasury.join()
    if treasury.fault is not None:
        raise treasury.fault
    for trader in traders:
        trader.logout()
    print(json.dumps({"samples": market.samples, "fills": market.fills}))


if __name__ == "__main__":
    main()
