"""A client without a reader thread: the calling thread sends and receives on a pooled socket.

For services that answer one request per thread. ``EngineClient`` hands every answer from its
reader thread to the thread that waits, which costs two thread switches for each request;
here the waiting thread reads the answer itself. The pool keeps as many connections as there
have ever been concurrent calls. There is no subscription and no ``post``.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final, TypeVar

import msgspec

from engine import queries, wire
from engine.client.connection import RECEIVE_BYTES, Connection, Connector, Handle
from engine.client.protocol import (
    MIN_SEQ_GRACE_S,
    ClientCore,
    EngineTimeout,
    EngineUnavailable,
    Outcome,
    lost_error,
    refusal,
)
from engine.core.commands import Command
from engine.core.types import Answered
from engine.wire import Welcome

T = TypeVar("T")

CHECK_AFTER_S: Final = 0.02
"""A connection idle for less is not checked again; no engine restarts in that time."""
FIRST_BYTES: Final = 1 << 13
"""Most answers are smaller; a large buffer would be mapped and unmapped for each of them."""
_TIMEVAL: Final = struct.Struct("ll")
_CALLER: Final[Handle] = Future()
"""The protocol core needs a waiter. Here it is always the caller, so one object is enough."""


class DirectEngineClient:
    """Blocking, thread-safe client of the engine at the Unix socket ``path``.

    ``submit``, ``ask`` and ``fetch`` do what those of ``EngineClient`` do and raise the same:
    EngineUnavailable, EngineTimeout, EngineRefused.
    """

    def __init__(self, path: str, name: str, *, timeout_s: float = 5.0) -> None:
        self._path = str(path)
        self._timeout_s = timeout_s
        self._idle: deque[_Line] = deque()
        self._connect_lock = threading.Lock()
        self._connector = Connector(self._path, name, timeout_s)
        self._closed = False

    def connect(self) -> Welcome:
        """Connect now, if not connected. Raises EngineUnavailable (not_applied)."""
        line = self._take()
        self._idle.append(line)
        return line.connection.welcome

    def close(self) -> None:
        """End the idle connections; those in use end with their call."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def submit(self, command: Command, timeout_s: float | None = None) -> Outcome:
        """Submit a command to the engine and wait until it is durable."""
        outcome = self._exchange(
            lambda core: core.submit(command, _CALLER),
            self._timeout_s if timeout_s is None else timeout_s,
            is_command=True,
        )
        assert isinstance(outcome, Outcome)
        return outcome

    def ask(self, query: str, min_seq: int = 0, **arguments: Any) -> tuple[int, msgspec.Raw]:
        """Send a query by name; return (as_of_seq, encoded body)."""
        answer = self._exchange(
            lambda core: core.ask(query, arguments, min_seq, _CALLER),
            self._timeout_s + (MIN_SEQ_GRACE_S if min_seq else 0.0),
            is_command=False,
        )
        return answer.seq, answer.body

    def fetch(self, query: queries.Query[T], min_seq: int = 0) -> Answered[T]:
        """Send a typed query; wait, bounded by the engine, until min_seq is reached."""
        seq, body = self.ask(query.name, min_seq, **msgspec.to_builtins(query))
        return Answered(query.decode(body), seq)

    def _exchange(
        self,
        register: Callable[[ClientCore[Handle]], tuple[int, bytes]],
        wait_s: float,
        *,
        is_command: bool,
    ) -> Any:
        """Send a request and read its answer; keep the connection only if it is usable."""
        line = self._take()
        try:
            _, data = register(line.connection.core)
        except BaseException:
            self._idle.append(line)  # It cannot be encoded, so nothing was sent.
            raise
        try:
            value = line.exchange(data, wait_s)
        except TimeoutError:
            line.close()
            raise EngineTimeout(f"no answer from the engine within {wait_s:g} s") from None
        except (OSError, wire.WireError) as error:
            line.close()
            raise lost_error(is_command, self._path) from error
        except BaseException:
            line.close()
            raise
        self._idle.append(line)
        if self._closed:
            self.close()
        if isinstance(value, BaseException):
            raise value
        return value

    def _take(self) -> _Line:
        """Return a live connection that no other caller uses."""
        if self._closed:
            raise EngineUnavailable("this client was closed", "not_applied")
        while True:
            try:
                line = self._idle.pop()
            except IndexError:
                with self._connect_lock:
                    return _Line(self._connector.connect())
            if line.usable():
                return line
            line.close()




class _Line:
    """A connection with at most one request on it at a time."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._process = os.getpid()
        self._wait_s = 0.0
        self._used_at = 0.0

    def usable(self) -> bool:
        """Return whether the engine has neither closed it nor sent anything unsolicited.

        So a restarted engine is noticed before a request is sent, when nothing can have been
        executed yet. A connection does not survive a fork: two processes would share its bytes.
        """
        if self._process != os.getpid():
            return False
        if time.monotonic() - self._used_at < CHECK_AFTER_S:
            return True
        try:
            self.connection.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def exchange(self, data: bytes, wait_s: float) -> Any:
        """Return the answer to a request. Raises TimeoutError, OSError, WireError."""
        end = self.connection.socket
        deadline = time.monotonic() + wait_s
        self._wait(wait_s)
        try:
            end.sendall(data)
            size = FIRST_BYTES
            while True:
                received = end.recv(size)
                size = RECEIVE_BYTES
                if not received:
                    raise ConnectionError("the engine closed the connection")
                found = self.connection.core.feed(received)
                if found.completed:
                    self._used_at = time.monotonic()
                    return found.completed[0][1]
                if found.failed is not None:
                    return refusal(found.failed.code, found.failed.text)
                if found.dropped is not None:
                    raise ConnectionError(found.dropped.reason)
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    raise TimeoutError
                self._wait(left_s)
        except BlockingIOError:
            raise TimeoutError from None

    def _wait(self, seconds: float) -> None:
        """Set the kernel's socket timeout; Python's own timeout would poll before each call."""
        if seconds == self._wait_s:
            return
        self._wait_s = seconds
        value = _TIMEVAL.pack(int(seconds), max(1, int(seconds % 1 * 1e6)))
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            self.connection.socket.setsockopt(socket.SOL_SOCKET, option, value)

    def close(self) -> None:
        """Close it."""
        self.connection.socket.close()
