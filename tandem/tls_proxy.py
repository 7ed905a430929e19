"""HAProxy as a process of the venue: TLS before the FIX gateway, for `tandem up --tls`.

It runs the configuration that production starts from, ``config/haproxy/tandem.cfg``, with the
certificates of the data folder. SIGHUP has it take new certificates; sessions that are there stay.
In production HAProxy is a service of the system and this is not used.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog

from config.process import EXIT_CONFIGURATION, EXIT_UNAVAILABLE, on_signals, run
from config.settings import Settings
from config.shipped import shipped
from tandem import certificates
from tandem.output import CommandError

START_S: Final = 15.0
STOP_S: Final = 4.0
DAYS: Final = 365
_PLACES: Final = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
log = structlog.get_logger("tls")


def program() -> str:
    """Return where HAProxy is. Raises CommandError."""
    found = shutil.which("haproxy", path=_PLACES)
    if found is None:
        raise CommandError(
            "TLS needs HAProxy, which is not installed (Debian 12: apt-get install haproxy); "
            "without --tls (TLS=1) the venue runs on its plain port alone"
        )
    return found


def folder_of(settings: Settings) -> Path:
    """Return where the certificates of `tandem up --tls` are."""
    return settings.data / "tls"


def prepare(settings: Settings) -> None:
    """Make the certificates unless they are there. Raises CommandError if TLS cannot be had."""
    fix = settings.fix
    if settings.environment == "production":
        raise CommandError(
            "--tls makes certificates of its own, and environment is production; there HAProxy is "
            f"a service of the system, with {shipped(certificates.PROXY_CONFIGURATION)}"
        )
    program()
    if not fix.tls_port:
        raise CommandError(
            f"--tls needs a port: set tls_port under [fix] in {settings.file}, for example 9879"
        )
    folder = folder_of(settings)
    if not folder.exists():
        hosts = list(dict.fromkeys(("localhost", "127.0.0.1", fix.host)))
        certificates.make(folder, certificates.names_of(settings), hosts, DAYS)
    if certificates.ends(folder) <= datetime.now(UTC):
        raise CommandError(
            f"the certificates in {folder} have expired; remove it, and new ones are made"
        )


def environment(settings: Settings, base: Mapping[str, str]) -> dict[str, str]:
    """Return the environment in which HAProxy finds what it needs."""
    fix, folder = settings.fix, folder_of(settings)
    host = "127.0.0.1" if fix.host == "0.0.0.0" else fix.host
    return dict(base) | {
        "TANDEM_TLS_UNPRIVILEGED": "1",
        "TANDEM_TLS_LISTEN": f"{fix.host}:{fix.tls_port}",
        "TANDEM_TLS_FOLDER": str(folder),
        "TANDEM_TLS_CLIENTS": "optional",
        "TANDEM_TLS_SOURCE": fix.trusted_proxies[0],
        "TANDEM_TLS_CONTROL": str(folder / "control"),
        "TANDEM_FIX": f"{host}:{fix.port}",
    }


def serve(settings: Settings) -> int:
    """Run HAProxy until a signal; return the exit code."""
    try:
        prepare(settings)
        path = program()
    except CommandError as error:
        log.critical("not_started", reason=str(error))
        return EXIT_CONFIGURATION
    if not settings.fix.trusted_proxies:
        log.critical("not_started", reason="fix.proxies names no address for HAProxy to come from")
        return EXIT_CONFIGURATION
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
        # An abstract name: nothing is left behind. HAProxy says there when it listens.
        name = f"@tandem-tls-{os.getpid()}"
        address = name.replace("@", "\0")
        notices.bind(address)
        notices.settimeout(START_S)
        child = subprocess.Popen(
            [path, "-Ws", "-f", str(shipped(certificates.PROXY_CONFIGURATION))],
            env=environment(settings, os.environ) | {"NOTIFY_SOCKET": name},
            stdin=subprocess.DEVNULL,
        )
        stopping, ended = threading.Event(), threading.Event()
        waking = threading.Event()

        def on_signal(number: int) -> None:
            if number == signal.SIGHUP:
                child.send_signal(signal.SIGUSR2)
                return
            stopping.set()
            waking.set()

        def wait() -> None:
            child.wait()
            ended.set()
            waking.set()
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own, suppress(OSError):
                own.sendto(b"ENDED=1", address)  # Nobody listens any more once it was ready.

        # After the child was started, which would have its signals blocked else.
        on_signals((signal.SIGTERM, signal.SIGINT, signal.SIGHUP), on_signal)
        threading.Thread(target=wait, name="haproxy-wait", daemon=True).start()
        if _is_ready(notices):
            fix = settings.fix
            log.info("ready", tls=f"{fix.host}:{fix.tls_port}")
            waking.wait()
    if not stopping.is_set():
        log.error(
            "proxy_ended",
            reason=f"HAProxy does not start, or has ended, with code {child.poll()}; the lines "
            f"before this one in {settings.data / 'log' / 'tls.log'} are its own",
        )
    _end(child, ended)
    return 0 if stopping.is_set() else EXIT_UNAVAILABLE


def _is_ready(notices: socket.socket) -> bool:
    """Wait until HAProxy says that it listens; False if it has ended or is silent."""
    while True:
        try:
            text = notices.recv(4096)
        except TimeoutError:
            return False
        if b"READY=1" in text:
            return True
        if b"ENDED=1" in text:
            return False


def _end(child: subprocess.Popen[bytes], ended: threading.Event) -> None:
    """End HAProxy by its id; its workers end with it."""
    child.send_signal(signal.SIGTERM)
    if not ended.wait(STOP_S):
        child.kill()
        ended.wait(STOP_S)


if __name__ == "__main__":
    sys.exit(run(serve, log))
