"""Runs a module as a child that cannot outlive its supervisor: ``child.py PARENT_PID MODULE …``.

It asks the kernel to send SIGTERM when the parent dies (PR_SET_PDEATHSIG) and then executes a new
interpreter that runs the module. The request survives the exec. The interpreter does not look for
modules in the folder where it was started, which may have a ``config`` of its own.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def main() -> None:
    """Bind this process to its parent's lifetime and execute the module."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM) != 0:
        raise OSError(ctypes.get_errno(), "prctl failed")
    if os.getppid() != parent:
        # The parent died before the request, so no signal would ever come.
        raise SystemExit(f"the supervisor {parent} is gone")
    os.execv(sys.executable, [sys.executable, "-P", "-m", *command])


if __name__ == "__main__":
    main()
