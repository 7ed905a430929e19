"""Huge pages under a large state, where the kernel has them.

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
from collections.abc import Iterator
from errno import EINVAL
from pathlib import Path
from typing import Final

MADV_COLLAPSE: Final = 25
PIECE: Final = 2 << 20
MAPPING_MIN: Final = 64 << 20
"""Smaller states fit into what the processor remembers of its page tables."""
MAPS: Final = Path("/proc/self/maps")

_libc = ctypes.CDLL(None, use_errno=True)
_libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


def pieces(maps: str, mapping_min: int = MAPPING_MIN) -> Iterator[int]:
    """Addresses of the 2 MiB pieces of large private mappings that belong to no file."""
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
