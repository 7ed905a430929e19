"""What every process does alike."""

from __future__ import annotations

import errno
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from config.process import (
    COLLECT_AFTER,
    EXIT_CONFIGURATION,
    EXIT_UNAVAILABLE,
    no_space,
    start_failure,
)

# In a process of its own: the collector belongs to the whole of it.
PROGRAM = """
import gc
from config.process import collect_seldom
before = gc.get_threshold()
collect_seldom()
after = gc.get_threshold()
print(gc.isenabled(), gc.get_freeze_count() > 1000, after[0], after[1:] == before[1:])

class Node:
    pass

def cycle(found=[]):
    node = Node()
    node.itself = node
    import weakref
    weakref.finalize(node, found.append, 1)
    return found

for _ in range(2 * after[0]):
    found = cycle()
print(len(found) > 0)
"""


def test_the_collector_looks_seldom_but_looks() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True", "True", str(COLLECT_AFTER), "True", "True"]


def test_what_keeps_a_process_from_starting_has_a_code_and_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    code, text = start_failure(full)
    assert code == EXIT_UNAVAILABLE and text.startswith("the disk is full")
    # What wraps it, as SQLAlchemy does, is the same.
    wrapping = RuntimeError("could not")
    wrapping.orig = full  # type: ignore[attr-defined]
    assert no_space(wrapping) and start_failure(wrapping)[0] == EXIT_UNAVAILABLE
    code, text = start_failure(PermissionError(errno.EACCES, "Permission denied", "/x/lock"))
    assert code == EXIT_CONFIGURATION
    assert text.startswith("/x/lock cannot be used by the user") and "Permission denied" in text
    assert start_failure(OSError(errno.EADDRINUSE, "Address in use"))[0] == EXIT_UNAVAILABLE
    vague = sqlite3.OperationalError("disk I/O error")
    assert "full" not in start_failure(vague, tmp_path)[1]
    monkeypatch.setattr("config.process.PAGE_ROOM_BYTES", 1 << 62)
    assert "the disk is full" in start_failure(vague, tmp_path)[1]
