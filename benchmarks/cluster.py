"""A cluster of three beside a single machine and bare appends; ``python -m benchmarks.cluster``.

In turn, in one run: one order at a time and a thousand under way, to a single engine, to the leader
of a cluster, to a follower that forwards them, and appends of the same batches to the same etcd.
Then the leader is lost and moved again and again, and it is measured when the next order is
acknowledged.
Three members of etcd and three engines share this machine, its processors and its disk.
"""

from __future__ import annotations

import argparse
import io
import os
import socket
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, redirect_stdout
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple
from zlib import crc32

import msgspec

from benchmarks.common import Section, done, half_and_99, percentile, progress, rate, ratios
from benchmarks.etcd import log
from engine import wire
from engine.client import EngineClient, EngineError
from engine.core.commands import COMMAND_KINDS, NewOrder
from engine.core.types import OrdType, Origin, Side, TimeInForce
from engine.journal.base import Record
from tandem import cluster_state
from tests.support.cluster import Cluster, Node, running
from tests.support.processes import EngineProcess

COMMAND = "python -m benchmarks.cluster"
WINDOW: Final = 1_000
WITHIN_S: Final = 30.0
SYMBOL: Final = "BTC-USD"
PRICE: Final = 5_000_000
SESSION: Final = Origin("api:bench")


class Plan(NamedTuple):
    """How much is measured."""

    rounds: int = 5
    singles: int = 300
    many: int = 20_000
    losses: int = 100
    switches: int = 20


TINY: Final = Plan(rounds=1, singles=10, many=1_000, losses=1, switches=1)
QUICK: Final = Plan(rounds=2, singles=100, many=4_000, losses=5, switches=3)


class Orders:
    """Limit orders, of which each second one trades with the one before it."""

    def __init__(self) -> None:
        self._numbers = count()

    def __next__(self) -> NewOrder:
        number = next(self._numbers)
        account, side = (("alice", Side.BUY), ("bob", Side.SELL))[number % 2]
        return NewOrder(
            SESSION, account, f"b{os.getpid()}-{number}", SYMBOL, side, OrdType.LIMIT,
            TimeInForce.GTC, 1, PRICE,
        )  # fmt: skip

    def __iter__(self) -> Iterator[NewOrder]:
        return self


