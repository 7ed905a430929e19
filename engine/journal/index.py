"""The rows of a journal's two indexes, computed from the events as they happen.

The sparse account index has a mark for an account whenever its sequence has advanced by 64 or
more since its last mark, or that mark lies 512 or more transactions back. So the transaction
with a given account_seq is found by reading at most 512 records from the mark below it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from engine.core.events import ClientIdsRetired, Event
from engine.core.types import RetiredId
from engine.journal.base import AccountMark

MARK_MOVES: Final = 64
MARK_SEQS: Final = 512
COMMIT_ROWS: Final = 8
COMMIT_SHARE: Final = 8
"""A commit writes this many retired ids, plus this fraction of those that wait."""
COMMIT_ROWS_LEAST: Final = 64
COMMIT_ROWS_RECORD: Final = 2
COMMIT_ROWS_MOST: Final = 512
"""But no more than the least and this many for each of its records, and never more than the most:
a Tick can retire a thousand ids, and writing a thousand takes longer than the rest of its work."""
BACKLOG_SHARE: Final = 256
"""At least this fraction of those that wait in any case, so that their number stays bounded."""


class IndexFeed:
    """Collects index rows of the current batch; ``marks`` and ``retired`` are then stored."""

    def __init__(self, last_marks: Iterable[AccountMark], retired: set[str]) -> None:
        self._last: dict[str, tuple[int, int]] = {
            mark.account: (mark.account_seq, mark.seq) for mark in last_marks
        }
        self.accounts_with_retired = retired
        self.marks: list[AccountMark] = []
        self.retired: list[tuple[int, RetiredId]] = []
        self._pending: dict[tuple[str, str], RetiredId] = {}

    def take(self, seq: int, events: Sequence[Event]) -> None:
        """Collect the rows for the events of one transaction."""
        last = self._last
        for event in events:
            number = event.account_seq
            if number:
                account = event.account
                mark = last.get(account)
                if (
                    mark is None
                    or number - mark[0] >= MARK_MOVES
                    or (seq - mark[1] >= MARK_SEQS)
                ):
                    last[account] = (number, seq)
                    self.marks.append(AccountMark(account, number, seq))
            if type(event) is ClientIdsRetired:
                self._retire(seq, event)

    def pending(self, account: str, client_order_id: str) -> RetiredId | None:
        """Return an id that was retired in the current batch and is not stored yet."""
        return self._pending.get((account, client_order_id))

    def stored(self) -> None:
        """Note that the rows of this batch are durable."""
        self.marks = []
        self.retired = []
        self._pending.clear()

    def _retire(self, seq: int, event: ClientIdsRetired) -> None:
        for row in event.ids:
            self.retired.append((seq, row))
            self._pending[(row.account, row.client_order_id)] = row
            self.accounts_with_retired.add(row.account)


class Waiting(NamedTuple):
    """A retired id on its way into the index; ``number`` counts them."""

    number: int
    seq: int
    row: RetiredId


class RetiredQueue:
    """Retired ids that are not yet in the index; each commit writes a few of them.

    Ids retire by the hundred at once, and in a large index nearly every one is written to a
    different page: all of them in one commit would delay it, and the orders in it, by 10 to
    30 ms. Until an id is moved to the index it is found here.
    """

    def __init__(self, waiting: Iterable[Waiting] = ()) -> None:
        self._rows: deque[Waiting] = deque()
        self._known: dict[tuple[str, str], RetiredId] = {}
        self._number = 0
        for entry in waiting:
            self._keep(entry)

    @property
    def accounts(self) -> set[str]:
        """The accounts whose ids wait."""
        return {account for account, _ in self._known}

    def add(self, rows: Iterable[tuple[int, RetiredId]]) -> list[Waiting]:
        """Add rows, each with the seq of its record."""
        added = []
        for seq, row in rows:
            added.append(Waiting(self._number + 1, seq, row))
            self._keep(added[-1])
        return added

    def take(self, records: int) -> list[Waiting]:
        """Return the oldest rows, for the current commit, which has ``records`` records."""
        waiting = len(self._rows)
        most = min(COMMIT_ROWS_MOST, COMMIT_ROWS_LEAST + COMMIT_ROWS_RECORD * records)
        most = max(most, waiting // BACKLOG_SHARE)
        count = min(waiting, COMMIT_ROWS + waiting // COMMIT_SHARE, most)
        return [self._pop() for _ in range(count)]

    def find(self, account: str, client_order_id: str) -> RetiredId | None:
        """Return the row of an id that waits."""
        return self._known.get((account, client_order_id))

    def _keep(self, entry: Waiting) -> None:
        self._rows.append(entry)
        self._known[(entry.row.account, entry.row.client_order_id)] = entry.row
        self._number = entry.number

    def _pop(self) -> Waiting:
        entry = self._rows.popleft()
        key = (entry.row.account, entry.row.client_order_id)
        if self._known.get(key) is entry.row:
            del self._known[key]
        return entry
