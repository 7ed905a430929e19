"""Brings a member's journal onto its disk, on a thread of its own: a slow disk delays no election.

The law: after a flush that failed nobody knows what the disk has, and a later one would not say.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from engine.journal.base import Journal

FLUSH_S: Final = 0.5


class Flusher:
    """Flushes ``journal`` again and again; ``wake`` is called when that has failed."""

    def __init__(self, journal: Journal, wake: Callable[[], None]) -> None:
        self.flushed = 0
        """The last transaction that is known to be on the disk."""
        self.failed: OSError | None = None
        """What a flush failed with; there is no other after it."""
        self._journal = journal
        self._wake = wake
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="flusher", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End; called once."""
        self._closed.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closed.wait(FLUSH_S):
            try:
                self.flushed = self._journal.flush()
            except OSError as error:
                self.failed = error
                self._wake()
                return
