"""How long and how often a request is sent again."""

from __future__ import annotations

import random
from dataclasses import dataclass

from tandem_client.errors import NOT_APPLIED, ApiError


@dataclass(frozen=True, slots=True)
class Retry:
    """Bounds of repeats: ``attempts`` in all, within ``total_s``, further and further apart.

    A pause doubles from ``first_s`` up to ``longest_s`` and is shortened by up to half at random,
    so that many clients do not come back at one moment. Retry-After of the venue comes first; if
    it reaches beyond ``total_s`` the error is raised at once. ``Retry(attempts=1)`` never repeats.
    """

    attempts: int = 5
    total_s: float = 30.0
    first_s: float = 0.2
    longest_s: float = 5.0

    def pause_s(self, attempt: int, retry_after_s: float = 0.0) -> float:
        """Return the pause after an attempt, counted from 1."""
        longest = min(self.longest_s, self.first_s * 2.0 ** min(attempt - 1, 30))
        return max(retry_after_s, longest * random.uniform(0.5, 1.0))


PASSING = frozenset((
    "rate_limited", "throttled", "engine_refused", "engine_unavailable", "history_unavailable",
    "idempotency_unavailable", "keys_unavailable", "not_ready", "idempotency_key_in_flight",
    "not_caught_up", "no_leader",
))  # fmt: skip
"""Codes of what passes by itself. Others that are retryable, such as a halted instrument or a
post-only order that would have traded, are for the program to decide."""


def passes(error: ApiError) -> bool:
    """Return whether the same request may succeed in a moment."""
    return error.code in PASSING


def harmless(error: ApiError) -> bool:
    """Return whether nothing of the request was executed."""
    return error.outcome == NOT_APPLIED
