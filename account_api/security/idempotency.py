"""Answers under an Idempotency-Key or a request_id, in one SQLite file for all workers.

Client ids (of orders, withdrawals, transfers, deposits) come first: the engine knows them, and
no answer here can make money move twice or not at all. This store serves requests that have no
such id, and clients that prefer one rule for all requests; the decisions are in
``spec/decisions/0005-idempotency.md`` and ``spec/decisions/0021-answers-and-who-gave-them.md``.

An entry is written before the request goes to the engine and completed with the answer. If its
worker has died, or its outcome is unknown, the next identical request first has the engine say what
became of the first one's token, which the engine remembers for a minute, and which can do nothing
any more after that. If the request was done, it goes to the engine under that token again, for the
original result; if it was not, it is a new one. After that minute what does no more the second
time is done again, and anything else is refused, since it might be done twice. A refused request
leaves no entry: nothing was done, so the key is free. An answer that cannot be written (because the
disk is full, say) is retried, so that a repeat is refused as in progress no longer than the disk is
full.

Answers about money are kept permanently. Others are kept for a day, or less if they are many.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec
import structlog

from account_api.errors import Problem
from account_api.reply import REPLAYED, Reply
from account_api.security.process_locks import Holders
from account_api.security.sqlite_file import open_private, transaction

TOKEN_US: Final = 55_000_000
"""The engine remembers a token at least for so long after its request was claimed."""
BUSY_US: Final = 30_000_000
"""After this long without an answer the thread counts as stuck, even if its process lives."""
KEPT_US: Final = 86_400_000_000
"""How long an answer that is not about money is kept."""
KEPT_BYTES_MAX: Final = 256 << 20
"""Above this size of the file the oldest answers that are not about money are deleted earlier."""
UNWRITTEN_MAX: Final = 1_000
"""Answers that wait in memory until they can be written, each for ``BUSY_US`` at most."""
WRITE_AGAIN_S: Final = 0.25
PRUNED_AT_ONCE: Final = 200
PRUNE_EVERY: Final = 64
KEY_FORM: Final = re.compile(r"[!-~]{1,64}\Z")
_SCHEMA: Final = """
create table if not exists answers (
    owner text not null, key text not null, request blob not null,
    busy_until integer not null, status integer not null, body blob,
    primary key (owner, key)
) without rowid
"""
_COLUMNS: Final = {
    "holder": "integer not null default 0",
    "token": "text not null default ''",
    "money": "integer not null default 1",
    "at": "integer not null default 0",
    "seq": "integer not null default 0",
}
"""Columns added since the first release; rows from before are kept permanently."""
_encoder: Final = msgspec.json.Encoder()
_log: Final = structlog.get_logger("account_api")


def fingerprint(*parts: str | bytes) -> bytes:
    """Hash what must be the same in two requests with one key."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8) + data)
    return digest.digest()


class _Claim(NamedTuple):
    """The right to do a request. ``again``: an earlier copy had it, of which nobody knows more than
    that it was claimed ``at`` (µs) under ``token``, and was done as ``seq`` unless that is 0."""

    token: str
    again: bool = False
    at: int = 0
    seq: int = 0


