"""A member's journal: its own segments, behind the log of the cluster.

The law: as leader, what is appended here was committed by etcd first; as follower, by the leader.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from engine.core.types import RetiredId
from engine.journal import segment
from engine.journal.base import AccountMark, Record
from engine.journal.local import LocalJournal

Commit: TypeAlias = Callable[[Sequence[Record], int], None]
"""Makes records durable, given the crc of the record before them. Raises JournalFailed."""


class MemberJournal(LocalJournal):
    """The ``Journal`` of a member. ``commit`` is None while it follows."""

    commit: Commit | None = None

    @property
    def last_crc(self) -> int:
        """The chained crc of the newest record."""
        return self._crc

    def flush(self) -> int:
        """See the protocol; it may be called from another thread. Raises OSError."""
        last_seq, path = self._last_seq, self._path
        segment.flush(path)
        return last_seq

    def append(
        self,
        records: Sequence[Record],
        marks: Sequence[AccountMark],
        retired: Sequence[tuple[int, RetiredId]],
    ) -> None:
        """See the protocol."""
        if self.commit is not None:
            self.commit(records, self.last_crc)
        super().append(records, marks, retired)
