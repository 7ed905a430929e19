"""Every moment of a journal's life, cut off by a loss of power, with all that may remain."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from engine.core.events import ClientIdsRetired
from engine.core.types import RetiredId
from engine.journal.base import JournalError
from engine.journal.local import LocalJournal
from engine.journal.recovery import recover
from engine.journal.verify import verify
from engine.wire import decode_transaction
from tests.prove.disk import trace
from tests.prove.disk.driver import few_retire
from tests.prove.disk.shim import environment

ROOT: Final = Path(__file__).parent.parent.parent.parent
SHARES: Final = (0.0, 0.5, 0.95, 1.0)
"""How likely each sector that was not flushed is to be there all the same; 1 is no loss."""
MEMORY: Final = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Images are made by the thousand; flushing them for real would prove nothing more."""


@dataclass(slots=True)
class Explored:
    """What was tried and what was found."""

    steps: int = 0
    images: int = 0
    verified: int = 0
    lost_unacknowledged: int = 0
    retired: int = 0
    """Ids looked up in a recovered index."""
    findings: list[str] = field(default_factory=list)


def traced(
    folder: Path, seed: int, batches: int, lives: int, *options: str
) -> list[trace.Step]:
    """The steps of a driver that is started so many times over one folder."""
    steps = folder.parent / "trace"
    arguments = [str(folder), str(seed), str(batches), *options]
    for _ in range(lives):
        done = subprocess.run(
            [sys.executable, "-m", "tests.prove.disk.driver", *arguments],
            cwd=ROOT, capture_output=True, text=True,
            env=os.environ | environment(str(folder), trace=steps),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    return trace.read(steps)


@few_retire()
def explore(
    seed: int, batches: int, lives: int, every: int, *options: str,
    tell: Callable[[int, int], None] = lambda done, of: None,
) -> Explored:  # fmt: skip
    """Cut a traced run after each ``every``-th step and recover from what may be left."""
    chance, result = random.Random(f"power {seed}"), Explored()
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        home = Path(name)
        folder = home / "venue"
        folder.mkdir()
        steps = traced(folder, seed, batches, lives, *options)
        bodies = _bodies(folder)
        disk = trace.Disk(folder)
        first = chance.randrange(every)
        for number, step in enumerate(steps):
            disk.take(step)
            result.steps += 1
            if number % every == first:
                tell(number, len(steps))
                for share in SHARES:
                    image = home / "image"
                    disk.image(image, chance if share < 1 else None, share)
                    _check(image, disk, bodies, result, f"step {number}, share {share}", chance)
                    shutil.rmtree(image)
            if len(result.findings) >= 10:
                break
    return result


def _bodies(folder: Path) -> list[bytes]:
    journal = LocalJournal(folder / "journal")
    bodies = [record.body for record in journal.scan(1)]
    journal.close()
    return bodies


def _retired(bodies: list[bytes]) -> list[RetiredId]:
    """The client order ids that retired in these records, each as it did last."""
    events = (event for body in bodies for event in decode_transaction(body).events)
    rows = (row for event in events if isinstance(event, ClientIdsRetired) for row in event.ids)
    return list({(row.account, row.client_order_id): row for row in rows}.values())


def _check(
    image: Path, disk: trace.Disk, bodies: list[bytes], result: Explored, where: str,
    chance: random.Random,
) -> None:  # fmt: skip
    """Recover from an image: everything acknowledged is there, and nothing else came."""
    result.images += 1
    snapshots = image / "journal" / "snapshots"
    try:
        journal = LocalJournal(image / "journal")
    except JournalError as error:
        result.findings.append(f"{where}: the journal cannot be opened: {error}")
        return
    try:
        exchange, _ = recover(journal, snapshots, lambda text: None, lambda done, of: None)
        last = journal.last_seq
        kept = [record.body for record in journal.scan(1)]
        if last < disk.acknowledged:
            text = f"{disk.acknowledged} were acknowledged and {last} are there"
            result.findings.append(f"{where}: {text}")
        elif last > disk.attempted or exchange.seq != last or kept != bodies[:last]:
            result.findings.append(f"{where}: the {last} records are not those written")
        result.lost_unacknowledged += last < disk.attempted
        for row in _retired(kept):
            result.retired += 1
            if journal.find_retired(row.account, row.client_order_id) != row:
                result.findings.append(f"{where}: the index lacks {row.client_order_id}")
    except JournalError as error:
        result.findings.append(f"{where}: no recovery: {error}")
    finally:
        journal.close()
    if chance.random() < 0.1:
        result.verified += 1
        report = verify(image / "journal", snapshots)
        result.findings += [f"{where}: verify: {f.place} {f.text}" for f in report.findings]
