"""Classify errors of SQLite and of the system: a damaged journal, or a full or failing disk.

The two must not be confused. Damage needs a person, and nothing may be changed until then. A full
disk or a failed call does not mean that stored data is damaged: once there is space again the same
files are valid, so the engine may be restarted until it succeeds.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path
from typing import Final

from engine.journal.base import JournalCorrupt, JournalError, JournalFailed, JournalForbidden

DAMAGE: Final = (sqlite3.Error, UnicodeDecodeError)
"""What reading a damaged file raises: SQLite's errors, also where they quote what is no text."""

_FULL: Final = frozenset((errno.ENOSPC, errno.EDQUOT))
_FORBIDDEN: Final = frozenset((errno.EACCES, errno.EPERM, errno.EROFS))
_OF_THE_SYSTEM: Final = frozenset(
    (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_CANTOPEN)
)
_SHORT_READ: Final = sqlite3.SQLITE_IOERR | 2 << 8
_CORRUPT_FILE_SYSTEM: Final = sqlite3.SQLITE_IOERR | 33 << 8
_OF_THE_FILE: Final = frozenset((_SHORT_READ, _CORRUPT_FILE_SYSTEM))


def of_reading(error: Exception, what: str, folder: Path) -> JournalError:
    """Return the failure of a read: JournalFailed if the system failed, else JournalCorrupt.

    ``what`` is the beginning of the sentence, which names the file.
    """
    if _of_the_system(error):
        return JournalFailed(f"{what}: {_words(error, folder)}")
    return JournalCorrupt(f"{what}: {error}")


def of_opening(error: OSError, folder: Path) -> JournalError:
    """Return the failure to create or open a file of the journal."""
    what = f"the journal in {folder} cannot be opened"
    if error.errno in _FORBIDDEN:
        return JournalForbidden(
            f"{what} by the user with id {os.geteuid()}: {error}; start the engine as the user "
            "who owns the data folder"
        )
    return JournalFailed(f"{what}: {_words(error, folder)}")


def of_writing(error: Exception, folder: Path) -> JournalFailed:
    """Return the failure of a write."""
    return JournalFailed(
        f"the journal in {folder} could not be written: {_words(error, folder)}"
    )


def _of_the_system(error: Exception) -> bool:
    code = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF in _OF_THE_SYSTEM and code not in _OF_THE_FILE


def _words(error: Exception, folder: Path) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    full = code == sqlite3.SQLITE_FULL or getattr(error, "errno", 0) in _FULL
    if full or _no_room(folder):
        return f"the disk is full; what was acknowledged is safe, make room ({error})"
    if code == sqlite3.SQLITE_CANTOPEN:
        # SQLite does not report which.
        return f"{error}: no room for it, no permission, or too many open files"
    return str(error)


def _no_room(folder: Path) -> bool:
    """Return True if the disk of a folder has no space for one page or no free inode."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        disk = os.statvfs(folder)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < 1 << 16 or (disk.f_files > 0 and disk.f_favail == 0)
