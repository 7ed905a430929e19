"""Detect damage in the write-ahead log of a segment that a crash left behind.

SQLite reads its log up to the first frame whose checksum is wrong and silently discards the
rest. That is right for the one commit that a power loss may have torn, but a flipped bit in
an older frame would discard acknowledged transactions too. Every commit is flushed before
the next one begins, so more than one commit after a bad frame means damage. The format is
that of https://www.sqlite.org/fileformat2.html#walformat.

When everything in the log is in the database as well, SQLite restarts it by overwriting the
header. A crash may tear that write; then the log holds nothing that is needed.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from typing import BinaryIO, Final

HEADER_BYTES: Final = 32
FRAME_HEADER_BYTES: Final = 24
DATABASE_HEADER_BYTES: Final = 100
MAGIC_LITTLE: Final = 0x377F0682
MAGIC_BIG: Final = 0x377F0683
_MASK: Final = 0xFFFFFFFF


def wal_path(database: Path) -> Path:
    """Return the path of a database's write-ahead log."""
    return database.with_name(database.name + "-wal")


def damage(database: Path) -> str:
    """Return what is wrong with the log of a database beyond what a crash can explain, else ""."""
    path = wal_path(database)
    if not path.exists() or path.stat().st_size <= HEADER_BYTES:
        return ""
    with open(path, "rb") as file:
        return _damage(file, database)


def _damage(file: BinaryIO, database: Path) -> str:
    name = wal_path(database).name
    header = file.read(HEADER_BYTES)
    magic, _, page_bytes, _, salt1, salt2, sum1, sum2 = struct.unpack(">8I", header)
    order = {MAGIC_LITTLE: "<", MAGIC_BIG: ">"}.get(magic)
    if order is None or _checksum(order, header[:24], 0, 0) != (sum1, sum2):
        if _all_in_database(file, database):
            return ""
        return f"the header of {name} is not what was written"
    running = (sum1, sum2)
    number, bad, commits_after = 0, 0, 0
    while True:
        frame = file.read(FRAME_HEADER_BYTES)
        page = file.read(page_bytes)
        if len(page) < page_bytes:
            break
        number += 1
        _, commit, frame_salt1, frame_salt2, sum1, sum2 = struct.unpack(">6I", frame)
        salted = (frame_salt1, frame_salt2) == (salt1, salt2)
        if bad:
            commits_after += bool(commit and salted)
            continue
        running = _checksum(order, frame[:8], *running)
        running = _checksum(order, page, *running)
        if not salted or running != (sum1, sum2):
            bad = number
            commits_after += bool(commit and salted)
    if commits_after > 1:
        return (
            f"frame {bad} of {name} is not what was written, and {commits_after} commits "
            "follow it"
        )
    return ""


def _all_in_database(file: BinaryIO, database: Path) -> bool:
    """Return True if everything that the commits of this log wrote is in the database file too.

    The header is unusable here, so the first frame is not verified; the others are those of the
    same generation whose checksums follow from it.
    """
    order = "<" if sys.byteorder == "little" else ">"
    with open(database, "rb") as pages:
        head = pages.read(DATABASE_HEADER_BYTES)
        page_bytes = int.from_bytes(head[16:18], "big")
        written: dict[int, bytes] = {}
        committed: dict[int, bytes] = {}
        generation = sums = None
        file.seek(HEADER_BYTES)
        while len(frame := file.read(FRAME_HEADER_BYTES)) == FRAME_HEADER_BYTES:
            page = file.read(page_bytes)
            number, commit, salt1, salt2, *stated = struct.unpack(">6I", frame)
            if len(page) < page_bytes or generation not in (None, (salt1, salt2)):
                break
            if sums is not None:
                running = _checksum(order, page, *_checksum(order, frame[:8], *sums))
                if list(running) != stated:
                    break
            generation, sums = (salt1, salt2), stated
            written[number] = page
            if commit:
                committed |= written
                written.clear()
        for number, page in committed.items():
            pages.seek((number - 1) * page_bytes)
            if pages.read(page_bytes) != page:
                return False
    return bool(page_bytes)


def _checksum(order: str, data: bytes, first: int, second: int) -> tuple[int, int]:
    words = iter(struct.unpack(f"{order}{len(data) // 4}I", data))
    for one, two in zip(words, words, strict=True):
        first = (first + one + second) & _MASK
        second = (second + two + first) & _MASK
    return first, second
