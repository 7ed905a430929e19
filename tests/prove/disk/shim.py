"""Builds the layer of ``shim.c`` and says with which environment a process gets it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).parent / "shim.c"


class NoCompiler(RuntimeError):
    """There is no C compiler, so the layer cannot be built."""


def compiler() -> str | None:
    """The C compiler, if there is one."""
    return shutil.which("cc") or shutil.which("gcc")


def library(source: Path = SOURCE) -> Path:
    """The shared library, built once for each version of its source. Raises NoCompiler."""
    program = compiler()
    if program is None:
        raise NoCompiler("a C compiler is needed (Debian: apt-get install gcc libc6-dev)")
    name = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"tandem-shim-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    built = folder / f"{name}.so"
    if not built.exists():
        draft = folder / f"{name}.{os.getpid()}"
        subprocess.run(
            [program, "-shared", "-fPIC", "-O1", "-o", str(draft), str(source), "-ldl"],
            check=True, capture_output=True,
        )  # fmt: skip
        draft.rename(built)
    return built


def environment(
    *match: str, fault: str = "", trace: Path | None = None, count: Path | None = None,
    group: bool = False,
) -> dict[str, str]:  # fmt: skip
    """What a process needs in its environment to have the layer below it."""
    found = {"LD_PRELOAD": str(library()), "SHIM_MATCH": ":".join(match)}
    if fault:
        found["SHIM_FAULT"] = fault
    if trace is not None:
        found["SHIM_TRACE"] = str(trace)
    if count is not None:
        found["SHIM_COUNT"] = str(count)
    if group:
        found["SHIM_GROUP"] = "1"
    return found
