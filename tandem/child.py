"""Runs a module as a child that cannot outlive its supervisor: ``child.py PARENT_PID MODULE``.

The kernel is asked to send SIGTERM when the parent dies, however it dies, and then this
interpreter is replaced by one that runs the module. The request survives the replacement.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def main() -> None:
    """Tie this process to its parent and become the module."""
    parent, module = int(sys.argv[1]), sys.argv[2]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM) != 0:
        raise OSError(ctypes.get_errno(), "prctl failed")
    if os.getppid() != parent:
        # The parent died before the kernel was asked; nobody would ever end this process.
        raise SystemExit(f"the supervisor {parent} is gone")
    os.execv(sys.executable, [sys.executable, "-m", module])


if __name__ == "__main__":
    main()
