"""A venue of real processes in a folder: engine, history, gunicorn, settlement worker."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import requests

from config.settings import DEMO_FILE
from tests.api.client import Answer, with_query
from tests.support import pace
from tests.support.processes import Process
from tests.support.signing import signed_headers

MODULES = {
    "engine": "engine.main",
    "history": "engine.history.main",
    "http": "account_api.main",
    "stream": "account_api.stream",
    "settlement": "account_api.settlement",
}


class Venue:
    """Starts, kills and restarts the processes; ``url`` is where HTTP listens, ``stream_url``
    where the stream does."""

    def __init__(self, folder: Path, changes: tuple[tuple[str, str], ...] = ()) -> None:
        self.folder = folder
        self.processes: dict[str, Process] = {}
        self.url = self.stream_url = ""
        text = DEMO_FILE.read_text(encoding="utf-8").replace("port = 8080", "port = 0")
        text += "\n[engine]\nmin_seq_wait_ms_max = 500\n"
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        self.config = folder / "venue.toml"
        self.config.write_text(text, encoding="utf-8")
        self.environment = {
            "TANDEM_CONFIG": str(self.config), "TANDEM_DATA": str(folder / "data"),
        }  # fmt: skip

    def start(self, *names: str) -> None:
        for name in names:
            process = self.processes[name] = Process(MODULES[name], self.environment)
            ready = process.wait_for("ready")
            if name == "http":
                self.url = "http://" + ready["addresses"][0]
            if name == "stream":
                self.stream_url = ready["url"]

    def kill(self, name: str) -> None:
        """kill -9, of gunicorn with its workers."""
        process = self.processes.pop(name)
        for child in children(process.popen.pid):
            os.kill(child, signal.SIGKILL)
        process.kill()

    def __enter__(self) -> Venue:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stop(self) -> dict[str, int]:
        """End everything as a supervisor does; exit codes by name."""
        codes = {name: self.processes[name].stop() for name in reversed(self.processes)}
        self.processes.clear()
        return codes


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(child) for child in tasks.split()]


class HttpCaller:
    """Sends real requests as one key of the demo configuration."""

    def __init__(self, venue: Venue, name: str) -> None:
        self.venue = venue
        self.name = name
        self.session = requests.Session()
        self.last_ms = 0

    def headers(self, method: str, target: str, data: bytes) -> dict[str, str]:
        if self.name.endswith("-read"):
            return {"Authorization": f"Bearer demo-{self.name}"}
        if not self.name:
            return {}
        key = f"demo-{self.name}"
        self.last_ms = max(self.last_ms + 1, time.time_ns() // 1_000_000)
        return signed_headers(key, self.last_ms, method, target, data)

    def send(
        self,
        method: str,
        target: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        data = b"" if body is None else json.dumps(body).encode()
        headers = dict(headers or self.headers(method, target, data))
        if data:
            headers["Content-Type"] = "application/json"
        response = self.session.request(
            method, self.venue.url + target, data=data or None, headers=headers,
            timeout=pace.seconds(20),
        )
        return Answer(response.status_code, response.headers, response.content)

    def get(self, target: str, **query: Any) -> Answer:
        return self.send("GET", with_query(target, query))

    def post(self, target: str, body: Any = None) -> Answer:
        return self.send("POST", target, body)

    def delete(self, target: str, **query: Any) -> Answer:
        return self.send("DELETE", with_query(target, query))
