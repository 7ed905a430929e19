"""What was done to a folder, in order, and what a power loss at any moment leaves of it.

The model is pessimistic: a write is on the disk for certain only when its file was flushed
after it, and a name (of a new, renamed or removed file or folder) only when its folder was
flushed after it. Of everything else any part may be there, in any order, writes in sectors of
512 bytes.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

SECTOR: Final = 512
_HEAD: Final = struct.Struct("<cqII")


class Step(NamedTuple):
    """One change: W write, S flush, T truncate, C create, R rename, U remove, M make folder."""

    kind: str
    path: str
    offset: int
    data: bytes


def read(path: Path) -> list[Step]:
    """The steps of a trace that the layer wrote."""
    raw, place, steps = path.read_bytes(), 0, []
    while place < len(raw):
        kind, offset, length, size = _HEAD.unpack_from(raw, place)
        place += _HEAD.size
        name = raw[place : place + length].decode()
        data = raw[place + length : place + length + size]
        place += length + size
        steps.append(Step(kind.decode(), name, offset, data))
    return steps


@dataclass(slots=True)
class File:
    """Bytes on the disk for certain, and changes that are not flushed."""

    durable: bytearray = field(default_factory=bytearray)
    waiting: list[Step] = field(default_factory=list)

    def after(self, chance: random.Random | None, share: float) -> bytes:
        """The bytes when each waiting sector has this chance to be there; None takes all."""
        content = bytearray(self.durable)
        for step in self.waiting:
            if step.kind == "T":
                if chance is None or chance.random() < share:
                    _resize(content, step.offset)
                continue
            for begin, piece in _sectors(step.offset, step.data):
                if chance is None or chance.random() < share:
                    _put(content, begin, piece)
        return bytes(content)


def _sectors(offset: int, data: bytes) -> Iterable[tuple[int, bytes]]:
    """A write in pieces that never cross the border of a sector."""
    place = 0
    while place < len(data):
        room = SECTOR - (offset + place) % SECTOR
        yield offset + place, data[place : place + room]
        place += room


def _put(content: bytearray, offset: int, piece: bytes) -> None:
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(piece)] = piece


def _resize(content: bytearray, size: int) -> None:
    del content[size:]
    content.extend(bytes(size - len(content)))


class Disk:
    """Takes steps one by one; ``image`` is what may be found after the power was lost."""

    def __init__(self, folder: Path) -> None:
        self._root = str(folder)
        self._live: dict[str, File] = {}
        self._durable_names: dict[str, File] = {}
        self._names: list[Step] = []
        self._moved: dict[int, File] = {}
        self._folders: list[str] = []
        """Folders that were made and whose own folder was not flushed since."""
        self.acknowledged = 0
        self.attempted = 0

    def take(self, step: Step) -> None:
        """One change happened."""
        name = PurePosixPath(step.path).name
        if name == "acks":
            self._promise(step)
        elif step.kind in "WT":
            self._live.setdefault(step.path, File()).waiting.append(step)
        elif step.kind == "S":
            self._flush(step.path)
        elif step.kind == "C":
            self._live[step.path] = self._moved[len(self._names)] = File()
            self._names.append(step)
        elif step.kind == "R":
            self._moved[len(self._names)] = self._live[step.data.decode()] = self._live.pop(
                step.path
            )
            self._names.append(step)
        elif step.kind == "U":
            self._live.pop(step.path, None)
            self._names.append(step)
        elif step.kind == "M":
            self._folders.append(step.path)

    def _promise(self, step: Step) -> None:
        if step.kind == "W":
            word, number = step.data.decode().split()
            if word == "ack":
                self.acknowledged = int(number)
            else:
                self.attempted = int(number)

    def _flush(self, path: str) -> None:
        file = self._live.get(path)
        if file is not None:
            file.durable = bytearray(file.after(None, 1.0))
            file.waiting.clear()
            return
        self._folders = [f for f in self._folders if str(PurePosixPath(f).parent) != path]
        for index, step in enumerate(self._names):
            if step.kind and str(PurePosixPath(step.path).parent) == path:
                self._apply(self._durable_names, step, index)
                self._names[index] = step._replace(kind="")

    def _apply(self, names: dict[str, File], step: Step, index: int) -> None:
        if step.kind == "C":
            names[step.path] = self._moved[index]
        elif step.kind == "R":
            names.pop(step.path, None)
            names[step.data.decode()] = self._moved[index]
        elif step.kind == "U":
            names.pop(step.path, None)

    def image(self, target: Path, chance: random.Random | None, share: float) -> None:
        """Make the folder as it may be found; None for ``chance`` loses nothing.

        ``target`` takes the place of the folder that was traced.
        """
        names = dict(self._durable_names)
        for index, step in enumerate(self._names):
            if step.kind and (chance is None or chance.random() < share):
                self._apply(names, step, index)
        lost = tuple(
            f"{folder}/" for folder in self._folders
            if chance is not None and chance.random() >= share
        )  # fmt: skip
        target.mkdir(parents=True)
        for path, file in names.items():
            if path.startswith(lost):
                continue
            place = target / PurePosixPath(path).relative_to(self._root)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(file.after(chance, share))
