"""A venue for one client under certification: some of the venue's processes in a folder."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from certification.venue import Credentials, Ports, configuration, load_or_make, write_private
from config.ports import free_ports
from config.settings import ensure_data, load
from tandem.processes import Process, venue_processes
from tandem.supervisor import Supervisor
from tandem.up import environment

FIX_PROCESSES: Final = ("engine", "fix")
MARKET_DATA_PROCESSES: Final = (*FIX_PROCESSES, "marketdata")
ACCOUNT_PROCESSES: Final = ("engine", "history", "fix", "api", "stream", "settlement")


def processes(names: Iterable[str]) -> tuple[Process, ...]:
    """Return the venue's processes of these names."""
    wanted = set(names)
    return tuple(process for process in venue_processes() if process.name in wanted)


class Lane:
    """A venue under ``folder`` that belongs to one client. ``start`` blocks until it is ready."""

    def __init__(
        self, folder: Path, comp_id: str, names: Iterable[str], say: Callable[[str, str], None]
    ) -> None:
        self.folder = folder
        self.credentials: Credentials = load_or_make(folder / "credentials.json", comp_id)
        fix, http, stream = free_ports(3)
        self.ports = Ports(fix, http, stream)
        config = folder / "venue.toml"
        write_private(config, configuration(self.credentials, self.ports).encode("utf-8"))
        settings = load(config, environment(config, folder / "data"))
        ensure_data(settings)
        env = environment(config, settings.data)
        env["PYTHONUNBUFFERED"] = "1"
        self._supervisor = Supervisor(
            processes(names), env, settings.data / "log",
            lambda name, text: say(f"{comp_id} {name}", text),
        )  # fmt: skip
        self._watching = threading.Thread(target=self._supervisor.watch, name=f"watch-{comp_id}")

    def start(self) -> None:
        """Start the processes. Raises StartError."""
        try:
            self._supervisor.start()
        except BaseException:
            self._supervisor.stop()
            raise
        self._watching.start()

    def stop(self) -> None:
        """End the processes, in order."""
        self._supervisor.request_stop()
        if self._watching.ident is not None:
            self._watching.join()
        self._supervisor.stop()

    def __enter__(self) -> Lane:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
