"""What a thread that waits on sockets is to do besides: at a time, or because another asks."""

from __future__ import annotations

import heapq
import itertools
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import Final

TIMEOUT_S: Final = 1.0


class Agenda:
    """For one thread, which polls ``fileno`` and then calls ``run``; any other may ``call``."""

    def __init__(self) -> None:
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._calls: deque[Callable[[], None]] = deque()
        self._waker, self._wakes = socket.socketpair()
        self._waker.setblocking(False)
        self._wakes.setblocking(False)

    def fileno(self) -> int:
        """Return the descriptor that can be read when somebody has called."""
        return self._wakes.fileno()

    def at(self, when: float, call: Callable[[], None]) -> None:
        """Have something done at a time of the monotonic clock; from the thread itself."""
        heapq.heappush(self._timers, (when, next(self._order), call))

    def call(self, call: Callable[[], None]) -> None:
        """Have something done on the thread, from any other."""
        self._calls.append(call)
        try:
            self._waker.send(b"\0")
        except BlockingIOError:
            pass  # It is full of wakes that are not read yet.

    def timeout(self) -> float:
        """Return for how long the thread may wait."""
        if not self._timers:
            return TIMEOUT_S
        return min(TIMEOUT_S, max(0.0, self._timers[0][0] - time.monotonic()))

    def run(self) -> None:
        """Do what was asked for, and what is due."""
        try:
            self._wakes.recv(4096)
        except BlockingIOError:
            pass  # Nobody has called.
        while self._calls:
            self._calls.popleft()()
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2]()
