"""The load of the FIX benchmark, a process of its own on raw sockets.

Every order of a round is encoded before the clock starts; while it runs, bytes are sent and
reports counted, so that next to nothing is taken from the core that the venue may use.
Prints one JSON object: orders per second, and how long single orders took.
"""

from __future__ import annotations

import argparse
import json
import re
import selectors
import socket
import time
from collections.abc import Sequence
from typing import Final

SOH: Final = "\x01"
CHUNK: Final = 256
LOGON_TIMEOUT_S: Final = 60.0
REPORT: Final = b"\x01150=0\x01"
TEST_REQUEST: Final = re.compile(rb"\x0135=1\x01.*?\x01112=([^\x01]+)\x01")
MESSAGE: Final = re.compile(rb"8=FIX\.4\.4\x019=\d+\x01.*?\x0110=\d{3}\x01", re.DOTALL)


def now_text() -> str:
    moment = time.time()
    whole = time.strftime("%Y%m%d-%H:%M:%S", time.gmtime(moment))
    return f"{whole}.{int(moment % 1 * 1000):03d}"


def encode(content: str) -> bytes:
    """Return a whole message from its fields after BodyLength."""
    text = f"8=FIX.4.4{SOH}9={len(content)}{SOH}{content}"
    return f"{text}10={sum(text.encode()) % 256:03d}{SOH}".encode()


def split_whole(buffer: bytes) -> tuple[bytes, bytes]:
    """Return the whole messages at the front of a buffer, and the rest."""
    end = buffer.rfind(b"\x0110=")
    end = buffer.find(b"\x01", end + 4) + 1 if end >= 0 else 0
    return buffer[:end], buffer[end:]


