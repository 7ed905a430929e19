"""Ids for requests that came without one."""

from __future__ import annotations

import itertools
import os


class RequestIds:
    """32 hexadecimal digits each, distinct in all processes. Thread-safe, also after a fork.

    A random half for each process and a count: the system's random source would be asked for
    every request, and lets go of the interpreter each time.
    """

    def __init__(self) -> None:
        self._pid = 0
        self._prefix = ""
        self._numbers = itertools.count(1)

    def next(self) -> str:
        """An id that nobody had."""
        pid = os.getpid()
        if pid != self._pid:
            # Two threads may both come here; each takes a prefix of its own, and the last stays.
            self._prefix = os.urandom(8).hex()
            self._pid = pid
        return f"{self._prefix}{next(self._numbers):016x}"
