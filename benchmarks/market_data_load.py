"""The readers of the market data benchmark, a process of its own on raw sockets.

All readers of a round come by one door, FIX or WebSocket, and subscribe to the whole book of every
instrument. When a message arrived is what the kernel says (SO_TIMESTAMPNS), so that neither the
turn in which this process comes to a socket nor its reading of what is there is measured.
``--rate`` enters orders over FIX and says how long each took to its report and to every reader;
without it, messages are counted until standard input ends.
"""

from __future__ import annotations

import argparse
import base64
import bisect
import json
import os
import re
import select
import socket
import struct
import sys
import time
from collections.abc import Sequence
from typing import Final

from benchmarks.common import percentile
from benchmarks.fix_load import SOH, Load, encode, now_text

TIMEOUT_S: Final = 30.0
TIMESTAMPS: Final = 35
"""SO_TIMESTAMPNS, which ``socket`` does not name."""
ROOM: Final = socket.CMSG_SPACE(16)
CHANGE: Final = re.compile(rb"\x0155=([^\x01]+)\x01.*\x0120024=(\d+)\x01", re.DOTALL)
BOOK: Final = re.compile(rb'"channel":"book".*?"type":"update".*?"seq":(\d+),.*?"symbol":"([^"]+)"')
REPORTED: Final = re.compile(rb"\x0120001=(\d+)\x01")


def stamped(connection: socket.socket) -> tuple[bytes, int]:
    """Receive what is there, and when the last of it arrived, in nanoseconds since 1970."""
    data, more, _, _ = connection.recvmsg(1 << 18, ROOM)
    for _, kind, value in more:
        if kind == TIMESTAMPS:
            seconds, nanoseconds = struct.unpack("qq", value)
            return data, seconds * 1_000_000_000 + nanoseconds
    return data, time.time_ns()


class Reader:
    """One reader. ``changes`` are (BookSeq, arrival in ns) of each instrument, ``messages`` all."""

    def __init__(self, address: tuple[str, int], symbols: Sequence[str], keep: bool) -> None:
        self.symbols = symbols
        self.keep = keep
        self.changes: dict[bytes, list[tuple[int, int]]] = {s.encode(): [] for s in symbols}
        self.messages = self.snapshots = self.first = self.last = 0
        self.buffer = bytearray()
        self.socket = socket.create_connection(address, TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, TIMESTAMPS, 1)
        self.begin()

    def begin(self) -> None:
        """Open the session and subscribe, without waiting for the snapshots."""
        raise NotImplementedError

    def take(self, arrived: int) -> None:
        """Take the whole messages out of the buffer."""
        raise NotImplementedError

    def end(self) -> None:
        """Leave, and wait until the other side has seen it."""
        raise NotImplementedError

    def receive(self) -> None:
        """Take in what is there."""
        data, arrived = stamped(self.socket)
        if not data:
            raise ConnectionError("the server closed the connection of a reader")
        before = self.messages
        self.buffer += data
        self.take(arrived)
        if self.messages > before:
            self.first, self.last = self.first or arrived, arrived


class FixReader(Reader):
    """A market data session; ``R007-MD`` is the eighth's CompID."""

    number = 0

    def begin(self) -> None:
        self.sent = 0
        self.comp_id = f"R{FixReader.number:03d}-MD"
        FixReader.number += 1
        self.say("A", f"98=0{SOH}108=300{SOH}141=Y{SOH}553=reader{SOH}554=reader-demo{SOH}")
        while b"\x0110=" not in self.buffer:
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError(f"{self.comp_id} was not let in")
            self.buffer += data
        if b"\x0135=A\x01" not in self.buffer:
            raise ConnectionError(f"no Logon came back but {bytes(self.buffer)!r}")
        self.buffer.clear()
        asked = "".join(f"55={symbol}{SOH}" for symbol in self.symbols)
        self.say(
            "V",
            f"262={self.comp_id}{SOH}263=1{SOH}264=0{SOH}265=1{SOH}267=2{SOH}269=0{SOH}269=1{SOH}"
            f"146={len(self.symbols)}{SOH}{asked}",
        )

    def say(self, msg_type: str, fields: str) -> None:
        self.sent += 1
        head = f"35={msg_type}{SOH}34={self.sent}{SOH}49={self.comp_id}{SOH}52={now_text()}{SOH}"
        self.socket.sendall(encode(f"{head}56=TANDEM{SOH}{fields}"))

    def take(self, arrived: int) -> None:
        buffer = self.buffer
        end = buffer.rfind(b"\x0110=")
        end = buffer.find(b"\x01", end + 4) + 1 if end >= 0 else 0
        if not end:
            return
        whole = bytes(buffer[:end])
        del buffer[:end]
        self.messages += whole.count(b"\x0135=X\x01")
        self.snapshots += whole.count(b"\x0135=W\x01")
        if self.keep:
            for message in whole.split(b"8=FIX.4.4\x01"):
                if b"\x0135=X\x01" in message:
                    found = CHANGE.search(message)
                    assert found is not None, message
                    self.changes[found.group(1)].append((int(found.group(2)), arrived))
        if b"\x0135=Y\x01" in whole or b"\x0135=3\x01" in whole or b"\x0135=5\x01" in whole:
            raise ConnectionError(f"the server answered {whole!r}")

    def end(self) -> None:
        self.say("5", "")
        while self.socket.recv(1 << 16):
            pass
        self.socket.close()


