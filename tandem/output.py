"""The output of child processes: written to log files, and scanned by the supervisor."""

from __future__ import annotations

import json
import os
from collections import deque
from pathlib import Path
from typing import Any, BinaryIO, Final

LOG_BYTES_MAX: Final = 32 << 20
_TAIL_LINES: Final = 12
LINE_BYTES_MAX: Final = 1 << 16


class CommandError(RuntimeError):
    """A command failed; the message is for the user."""


def open_private(path: Path) -> BinaryIO:
    """Open a file for appending that only its owner can read, whatever it was before."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if os.fstat(descriptor).st_uid == os.geteuid():
        os.fchmod(descriptor, 0o600)
    return open(descriptor, "ab", buffering=0)


class LogFile:
    """Appends lines to ``path``; at ``bytes_max`` the file becomes ``<path>.1``."""

    def __init__(self, path: Path, bytes_max: int = LOG_BYTES_MAX) -> None:
        self._path = path
        self._bytes_max = bytes_max
        self._file: BinaryIO = open_private(path)
        self._size = self._file.tell()
        self.lines_lost = 0

    def write(self, line: bytes) -> None:
        """Append one line, with its newline; on a full disk the line is lost, and counted.

        The child must continue: it would block if its output were not read.
        """
        try:
            self._append(line)
        except OSError:
            self.lines_lost += 1

    def _append(self, line: bytes) -> None:
        if self._size + len(line) > self._bytes_max:
            self._file.close()
            self._path.replace(self._path.with_name(f"{self._path.name}.1"))
            self._file = open_private(self._path)
            self._size = 0
        self._file.write(line)
        self._size += len(line)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Output:
    """Copies one child's output to its log; keeps the last lines for a failure report."""

    def __init__(self, log: LogFile) -> None:
        self._log = log
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)

    @property
    def tail(self) -> list[str]:
        """The last lines, oldest first."""
        return list(self._tail)

    def take(self, line: bytes) -> dict[str, Any]:
        """Log one line and return it as structlog's fields; empty if it is something else."""
        if not line.endswith(b"\n"):
            line += b"\n"
        self._log.write(line)
        text = line.decode("utf-8", "replace").rstrip()
        if text:
            self._tail.append(text)
        if not text.startswith("{"):
            return {}
        try:
            fields = json.loads(text)
        except ValueError:
            return {}
        return fields if isinstance(fields, dict) else {}
