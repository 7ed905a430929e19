"""Sequence numbers as the client sees them, when the certifier injects its own messages.

The venue numbers its messages 1, 2, 3, …; the client gets the same sequence with further numbers
in between, which the certifier has used (for a TestRequest, for News, for a gap). The numbers
that the client sees are *visible*. An injected message shifts all later numbers of the venue, so
that a list of (venue number, shift) is the whole mapping, also for resends. ``spec/decisions``
explains why numbers are mapped, and why the certifier has no session of its own with the client.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class Numbering:
    """The mapping of one session. ``next_venue`` is the number that the venue uses next."""

    shifts: list[tuple[int, int]] = field(default_factory=list)
    next_venue: int = 1

    def reset(self) -> None:
        """Restart both sequences at 1."""
        self.shifts.clear()
        self.next_venue = 1

    def seen(self, venue: int) -> None:
        """Record a number that the venue has used."""
        self.next_venue = max(self.next_venue, venue + 1)

    def visible(self, venue: int) -> int:
        """Return the client's number of a message of the venue."""
        place = bisect_right(self.shifts, (venue, 1 << 62))
        return venue + (self.shifts[place - 1][1] if place else 0)

    @property
    def next_visible(self) -> int:
        """Return the number that the client expects next, if it has everything so far."""
        return self.visible(self.next_venue)

    def inject(self) -> int:
        """Use the next visible number for an injected message and return it."""
        number = self.next_visible
        shift = number + 1 - self.next_venue
        if self.shifts and self.shifts[-1][0] == self.next_venue:
            self.shifts.pop()
        self.shifts.append((self.next_venue, shift))
        return number

    def at_or_after(self, visible: int) -> int:
        """Return the venue's first number whose visible number is at or after ``visible``."""
        low, high = max(1, visible - self._most()), visible
        while low < high:
            middle = (low + high) // 2
            if self.visible(middle) >= visible:
                high = middle
            else:
                low = middle + 1
        return low

    def at_or_before(self, visible: int) -> int:
        """Return the venue's last number whose visible number is at or before it; 0 if none is."""
        number = self.at_or_after(visible)
        return number if self.visible(number) == visible else number - 1

    def _most(self) -> int:
        return self.shifts[-1][1] if self.shifts else 0


@dataclass(frozen=True, slots=True)
class GapFill:
    """An injected gap fill from visible number ``begin``; ``after`` is its NewSeqNo(36)."""

    begin: int
    after: int


@dataclass(slots=True)
class ResendRange:
    """The range of a client's ResendRequest in the venue's and in visible numbers, inclusive.

    ``venue_begin`` is above ``venue_end`` if the range has only injected messages. ``next`` is the
    visible number that the client expects next.
    """

    venue_begin: int
    venue_end: int
    visible_end: int
    next: int
    done: bool = False

    def pass_on(self, visible: int, after: int) -> Iterator[GapFill]:
        """Take a message that the venue resends; yield the gap fills to send before it.

        ``visible`` is its visible number, ``after`` the visible number that follows it (for a gap
        fill of the venue its NewSeqNo).
        """
        if visible > self.next:
            yield GapFill(self.next, visible)
        self.next = max(self.next, after)

    def finish(self) -> Iterator[GapFill]:
        """End the venue's resend; yield the gap fill for the injected messages after it."""
        self.done = True
        if self.next <= self.visible_end:
            yield GapFill(self.next, self.visible_end + 1)
            self.next = self.visible_end + 1


def resend_range(numbering: Numbering, begin: int, end: int) -> ResendRange:
    """Return the range of a client's ResendRequest; ``end`` 0 means up to the last number."""
    last = numbering.next_visible - 1
    visible_end = min(end, last) if end else last
    venue_begin = numbering.at_or_after(max(begin, 1))
    venue_end = min(numbering.at_or_before(visible_end), numbering.next_venue - 1)
    return ResendRange(venue_begin, venue_end, visible_end, max(begin, 1))
