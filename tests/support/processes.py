"""Parts of a venue as processes, their logs read; an engine in a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from config.settings import DEMO_FILE, load
from engine.client import EngineClient
from tests.support import pace

ROOT = Path(__file__).parent.parent.parent
START_TIMEOUT_S = 30.0


class Process:
    """A child process; its log lines are kept and can be waited for."""

    def __init__(self, module: str, environment: Mapping[str, str], *arguments: str) -> None:
        self.lines: list[dict[str, Any]] = []
        self.raw: list[str] = []
        self._news = threading.Condition()
        self.popen = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env=os.environ | dict(environment),
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

    def wait(self, limit_s: float | None = None) -> int:
        """Wait for the end, and until all of the log is read; the exit code."""
        code = self.popen.wait(pace.seconds(15) if limit_s is None else limit_s)
        self._reader.join(pace.seconds(5))
        return code

    def kill(self) -> int:
        """kill -9; the exit code."""
        self.popen.kill()
        return self.wait()

    def stop(self) -> int:
        """SIGTERM; gives the exit code."""
        self.popen.terminate()
        try:
            return self.wait(pace.seconds(10))
        except subprocess.TimeoutExpired:
            self.popen.kill()
            raise AssertionError("did not end within 10 s of SIGTERM") from None

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()


class EngineProcess:
    """``engine.main`` over a folder, on the demo configuration with some changes.

    ``changes`` are texts of the configuration and what is to be in their place. As a context
    it runs, and what runs is killed at the end.
    """

    def __init__(self, folder: Path, changes: Mapping[str, str] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.data = folder / "data"
        text = DEMO_FILE.read_text(encoding="utf-8")
        for old, new in (changes or {}).items():
            assert old in text, f"the demo configuration has no {old!r}"
            text = text.replace(old, new)
        self.config = folder / "venue.toml"
        self.config.write_text(text, encoding="utf-8")
        self.config.chmod(0o600)
        self.environment = {"TANDEM_CONFIG": str(self.config), "TANDEM_DATA": str(self.data)}
        self.settings = load(env=self.environment)
        self.socket = str(self.settings.engine.socket)
        self.process: Process | None = None

    def start(self) -> Process:
        """Start, or start again, and wait until it serves."""
        self.process = Process("engine.main", self.environment)
        self.process.wait_for("ready")
        return self.process

    def kill(self) -> int:
        """End it at once, as a crash would; the exit code."""
        assert self.process is not None
        return self.process.kill()

    def stop(self) -> int:
        """End it in order; the exit code."""
        assert self.process is not None
        return self.process.stop()

    def client(
        self, name: str = "test", *, timeout_s: float | None = None, **options: Any
    ) -> EngineClient:
        """A blocking client."""
        wait_s = pace.seconds(5) if timeout_s is None else timeout_s
        return EngineClient(self.socket, name, timeout_s=wait_s, **options)

    def __enter__(self) -> EngineProcess:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()
