"""All threads of a process on one processor: the one that others use least.

Python lets one thread of a process run at a time. Threads that take turns at every message, as
those of the FIX gateway and of an API worker do, spend a good part of their time on waking each
other up, and more of it when they lie on different processors, which is where the scheduler
puts them because it does not know that only one can run. On one processor the same work takes
up to a third less of it (spec/decisions/0015-one-processor.md).
"""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import structlog

log = structlog.get_logger()

LOOK_S: Final = 1.0
FIRST_LOOK_S: Final = 0.1
GAIN_MIN: Final = 0.25
"""Moving costs the caches, so another processor must have so much more to offer."""
ALIKE: Final = 0.1
STAT: Final = Path("/proc/stat")
_IDLE: Final = slice(4, 6)
"""The fields idle and iowait of a line ``cpuN user nice system idle iowait ...``."""


def idle_s(stat: str) -> dict[int, float]:
    """Return seconds that each processor was idle since the start of the machine, by its number."""
    hertz = os.sysconf("SC_CLK_TCK")
    found = {}
    for line in stat.splitlines():
        name, *fields = line.split()
        if name.startswith("cpu") and name != "cpu":
            found[int(name[3:])] = sum(map(int, [name, *fields][_IDLE])) / hertz
    return found


def choose(free: Mapping[int, float], at: int | None, chance: random.Random) -> int:
    """Return the processor to be on, of those whose free share is given; ``at`` is the present one.

    What this process itself takes of ``at`` must be counted as free. Processes that choose at
    the same moment take different ones where several are alike.
    """
    best = max(free.values())
    if at is not None and best - free.get(at, 0.0) < GAIN_MIN:
        return at
    return chance.choice([number for number in free if best - free[number] <= ALIKE])


class OneProcessor:
    """Keeps the process on one of the processors that it may use at the start.

    Where there is but one, or the system has no such call, nothing is done.
    """

    def __init__(self) -> None:
        allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
        self._allowed = allowed if len(allowed) > 1 else set()
        self._at: int | None = None
        self._seen: tuple[float, float, dict[int, float]] | None = None
        self._chance = random.Random()

    def start(self) -> None:
        """Choose soon, and look every second from then on, on a thread of its own."""
        if self._allowed:
            threading.Thread(target=self._run, name="one-processor", daemon=True).start()

    def _run(self) -> None:
        wait_s = FIRST_LOOK_S
        while True:
            try:
                self.look()
            except OSError as error:
                # The processors have changed, or may not be chosen: leave it to the scheduler.
                log.warning("processor_not_chosen", reason=str(error))
                return
            time.sleep(wait_s)
            wait_s = LOOK_S * self._chance.uniform(0.8, 1.2)

    def look(self) -> None:
        """Choose by what happened since the last look; the first one only remembers.

        Raises OSError.
        """
        seen = time.monotonic(), time.process_time(), idle_s(STAT.read_text(encoding="ascii"))
        before, self._seen = self._seen, seen
        if before is None or not self._allowed:
            return
        seconds = max(seen[0] - before[0], 1e-3)
        idle = {n: seen[2][n] - before[2][n] for n in self._allowed if n in before[2]}
        if self._at in idle:
            idle[self._at] += seen[1] - before[1]
        at = choose({n: min(1.0, s / seconds) for n, s in idle.items()}, self._at, self._chance)
        if at != self._at:
            move(at)
            self._at = at


def move(processor: int) -> None:
    """Put every thread of this process on one processor; new threads follow their makers."""
    for thread in os.listdir("/proc/self/task"):
        with contextlib.suppress(ProcessLookupError):  # It has just ended.
            os.sched_setaffinity(int(thread), {processor})
