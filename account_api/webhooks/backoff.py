"""When a failed delivery is tried again, and when no more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import uniform
from typing import Final

FIRST_S: Final = 1.0
MAX_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses that double from ``first_s`` to ``max_s``, each shortened by up to half at random, so
    that endpoints that failed together do not come back together."""

    first_s: float = FIRST_S
    max_s: float = MAX_S
    draw: Callable[[float, float], float] = uniform

    def pause_s(self, failures: int, wanted_s: float = 0.0) -> float:
        """Return the pause after so many failures in a row, at least what the receiver wanted, as
        far as ``max_s``."""
        longest = min(self.first_s * 2.0 ** min(failures - 1, 32), self.max_s)
        return max(longest * self.draw(0.5, 1.0), min(wanted_s, self.max_s))
