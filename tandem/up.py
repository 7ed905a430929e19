"""``tandem up``: a whole venue in the foreground of one terminal."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from config.health import disk_part
from config.process import start_failure
from config.settings import (
    CONFIG_VARIABLE,
    DATA_VARIABLE,
    DEMO_FILE,
    MARKET_VARIABLE,
    TLS_VARIABLE,
    Settings,
    ensure_data,
)
from engine.server.bootstrap import refused
from tandem import PACKAGES, certificates, tls_proxy
from tandem.http_client import base_url
from tandem.output import CommandError, open_private
from tandem.processes import venue_processes
from tandem.supervisor import StartError, Supervisor

DISK_EVERY_S: Final = 2.0
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def environment(config: Path | None, data: Path | None) -> dict[str, str]:
    """Return the environment of a venue's processes: its file, its folder, and its packages."""
    env = dict(os.environ)
    others = env.get("PYTHONPATH")
    env["PYTHONPATH"] = os.pathsep.join((str(PACKAGES), *((others,) if others else ())))
    if config is not None:
        env[CONFIG_VARIABLE] = str(config.absolute())
    if data is not None:
        env[DATA_VARIABLE] = str(data.absolute())
    return env


def run(settings: Settings, market: bool | None = None, tls: bool = False) -> int:
    """Start the venue, supervise it, stop it; return the exit code.

    ``market`` says whether its bots trade; None leaves that to the settings. ``tls`` starts HAProxy
    before the FIX gateway too.
    """
    if market is None:
        market = settings.bots.enabled
    if market and settings.environment == "production":
        raise CommandError("bots are for test-nets, and environment is production")
    if market and not settings.bots.prices:
        raise CommandError(f"{settings.file} has no [bots] prices, so bots have nothing to quote")
    console = Console(stderr=True, highlight=False)
    rehearse(settings)
    try:
        ensure_data(settings)
    except OSError as error:
        raise CommandError(f"the data folder cannot be made: {start_failure(error)[1]}") from None
    lock = hold(settings.data)
    if tls:
        tls_proxy.prepare(settings)
    check_ports(settings, tls)
    env = environment(settings.file, settings.data)
    # Without it a child's output would stay in its buffer.
    env["PYTHONUNBUFFERED"] = "1"
    if market:
        env[MARKET_VARIABLE] = "1"
    if tls:
        env[TLS_VARIABLE] = "1"
    supervisor = Supervisor(
        venue_processes(market, tls, settings.fix.gateways), env, settings.data / "log",
        lambda name, text: console.print(f"[bold]{name:>10}[/bold] {escape(text)}"),
    )  # fmt: skip
    for number in _SIGNALS:
        signal.signal(number, lambda *_: supervisor.request_stop())
    disk = DiskWatch(
        (settings.data, settings.engine.journal),
        lambda text: console.print(f"[bold]{'disk':>10}[/bold] {escape(text)}"),
    )
    disk.start()
    began = time.monotonic()
    console.print("Starting the venue …")
    code = 0
    try:
        if supervisor.start():
            console.print(f"Ready after {time.monotonic() - began:.1f} s.")
            show(settings, Console(highlight=False), market, tls)
            supervisor.watch()
    except StartError as error:
        console.print(escape(str(error)), style="red", soft_wrap=True)
        code = 1
    console.print("Ending the venue …")
    disk.stop()
    supervisor.stop()
    console.print("Ended.")
    lock.close()
    return code


def rehearse(settings: Settings) -> None:
    """Raise CommandError if the exchange itself would refuse the configuration."""
    reasons = refused(settings)
    if reasons:
        listed = "\n".join(f"  {reason}" for reason in reasons)
        raise CommandError(f"{settings.file} cannot be used:\n{listed}")


