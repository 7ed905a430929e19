"""What the two indexes of a journal hold, worked out from the events as they happen.

The sparse account index has a mark for an account whenever it has moved 64 or more since
its last mark, or when that mark lies 512 or more transactions back. So the transaction with
a given account_seq is found by reading at most 512 records from the mark below it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

from engine.core.events import ClientIdsRetired, Event
from engine.core.types import RetiredId
from engine.journal.base import AccountMark

MARK_MOVES: Final = 64
MARK_SEQS: Final = 512
COMMIT_ROWS: Final = 8
COMMIT_SHARE: Final = 8
"""A commit writes so many retired ids, and this part of those that wait besides."""


class IndexFeed:
    """Collects index rows of the batch at hand; ``marks`` and ``retired`` are then stored."""

    def __init__(self, last_marks: Iterable[AccountMark], retired: set[str]) -> None:
        self._last: dict[str, tuple[int, int]] = {
            mark.account: (mark.account_seq, mark.seq) for mark in last_marks
        }
        self.accounts_with_retired = retired
        self.marks: list[AccountMark] = []
        self.retired: list[tuple[int, RetiredId]] = []
        self._pending: dict[tuple[str, str], RetiredId] = {}

    def take(self, seq: int, events: Sequence[Event]) -> None:
        """Note the events of one transaction."""
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
        """An id that was retired in the batch at hand, which no store knows yet."""
        return self._pending.get((account, client_order_id))

    def stored(self) -> None:
        """The rows of this batch are durable."""
        self.marks = []
        self.retired = []
        self._pending.clear()

    def _retire(self, seq: int, event: ClientIdsRetired) -> None:
        for row in event.ids:
            self.retired.append((seq, row))
            self._pending[(row.account, row.client_order_id)] = row
            self.accounts_with_retired.add(row.account)


class RetiredQueue:
    """Retired ids on their way into the index, a few with each commit.

    Ids retire by the hundred at once, and in a large index nearly every one is written to
    another page: all of them in one commit would keep it, and the orders in it, waiting for
    10 to 30 ms. Until an id is written it is found here.
    """

    def __init__(self) -> None:
        self._rows: deque[tuple[int, RetiredId]] = deque()
        self._known: dict[tuple[str, str], RetiredId] = {}

    def add(self, rows: Iterable[tuple[int, RetiredId]]) -> None:
        """Let rows wait, each with the seq of its record."""
        for seq, row in rows:
            self._rows.append((seq, row))
            self._known[(row.account, row.client_order_id)] = row

    def take(self) -> list[tuple[int, RetiredId]]:
        """The oldest rows, for the commit at hand."""
        waiting = len(self._rows)
        count = min(waiting, COMMIT_ROWS + waiting // COMMIT_SHARE)
        return [self._pop() for _ in range(count)]

    def take_all(self) -> list[tuple[int, RetiredId]]:
        """Every row, oldest first."""
        return [self._pop() for _ in range(len(self._rows))]

    def find(self, account: str, client_order_id: str) -> RetiredId | None:
        """The row of an id that waits."""
        return self._known.get((account, client_order_id))

    def complete_to(self, last_seq: int) -> int:
        """The last seq none of whose rows waits, ``last_seq`` if there is no row at all."""
        return self._rows[0][0] - 1 if self._rows else last_seq

    def _pop(self) -> tuple[int, RetiredId]:
        seq, row = self._rows.popleft()
        if self._known.get((row.account, row.client_order_id)) is row:
            del self._known[(row.account, row.client_order_id)]
        return seq, row
