"""What the engine does about memory: no collection while it trades, huge pages when idle.

The state is millions of objects that live long and form no cycles, so reference counting
frees them; looking at each of them once or twice, as Python's collector of cycles does by
itself, takes a fifth of the time of a command and stalls trading. What may form cycles is the
shell around the core: a traceback, a connection that has ended. It is looked at when nothing
waits to be done, together with what little was made since the last look. What was made while
there was no such moment is set aside unseen (``gc.freeze``, O(1)): it is still freed by
reference counting.

A venue with a million open orders lies scattered over a gigabyte. In pages of 4 KiB nearly
every order that is touched costs a walk through the page tables, and the fork of a snapshot
copies a table of a quarter of a million entries while trading waits. The same memory in pages
of 2 MiB needs neither. Python's allocator has no switch for them, so the kernel is asked for
each piece (``madvise`` with MADV_COLLAPSE, Linux 6.1 and later). A piece takes a few
milliseconds the first time, so it is done when nothing waits; elsewhere nothing happens and
nothing is lost.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from errno import EINVAL
from pathlib import Path
from typing import Final

LOOK_COMMANDS_MAX: Final = 2_000
"""A look after so many commands takes about a millisecond."""
ASIDE_COMMANDS: Final = 100_000
MADV_COLLAPSE: Final = 25
PIECE: Final = 2 << 20
MAPPING_MIN: Final = 64 << 20
"""Smaller states fit into what the processor remembers of its page tables."""
MAPS: Final = Path("/proc/self/maps")

_libc = ctypes.CDLL(None, use_errno=True)
_libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


def pieces(maps: str, mapping_min: int = MAPPING_MIN) -> Iterator[int]:
    """Yield addresses of the 2 MiB pieces of large private mappings that belong to no file."""
    for line in maps.splitlines():
        span, mode, _, _, inode, *_ = line.split()
        start, end = (int(text, 16) for text in span.split("-"))
        if mode == "rw-p" and inode == "0" and end - start >= mapping_min:
            yield from range(-(-start // PIECE) * PIECE, end // PIECE * PIECE, PIECE)


def collapse(address: int) -> bool:
    """Have one piece backed by a huge page; False where that cannot be."""
    done: int = _libc.madvise(address, PIECE, MADV_COLLAPSE)
    return done == 0


class HugePages:
    """Works through the state piece by piece, one at each call of ``step``."""

    def __init__(self) -> None:
        self._left: list[int] = []

    @property
    def pending(self) -> bool:
        """Whether there is more to do."""
        return bool(self._left)

    def begin(self) -> None:
        """Look at the mappings as they are now: at the start, and after each snapshot, whose
        copies have broken up the pieces that were written to meanwhile. Reads one file."""
        self._left = list(pieces(MAPS.read_text(encoding="ascii", errors="replace")))

    def step(self) -> None:
        """Do one piece. A kernel that knows no such call is not asked again."""
        if self._left and not collapse(self._left.pop()) and ctypes.get_errno() == EINVAL:
            self._left.clear()


class Collector:
    """Runs the collector of this process by hand; made when the state has been restored."""

    def __init__(self, seq: int) -> None:
        gc.disable()
        gc.freeze()
        self._seq = seq

    def turn(self, seq: int, idle: bool) -> None:
        """Collect or set aside what was made since; ``idle``: nothing was to be done."""
        made = seq - self._seq
        if idle:
            if made <= LOOK_COMMANDS_MAX:
                gc.collect(0)
            else:
                gc.freeze()
        elif made >= ASIDE_COMMANDS:
            gc.freeze()
        else:
            return
        self._seq = seq


class Memory:
    """The collector of cycles and the huge pages of this process, one small step at a time."""

    def __init__(self, seq: int) -> None:
        self._collector = Collector(seq)
        self._pages = HugePages()
        self._pages.begin()

    @property
    def pending(self) -> bool:
        """Whether a turn without work is wanted soon."""
        return self._pages.pending

    def turn(self, seq: int, idle: bool) -> None:
        """Take a step after the turn that ended at ``seq``; ``idle``: nothing was to be done."""
        self._collector.turn(seq, idle)
        if idle:
            self._pages.step()

    def broken_up(self) -> None:
        """Begin again after a snapshot: what was written to meanwhile is in small pages."""
        self._pages.begin()
