"""HAProxy with the configuration that we ship, between a test's clients and its venue."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from config.ports import free_ports
from tests.support import pace

CONFIGURATION = Path(__file__).parent.parent.parent / "config" / "haproxy" / "tandem.cfg"
SOURCE = "127.0.0.9"
"""Where the gateway sees it come from."""


def program() -> str:
    """HAProxy's program, or the test is skipped."""
    found = shutil.which("haproxy", path="/usr/sbin:/usr/bin:/sbin:/bin")
    if found is None:
        pytest.skip("haproxy is not installed (Debian: apt-get install haproxy)")
    return found


class HAProxy:
    """One that listens on ``port`` with the certificates of ``folder``; a context manager."""

    def __init__(self, folder: Path, gateway: int, clients: str = "optional") -> None:
        (self.port,) = free_ports(1)
        self.lines: list[str] = []
        self._news = threading.Condition()
        environment = {
            "TANDEM_TLS_UNPRIVILEGED": "1",
            "TANDEM_TLS_LISTEN": f"127.0.0.1:{self.port}",
            "TANDEM_TLS_FOLDER": str(folder),
            "TANDEM_TLS_CLIENTS": clients,
            "TANDEM_TLS_SOURCE": SOURCE,
            "TANDEM_TLS_CONTROL": str(folder / f"control-{self.port}"),
            "TANDEM_FIX": f"127.0.0.1:{gateway}",
        }
        self._notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notices.bind(f"\0tandem-test-haproxy-{self.port}")
        self._notices.settimeout(pace.seconds(15))
        self.process = subprocess.Popen(
            [program(), "-Ws", "-f", str(CONFIGURATION)],
            env=os.environ | environment
            | {"NOTIFY_SOCKET": f"@tandem-test-haproxy-{self.port}"},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line.rstrip())
                self._news.notify_all()

    def wait_for(self, text: str) -> str:
        """The first line of its log that has a text in it, now or to come."""
        deadline = time.monotonic() + pace.seconds(15)
        with self._news:
            while True:
                for line in self.lines:
                    if text in line:
                        return line
                left = deadline - time.monotonic()
                assert left > 0, f"no {text!r} in:\n" + "\n".join(self.lines)
                self._news.wait(left)

    def until_ready(self) -> None:
        """Wait until it listens, with its present configuration."""
        while b"READY=1" not in self._notices.recv(4096):
            assert self.process.poll() is None, self.lines

    def reload(self) -> None:
        """Have it read its certificates again, and wait until it has."""
        self.process.send_signal(signal.SIGUSR2)
        self.until_ready()

    def __enter__(self) -> HAProxy:
        self.until_ready()
        return self

    def __exit__(self, *error: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(pace.seconds(10))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join(pace.seconds(5))
        self._notices.close()
