"""A real engine and a real gateway as processes, on free ports in a folder of their own."""

from __future__ import annotations

import math
import re
from pathlib import Path

from config.ports import free_ports
from engine.client import EngineClient
from tests.fix.rawfix import RawFix
from tests.support import pace
from tests.support.processes import ROOT, Process


class Venue:
    """Engine and gateway on the demo configuration, changed as the test wishes.

    ``changes`` maps a pattern of the demo file to its replacement. Strangers learn nothing, as in
    production, unless ``explains``.
    """

    def __init__(
        self,
        folder: Path,
        changes: dict[str, str] | None = None,
        extra: str = "",
        *,
        explains: bool = False,
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
        if not explains:
            text = text.replace("[fix]\n", "[fix]\nexplain_refusals = false\n", 1)
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
        client = EngineClient(str(self.data / "engine.sock"), "test", timeout_s=pace.seconds(5))
        self._clients.append(client)
        return client

    def __enter__(self) -> Venue:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End what still runs."""
        for client in self._clients:
            client.close()
        for process in (self.gateway, self.engine):
            if process is not None and process.popen.poll() is None:
                process.kill()


def logged_on(venue: Venue, comp_id: str, num: int = 1, **fields: object) -> RawFix:
    """A client that the venue has let in; ``fields`` are those of ``RawFix.logon``."""
    client = RawFix(venue.address, comp_id, num=num)
    client.logon(**fields)
    return client
