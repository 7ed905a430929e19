"""A flipped bit in any byte of a journal, its log, its index or a snapshot.

Each byte is damaged in turn, by one bit that the seed chooses. The audit must find it, unless
nothing that is read depends on it: then every record and the recovered state must be as they
were. In a log that a crash left the damage may also look like a torn last commit.
"""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from engine.journal import segment as files
from engine.journal import wal
from engine.journal.base import JournalError
from engine.journal.local import LocalJournal
from engine.journal.recovery import recover
from engine.journal.snapshots import SnapshotInvalid, read_snapshot, snapshot_paths
from engine.journal.verify import verify
from tests.prove.disk.driver import few_retire
from tests.prove.disk.faults import Driver
from tests.prove.disk.powerloss import MEMORY

LAST_COMMIT_MAX: Final = 9
"""The largest batch of the driver: damage to it looks as a torn write does."""


@dataclass(slots=True)
class Flipped:
    """How many bytes were damaged in turn, and what came of it."""

    tried: int = 0
    found: int = 0
    harmless: int = 0
    findings: list[str] = field(default_factory=list)


class _Sound:
    """A journal as it was written, to which a damaged one is compared."""

    def __init__(self, folder: Path) -> None:
        self.journal = folder / "journal"
        self.snapshots = self.journal / "snapshots"
        self.bodies, self.state = _read(self.journal)
        self.last_seq = len(self.bodies)


def _read(folder: Path) -> tuple[list[bytes], str]:
    """Every record and the state that recovery gives. Raises JournalError."""
    journal = LocalJournal(folder)
    try:
        bodies = [record.body for record in journal.scan(1)]
        exchange, _ = recover(journal, folder / "snapshots", lambda t: None, lambda d, o: None)
        return bodies, exchange.state_hash()
    finally:
        journal.close()


@few_retire()
def flip(
    seed: int, batches: int, every: int, tell: Callable[[int, int], None] = lambda done, of: None
) -> dict[str, Flipped]:
    """Damage every ``every``-th byte of each file of a small journal; results by file."""
    chance = random.Random(f"bits {seed}")
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        folder = Path(name) / "venue"
        folder.mkdir()
        driver = Driver()
        code, said = driver.run(folder, seed, batches, "")
        assert code == 0, said
        crashed = _crash(driver, folder, seed, batches)
        driver.close()
        results = {
            "snapshot": _snapshot(_Sound(folder), chance, every, tell),
            "segment": _segment(_Sound(folder), Path(name), chance, every, tell),
            "index": _index(_Sound(folder), Path(name), chance, every, tell),
            "log": _log(crashed, Path(name), chance, 3 * every, tell),
        }
    return results


def _crash(driver: Driver, folder: Path, seed: int, batches: int) -> Path:
    """A copy that had another life, which ended in the middle and left a log behind.

    None is left where the life ends just as a segment is closed or begun.
    """
    crashed = folder.parent / "crashed"
    for flush in range(30, 40):
        shutil.rmtree(crashed, ignore_errors=True)
        shutil.copytree(folder, crashed)
        driver.run(crashed, seed, batches, f"sync:{flush}:killafter")
        log = wal.wal_path(files.segment_paths(crashed / "journal")[-1])
        if log.exists() and log.stat().st_size > wal.HEADER_BYTES:
            break
    return crashed


def _damaged(
    path: Path, chance: random.Random, every: int, tell: Callable[[int, int], None]
) -> Iterable[int]:
    """Damage one byte after the other, in place; yields where.

    Of the space that seems to hold nothing only each 16th is taken.
    """
    sound = path.read_bytes()
    used = [p for p in range(len(sound)) if any(sound[max(0, p - 4) : p + 5])]
    unused = sorted(set(range(len(sound))) - set(used))
    first = chance.randrange(every)
    positions = used[first::every] + unused[first :: 16 * every]
    for number, position in enumerate(positions):
        data = bytearray(sound)
        data[position] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
        tell(number, len(positions))
        yield position
    path.write_bytes(sound)


def _snapshot(
    sound: _Sound, chance: random.Random, every: int, tell: Callable[[int, int], None]
) -> Flipped:
    result = Flipped()
    path = snapshot_paths(sound.snapshots)[0]
    for position in _damaged(path, chance, every, tell):
        result.tried += 1
        try:
            read_snapshot(path)
            result.findings.append(f"byte {position} of a snapshot: nothing was found")
        except SnapshotInvalid:
            result.found += 1
    return result


def _segment(
    sound: _Sound, work: Path, chance: random.Random, every: int,
    tell: Callable[[int, int], None],
) -> Flipped:  # fmt: skip
    result = Flipped()
    path = files.segment_paths(sound.journal)[-1]
    for position in _damaged(path, chance, every, tell):
        result.tried += 1
        if verify(sound.journal, sound.snapshots).findings:
            result.found += 1
            continue
        _must_be_harmless(sound, work, f"byte {position} of a segment", result)
    return result


def _index(
    sound: _Sound, work: Path, chance: random.Random, every: int,
    tell: Callable[[int, int], None],
) -> Flipped:  # fmt: skip
    result = Flipped()
    for position in _damaged(sound.journal / "index.db", chance, every, tell):
        result.tried += 1
        if verify(sound.journal, sound.snapshots).findings:
            result.found += 1
            continue
        _must_be_harmless(sound, work, f"byte {position} of the index", result)
    return result


def _must_be_harmless(sound: _Sound, work: Path, where: str, result: Flipped) -> None:
    """The audit found nothing: then opening and recovering must give what was written."""
    copy = work / "copy"
    shutil.copytree(sound.journal, copy)
    try:
        if _read(copy) == (sound.bodies, sound.state):
            result.harmless += 1
        else:
            result.findings.append(f"{where}: found by nobody, and other records are read")
    except JournalError:
        result.harmless += 1  # Not by the audit, but whoever opens it is told.
    finally:
        shutil.rmtree(copy)


def _log(
    crashed: Path, work: Path, chance: random.Random, every: int,
    tell: Callable[[int, int], None],
) -> Flipped:  # fmt: skip
    """The log of a crash: refused, or all but the last commit is there."""
    result = Flipped()
    path = wal.wal_path(files.segment_paths(crashed / "journal")[-1])
    if not path.exists():
        result.findings.append("the crash left no log")
        return result
    copy = work / "copy"
    shutil.copytree(crashed / "journal", copy)
    bodies, _ = _read(copy)
    shutil.rmtree(copy)
    for position in _damaged(path, chance, every, tell):
        result.tried += 1
        shutil.copytree(crashed / "journal", copy)
        try:
            there, _ = _read(copy)
            lost = len(bodies) - len(there)
            if there != bodies[: len(there)] or lost > LAST_COMMIT_MAX:
                result.findings.append(f"byte {position} of a log: {lost} transactions are lost")
            result.harmless += 1
        except JournalError:
            result.found += 1
        finally:
            shutil.rmtree(copy)
    return result
