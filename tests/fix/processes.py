"""A real engine and a real gateway as processes, on free ports in a folder of their own."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from config.ports import free_ports
from engine.client import EngineClient
from tests.support import pace

ROOT = Path(__file__).parent.parent.parent
START_TIMEOUT_S = 30.0


class Process:
    """A child process; its log lines are kept and can be waited for."""

    def __init__(self, module: str, environment: dict[str, str]) -> None:
        self.lines: list[dict[str, Any]] = []
        self.raw: list[str] = []
        self._news = threading.Condition()
        self.popen = subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=ROOT,
            env=os.environ | environment,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.popen.stderr is not None
        for line in self.popen.stderr:
            try:
                values = json.loads(line)
            except ValueError:
                values = {"event": line.strip()}
            with self._news:
                self.raw.append(line)
                self.lines.append(values if isinstance(values, dict) else {"event": line})
                self._news.notify_all()

    def wait_for(
        self, event: str, timeout: float = START_TIMEOUT_S, since: int = 0, **values: Any
    ) -> dict[str, Any]:
        """The first line with this event and these values, now or to come, from one on."""
        deadline = time.monotonic() + pace.seconds(timeout)
        with self._news:
            while True:
                for line in self.lines[since:]:
                    same = all(line.get(key) == value for key, value in values.items())
                    if line.get("event") == event and same:
                        return line
                left = deadline - time.monotonic()
                if left <= 0 or not self._news.wait(min(left, 1.0)):
                    ended = self.popen.poll()
                    if ended is not None or left <= 0:
                        raise AssertionError(
                            f"no {event} {values}; exit code {ended}; log:\n" + "".join(self.raw)
                        )

    def events(self, event: str) -> list[dict[str, Any]]:
        """The lines with this event so far."""
        with self._news:
            return [line for line in self.lines if line.get("event") == event]

    def kill(self) -> None:
        """kill -9."""
        self.popen.send_signal(signal.SIGKILL)
        self.popen.wait()
        self._reader.join(pace.seconds(5))

    def stop(self) -> int:
        """SIGTERM; gives the exit code."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
        try:
            code = self.popen.wait(pace.seconds(10))
        except subprocess.TimeoutExpired:
            self.popen.kill()
            raise AssertionError("did not end within 10 s of SIGTERM") from None
        self._reader.join(pace.seconds(5))
        return code


class Venue:
    """Engine and gateway on the demo configuration, changed as the test wishes.

    ``changes`` maps a pattern of the demo file to its replacement.
    """

    def __init__(
        self, folder: Path, changes: dict[str, str] | None = None, extra: str = ""
    ) -> None:
        self.folder = folder
        self.data = folder / "data"
        text = (ROOT / "config" / "demo.toml").read_text(encoding="utf-8")
        # The same port after a restart, so that clients find the gateway again.
        changes = {r"port = 9878": f"port = {free_ports(1)[0]}"} | (changes or {})
        for pattern, replacement in changes.items():
            text, count = re.subn(pattern, replacement, text, flags=re.DOTALL)
            assert count, f"the demo configuration has no {pattern}"
        # A machine that takes long to start an engine must not make orders too old by that.
        self.stale_after_s = math.ceil(pace.seconds(5))
        if "stale_after_s" not in text + extra:
            text = text.replace("[fix]\n", f"[fix]\nstale_after_s = {self.stale_after_s}\n", 1)
        self.config = folder / "venue.toml"
        self.config.write_text(text + extra, encoding="utf-8")
        self.environment = {
            "TANDEM_CONFIG": str(self.config), "TANDEM_DATA": str(self.data),
        }  # fmt: skip
        self.engine: Process | None = None
        self.gateway: Process | None = None
        self.address = ("127.0.0.1", 0)
        self._clients: list[EngineClient] = []

    def start_engine(self) -> Process:
        self.engine = Process("engine.main", self.environment)
        self.engine.wait_for("ready")
        return self.engine

    def start_gateway(self) -> Process:
        self.gateway = Process("fix_gateway.main", self.environment)
        line = self.gateway.wait_for("ready")
        host, port = str(line["fix"]).rsplit(":", 1)
        self.address = (host, int(port))
        return self.gateway

    def start(self) -> Venue:
        self.start_engine()
        self.start_gateway()
        return self

    def client(self) -> EngineClient:
        """A client of the engine, closed with the venue."""
        client = EngineClient(str(self.data / "engine.sock"), "test")
        self._clients.append(client)
        return client

    def stop(self) -> None:
        """End what still runs."""
        for client in self._clients:
            client.close()
        for process in (self.gateway, self.engine):
            if process is not None and process.popen.poll() is None:
                process.kill()
