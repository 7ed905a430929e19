"""Each write, flush, truncation and name of a journal fails in turn; then it is opened again."""

from __future__ import annotations

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
from tests.prove.disk.powerloss import MEMORY, ROOT
from tests.prove.disk.shim import environment

ACTIONS: Final[dict[str, tuple[str, ...]]] = {
    "write": ("eio", "enospc", "full", "tear", "short", "kill", "killmid", "killafter"),
    "sync": ("eio", "kill", "killafter"),
    "truncate": ("eio", "kill", "killafter"),
    "name": ("eio", "enospc", "kill", "killafter"),
}
WENT_ON, NOT_OPENED, WRITE_FAILED, KILLED = 0, 3, 4, -signal.SIGKILL
RUN_S_MAX: Final = 60.0


@dataclass(slots=True)
class Tried:
    """What was tried, how the driver ended, and what was found."""

    faults: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)


def run(folder: Path, seed: int, batches: int, extra: dict[str, str]) -> tuple[int, str]:
    """One life of the driver: exit code and what it said."""
    arguments = [str(folder), str(seed), str(batches)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.prove.disk.driver", *arguments], cwd=ROOT,
        capture_output=True, text=True, env=os.environ | extra, timeout=RUN_S_MAX,
    )  # fmt: skip
    return done.returncode, done.stderr


def promises(folder: Path) -> list[tuple[str, int]]:
    """What the driver attempted ("try") and acknowledged ("ack"), in order."""
    acks = folder / "acks"
    words = acks.read_text().split() if acks.exists() else []
    return [(word, int(seq)) for word, seq in zip(words[::2], words[1::2], strict=True)]


def calls(seed: int, batches: int) -> dict[str, int]:
    """How many calls of each kind a run without a fault makes."""
    found = {}
    for op in ACTIONS:
        with tempfile.TemporaryDirectory(dir=MEMORY) as name:
            count = Path(name) / "count"
            folder = Path(name) / "venue"
            folder.mkdir()
            extra = environment(str(folder / "journal"), fault=f"{op}:1:note", count=count)
            code, said = run(folder, seed, batches, extra)
            assert code == 0, said
            found[op] = int.from_bytes(count.read_bytes()[:8], sys.byteorder)
    return found


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


def try_faults(
    seed: int, batches: int, faults: Iterable[tuple[str, int, str]],
    tell: Callable[[int], None] = lambda done: None,
) -> Tried:  # fmt: skip
    """Run into each fault over a new folder, then without a fault over what it left."""
    result = Tried()
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        for op, number, action in faults:
            folder = Path(name) / "venue"
            folder.mkdir()
            _try(folder, seed, batches, f"{op}:{number}:{action}", result)
            shutil.rmtree(folder)
            tell(result.faults)
    return result


def _try(folder: Path, seed: int, batches: int, fault: str, result: Tried) -> None:
    result.faults += 1
    extra = environment(str(folder / "journal"), fault=fault)
    code, said = run(folder, seed, batches, extra)
    kills = fault.split(":")[2].startswith("kill")
    end = {WENT_ON: "went on", NOT_OPENED: "did not start", WRITE_FAILED: "stopped",
           KILLED: "killed"}.get(code, "")  # fmt: skip
    if not end or (code == KILLED and not kills):
        result.findings.append(f"{fault}: exit code {code}: {said[-300:]}")
    elif code in (NOT_OPENED, WRITE_FAILED) and "journal" not in said and "segment" not in said:
        result.findings.append(f"{fault}: stopped without a reason: {said[-300:]}")
    result.ends[end or "otherwise"] += 1
    before = promises(folder)
    code, said = run(folder, seed, 3, {})
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
