"""The mark of a journal: the newest acknowledged seq, in the file that also locks it.

SQLite keeps the newest commits of a segment in a file beside it, ``<segment>-wal``. Without it the
segment opens as if those commits had never happened, and nothing in the segment shows it. So
each commit, once it is durable, is recorded here: a start that finds less than the mark has lost
the journal's end, and must not continue without it.

The mark is written to shared memory, which costs nothing and survives the process. It is not
flushed: after a power loss it may be behind, never ahead, of what is durable.
"""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path
from typing import Final

from engine.journal import wal

NAME: Final = "lock"
_SEQ: Final = struct.Struct("<Q")
_BYTES: Final = 64


class Mark:
    """The mark in a file that is open for writing. Raises OSError if there is no space."""

    def __init__(self, descriptor: int) -> None:
        size = os.fstat(descriptor).st_size
        if size < _BYTES:
            # Real bytes: a hole could fail for lack of space later, as SIGBUS.
            os.pwrite(descriptor, bytes(_BYTES - size), size)
        self._memory = mmap.mmap(descriptor, _BYTES)

    @property
    def seq(self) -> int:
        """The newest transaction that was acknowledged; 0 if unknown."""
        return int(_SEQ.unpack_from(self._memory)[0])

    def set(self, seq: int) -> None:
        """Note that ``seq`` is durable."""
        _SEQ.pack_into(self._memory, 0, seq)

    def close(self) -> None:
        """Release the file: the mapping keeps it open, and with it its lock."""
        self._memory.close()


def read(folder: Path) -> int:
    """Return the mark of a journal that others may be using; 0 if there is none."""
    try:
        data = (folder / NAME).read_bytes()
    except FileNotFoundError:
        return 0
    return int(_SEQ.unpack_from(data)[0]) if len(data) >= _SEQ.size else 0


def lost(folder: Path, last_seq: int, acknowledged: int, without_log: str) -> str:
    """Return the sentence for a journal that ends before its mark.

    ``without_log`` is the result of ``log_missing`` before the journal was opened.
    """
    what = without_log or "its end is missing"
    return (
        f"the journal in {folder} ends with seq {last_seq}, and transactions up to seq "
        f"{acknowledged} were acknowledged: {what}; put it back or restore a backup, or remove the "
        f"file {NAME} beside the segments to accept the loss"
    )


def log_missing(newest: Path | None) -> str:
    """Return which file of the newest segment, ``newest``, is missing; "" if none is.

    Call it before SQLite opens the segment, as that creates a log if there is none.
    """
    if newest is None:
        return "its segments are not there"
    log = wal.wal_path(newest)
    if not log.exists():
        return f"{log.name} is not there"
    return f"{log.name} is empty" if log.stat().st_size <= wal.HEADER_BYTES else ""
