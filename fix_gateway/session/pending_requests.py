"""Requests that came and are not answered yet, kept in a file beside the session's store.

QuickFIX counts a request as received when it has come, so nobody would send one again that was
still waiting when the gateway or its connection ended. What is in the file is answered when the
session is back. It is written to the kernel and not flushed: it survives the end of the process,
and after a power cut the client asks again by itself.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

FILE_BYTES_MAX: Final = 1 << 20
"""Above this the file is rewritten, with what still waits and nothing else."""


class PendingRequests:
    """The requests of one session, by MsgSeqNum, within one epoch. Not thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle = -1
        self._size = 0
        self._epoch = 0
        self._answered = (0, 0, 0)
        """Epoch and number of the request that was being answered when it was carried, and its
        number since."""
        self._waiting: dict[int, str] = {}
        self.queued: set[int] = set()
        """Those of which the answering thread knows."""

    def __len__(self) -> int:
        return len(self._waiting)

    def restore(self, epoch: int, before: int) -> None:
        """Read what the last process left; the client sends ``before`` and later ones again."""
        waiting: dict[int, str] = {}
        try:
            lines = self._path.read_bytes().split(b"\n")
        except FileNotFoundError:
            lines = []
        for line in lines[:-1]:  # What has no end was cut short.
            num, text = _read(line, epoch)
            if text and num < before:
                waiting[num] = text
            else:
                waiting.pop(num, None)
        self._epoch, self._waiting = epoch, waiting
        if lines:
            self._rewrite()

    def add(self, epoch: int, num: int, text: str) -> bool:
        """Keep a request; return False when it waits already. Raises OSError."""
        self._enter(epoch)
        if num in self._waiting:
            return False
        self._write({"epoch": epoch, "num": num, "text": text})
        self._waiting[num] = text
        return True

    def done(self, epoch: int, num: int) -> None:
        """Keep an answered request no longer. Raises OSError."""
        num = self._key(epoch, num)
        self.queued.discard(num)
        if self._waiting.pop(num, None) is None:
            return
        if not self._waiting and self._size:
            os.ftruncate(self._handle, 0)
            self._size = 0
        elif self._waiting:
            self._write({"epoch": self._epoch, "num": num})

    def leave(self, epoch: int, num: int) -> None:
        """Take in that nobody will answer a request unless told to."""
        self.queued.discard(self._key(epoch, num))

    def carry(self, epoch: int, being_answered: int) -> None:
        """Take what waits along into a new epoch, in which the client is still there.

        Its numbers are negative then: those of the new epoch are the client's again. The one that
        is being answered, 0 if none is, needs nobody else to answer it. Raises OSError.
        """
        lowest = min(self._waiting, default=0)
        carried = {num: text for num, text in self._waiting.items() if num < 0}
        for num in sorted(self._waiting.keys() - carried.keys()):
            lowest = min(lowest, 0) - 1
            carried[lowest] = self._waiting[num]
            if num == being_answered:
                self._answered, being_answered = (self._epoch, num, lowest), lowest
        self.queued = {being_answered} & carried.keys()
        self._epoch, self._waiting = epoch, carried
        if carried or self._size:
            self._rewrite()

    def _key(self, epoch: int, num: int) -> int:
        """Return the number under which a request waits by now, 0 where it does not."""
        if num < 0 or epoch == self._epoch:
            return num
        return self._answered[2] if self._answered[:2] == (epoch, num) else 0

    def unqueued(self, epoch: int) -> list[tuple[int, str]]:
        """Return those of this epoch that wait and that nobody will answer unless told to."""
        self._enter(epoch)
        waiting = sorted(self._waiting.items(), key=lambda each: (each[0] > 0, abs(each[0])))
        return [each for each in waiting if each[0] not in self.queued]

    def _enter(self, epoch: int) -> None:
        """Drop what is of another epoch: the numbers have begun again, and the client with them."""
        if epoch != self._epoch:
            self._epoch = epoch
            self._waiting.clear()
            self.queued.clear()

    def _write(self, values: dict[str, Any]) -> None:
        if self._handle < 0 or self._size > FILE_BYTES_MAX:
            self._rewrite()
        self._size += os.write(self._handle, json.dumps(values).encode("ascii") + b"\n")

    def _rewrite(self) -> None:
        """Put a file with what waits in the place of the old one, and keep it open."""
        temporary = self._path.with_name(self._path.name + ".new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
        handle = os.open(temporary, flags, 0o600)
        rows = [{"epoch": self._epoch, "num": n, "text": t} for n, t in self._waiting.items()]
        self._size = os.write(handle, b"".join([json.dumps(r).encode() + b"\n" for r in rows]))
        temporary.replace(self._path)
        if self._handle >= 0:
            os.close(self._handle)
        self._handle = handle


def _read(line: bytes, epoch: int) -> tuple[int, str]:
    """Read number and text of a line; no text where it was answered or is of another epoch."""
    try:
        values = json.loads(line)
        num, text = int(values["num"]), str(values.get("text", ""))
        return num, text if values["epoch"] == epoch else ""
    except (ValueError, KeyError, TypeError):
        return 0, ""
