"""Reports that go to one client at once share their packets.

A packet costs the kernel more than a report costs QuickFIX, and QuickFIX sends each message by
itself. So a connection to which more than one goes in a burst is corked: the kernel collects
what is written to it until a packet is full or the cork is taken out. What is alone is never
kept back, and in a burst a report waits for the few that go with it, never longer than the fifth
of a second after which the kernel sends what it has. With the bridge to QuickFIX a burst is one
packet to begin with, and there is no cork.
"""

from __future__ import annotations

from typing import Final

from fix_gateway.session.session import Link, Session

TOGETHER_MAX: Final = 16
"""After so many the cork is taken out, so that the first one does not wait for all of them."""


class Burst:
    """The corks of one burst, which ends when what came together is sent. For one thread."""

    def __init__(self) -> None:
        self._sent: dict[Link, int] = {}

    def add(self, session: Session, count: int) -> None:
        """Take in that so many reports go to a session next."""
        link = session.link
        if link is None:
            return
        before = self._sent.get(link, 0)
        if before and before + count > TOGETHER_MAX:
            if before > 1:
                link.cork(False)
            before = 0
        if before <= 1 < before + count:
            link.cork(True)
        self._sent[link] = before + count

    def end(self) -> None:
        """Take all corks out: nothing more comes for now."""
        for link, count in self._sent.items():
            if count > 1:
                link.cork(False)
        self._sent.clear()
