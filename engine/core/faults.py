"""The two base errors: a caller's invalid number, and a fault of the engine itself."""

from __future__ import annotations

from enum import Enum


class NumberKind(Enum):
    """What is wrong with a number; code decides by this kind, never by the text."""

    MALFORMED = "malformed"
    """Not plain decimal text: a sign, an exponent, letters, or empty."""
    ZERO = "zero"
    OFF_GRID = "off the grid"
    TOO_SMALL = "too small"
    TOO_LARGE = "too large"
    GRID = "grid"
    """The grid itself, in the definition of an instrument, cannot be used."""


class NumberError(ValueError):
    """A number given as text cannot be used; the message says why and what would be valid."""

    def __init__(self, kind: NumberKind, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text


class EngineFault(AssertionError):
    """An invariant of the venue does not hold: a fault of the engine, which must stop."""


def check(condition: bool, what: str) -> None:
    """Raise EngineFault unless an invariant holds; unlike assert also under ``python -O``."""
    if not condition:
        raise EngineFault(what)
