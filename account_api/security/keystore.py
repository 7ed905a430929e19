"""API keys that were made through the API, and revocations of any key, in one SQLite file.

All processes that check credentials share the file, so what one of them commits applies to the
next request to every other. Of a bearer token the hash is stored, of an Ed25519 key the public
key; the secret of an HMAC key is needed for verifying, so it is stored encrypted under a key in a
file of its own (``keys.master``). The decision is in ``spec/decisions/0012-api-keys.md``.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Final, Literal

from account_api.security.change_counter import Changes
from account_api.security.sealing import Sealer
from account_api.security.sqlite_file import open_private

KEYS_MAX: Final = 65_536
"""Keys that the file may ever hold, revoked ones included; each has a slot in the rate limits."""
KEYS_OF_ACCOUNT_MAX: Final = 1_000
"""Keys that one account may ever make."""
_FULL: Final = frozenset((errno.ENOSPC, errno.EDQUOT))
_SCHEMA: Final = (
    """
create table if not exists keys (
    slot integer primary key autoincrement, key text not null unique, name text not null,
    kind text not null, account text not null, firm text not null, user text not null,
    scopes text not null, allow text not null, secret blob not null, token_sha256 text not null,
    public_key blob not null, state text not null, created_at integer not null,
    created_by text not null, approved_at integer not null default 0,
    approved_by text not null default '', unique (account, name)
)
""",
    """
create table if not exists revoked (
    key text primary key, at integer not null, by text not null
) without rowid
""",
    # A table of its own: files of versions before it get it without a change of what they hold.
    """
