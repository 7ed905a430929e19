"""The results of the current batch: told once it is durable, from what was just committed."""

from __future__ import annotations

from collections.abc import Sequence

from engine import wire
from engine.journal.base import Journal, Record
from engine.server.ipc import Connection, Server
from engine.server.queries import QueryError, transaction_body


class Results:
    """Collects who waits for which transaction; used by the engine's thread alone."""

    def __init__(self, server: Server, journal: Journal) -> None:
        self._server = server
        self._journal = journal
        self._waiting: list[tuple[Connection, int, int, bool]] = []

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, connection: Connection, number: int, seq: int, duplicate: bool) -> None:
        """Note that request ``number`` waits for transaction ``seq``."""
        self._waiting.append((connection, number, seq, duplicate))

    def send(self, records: Sequence[Record]) -> None:
        """Tell everybody who waits; ``records`` are those that were committed just now."""
        first = records[0].seq if records else self._journal.last_seq + 1
        waiting, self._waiting = self._waiting, []
        for connection, number, seq, duplicate in waiting:
            if not connection.open:
                continue
            if seq >= first:
                body = records[seq - first].body
            else:
                found = self._original(connection, number, seq)
                if found is None:
                    continue
                body = found
            try:
                frame = wire.result_frame(number, duplicate, body)
            except wire.WireError as error:
                text = f"the command was done as seq {seq}, but cannot be told whole: {error}"
                frame = wire.encode_frame(wire.Failed(number, "too_large", text))
            self._server.reply(connection, frame)

    def _original(self, connection: Connection, number: int, seq: int) -> bytes | None:
        """Return the stored transaction of a duplicate; fail the request if it is not kept."""
        try:
            if seq == 0:
                raise QueryError("duplicate", "this command was done before")
            return transaction_body(self._journal, seq)
        except QueryError as error:
            code = "duplicate" if error.code == "gap_too_old" else error.code
            self._server.send(connection, wire.Failed(number, code, str(error)))
            return None
