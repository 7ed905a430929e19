"""The two roots of what can go wrong: the caller's numbers, and ourselves."""

from __future__ import annotations


class NumberError(ValueError):
    """A number given as text cannot be used; the message says why and what would do."""


class EngineFault(AssertionError):
    """An invariant of the exchange does not hold: a fault of ours; the engine must stop."""


def check(condition: bool, what: str) -> None:
    """Raise EngineFault unless an invariant holds; unlike assert also under ``python -O``."""
    if not condition:
        raise EngineFault(what)