create table if not exists ends (key text primary key, at integer not null) without rowid
""",
)
_COLUMNS: Final = (
    "slot, key, name, kind, account, firm, user, scopes, allow, secret, token_sha256, "
    "public_key, state, created_at, created_by, approved_at, approved_by"
)
_FIELDS: Final = (*_COLUMNS.split(", "), "valid_until")
_SELECTED: Final = (
    f"select {_COLUMNS}, coalesce((select at from ends where ends.key = keys.key), 0) from keys"
)

State = Literal["active", "pending_approval"]


class KeyStoreError(RuntimeError):
    """Keys cannot be read or written.

    ``unknown``: it may have been done all the same. ``leaderless``: the venue has no leader.
    """

    unknown = False
    leaderless = False


class NoRoom(KeyStoreError):
    """The disk is full: nothing can be changed until there is room."""


class NameTaken(KeyStoreError):
    """The account has, or had, a key of that name."""


class Full(KeyStoreError):
    """The venue or the account has its maximum number of keys."""


class ActorRevoked(KeyStoreError):
    """The key that makes or approves another was revoked during its request."""


@dataclass(frozen=True, slots=True)
class StoredKey:
    """One key as it is stored. ``slot`` counts from 1 and is never reused.

    ``secret`` is the plain secret of an HMAC key, empty if it cannot be decrypted.
    Instants are µs since 1970, 0 for never. ``revoked_at`` is set for a revoked key; from
    ``valid_until`` on the key is not valid.
    """

    key: str
    name: str
    kind: Literal["bearer", "hmac", "ed25519"]
    account: str
    firm: str
    user: str
    scopes: tuple[str, ...]
    allow: tuple[str, ...]
    state: State
    created_at: int
    created_by: str
    secret: bytes = field(default=b"", repr=False)
    token_sha256: str = field(default="", repr=False)
    public_key: bytes = field(default=b"", repr=False)
    slot: int = 0
    approved_at: int = 0
    approved_by: str = ""
    revoked_at: int = 0
    revoked_by: str = ""
    valid_until: int = 0

    def state_at(self, now_us: int) -> str:
        """Return active, pending_approval, expired or revoked."""
        if self.revoked_at:
            return "revoked"
        return "expired" if 0 < self.valid_until <= now_us else self.state


@dataclass(frozen=True, slots=True)
class Revocation:
    """Who revoked a key, and when (µs since 1970)."""

    at: int
    by: str


@dataclass(frozen=True, slots=True)
class Revoked:
    """What a revocation did: who revoked the key and when, which descendants are revoked too
    (oldest first), and whether any of them was valid until then.
    """

    ended: Revocation
    descendants: tuple[str, ...]
    changed: bool


class KeyStore:
    """The file ``path``; ":memory:" for one process alone. Thread-safe, also after a fork.

    On a full disk it can be read but not changed: keys are checked, and none is made or revoked
    until there is room. ``master`` is the file of the key that encrypts secrets; it is created if
    it is missing.
    """

    def __init__(self, path: str, master: str = "") -> None:
        self._path = path
        self._sealer = Sealer(master)
        self._lock = threading.Lock()
        self._pid = 0
        self._open: sqlite3.Connection | None = None
        self._changes: Changes | None = None

    def version(self) -> int:
        """Return a number that differs after every change by any process; odd while one is made.

        Also odd, so that every request reads the keys, if there is no room for the counter.
        """
        changes = self._changes
        if changes is None or self._pid != os.getpid():
            try:
                with self._locked():
                    changes = self._changes
                    assert changes is not None
            except NoRoom:
                return 1
        return changes.count()

    def renew(self) -> None:
        """Do nothing: what is read is always the newest."""

    def live(self) -> list[StoredKey]:
        """Return every key that is not revoked, oldest first."""
        return self._select("key not in (select key from revoked)", ())

    def of(self, account: str) -> list[StoredKey]:
        """Return every key that the account ever made, oldest first."""
        return self._select("account = ?", (account,))

    def everything(self) -> list[StoredKey]:
        """Return every key that was ever made, oldest first."""
        return self._select("true", ())

    def find(self, key: str) -> StoredKey | None:
        """Return one key, revoked or not; None if nobody made it."""
        return next(iter(self._select("key = ?", (key,))), None)

    def named(self, account: str, name: str) -> StoredKey | None:
        """Return the key that has, or had, a name in an account."""
        return next(iter(self._select("account = ? and name = ?", (account, name))), None)

    def _select(self, where: str, values: tuple[str, ...]) -> list[StoredKey]:
        if self._is_empty():
            return []
        with self._reading() as database:
            revoked = self._revocations(database)
            rows = database.execute(
                f"{_SELECTED} where {where} order by slot", values
            ).fetchall()
            return [self._key(row, revoked) for row in rows]

    def revocations(self) -> dict[str, Revocation]:
        """Return every revocation by key, those of configured keys included."""
        if self._is_empty():
            return {}
        with self._reading() as database:
            return self._revocations(database)

    def add(self, key: StoredKey) -> StoredKey:
        """Store a new key. Raises NameTaken, Full, ActorRevoked, KeyStoreError."""
        with self._changing() as database:
            _refuse_revoked(database, key.created_by)
            everyone, own = database.execute(
                "select count(*), count(*) filter (where account = ?) from keys", (key.account,)
            ).fetchone()
            if everyone >= KEYS_MAX or own >= KEYS_OF_ACCOUNT_MAX:
                raise Full("no more keys can be made")
            secret = self._sealer.seal(key.secret, key.key) if key.secret else b""
            try:
                database.execute(
                    "insert into keys (key, name, kind, account, firm, user, scopes, allow, "
                    "secret, token_sha256, public_key, state, created_at, created_by) "
                    "values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (key.key, key.name, key.kind, key.account, key.firm, key.user,
                     " ".join(key.scopes), " ".join(key.allow), secret, key.token_sha256,
                     key.public_key, key.state, key.created_at, key.created_by),
                )  # fmt: skip
            except sqlite3.IntegrityError:
                raise NameTaken(f"{key.account} has had a key {key.name}") from None
            if key.valid_until:
                database.execute("insert into ends values (?, ?)", (key.key, key.valid_until))
            row = database.execute(f"{_SELECTED} where key = ?", (key.key,)).fetchone()
            return self._key(row, {})

    def approve(self, key: str, by: str, at: int) -> None:
        """Activate a pending key; any other stays as it is.

        Raises ActorRevoked, KeyStoreError.
        """
        with self._changing() as database:
            _refuse_revoked(database, by)
            database.execute(
                "update keys set state = 'active', approved_at = ?, approved_by = ? "
                "where key = ? and state = 'pending_approval'",
                (at, by, key),
            )

    def revoke(self, key: str, by: str, at: int, *, descendants: bool = False) -> Revoked:
        """Revoke a key permanently and, with ``descendants``, all that it and those have made.

        It is one transaction, and a revoked key cannot make another: none escapes. The first
        revocation of each key is kept. Raises KeyStoreError.
        """
        with self._changing() as database:
            family = [key, *_descendants(database, key)] if descendants else [key]
            before = self._revocations(database)
            database.executemany(
                "insert or ignore into revoked values (?, ?, ?)", [(one, at, by) for one in family]
            )
            return Revoked(
                self._revocations(database)[key], tuple(family[1:]),
                changed=any(one not in before for one in family),
            )  # fmt: skip

    def close(self) -> None:
        """Close the file, if this process has opened it."""
        with self._lock:
            if self._open is not None and self._pid == os.getpid():
                self._open.close()
            self._open = self._changes = None

    # Inside the lock.

    @contextmanager
    def _locked(self, *, to_read: bool = False) -> Iterator[sqlite3.Connection]:
        try:
            with self._lock:
                yield self._file() if to_read else self._database()
        except (sqlite3.Error, OSError) as error:
            text = f"the file of API keys cannot be used: {error}"
            raise (NoRoom if _is_full(error) else KeyStoreError)(text) from error

    def _reading(self) -> AbstractContextManager[sqlite3.Connection]:
        return self._locked(to_read=True)

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        with self._locked() as database:
            assert self._changes is not None
            with self._changes.one():
                database.execute("begin immediate")
                try:
                    yield database
                except BaseException:
                    database.execute("rollback")
                    raise
                database.execute("commit")

    def _is_empty(self) -> bool:
        """Return True if nothing was ever stored, so that a read need not create the file."""
        if self._path == ":memory:":
            return False
        try:
            return os.stat(self._path).st_size == 0
        except FileNotFoundError:
            return True
        except OSError as error:
            raise KeyStoreError(f"the file of API keys cannot be used: {error}") from error

    def _database(self) -> sqlite3.Connection:
        """Return the connection of this process, the change counter mapped (the lock is held)."""
        database = self._file()
        if self._changes is None:
            memory = self._path == ":memory:"
            self._changes = Changes("" if memory else f"{self._path}-changes")
        return database

    def _file(self) -> sqlite3.Connection:
        if self._open is None or self._pid != os.getpid():
            database = open_private(
                self._path, "pragma secure_delete = on", *_SCHEMA, log="truncate"
            )
            self._open, self._pid, self._changes = database, os.getpid(), None
        return self._open

    def _revocations(self, database: sqlite3.Connection) -> dict[str, Revocation]:
        rows = database.execute("select key, at, by from revoked")
        return {key: Revocation(at, by) for key, at, by in rows}

    def _key(self, row: tuple[object, ...], revoked: dict[str, Revocation]) -> StoredKey:
        fields = dict(zip(_FIELDS, row, strict=True))
        sealed: bytes = fields["secret"]  # type: ignore[assignment]
        fields["secret"] = self._sealer.open(sealed, str(fields["key"]))
        for name in ("scopes", "allow"):
            fields[name] = tuple(str(fields[name]).split())
        ended = revoked.get(str(fields["key"]))
        if ended is not None:
            fields.update(revoked_at=ended.at, revoked_by=ended.by)
        return StoredKey(**fields)  # type: ignore[arg-type]


def _is_full(error: Exception) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code == sqlite3.SQLITE_FULL or getattr(error, "errno", 0) in _FULL


def _descendants(database: sqlite3.Connection, key: str) -> list[str]:
    """Return what a key has made, what those have made, and so on; oldest first."""
    rows = database.execute(
        "with recursive family(key) as (select key from keys where created_by = ? "
        "union select made.key from keys made join family on made.created_by = family.key) "
        "select key from keys where key in family order by slot",
        (key,),
    )
    return [found for (found,) in rows]


def _refuse_revoked(database: sqlite3.Connection, key: str) -> None:
    """Raise ActorRevoked if a key was revoked since its request was let in."""
    if database.execute("select 1 from revoked where key = ?", (key,)).fetchone():
        raise ActorRevoked(f"the key {key} is revoked")
