"""A venue under a steady load for as long as one likes: its memory stays where it was.

Firms trade with each other by FIX, REST and WebSocket, log out and on again, begin their
numbers again as at the end of a day, move coins out. Whatever is bounded by design has
filled its bounds after the first quarter; from then on no process may grow.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import requests
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from engine.client import queries
from tests.fix.rawfix import Closed, RawFix
from tests.prove.security import signed
from tests.prove.venue import MODULES, Venue

GROWTH_MIB_MAX: Final = 16.0
"""How much more a process may hold at the end than after the first quarter."""
DESCRIPTORS_MAX: Final = 16
"""How many more open files and sockets it may have."""
SAMPLES: Final = 80
MARKS: Final = ("start", "1/4", "1/2", "3/4", "end")
LIMITS: Final = (
    "[engine]\nsnapshot_every = 10_000\nsegment_records_max = 25_000\n\n"
    "[venue]\nclosed_orders_kept = 500\n"
)
"""So that bounds are reached, snapshots taken and segments begun every few minutes."""
ADDRESS: Final = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"


@dataclass(slots=True)
class Soaked:
    """What was done, what every process held at each mark, what was found."""

    seconds: float = 0.0
    done: Counter[str] = field(default_factory=Counter)
    rows: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)


class Load:
    """Clients at a steady, low pace, each on a thread. ``pace_s`` is between two steps."""

    def __init__(self, venue: Venue, pace_s: float) -> None:
        self.venue = venue
        self.pace_s = pace_s
        self.over = threading.Event()
        self.done: Counter[str] = Counter()
        self.failures: list[str] = []
        self._lock = threading.Lock()
        self._took: list[float] = []
        self._threads = [
            threading.Thread(target=self._run, args=(name, steps), daemon=True)
            for name, steps in (
                ("FIX", self._fix("ALICE", "BOB")), ("REST", self._rest()),
                ("WebSocket", self._ws()), ("treasury", self._treasury()),
                ("come and go", self._come_and_go()),
            )
        ]  # fmt: skip

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End, each after the step at hand."""
        self.over.set()
        for thread in self._threads:
            thread.join(30)

    def take(self) -> list[float]:
        """Seconds of FIX round trips since the last time."""
        with self._lock:
            took, self._took = self._took, []
        return took

    def _run(self, name: str, steps: Iterator[float]) -> None:
        """Each step says how many paces to wait after it."""
        try:
            for paces in steps:
                self.done[f"steps by {name}"] += 1
                if self.over.wait(self.pace_s * paces):
                    return
        except (OSError, Closed, requests.RequestException, WebSocketException,
                AssertionError, KeyError, ValueError) as error:  # fmt: skip
            self.failures.append(f"{name} failed: {error!r:.300}")

    def _fix(self, *names: str) -> Iterator[float]:
        """Two firms: an order and its cancel, now and then a trade; new numbers each 'day'."""
        for day in itertools.count(1):
            with contextlib.ExitStack() as stack:
                first, second = (
                    stack.enter_context(RawFix(self.venue.fix, name)) for name in names
                )
                for one in (first, second):
                    one.logon(reset=True)
                for number in range(2_000):
                    yield self._round(first, second, f"{day}-{number}")
                for one in (first, second):
                    one.logout()

    def _round(self, first: RawFix, second: RawFix, name: str) -> float:
        began = time.monotonic()
        first.order(f"a{name}", price="90")
        first.expect("8")
        first.send("F", f"11=c{name}|41=a{name}|55=BTC-USD|54=1|60=20300101-00:00:00|")
        first.expect("8")
        with self._lock:
            self._took.append(time.monotonic() - began)
        if name.endswith("0"):
            first.order(f"b{name}", price="100")
            first.expect("8")
            second.order(f"s{name}", side=2, price="100")
            for one, count in ((first, 1), (second, 2)):
                one.collect(count)
        for one in (first, second):
            one.received.clear()
        return 1.0

    def _rest(self) -> Iterator[float]:
        """An order of a signed client, its state, its end."""
        key = "demo-carol-trade"
        with requests.Session() as session:
            for number in itertools.count():
                name = f"r{number}"
                order = {"client_order_id": name, "symbol": "ETH-USD", "side": "buy",
                         "quantity": "0.1", "price": str(10 + number % 50)}  # fmt: skip
                target = f"/v1/orders/client:{name}"
                self._call(session, key, "POST", "/v1/orders", json.dumps(order).encode())
                yield 1.0
                self._call(session, key, "GET", target)
                self._call(session, key, "DELETE", target)
                yield 1.0

    def _call(
        self, session: requests.Session, key: str, method: str, target: str, body: bytes = b""
    ) -> None:
        answer = session.request(
            method, self.venue.url + target, data=body,
            headers=signed(key, method, target, body), timeout=30,
        )  # fmt: skip
        assert answer.status_code in (200, 201), f"{method} {target}: {answer.text}"

    def _ws(self) -> Iterator[float]:
        """A subscriber that reads whatever comes."""
        with connect(self.venue.stream_url, compression=None) as connection:
            params = {"channels": ["book", "trades"], "symbols": ["BTC-USD", "ETH-USD"]}
            connection.send(json.dumps({"op": "subscribe", "req_id": 1, "params": params}))
            while True:
                with contextlib.suppress(TimeoutError):
                    while True:
                        connection.recv(timeout=0)
                        self.done["WebSocket messages"] += 1
                yield 1.0

    def _treasury(self) -> Iterator[float]:
        """A small withdrawal now and then, which the simulated network carries out."""
        with requests.Session() as session:
            for number in itertools.count():
                body = json.dumps({
                    "client_withdrawal_id": f"w{number}", "asset": "BTC", "amount": "0.001",
                    "address": ADDRESS,
                }).encode()  # fmt: skip
                self._call(session, "demo-bob-withdraw", "POST", "/v1/withdrawals", body)
                yield 100.0

    def _come_and_go(self) -> Iterator[float]:
        """Connections of every kind that are made and ended."""
        while True:
            with RawFix(self.venue.fix, "CAROL") as client:
                client.logon(reset=True, extra="20006=Y|")
                client.collect(1, "B")
                client.logout()
            yield 10.0
            with requests.Session() as session:
                self._call(session, "demo-bob-trade", "GET", "/v1/balances")
            yield 10.0
            with connect(self.venue.stream_url, compression=None) as connection:
                connection.send(json.dumps({"op": "ping", "req_id": 1}))
                connection.recv(timeout=30)
            yield 10.0


