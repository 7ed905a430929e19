"""The messages of a session, for people: what it sent (``runtime.message_log``) and what it got.

What it got stands in QuickFIX's store, which is read when somebody asks, newest first, and bounded
in size and in how often: it is read on the processor that takes orders.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection
from typing import Final

from fix_gateway.control import ControlRefused
from fix_gateway.runtime.message_log import MessageLog, shown
from fix_gateway.session.session import Sessions

LIMIT_MAX: Final = 1_000
READ_BYTES_MAX: Final = 1 << 20
READS_PER_S: Final = 4.0
READS_AT_ONCE: Final = 12.0
BEGINNING: Final = "-"


class SessionMessages:
    """Used by the control socket's thread. ``passed`` are the market data sessions."""

    def __init__(self, sessions: Sessions, passed: Collection[str]) -> None:
        self._sessions = sessions
        self._passed = passed
        self._credit, self._credited_at = READS_AT_ONCE, time.monotonic()
        self.received: MessageLog | None = None

    def of(self, comp_id: str, cursor: str, limit: int) -> str:
        """Return the newest messages behind a cursor, at most ``limit`` each way, as JSON.

        ``in`` has [number, time, text] for each message of the client and ``out`` [MsgSeqNum, text]
        for each of ours; ``cursor`` is that of the next call, and ``again`` says that the numbers
        have begun again since the last one. Raises ControlRefused.
        """
        session = self._sessions.by_comp_id.get(comp_id)
        if session is None:
            if comp_id in self._passed:
                raise ControlRefused(f"of market data sessions such as {comp_id} nothing is kept")
            known = ", ".join(sorted(self._sessions.by_comp_id))
            raise ControlRefused(f"there is no session {comp_id}; there are {known}")
        received, epoch, sent = _read(cursor)
        self._count()
        again = bool(epoch) and epoch != session.epoch
        limit = min(limit, LIMIT_MAX)
        came = self.received.newest(comp_id, received, limit) if self.received else []
        try:
            went = session.store.newest(0 if again else sent, limit, READ_BYTES_MAX)
        except OSError as error:
            raise ControlRefused(f"the store of {comp_id} cannot be read: {error}") from None
        received = came[-1].number if came else received
        sent = went[-1][0] if went else 0 if again else sent
        out = [
            (number, shown(text.decode("latin-1").replace("\x01", "|"))) for number, text in went
        ]
        return json.dumps(
            {"in": came, "out": out, "again": again, "cursor": f"{received}.{session.epoch}.{sent}"}
        )

    def _count(self) -> None:
        now = time.monotonic()
        self._credit += (now - self._credited_at) * READS_PER_S
        self._credit, self._credited_at = min(self._credit, READS_AT_ONCE), now
        if self._credit < 1:
            raise ControlRefused("messages are read too often at the moment; ask again in a second")
        self._credit -= 1


def _read(cursor: str) -> tuple[int, int, int]:
    if cursor == BEGINNING:
        return 0, 0, 0
    parts = cursor.split(".")
    if len(parts) != 3 or not all(part.isdecimal() and len(part) < 19 for part in parts):
        raise ControlRefused(f"{cursor[:40]!r} is no cursor of an earlier answer")
    received, epoch, sent = map(int, parts)
    return received, epoch, sent
