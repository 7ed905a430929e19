"""kill -9 of a real engine under load: nothing acknowledged is lost, nothing is doubled."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.client import EngineClient, EngineTimeout, EngineUnavailable, Transaction, queries
from engine.core.commands import CancelOrder, NewOrder
from engine.core.events import OrderAccepted
from engine.core.types import OrdType, Origin, Side, TimeInForce
from engine.journal.verify import verify
from tests.support import pace

KILLS = 8
WORKERS = 3
FOREVER_US = 2**60
SEED = int(os.environ.get("TANDEM_SEED", "5"))


class EngineProcess:
    """``python -m engine.main`` over a data folder, started and killed by its number."""

    def __init__(self, root: Path, folder: Path) -> None:
        self._root = root
        self.data = folder / "data"
        self.socket = self.data / "engine.sock"
        self.log = folder / "engine.log"
        self._config = folder / "venue.toml"
        text = (root / "config" / "demo.toml").read_text()
        limits = "[engine]\nsnapshot_every = 300\nsegment_records_max = 1500\n\n[fix]"
        self._config.write_text(text.replace("[fix]", limits, 1))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and return when a client has been welcomed."""
        environment = {
            **os.environ,
            "TANDEM_CONFIG": str(self._config),
            "TANDEM_DATA": str(self.data),
            "PYTHONHASHSEED": str(random.randrange(1 << 30)),
        }
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "engine.main"],
                cwd=self._root, env=environment, stderr=log,
            )  # fmt: skip
        probe = EngineClient(str(self.socket), "probe")
        deadline = time.monotonic() + pace.seconds(20)
        while True:
            try:
                probe.connect()
                break
            except EngineUnavailable:
                assert self._process.poll() is None, self.log.read_text()
                assert time.monotonic() < deadline, self.log.read_text()
                time.sleep(0.02)
        probe.close()

    def end(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end."""
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(pace.seconds(15))

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None


@pytest.fixture
def engine(root: Path, tmp_path: Path) -> Iterator[EngineProcess]:
    """An engine process that runs; it is ended after the test."""
    process = EngineProcess(root, tmp_path)
    process.start()
    yield process
    if process.running:
        process.end(signal.SIGKILL)


class Worker(threading.Thread):
    """Submits orders and cancels until stopped; sends again whatever was not answered."""

    def __init__(self, engine: EngineProcess, number: int) -> None:
        super().__init__(daemon=True)
        self.client = EngineClient(str(engine.socket), f"worker{number}", timeout_s=3.0)
        self.account = ("alice", "bob", "carol")[number % 3]
        self.name = f"w{number}"
        self.halt = threading.Event()
        self.acknowledged: list[Transaction] = []
        self.retries = 0

    def run(self) -> None:
        number = 0
        while not self.halt.is_set():
            number += 1
            origin = Origin(f"api:{self.name}", token=f"{self.name}-{number}",
                            valid_until=FOREVER_US)  # fmt: skip
            command: NewOrder | CancelOrder
            if number % 3 == 0:
                command = CancelOrder(origin, self.account, f"{self.name}-c{number}",
                                      f"{self.name}-o{number - 1}")  # fmt: skip
            else:
                side = Side.BUY if number % 2 else Side.SELL
                command = NewOrder(
                    origin, self.account, f"{self.name}-o{number}", "BTC-USD", side,
                    OrdType.LIMIT, TimeInForce.GTC, 100, 5_000_000 + number % 7,
                )  # fmt: skip
            if not self._insist(command):
                return

    def _insist(self, command: NewOrder | CancelOrder) -> bool:
        """Until it is acknowledged, or the test is over."""
        while True:
            try:
                self.acknowledged.append(self.client.submit(command).transaction)
                return True
            except (EngineUnavailable, EngineTimeout):
                self.retries += 1
                if self.halt.wait(0.05):
                    return False


class Follower:
    """A subscription that lives through every crash."""

    def __init__(self, engine: EngineProcess) -> None:
        self.transactions: list[Transaction] = []
        self.client = EngineClient(str(engine.socket), "follower")
        self.client.subscribe(1, self.transactions.extend)


def everything(engine: EngineProcess) -> list[Transaction]:
    """The whole journal as a new subscriber gets it."""
    client, found, done = EngineClient(str(engine.socket), "reader"), [], threading.Event()
    last = client.fetch(queries.Status()).value.seq

    def take(transactions: list[Transaction]) -> None:
        found.extend(transactions)
        if found[-1].seq >= last:
            done.set()

    client.subscribe(1, take)
    assert done.wait(pace.seconds(20))
    client.close()
    return found[:last]


@pytest.mark.timeout(120)
def test_kill_9_under_load_loses_and_doubles_nothing(engine: EngineProcess) -> None:
    chance = random.Random(SEED)
    follower = Follower(engine)
    workers = [Worker(engine, number) for number in range(WORKERS)]
    for worker in workers:
        worker.start()
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.2, 0.8))
        assert engine.end(signal.SIGKILL) == -signal.SIGKILL
        engine.start()
    time.sleep(0.3)
    for worker in workers:
        worker.halt.set()
    for worker in workers:
        worker.join(pace.seconds(10))
        worker.client.close()
    assert sum(worker.retries for worker in workers) >= KILLS
    journal = everything(engine)
    assert [transaction.seq for transaction in journal] == list(range(1, len(journal) + 1))
    _compare(journal, workers)
    probe = EngineClient(str(engine.socket), "probe")
    assert probe.fetch(queries.Check()).value == []
    seen = follower.transactions
    assert seen == journal[: len(seen)]
    assert len(seen) > len(journal) // 2
    follower.client.close()
    probe.close()
    assert engine.end(signal.SIGTERM) == 0
    report = verify(engine.data / "journal", engine.data / "journal" / "snapshots")
    assert report.findings == []
    assert report.replayed >= len(journal)
    assert report.snapshots


def _compare(journal: list[Transaction], workers: list[Worker]) -> None:
    """What was acknowledged is there, as it was told, once; account_seqs have no gap."""
    for worker in workers:
        assert len(worker.acknowledged) > 20
        for transaction in worker.acknowledged:
            assert journal[transaction.seq - 1] == transaction
    accepted: set[tuple[str, str]] = set()
    tokens: set[str] = set()
    numbers: dict[str, int] = {}
    for transaction in journal:
        token = transaction.command.origin.token
        assert not token or token not in tokens, f"{token} was done twice"
        tokens.add(token)
        for event in transaction.events:
            if event.account_seq:
                assert event.account_seq == numbers.get(event.account, 0) + 1
                numbers[event.account] = event.account_seq
            if isinstance(event, OrderAccepted):
                key = (event.account, event.order.client_order_id)
                assert key not in accepted, f"{key} was accepted twice"
                accepted.add(key)


def test_a_second_engine_over_the_same_data_is_refused(engine: EngineProcess, root: Path) -> None:
    other = subprocess.run(
        [sys.executable, "-m", "engine.main"], cwd=root, capture_output=True,
        timeout=pace.seconds(20),
        env={**os.environ, "TANDEM_CONFIG": str(engine._config), "TANDEM_DATA": str(engine.data)},
    )  # fmt: skip
    assert other.returncode == 2
    assert b"in use by another engine" in other.stderr
    client = EngineClient(str(engine.socket), "still")
    assert client.fetch(queries.Status()).value.seq > 0
    client.close()


def test_a_full_disk_stops_the_engine_with_one_clear_line_and_loses_nothing(
    root: Path, tmp_path: Path
) -> None:
    engine = EngineProcess(root, tmp_path)
    engine.start()
    client = EngineClient(str(engine.socket), "writer", timeout_s=5.0)
    process = engine._process
    assert process is not None
    limit = 2 * max(path.stat().st_size for path in (engine.data / "journal").glob("*"))
    subprocess.run(["prlimit", f"--pid={process.pid}", f"--fsize={limit}"], check=True)
    acknowledged = 0
    origin = Origin("api:alice")
    with pytest.raises((EngineUnavailable, EngineTimeout)):
        for number in range(100_000):
            order = NewOrder(origin, "alice", f"o{number}", "BTC-USD", Side.BUY, OrdType.LIMIT,
                             TimeInForce.IOC, 100, 100)  # fmt: skip
            acknowledged = client.submit(order).transaction.seq
    assert process.wait(pace.seconds(15)) == 4
    critical = [line for line in engine.log.read_text().splitlines() if '"critical"' in line]
    assert len(critical) == 1
    assert "could not be written" in critical[0]
    engine.start()
    assert client.fetch(queries.Transaction(acknowledged)).value.seq == acknowledged
    assert client.fetch(queries.Check()).value == []
    client.close()
    assert engine.end(signal.SIGTERM) == 0
