"""A temporary venue: the demo configuration on free ports, in a temporary folder."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from config.ports import free_ports
from config.settings import DEMO_FILE, Settings, ensure_data, load
from tandem.processes import venue_processes
from tandem.supervisor import Supervisor
from tandem.up import environment


def write_configuration(folder: Path, changes: Mapping[str, str] | None = None) -> Path:
    """Write the demo configuration with free ports to a file in ``folder``; return its path.

    ``changes`` maps texts that occur exactly once in it to their replacements.
    """
    ports = iter(free_ports(4))
    text = DEMO_FILE.read_text(encoding="utf-8")
    text, count = re.subn(r"^port = [0-9]+$", lambda _: f"port = {next(ports)}", text, flags=re.M)
    if count != 4:
        raise ValueError(f"the demo configuration has {count} ports instead of 4")
    for old, new in (changes or {}).items():
        if text.count(old) != 1:
            raise ValueError(f"{old!r} stands {text.count(old)} times in the demo configuration")
        text = text.replace(old, new)
    path = folder / "venue.toml"
    path.write_text(text, encoding="utf-8")
    return path


class TemporaryVenue:
    """A running venue under ``folder``; a context manager that ends it."""

    def __init__(
        self,
        folder: Path,
        say: Callable[[str, str], None],
        changes: Mapping[str, str] | None = None,
        market: bool = False,
    ) -> None:
        """``market``: with the bots of the test-net, which quote and trade."""
        config = write_configuration(folder, changes)
        self.settings: Settings = load(config, environment(config, folder / "data"))
        ensure_data(self.settings)
        env = environment(config, self.settings.data)
        env["PYTHONUNBUFFERED"] = "1"
        self._supervisor = Supervisor(
            venue_processes(market, gateways=self.settings.fix.gateways), env,
            self.settings.data / "log", say,
        )
        self._watching = threading.Thread(target=self._supervisor.watch, name="watch")

    @property
    def pids(self) -> dict[str, int]:
        """Return the ids of the running processes by name."""
        return self._supervisor.pids

    def __enter__(self) -> TemporaryVenue:
        try:
            self._supervisor.start()
        except BaseException:
            self._supervisor.stop()
            raise
        self._watching.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._supervisor.request_stop()
        self._watching.join()
        self._supervisor.stop()
