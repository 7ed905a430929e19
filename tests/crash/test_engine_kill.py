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

from engine.client import EngineTimeout, EngineUnavailable, Transaction, queries
from engine.core.commands import CancelOrder, NewOrder
from engine.core.events import OrderAccepted
from engine.core.types import OrdType, Origin, Side, TimeInForce
from engine.journal.verify import verify
from tests.support import pace
from tests.support.processes import EngineProcess

KILLS = 8
WORKERS = 3
FOREVER_US = 2**60
SEED = int(os.environ.get("TANDEM_SEED", "5"))
LIMITS = {
    "\n[fix]\n": "\n[engine]\nsnapshot_every = 300\nsegment_records_max = 1500\n\n[fix]\n",
}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EngineProcess]:
    """An engine that takes snapshots often."""
    with EngineProcess(tmp_path, LIMITS) as process:
        yield process


class Worker(threading.Thread):
    """Submits orders and cancels until stopped; sends again whatever was not answered."""

    def __init__(self, engine: EngineProcess, number: int) -> None:
        super().__init__(daemon=True)
        self.client = engine.client(f"worker{number}", timeout_s=3.0)
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
        self.client = engine.client("follower")
        self.client.subscribe(1, self.transactions.extend)


def everything(engine: EngineProcess) -> list[Transaction]:
    """The whole journal as a new subscriber gets it."""
    client, found, done = engine.client("reader"), [], threading.Event()
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
        assert engine.kill() == -signal.SIGKILL
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
    probe = engine.client("probe")
    assert probe.fetch(queries.Check()).value == []
    seen = follower.transactions
    assert seen == journal[: len(seen)]
    assert len(seen) > len(journal) // 2
    follower.client.close()
    probe.close()
    assert engine.stop() == 0
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
        env=os.environ | engine.environment,
    )  # fmt: skip
    assert other.returncode == 2
    assert b"in use by another engine" in other.stderr
    client = engine.client("still")
    assert client.fetch(queries.Status()).value.seq > 0
    client.close()


def test_a_full_disk_stops_the_engine_with_one_clear_line_and_loses_nothing(
    engine: EngineProcess,
) -> None:
    client = engine.client("writer", timeout_s=pace.seconds(5))
    process = engine.process
    assert process is not None
    limit = 2 * max(path.stat().st_size for path in (engine.data / "journal").glob("*"))
    subprocess.run(["prlimit", f"--pid={process.popen.pid}", f"--fsize={limit}"], check=True)
    acknowledged = 0
    origin = Origin("api:alice")
    with pytest.raises((EngineUnavailable, EngineTimeout)):
        for number in range(100_000):
            order = NewOrder(origin, "alice", f"o{number}", "BTC-USD", Side.BUY, OrdType.LIMIT,
                             TimeInForce.IOC, 100, 100)  # fmt: skip
            acknowledged = client.submit(order).transaction.seq
    assert process.wait() == 4
    critical = [line for line in process.raw if '"critical"' in line]
    assert len(critical) == 1
    assert "could not be written" in critical[0]
    engine.start()
    assert client.fetch(queries.Transaction(acknowledged)).value.seq == acknowledged
    assert client.fetch(queries.Check()).value == []
    client.close()
    assert engine.stop() == 0
