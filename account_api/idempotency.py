"""What was answered under an Idempotency-Key or a request_id, in one SQLite file for all workers.

Natural ids (of orders, withdrawals, transfers, deposits) are the law: the engine knows them
and no answer here can make money move twice or not at all. This memory serves requests that
have no such id, and clients that prefer one rule for all of them; the decision is in
``spec/decisions/0005-idempotency.md``.

An entry is written before the request goes to the engine and completed with the answer. An
entry whose worker died, or whose outcome is unknown, is done again by the next identical
request. What was refused leaves no entry: nothing was done, so the key is free.
"""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import threading
from collections.abc import Callable
from typing import Final

import msgspec
import structlog

from account_api.errors import Problem
from account_api.reply import REPLAYED, Reply
from account_api.sqlitefile import open_private

BUSY_US: Final = 30_000_000
"""After this long without an answer the worker that began is taken for dead."""
KEY_FORM: Final = re.compile(r"[!-~]{1,64}\Z")
_SCHEMA: Final = """
create table if not exists answers (
    owner text not null, key text not null, request blob not null,
    busy_until integer not null, status integer not null, body blob,
    primary key (owner, key)
) without rowid
"""
_encoder: Final = msgspec.json.Encoder()
_log: Final = structlog.get_logger("account_api")


def fingerprint(*parts: str | bytes) -> bytes:
    """What must be the same in two requests with one key."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8) + data)
    return digest.digest()


class Idempotency:
    """The memory, in the file ``path``. Thread-safe; opened anew in each process."""

    def __init__(self, path: str, clock_us: Callable[[], int]) -> None:
        self._path = path
        self._clock_us = clock_us
        self._lock = threading.Lock()
        self._pid = 0
        self._open: sqlite3.Connection | None = None

    def once(self, owner: str, key: str, request: bytes, work: Callable[[], Reply]) -> Reply:
        """Do ``work``, or answer as it was answered before under the same key of the owner.

        Raises Problem: ``idempotency_key_reused`` (422) for another request,
        ``idempotency_key_in_flight`` (409) while the first one is being done, and what
        ``work`` raises.
        """
        try:
            known = self._claim(owner, key, request)
        except sqlite3.Error as error:
            raise Problem(
                "idempotency_unavailable", "What was answered before cannot be read."
            ) from error
        if known is not None:
            return known
        try:
            reply = work()
        except Problem as problem:
            self._settle(owner, key, None, unknown=problem.outcome == "unknown")
            raise
        except BaseException:
            self._settle(owner, key, None, unknown=True)
            raise
        self._settle(owner, key, reply, unknown=False)
        return reply

    def _claim(self, owner: str, key: str, request: bytes) -> Reply | None:
        """The answer that is known, or None when the caller is the one to do the work."""
        with self._lock:
            database = self._database()
            database.execute("begin immediate")
            try:
                known = self._claim_within(database, owner, key, request)
            except BaseException:
                database.execute("rollback")
                raise
            database.execute("commit")
            return known

    def _claim_within(
        self, database: sqlite3.Connection, owner: str, key: str, request: bytes
    ) -> Reply | None:
        now = self._clock_us()
        row = database.execute(
            "select request, busy_until, status, body from answers where owner = ? and key = ?",
            (owner, key),
        ).fetchone()
        if row is None:
            database.execute(
                "insert into answers values (?, ?, ?, ?, 0, null)",
                (owner, key, request, now + BUSY_US),
            )
            return None
        if row[0] != request:
            raise Problem(
                "idempotency_key_reused",
                f"The key {key} belongs to another request; take a new key for a new request.",
            )
        if row[2]:
            return Reply(msgspec.Raw(row[3]), 200, (REPLAYED,))
        if row[1] > now:
            raise Problem(
                "idempotency_key_in_flight",
                f"The request with the key {key} is being done at this moment; ask again.",
                headers=(("Retry-After", "1"),),
            )
        database.execute(
            "update answers set busy_until = ? where owner = ? and key = ?",
            (now + BUSY_US, owner, key),
        )
        return None

    def _settle(self, owner: str, key: str, reply: Reply | None, *, unknown: bool) -> None:
        """Keep the answer, free the key, or let the next identical request find out."""
        where = (owner, key)
        try:
            with self._lock:
                database = self._database()
                if reply is not None:
                    body = _encoder.encode(reply.body if reply.kept is None else reply.kept)
                    database.execute(
                        "update answers set status = ?, body = ? where owner = ? and key = ?",
                        (reply.status, body, *where),
                    )
                elif unknown:
                    database.execute(
                        "update answers set busy_until = 0 where owner = ? and key = ?", where
                    )
                else:
                    database.execute("delete from answers where owner = ? and key = ?", where)
        except sqlite3.Error as error:
            # The entry stays open, so the next identical request is done, and the engine
            # knows it by its natural id.
            _log.warning("answer_not_kept", reason=str(error))

    def _database(self) -> sqlite3.Connection:
        """The connection of this process (the lock is held)."""
        if self._open is None or self._pid != os.getpid():
            self._open, self._pid = open_private(self._path, _SCHEMA), os.getpid()
        return self._open

    def close(self) -> None:
        """Close the file, if this process has opened it."""
        with self._lock:
            if self._open is not None and self._pid == os.getpid():
                self._open.close()
            self._open = None
