"""The account API under gunicorn; ``python -m benchmarks.rest``.

Balances against a bare Flask route under the same gunicorn with the same settings, in rounds
that take turns, loaded by wrk (``apt-get install wrk``), or by the threads of a process of
Python where there is none. Then signed creates one after the other, and batches of 50 against
50 single creates. Engine, history and gunicorn run as processes of their own.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Final

from account_api.security.auth import sign_hmac
from benchmarks.common import Section, done, percentile, progress, rate, ratios
from benchmarks.venue import ROOT, Child
from config.ports import free_ports

COMMAND: Final = "python -m benchmarks.rest"
CONNECTIONS: Final = 8
BATCH: Final = 50
KEY: Final = "demo-alice-trade"
TOKEN: Final = {"Authorization": "Bearer demo-alice-read"}


class Service:
    """The API and the bare route, each under a gunicorn of its own, on one engine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = dict(zip(("api", "bare"), free_ports(2), strict=True))
        text = (ROOT / "config" / "demo.toml").read_text(encoding="utf-8")
        text = re.sub(r"open_orders_max = \d+", "open_orders_max = 10000000", text)
        quotas = "read_quota = 10000000\ntrade_quota = 10000000"
        self.environments = {}
        for name, port in self.ports.items():
            config = folder / f"{name}.toml"
            config.write_text(text.replace("port = 8080", f"port = {port}\n{quotas}"))
            self.environments[name] = {
                "TANDEM_CONFIG": str(config), "TANDEM_DATA": str(folder / "data"),
            }  # fmt: skip
        self.children: list[Child] = []

    def __enter__(self) -> Service:
        for module in ("engine.main", "engine.history.main", "account_api.main"):
            self._start(module, environment=self.environments["api"])
        status, body = Connection(self.ports["api"]).send("GET", "/v1/balances", b"", TOKEN)
        assert status == 200, body
        self._start(
            "gunicorn", "--config", "config/gunicorn.conf.py",
            "benchmarks.rest_bare:application()",
            environment=self.environments["bare"] | {"TANDEM_BENCHMARK_BYTES": str(len(body))},
        )  # fmt: skip
        return self

    def _start(self, *command: str, environment: dict[str, str]) -> None:
        self.children.append(Child(self.folder, *command, ready='"ready"', environment=environment))

    def worker_cpu_s(self, name: str) -> float:
        """Return processor time that the workers of a gunicorn have had."""
        master = self.children[{"api": 2, "bare": 3}[name]].process.pid
        workers = Path(f"/proc/{master}/task/{master}/children").read_text(encoding="ascii")
        ticks = 0
        for worker in workers.split():
            fields = Path(f"/proc/{worker}/stat").read_text(encoding="ascii").rpartition(")")[2]
            ticks += sum(int(field) for field in fields.split()[11:13])
        return ticks / os.sysconf("SC_CLK_TCK")

    def __exit__(self, *_: object) -> None:
        for child in reversed(self.children):
            child.stop()