class WebSocketReader(Reader):
    """A connection that subscribes to the channel ``book``."""

    def begin(self) -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET /v1/stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        while b"\r\n\r\n" not in self.buffer:
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError("a WebSocket was not opened")
            self.buffer += data
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        if b" 101 " not in head:
            raise ConnectionError(f"a WebSocket was refused: {head!r}")
        params = {"channels": ["book"], "symbols": list(self.symbols)}
        self.frame(1, json.dumps({"op": "subscribe", "params": params}).encode())

    def frame(self, code: int, body: bytes) -> None:
        """Send a frame, masked with zeros."""
        size = bytes([0x80 | len(body)]) if len(body) < 126 else b"\xfe" + len(body).to_bytes(2)
        self.socket.sendall(bytes([0x80 | code]) + size + bytes(4) + body)

    def take(self, arrived: int) -> None:
        buffer, at = self.buffer, 0
        while len(buffer) >= at + 2:
            size, start = buffer[at + 1], at + 2
            if size >= 126:
                start = at + (4 if size == 126 else 10)
                size = int.from_bytes(buffer[at + 2 : start])
            if len(buffer) < start + size:
                break
            body = bytes(buffer[start : start + size])
            code, at = buffer[at] & 15, start + size
            if code == 9:
                self.frame(10, body)
            elif code == 8:
                raise ConnectionError(f"the server closed a WebSocket: {body!r}")
            else:
                self.message(body, arrived)
        del buffer[:at]

    def message(self, body: bytes, arrived: int) -> None:
        if body.startswith(b'{"channel":"book"') and b'"type":"update"' in body:
            self.messages += 1
            if self.keep:
                found = BOOK.search(body)
                assert found is not None, body
                self.changes[found.group(2)].append((int(found.group(1)), arrived))
        elif b'"type":"snapshot"' in body:
            self.snapshots += 1
        elif b'"ok":false' in body:
            raise ConnectionError(f"a request was refused: {body!r}")

    def end(self) -> None:
        self.frame(8, (1000).to_bytes(2))
        while self.socket.recv(1 << 16):
            pass
        self.socket.close()


class Orders(Load):
    """The session that enters orders; ``reports`` are the sequence and the arrival of each."""

    def __init__(
        self, address: tuple[str, int], trader: str, prefix: str, symbols: Sequence[str]
    ) -> None:
        super().__init__(address, trader, prefix, symbols)
        self.socket.setsockopt(socket.SOL_SOCKET, TIMESTAMPS, 1)
        self.told: list[tuple[int, int]] = []

    def take(self) -> None:
        data, arrived = stamped(self.socket)
        if not data:
            raise ConnectionError("the server closed the connection of the orders")
        seqs = REPORTED.findall(data)
        self.told += [(int(seq), arrived) for seq in seqs]
        self.reports += len(seqs)


class Poll:
    """Waits for readers, and for the session with the orders where there is one."""

    def __init__(self, readers: Sequence[Reader], orders: Orders | None = None) -> None:
        self.poll = select.epoll()
        self.by_number = {reader.socket.fileno(): reader for reader in readers}
        self.orders = orders
        for number in self.by_number:
            self.poll.register(number, select.EPOLLIN)
        if orders is not None:
            self.poll.register(orders.socket.fileno(), select.EPOLLIN)

    def turn(self, timeout_s: float) -> list[int]:
        """Take in what has arrived; return the numbers of files that are not readers."""
        others = []
        for number, _ in self.poll.poll(timeout_s):
            reader = self.by_number.get(number)
            if reader is not None:
                reader.receive()
            elif self.orders is not None and number == self.orders.socket.fileno():
                self.orders.take()
            else:
                others.append(number)
        return others


