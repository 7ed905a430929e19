"""QuickFIX's event log, read for what QuickFIX drops without telling anybody.

A message without MsgSeqNum(34), or with one that is no number, it can neither take nor reject:
the attempt ends in its log and nowhere else. Of its logs only the one on standard output can be
had without messages in it, in which there are passwords. So a pipe takes the place of standard
output, which the gateway has no other use for.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from typing import Final

import structlog

from fix_gateway.quickfix_import import quickfix

log = structlog.get_logger()

STDOUT: Final = 1
BLOCK_BYTES: Final = 1 << 16
_MARK: Final = b"  (Incorrect data format for value with tag: 34"
_UNNUMBERED: Final = re.compile(
    rb", (FIX[^,\n]*), event>\n" + re.escape(_MARK) + rb"[^\n]*\n"
)
_EVENT_BYTES_MAX: Final = 4096

Unnumbered = Callable[[str], None]
"""Called with QuickFIX's name of a session that sent a message without a number."""


class QuickfixLog:
    """Reads what QuickFIX logs, on a thread of its own, until the process ends."""

    def __init__(self, unnumbered: Unnumbered) -> None:
        self._unnumbered = unnumbered
        self._rest = b""

    def start(self) -> quickfix.LogFactory:
        """Take the place of standard output; return the factory for the acceptor."""
        reading, writing = os.pipe()
        os.dup2(writing, STDOUT, inheritable=False)
        os.close(writing)
        threading.Thread(
            target=self._run, args=(reading,), name="fix-quickfix-log", daemon=True
        ).start()
        return quickfix.ScreenLogFactory(False, False, True)

    def _run(self, reading: int) -> None:
        while block := os.read(reading, BLOCK_BYTES):
            try:
                self.take(block)
            except Exception:
                # Were it not read any more, QuickFIX's only thread would stop at a full pipe.
                log.exception("quickfix_log_failed")

    def take(self, block: bytes) -> None:
        """Look at what was logged, in pieces as they come."""
        text = self._rest + block
        end = text.rfind(b")\n") + 2
        if _MARK in text:
            for found in _UNNUMBERED.finditer(text, 0, end):
                self._unnumbered(found[1].decode("ascii", "replace"))
        self._rest = text[end:][-_EVENT_BYTES_MAX:]
