"""The wall clock of one machine, which may be set while its processes run; see ``clock.c``."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

from tests.prove.disk import shim

SOURCE: Final = Path(__file__).parent / "clock.c"
_NS: Final = 1_000_000_000


class Clock:
    """How far the clock of a machine is ahead. Raises NoCompiler where there is none."""

    def __init__(self, file: Path) -> None:
        self._file = file
        file.write_bytes(bytes(8))
        self.environment = {"LD_PRELOAD": str(shim.library(SOURCE)), "CLOCK_FILE": str(file)}
        """What a process needs to go by it."""

    def set(self, ahead_s: float) -> None:
        """Set it, for the processes that run and for those to come."""
        with self._file.open("r+b", buffering=0) as file:
            file.write(struct.pack("=q", round(ahead_s * _NS)))
