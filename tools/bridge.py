"""The optional bridge between QuickFIX and the FIX gateway, compiled from ``fix_gateway/native``.

``make compiled`` builds it in some seconds, against the headers of the QuickFIX that is installed;
it is linked with that one's library and used with no other (``fix_gateway/bridge.py``).
"""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path
from typing import Final

import _quickfix

from fix_gateway.bridge import made_for
from tools.quickfix import FailedError, cache, headers, installed, need_compiler, pinned

ROOT: Final = Path(__file__).resolve().parent.parent
GATEWAY: Final = ROOT / "fix_gateway"
NAME: Final = f"_bridge{sysconfig.get_config_var('EXT_SUFFIX')}"
COMPILE: Final = (
    "g++", "-std=c++17", "-O2", "-g0", "-fPIC", "-shared", "-fvisibility=hidden",
    "-fno-access-control", "-Wall", "-Wextra", "-Wno-deprecated",
)  # fmt: skip


def build(gateway: Path = GATEWAY) -> Path:
    """Compile the bridge into a gateway's package; return the file. Raises FailedError."""
    if not installed("source"):
        raise FailedError(
            "The bridge needs QuickFIX as it is compiled from source (make setup QUICKFIX=source)."
        )
    need_compiler()
    requirement, hashes = pinned("source")
    if str(requirement.specifier).removeprefix("==") != installed("source"):
        raise FailedError(f"QuickFIX is not the locked {requirement}: make setup.")
    # Beside the wheel of the same source.
    included = cache(hashes) / "headers"
    headers(included)
    library = Path(_quickfix.__file__)
    made, unfinished = gateway / NAME, gateway / f"{NAME}.new"
    command = [
        *COMPILE, f'-DMADE_FOR="{made_for()}"',
        *(f"-isystem{folder}" for folder in (included, included / "quickfix",
                                             sysconfig.get_path("include"))),
        *map(str, sorted((gateway / "native").glob("*.cpp"))),
        f"-L{library.parent}", f"-l:{library.name}", f"-Wl,-rpath,{library.parent}",
        "-o", str(unfinished),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        unfinished.unlink(missing_ok=True)
        raise FailedError(f"The bridge cannot be compiled:\n{done.stderr[-4000:]}")
    return unfinished.replace(made)


def remove(gateway: Path = GATEWAY) -> None:
    """Take the bridge away; the gateway uses QuickFIX as it comes."""
    (gateway / NAME).unlink(missing_ok=True)
