"""What breaks at the bounds of setup.cfg: ``python -m tools.bounds oldest|newest``.

A separate environment, in a temporary folder, gets the oldest or the newest versions that
setup.cfg allows, and runs the tests that need no venue around them. It decides nothing: it reports
in a few lines what broke, within ``--minutes``, and the exit code is 0 either way. The lock files
determine what is installed; this shows whether the ranges of setup.cfg still hold.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tools import quickfix
from tools.locks import LOCKS, PYTHON_MIN, ROOT, environment, moved, pinned

RESOLUTIONS: Final = {"oldest": "lowest-direct", "newest": "highest"}
WHOLE: Final = next(iter(LOCKS))
TESTS: Final = (
    "tests/style", "tests/golden", "tests/unit", "tests/api",
    # On purpose, the installed versions are not the locked ones.
    "--deselect=tests/style/test_dependencies.py",
    # These start processes, or run for long.
    "--ignore=tests/api/test_processes.py", "--ignore=tests/api/stream/test_process.py",
    "--ignore=tests/api/test_schemathesis.py",
)  # fmt: skip
LINES_MAX: Final = 15


class GaveUpError(Exception):
    """The result could not be determined; the message says why."""


def run(command: Sequence[str], ends: float, **more: object) -> str:
    """Return the output of a command. Raises GaveUpError if it fails or time is up."""
    code, said = attempt(command, ends, **more)
    if code != 0:
        last = [line for line in said.splitlines() if line.strip()][-3:]
        raise GaveUpError(f"{Path(command[0]).name} failed: {' / '.join(last)}")
    return said


def attempt(command: Sequence[str], ends: float, **more: object) -> tuple[int, str]:
    """Return the exit code and the output of a command and all that it started."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT,
        start_new_session=True, **more,  # type: ignore[call-overload]
    )  # fmt: skip
    try:
        said, _ = process.communicate(timeout=max(1.0, ends - time.monotonic()))
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise GaveUpError(f"no time was left for {Path(command[0]).name}") from None
    return process.returncode, str(said)


def resolved(which: str, folder: Path, ends: float) -> Path:
    """Return the list of versions, as uv finds it."""
    target = folder / "versions.txt"
    extras = [part for extra in LOCKS[WHOLE] for part in ("--extra", extra)]
    run(
        [sys.executable, "-m", "uv", "--quiet", "pip", "compile", "--python-version", PYTHON_MIN,
         "--resolution", RESOLUTIONS[which], "--no-header", "--no-annotate",
         "--output-file", str(target), "setup.cfg", *extras],
        ends, env=environment(),
    )  # fmt: skip
    return target


def tried(which: str, folder: Path, ends: float) -> list[str]:
    """Return what broke at a bound, in lines."""
    versions = resolved(which, folder, ends)
    own = folder / "venv"
    python = str(own / "bin" / "python")
    run([sys.executable, "-m", "venv", str(own)], ends)
    # QuickFIX's wheel is there already, if it is the version that the lock has.
    wheels = str(quickfix.cache(quickfix.pinned("source")[1]))
    run(
        [python, "-m", "pip", "install", "-qq", "--no-deps", "--find-links", wheels,
         "-r", str(versions)],
        ends,
    )  # fmt: skip
    code, said = attempt(
        [python, "-m", "pytest", "-q", "-n", "2", "--dist", "loadgroup", "-p", "no:cacheprovider",
         "--maxfail", "30", *TESTS],
        ends,
    )  # fmt: skip
    summary = next(
        (line.strip("= ") for line in reversed(said.splitlines()) if " in " in line), "no summary"
    )
    broken = re.findall(r"^(?:FAILED|ERROR) .*$", said, re.MULTILINE)
    lines = [f"The {which} versions that setup.cfg allows: {summary}."]
    if code != 0:
        lines += broken[:LINES_MAX] or said.splitlines()[-LINES_MAX:]
        locked = pinned((ROOT / WHOLE).read_text(encoding="utf-8"))
        here = pinned(versions.read_text(encoding="utf-8"))
        apart = [line for line in moved(locked, here) if "gone" not in line]
        lines.append(f"Versions apart from the lock: {'; '.join(apart) or 'none'}.")
    return lines


def main(arguments: Sequence[str]) -> int:
    """Try one bound and print what broke."""
    parser = argparse.ArgumentParser(prog="python -m tools.bounds")
    parser.add_argument("which", choices=sorted(RESOLUTIONS))
    parser.add_argument("--minutes", type=float, default=10.0)
    options = parser.parse_args(arguments)
    ends = time.monotonic() + options.minutes * 60
    with tempfile.TemporaryDirectory() as folder:
        try:
            print("\n".join(tried(options.which, Path(folder), ends)))
        except GaveUpError as error:
            print(f"The {options.which} versions that setup.cfg allows: not known, {error}.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
