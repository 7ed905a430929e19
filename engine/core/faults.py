"""The two roots of what can go wrong: the caller's numbers, and ourselves."""

from __future__ import annotations

from enum import Enum


class NumberKind(Enum):
    """What is wrong with a number; who has to decide on it asks for this, never for the words."""

    MALFORMED = "malformed"
    """No plain decimal text: a sign, an exponent, letters, nothing at all."""
    ZERO = "zero"
    OFF_GRID = "off the grid"
    TOO_SMALL = "too small"
    TOO_LARGE = "too large"
    GRID = "grid"
    """The grid itself, in the definition of an instrument, cannot be used."""


class NumberError(ValueError):
    """A number given as text cannot be used; the message says why and what would do."""

    def __init__(self, kind: NumberKind, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text


class EngineFault(AssertionError):
    """An invariant of the venue does not hold: a fault of ours; the engine must stop."""


def check(condition: bool, what: str) -> None:
    """Raise EngineFault unless an invariant holds; unlike assert also under ``python -O``."""
    if not condition:
        raise EngineFault(what)