def connect(kind: str, port: int, count: int, symbols: Sequence[str], keep: bool) -> list[Reader]:
    """Connect readers, and have each wait until it has every snapshot."""
    make = FixReader if kind == "fix" else WebSocketReader
    readers: list[Reader] = []
    for _ in range(count):
        reader = make(("127.0.0.1", port), symbols, keep)
        while reader.snapshots < len(symbols):
            reader.receive()
        readers.append(reader)
    return readers


def paced(
    readers: Sequence[Reader], orders: Orders, rate: float, count: int
) -> dict[str, list[float]]:
    """Enter orders one by one; return what each wait was, in milliseconds."""
    poll = Poll(readers, orders)
    orders.prepare(count)
    sent: list[int] = []
    begin = time.monotonic()
    for number in range(count):
        while (left := begin + number / rate - time.monotonic()) > 0:
            poll.turn(left)
        message = orders.ready.pop()
        sent.append(time.time_ns())
        orders.socket.sendall(message)
    deadline = time.monotonic() + TIMEOUT_S
    while len(orders.told) < count or not _whole(readers, orders, count):
        poll.turn(0.1)
        if time.monotonic() > deadline:
            raise TimeoutError("reports or changes of the book are missing")
    found: dict[str, list[float]] = {"report": [], "change": [], "after": []}
    for number, (began, (seq, reported)) in enumerate(zip(sent, orders.told, strict=True), 1):
        symbol = orders.symbols[number % len(orders.symbols)].encode()
        found["report"].append((reported - began) / 1e6)
        for reader in readers:
            changes = reader.changes[symbol]
            arrived = changes[bisect.bisect_left(changes, (seq, 0))][1]
            found["change"].append((arrived - began) / 1e6)
            found["after"].append((arrived - reported) / 1e6)
    return found


def _whole(readers: Sequence[Reader], orders: Orders, count: int) -> bool:
    """Return True if every reader has the last change of every instrument."""
    last = {
        orders.symbols[number % len(orders.symbols)].encode(): seq
        for number, (seq, _) in enumerate(orders.told[:count], 1)
    }
    return all(
        reader.changes[symbol] and reader.changes[symbol][-1][0] >= seq
        for reader in readers
        for symbol, seq in last.items()
    )


def counted(readers: Sequence[Reader]) -> dict[str, float]:
    """Read until standard input ends; return how many messages came, within how many seconds."""
    poll = Poll(readers)
    poll.poll.register(sys.stdin.fileno(), select.EPOLLIN | select.EPOLLHUP)
    print("ready", flush=True)
    while not poll.turn(1.0):
        pass
    began, ended = min(reader.first for reader in readers), max(reader.last for reader in readers)
    return {
        "messages": sum(reader.messages for reader in readers),
        "seconds": (ended - began) / 1e9,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=("fix", "websocket"), required=True)
    parser.add_argument("--port", type=int, required=True, help="of the readers")
    parser.add_argument("--count", type=int, required=True, help="readers")
    parser.add_argument("--symbols", required=True, help="with commas")
    parser.add_argument("--rate", type=float, default=0.0, help="orders a second")
    parser.add_argument("--orders", type=int, default=0)
    parser.add_argument("--orders-port", type=int, default=0)
    parser.add_argument("--trader", default="")
    parser.add_argument("--prefix", default="")
    parser.add_argument("--nice", type=int, default=0)
    options = parser.parse_args()
    symbols = options.symbols.split(",")
    readers = connect(options.kind, options.port, options.count, symbols, options.rate > 0)
    os.nice(options.nice)
    if options.rate:
        orders = Orders(("127.0.0.1", options.orders_port), options.trader, options.prefix, symbols)
        orders.logon()
        waits = paced(readers, orders, options.rate, options.orders)
        orders.logout()
        found: dict[str, object] = {
            f"{name} {share}": percentile(values, share)
            for name, values in waits.items()
            for share in (0.5, 0.99)
        }
    else:
        found = dict(counted(readers))
    print(json.dumps(found), flush=True)
    for reader in readers:
        reader.end()


if __name__ == "__main__":
    main()
