"""What is done about memory when nothing else is to be done."""

from __future__ import annotations

from engine.collector import Collector
from engine.hugepages import HugePages


class Memory:
    """The collector of cycles and the huge pages of this process, one small step at a time."""

    def __init__(self, seq: int) -> None:
        self._collector = Collector(seq)
        self._pages = HugePages()
        self._pages.begin()

    @property
    def pending(self) -> bool:
        """Whether a turn without work is wanted soon."""
        return self._pages.pending

    def turn(self, seq: int, idle: bool) -> None:
        """Called after every turn with the last sequence, and whether nothing was to be done."""
        self._collector.turn(seq, idle)
        if idle:
            self._pages.step()

    def broken_up(self) -> None:
        """A snapshot has ended; what was written to meanwhile is in small pages again."""
        self._pages.begin()
