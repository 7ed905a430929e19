"""The blocking connections of the two thread clients, and how they are opened."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import Future
from typing import Any, Final, TypeAlias

from engine.client.protocol import Backoff, ClientCore, EngineUnavailable
from engine.wire import Welcome, WireError

Handle: TypeAlias = Future[Any]
RECEIVE_BYTES: Final = 1 << 18


class Connector:
    """Opens connections to the engine at ``path``; attempts are spaced by a backoff.

    The caller holds a lock.
    """

    def __init__(self, path: str, name: str, timeout_s: float, silence_s: float = 0.0) -> None:
        self._path = path
        self._name = name
        self._silence_s = silence_s
        self._timeout_s = timeout_s
        self._backoff = Backoff()
        self._not_before = 0.0

    def connect(self) -> Connection:
        """Open a connection and wait for Welcome.

        Raises EngineUnavailable (not_applied) if that fails, and without an attempt while the
        backoff lasts.
        """
        if self.pause_s > 0:
            raise EngineUnavailable(f"the engine at {self._path} cannot be reached", "not_applied")
        try:
            connection = Connection(
                self._path, self._name, self._timeout_s, self._silence_s
            )
        except (OSError, WireError) as error:
            self._not_before = time.monotonic() + self._backoff.failed()
            raise EngineUnavailable(
                f"the engine at {self._path} cannot be reached: {error}", "not_applied"
            ) from error
        self._backoff.reset()
        self._not_before = 0.0
        return connection

    @property
    def pause_s(self) -> float:
        """Return the seconds until the next attempt may be made; not above 0 if one may be now."""
        return self._not_before - time.monotonic()


class Connection:
    """One socket and the protocol state of that connection."""

    def __init__(self, path: str, name: str, timeout_s: float, silence_s: float) -> None:
        self.core: ClientCore[Handle] = ClientCore(name, silence_s)
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
