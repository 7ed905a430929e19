"""Fan-out of the WebSocket service; ``python -m benchmarks.stream``.

An engine and the service run as processes; 1,000 subscribers are connections of one further
process: each hears the public book of an instrument, and all of them together the private events
of the account. Every message's place in its channel is checked, so a lost one would be seen.
``--subscribers 10000 --instruments 500`` is the large venue of ``benchmarks.growth``.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from account_api.security.auth import sign_hmac
from benchmarks.common import Section, percentile, progress
from benchmarks.venue import instrument_tables
from config.settings import Settings, load
from engine.client import AsyncEngineClient
from engine.core.commands import NewOrder
from engine.core.types import OrdType, Origin, Side, TimeInForce

COMMAND = "python -m benchmarks.stream"
ROOT: Final = Path(__file__).parent.parent
_PLACE: Final = re.compile(rb'"channel":"(\w+)".*?"type":"update".*?"seq":(\d+),"prev_seq":(\d+),')


class Subscriber(asyncio.Protocol):
    """A WebSocket client that only looks at the place of each message."""

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.buffer = bytearray()
        self.open = False
        self.last: dict[bytes, int] = {}
        self.updates = 0
        self.private = 0
        self.gaps = 0
        self.arrivals: dict[int, float] = {}
        self.transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self.transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(
            f"GET /v1/stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def say(self, value: object) -> None:
        """Send one small text frame, masked with zeros."""
        body = json.dumps(value).encode()
        size = bytes([0x80 | len(body)]) if len(body) < 126 else b"\xfe" + len(body).to_bytes(2)
        assert self.transport is not None
        self.transport.write(b"\x81" + size + bytes(4) + body)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.open:
            head, mark, rest = self.buffer.partition(b"\r\n\r\n")
            if not mark:
                return
            assert b" 101 " in head, head
            self.open, self.buffer = True, rest
        self.frames()

    def frames(self) -> None:
        """Take complete frames; answer pings."""
        while len(self.buffer) >= 2:
            size, at = self.buffer[1], 2
            if size >= 126:
                at = 4 if size == 126 else 10
                size = int.from_bytes(self.buffer[2:at])
            if len(self.buffer) < at + size:
                return
            code, body = self.buffer[0] & 15, bytes(self.buffer[at : at + size])
            del self.buffer[: at + size]
            if code == 9:
                assert self.transport is not None
                self.transport.write(b"\x8a" + bytes([0x80 | len(body)]) + bytes(4) + body)
            elif code == 1:
                self.message(body)

    def message(self, body: bytes) -> None:
        """Count an update and check that it follows the one before it."""
        found = _PLACE.match(body, 1)
        if found is None:
            if b'"ok":false' in body:
                raise RuntimeError(f"a request was refused: {body.decode()}")
            return
        channel, seq, prev = found.group(1), int(found.group(2)), int(found.group(3))
        if channel in self.last and self.last[channel] != prev:
            self.gaps += 1
        self.last[channel] = seq
        self.updates += 1
        self.private += channel != b"book"
        if channel == b"book":
            self.arrivals[seq] = time.perf_counter()


def start(module: str, environment: dict[str, str]) -> tuple[subprocess.Popen[str], dict[str, str]]:
    """Start a process and wait until it says that it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", module], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        entry = json.loads(line) if line.startswith("{") else {}
        if entry.get("event") == "ready":
            # A pipe that nobody reads would stop the process when it is full.
            threading.Thread(target=process.stderr.read, daemon=True).start()
            return process, entry
    raise RuntimeError(f"{module} ended before it was ready")


def resident_bytes(pid: int) -> int:
    """Return memory that a process has in use."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmRSS:\s+(\d+) kB", text)
    assert found is not None
    return int(found.group(1)) * 1024


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def subscribers(
    port: int, count: int, private: int, symbols: Sequence[str] = ("BTC-USD",)
) -> list[Subscriber]:
    """Connect them all, each to the book of one of the symbols.

    The first ``private`` log in as well and hear alice's orders.
    """
    loop = asyncio.get_running_loop()
    first_ms = time.time_ns() // 1_000_000 - private
    found: list[Subscriber] = []
    for number in range(count):
        symbol = symbols[number % len(symbols)]
        _, one = await loop.create_connection(partial(Subscriber, symbol), "127.0.0.1", port)
        found.append(one)
        while not one.open:
            await asyncio.sleep(0.001)
        if number < private:
            stamp = str(first_ms + number)  # A signature is good for one login.
            key = "demo-alice-trade"
            sign = sign_hmac(f"{key}-secret".encode(), stamp, "GET", "/v1/stream", b"")
            login = {"key": key, "timestamp": stamp, "signature": sign}
            one.say({"op": "login", "params": login})
            one.say({"op": "subscribe", "params": {"channels": ["orders"]}})
        one.say({"op": "subscribe", "params": {"channels": ["book"], "symbols": [symbol]}})
    return found


async def measure(
    settings: Settings, port: int, pid: int, count: int, private: int, rate: int, seconds: int,
    symbols: Sequence[str],
) -> list[tuple[str, str]]:  # fmt: skip
    """Connect, then change the books ``rate`` times a second in turn; see what arrives where."""
    empty = resident_bytes(pid)
    progress(f"connecting {count} subscribers")
    peers = await subscribers(port, count, private, symbols)
    await asyncio.sleep(2)
    full = resident_bytes(pid)
    client = AsyncEngineClient(str(settings.engine.socket), "benchmark")
    sent: dict[str, dict[int, float]] = {symbol: {} for symbol in symbols}
    progress(f"{rate} events a second for {seconds} s")
    cpu, begin = cpu_seconds(pid), time.perf_counter()
    for number in range(rate * seconds):
        await asyncio.sleep(max(0.0, begin + number / rate - time.perf_counter()))
        symbol = symbols[number % len(symbols)]
        order = NewOrder(
            Origin("api:benchmark"), "alice", f"b{number}-{begin}", symbol, Side.BUY,
            OrdType.LIMIT, TimeInForce.GTC, 10, 100 + number % 900,
        )  # fmt: skip
        before = time.perf_counter()
        sent[symbol][(await client.submit(order)).transaction.seq] = before
    elapsed = time.perf_counter() - begin
    cpu = cpu_seconds(pid) - cpu
    await asyncio.sleep(2)
    await client.close()
    # A book message may hold several events that came together: seq says what it contains.
    delays = [
        (min(at for seq, at in peer.arrivals.items() if seq >= wanted) - before) * 1000
        for peer in peers
        for wanted, before in sent[peer.symbol].items()
        if wanted <= peer.last.get(b"book", 0)
    ]
    events = rate * seconds
    newest = {symbol: max(each, default=0) for symbol, each in sent.items()}
    whole = sum(peer.last.get(b"book", 0) >= newest[peer.symbol] for peer in peers)
    return [
        ("subscribers; of them with a private stream", f"{count:,}; {private:,}"),
        ("instruments", f"{len(symbols):,}"),
        ("events/s", f"{rate}"),
        ("messages delivered/s", f"{sum(peer.updates for peer in peers) / elapsed:,.0f}"),
        ("subscribers that have the last change of the book", f"{whole:,} of {count:,}"),
        (
            "private events that arrived of those due",
            f"{sum(peer.private for peer in peers):,} of {events * private:,}",
        ),
        ("gaps seen", str(sum(peer.gaps for peer in peers))),
        (
            "order sent to book update received, ms: p50, p99, max",
            f"{percentile(delays, 0.5):.1f}, {percentile(delays, 0.99):.1f}, {max(delays):.1f}",
        ),
        ("CPU of the service", f"{100 * cpu / elapsed:.0f} % of one core"),
        ("memory of the service, MiB: before, with all", f"{empty >> 20}, {full >> 20}"),
        ("memory per subscriber, KiB", f"{(full - empty) / count / 1024:.1f}"),
    ]


def main() -> None:
    """Print the section."""
    parser = argparse.ArgumentParser(prog=COMMAND)
    parser.add_argument("--subscribers", type=int, default=1_000)
    parser.add_argument("--private", type=int, default=100)
    parser.add_argument("--rate", type=int, default=10)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--instruments", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tandem-b-") as folder:
        config = Path(folder) / "benchmark.toml"
        demo = (ROOT / "config" / "demo.toml").read_text(encoding="utf-8")
        demo = re.sub(r"(?m)^port = 8081", "port = 0\nconnections_max = 20000", demo)
        symbols = ["BTC-USD", *(f"M{number:03d}-USD" for number in range(1, given.instruments))]
        config.write_text(demo + instrument_tables(symbols[1:]), encoding="utf-8")
        names = {"TANDEM_CONFIG": str(config), "TANDEM_DATA": folder}
        environment = os.environ | names
        settings = load(env=environment)
        processes = []
        try:
            processes.append(start("engine.main", environment)[0])
            stream, entry = start("account_api.stream", environment)
            processes.append(stream)
            port = int(entry["url"].rpartition(":")[2].partition("/")[0])
            rows = asyncio.run(
                measure(
                    settings,
                    port,
                    stream.pid,
                    given.subscribers,
                    given.private,
                    given.rate,
                    given.seconds,
                    symbols,
                )
            )
        finally:
            for process in reversed(processes):
                process.terminate()
                process.wait()
    section = Section(
        "The stream: fan-out over WebSocket",
        COMMAND,
        "Every event changes a book, which is sent to every subscriber of its instrument, and is "
        "an event of the account, which is sent to those with a private stream as well. The "
        "subscribers run on the same machine as the engine and the service.",
        ("measure", "figure"),
        rows,
    )
    print(section.text())


if __name__ == "__main__":
    main()
