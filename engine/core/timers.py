"""Timers, ordered by time."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import Final, NamedTuple, TypeAlias

from sortedcontainers import SortedList

from engine.core.ordertable import RUN_BITS


class TimerKind(IntEnum):
    """What a timer is for; at one time they fire in this order, then by name and number."""

    SESSION = 2
    SWITCH = 3
    WITHDRAWAL = 4


class Timer(NamedTuple):
    """A timer: for WITHDRAWAL ``number`` is the id, for SESSION ``name`` is the session, for
    SWITCH ``name`` is the account and ``detail`` the strategy."""

    kind: TimerKind
    name: str
    detail: str
    number: int


Key: TypeAlias = int | Timer
"""An order's expiry is the bare order id, since most orders have one; the rest are Timers."""


_OTHERS: Final = 1 << 62
"""The part for timers that are not of orders; it comes after those of orders."""


class Timers:
    """Timers by time; adding and removing are O(1) if the time has a timer already.

    Those of one time are kept in parts, one for each run of consecutive order ids, since every
    DAY order expires at the same time: no part becomes so large that a command waits while
    its dictionary grows or while it is sorted.

    What is due is sorted part by part, however many Ticks it takes to fire: ``_due`` holds what
    may be left of a part of the time ``_due_time``, the next one last, and ``_due_parts`` the
    parts after it. They are rebuilt when something is added to that time, and are no part of
    the state.
    """

    __slots__ = ("_due", "_due_parts", "_due_time", "by_time", "times")

    def __init__(self) -> None:
        self.by_time: dict[int, dict[int, dict[Key, None]]] = {}
        self.times: SortedList = SortedList()
        self._due: list[Key] = []
        self._due_parts: list[int] = []
        self._due_time = 0

    def add(self, time_us: int, timer: Key) -> None:
        """Set a timer."""
        bucket = self.by_time.get(time_us)
        if bucket is None:
            bucket = self.by_time[time_us] = {}
            self.times.add(time_us)
        part = _part(timer)
        keys = bucket.get(part)
        if keys is None:
            keys = bucket[part] = {}
        keys[timer] = None
        if time_us == self._due_time:
            self._due_time = 0

    def discard(self, time_us: int, timer: Key) -> None:
        """Remove a timer if it is set."""
        bucket = self.by_time.get(time_us)
        if bucket is None:
            return
        part = _part(timer)
        keys = bucket.get(part)
        if keys is None:
            return
        keys.pop(timer, None)
        if keys:
            return
        del bucket[part]
        if not bucket:
            del self.by_time[time_us]
            self.times.remove(time_us)

    def at(self, time_us: int) -> list[Key]:
        """Return the timers of a time in firing order: orders by id, then by kind and name."""
        parts = self.by_time.get(time_us, {})
        return [key for part in sorted(parts) for key in sorted(parts[part])]

    def _is_set(self, time_us: int, timer: Key) -> bool:
        part = _part(timer)
        return timer in self.by_time.get(time_us, {}).get(part, ())

    def next(self) -> int:
        """Return the earliest time, 0 if nothing is set."""
        return self.times[0] if self.times else 0

    def newly_due(self, after_us: int, now_us: int) -> bool:
        """Return whether something is set for a time after ``after_us`` and by ``now_us``."""
        at = self.times.bisect_right(after_us)
        return at < len(self.times) and bool(self.times[at] <= now_us)

    def pop_due(self, now_us: int) -> Iterator[Key]:
        """Remove and yield what is due by now, one by one, in firing order (rule S-4).

        A timer that is discarded while an earlier one is handled does not fire.
        """
        while self.times and self.times[0] <= now_us:
            time_us = self.times[0]
            if time_us != self._due_time:
                self._due = []
                self._due_parts = sorted(self.by_time[time_us], reverse=True)
                self._due_time = time_us
            if not self._due:
                keys = self.by_time[time_us].get(self._due_parts.pop(), ())
                self._due = sorted(keys, reverse=True)
            while self._due and time_us == self._due_time:
                key = self._due.pop()
                if self._is_set(time_us, key):
                    self.discard(time_us, key)
                    yield key


def _part(timer: Key) -> int:
    return timer >> RUN_BITS if isinstance(timer, int) else _OTHERS
