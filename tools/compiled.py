"""The optional compiled parts: ``python -m tools.compiled build|bridge|remove|status``.

mypyc compiles the sources of ``engine/core`` into extension modules, which are placed beside
them and imported instead; the C++ compiler compiles the bridge between QuickFIX and the gateway
(``tools/bridge.py``; ``bridge`` does that alone). ``remove`` deletes both again. Nothing else
changes, and the same tests run on both.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tools import bridge
from tools.quickfix import FailedError

ROOT: Final = Path(__file__).resolve().parent.parent
CORE: Final = ROOT / "engine" / "core"
SUFFIX: Final = str(sysconfig.get_config_var("EXT_SUFFIX"))
SHARED: Final = re.compile(rb"\b[0-9a-f]{16,}__mypyc\b")
"""The name of the part that compiled modules share."""
PLAIN: Final = (
    "__init__.py", "commands.py", "events.py", "faults.py", "instruments.py", "types.py",
)  # fmt: skip
"""Not compiled: exceptions derive from built-in ones, which mypyc does not compile, and rows
that are sent are decoded by their annotations, which a compiled class does not keep."""


def site_packages() -> Path:
    """Return the folder from which the part that all compiled modules share is imported."""
    return Path(sysconfig.get_path("platlib"))


def compiled_files() -> list[Path]:
    """Return the files of a build. Other packages have shared parts of that kind too."""
    modules = list(CORE.glob(f"*{SUFFIX}"))
    names = {name for path in modules for name in SHARED.findall(path.read_bytes())}
    shared = [site_packages() / f"{name.decode()}{SUFFIX}" for name in sorted(names)]
    return [*modules, *(path for path in shared if path.is_file())]


def compile_in(work: Path, beside: Sequence[str] = ()) -> str:
    """Compile a copy of ``engine/core`` in a folder, beside its sources.

    ``beside`` names further modules in the folder that are compiled too. Returns the output of
    the compiler if it failed, else "".
    """
    shutil.copytree(
        ROOT / "engine", work / "engine", ignore=shutil.ignore_patterns("*.so", "__pycache__")
    )
    (work / "mypy.ini").write_text(
        "[mypy]\npython_version = 3.11\n"
        "[mypy-sortedcontainers.*]\nignore_missing_imports = True\n"
    )
    command = [str(Path(sys.executable).parent / "mypyc")]
    command += [f"engine/core/{name}" for name in sources()] + list(beside)
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
    return (done.stdout[-4000:] + done.stderr[-4000:]) if done.returncode else ""


def sources() -> list[str]:
    """Return the modules of ``engine/core`` that are compiled."""
    return [path.name for path in sorted(CORE.glob("*.py")) if path.name not in PLAIN]


def build() -> int:
    """Compile in a temporary folder and put the result beside the sources."""
    print(f"Compiling {len(sources())} modules of engine/core; this takes about a minute …")
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        fault = compile_in(work)
        if fault:
            print(fault, file=sys.stderr)
            print("The compiled build failed; the plain one is untouched.", file=sys.stderr)
            return 1
        remove_core()
        for path in (work / "engine" / "core").glob(f"*{SUFFIX}"):
            shutil.copy2(path, CORE / path.name)
        for path in work.glob(f"*__mypyc{SUFFIX}"):
            shutil.copy2(path, site_packages() / path.name)
    print(f"Compiled in {time.monotonic() - started:.0f} s.")
    return build_bridge()


def build_bridge() -> int:
    """Compile the bridge to QuickFIX."""
    print("Compiling the bridge between QuickFIX and the gateway; this takes some seconds …")
    started = time.monotonic()
    try:
        bridge.build()
    except FailedError as error:
        print(error, file=sys.stderr)
        print("There is no bridge; the gateway uses QuickFIX as it comes.", file=sys.stderr)
        return 1
    print(f"Compiled in {time.monotonic() - started:.0f} s.")
    return 0


def remove() -> int:
    """Return to the plain build."""
    bridge.remove()
    return remove_core()


def remove_core() -> int:
    """Return to the plain build of the core."""
    for path in compiled_files():
        path.unlink()
    return 0


def status() -> int:
    """Print which build is imported, and whether there is a bridge that can be used."""
    from engine.core import exchange
    from fix_gateway.bridge import load

    print("compiled" if str(exchange.__file__).endswith(SUFFIX) else "plain")
    print("bridge" if load() is not None else "no bridge")
    return 0


def main(arguments: list[str]) -> int:
    """Run one of the commands."""
    commands = {"build": build, "bridge": build_bridge, "remove": remove, "status": status}
    if len(arguments) != 1 or arguments[0] not in commands:
        print("usage: python -m tools.compiled build|bridge|remove|status", file=sys.stderr)
        return 2
    return commands[arguments[0]]()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
