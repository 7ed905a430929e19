"""Ids for requests that came without one."""

from __future__ import annotations

import itertools
import os


class RequestIds:
    """32 hexadecimal digits each, distinct in all processes. Thread-safe, also after a fork.

    A random half for each process and a count: asking the system's random source for every
    request would release the interpreter lock each time.
    """

    def __init__(self) -> None:
        self._pid = 0
        self._prefix = ""
        self._numbers = itertools.count(1)

    def next(self) -> str:
        """Return a new unique id."""
        pid = os.getpid()
        if pid != self._pid:
            # Two threads may both get here; each takes a prefix, and the last one stays.
            self._prefix = os.urandom(8).hex()
            self._pid = pid
        return f"{self._prefix}{next(self._numbers):016x}"
