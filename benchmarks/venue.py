"""Engine and gateway as processes on a configuration of their own, for the benchmarks."""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

from argon2 import PasswordHasher

from config.fix import gateway_names
from config.ports import free_ports

ROOT: Final = Path(__file__).parent.parent
START_TIMEOUT_S: Final = 240.0
STOP_TIMEOUT_S: Final = 15.0


class Child:
    """A module run as a process; what it logs goes to a file in its folder.

    Ready when its log says ``ready``, which is waited for at once unless ``wait`` is false.
    """

    def __init__(
        self, folder: Path, *command: str, ready: str, environment: dict[str, str],
        wait: bool = True, name: str = "",
    ) -> None:  # fmt: skip
        self.name = name or command[0]
        self.log = folder / f"{self.name}.log"
        self.ready = ready
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *command], cwd=ROOT, env=os.environ | environment,
                stdout=log, stderr=log,
            )  # fmt: skip
        if wait:
            self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Raises RuntimeError when it ends before, or takes too long."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while self.ready not in self.log.read_text(encoding="utf-8", errors="replace"):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"{self.name} did not start:\n{self.log.read_text()}")
            wait_a_little()

    def stop(self) -> None:
        """End the process, in order if it lets us."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def wait_a_little() -> None:
    """There is no event to wait for in another process's log file."""
    with selectors.DefaultSelector() as nothing:
        nothing.select(0.02)


def traders(count: int) -> list[str]:
    """Return names of traders that the demo configuration does not have."""
    return [f"t{number:02d}" for number in range(count)]


def trader_tables(names: Sequence[str]) -> str:
    """Return accounts with money and a FIX session each, ``NAME-demo`` its password."""
    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    return "".join(
        f'''
[[accounts]]
account = "{name}"
firm = "{name}"
maker_fee_ppm = 500
taker_fee_ppm = 1000
stp = "none"
open_orders_max = 10000000
grants = {{ BTC = "1000", ETH = "10000", USD = "300000000" }}

[[sessions]]
comp_id = "{name.upper()}"
account = "{name}"
username = "{name}"
password_hash = "{hasher.hash(f"{name}-demo")}"
'''
        for name in names
    )


def instrument_tables(symbols: Sequence[str]) -> str:
    """Return more instruments of ETH in USD, which are alike but for their names."""
    return "".join(
        f'''
[[instruments]]
symbol = "{symbol}"
base = "ETH"
quote = "USD"
tick = "0.01"
lot = "0.0001"
min_qty = "0.0001"
max_qty = "100000"
max_price = "100000"
'''
        for symbol in symbols
    )


def cpu_s(process: int) -> float:
    """Return the processor time that a process has had: user and kernel, of all threads."""
    stat = Path(f"/proc/{process}/stat").read_text(encoding="ascii")
    ticks = sum(int(field) for field in stat.rpartition(")")[2].split()[11:13])
    return ticks / os.sysconf("SC_CLK_TCK")


class Venue:
    """Engine and FIX gateway on the demo configuration without a bound on open orders.

    ``names`` are more traders than the demo has; ``modules`` run besides those two, ``more`` is
    appended to the configuration, and ``port`` is the gateway's, ``http_port`` the account API's,
    ``stream_port`` the WebSocket's, ``metrics_port`` that of the metrics. There may be several
    ``gateways`` behind that port.
    """

    def __init__(
        self, folder: Path, names: Sequence[str] = (), modules: Sequence[str] = (),
        more: str = "", gateways: int = 1,
    ) -> None:  # fmt: skip
        self.folder = folder
        self.gateways = gateways
        self.modules = ("engine.main", "fix_gateway.main", *modules)
        self.port, self.http_port, self.stream_port, self.metrics_port = free_ports(4)
        text = (ROOT / "config" / "demo.toml").read_text(encoding="utf-8")
        text = re.sub(r"port = 9878", f"port = {self.port}", text)
        text = re.sub(r"open_orders_max = \d+", "open_orders_max = 10000000", text)
        text = re.sub(r"port = 8080", f"port = {self.http_port}", text)
        text = re.sub(r"port = 8081", f"port = {self.stream_port}", text)
        text = re.sub(r"port = 9464", f"port = {self.metrics_port}", text)
        # Where sessions log on one after the other the last one's connection waits for long.
        terms = f"gateways = {gateways}\nlogon_timeout_s = 60\n"
        text = text.replace("[fix]\n", f"[fix]\n{terms}", 1)
        config = folder / "venue.toml"
        config.write_text(text + trader_tables(names) + more, encoding="utf-8")
        self.environment = {
            "TANDEM_CONFIG": str(config), "TANDEM_DATA": str(folder / "data"),
        }  # fmt: skip
        self.children: list[Child] = []

    def __enter__(self) -> Venue:
        self.children = [
            Child(self.folder, module, ready='"ready"', environment=self.environment, wait=False)
            for module in self.modules
        ]
        self.children += [
            Child(
                self.folder, "fix_gateway.main", name, ready='"ready"', wait=False, name=name,
                environment=self.environment,
            )
            for name in gateway_names(self.gateways)[1:]
        ]
        try:
            for child in self.children:
                child.wait_until_ready()
        except RuntimeError:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End all of them, the engine last."""
        for child in reversed(self.children):
            child.stop()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.stop()
