"""Simulated time: events in order, one source of chance."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from typing import Final

START_US: Final = 1_700_000_000_000_000


class World:
    """``now_us`` moves from event to event; events at one time happen as they were planned."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = random.Random(f"simulation {seed}")
        self.now_us = START_US
        self.steps = 0
        self.findings: list[str] = []
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._planned = 0

    def after(self, delay_us: int, call: Callable[[], None]) -> None:
        """Do something after some time."""
        self._planned += 1
        heapq.heappush(self._events, (self.now_us + max(0, delay_us), self._planned, call))

    def step(self) -> None:
        """Do what comes next."""
        self.steps += 1
        self.now_us, _, call = heapq.heappop(self._events)
        call()

    def seconds(self) -> float:
        """A monotonic clock."""
        return (self.now_us - START_US) / 1e6

    def chance(self, share: float) -> bool:
        """True in this share of the calls."""
        return self.random.random() < share

    def delay_us(self, longest_us: int) -> int:
        """A delay; most are short."""
        return int(longest_us * self.random.random() ** 4)

    def found(self, text: str) -> None:
        """Something is not as it must be."""
        if len(self.findings) < 20:
            self.findings.append(f"at step {self.steps}: {text}")
