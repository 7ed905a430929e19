"""Processors that do not fall asleep between two orders.

A processor with nothing to do sleeps, and waking it takes some tens of microseconds, at every one
of the six times that an order changes hands between processes or waits for the disk. Linux lets a
process ask for none of that: while it holds ``/dev/cpu_dma_latency`` open, having written the
number 0, no processor of the machine sleeps. The kernel forgets it when the process ends, however
it ends (spec/decisions/0017-processors-kept-awake.md).
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Final

import structlog

log = structlog.get_logger()

DEVICE: Final = Path("/dev/cpu_dma_latency")
NO_LATENCY: Final = struct.pack("=i", 0)
"""What waking up may take, in microseconds."""


class Awake:
    """Keeps every processor of the machine awake from ``start`` to ``close``."""

    def __init__(self, device: Path = DEVICE) -> None:
        self._device = device
        self._held = -1

    def start(self) -> None:
        """Ask the kernel; where it does not let us, say so and go on without."""
        try:
            self._held = os.open(self._device, os.O_WRONLY | os.O_CLOEXEC)
            os.write(self._held, NO_LATENCY)
        except OSError as error:
            self.close()
            log.warning(
                "processors_not_kept_awake",
                reason=f"engine.keep_awake needs to write to {self._device}, which failed: "
                f"{error.strerror}; docs/deployment.md says who may, or set it to false",
            )
        else:
            log.info("processors_kept_awake")

    def close(self) -> None:
        """Let them sleep again."""
        if self._held >= 0:
            os.close(self._held)
            self._held = -1
