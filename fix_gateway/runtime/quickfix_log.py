"""QuickFIX's log, read for what QuickFIX tells nobody otherwise.

A message without MsgSeqNum(34), or with one that is no number, it can neither take nor reject:
the attempt ends in its log and nowhere else. And of a Logon within a session only a Reject
reaches a callback; what the Logon said stands in the log alone, from before it is judged.

Of QuickFIX's logs only the one on standard output costs no disk and keeps no passwords. So a pipe
takes the place of standard output, which the gateway has no other use for. It is emptied by the
clock, not at each message: that would take the interpreter's lock from the threads that trade.
QuickFIX writes what clients send between its own lines, so each of those bears a name drawn at
random by this process: without it any client could write a line in another's name.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Collection
from typing import Final

import structlog

from fix_gateway.quickfix_import import quickfix
from fix_gateway.runtime.message_log import MessageLog
from fix_gateway.settings import BEGIN_STRING

log = structlog.get_logger()

STDOUT: Final = 1
BLOCK_BYTES: Final = 1 << 16
PIPE_BYTES: Final = 1 << 20
"""What fits into the pipe; QuickFIX waits while it is full."""
EMPTIED_EVERY_S: Final = 0.02
QUIET_BYTES: Final = 4 << 10
"""What comes in that time while there is little to do: a dozen messages."""
_UNNUMBERED: Final = b"(Incorrect data format for value with tag: 34"
_LINE_BYTES_MAX: Final = 256
"""A line of QuickFIX's own is shorter than this up to the end of what is looked for in it."""
_KEPT_BYTES: Final = 1 << 15
"""How far back the newest message is looked for; no Logon is as long."""
_FIELD_ENDS: Final = re.compile(rb"\|(?=[0-9]+=|\)\n|\Z)")
UNNUMBERED_TEXT: Final = (
    "MsgSeqNum(34) is missing or is no number; a message without it cannot be taken"
)

Unnumbered = Callable[[str], None]
"""Called with the CompID of a session that sent a message without a number."""


class QuickfixLog(quickfix.LogFactory):  # type: ignore[misc]
    """Makes QuickFIX's logs and reads them, on a thread of its own, until the process ends."""

    def __init__(self, unnumbered: Unnumbered, sessions: Collection[str] = ()) -> None:
        super().__init__()
        self._unnumbered = unnumbered
        self.server = secrets.token_hex(16)
        """Stands for our CompID in the names of sessions: drawn at random by this process."""
        self._header = re.compile(
            rb"<[0-9:.-]{20,30}, %s:%s->([^,\n]*), (incoming|event)>\n  "
            % (re.escape(BEGIN_STRING.encode()), self.server.encode())
        )
        self.messages = MessageLog(
            f", {BEGIN_STRING}:{self.server}->".encode("ascii"), sessions
        )
        """What clients have sent, for people."""
        self._lock = threading.Lock()
        self._reading = -1
        self._unread = b""
        """What is not looked through for events yet."""
        self._newest = b""
        """The end of all that was logged, in which the newest message is."""
        self._screen = quickfix.ScreenLogFactory(True, False, True)

    def create(self, session_id: quickfix.SessionID | None = None) -> quickfix.Log:
        """Make the log of a session; QuickFIX's own call."""
        comp_id = "" if session_id is None else session_id.getTargetCompID().getValue()
        named = quickfix.SessionID(BEGIN_STRING, self.server, comp_id)
        return self._screen.create(named)

    def destroy(self, made: quickfix.Log) -> None:
        """Do nothing: the logs live as long as the process; QuickFIX's own call."""

    def start(self) -> None:
        """Take the place of standard output."""
        reading, writing = os.pipe()
        try:
            fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        except OSError:
            pass  # The system allows less; the pipe is emptied all the same.
        os.set_blocking(reading, False)
        os.dup2(writing, STDOUT, inheritable=False)
        os.close(writing)
        self._reading = reading
        threading.Thread(target=self._run, name="fix-quickfix-log", daemon=True).start()

    def _run(self) -> None:
        while True:
            time.sleep(EMPTIED_EVERY_S)
            try:
                if self.look() < QUIET_BYTES:
                    self.messages.settle()
            except Exception:
                # Were it not read any more, QuickFIX's only thread would stop at a full pipe.
                log.exception("quickfix_log_failed")

    def _empty(self) -> int:
        """Read all that was written, and return how much it was; the lock is held."""
        size = 0
        while True:
            try:
                block = os.read(self._reading, BLOCK_BYTES)
            except BlockingIOError:
                return size
            if not block:
                return size
            size += len(block)
            self.take(block)

    def take(self, block: bytes) -> None:
        """Take in what was logged, in pieces as they come; the lock is held."""
        self.messages.take(block)
        self._unread += block
        self._newest = (self._newest + block)[-_KEPT_BYTES:]

    def look(self) -> int:
        """Look through what was logged for messages without a number; return how much it was."""
        with self._lock:
            size = self._empty() if self._reading >= 0 else 0
            found = self._events()
        for comp_id in found:
            self._unnumbered(comp_id)
        return size

    def _events(self) -> list[str]:
        """Return whose messages had no number, and keep what may go on in the next piece."""
        text = self._unread
        if _UNNUMBERED not in text:
            self._unread = text[-_LINE_BYTES_MAX:]
            return []
        found, done = [], 0
        for line in self._header.finditer(text):
            if line.end() + len(_UNNUMBERED) > len(text):
                break
            done = line.end()
            if line[2] == b"event" and text.startswith(_UNNUMBERED, done):
                found.append(line[1].decode("ascii", "replace"))
        self._unread = text[max(done, len(text) - _LINE_BYTES_MAX) :]
        return found

    def message(self, comp_id: str) -> bytes:
        """Return the message of this session that QuickFIX's thread is at, b"" if there is none.

        For QuickFIX's thread, which takes one message after the other. The log has ``|`` for SOH;
        one of a value that stands in front of digits and ``=`` is taken for SOH, and the message
        has a wrong CheckSum(10) then.
        """
        with self._lock:
            if self._reading >= 0:
                self._empty()
            text = self._newest
        own = f"{BEGIN_STRING}:{self.server}->".encode("ascii")
        begin = own + f"{comp_id}, incoming>\n  (".encode("ascii", "replace")
        start = text.rfind(begin)
        if start < 0:
            return b""
        start += len(begin)
        behind = text.find(own, start)
        end = len(text) if behind < 0 else text.rfind(b"\n<", start, behind) + 1
        return _FIELD_ENDS.sub(b"\x01", text[start:end])
