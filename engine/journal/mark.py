"""The mark of a journal: how far it was acknowledged, in the file that also locks it.

sqlite keeps the newest commits of a segment in a file beside it, ``<segment>-wal``. Without it the
segment opens as if those commits had never been, and nothing in the segment says otherwise. So
each commit, once it is durable, is noted here: a start that finds less than the mark says has lost
the journal's end, and must not go on from before it.

The mark is a store into shared memory, which costs nothing and survives the process. It is not
flushed: after a loss of power it may be behind, never ahead, of what is durable.
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
    """The mark in a file that is open for writing. Raises OSError where there is no room."""

    def __init__(self, descriptor: int) -> None:
        size = os.fstat(descriptor).st_size
        if size < _BYTES:
            # Real bytes: a hole would need room at a moment at which nobody could be told.
            os.pwrite(descriptor, bytes(_BYTES - size), size)
        self._memory = mmap.mmap(descriptor, _BYTES)

    @property
    def seq(self) -> int:
        """The newest transaction that was acknowledged; 0 where nothing is known."""
        return int(_SEQ.unpack_from(self._memory)[0])

    def set(self, seq: int) -> None:
        """Note that ``seq`` is durable."""
        _SEQ.pack_into(self._memory, 0, seq)

    def close(self) -> None:
        """Let go of the file: the memory holds it open, and so its lock."""
        self._memory.close()


def read(folder: Path) -> int:
    """Return the mark of a journal that others may be using; 0 where there is none."""
    try:
        data = (folder / NAME).read_bytes()
    except FileNotFoundError:
        return 0
    return int(_SEQ.unpack_from(data)[0]) if len(data) >= _SEQ.size else 0


def lost(folder: Path, last_seq: int, acknowledged: int, without_log: str) -> str:
    """Return the sentence for a journal that ends before its mark.

    ``without_log`` is what ``log_missing`` said before anybody opened the journal.
    """
    what = without_log or "its end is missing"
    return (
        f"the journal in {folder} ends with seq {last_seq}, and transactions up to seq "
        f"{acknowledged} were acknowledged: {what}; put it back or restore a backup, or remove the "
        f"file {NAME} beside the segments to accept the loss"
    )


def log_missing(newest: Path | None) -> str:
    """Return what is not there of the newest segment, ``newest``; "" where all of it is.

    To be asked before sqlite opens the segment, as that makes a log where there is none.
    """
    if newest is None:
        return "its segments are not there"
    log = wal.wal_path(newest)
    if not log.exists():
        return f"{log.name} is not there"
    return f"{log.name} is empty" if log.stat().st_size <= wal.HEADER_BYTES else ""
