"""A copy of the project with the compiled core, to measure both builds in one run.

``compiled_copy`` compiles ``engine/core`` in a copy of the project in a temporary folder, so
that the project itself stays as it is. A benchmark that is started there measures that build.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.common import done, progress
from tools.compiled import compile_in

ROOT: Final = Path(__file__).parent.parent
COPY: Final = "TANDEM_BENCHMARK_COMPILED"
TELL_S: Final = 10
"""Between two lines of progress."""
BESIDE: Final = "benchmarks/book_own.py"
"""Compiled along, as an order of the book is a compiled object that it makes and reads."""


@contextmanager
def compiled_copy() -> Iterator[Path]:
    """Yield a folder with the engine, its core compiled, and the benchmarks; about a minute.

    The one that the environment names, if there is one, so that a whole report makes it once.
    """
    if COPY in os.environ:
        yield Path(os.environ[COPY])
        return
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        shutil.copytree(
            ROOT / "benchmarks", work / "benchmarks",
            ignore=shutil.ignore_patterns("*.so", "__pycache__"),
        )  # fmt: skip
        progress("compiling engine/core with mypyc in a temporary folder: about a minute")
        fault = compile_in(work, (BESIDE,))
        done()
        if fault:
            raise RuntimeError(f"the compiled build failed:\n{fault}")
        yield work


def printed(folder: Path, python: Path | str, *command: str, timeout_s: float = 600) -> str:
    """Return what a module prints that is run in a folder, whose packages it uses.

    If it takes long, how long it runs already is said now and then.
    """
    start = time.monotonic()
    with subprocess.Popen(
        [str(python), "-m", *command], cwd=folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            while True:
                try:
                    output, complaint = process.communicate(timeout=min(TELL_S, timeout_s))
                    break
                except subprocess.TimeoutExpired:
                    ran_s = time.monotonic() - start
                    if ran_s >= timeout_s:
                        raise
                    progress(f"{command[0]} runs for {ran_s:.0f} s now")
        except BaseException:
            process.kill()  # Else the end of this block waits for it.
            raise
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{complaint[-2000:]}")
    return output


def printed_here(*command: str, timeout_s: float = 600) -> str:
    """Return the same in the project itself."""
    return printed(ROOT, sys.executable, *command, timeout_s=timeout_s)
