"""Which gateway has a session, by the engine's record: the one where its client belongs."""

from __future__ import annotations

from engine.core.events import SessionHeld
from engine.core.types import SessionRow


class Keeper:
    """The holder of one session; ``used`` says that a client may have logged on at it.

    A session that no client has used has a holder as well, but may be had anywhere.
    """

    __slots__ = ("_term", "holder", "used")

    def __init__(self) -> None:
        self._term = 0
        self.holder = ""
        self.used = False

    def restore(self, row: SessionRow) -> None:
        """Take over what the engine remembers."""
        self._term, self.holder = row.term, row.holder
        self.used = bool(row.reserved or row.last_num_applied)

    def follow(self, event: SessionHeld) -> None:
        """Take in what has become of the session; older news change nothing."""
        if event.term >= self._term:
            self._term, self.holder = event.term, event.holder
            self.used = bool(event.reserved or event.mark)