@dataclass(frozen=True, slots=True)
class Sample:
    """What one process held: MiB of its own, open files, seconds of processor time."""

    mib: float
    descriptors: int
    cpu_s: float


def sample(venue: Venue) -> dict[str, Sample]:
    """Each process of the venue, gunicorn with its workers."""
    found = {}
    for name, child in venue.children.items():
        pids = [child.pid]
        if name == "api":
            tasks = Path(f"/proc/{child.pid}/task/{child.pid}/children")
            pids += [int(pid) for pid in tasks.read_text(encoding="ascii").split()]
        parts = [_one(pid) for pid in pids]
        found[name] = Sample(
            sum(one.mib for one in parts), sum(one.descriptors for one in parts),
            sum(one.cpu_s for one in parts),
        )  # fmt: skip
    return found


def _one(pid: int) -> Sample:
    """Memory that is the process's own: what it maps of files does not count."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    kib = next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))
    times = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    ticks = int(times[11]) + int(times[12])
    return Sample(
        kib / 1024, len(os.listdir(f"/proc/{pid}/fd")), ticks / os.sysconf("SC_CLK_TCK")
    )


def judge(samples: list[dict[str, Sample]], result: Soaked) -> None:
    """A row for each process: memory at the marks, and whether it grew after the first."""
    last = len(samples) - 1
    for name in samples[0]:
        held = [one[name] for one in samples]
        marks = [_around([one.mib for one in held], last * mark // 4) for mark in range(5)]
        shown = ", ".join(f"{at} {mib:.1f}" for at, mib in zip(MARKS, marks, strict=True))
        files = [held[last // 4].descriptors, held[last].descriptors]
        cpu_s = held[last].cpu_s - held[0].cpu_s
        result.rows.append(
            f"{name}: MiB at {shown}; files {files[0]} to {files[1]}; processor {cpu_s:.0f} s"
        )
        if marks[4] - marks[1] > GROWTH_MIB_MAX:
            result.findings.append(f"{name} grew from {marks[1]:.1f} to {marks[4]:.1f} MiB")
        if files[1] - files[0] > DESCRIPTORS_MAX:
            result.findings.append(f"{name} has {files[1]} files open, before {files[0]}")


def _around(values: list[float], index: int) -> float:
    """The middle one of three: a garbage collection just before or after does not count."""
    return statistics.median(values[max(0, index - 1) : index + 2])


def soak(
    seconds: float, pace_s: float = 0.1, say: Callable[[str], None] = lambda text: None
) -> Soaked:
    """Keep a venue under load for so long."""
    result = Soaked(seconds)
    with tempfile.TemporaryDirectory(prefix="tandem-soak-") as name:
        venue = Venue(Path(name), {"[venue]\n": LIMITS})
        try:
            venue.start_all(*MODULES)
            load = Load(venue, pace_s)
            load.start()
            _watch(venue, load, seconds, say, result)
            load.stop()
            result.findings += load.failures
            result.done.update(load.done)
            with contextlib.closing(venue.client()) as engine:
                result.findings += engine.fetch(queries.Check()).value
                result.done["transactions"] = engine.connect().seq
            for one, code in venue.stop_all().items():
                if code != 0:
                    result.findings.append(f"{one} ended with {code}: {venue.log_of(one)}")
        finally:
            venue.kill_all()
    return result


def _watch(
    venue: Venue, load: Load, seconds: float, say: Callable[[str], None], result: Soaked
) -> None:
    """Take samples and latencies until the time is over or something fails."""
    samples, quarters = [], [list[float]() for _ in range(4)]
    began = time.monotonic()
    for number in range(SAMPLES + 1):
        wait_s = began + seconds * number / SAMPLES - time.monotonic()
        load.over.wait(max(0.0, wait_s))
        if load.failures:
            break
        samples.append(sample(venue))
        quarters[min(3, number * 4 // SAMPLES)] += load.take()
        total = sum(one.mib for one in samples[-1].values())
        say(f"{time.monotonic() - began:.0f} of {seconds:.0f} s, {total:.0f} MiB")
    for name, child in venue.children.items():
        if child.code is not None:
            result.findings.append(f"{name} ended with {child.code}: {venue.log_of(name)}")
    judge(samples, result)
    shown = [
        f"{statistics.median(took) * 1000:.1f}/{max(took) * 1000:.0f}" for took in quarters if took
    ]
    result.rows.append(f"FIX order and cancel by quarters, ms median/max: {', '.join(shown)}")
    used = sum(one.stat().st_size for one in venue.data.rglob("*") if one.is_file())
    result.rows.append(f"files of the venue: {used >> 20} MiB")

