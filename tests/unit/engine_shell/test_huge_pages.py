"""Huge pages are asked for piece by piece, for large private memory and nothing else."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import pytest

import engine.memory as engine_memory
from engine.memory import MAPPING_MIN, PIECE, HugePages, pieces

MAPS = """\
00400000-00421000 r--p 00000000 08:01 1234 /usr/bin/python3.11
55d0c0100000-55d0c9000000 rw-p 00000000 00:00 0 [heap]
7f0000001000-7f0000300000 rw-p 00000000 00:00 0
7f1000000000-7f1010000000 rw-p 00000000 08:01 99 /data/shared
7f2000000000-7f2010000000 r--p 00000000 00:00 0
7f3000001000-7f3004400000 rw-p 00000000 00:00 0
"""


def test_only_whole_pieces_of_large_private_mappings_are_meant() -> None:
    found = list(pieces(MAPS))
    heap = [address for address in found if address < 0x7F0000000000]
    large = [address for address in found if address >= 0x7F0000000000]
    assert (heap[0], heap[-1] + PIECE) == (0x55D0C0200000, 0x55D0C9000000)
    assert (large[0], large[-1] + PIECE) == (0x7F3000200000, 0x7F3004400000)
    assert all(address % PIECE == 0 for address in found)


def huge_bytes(address: int) -> int:
    """How much of the mapping at an address is in huge pages, by the kernel's own account."""
    within = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        head = line.split()
        if "-" in head[0] and len(head) >= 5:
            start, end = (int(text, 16) for text in head[0].split("-"))
            within = start <= address < end
        elif within and head[0] == "AnonHugePages:":
            return int(head[1]) * 1024
    raise AssertionError("no such mapping")


def test_a_large_mapping_comes_to_lie_in_huge_pages() -> None:
    with mmap.mmap(-1, 2 * MAPPING_MIN, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        for offset in range(0, len(memory), os.sysconf("SC_PAGESIZE")):
            memory[offset] = 1
        pages = HugePages()
        pages.begin()
        mine = [at for at in pages._left if inside(memory, at)]
        assert len(mine) >= 2 * MAPPING_MIN // PIECE - 1
        if not engine_memory.collapse(mine[0]):
            pytest.skip("this kernel makes no huge pages when asked")
        steps = 0
        while pages.pending:
            pages.step()
            steps += 1
        assert steps >= len(mine)
        assert huge_bytes(mine[0]) >= MAPPING_MIN
        assert set(memory[:: os.sysconf("SC_PAGESIZE")]) == {1}


def inside(memory: mmap.mmap, address: int) -> bool:
    """Whether an address lies in the mapping of ``memory``."""
    import ctypes

    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    return start <= address < start + len(memory)


def test_a_kernel_without_the_call_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def unknown(address: int) -> bool:
        asked.append(address)
        engine_memory.ctypes.set_errno(engine_memory.EINVAL)
        return False

    monkeypatch.setattr(engine_memory, "collapse", unknown)
    pages = HugePages()
    pages._left = [PIECE, 2 * PIECE, 3 * PIECE]
    pages.step()
    assert asked == [3 * PIECE] and not pages.pending
