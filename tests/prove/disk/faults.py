"""Each write, flush, truncation and name of a journal fails in turn; then it is opened again."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from engine.journal.verify import verify
from tests.prove.disk.driver import few_retire
from tests.prove.disk.powerloss import MEMORY, ROOT, traced
from tests.prove.disk.shim import environment

ACTIONS: Final[dict[str, tuple[str, ...]]] = {
    "write": ("eio", "enospc", "full", "tear", "short", "kill", "killmid", "killafter"),
    "sync": ("eio", "kill", "killafter"),
    "truncate": ("eio", "kill", "killafter"),
    "name": ("eio", "enospc", "kill", "killafter"),
}
WENT_ON, NOT_OPENED, WRITE_FAILED, KILLED = 0, 3, 4, -signal.SIGKILL


@dataclass(slots=True)
class Tried:
    """What was tried, how the driver ended, and what was found."""

    faults: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)


class Driver:
    """A process that lives lives of a journal, each in a child, each with its own fault."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.prove.disk.driver", "serve"], cwd=ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | environment(),
        )  # fmt: skip

    def run(self, folder: Path, seed: int, batches: int, fault: str) -> tuple[int, str]:
        """One life: exit code and what it said."""
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps([str(folder), seed, batches, fault]) + "\n")
        process.stdin.flush()
        code, said = json.loads(process.stdout.readline())
        return code, said

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


def promises(folder: Path) -> list[tuple[str, int]]:
    """What the driver attempted ("try") and acknowledged ("ack"), in order."""
    acks = folder / "acks"
    words = acks.read_text().split() if acks.exists() else []
    return [(word, int(seq)) for word, seq in zip(words[::2], words[1::2], strict=True)]


def calls(seed: int, batches: int) -> Counter[str]:
    """How many calls of each kind a run without a fault makes."""
    kinds = {"W": "write", "S": "sync", "T": "truncate", "C": "name", "R": "name", "U": "name"}
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        folder = Path(name) / "venue"
        folder.mkdir()
        steps = traced(folder, seed, batches, 1)
        journal = f"{folder}/journal"
        return Counter(
            kinds[step.kind] for step in steps if step.kind in kinds and journal in step.path
        )


def every_fault(seed: int, batches: int) -> list[tuple[str, int, str]]:
    """All that can befall a run: (kind of call, its number, action)."""
    return [
        (op, number, action)
        for op, count in calls(seed, batches).items()
        for number in range(1, count + 1)
        for action in ACTIONS[op]
    ]


def some_faults(seed: int, batches: int, count: int) -> list[tuple[str, int, str]]:
    """A seeded choice of them."""
    everything = every_fault(seed, batches)
    return sorted(random.Random(f"faults {seed}").sample(everything, min(count, len(everything))))


@few_retire()
def try_faults(
    seed: int, batches: int, faults: Iterable[tuple[str, int, str]],
    tell: Callable[[int], None] = lambda done: None,
) -> Tried:  # fmt: skip
    """Run into each fault over a new folder, then without a fault over what it left."""
    result, driver = Tried(), Driver()
    try:
        with tempfile.TemporaryDirectory(dir=MEMORY) as name:
            for op, number, action in faults:
                folder = Path(name) / "venue"
                folder.mkdir()
                _try(driver, folder, seed, batches, f"{op}:{number}:{action}", result)
                shutil.rmtree(folder)
                tell(result.faults)
    finally:
        driver.close()
    return result


def _try(
    driver: Driver, folder: Path, seed: int, batches: int, fault: str, result: Tried
) -> None:
    result.faults += 1
    code, said = driver.run(folder, seed, batches, fault)
    kills = fault.split(":")[2].startswith("kill")
    end = {WENT_ON: "went on", NOT_OPENED: "did not start", WRITE_FAILED: "stopped",
           KILLED: "killed"}.get(code, "")  # fmt: skip
    if not end or code == NOT_OPENED or (code == KILLED and not kills):
        # A disk that fails a call says nothing against the journal: 3 would be wrong.
        result.findings.append(f"{fault}: exit code {code}: {said[-300:]}")
    elif (
        code == WRITE_FAILED and fault.endswith(("full", "enospc"))
        and "disk is full" not in said and "no room" not in said
    ):  # fmt: skip
        result.findings.append(f"{fault}: the sentence does not name the disk: {said[-300:]}")
    elif code == WRITE_FAILED and "journal" not in said and "segment" not in said:
        result.findings.append(f"{fault}: stopped without a reason: {said[-300:]}")
    result.ends[end or "otherwise"] += 1
    before = promises(folder)
    code, said = driver.run(folder, seed, 3, "")
    if code != 0:
        result.findings.append(f"{fault}: not recovered, exit code {code}: {said[-300:]}")
        return
    report = verify(folder / "journal", folder / "journal" / "snapshots")
    result.findings += [f"{fault}: verify: {f.place} {f.text}" for f in report.findings]
    acknowledged = max((seq for word, seq in before if word == "ack"), default=0)
    went_on_at = min(seq for word, seq in promises(folder)[len(before) :])
    if report.last_seq < acknowledged or went_on_at <= acknowledged:
        text = f"{acknowledged} were acknowledged, it went on with {went_on_at}"
        result.findings.append(f"{fault}: {text}")
