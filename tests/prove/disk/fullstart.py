"""A disk that is full when a journal is opened: it says so, loses nothing, and opens with room.

The journal that is opened was stopped in order, or killed and left its log; and from one of its
writes on, or from the making of one of its files on, there is no room.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from engine.journal.verify import verify
from tests.prove.disk.driver import few_retire
from tests.prove.disk.faults import MEMORY, WENT_ON, WRITE_FAILED, Driver, Tried, promises
from tests.prove.disk.shim import environment
from tests.prove.venue import Venue

WRITES_AT_OPEN_MAX: Final = 30
NAMES_AT_OPEN_MAX: Final = 4
BATCHES: Final = 12
ENDS: Final = ("", f"any:{400}:kill")
"""How the life before ended: in order, or by SIGKILL in the middle of things."""


@few_retire()
def try_full_starts(
    seed: int, every: int = 1, ends: tuple[str, ...] = ENDS,
    tell: Callable[[int], None] = lambda done: None,
) -> Tried:  # fmt: skip
    """Open a journal over a disk that is full from each ``every``-th of its first writes or names
    on."""
    faults = [f"write:{number}:full" for number in range(1, WRITES_AT_OPEN_MAX + 1)]
    faults += [f"name:{number}:enospc" for number in range(1, NAMES_AT_OPEN_MAX + 1)]
    result, driver = Tried(), Driver()
    try:
        for end in ends:
            for fault in faults[::every]:
                with tempfile.TemporaryDirectory(dir=MEMORY) as name:
                    folder = Path(name) / "venue"
                    folder.mkdir()
                    driver.run(folder, seed, BATCHES, end)
                    _try(driver, folder, seed, f"after {end or 'a stop'} {fault}", fault, result)
                tell(result.faults)
    finally:
        driver.close()
    return result


def _try(
    driver: Driver, folder: Path, seed: int, what: str, fault: str, result: Tried
) -> None:
    result.faults += 1
    before = sorted(path.name for path in (folder / "journal").glob("*.segment"))
    acknowledged = max((seq for word, seq in promises(folder) if word == "ack"), default=0)
    code, said = driver.run(folder, seed, 1, fault)
    result.ends["went on" if code == WENT_ON else "stopped"] += 1
    if code not in (WENT_ON, WRITE_FAILED):
        result.findings.append(f"{what}: exit code {code}: {said[-300:]}")
    elif code == WRITE_FAILED and "the disk is full" not in said and "no room" not in said:
        result.findings.append(f"{what}: the sentence does not name the disk: {said[-300:]}")
    elif "without it" in said or "damage" in said:
        result.findings.append(f"{what}: it asks to remove what is good: {said[-300:]}")
    gone = set(before) - {path.name for path in (folder / "journal").glob("*.segment")}
    if gone:
        result.findings.append(f"{what}: segments are gone: {gone}")
    code, said = driver.run(folder, seed, 1, "")
    if code != WENT_ON:
        result.findings.append(f"{what}: not opened with room, exit code {code}: {said[-300:]}")
        return
    report = verify(folder / "journal", folder / "journal" / "snapshots")
    result.findings += [f"{what}: verify: {f.place} {f.text}" for f in report.findings]
    if report.last_seq < acknowledged:
        result.findings.append(f"{what}: {acknowledged} were acknowledged, {report.last_seq} left")


PROCESSES: Final = {
    "history": "/history.db", "fix": "/fix/", "api": "/answers.db:/keys.db:/logins.db",
}  # fmt: skip
"""Processes beside the engine, and the files whose disk is full."""


def try_full_processes(
    names: tuple[str, ...], writes: tuple[int, ...] = (1, 4, 15),
    tell: Callable[[int], None] = lambda done: None,
) -> Tried:  # fmt: skip
    """Start processes over a disk that is full from one of their first writes on.

    Each goes on, or ends in one sentence that names the disk, to be tried again; with room it is
    ready at once.
    """
    result = Tried()
    with tempfile.TemporaryDirectory(prefix="tandem-full-") as folder:
        venue = Venue(Path(folder))
        try:
            venue.start_all("engine")
            for name in names:
                for number in writes:
                    _try_process(venue, name, number, result)
                    tell(result.faults)
        finally:
            venue.kill_all()
    return result


def _try_process(venue: Venue, name: str, number: int, result: Tried) -> None:
    what = f"{name} write:{number}:full"
    result.faults += 1
    child = venue.start(name, environment(PROCESSES[name], fault=f"write:{number}:full"))
    went_on = child.await_ready()
    result.ends["went on" if went_on else "stopped"] += 1
    said = venue.log_of(name, 8_000).lower()
    if not went_on and child.code != WRITE_FAILED:
        result.findings.append(f"{what}: ended with {child.code}: {said[-400:]}")
    elif not went_on and not ("disk" in said and "full" in said or "no room" in said):
        result.findings.append(f"{what}: the sentence does not name the disk: {said[-400:]}")
    child.kill()
    child.popen.wait()
    again = venue.start(name)
    if not again.await_ready():
        said = venue.log_of(name, 2_000)
        result.findings.append(f"{what}: not ready with room, exit code {again.code}: {said}")
    again.kill()
    again.popen.wait()
