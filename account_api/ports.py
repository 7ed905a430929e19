"""Narrow interfaces to the engine, the clock and the health of the other parts.

``engine.client.EngineClient`` is an ``EnginePort``; tests pass a client that holds an
exchange in the same process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

from engine.client import Answered, Outcome, queries
from engine.core.commands import Command

T = TypeVar("T")


class EnginePort(Protocol):
    """Takes commands and returns committed outcomes. Thread-safe."""

    def submit(self, command: Command, timeout_s: float | None = None) -> Outcome:
        """Submit a command and wait until it is durable. Raises EngineError."""
        ...

    def fetch(self, query: queries.Query[T], min_seq: int = 0) -> Answered[T]:
        """Ask a typed query. Raises EngineError."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


EngineFactory = Callable[[], EnginePort]
"""Makes a client; called once in every worker process, after the fork."""

ClockUs = Callable[[], int]
"""Microseconds since 1970-01-01 UTC."""


class PartSeen(Protocol):
    """The state of a part of the venue: "ok", or what is wrong with it in one word."""

    @property
    def part(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def seq(self) -> int | None: ...
    @property
    def lag_records(self) -> int: ...
    @property
    def lag_s(self) -> float: ...


PartsSource = Callable[[int | None], Iterable[PartSeen]]
"""Reports the state of the other parts, given the engine's seq, or None if it is away."""
