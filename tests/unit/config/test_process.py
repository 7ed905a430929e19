"""What every process does alike."""

from __future__ import annotations

import subprocess
import sys

from config.process import COLLECT_AFTER

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
