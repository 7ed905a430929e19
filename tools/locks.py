"""The lock files, made from setup.cfg by uv: ``python -m tools.locks lock|upgrade``.

``lock`` follows a change of setup.cfg and changes nothing else. ``upgrade`` takes the newest
release of everything that setup.cfg allows. Both print what changed. The files are valid for every
Python that setup.cfg allows, and name no package index: each machine uses its own.
"""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).resolve().parent.parent
LOCKS: Final[Mapping[str, tuple[str, ...]]] = {
    "requirements-test.txt": ("build", "postgres", "docs", "dev", "test"),
    "requirements-docs.txt": ("postgres", "docs"),
    "requirements.txt": ("postgres",),
}
"""Lock file → the extras that it contains. The first has all; the others are subsets of it."""
BUILD: Final = "requirements-build.txt"
"""pip and setuptools, with which all others are installed; the extra ``build`` alone."""
QUICKFIX_WHEEL: Final = "requirements-quickfix-wheel.txt"
"""The prebuilt QuickFIX, for who wants it instead of the source in ``requirements.txt``."""
APART: Final[Mapping[str, str]] = {
    "requirements-ccxt.txt": "ccxt",
    "requirements-freqtrade.txt": "freqtrade",
    QUICKFIX_WHEEL: "quickfix-wheel",
}
"""Lock file → the extra that it contains alone: its packages share no environment with others."""
PYTHON_MIN: Final = "3.11"


def entries(text: str) -> Iterator[tuple[Requirement, tuple[str, ...]]]:
    """Yield each pinned requirement of a lock file with its hashes."""
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            wanted, *hashes = line.split("--hash=")
            yield Requirement(wanted.strip()), tuple(one.strip() for one in hashes)


def pinned(text: str) -> dict[str, str]:
    """Return the versions of each package in a lock file; several if markers distinguish them."""
    found: dict[str, list[str]] = {}
    for requirement, _ in entries(text):
        name = canonicalize_name(requirement.name)
        found.setdefault(name, []).append(str(requirement.specifier).removeprefix("=="))
    return {name: ", ".join(versions) for name, versions in found.items()}


def moved(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Return the differences between two lock files, a line each."""
    lines = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old != new:
            lines.append(f"{name}: {old or 'not there'} -> {new or 'gone'}")
    return lines


def compile_lock(
    target: str, sources: Sequence[str], upgrade: bool, constraint: str = "", text: str = ""
) -> None:
    """Have uv write one lock file from files, or from a text as the source ``-``."""
    command = [
        sys.executable, "-m", "uv", "--quiet", "pip", "compile", "--universal",
        "--python-version", PYTHON_MIN, "--generate-hashes", "--no-emit-index-url",
        "--custom-compile-command", "make lock", "--output-file", target, *sources,
    ]  # fmt: skip
    if upgrade:
        command.append("--upgrade")
    if constraint:
        command += ["--constraint", constraint]
    subprocess.run(command, check=True, cwd=ROOT, env=environment(), input=text.encode())


def environment() -> dict[str, str]:
    """Return the environment for uv, which does not read where pip has been told to look."""
    told = dict(os.environ)
    for variable, key in (("UV_DEFAULT_INDEX", "global.index-url"),
                          ("SSL_CERT_FILE", "global.cert")):  # fmt: skip
        if variable not in told:
            asked = subprocess.run(
                [sys.executable, "-m", "pip", "config", "get", key],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            if asked.returncode == 0:
                told[variable] = asked.stdout.strip()
    return told


def write(upgrade: bool) -> list[str]:
    """Write every lock file. Return what changed."""
    whole = next(iter(LOCKS))
    before = locked()
    for name, extras in LOCKS.items():
        chosen = [part for extra in extras for part in ("--extra", extra)]
        constraint = "" if name == whole else whole
        compile_lock(name, ["setup.cfg", *chosen], upgrade, constraint)
    compile_lock(BUILD, ["-"], upgrade, whole, "\n".join(requirements("build")))
    for name, extra in APART.items():
        compile_lock(name, ["-"], upgrade, text="\n".join(requirements(extra)))
    lines: list[str] = []
    for name, after in locked().items():
        # What stands in several files is told once.
        lines += [line for line in moved(before[name], after) if line not in lines]
    return lines


def locked() -> dict[str, dict[str, str]]:
    """Return the versions in the lock file that has all, and in those apart from it."""
    paths = {name: ROOT / name for name in (next(iter(LOCKS)), *APART)}
    return {
        name: pinned(path.read_text(encoding="utf-8")) if path.exists() else {}
        for name, path in paths.items()
    }


def requirements(*extras: str) -> list[str]:
    """Return what setup.cfg asks for under the names of extras."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    table = parser["options.extras_require"]
    return [line.strip() for extra in extras for line in table[extra].splitlines() if line.strip()]


def main(arguments: Sequence[str]) -> int:
    """Write the lock files and print what changed."""
    if list(arguments) not in (["lock"], ["upgrade"]):
        print("Say lock or upgrade.", file=sys.stderr)
        return 2
    lines = write(upgrade=arguments[0] == "upgrade")
    print("\n".join(lines) if lines else "Nothing moved.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