class DiskWatch:
    """Reports when a disk is low on space or full, before a write fails."""

    def __init__(self, folders: tuple[Path, ...], say: Callable[[str], None]) -> None:
        self._folders = folders
        self._say = say
        self._state = "ok"
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="disk", daemon=True)

    def start(self) -> None:
        """Start checking."""
        self._thread.start()

    def stop(self) -> None:
        """Stop checking."""
        self._stopped.set()

    def look(self) -> None:
        """Report what has changed since the last check."""
        part = disk_part(self._folders)
        if part.state != self._state:
            self._state = part.state
            self._say(part.detail if not part.ok else f"has room again: {part.detail}")

    def _run(self) -> None:
        while not self._stopped.wait(DISK_EVERY_S):
            self.look()


def hold(data: Path) -> IO[bytes]:
    """Hold the data folder for as long as the returned file is open. Raises CommandError."""
    file = open_private(data / "tandem.lock")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise CommandError(f"another `tandem up` runs with the data folder {data}") from None
    return file


def check_ports(settings: Settings, tls: bool = False) -> None:
    """Raise CommandError if another program uses a port that the venue needs."""
    for key, host, port in (
        *((("fix.tls_port", settings.fix.host, settings.fix.tls_port),) if tls else ()),
        ("fix.port", settings.fix.host, settings.fix.port),
        ("http.port", settings.http.host, settings.http.port),
        ("stream.port", settings.stream.host, settings.stream.port),
        ("metrics.port", settings.metrics.host, settings.metrics.port),
    ):
        try:
            family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind) as probe:
                # As the servers do: connections in TIME_WAIT are no obstacle.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        except OSError as error:
            raise CommandError(
                f"{key}: cannot listen on {host} port {port}: {error.strerror}; end what uses "
                f"it, or choose another in {settings.file}"
            ) from None


def show(
    settings: Settings, console: Console, market: bool = False, tls: bool = False
) -> None:
    """Print where the venue listens and how to reach it."""
    url = base_url(settings)
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    grid.add_column()
    grid.add_row("web page", f"{url}/")
    many = f", {settings.fix.gateways} gateways" if settings.fix.gateways > 1 else ""
    grid.add_row("FIX 4.4", f"{_host(settings.fix.host)}:{settings.fix.port}{many}")
    if tls:
        authority = tls_proxy.folder_of(settings) / certificates.AUTHORITY
        grid.add_row("FIX 4.4, TLS", f"{_host(settings.fix.host)}:{settings.fix.tls_port}")
        grid.add_row("", f"trust {authority}; clients' certificates beside it")
    grid.add_row("HTTP", url)
    grid.add_row("WebSocket", f"ws://{_host(settings.stream.host)}:{settings.stream.port}/v1/stream")
    grid.add_row("market", "bots quote and trade" if market else "empty; `--market` adds bots")
    grid.add_row("documentation", f"{url}/docs")
    metrics = settings.metrics
    grid.add_row("Prometheus", f"http://{_host(metrics.host)}:{metrics.port}/metrics")
    grid.add_row("data, logs", f"{settings.data}, {settings.data / 'log'}")
    console.print(Panel(grid, title="Tandem", expand=False))
    if settings.file.read_bytes() == DEMO_FILE.read_bytes():
        _show_demo(settings, url, console)
    console.print("Ctrl-C ends it.")


def _host(host: str) -> str:
    """Return a host in the form that precedes a colon and a port."""
    return f"[{host}]" if ":" in host else host


def _show_demo(settings: Settings, url: str, console: Console) -> None:
    console.print("Balances of the demo firm alice:\n")
    console.print(
        f"  curl -H 'Authorization: Bearer demo-alice-read' {url}/v1/balances\n",
        soft_wrap=True, markup=False,
    )  # fmt: skip
    console.print("Settings for a FIX engine (firms alice, bob and carol alike):\n")
    fix = settings.fix
    for line in (
        "BeginString=FIX.4.4",
        "SenderCompID=ALICE",
        f"TargetCompID={fix.comp_id}",
        f"SocketConnectHost={fix.host}",
        f"SocketConnectPort={fix.port}",
        "HeartBtInt=30",
        "Username(553)=alice   Password(554)=alice-demo",
    ):
        console.print(f"  {line}", markup=False)
    console.print()