class Connection:
    """A kept-alive connection that signs what it sends as alice's trading key."""

    def __init__(self, port: int) -> None:
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._stamp = 0

    def send(
        self, method: str, target: str, data: bytes, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        """Return status and body of the answer."""
        self._http.request(method, target, data or None, headers)
        answer = self._http.getresponse()
        return answer.status, answer.read()

    def signed(self, target: str, body: Any) -> float:
        """POST a signed body; seconds from before the signature to the whole answer."""
        began = time.perf_counter()
        data = json.dumps(body).encode()
        self._stamp = max(self._stamp + 1, time.time_ns() // 1_000_000)
        stamp = str(self._stamp)
        headers = {
            "Content-Type": "application/json", "X-Tandem-Key": KEY,
            "X-Tandem-Timestamp": stamp,
            "X-Tandem-Signature": sign_hmac(
                f"{KEY}-secret".encode(), stamp, "POST", target, data
            ),
        }  # fmt: skip
        status, answer = self.send("POST", target, data, headers)
        assert status in (200, 201), answer
        return time.perf_counter() - began


def load(port: int, target: str, headers: dict[str, str], seconds: int) -> float:
    """Measure requests per second over some connections that are kept alive."""
    if shutil.which("wrk") is None:
        return _load_by_threads(port, target, headers, seconds)
    options = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    ended = subprocess.run(
        ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", *options,
         f"http://127.0.0.1:{port}{target}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    if "Non-2xx" in ended.stdout or "Socket errors" in ended.stdout:
        raise RuntimeError(f"not every request was answered with 200:\n{ended.stdout}")
    found = re.search(r"Requests/sec:\s+([0-9.]+)", ended.stdout)
    assert found is not None, ended.stdout
    return float(found.group(1))


def _load_by_threads(port: int, target: str, headers: dict[str, str], seconds: int) -> float:
    """Do the same in Python, which is slower: the ratio comes out too near to 1."""
    counts: list[int] = []
    end = time.perf_counter() + seconds

    def run() -> None:
        connection, count = Connection(port), 0
        while time.perf_counter() < end:
            status, body = connection.send("GET", target, b"", headers)
            assert status == 200, body
            count += 1
        counts.append(count)

    threads = [threading.Thread(target=run) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / seconds


def order(name: str) -> dict[str, str]:
    """Return a small resting buy order."""
    return {
        "client_order_id": name, "symbol": "BTC-USD", "side": "buy", "quantity": "0.001",
        "price": "1",
    }  # fmt: skip


def balances(service: Service, rounds: int, seconds: int) -> list[tuple[str, ...]]:
    """Return rounds of both routes in turn: requests per second, and what they cost the worker."""
    asked: dict[str, tuple[str, dict[str, str]]] = {
        "bare": ("/bare", {}), "api": ("/v1/balances", TOKEN),
    }  # fmt: skip
    rates: dict[str, list[float]] = {"bare": [], "api": []}
    costs: dict[str, list[float]] = {"bare": [], "api": []}
    for number in range(rounds + 1):
        progress(f"balances and the bare route, round {number} of {rounds}")
        for name, (target, headers) in asked.items():
            before = service.worker_cpu_s(name)
            found = load(service.ports[name], target, headers, seconds if number else 1)
            spent = service.worker_cpu_s(name) - before
            if number:  # The first round warms up.
                rates[name].append(found)
                costs[name].append(1e6 * spent / (found * seconds))
    return [
        (f"GET /v1/balances, requests/s, {CONNECTIONS} connections",
         rate(rates["api"]), rate(rates["bare"]), ratios(rates["api"], rates["bare"])),
        ("the same, processor time of the worker per request, µs",
         rate(costs["api"]), rate(costs["bare"]), ratios(costs["bare"], costs["api"])),
    ]  # fmt: skip


def creates(service: Service, rounds: int, count: int) -> list[tuple[str, ...]]:
    """Single creates in a row, and batches between them; times in ms."""
    connection = Connection(service.ports["api"])
    middle: list[float] = []
    high: list[float] = []
    singles: list[float] = []
    batches: list[float] = []
    for number in range(rounds):
        progress(f"signed creates, round {number + 1} of {rounds}")
        times = [
            1000 * connection.signed("/v1/orders", order(f"s{number}-{index}"))
            for index in range(count)
        ]
        middle.append(percentile(times, 0.5))
        high.append(percentile(times, 0.99))
        singles.append(sum(times[:BATCH]))
        operations = [{"op": "create", **order(f"b{number}-{index}")} for index in range(BATCH)]
        batches.append(1000 * connection.signed("/v1/orders/batch", {"operations": operations}))
    return [
        ("signed create, p50 ms", rate(middle, 2), "-", "-"),
        ("signed create, p99 ms", rate(high, 2), "-", "-"),
        (f"{BATCH} creates: one batch / {BATCH} singles, ms",
         rate(batches, 1), rate(singles, 1), ratios(batches, singles)),
    ]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=4, help="of each round of load")
    parser.add_argument("--creates", type=int, default=200, help="in each round")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Service(Path(folder)) as service:
        rows = balances(service, options.rounds, options.seconds)
        rows += creates(service, options.rounds, max(BATCH, options.creates))
    done()
    generator = "wrk" if shutil.which("wrk") else "threads of Python, for want of wrk"
    print(
        Section(
            "Account API", COMMAND,
            "Balances with a bearer token, compared with a Flask route without engine, credentials "
            f"and encoding under the same gunicorn; load by {generator} on the same machine.",
            ("measure", "API", "compared with", "ratio"), rows,
            ("The engine and the load generator compete with the worker for the processors; its "
             "processor time per request is less affected by that.",
             "The worker of the bare route is pinned to one processor, as those of the API are.",
             "A create is signed, sent, made durable (fsync) and answered; one connection.",),
        ).text()
    )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
