"""QuickFIX for this virtual environment: ``python -m tools.quickfix source|wheel|headers FOLDER``.

``source`` compiles the official source, whose hash ``requirements.txt`` has, and keeps the wheel
under ``$XDG_CACHE_HOME/tandem`` (``~/.cache/tandem``), so that it is compiled once per user and not
once per virtual environment. ``wheel`` installs the prebuilt ``quickfix-tls`` of
``requirements-quickfix-wheel.txt`` instead. ``headers`` unpacks the C++ sources, for programs that
are compiled against them.

Only pip, setuptools and wheel are needed, as ``requirements-build.txt`` has them.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.locks import QUICKFIX_WHEEL, ROOT, entries
from tools.unpack import unpack

SETUP: Final = Path(__file__).with_name("quickfix_setup.py")
NAMES: Final = {"source": "quickfix", "wheel": "quickfix-tls"}
LOCKS: Final = {"source": "requirements.txt", "wheel": QUICKFIX_WHEEL}
TOLD_EVERY_S: Final = 10.0
"""Between two lines of progress where nobody looks at a terminal."""
LINES_MAX: Final = 20


class FailedError(Exception):
    """QuickFIX cannot be had; the message says why, and what would help."""


def main(arguments: Sequence[str]) -> int:
    """Install it, or unpack its headers."""
    try:
        match arguments:
            case ["source" | "wheel" as which]:
                install(which)
            case ["headers", folder]:
                headers(Path(folder))
            case _:
                print("usage: python -m tools.quickfix source|wheel|headers FOLDER",
                      file=sys.stderr)  # fmt: skip
                return 2
    except FailedError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def install(which: str) -> None:
    """Have the environment hold the locked QuickFIX of that kind, and not the other."""
    (other,) = NAMES.keys() - {which}
    requirement, hashes = pinned(which)
    if installed(which) == str(requirement.specifier).removeprefix("==") and not installed(other):
        return
    if installed(other):
        # Both have a module `quickfix`, and the first would take files of the second with it.
        pip("uninstall", "--yes", *(NAMES[one] for one in NAMES if installed(one)))
    if which == "wheel":
        print(f"Installing {requirement}, which others have compiled.", flush=True)
        pip("install", "--require-hashes", "--no-deps", "--only-binary", ":all:",
            "--requirement", str(ROOT / QUICKFIX_WHEEL))  # fmt: skip
        return
    wheel = compiled(requirement, hashes)
    pip("install", "--no-deps", "--no-index", str(wheel))


def pinned(which: str) -> tuple[Requirement, tuple[str, ...]]:
    """Return the requirement and the hashes that a lock file has for QuickFIX."""
    text = (ROOT / LOCKS[which]).read_text(encoding="utf-8")
    (found,) = (one for one in entries(text) if canonicalize_name(one[0].name) == NAMES[which])
    return found


def installed(which: str) -> str:
    """Return the version that is installed, or ""."""
    try:
        return metadata.version(NAMES[which])
    except metadata.PackageNotFoundError:
        return ""


def compiled(requirement: Requirement, hashes: Sequence[str]) -> Path:
    """Return QuickFIX's wheel, from the cache or else compiled now."""
    folder = cache(hashes)
    for wheel in folder.glob("*.whl"):
        print(f"Installing QuickFIX, as it was compiled before ({wheel}).", flush=True)
        return wheel
    need_compiler()
    began = time.monotonic()
    cores = len(os.sched_getaffinity(0))
    print(f"Compiling {requirement} from source, on {cores} core{'s'[:cores > 1]}. The wheel is "
          f"kept in {folder}.", flush=True)  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        source = unpacked(requirement, hashes, work)
        build(source, work / "compiler.log", work / "wheels")
        (made,) = (work / "wheels").glob("*.whl")
        kept = keep(made, folder)
    print(f"QuickFIX is compiled after {time.monotonic() - began:.0f} s.", flush=True)
    return kept


def cache(hashes: Sequence[str]) -> Path:
    """Return the folder for wheels of this source, compiled in this way, for this Python."""
    made_of = [
        *hashes, SETUP.read_text(encoding="utf-8"), str(sysconfig.get_config_var("SOABI")),
        *platform.libc_ver(),
    ]  # fmt: skip
    name = hashlib.sha256("\n".join(made_of).encode()).hexdigest()[:16]
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "tandem" / f"quickfix-{name}"


def keep(wheel: Path, folder: Path) -> Path:
    """Move a wheel into the cache, whole or not at all; a cache that is closed is done without."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as part:
            part.write(wheel.read_bytes())
            part.flush()
            os.fsync(part.fileno())
        os.replace(part.name, folder / wheel.name)
    except OSError as error:
        print(f"The wheel is not kept: {error}.", file=sys.stderr)
        kept = Path(sys.prefix) / wheel.name
        shutil.copy(wheel, kept)
        return kept
    return folder / wheel.name


def need_compiler() -> None:
    """Raise FailedError if there is nothing to compile with."""
    if shutil.which("g++") is None:
        raise FailedError("A C++ compiler is needed (Debian 12: apt-get install build-essential).")
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        raise FailedError("Python's headers are needed (Debian 12: apt-get install python3-dev).")


def unpacked(requirement: Requirement, hashes: Sequence[str], folder: Path) -> Path:
    """Fetch the locked source and return its unpacked folder."""
    wanted = folder / "quickfix.txt"
    wanted.write_text(f"{requirement} {' '.join(f'--hash={one}' for one in hashes)}\n")
    pip("download", "--no-deps", "--no-binary", ":all:", "--no-build-isolation",
        "--require-hashes", "--dest", str(folder), "--requirement", str(wanted))  # fmt: skip
    (archive,) = folder.glob("quickfix-*.tar.gz")
    with tarfile.open(archive) as tar:
        unpack(tar, folder)
    return archive.with_name(archive.name.removesuffix(".tar.gz"))


def build(source: Path, log: Path, wheels: Path) -> None:
    """Compile the wheel, and say how far it is."""
    command = [sys.executable, str(SETUP), str(log), "bdist_wheel", "--dist-dir", str(wheels)]
    began = told = time.monotonic()
    live = sys.stdout.isatty()
    with subprocess.Popen(command, cwd=source, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            done, total, name = line.split()
            now = time.monotonic()
            text = f"  {done} of {total} files, {now - began:.0f} s"
            if live:
                print(f"\r{text}  {name:<32}", end="", flush=True)
            elif now - told >= TOLD_EVERY_S or done == total:
                told = now
                print(text, flush=True)
    if live:
        print()
    if process.returncode != 0:
        said = log.read_text(errors="replace").splitlines()
        errors = [line for line in said if "error" in line.lower()] or said
        raise FailedError("\n".join(["QuickFIX cannot be compiled:", *errors[-LINES_MAX:]]))


def headers(folder: Path) -> None:
    """Unpack the C++ sources into ``folder/quickfix``, for ``#include <quickfix/…>``."""
    if (folder / "quickfix").is_dir():
        return
    with tempfile.TemporaryDirectory() as scratch:
        source = unpacked(*pinned("source"), Path(scratch))
        shutil.copytree(source / "C++", folder / "quickfix")


def pip(*arguments: str) -> None:
    """Run pip. Raises FailedError."""
    command = [sys.executable, "-m", "pip", *arguments[:1], "--quiet", "--quiet", *arguments[1:]]
    if subprocess.run(command, check=False).returncode != 0:
        raise FailedError(f"pip {arguments[0]} failed; its reason is above.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
