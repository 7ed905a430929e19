"""One blocking connection of the thread client: a socket, its locks, its protocol state."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import Future
from typing import Any, Final, TypeAlias

from engine.client.protocol import ClientCore
from engine.wire import Welcome

Handle: TypeAlias = Future[Any]
RECEIVE_BYTES: Final = 1 << 18


class Connection:
    """One socket and the protocol state of that connection."""

    def __init__(self, path: str, name: str, timeout_s: float) -> None:
        self.core: ClientCore[Handle] = ClientCore(name)
        self.core_lock = threading.Lock()
        self.send_lock = threading.Lock()
        self.alive = True
        self.subscribed = False
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.socket.settimeout(timeout_s)
            self.socket.connect(path)
            self.socket.sendall(self.core.hello())
            self.welcome = self._await_welcome()
            self.socket.settimeout(None)
        except BaseException:
            self.socket.close()
            raise

    def _await_welcome(self) -> Welcome:
        while True:
            data = self.socket.recv(RECEIVE_BYTES)
            if not data:
                raise ConnectionError("the engine closed the connection")
            received = self.core.feed(data)
            if received.welcome is not None:
                return received.welcome
            if received.failed is not None:
                raise ConnectionError(received.failed.text)

    def send(self, data: bytes) -> None:
        """Send all bytes before any other thread sends. Raises OSError."""
        with self.send_lock:
            self.socket.sendall(data)

    def forget(self, number: int) -> None:
        """Stop waiting for a request."""
        with self.core_lock:
            self.core.forget(number)

    def close(self) -> None:
        """Wake the reader thread, which then cleans up."""
        self.alive = False
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # Already disconnected, as intended.