class Load:
    """One session: logs on with both sequence numbers at 1, sends orders, counts reports."""

    def __init__(
        self, address: tuple[str, int], trader: str, prefix: str,
        symbols: Sequence[str] = ("BTC-USD",),
    ) -> None:  # fmt: skip
        """``symbols`` are of one length; orders go round them."""
        self.trader = trader
        self.symbols = symbols
        self.prefix = prefix
        self.number = 0
        self.made = 0
        self.sent = 0
        self.reports = 0
        self.tail = b""
        self.ready: list[bytes] = []
        """Orders that are encoded and wait to be sent, the next one last."""
        self.socket = socket.create_connection(address, LOGON_TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def header(self, msg_type: str) -> str:
        self.number += 1
        comp_id = self.trader.upper()
        return SOH.join(
            (f"35={msg_type}", f"34={self.number:08d}", f"49={comp_id}", f"52={now_text()}",
             "56=TANDEM", "")
        )  # fmt: skip

    def logon(self) -> None:
        password = f"{self.trader}-demo"
        fields = f"98=0{SOH}108=60{SOH}141=Y{SOH}553={self.trader}{SOH}554={password}{SOH}"
        self.socket.sendall(encode(self.header("A") + fields))
        answer = b""
        while b"\x0110=" not in answer:
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError("the server closed the connection at logon")
            answer += data
        if b"\x0135=A\x01" not in answer:
            raise ConnectionError(f"no Logon came back but {answer!r}")

    def prepare(self, count: int) -> None:
        """Encode the next ``count`` limit buys that will rest; only what changes is computed."""
        stamp = now_text()
        head = f"35=D{SOH}34="
        middle = f"{SOH}49={self.trader.upper()}{SOH}52={stamp}{SOH}56=TANDEM{SOH}11="
        rest = f"{SOH}54=1{SOH}60={stamp}{SOH}38=0.001{SOH}40=2{SOH}59=1{SOH}44="
        prefix, symbols = self.prefix, self.symbols
        where = f"{SOH}55="
        sample = f"{head}00000000{middle}{prefix}00000000{where}{symbols[0]}{rest}1000.00{SOH}"
        start = f"8=FIX.4.4{SOH}9={len(sample)}{SOH}{head}"
        base = sum(f"{start}{middle}{prefix}{where}{rest}{SOH}".encode())
        found = []
        for _ in range(count):
            self.number += 1
            self.made += 1
            number, order = f"{self.number:08d}", f"{self.made:08d}"
            price = f"1{self.made * 7 % 1000:03d}.{self.made * 13 % 100:02d}"
            symbol = symbols[self.made % len(symbols)]
            check = (base + sum(f"{number}{order}{symbol}{price}".encode())) % 256
            text = (
                f"{start}{number}{middle}{prefix}{order}{where}{symbol}{rest}{price}{SOH}"
                f"10={check:03d}{SOH}"
            )
            found.append(text.encode())
        self.ready = found[::-1]

    def receive(self) -> None:
        """Read what is there (or wait for it), count reports, answer a TestRequest."""
        data = self.socket.recv(1 << 20)
        if not data:
            raise ConnectionError(f"the server closed the connection after {self.reports} reports")
        whole, self.tail = split_whole(self.tail + data)
        self.reports += whole.count(REPORT)
        if b"\x0135=1\x01" in whole:
            for asked in TEST_REQUEST.findall(whole):
                self.answer(asked.decode())
        for unwanted in (b"\x0135=3\x01", b"\x0135=j\x01", b"\x0135=5\x01", b"\x01150=8\x01"):
            if unwanted in whole:
                bad = next(m for m in MESSAGE.findall(whole) if unwanted in m)
                raise ConnectionError(f"the server answered {bad!r}")

    def answer(self, asked: str) -> None:
        """Answer a TestRequest, which takes the number of the next order: encode those again."""
        left = len(self.ready)
        self.number -= left
        self.made -= left
        self.socket.sendall(encode(f"{self.header('0')}112={asked}{SOH}"))
        self.prepare(left)

    def send(self, window: int) -> None:
        """Send what the window has room for, if that is worth a call."""
        room = min(window - (self.sent - self.reports), len(self.ready))
        if room >= min(max(1, window // 4), CHUNK, len(self.ready)) and room > 0:
            room = min(room, CHUNK)
            chunk, self.ready[-room:] = self.ready[-room:], []
            self.sent += room
            self.socket.sendall(b"".join(reversed(chunk)))

    def one_at_a_time(self, count: int) -> list[float]:
        """Return milliseconds from sending an order to having its report, one after the other."""
        took = []
        self.prepare(count)
        while self.ready:
            start = time.perf_counter()
            self.send(1)
            while self.reports < self.sent:
                self.receive()
            took.append((time.perf_counter() - start) * 1000)
        return took

    def logout(self) -> None:
        self.socket.sendall(encode(self.header("5")))
        while self.socket.recv(65536):
            pass
        self.socket.close()


def pipelined(loads: Sequence[Load], count: int, window: int) -> float:
    """Have each session send ``count`` orders, up to ``window`` unanswered; seconds in all."""
    for load in loads:
        load.prepare(count)
    with selectors.DefaultSelector() as selector:
        for load in loads:
            selector.register(load.socket, selectors.EVENT_READ, load)
        start = time.perf_counter()
        for load in loads:
            load.send(window)
        while any(load.ready or load.reports < load.sent for load in loads):
            for key, _ in selector.select():
                key.data.receive()
                key.data.send(window)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--traders", default="alice", help="one session each, with commas")
    parser.add_argument("--symbols", default="BTC-USD", help="of one length, with commas")
    parser.add_argument("--prefix", required=True, help="of the client order ids")
    parser.add_argument("--orders", type=int, default=20_000, help="of all sessions together")
    parser.add_argument("--window", type=int, default=1_000, help="unanswered, of all together")
    parser.add_argument("--single", type=int, default=500)
    options = parser.parse_args()
    names = options.traders.split(",")
    address, symbols = (options.host, options.port), options.symbols.split(",")
    loads = [Load(address, name, options.prefix, symbols) for name in names]
    for load in loads:
        load.logon()
    share = options.orders // len(loads)
    window = max(1, options.window // len(loads))
    pipelined(loads, max(1, min(1_000 // len(loads), share)), window)
    seconds = pipelined(loads, share, window)
    took = loads[0].one_at_a_time(options.single)
    for load in loads:
        load.logout()
    print(json.dumps({"rate": share * len(loads) / seconds, "single_ms": took}))


if __name__ == "__main__":
    main()
