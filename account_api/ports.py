"""What the API asks of the engine and of the history, as narrow interfaces.

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
    """Commands in, committed answers out; may be used by many threads."""

    def submit(self, command: Command, timeout_s: float | None = None) -> Outcome:
        """Wait until the command is durable."""
        ...

    def fetch(self, query: queries.Query[T], min_seq: int = 0) -> Answered[T]:
        """Ask a typed query."""
        ...

    def close(self) -> None:
        """End the connection."""
        ...


EngineFactory = Callable[[], EnginePort]
"""Makes a client; called once in every worker process, after the fork."""

ClockUs = Callable[[], int]
"""Microseconds since 1970-01-01 UTC."""


class PartSeen(Protocol):
    """How a part of the venue is; ``state`` "ok" or what is wrong with it, in a word."""

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
"""Says how the other parts are; told at which seq the engine is, None where it is away."""
