"""`tandem up` end to end: a whole venue starts, survives any death, and ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from config.ports import free_ports
from tandem.demo.venue import write_configuration
from tests.support import pace
from tests.support.waiting import until

pytestmark = pytest.mark.serial


class Up:
    """A running `tandem up`; its children are known by their parent."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.data = folder / "data"
        (self.tls_port,) = free_ports(1)
        changes = {"tls_port = 9879": f"tls_port = {self.tls_port}"}
        self.config = write_configuration(folder, changes)
        text = self.config.read_text()
        self.http = f"http://127.0.0.1:{text.split('[http]')[1].split('port = ')[1].split()[0]}"
        env = {**os.environ, "COLUMNS": "200", "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tandem", "up", "-c", str(self.config), "--data",
             str(self.data), *options],
            env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self.lines: list[str] = []
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stream:
            for line in stream:
                self.lines.append(line.rstrip())

    def children(self) -> dict[str, int]:
        """Module → pid of the supervisor's children, told by the kernel."""
        found = {}
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        for pid in listed.read_text().split():
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
            except FileNotFoundError:
                continue
            gunicorn = "gunicorn" in " ".join(words)
            named = words[words.index("-m") + 1] if "-m" in words else ""
            found["account_api.main" if gunicorn else named] = int(pid)
        return found

    def wait_for(self, condition: Callable[[], bool], what: str, seconds: float = 40) -> None:
        deadline = time.monotonic() + pace.seconds(seconds)
        while not condition():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise AssertionError(f"{what}; the supervisor said:\n" + "\n".join(self.lines))
            time.sleep(0.05)

    def said(self, text: str) -> int:
        return sum(text in line for line in self.lines)

    def seq(self) -> int:
        answer = requests.get(
            f"{self.http}/v1/balances",
            headers={"Authorization": "Bearer demo-alice-read"}, timeout=pace.seconds(10),
        )  # fmt: skip
        answer.raise_for_status()
        return int(answer.json()["as_of_seq"])

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        code = self.process.wait(pace.seconds(30))
        self.reader.join(pace.seconds(10))
        return code


@contextmanager
def starting(folder: Path) -> Iterator[Callable[[], Up]]:
    """Give what starts a venue in a folder and waits for it; whatever runs in the end is ended."""
    started: list[Up] = []

    def start() -> Up:
        started.append(Up(folder))
        one = started[-1]
        one.wait_for(lambda: one.said("Ctrl-C ends it") > 0, "the venue did not start")
        return one

    yield start
    for one in started:
        if one.process.poll() is None:
            one.end(signal.SIGTERM)


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Callable[[], Up]]:
    with starting(tmp_path) as start:
        yield start


def gone(pid: int) -> bool:
    """Ended, though perhaps not yet collected by whoever adopted it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def processors(pid: int) -> set[int]:
    """The processors that the threads of a process may use, all together."""
    threads = os.listdir(f"/proc/{pid}/task")
    return set().union(*(os.sched_getaffinity(int(thread)) for thread in threads))


def ends_without_a_trace(one: Up, number: signal.Signals) -> None:
    pids = list(one.children().values())
    assert len(pids) == 9
    began = time.monotonic()
    assert one.end(number) == 0
    assert time.monotonic() - began < pace.seconds(15)
    assert all(gone(pid) for pid in pids)


def test_it_starts_tells_where_it_listens_and_ends_without_a_trace(up: Callable[[], Up]) -> None:
    one = up()
    assert one.said(one.http) >= 1
    assert one.seq() > 0
    master = one.children()["account_api.main"]
    workers = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    for pid in (one.children()["fix_gateway.main"], *map(int, workers)):
        one.wait_for(lambda p=pid: len(processors(p)) == 1, "its threads are spread")  # type: ignore[misc]
    ends_without_a_trace(one, signal.SIGTERM)
    assert {path.name for path in (one.data / "log").iterdir()} >= {
        "engine.log", "history.log", "fix.log", "marketdata.log", "api.log", "stream.log",
        "settlement.log", "webhooks.log", "metrics.log",
    }  # fmt: skip


@pytest.mark.timeout(240)
def test_each_process_comes_back_after_kill_9(up: Callable[[], Up]) -> None:
    one = up()
    before = one.seq()
    for name, label in (
        ("engine.main", "engine"),
        ("engine.history.main", "history"),
        ("fix_gateway.main", "fix"),
        ("fix_gateway.market_data.main", "marketdata"),
        ("account_api.main", "api"),
        ("account_api.stream", "stream"),
        ("account_api.settlement", "settlement"),
        ("account_api.webhooks", "webhooks"),
        ("tandem.metrics", "metrics"),
    ):
        children = one.children()
        os.kill(children[name], signal.SIGKILL)
        one.wait_for(
            lambda label=label: one.said(f"{label} is back") > 0,  # type: ignore[misc]
            f"{label} did not come back",
        )
        after = one.children()
        assert after[name] != children[name]
        others = {key: pid for key, pid in children.items() if key != name}
        assert {key: after.get(key) for key in others} == others
    one.wait_for(lambda: one.seq() >= before, "the API does not reach the engine")


def test_a_second_start_finds_its_state_again_and_killed_it_leaves_no_process(
    up: Callable[[], Up]
) -> None:
    one = up()
    seq = one.seq()
    ends_without_a_trace(one, signal.SIGINT)
    again = up()
    assert again.seq() >= seq

    # Killed, the supervisor leaves no process.
    pids = list(again.children().values())
    assert len(pids) == 9
    again.process.kill()
    again.process.wait(pace.seconds(10))
    until(lambda: all(gone(pid) for pid in pids), "a process is left")
