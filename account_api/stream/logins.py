"""Signatures that have logged in: each may do so once, also across restarts of the process.

A signature of a login is valid for some seconds, and whoever has recorded it could use it again in
that time. Used ones are therefore stored in a file that outlives the process. It is not synced:
when the machine itself has restarted the signatures have expired.
"""

from __future__ import annotations

import sqlite3
from typing import Final

import structlog

from account_api.security.sqlite_file import open_private

_SCHEMA: Final = """
create table if not exists logins (token text primary key, valid_until integer not null)
without rowid
"""
_log: Final = structlog.get_logger("account_api.stream")


class Logins:
    """The store in the file ``path``; for one thread. Opened at the first login."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._open: sqlite3.Connection | None = None
        self._recent: dict[str, int] = {}

    def first(self, token: str, valid_until: int, now_us: int) -> bool:
        """Record a signature; returns False if it has logged in before.

        If the file cannot be used this process's own memory is, and the log says so: what is lost
        then are the signatures that an earlier process has seen.
        """
        while self._recent and next(iter(self._recent.values())) < now_us:
            del self._recent[next(iter(self._recent))]
        if token in self._recent:
            return False
        self._recent[token] = valid_until
        try:
            database = self._database()
            database.execute("delete from logins where valid_until < ?", (now_us,))
            done = database.execute(
                "insert or ignore into logins values (?, ?)", (token, valid_until)
            )
        except (sqlite3.Error, OSError) as error:
            _log.error("logins_not_kept", path=self._path, reason=str(error))
            return True
        return done.rowcount == 1

    def _database(self) -> sqlite3.Connection:
        if self._open is None:
            self._open = open_private(self._path, "pragma synchronous = off", _SCHEMA)
        return self._open

    def close(self) -> None:
        """Close the file, if it was opened."""
        if self._open is not None:
            self._open.close()
            self._open = None
