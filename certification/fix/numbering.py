"""Sequence numbers as the client sees them, where the certifier adds messages of its own.

The venue counts its messages 1, 2, 3, …; to the client goes the same sequence with some
numbers in between that the certifier used (for a TestRequest, for News, for a hole). What the
client sees is *visible*. The mapping only ever grows by a shift that holds from some venue
number on, so a list of (venue number, shift) says everything, also for what is asked for
again. ``spec/decisions`` tells why the numbers are mapped and not kept by a session of ours.
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
        """Let both sides begin at 1 again."""
        self.shifts.clear()
        self.next_venue = 1

    def seen(self, venue: int) -> None:
        """Note a number that the venue has used."""
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
        """Take the next visible number for a message of ours."""
        number = self.next_visible
        shift = number + 1 - self.next_venue
        if self.shifts and self.shifts[-1][0] == self.next_venue:
            self.shifts.pop()
        self.shifts.append((self.next_venue, shift))
        return number

    def at_or_after(self, visible: int) -> int:
        """Return the first number of the venue that is not before a visible one."""
        low, high = max(1, visible - self._most()), visible
        while low < high:
            middle = (low + high) // 2
            if self.visible(middle) >= visible:
                high = middle
            else:
                low = middle + 1
        return low

    def at_or_before(self, visible: int) -> int:
        """Return the last number of the venue that is not after a visible one; 0 if none is."""
        number = self.at_or_after(visible)
        return number if self.visible(number) == visible else number - 1

    def _most(self) -> int:
        return self.shifts[-1][1] if self.shifts else 0


@dataclass(frozen=True, slots=True)
class GapFill:
    """A gap fill of ours from visible number ``begin``; ``after`` is its NewSeqNo(36)."""

    begin: int
    after: int


@dataclass(slots=True)
class ResendRange:
    """A range that the client has asked for again, in both countings; ends are included.

    ``venue_begin`` above ``venue_end`` says that only messages of ours are in the range.
    ``next`` is the visible number that the client waits for.
    """

    venue_begin: int
    venue_end: int
    visible_end: int
    next: int
    done: bool = False

    def pass_on(self, visible: int, after: int) -> Iterator[GapFill]:
        """Take a message that the venue resends; yield the gap fills that go out before it.

        ``visible`` is its visible number and ``after`` the visible number that follows it (more
        than one further for a gap fill of the venue).
        """
        if visible > self.next:
            yield GapFill(self.next, visible)
        self.next = max(self.next, after)

    def finish(self) -> Iterator[GapFill]:
        """Take the end of the venue's resend; yield the gap fill for what is ours behind it."""
        self.done = True
        if self.next <= self.visible_end:
            yield GapFill(self.next, self.visible_end + 1)
            self.next = self.visible_end + 1


def resend_range(numbering: Numbering, begin: int, end: int) -> ResendRange:
    """Return what a ResendRequest of the client asks for; ``end`` 0 is everything up to now."""
    last = numbering.next_visible - 1
    visible_end = min(end, last) if end else last
    venue_begin = numbering.at_or_after(max(begin, 1))
    venue_end = min(numbering.at_or_before(visible_end), numbering.next_venue - 1)
    return ResendRange(venue_begin, venue_end, visible_end, max(begin, 1))
