"""What the tests of the link share: certificates, a leader that does what it is told, an owner."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from engine import wire
from engine.cluster.dial import Fresh, LinkLimits
from engine.cluster.link import Arrived, Connected, Link, Lost
from engine.core.types import Standing
from engine.server.ipc import Connection, Item, Limits, Server
from engine.server.tcp import TcpListener
from engine.server.tls import TlsFiles
from tandem import cluster_certificates as certificates
from tests.support import pace

T = TypeVar("T")
WAIT_S = 10.0
HOST = "127.0.0.1"


def files(folder: Path, node: str) -> TlsFiles:
    """The files of a node in a folder of ``tandem cluster certificates``."""
    of = folder / node
    return TlsFiles(
        of / certificates.CA, of / certificates.CERTIFICATE, of / certificates.KEY
    )  # fmt: skip


def authority(folder: Path, *nodes: str) -> Path:
    """Make an authority with certificates of nodes on the loopback address."""
    certificates.make(folder, {node: [HOST] for node in nodes or ("a", "b")}, 2)
    return folder


class Leader:
    """A server on a thread of its own. It greets; what else it does with a frame is ``serve``'s."""

    def __init__(
        self,
        folder: Path,
        tls: TlsFiles,
        serve: Callable[[Server, Connection, Item], None] = lambda *frame: None,
        *,
        limits: Limits | None = None,
        port: int = 0,
        greets: bool = True,
        **listener: float,
    ) -> None:
        self.tcp = TcpListener(f"{HOST}:{port}", tls, **listener)  # type: ignore[arg-type]
        self.address = f"{HOST}:{self.tcp.port}"
        self.server = Server(folder / "run" / "engine.sock", limits or Limits(), self.tcp)
        self.items: list[tuple[Connection, Item]] = []
        self.error: BaseException | None = None
        self._serve = serve
        self._greets = greets
        self._changed = threading.Condition()
        self._ending = False
        self._jobs: list[Callable[[], None]] = []
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        server = self.server
        try:
            while not self._ending:
                for connection, item in server.poll(0.2, time.monotonic()):
                    if isinstance(item, wire.Hello) and self._greets:
                        server.send(connection, wire.Welcome(1, "boot", 7, 1))
                    elif isinstance(item, wire.Ask) and item.query == "standing":
                        standing = wire.encode_value(Standing(leads=True, age_ms=0))
                        answer = wire.Answer(item.id, 7, wire.raw(standing))
                        server.send(connection, answer)
                    else:
                        self._serve(server, connection, item)
                    with self._changed:
                        self.items.append((connection, item))
                        self._changed.notify_all()
                while self._jobs:
                    self._jobs.pop(0)()
                server.flush(time.monotonic())
        except BaseException as error:
            self.error = error

    def wait_for(self, wanted: Callable[[Item], object], count: int = 1) -> Connection:
        """Wait until so many items are ``wanted``; the connection of the last."""

        def found() -> list[Connection]:
            return [connection for connection, item in self.items if wanted(item)]

        with self._changed:
            assert self._changed.wait_for(
                lambda: len(found()) >= count or self.error, pace.seconds(WAIT_S)
            ), f"{len(found())} of {count}, of {[type(i).__name__ for _, i in self.items]}"
            assert self.error is None, self.error
            return found()[-1]

    def do(self, job: Callable[[], None]) -> None:
        """Have the thread do something between two polls."""
        done = threading.Event()
        self._jobs.append(lambda: (job(), done.set())[0])
        self.server.wake()
        assert done.wait(pace.seconds(WAIT_S))

    def stop(self) -> None:
        if self._ending:
            return
        self._ending = True
        self.server.wake()
        self.thread.join(pace.seconds(WAIT_S))
        assert not self.thread.is_alive()
        self.server.close()
        assert self.error is None, self.error


class Owner:
    """A link, and everything that was taken from it."""

    def __init__(self, tls: TlsFiles, limits: LinkLimits | None = None) -> None:
        self.arrived: list[Arrived] = []
        self._woken = threading.Event()
        self.link = Link(tls, "b", self._woken.set, limits)

    def wait_for(self, wanted: Callable[[Arrived], object], seconds: float = WAIT_S) -> Arrived:
        """Take until something is ``wanted``, from what was not looked for before; return it."""
        deadline = time.monotonic() + pace.seconds(seconds)
        while True:
            for index, item in enumerate(self.arrived):
                if wanted(item):
                    del self.arrived[: index + 1]
                    return item
            left_s = deadline - time.monotonic()
            assert self._woken.wait(max(0.0, left_s)), (
                f"not arrived; trouble: {self.link.trouble!r}, last: {self.arrived[-3:]!r}"[:900]
            )
            self._woken.clear()
            self.arrived += [item for item in self.link.take() if not isinstance(item, Fresh)]

    def connected(self) -> Connected:
        item = self.wait_for(lambda item: isinstance(item, Connected))
        assert isinstance(item, Connected)
        return item

    def lost(self, seconds: float = WAIT_S) -> Lost:
        item = self.wait_for(lambda item: isinstance(item, Lost), seconds)
        assert isinstance(item, Lost)
        return item


def raw(address: str, tls: TlsFiles | None) -> ssl.SSLSocket:
    """A blocking TLS client of Python's own, with the certificate of a node or without one."""
    host, _, port = address.rpartition(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if tls is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(tls.ca)
        context.load_cert_chain(tls.certificate, tls.key)
    return context.wrap_socket(plain(address), server_hostname=host)


def plain(address: str) -> socket.socket:
    """A blocking TCP connection."""
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=pace.seconds(WAIT_S))
