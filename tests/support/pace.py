"""How slow it is here just now: the one place from which the tests take their margins of time.

A test writes what is ample on the reference machine, two slow and idle processors, and waits
``seconds(10)``. Where the machine is slower or busy with other things, that is longer by as much
as a short piece of work takes longer: a process is started, counts, and flushes a file to the
disk. It is measured when the session starts and again between tests, every ``EVERY_S``; the
margin follows the slowest that was seen lately, for load comes in waves.

What is waited for is an event wherever there is one, so that a wide margin costs nothing as long
as all is well. The programs that tests start find the same measure in their environment.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from typing import Final

REFERENCE_S: Final = 0.05
"""What the piece of work takes on the reference machine."""
WORK: Final = """
import os, sys
for _ in range(1_500_000):
    pass
with open(sys.argv[1], "wb") as file:
    for _ in range(3):
        file.write(bytes(4096))
        file.flush()
        os.fsync(file.fileno())
"""
EVERY_S: Final = 15.0
LATELY: Final = 8
"""So many measures count: those of two minutes."""
FACTOR_MIN: Final = 1.5
"""A machine that was idle when it was measured is not always so."""
FACTOR_MAX: Final = 20.0
VARIABLE: Final = "TANDEM_TEST_PACE"

_measures: deque[float] = deque(maxlen=LATELY)
_measured_at = float("-inf")


def measure() -> float:
    """How many times longer than on the reference machine things take now."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        subprocess.run(
            [sys.executable, "-I", "-S", "-c", WORK, os.path.join(folder, "flushed")], check=True
        )
        return (time.monotonic() - began) / REFERENCE_S


def keep() -> None:
    """Measure again if that was some time ago. Between tests; within one it would disturb."""
    global _measured_at
    if time.monotonic() - _measured_at >= EVERY_S:
        for _ in range(1 if _measures else 3):
            _measures.append(measure())
        _measured_at = time.monotonic()
        os.environ[VARIABLE] = f"{max(_measures):.2f}"


def measured() -> float:
    """What was measured lately, the slowest."""
    return float(os.environ.get(VARIABLE, "1"))


def factor() -> float:
    """By how much margins are wider than they would be on the reference machine."""
    return min(max(measured(), FACTOR_MIN), FACTOR_MAX)


def seconds(ample: float) -> float:
    """A margin that would be ample on the reference machine, for this one."""
    return ample * factor()
