"""A whole venue of real processes, each of which can be killed, from outside or from within.

The processes are those of ``tandem up``, on the demo configuration with free ports. A process
can be started with a layer below its files (``disk/shim.c``) that kills it amid a write, a
flush or a rename of its own choosing.
"""

from __future__ import annotations

import json
import os
import re
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from config.ports import free_ports
from config.settings import DEMO_FILE, Settings, load
from engine.client import EngineClient
from tandem.processes import venue_processes

ROOT: Final = Path(__file__).parent.parent.parent
READY_S_MAX: Final = 60.0
END_S_MAX: Final = 15.0
MODULES: Final = {process.name: process.module for process in venue_processes()}
STORES: Final = {
    "engine": "/journal/", "history": "/history.db", "fix": "/fix/", "settlement": "/network.db",
}  # fmt: skip
"""Which files of a process hold what it must not lose."""


class Child:
    """One life of a process. ``on_exit`` is called, on a thread of its own, when it ends."""

    def __init__(
        self, name: str, log: Path, environment: Mapping[str, str],
        on_exit: Callable[[Child], None],
    ) -> None:  # fmt: skip
        self.name = name
        self.killed = False
        self.doomed = False
        """It has a layer below it that will kill it sooner or later."""
        self.full = False
        """Its disk is full for a moment sooner or later."""
        self.ready: dict[str, Any] | None = None
        self.code: int | None = None
        self._log = log
        with log.open("ab") as output:
            self._offset = log.stat().st_size
            # A session of its own, so that the group can be killed with what it forked.
            self.popen = subprocess.Popen(
                [sys.executable, "-m", MODULES[name]], cwd=ROOT, env=dict(environment),
                stdout=output, stderr=output, stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        self.pid = self.popen.pid
        threading.Thread(target=self._wait, args=(on_exit,), daemon=True).start()

    def _wait(self, on_exit: Callable[[Child], None]) -> None:
        self.code = self.popen.wait()
        self._kill_group()
        on_exit(self)

    def _kill_group(self) -> None:
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # Nothing of it is left.

    def look_whether_ready(self) -> bool:
        """Whether its log has the line event="ready" by now."""
        with self._log.open("rb") as lines:
            lines.seek(self._offset)
            for line in lines:
                if b'"ready"' in line and line.endswith(b"\n"):
                    self.ready = json.loads(line)
        return self.ready is not None

    def await_ready(self) -> bool:
        """Wait for its line event="ready"; False when it ended before."""
        deadline = time.monotonic() + READY_S_MAX
        with selectors.DefaultSelector() as pause:
            while time.monotonic() < deadline:
                if self.look_whether_ready():
                    return True
                if self.code is not None:
                    return False
                pause.select(0.02)  # Nobody tells when a file has grown.
        raise AssertionError(f"{self.name} is not ready after {READY_S_MAX:.0f} s")

    def kill(self) -> None:
        """kill -9, with whatever it forked."""
        self.killed = True
        self._kill_group()

    def terminate(self) -> int | None:
        """End it as a supervisor does; the exit code, None when it had to be killed."""
        self.killed = True
        self.popen.send_signal(signal.SIGTERM)
        try:
            return self.popen.wait(END_S_MAX)
        except subprocess.TimeoutExpired:
            self._kill_group()
            return None


class Venue:
    """The processes over a folder, on ports that stay the same through every restart."""

    def __init__(self, folder: Path, changes: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.data = folder / "data"
        text = DEMO_FILE.read_text(encoding="utf-8")
        sections = ("fix", "http", "stream", "metrics")
        ports = dict(zip(sections, free_ports(len(sections)), strict=True))
        for section, port in ports.items():
            text = re.sub(rf"(\n\[{section}\][^\n]*\n[^\[]*?port = )\d+", rf"\g<1>{port}", text)
        for old, new in (changes or {}).items():
            assert old in text, f"the demo configuration has no {old!r}"
            text = text.replace(old, new)
        self.config = folder / "venue.toml"
        self.config.write_text(text, encoding="utf-8")
        self.config.chmod(0o600)
        self.fix = ("127.0.0.1", ports["fix"])
        self.url = f"http://127.0.0.1:{ports['http']}"
        self.stream_url = f"ws://127.0.0.1:{ports['stream']}/v1/stream"
        self.socket = str(self.data / "engine.sock")
        self.environment = os.environ | {
            "TANDEM_CONFIG": str(self.config), "TANDEM_DATA": str(self.data),
            "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT),
        }  # fmt: skip
        self.children: dict[str, Child] = {}
        self.ended: list[Child] = []
        """Lives that are over, in the order in which they ended."""
        self.changed = threading.Condition()
        self.on_exit: Callable[[], None] = lambda: None

    @property
    def settings(self) -> Settings:
        """The configuration as the processes read it."""
        return load(self.config, self.environment)

    def start(self, name: str, extra: Mapping[str, str] | None = None) -> Child:
        """Start a process; does not wait until it is ready."""
        log = self.folder / f"{name}.log"
        environment = self.environment | dict(extra or {})
        child = Child(name, log, environment, self._exited)
        with self.changed:
            self.children[name] = child
        return child

    def start_all(self, *names: str) -> None:
        """Start the processes and wait until all are ready; the engine first."""
        names = names or tuple(MODULES)
        started = []
        for name in sorted(names, key=lambda n: n != "engine"):
            child = self.start(name)
            started.append(child)
            if name == "engine":
                child.await_ready()
        for child in started:
            assert child.await_ready(), self.log_of(child.name)

    def stop_all(self) -> dict[str, int | None]:
        """End everything in order; exit codes by name."""
        codes = {}
        for name in sorted(self.children, key=lambda n: n == "engine"):
            codes[name] = self.children[name].terminate()
        return codes

    def kill_all(self) -> None:
        """Leave nothing behind."""
        for child in list(self.children.values()):
            child.kill()
            child.popen.wait()

    def log_of(self, name: str, size: int = 2_000) -> str:
        """The end of a process's log."""
        log = self.folder / f"{name}.log"
        return log.read_text(errors="replace")[-size:] if log.exists() else ""

    def client(self, name: str = "proof") -> EngineClient:
        """A client of the engine."""
        return EngineClient(self.socket, name)

    def _exited(self, child: Child) -> None:
        with self.changed:
            self.ended.append(child)
            self.changed.notify_all()
        self.on_exit()
