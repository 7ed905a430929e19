"""Locks that show which processes are alive: each process has a number.

A process locks the byte of its number in a file that all share. The kernel releases the lock when
the process ends, however it ends, so nobody has to infer it from the time or from process ids,
which mean nothing in another container.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from pathlib import Path
from typing import Final

NUMBER_MAX: Final = 2**62


class Holders:
    """The file ``path``; "" for none: then only this process counts as alive.

    Not thread-safe: the caller lets one thread at a time in.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._pid = 0
        self._own = 0
        self._file = -1

    def own(self) -> int:
        """Return the number of this process, locked from now on. Raises OSError."""
        if self._pid == os.getpid():
            return self._own
        if self._file >= 0:
            os.close(self._file)  # The parent's; its locks stay the parent's.
            self._file = -1
        number = 1 + secrets.randbelow(NUMBER_MAX)
        if self._path:
            Path(self._path).parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            # Numbers are drawn from so many that no other process has this one.
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
        self._own, self._pid = number, os.getpid()
        return number

    def lives(self, number: int) -> bool:
        """Return True if the process with a number is alive. Raises OSError."""
        if number == self.own():
            return True
        if self._file < 0:
            return False
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
        except (BlockingIOError, PermissionError):
            return True
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, number)
        return False

    def close(self) -> None:
        """Release the number."""
        if self._file >= 0 and self._pid == os.getpid():
            os.close(self._file)
        self._file, self._pid = -1, 0