class Caller:
    """A connection to an engine that keeps a number of commands under way."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._socket.sendall(wire.encode_frame(wire.Hello(wire.PROTOCOL_VERSION, "bench")))
        self._buffer = bytearray()
        self._received = memoryview(bytearray(1 << 18))
        self._frames: deque[wire.EngineFrame] = deque()
        self._next()

    def close(self) -> None:
        self._socket.close()

    def _next(self) -> wire.EngineFrame:
        while not self._frames:
            size = self._socket.recv_into(self._received)
            if not size:
                raise RuntimeError("the engine has closed the connection")
            self._buffer += self._received[:size]
            for body in wire.split_frames(self._buffer, wire.ENGINE_FRAME_BYTES_MAX):
                self._frames.append(wire.decode_engine_frame(body))
        return self._frames.popleft()

    def run(self, frames: list[bytes], window: int) -> list[float]:
        """Send commands, at most ``window`` of them unanswered; return the ms of each."""
        sent_at: deque[float] = deque()
        took, to_send = [], deque(frames)
        while to_send or sent_at:
            room = min(window - len(sent_at), len(to_send))
            if room:
                now = time.perf_counter()
                self._socket.sendall(b"".join([to_send.popleft() for _ in range(room)]))
                sent_at.extend([now] * room)
            while True:
                frame = self._next()
                if not isinstance(frame, wire.Result):
                    raise RuntimeError(f"an order was not done: {frame}")
                took.append((time.perf_counter() - sent_at.popleft()) * 1e3)
                if not self._frames:
                    break
        return took


def frames(orders: Orders, number: int) -> list[bytes]:
    """Encode as many orders."""
    kind = COMMAND_KINDS[NewOrder]
    return [
        wire.encode_frame(wire.Submit(n + 1, kind, wire.encode_command(next(orders))))
        for n in range(number)
    ]


class Way:
    """One way to have commands done, and what was measured of it."""

    def __init__(self, name: str, path: str) -> None:
        self.name = name
        self._caller = Caller(path)
        self.single_ms: list[list[float]] = []
        self.rates: list[float] = []

    def measure(self, orders: Orders, plan: Plan) -> None:
        self.single_ms.append(self._caller.run(frames(orders, plan.singles), 1))
        many = frames(orders, plan.many)
        started = time.perf_counter()
        self._caller.run(many, WINDOW)
        self.rates.append(plan.many / (time.perf_counter() - started))

    def close(self) -> None:
        self._caller.close()


class Appends:
    """Bare appends of a batch as the engine makes them: one record, or a window of them."""

    def __init__(self, cluster: Cluster, bodies: list[bytes]) -> None:
        self._etcd = cluster.etcd.client(timeout_s=WITHIN_S)
        self._log = log(self._etcd, "/bench/")
        self._bodies = bodies
        self._seq, self._crc = 0, 0
        self.single_ms: list[list[float]] = []
        self.rates: list[float] = []

    def _append(self, size: int) -> float:
        records = []
        for _ in range(size):
            self._seq += 1
            body = self._bodies[self._seq % len(self._bodies)]
            self._crc = crc32(body, self._crc)
            records.append(Record(self._seq, body))
        started = time.perf_counter()
        self._log.append(records, self._crc, self._etcd.clock() + WITHIN_S)
        return time.perf_counter() - started

    def measure(self, plan: Plan, batch: int) -> None:
        self.single_ms.append([self._append(1) * 1e3 for _ in range(plan.singles)])
        spent = sum(self._append(batch) for _ in range(max(1, plan.many // batch)))
        self.rates.append(max(1, plan.many // batch) * batch / spent)
        self._log.forget(self._seq)


def bodies_of(node: Node) -> list[bytes]:
    """The newest transactions of a node, as they stand in its journal."""
    client = node.client()
    try:
        last = client.connect().seq
        found = [client.ask("transaction", seq=seq)[1] for seq in range(last - 200, last + 1)]
        return [msgspec.msgpack.decode(body, type=bytes) for body in found]
    finally:
        client.close()


def acknowledged(client: EngineClient, orders: Orders) -> float:
    """Have one order done, sending it again until it is; return when that was."""
    order = next(orders)
    deadline = time.perf_counter() + WITHIN_S
    while True:
        try:
            client.submit(order)
            return time.perf_counter()
        except EngineError:
            if time.perf_counter() > deadline:
                raise
            time.sleep(0.002)


def losses(cluster: Cluster, orders: Orders, number: int) -> list[float]:
    """Kill the leader's engine and etcd so many times; seconds to the next acknowledged order."""
    took = []
    names = list(cluster.nodes)
    for n in range(number):
        progress(f"cluster: loss {n + 1} of {number}")
        leader = cluster.leader()
        member = cluster.etcd.members[names.index(leader.name)]
        client = cluster.followers()[0].client()
        acknowledged(client, orders)
        started = time.perf_counter()
        leader.kill()
        member.kill()
        took.append(acknowledged(client, orders) - started)
        client.close()
        member.start()
        leader.start()
        assert leader.process is not None
        leader.process.wait_for("ready")
    return took


def switches(cluster: Cluster, orders: Orders, number: int) -> list[float]:
    """Move the lead so many times; seconds from the command to the next acknowledged order."""
    took = []
    for n in range(number):
        progress(f"cluster: switch {n + 1} of {number}")
        old, new = cluster.leader(), cluster.followers()[0]
        client = new.client()
        acknowledged(client, orders)
        started = time.perf_counter()
        with redirect_stdout(io.StringIO()):
            cluster_state.switch(new.settings, new.name)
        took.append(acknowledged(client, orders) - started)
        client.close()
        assert old.process is not None
        old.process.wait()
        old.start().wait_for("ready")
    return took


