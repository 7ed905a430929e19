"""The journal protocol: what the sequencer requires of any store.

The laws: records are appended in batches, and a batch is durable as a whole when ``append``
returns, or it raises ``JournalFailed`` and the caller must stop (whether the batch was stored
is then known only after a restart). Sequence numbers are contiguous. Each record carries the
chained crc: the CRC-32 of its body, seeded with the crc of the record before it. The two
indexes are written in the same transaction as the records.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from engine.core.types import RetiredId


class JournalError(Exception):
    """The journal cannot be used; the message says what is wrong and where."""


class JournalFailed(JournalError):
    """The disk failed or is full: nothing of the batch may be published, and the engine stops.

    It does not mean that stored data is damaged; a later start may succeed.
    """


class JournalForbidden(JournalError):
    """This user has no permission for the journal's files."""


class JournalLocked(JournalError):
    """Another engine writes this journal."""


class JournalCorrupt(JournalError):
    """Stored bytes are not what was written; the message names segment and seq."""


class Record(NamedTuple):
    """One transaction as stored: ``body`` is the result of ``wire.encode_transaction``."""

    seq: int
    body: bytes


class AccountMark(NamedTuple):
    """The first event of ``account`` in transaction ``seq`` has ``account_seq``."""

    account: str
    account_seq: int
    seq: int


class Journal(Protocol):
    """A durable, append-only sequence of transactions with two small indexes."""

    @property
    def first_seq(self) -> int:
        """The oldest record kept; ``last_seq`` + 1 if there is none."""

    @property
    def last_seq(self) -> int:
        """The newest durable record, 0 before the first."""

    def append(
        self,
        records: Sequence[Record],
        marks: Sequence[AccountMark],
        retired: Sequence[tuple[int, RetiredId]],
    ) -> None:
        """Make a batch durable with one commit. Raises JournalFailed."""

    def read(self, from_seq: int, count: int, bytes_max: int = 1 << 22) -> list[Record]:
        """Return records from ``from_seq`` on: at most ``count``, and about ``bytes_max`` bytes.

        Always at least one when ``from_seq`` is there. Raises JournalError when it is older
        than ``first_seq``, JournalCorrupt when the crc does not agree.
        """

    def crc_at(self, seq: int) -> int:
        """Return the chained crc of a record; that of the one before ``first_seq`` as well."""

    def mark_before(self, account: str, account_seq: int) -> AccountMark | None:
        """Return the newest mark of the account at or below ``account_seq``."""

    def last_marks(self) -> list[AccountMark]:
        """Return the newest mark of every account."""

    def find_retired(self, account: str, client_order_id: str) -> RetiredId | None:
        """Return what is known about a client order id retired from the engine's memory."""

    def accounts_with_retired(self) -> set[str]:
        """Return accounts for which ``find_retired`` can find anything."""

    def flush(self) -> int:
        """Bring everything onto the disk, where ``append`` did not; return the last such seq."""

    def forget_before(self, seq: int) -> None:
        """Stop serving whole segments that end before ``seq``; delete nothing."""

    def close(self) -> None:
        """Release everything; called once."""
