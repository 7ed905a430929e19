"""The load of the FIX benchmark, a process of its own on a raw socket.

Encodes a few hundred orders at a time just before they are sent, with a template and an
addition per order, so that it takes next to nothing from the core that the venue may use.
Prints one JSON object: orders per second, and how long single orders took.
"""

from __future__ import annotations

import argparse
import json
import re
import socket
import time
from typing import Final

SOH: Final = "\x01"
CHUNK: Final = 256
LOGON_TIMEOUT_S: Final = 10.0
REPORT: Final = b"\x01150=0\x01"
TEST_REQUEST: Final = re.compile(rb"\x0135=1\x01.*?\x01112=([^\x01]+)\x01")
MESSAGE: Final = re.compile(rb"8=FIX\.4\.4\x019=\d+\x01.*?\x0110=\d{3}\x01", re.DOTALL)


def now_text() -> str:
    moment = time.time()
    whole = time.strftime("%Y%m%d-%H:%M:%S", time.gmtime(moment))
    return f"{whole}.{int(moment % 1 * 1000):03d}"


def encode(content: str) -> bytes:
    """A whole message from its fields after BodyLength."""
    text = f"8=FIX.4.4{SOH}9={len(content)}{SOH}{content}"
    return f"{text}10={sum(text.encode()) % 256:03d}{SOH}".encode()


class Load:
    """One session: logs on with both sequence numbers at 1, sends orders, counts reports."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.number = 0
        self.made = 0
        self.reports = 0
        self.tail = b""
        self.socket = socket.create_connection((options.host, options.port), LOGON_TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def header(self, msg_type: str) -> str:
        self.number += 1
        comp_id = self.options.comp_id
        return SOH.join(
            (f"35={msg_type}", f"34={self.number:08d}", f"49={comp_id}", f"52={now_text()}",
             "56=TANDEM", "")
        )  # fmt: skip

    def logon(self) -> None:
        user, password = self.options.username, self.options.password
        fields = f"98=0{SOH}108=60{SOH}141=Y{SOH}553={user}{SOH}554={password}{SOH}"
        self.socket.sendall(encode(self.header("A") + fields))
        answer = b""
        while b"\x0110=" not in answer:
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError("the server closed the connection at logon")
            answer += data
        if b"\x0135=A\x01" not in answer:
            raise ConnectionError(f"no Logon came back but {answer!r}")

    def orders(self, count: int) -> list[bytes]:
        """The next ``count`` limit buys that will rest; only what changes is computed."""
        stamp = now_text()
        head = f"35=D{SOH}34="
        middle = f"{SOH}49={self.options.comp_id}{SOH}52={stamp}{SOH}56=TANDEM{SOH}11="
        rest = (
            f"{SOH}55=BTC-USD{SOH}54=1{SOH}60={stamp}{SOH}38=0.001{SOH}40=2{SOH}59=1{SOH}44="
        )
        prefix = self.options.prefix
        sample = f"{head}00000000{middle}{prefix}00000000{rest}1000.00{SOH}"
        start = f"8=FIX.4.4{SOH}9={len(sample)}{SOH}{head}"
        base = sum(f"{start}{middle}{prefix}{rest}{SOH}".encode())
        found = []
        for _ in range(count):
            self.number += 1
            self.made += 1
            number, order = f"{self.number:08d}", f"{self.made:08d}"
            price = f"1{self.made * 7 % 1000:03d}.{self.made * 13 % 100:02d}"
            check = (base + sum(f"{number}{order}{price}".encode())) % 256
            text = f"{start}{number}{middle}{prefix}{order}{rest}{price}{SOH}10={check:03d}{SOH}"
            found.append(text.encode())
        return found

    def receive(self) -> None:
        """Read what is there (or wait for it), count reports, answer a TestRequest."""
        data = self.socket.recv(1 << 20)
        if not data:
            raise ConnectionError(f"the server closed the connection after {self.reports} reports")
        buffer = self.tail + data
        end = buffer.rfind(b"\x0110=")
        end = buffer.find(b"\x01", end + 4) + 1 if end >= 0 else 0
        whole, self.tail = buffer[:end], buffer[end:]
        self.reports += whole.count(REPORT)
        if b"\x0135=1\x01" in whole:
            for asked in TEST_REQUEST.findall(whole):
                answer = f"{self.header('0')}112={asked.decode()}{SOH}"
                self.socket.sendall(encode(answer))
        for unwanted in (b"\x0135=3\x01", b"\x0135=j\x01", b"\x0135=5\x01", b"\x01150=8\x01"):
            if unwanted in whole:
                bad = next(m for m in MESSAGE.findall(whole) if unwanted in m)
                raise ConnectionError(f"the server answered {bad!r}")

    def pipelined(self, count: int) -> float:
        """Keep up to ``window`` orders unanswered; seconds until the last report."""
        window = self.options.window
        sent, target = 0, self.reports + count
        first = self.reports
        start = time.perf_counter()
        while self.reports < target:
            room = min(window - (sent - (self.reports - first)), count - sent)
            if room >= min(CHUNK, count - sent) and room > 0:
                chunk = self.orders(min(room, CHUNK))
                self.socket.sendall(b"".join(chunk))
                sent += len(chunk)
            else:
                self.receive()
        return time.perf_counter() - start

    def one_at_a_time(self, count: int) -> list[float]:
        """Milliseconds from sending an order to having its report, one after the other."""
        took = []
        for _ in range(count):
            (order,) = self.orders(1)
            target = self.reports + 1
            start = time.perf_counter()
            self.socket.sendall(order)
            while self.reports < target:
                self.receive()
            took.append((time.perf_counter() - start) * 1000)
        return took

    def logout(self) -> None:
        self.socket.sendall(encode(self.header("5")))
        while self.socket.recv(65536):
            pass
        self.socket.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--comp-id", default="ALICE")
    parser.add_argument("--username", default="alice")
    parser.add_argument("--password", default="alice-demo")
    parser.add_argument("--prefix", required=True, help="of the client order ids")
    parser.add_argument("--orders", type=int, default=20_000)
    parser.add_argument("--window", type=int, default=1_000)
    parser.add_argument("--single", type=int, default=500)
    load = Load(parser.parse_args())
    load.logon()
    load.pipelined(min(1_000, load.options.orders))
    seconds = load.pipelined(load.options.orders)
    took = load.one_at_a_time(load.options.single)
    load.logout()
    print(json.dumps({"rate": load.options.orders / seconds, "single_ms": took}))


if __name__ == "__main__":
    main()
