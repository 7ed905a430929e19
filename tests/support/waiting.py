"""Waiting for what sends no event to a test: a row of a query, a file, another process's end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from tests.support import pace

T = TypeVar("T")
EVERY_S = 0.02


def until(
    question: Callable[[], T], what: object = "", seconds: float = 20.0,
    enough: Callable[[T], object] = bool,
) -> T:  # fmt: skip
    """Ask until the answer is ``enough``, and return it.

    ``seconds`` are ample ones of the reference machine. After them AssertionError says
    ``what`` (called for its words if it can be), and the last answer.
    """
    deadline = time.monotonic() + pace.seconds(seconds)
    while True:
        answer = question()
        if enough(answer):
            return answer
        if time.monotonic() >= deadline:
            raise AssertionError(f"{what() if callable(what) else what}; last: {answer!r}")
        time.sleep(EVERY_S)
