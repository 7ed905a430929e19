"""Publish committed transactions to live subscribers and to those that are catching up.

A subscriber that is behind is served from the journal in bounded pieces, a few subscribers per
turn, only while its queue is short; when it has reached the end it goes live. Everything
happens between two batches of the one thread, so there is neither gap nor duplicate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import structlog

from engine import wire
from engine.journal.base import Journal, JournalError, Record
from engine.server.ipc import Connection, Server
from engine.wire import Transaction

REPLAY_RECORDS: Final = 512
REPLAY_BYTES: Final = 1 << 19
REPLAY_QUEUE_BYTES: Final = 1 << 20
"""A subscriber that is catching up gets its next piece when fewer bytes than this wait for it."""
REPLAYS_PER_TURN: Final = 4
PUBLISHED_BYTES: Final = 2
"""What Published adds to a transaction."""

log = structlog.get_logger("engine.server.publisher")


class Publisher:
    """Subscriptions over a server and a journal. One subscription per connection."""

    def __init__(self, server: Server, journal: Journal) -> None:
        self._server = server
        self._journal = journal
        self._live: dict[int, Connection] = {}
        self._filters: dict[int, frozenset[str]] = {}
        self._behind: dict[int, tuple[Connection, int]] = {}

    def subscribe(
        self, connection: Connection, number: int, from_seq: int, accounts: Sequence[str]
    ) -> None:
        """Begin a subscription, or refuse it; ``number`` is the id of the request."""
        first, last = self._journal.first_seq, self._journal.last_seq
        from_seq = max(1, from_seq)
        if connection.number in self._live or connection.number in self._behind:
            code, text = "subscribed", "this connection has a subscription already"
        elif from_seq < first:
            code = "gap_too_old"
            text = f"seq {from_seq} was archived, the oldest kept is {first}"
        elif from_seq > last + 1:
            code = "seq_ahead"
            text = f"seq {from_seq} is ahead of this engine, whose last is {last}"
        else:
            if accounts:
                self._filters[connection.number] = frozenset(accounts)
            self._behind[connection.number] = (connection, from_seq)
            self._go_live_if_there(connection, from_seq)
            self._server.send(connection, wire.Answer(number, last, wire.EMPTY))
            return
        self._server.send(connection, wire.Failed(number, code, text))

    @property
    def catching_up(self) -> int:
        """The number of subscribers that are served from the journal."""
        return len(self._behind)

    def forget(self, connection: Connection) -> None:
        """The connection has ended."""
        self._live.pop(connection.number, None)
        self._behind.pop(connection.number, None)
        self._filters.pop(connection.number, None)

    def publish(self, records: Sequence[Record], transactions: Sequence[Transaction]) -> None:
        """Queue a committed batch for every live subscriber; drop one whose queue is too long."""
        if not self._live:
            return
        last_seq = records[-1].seq
        everything = b""
        limit = self._server.limits.queue_bytes_max
        for connection in list(self._live.values()):
            accounts = self._filters.get(connection.number)
            if accounts is None:
                everything = everything or b"".join(
                    [wire.published_frame(record.body) for record in records]
                )
                data = everything
            else:
                data = filtered(accounts, records, lambda index: transactions[index])
            if not data or connection.closing:
                continue
            if connection.bytes and connection.bytes + len(data) > limit:
                self.forget(connection)
                self._server.drop(
                    connection,
                    f"slow subscriber: more than {limit} bytes wait; subscribe again from the "
                    "transaction after the last one received",
                )
            else:
                self._server.queue(connection, data, last_seq)

    @property
    def can_replay(self) -> bool:
        """Return whether a subscriber that is behind has room for its next piece."""
        return any(
            connection.bytes < REPLAY_QUEUE_BYTES for connection, _ in self._behind.values()
        )

    def replay(self) -> None:
        """Serve a few of those that are behind, each one piece, in turn."""
        ready = [
            number
            for number, (connection, _) in self._behind.items()
            if connection.bytes < REPLAY_QUEUE_BYTES
        ]
        for number in ready[:REPLAYS_PER_TURN]:
            connection, cursor = self._behind.pop(number)
            if connection.open and not connection.closing:
                self._behind[number] = (connection, cursor)  # To the end: others come first.
                self._feed(connection, cursor)

    def _feed(self, connection: Connection, cursor: int) -> None:
        try:
            records = self._journal.read(cursor, REPLAY_RECORDS, REPLAY_BYTES)
        except JournalError as error:
            self.forget(connection)
            code = "gap_too_old" if cursor < self._journal.first_seq else "journal_corrupt"
            self._server.fail(connection, 0, code, str(error))
            return
        if records:
            records = [_tellable(record) for record in records]
            accounts = self._filters.get(connection.number)
            if accounts is None:
                data = b"".join([wire.published_frame(record.body) for record in records])
            else:
                data = filtered(
                    accounts, records, lambda index: wire.decode_transaction(records[index].body)
                )
            cursor = records[-1].seq + 1
            if data:
                self._server.queue(connection, data, records[-1].seq)
            self._behind[connection.number] = (connection, cursor)
        self._go_live_if_there(connection, cursor)

    def _go_live_if_there(self, connection: Connection, cursor: int) -> None:
        if cursor == self._journal.last_seq + 1:
            del self._behind[connection.number]
            self._live[connection.number] = connection


def _tellable(record: Record) -> Record:
    """Return a stored transaction, without its events where these are more than a frame can hold.

    Only a journal from before rule M-10 can hold such a transaction. A subscriber that gets it
    without events misses them permanently, but continues; one that got nothing would request it
    forever.
    """
    if len(record.body) + PUBLISHED_BYTES <= wire.ENGINE_FRAME_BYTES_MAX:
        return record
    told = wire.decode_transaction(record.body)
    log.error(
        "transaction_too_large_to_publish", seq=record.seq, bytes=len(record.body),
        events_left_out=len(told.events),
    )  # fmt: skip
    body = wire.encode_transaction(told.seq, told.time_us, told.command, [])
    return Record(record.seq, body)


def filtered(
    accounts: frozenset[str],
    records: Sequence[Record],
    transaction: Callable[[int], Transaction],
) -> bytes:
    """Return the frames of those records that concern one of the accounts."""
    return b"".join(
        [
            wire.published_frame(record.body)
            for index, record in enumerate(records)
            if not accounts.isdisjoint(wire.transaction_accounts(transaction(index)))
        ]
    )
