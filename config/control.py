"""The control socket of a process: a word from its operator in, an answer out.

Every process but the engine (which answers queries on its own socket) listens at
``<data>/control/<name>.sock``, mode 0600 in a folder of mode 0700: whoever can open it is
the operator. A request is one line of words, the answer is a line ``ok`` or ``refused``
followed by text, and then the connection ends. Every process knows ``metrics``, which
answers its metrics in the text format of Prometheus.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, generate_latest

LINE_BYTES_MAX: Final = 4096
ANSWER_BYTES_MAX: Final = 16 << 20
CLIENT_S: Final = 5.0
"""How long a client may take to send its line or to read its answer."""
SUFFIX: Final = ".sock"
SERVE_METRICS: Final = "tandem.serve_metrics"
"""The extension of a WSGI application that opens the control socket of a worker of it."""
LOAD_HISTORY: Final = "tandem.load_history"
"""The same for the function that has a worker import what it reads the history with."""

Verb = Callable[[list[str]], str]
"""Takes the words after its name, returns text; raises Refusal."""

log = structlog.get_logger("control")


class Refusal(Exception):
    """The process will not do it; the message says why."""


class ControlError(RuntimeError):
    """A process could not be asked, or refused; the message says which and why."""


def control_folder(data: Path) -> Path:
    """Return where the control sockets of a data folder are."""
    return data / "control"


def socket_path(data: Path, name: str) -> Path:
    """Return the control socket of a process."""
    return control_folder(data) / f"{name}{SUFFIX}"


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """Yield the path by way of a descriptor of its folder: the kernel allows 107 bytes only."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


class ControlServer:
    """Answers one client after the other on a thread of its own, from ``start`` to ``close``."""

    def __init__(self, path: Path, registry: CollectorRegistry, verbs: Mapping[str, Verb]) -> None:
        self._path = path
        self._verbs = {"metrics": lambda _: generate_latest(registry).decode(), **verbs}
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # Made under another name, so that it is private before anybody can find it; and a
        # file that a dead process left is replaced.
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.unlink(missing_ok=True)
        with _short(temporary) as name:
            self._listener.bind(name)
        temporary.chmod(0o600)
        self._listener.listen(16)
        temporary.rename(path)
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Take the socket away; a client that is being served is not waited for."""
        self._path.unlink(missing_ok=True)
        try:
            self._listener.shutdown(socket.SHUT_RDWR)  # Ends a waiting accept.
        finally:
            self._listener.close()

    def _run(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # It was closed.
            with client:
                client.settimeout(CLIENT_S)
                try:
                    client.sendall(self._answer(_line(client)))
                except OSError as error:
                    log.warning("control_client_lost", reason=str(error))

    def _answer(self, line: str) -> bytes:
        words = line.split()
        verb = self._verbs.get(words[0]) if words else None
        if verb is None:
            return f"refused\nknown here are {', '.join(sorted(self._verbs))}".encode()
        try:
            return f"ok\n{verb(words[1:])}".encode()
        except Refusal as error:
            return f"refused\n{error}".encode()
        except Exception as error:
            # The operator must hear of it, and the process must go on.
            log.exception("control_failed", verb=words[0])
            return f"refused\nit failed: {type(error).__name__}: {error}".encode()


def _line(client: socket.socket) -> str:
    data = b""
    while not data.endswith(b"\n") and len(data) < LINE_BYTES_MAX:
        piece = client.recv(LINE_BYTES_MAX)
        if not piece:
            break
        data += piece
    return data.decode("utf-8", "replace")


def ask(path: Path, *words: str, timeout_s: float = 10.0) -> str:
    """Ask a process; its answer. Raises ControlError."""
    name = path.name.removesuffix(SUFFIX)
    try:
        with _short(path) as short, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(timeout_s)
            client.connect(short)
            client.sendall(f"{' '.join(words)}\n".encode())
            data = b""
            while len(data) < ANSWER_BYTES_MAX and (piece := client.recv(1 << 16)):
                data += piece
    except OSError as error:
        raise ControlError(f"{name} does not answer: {error.strerror or error}") from None
    verdict, _, text = data.decode("utf-8", "replace").partition("\n")
    if verdict != "ok":
        raise ControlError(f"{name} refuses: {text}" if text else f"{name} gave no answer")
    return text
