"""Which processor a process is put on, and that all its threads go there."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import pytest

from config.processor import GAIN_MIN, choose, idle_s

STAT = """\
cpu  10 0 10 700 100 0 0 0 0 0
cpu0 5 0 5 300 50 0 0 0 0 0
cpu11 5 0 5 400 50 0 0 0 0 0
intr 1 2 3
"""
CHANCE = random.Random(1)


def test_idle_time_is_read_by_processor() -> None:
    hertz = os.sysconf("SC_CLK_TCK")
    assert idle_s(STAT) == {0: 350 / hertz, 11: 450 / hertz}


@pytest.mark.parametrize(
    ("free", "at", "chosen"),
    [
        ({0: 0.2, 1: 0.9}, None, {1}),
        ({0: 0.85, 1: 0.9}, None, {0, 1}),
        ({0: 0.9 - GAIN_MIN + 0.01, 1: 0.9}, 0, {0}),
        ({0: 0.9 - GAIN_MIN - 0.01, 1: 0.9}, 0, {1}),
        ({1: 0.5, 2: 0.1}, 0, {1}),
    ],
    ids=["the least busy one", "any of those alike", "stays", "moves", "its own is gone"],
)
def test_a_processor_is_chosen(
    free: dict[int, float], at: int | None, chosen: set[int]
) -> None:
    assert {choose(free, at, CHANCE) for _ in range(50)} == chosen


PROCESS = """
import os, threading
from config.processor import OneProcessor
stop = threading.Event()
def threads():
    return [os.sched_getaffinity(int(thread)) for thread in os.listdir("/proc/self/task")]
for _ in range(3):
    threading.Thread(target=stop.wait).start()
before, one = threads(), OneProcessor()
one.look()
assert threads() == before
one.look()
after = threads()
threading.Thread(target=stop.wait).start()
print(len(before), len(threads()), len(after[0]), all(found == after[0] for found in threads()))
stop.set()
"""


@pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2, reason="there is no choice with one processor"
)
def test_every_thread_is_put_on_one_processor_and_new_ones_follow() -> None:
    printed = subprocess.run(
        [sys.executable, "-c", PROCESS], check=True, capture_output=True, text=True
    ).stdout
    assert printed == "4 5 1 True\n"
