"""A member's clock: what the venue's time is stamped from while the member leads.

The law: a wall clock that is set while the engine runs is not followed before the other members
show that it is right, for the venue's time never goes back: an hour ahead for a moment would be an
hour in which it stands still and requests come too late.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

import structlog

STEP_US: Final = 1_000_000
"""A wall clock that goes by more than this against the monotonic clock was set."""
APART_US: Final = 2_000_000
"""Clocks that differ by more do not agree; a report of a member may be late by some of it."""
READINGS_MAX: Final = 8
READINGS_MIN: Final = 2
GLANCES_MAX: Final = 5
GLANCE_US: Final = 200_000

log = structlog.get_logger("engine.cluster")


class MemberClock:
    """Microseconds since 1970 when called, by any thread.

    ``wall`` gives such ones, ``monotonic`` seconds. ``trouble`` says how this member's clock is
    wrong: it disagrees with a majority of the other members, which agree with each other. Such a
    member does not try to lead.
    """

    def __init__(self, wall: Callable[[], int], monotonic: Callable[[], float]) -> None:
        self.trouble = ""
        self._wall = wall
        self._monotonic = monotonic
        self._set_by = 0
        self._ahead = wall() - self._steady()
        self._last: dict[str, int] = {}
        self._offsets: dict[str, deque[int]] = {}

    def __call__(self) -> int:
        for _ in range(GLANCES_MAX):
            before, wall, steady = self._steady(), self._wall(), self._steady()
            if steady - before < GLANCE_US:
                self._look(wall - steady)
                break  # Else the thread was stopped between the two, and they say nothing.
        return steady + self._ahead

    def _look(self, ahead: int) -> None:
        set_by = ahead - self._ahead
        if abs(set_by) <= STEP_US:
            self._ahead, self._set_by = ahead, 0
            return
        if not self._set_by:
            log.warning("clock_set", by_ms=set_by // 1_000)
        self._set_by = set_by

    def compare(self, reported: Mapping[str, int], alone: bool) -> None:
        """Take in the times that the other members reported; called by one thread.

        ``alone``: there are no others, whether they are there or not. Then there is nobody to ask.
        """
        now = self()
        for node in self._last.keys() - reported.keys():
            del self._last[node], self._offsets[node]
        for node, time_us in reported.items():
            if self._last.get(node) != time_us:
                self._last[node] = time_us
                self._offsets.setdefault(node, deque(maxlen=READINGS_MAX)).append(time_us - now)
        # The report that was least late says most.
        theirs = [max(one) for one in self._offsets.values() if len(one) >= READINGS_MIN]
        set_by = self._set_by
        if set_by and (alone or _near(set_by, theirs) > _near(0, theirs)):
            log.info("clock_followed", by_ms=set_by // 1_000)
            self._ahead += set_by
            self._set_by = 0
            self._offsets.clear()
            self._last.clear()
            theirs = []
        self._judge(theirs)

    def _judge(self, theirs: list[int]) -> None:
        trouble = ""
        middle = max(theirs, key=lambda one: _near(one, theirs), default=0)
        agree = _near(middle, theirs)
        if agree > 1 and agree > len(theirs) // 2 and not _near(0, theirs):
            way = "behind" if middle > 0 else "ahead of"
            trouble = f"the clock is {abs(middle) / 1e6:.0f} s {way} those of other members"
        if trouble and not self.trouble:
            log.warning("clock_wrong", reason=trouble)
        self.trouble = trouble

    def _steady(self) -> int:
        return round(self._monotonic() * 1e6)


def _near(where: int, offsets: list[int]) -> int:
    """Return how many are at the same time."""
    return sum(abs(one - where) <= APART_US for one in offsets)
