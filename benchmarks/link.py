"""What the link between two members costs a forwarded command; ``python -m benchmarks.link``.

One server process takes commands and returns a result for each, without an engine behind it: over
its Unix socket, and over TCP with mutual TLS on the loopback interface by way of a ``Link``. The
same frames go over both, one round after the other.
"""

from __future__ import annotations

import argparse
import os
import secrets
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from benchmarks.common import Section, done, percentile, progress, rate, ratios
from benchmarks.venue import Child
from engine import wire
from engine.cluster.link import Connected, Link
from engine.core.commands import COMMAND_KINDS, NewOrder
from engine.core.types import OrdType, Origin, Side, TimeInForce
from engine.server.ipc import Limits, Server
from engine.server.tcp import TcpListener
from engine.server.tls import TlsFiles
from tandem import cluster_certificates as certificates

COMMAND: Final = "python -m benchmarks.link"
HOST: Final = "127.0.0.1"
WINDOWS: Final = (1, 64, 512)
RESULT_BYTES: Final = 230
"""About what the transaction of an order has."""
RECEIVE_BYTES: Final = 1 << 18


class Plan(NamedTuple):
    """Rounds, and the commands of each at every window."""

    rounds: int
    commands: tuple[int, ...]


FULL: Final = Plan(9, (3_000, 30_000, 60_000))
QUICK: Final = Plan(3, (500, 5_000, 10_000))
TINY: Final = Plan(2, (50, 640, 1_024))


def files(folder: Path, node: str) -> TlsFiles:
    """Return the files of a node."""
    of = folder / "ca" / node
    return TlsFiles(of / certificates.CA, of / certificates.CERTIFICATE, of / certificates.KEY)


def serve(folder: Path) -> None:
    """Answer every command with a result of a transaction's size, until the process is ended."""
    tcp = TcpListener(f"{HOST}:0", files(folder, "a"))
    server = Server(folder / "run" / "engine.sock", Limits(), tcp)
    body = wire.encode_value(secrets.token_bytes(RESULT_BYTES))
    print(f"serving at {HOST}:{tcp.port} now", file=sys.stderr, flush=True)
    while True:
        for connection, item in server.poll(1.0, time.monotonic()):
            if isinstance(item, wire.Hello):
                server.send(connection, wire.Welcome(wire.PROTOCOL_VERSION, "boot", 1, 1))
            elif isinstance(item, wire.Submit):
                server.reply(connection, wire.result_frame(item.id, False, body))
            elif isinstance(item, wire.Ask):
                server.send(connection, wire.Failed(item.id, "unknown_query", "no query is known"))
        server.flush(time.monotonic())


class Client(Protocol):
    """Sends frames, and waits until as many results are there."""

    def exchange(self, data: bytes, count: int) -> None: ...


class OverUnix:
    """A blocking Unix socket, as the clients of the engine have it."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._buffer = memoryview(bytearray(RECEIVE_BYTES))
        self._inbox = bytearray()
        self.exchange(wire.encode_frame(wire.Hello(wire.PROTOCOL_VERSION, "unix")), 1)

    def exchange(self, data: bytes, count: int) -> None:
        self._socket.sendall(data)
        while count:
            size = self._socket.recv_into(self._buffer)
            if not size:
                raise RuntimeError("the server has closed the connection")
            self._inbox += self._buffer[:size]
            bodies = wire.split_frames(self._inbox, wire.ENGINE_FRAME_BYTES_MAX)
            for body in bodies:
                wire.decode_engine_frame(body)
            count -= len(bodies)

    def close(self) -> None:
        self._socket.close()


class OverLink:
    """A link whose owner waits on a pipe, as an engine does in its poll."""

    def __init__(self, tls: TlsFiles, address: str) -> None:
        self._read, self._write = os.pipe()
        self.link = Link(tls, "b", lambda: (os.write(self._write, b"w"), None)[1])
        self.link.follow(address)
        while not any(isinstance(item, Connected) for item in self._taken()):
            pass

    def _taken(self) -> list[object]:
        os.read(self._read, 4096)
        return [*self.link.take()]

    def exchange(self, data: bytes, count: int) -> None:
        if not self.link.send(data):
            raise RuntimeError(f"the link is not up: {self.link.trouble}")
        while count:
            count -= sum(isinstance(item, wire.Result) for item in self._taken())

    def close(self) -> None:
        self.link.close()


def measured(client: Client, window: int, commands: int) -> tuple[float, list[float]]:
    """Return commands per second, and the microseconds of each window."""
    order = NewOrder(
        Origin("api:alice"), "alice", "o1", "BTC-USD", Side.BUY, OrdType.LIMIT,
        TimeInForce.GTC, 1, 1,
    )  # fmt: skip
    frame = wire.Submit(1, COMMAND_KINDS[NewOrder], wire.encode_command(order))
    data = wire.encode_frame(frame) * window
    took = []
    began = time.perf_counter()
    for _ in range(commands // window):
        started = time.perf_counter()
        client.exchange(data, window)
        took.append((time.perf_counter() - started) * 1e6)
    return commands // window * window / (time.perf_counter() - began), took


def section(plan: Plan, folder: Path) -> Section:
    """Return the table: at each window both clients, their rounds in turn."""
    certificates.make(folder / "ca", {"a": [HOST], "b": [HOST]}, 2)
    child = Child(folder, "benchmarks.link", "--serve", str(folder), ready=" now\n", environment={})
    rows = []
    unix, link = None, None
    try:
        address = child.log.read_text(encoding="utf-8").split("serving at ")[1].split()[0]
        unix = OverUnix(folder / "run" / "engine.sock")
        link = OverLink(files(folder, "b"), address)
        for window, commands in zip(WINDOWS, plan.commands, strict=True):
            rates: dict[str, list[float]] = {"Unix socket": [], "link": []}
            took: dict[str, list[float]] = {"Unix socket": [], "link": []}
            for number in range(plan.rounds):
                progress(f"link: {window} at a time, round {number + 1} of {plan.rounds}")
                for name, client in (("Unix socket", unix), ("link", link)):
                    per_second, waits = measured(client, window, commands)
                    rates[name].append(per_second)
                    took[name] += waits
            for name in rates:
                rows.append((
                    f"{name}, {window} at a time",
                    rate(rates[name]),
                    ratios(rates[name], rates["Unix socket"]),
                    f"{percentile(took[name], 0.5):,.0f}",
                    f"{percentile(took[name], 0.99):,.0f}",
                ))  # fmt: skip
    finally:
        for each in (unix, link):
            if each is not None:
                each.close()
        child.stop()
    done()
    return Section(
        "The link between two members",
        COMMAND,
        "Commands that are sent and whose results come back, per second, and the microseconds of "
        "a window of them: the same frames over the Unix socket and over TCP with mutual TLS on "
        "one machine.",
        ("way", "commands/s", "ratio to the Unix socket", "p50, µs", "p99, µs"),
        rows,
        (
            "A forwarded command crosses the Unix socket of its machine and the link; between "
            "machines the network's round trip comes on top.",
            "Client, link and server share the cores.",
        ),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer commands and rounds")
    parser.add_argument("--tiny", action="store_true", help="just enough to see that it works")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    plan = TINY if options.tiny else QUICK if options.quick else FULL
    with tempfile.TemporaryDirectory() as folder:
        print(section(plan, Path(folder)).text())


if __name__ == "__main__":
    main()
