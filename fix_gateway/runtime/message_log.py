"""What clients have sent, by session, for people who look for a fault. In memory, and bounded.

It costs order entry nothing: the text is what QuickFIX logs anyway (``quickfix_log``). While much
comes in, a block of it is only put aside; it is taken apart when the gateway has little to do, or
when somebody asks. What is put aside beyond ``BACKLOG_BYTES_MAX`` is lost, the oldest first, and
everything ends with the process. What was sent to clients is in their stores already.

Nothing leaves here with a secret in it.
"""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Collection
from typing import Final, NamedTuple

BACKLOG_BYTES_MAX: Final = 8 << 20
MESSAGES_MAX: Final = 2_000
SESSION_BYTES_MAX: Final = 1 << 20
ALL_BYTES_MAX: Final = 64 << 20
"""Of each session, and of all together."""
SETTLED_BYTES: Final = 16 << 10
"""What is taken apart in one quiet moment: about 0.1 ms."""
REST_BYTES_MAX: Final = 1 << 17
STAMP_BYTES_MAX: Final = 32
INCOMING: Final = b", incoming>\n  ("
HIDDEN: Final = "***"
NEVER_SHOWN: Final = frozenset(("89", "91", "96", "554", "925"))
"""Signature, SecureData, RawData, Password, NewPassword."""
_STAMP: Final = "29999"
_FIELD: Final = re.compile(r"\|(?=[0-9]+=|\Z)")
_LOGON_SHOWN: Final = frozenset((
    "8", "9", "10", "34", "35", "43", "49", "50", "52", "56", "57", "95", "98", "108", "122", "141",
    "372", "383", "384", "385", "464", "553", "789", "20003", "20004", "20006",
))  # fmt: skip
"""All that is shown of a Logon: what stands in a password looks like a field where it has a bar."""


class Received(NamedTuple):
    """A message of a client. ``number`` grows, also over restarts; ``stamp`` is UTC as in FIX."""

    number: int
    stamp: str
    text: str


class _Session:
    """The messages of one session, and the size of their texts in bytes."""

    __slots__ = ("rows", "size")

    def __init__(self) -> None:
        self.rows: deque[tuple[int, bytes, bytes]] = deque()
        self.size = 0


class MessageLog:
    """Fed by the thread that reads QuickFIX's log, read by others.

    ``mark`` stands between the time of a line of the log and its CompID, and nowhere else.
    """

    def __init__(self, mark: bytes, sessions: Collection[str]) -> None:
        self._mark = mark
        self._bytes_max = min(SESSION_BYTES_MAX, ALL_BYTES_MAX // max(1, len(sessions)))
        self._lock = threading.Lock()
        self._backlog: deque[bytes] = deque()
        self._backlog_bytes = 0
        self._rest = b""
        self._number = time.time_ns() // 1000
        self._kept = {comp_id.encode("ascii", "replace"): _Session() for comp_id in sessions}

    def take(self, block: bytes) -> None:
        """Put a block of the log aside."""
        with self._lock:
            self._backlog.append(block)
            self._backlog_bytes += len(block)
            while self._backlog_bytes > BACKLOG_BYTES_MAX:
                self._backlog_bytes -= len(self._backlog.popleft())
                self._rest = b""

    def settle(self, bytes_max: int = SETTLED_BYTES) -> None:
        """Take about so many bytes apart of what was put aside."""
        with self._lock:
            while bytes_max > 0 and self._backlog:
                block = self._backlog.popleft()
                self._backlog_bytes -= len(block)
                bytes_max -= len(block)
                self._split(self._rest + block)

    def newest(self, comp_id: str, after: int, limit: int) -> list[Received]:
        """Return the newest messages of a session that came after one, the oldest first."""
        self.settle(BACKLOG_BYTES_MAX)
        with self._lock:
            session = self._kept.get(comp_id.encode("ascii", "replace"))
            rows: list[tuple[int, bytes, bytes]] = []
            for row in reversed(session.rows if session else ()):
                if row[0] <= after or len(rows) >= limit:
                    break
                rows.append(row)
        rows.reverse()
        return [
            Received(
                number, stamp.decode("ascii", "replace").lstrip("<")[:24],
                shown(text.decode("latin-1")),
            )
            for number, stamp, text in rows
        ]

    def _split(self, text: bytes) -> None:
        """Take apart what stands between the marks: ``CompID, incoming>``, a message, a time."""
        pieces = text.split(self._mark)
        stamp = pieces[0][-STAMP_BYTES_MAX:]
        last = len(pieces) - 1
        for place in range(1, last + 1):
            piece = pieces[place]
            if place == last and not piece.endswith(b")\n"):
                # It goes on in the next block.
                self._rest = (stamp + self._mark + piece)[:REST_BYTES_MAX]
                return
            end = piece.rfind(b"\n<") if place < last else len(piece) - 1
            comp_id, found, message = piece[:end].partition(INCOMING)
            if found:
                self._keep(comp_id, stamp, message[:-1])
            stamp = piece[end + 1 :]
        self._rest = b"" if last else text[-REST_BYTES_MAX:]

    def _keep(self, comp_id: bytes, stamp: bytes, text: bytes) -> None:
        session = self._kept.get(comp_id)
        if session is None:
            return
        self._number += 1
        rows = session.rows
        rows.append((self._number, stamp, text))
        session.size += len(text)
        while len(rows) > MESSAGES_MAX or session.size > self._bytes_max:
            session.size -= len(rows.popleft()[2])


def shown(text: str) -> str:
    """Return a message with ``|`` for SOH as people may see it, without secrets."""
    fields = [field.partition("=") for field in _FIELD.split(text) if field]
    logon = any(tag == "35" and value == "A" for tag, _, value in fields[:4])
    parts = []
    for tag, _, value in fields:
        if tag == _STAMP:
            continue
        hidden = tag in NEVER_SHOWN or (logon and tag not in _LOGON_SHOWN)
        parts.append(f"{tag}={HIDDEN if hidden else value}|")
    return "".join(parts)