def sections(plan: Plan, folder: Path | None = None) -> list[Section]:
    """Measure all of it."""
    orders = Orders()
    with ExitStack() as stack:
        where = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder)))
        single = stack.enter_context(EngineProcess(where / "single"))
        cluster = stack.enter_context(running(where / "cluster", fsync=True))
        for node in cluster.nodes.values():
            assert node.process is not None
            node.process.wait_for("ready")
        leader, follower = cluster.leader(), cluster.followers()[0]
        ways = [
            Way("single machine", single.socket),
            Way("cluster, at the leader", str(leader.settings.engine.socket)),
            Way("cluster, at a follower", str(follower.settings.engine.socket)),
        ]
        appends: Appends | None = None
        for n in range(plan.rounds):
            for way in ways:
                progress(f"cluster: round {n + 1} of {plan.rounds}, {way.name}")
                way.measure(orders, plan)
            if appends is None:
                appends = Appends(cluster, bodies_of(leader))
            progress(f"cluster: round {n + 1} of {plan.rounds}, bare appends")
            appends.measure(plan, 512)
        for way in ways:
            way.close()
        lost = losses(cluster, orders, plan.losses)
        moved = switches(cluster, orders, plan.switches)
    done()
    assert appends is not None
    return [_speed(ways, appends, plan), _changes(lost, moved)]


def _speed(ways: list[Way], appends: Appends, plan: Plan) -> Section:
    def row(name: str, single_ms: list[list[float]], rates: list[float]) -> tuple[str, ...]:
        every = [one for each in single_ms for one in each]
        return (name, half_and_99(every), rate(rates))

    leads = ways[1]
    single = [statistics.median(each) for each in leads.single_ms]
    bare = [statistics.median(each) for each in appends.single_ms]
    return Section(
        "A cluster of three, beside a single machine and bare appends",
        COMMAND,
        f"Orders of which each second one trades. One at a time, and {WINDOW} under way; median "
        f"and spread of {plan.rounds} rounds in turn. Three engines and three members of etcd on "
        "this machine, each with its flushes.",
        ("what", "one at a time, ms p50 / p99", f"orders/s, {WINDOW} under way"),
        [
            *(row(way.name, way.single_ms, way.rates) for way in ways),
            row("bare appends to etcd", appends.single_ms, appends.rates),
        ],
        (
            f"One at a time the leader takes {ratios(single, bare)} of a bare append.",
            f"With {WINDOW} under way it makes {ratios(leads.rates, ways[0].rates)} of a single "
            "machine.",
        ),
    )


def _changes(lost: list[float], moved: list[float]) -> Section:
    def row(name: str, took: list[float]) -> tuple[str, ...]:
        return (
            name, str(len(took)), f"{percentile(took, 0.5):.2f}", f"{percentile(took, 0.99):.2f}",
            f"{max(took):.2f}",
        )  # fmt: skip

    return Section(
        "A cluster changes its leader: seconds to the next acknowledged order",
        COMMAND,
        "From kill -9 of the leader's engine and of the etcd beside it, or from the command "
        "`tandem cluster switch`, to the next order that a client of another machine has "
        "acknowledged.",
        ("what", "times", "p50", "p99", "longest"),
        [row("leader lost", lost), row("planned switch", moved)],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--tiny", action="store_true", help="the least that shows that it runs")
    parser.add_argument("--folder", type=Path, help="where to write; the disk that is measured")
    options = parser.parse_args()
    plan = TINY if options.tiny else QUICK if options.quick else Plan()
    for section in sections(plan, options.folder):
        print(section.text())


if __name__ == "__main__":
    main()
