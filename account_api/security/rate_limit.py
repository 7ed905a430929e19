"""Token buckets per key and group of routes, one for all workers of this machine.

Workers are forked processes, so the buckets are in shared memory mapped before the fork and
guarded by a semaphore in shared memory, which costs no system call while it is free. A worker
killed while holding it would leave it taken; whoever has waited for longer than any holder needs
goes on without it, which at worst miscounts one request. Keys that are made while the workers run
use reserved slots; memory that was never touched costs nothing. Responses carry the draft headers
``RateLimit-Policy`` and ``RateLimit``.
"""

from __future__ import annotations

import math
import mmap
import multiprocessing
import struct
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from account_api.errors import Problem
from account_api.settings import RateLimit

_SLOT: Final = struct.Struct("dd")
PATIENCE_S: Final = 0.25
"""A holder computes for some microseconds; this is long even on a busy processor."""


class Verdict(NamedTuple):
    """Whether a request is allowed, its headers, and when the next one will be (s)."""

    allowed: bool
    headers: tuple[tuple[str, str], ...]
    retry_after_s: int

    def problem(self, key: str, group: str, **options: Any) -> Problem:
        """Make the problem for a request that is not allowed; ``options`` are Problem's."""
        return Problem(
            "rate_limited",
            f"The key {key} is over its limit for {group} requests; the next one is allowed in "
            f"{self.retry_after_s} s.",
            **options,
        )


class RateLimiter:
    """A bucket for each (key, group); ``clock`` counts seconds and never goes back.

    ``places`` slots, numbered from 1, are reserved for keys that are made later.
    """

    def __init__(
        self,
        limits: Iterable[tuple[str, RateLimit]],
        keys: Iterable[str],
        clock: Callable[[], float],
        places: int = 0,
    ) -> None:
        self._limits = {group: limit for group, limit in limits if limit.quota}
        self._policies = {
            group: f'"{group}";q={limit.quota};w={limit.window_s}'
            for group, limit in self._limits.items()
        }
        self._clock = clock
        names = [(key, group) for key in keys for group in self._limits]
        self._slots = {name: index * _SLOT.size for index, name in enumerate(names)}
        self._groups = {group: index for index, group in enumerate(self._limits)}
        self._configured = len(names)
        self._places = places
        size = len(names) + places * len(self._groups)
        self._memory = mmap.mmap(-1, max(1, size) * _SLOT.size)
        for (_, group), offset in self._slots.items():
            _SLOT.pack_into(self._memory, offset, float(self._limits[group].quota), clock())
        self._lock = multiprocessing.get_context("fork").Lock()

    def take(self, key: str, group: str, slot: int = 0) -> Verdict | None:
        """Take one token; None if the group has no limit. ``slot`` is that of a key made later."""
        limit = self._limits.get(group)
        offset = self._slots.get((key, group))
        if 0 < slot <= self._places and group in self._groups:
            # Zeros are a bucket that was last empty long ago, and so is full by now.
            place = (slot - 1) * len(self._groups) + self._groups[group]
            offset = (self._configured + place) * _SLOT.size
        if limit is None or offset is None:
            return None
        rate = limit.quota / limit.window_s
        self._lock.acquire(timeout=PATIENCE_S)
        try:
            now = self._clock()
            tokens, last = _SLOT.unpack_from(self._memory, offset)
            tokens = min(float(limit.quota), tokens + max(0.0, now - last) * rate)
            allowed = tokens >= 1.0
            if allowed:
                tokens -= 1.0
            _SLOT.pack_into(self._memory, offset, tokens, now)
        finally:
            self._release()
        full_after = math.ceil((limit.quota - tokens) / rate)
        headers = (
            ("RateLimit-Policy", self._policies[group]),
            ("RateLimit", f'"{group}";r={int(tokens)};t={full_after}'),
        )
        return Verdict(allowed, headers, max(1, math.ceil((1.0 - tokens) / rate)))

    def _release(self) -> None:
        """Release the lock, also after taking over that of a dead worker."""
        try:
            self._lock.release()
        except ValueError:
            return  # The holder that seemed dead has released it by now.
