"""Create the engine's listening socket: private, and replacing only a dead one."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path
from typing import Final

BACKLOG: Final = 128
UNIX_PATH_BYTES_MAX: Final = 107


def private_folder(folder: Path) -> None:
    """Create a folder that only its owner can enter. Raises PermissionError if that fails."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.stat()
    if stat.S_IMODE(status.st_mode) & 0o077 == 0:
        return
    if status.st_uid != os.geteuid() or status.st_mode & stat.S_ISVTX:
        raise PermissionError(
            f"folder {folder} can be entered by others; use one that belongs to the engine's "
            "user alone (mode 0700)"
        )
    folder.chmod(0o700)


def listen(path: Path) -> socket.socket:
    """Return a listening socket with mode 0600; a file left by a dead engine is removed.

    Raises ValueError for a path that is too long, OSError if another process listens there.
    """
    if len(os.fsencode(path)) > UNIX_PATH_BYTES_MAX:
        raise ValueError(
            f"the socket path {path} is longer than the {UNIX_PATH_BYTES_MAX} bytes that the "
            "system allows; choose a shorter data folder"
        )
    private_folder(path.parent)
    if path.exists():
        _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(mask)
    listener.setblocking(False)
    listener.listen(BACKLOG)
    return listener


def _remove_stale(path: Path) -> None:
    if not stat.S_ISSOCK(path.stat().st_mode):
        raise FileExistsError(f"{path} exists and is not a socket; remove it or choose another")
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        probe.connect(str(path))
    except ConnectionRefusedError:
        path.unlink()
        return
    finally:
        probe.close()
    raise OSError(errno.EADDRINUSE, f"another engine listens on {path}")