class Idempotency:
    """The store in the file ``path``. Thread-safe; each process opens the file itself."""

    def __init__(
        self, path: str, clock_us: Callable[[], int], bytes_max: int = KEPT_BYTES_MAX
    ) -> None:
        self._path = path
        self._clock_us = clock_us
        self._bytes_max = bytes_max
        self._lock = threading.Lock()
        self._pid = 0
        self._open: sqlite3.Connection | None = None
        self._holders = Holders("" if path == ":memory:" else f"{path}-holders")
        self._settled = 0
        self._unwritten: dict[tuple[str, str], tuple[int, Reply | None, bool]] = {}
        """What could not be written, and until when (µs) it is tried again."""

    def once(
        self,
        owner: str,
        key: str,
        request: bytes,
        work: Callable[[str], Reply],
        token: str = "",
        money: bool = True,
        find: Callable[[str], int] | None = None,
        repeatable: bool = True,
    ) -> Reply:
        """Do ``work``, or return the reply that was given under the same key of the owner before.

        ``work`` gets the token to send to the engine: ``token``, or that of the earlier request
        whose outcome is not known. ``find`` returns the seq in which a token was done, 0 if it was
        not and cannot be any more; it raises Problem. What is not ``repeatable`` is not done a
        second time while it may have been done.

        Raises Problem: ``idempotency_key_reused`` (422) for another request,
        ``idempotency_key_in_flight`` (409) while the first one is in progress, ``already_done`` or
        ``idempotency_outcome_unknown`` (409), ``idempotency_unavailable`` (503), and what ``work``
        raises.
        """
        try:
            claim = self._claim(owner, key, request, token, money)
        except (sqlite3.Error, OSError) as error:
            raise _unavailable() from error
        if isinstance(claim, Reply):
            return claim
        repeats = claim.again and bool(claim.token) and find is not None
        try:
            if repeats and find is not None:
                claim = self._find_out(owner, key, claim, find, repeatable)
            reply = work(claim.token)
        except Problem as problem:
            # A repeat frees no key: its signature may be that of the first, whose token is spent.
            self._settle(owner, key, None, unknown=repeats or problem.outcome == "unknown")
            if claim.seq:
                raise _was_done(problem) from problem
            raise
        except BaseException:
            self._settle(owner, key, None, unknown=True)
            raise
        self._settle(owner, key, reply, unknown=False)
        return reply

    def _find_out(
        self,
        owner: str,
        key: str,
        claim: _Claim,
        find: Callable[[str], int],
        repeatable: bool,
    ) -> _Claim:
        """Find out what became of an earlier copy; return the claim with which to go on.

        Raises Problem, with the outcome "unknown" where it is.
        """
        if self._clock_us() - claim.at > TOKEN_US:
            if claim.seq and not repeatable:
                raise Problem("already_done", "The request was done; query what it has changed.")
            if not repeatable:
                raise Problem(
                    "idempotency_outcome_unknown",
                    "The first request with this key got no response, and whether it was done can "
                    "no longer be determined; query what it would have changed, and use a new key.",
                )
            return claim
        if claim.seq:
            return claim
        try:
            seq = find(claim.token)
        except Problem as problem:
            problem.outcome = "unknown"
            problem.detail = (
                "Whether the first request with this key was done cannot be determined at this "
                "moment; repeat the identical request."
            )
            raise
        if seq:
            claim = claim._replace(seq=seq)
        else:
            claim = _Claim(secrets.token_hex(32), at=self._clock_us())
        try:
            with self._lock:
                self._database().execute(
                    "update answers set token = ?, at = ?, seq = ?"
                    " where owner = ? and key = ? and holder = ? and status = 0",
                    (claim.token, claim.at, claim.seq, owner, key, self._holders.own()),
                )
        except (sqlite3.Error, OSError) as error:
            unavailable = _unavailable()
            unavailable.outcome = "unknown"
            raise unavailable from error
        return claim

    def _claim(
        self, owner: str, key: str, request: bytes, token: str = "", money: bool = True
    ) -> Reply | _Claim:
        """Return the stored reply, or the claim with which the caller is to do the work."""
        with self._lock, transaction(database := self._database()):
            now, own = self._clock_us(), self._holders.own()
            row = database.execute(
                "select request, busy_until, status, body, holder, token, at, seq from answers"
                " where owner = ? and key = ?",
                (owner, key),
            ).fetchone()
            if row is None:
                database.execute(
                    "insert into answers (owner, key, request, busy_until, status, holder, token,"
                    " money, at) values (?, ?, ?, ?, 0, ?, ?, ?, ?)",
                    (owner, key, request, now + BUSY_US, own, token, money, now),
                )
                return _Claim(token, at=now)
            known_request, busy_until, status, body, holder, first_token, at, seq = row
            if known_request != request:
                raise Problem(
                    "idempotency_key_reused",
                    f"The key {key} belongs to another request; use a new key for a new request.",
                )
            if status:
                return Reply(msgspec.Raw(_unpacked(body)), 200, (REPLAYED,))
            # A worker that was killed holds no lock, so nobody waits for its answer.
            if busy_until > now and self._holders.lives(holder):
                raise Problem(
                    "idempotency_key_in_flight",
                    f"The request with the key {key} is still in progress; try again.",
                    headers=(("Retry-After", "1"),),
                )
            database.execute(
                "update answers set busy_until = ?, holder = ? where owner = ? and key = ?",
                (now + BUSY_US, own, owner, key),
            )
            return _Claim(first_token, True, at, seq)

    def _settle(self, owner: str, key: str, reply: Reply | None, *, unknown: bool) -> None:
        """Store the reply, free the key, or let the next identical request find out."""
        with self._lock:
            try:
                self._write(owner, key, reply, unknown)
            except (sqlite3.Error, OSError) as error:
                _log.warning("answer_not_kept", reason=str(error))
                self._write_later(owner, key, reply, unknown)
                return
            self._settled += 1
            if self._settled % PRUNE_EVERY != 1:
                return
            try:
                self._prune(self._database())
            except (sqlite3.Error, OSError) as error:
                _log.warning("answers_not_pruned", reason=str(error))

    def _write(self, owner: str, key: str, reply: Reply | None, unknown: bool) -> None:
        """Settle an entry of this process (the lock is held), unless another has taken it over."""
        database = self._database()
        where = "where owner = ? and key = ? and holder = ? and status = 0"
        which = (owner, key, self._holders.own())
        if reply is not None:
            body = _encoder.encode(reply.body if reply.kept is None else reply.kept)
            database.execute(
                f"update answers set status = ?, body = ? {where}",
                (reply.status, zlib.compress(body), *which),
            )
        elif unknown:
            database.execute(f"update answers set busy_until = 0 {where}", which)
        else:
            database.execute(f"delete from answers {where}", which)

    def _write_later(self, owner: str, key: str, reply: Reply | None, unknown: bool) -> None:
        """Retry in the background (the lock is held), until the entry counts as stuck.

        After that the next identical request is done again, and the engine recognises it by its
        client id.
        """
        if len(self._unwritten) >= UNWRITTEN_MAX:
            return
        begins = not self._unwritten
        self._unwritten[owner, key] = (self._clock_us() + BUSY_US, reply, unknown)
        if begins:
            threading.Thread(
                target=self._write_again, args=(os.getpid(),), name="answers", daemon=True
            ).start()

    def _write_again(self, pid: int) -> None:
        """Write what could not be written, as soon as that is possible; runs as a thread."""
        written = 0
        while True:
            time.sleep(WRITE_AGAIN_S)  # No event says that a disk has room again.
            with self._lock:
                if self._pid != pid:
                    return  # The file was closed.
                try:
                    for (owner, key), (until, reply, unknown) in list(self._unwritten.items()):
                        if self._clock_us() < until:
                            self._write(owner, key, reply, unknown)
                            written += 1
                        del self._unwritten[owner, key]
                except (sqlite3.Error, OSError):
                    continue  # It was logged when this began.
                _log.info("answers_kept", count=written)
                return

    def _prune(self, database: sqlite3.Connection) -> None:
        """Delete some old answers that are not about money; at most a fixed number at once.

        So are entries without an answer that nobody works on: nobody came back for theirs.
        Their space in the file is reused, so it does not grow any further.
        """
        now = self._clock_us()
        (pages,) = database.execute("pragma page_count").fetchone()
        (free,) = database.execute("pragma freelist_count").fetchone()
        (size,) = database.execute("pragma page_size").fetchone()
        full = (pages - free) * size > self._bytes_max
        database.execute(
            "delete from answers where (owner, key) in (select owner, key from answers"
            " where money = 0 and at < ? and (status > 0 or at < ? and busy_until <= ?)"
            " order by at limit ?)",
            (now if full else now - KEPT_US, now - KEPT_US, now, PRUNED_AT_ONCE),
        )

    def _database(self) -> sqlite3.Connection:
        """Return the connection of this process (the lock is held)."""
        if self._open is None or self._pid != os.getpid():
            self._open, self._pid = open_private(self._path, _SCHEMA), os.getpid()
            _bring_up_to_date(self._open)
        return self._open

    def close(self) -> None:
        """Close the file, if this process has opened it."""
        with self._lock:
            if self._open is not None and self._pid == os.getpid():
                self._open.close()
            self._open, self._pid = None, 0
            self._unwritten.clear()
            self._holders.close()


def _unavailable() -> Problem:
    return Problem("idempotency_unavailable", "The store of earlier responses cannot be read.")


def _was_done(problem: Problem) -> Problem:
    """Say of a request that was done why its result cannot be shown now."""
    if problem.status < 500:
        return Problem("already_done", f"The request was done before. {problem.detail}")
    problem.outcome = "applied"
    problem.detail = "The request was done; repeat it for its result, which cannot be read now."
    return problem


def _unpacked(body: bytes) -> bytes:
    """Decompress a body; files of earlier releases hold plain JSON."""
    return body if body[:1] == b"{" else zlib.decompress(body)


def _bring_up_to_date(database: sqlite3.Connection) -> None:
    """Add the columns that a file of an earlier release lacks."""
    with transaction(database):
        known = {row[1] for row in database.execute("pragma table_info(answers)")}
        for name, kind in _COLUMNS.items():
            if name not in known:
                database.execute(f"alter table answers add column {name} {kind}")
        database.execute(
            "create index if not exists answers_by_age on answers (at) where money = 0"
        )
