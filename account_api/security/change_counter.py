"""A count in memory that all processes share, which moves with every change of a file."""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_COUNT: Final = struct.Struct("Q")


class Changes:
    """How often the file of keys was changed, in memory that all processes share.

    To ask SQLite takes some microseconds and lets go of the interpreter, and every request
    wants to know. The count is odd while a change is made; a process that dies in between
    leaves it so, and then everybody reads the keys at every request until the next change.
    """

    def __init__(self, path: str) -> None:
        """Raises OSError where there is no room for the file."""
        if not path:
            self._file = -1
            self._memory = mmap.mmap(-1, _COUNT.size)
            return
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(self._file).st_size
            if size < _COUNT.size:
                # Real bytes: where a hole meets a full disk, memory ends with a signal.
                os.pwrite(self._file, bytes(_COUNT.size - size), size)
            self._memory = mmap.mmap(self._file, _COUNT.size)
        except BaseException:
            os.close(self._file)
            self._file = -1
            raise

    def count(self) -> int:
        """The count at this moment."""
        (count,) = _COUNT.unpack_from(self._memory)
        return int(count)

    @contextmanager
    def one(self) -> Iterator[None]:
        """While a change is made; one process at a time."""
        if self._file >= 0:
            fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            _COUNT.pack_into(self._memory, 0, self.count() | 1)
            try:
                yield
            finally:
                _COUNT.pack_into(self._memory, 0, self.count() + 1)
        finally:
            if self._file >= 0:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def __del__(self) -> None:
        if getattr(self, "_file", -1) >= 0:
            os.close(self._file)
