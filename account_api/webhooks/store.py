"""Endpoints, what they were sent, and what they asked to be sent again, in one SQLite file.

The workers of the account API change endpoints here, and the process that delivers keeps each
one's place and log. Whatever belongs together is one transaction: an attempt, what it means for the
endpoint, and the place that it has reached.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from account_api.security.sealing import Sealer
from account_api.security.sqlite_file import open_private, transaction

LOG_ROWS_MAX: Final = 1_000
"""Attempts that are kept for each endpoint."""
ERRANDS_MAX: Final = 10
"""Tests and repeats that may wait for one endpoint."""
VENUE_ENDPOINTS_MAX: Final = 10_000
_SCHEMA: Final = (
    """
create table if not exists endpoints (
    id text primary key, account text not null, firm text not null, firm_wide integer not null,
    name text not null, url text not null, events text not null, secret blob not null,
    old_secret blob not null, old_until integer not null, state text not null,
    reason text not null, seq integer not null, event_index integer not null,
    failures integer not null, failing_since integer not null, next_attempt_at integer not null,
    last_error text not null, delivered_at integer not null, created_at integer not null,
    created_by text not null, updated_at integer not null, unique (account, name)
)
""",
    """
create table if not exists attempts (
    number integer primary key autoincrement, endpoint text not null, event_id text not null,
    type text not null, kind text not null, at integer not null, delivered integer not null,
    http_status integer not null, latency_us integer not null, error text not null,
    answer text not null
)
""",
    "create index if not exists attempts_of on attempts (endpoint, number)",
    """
create table if not exists errands (
    number integer primary key autoincrement, endpoint text not null, kind text not null,
    seq integer not null, event_index integer not null, until_seq integer not null,
    until_index integer not null, at integer not null, by text not null
)
""",
)

State: TypeAlias = Literal["active", "disabled"]
AttemptKind: TypeAlias = Literal["event", "resend", "ping"]
ErrandKind: TypeAlias = Literal["resend", "ping"]


class WebhookStoreError(RuntimeError):
    """The webhooks cannot be read or written. ``leaderless``: the venue has no leader."""

    leaderless = False


class WebhookNameTaken(WebhookStoreError):
    """The account has an endpoint of that name."""


class WebhooksFull(WebhookStoreError):
    """The account, or the venue, has its maximum number of endpoints, or of what waits for one."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint. ``events`` are the chosen types, each with the sequence it was chosen at.

    (``seq``, ``event_index``) is the place up to which it was served. Instants are µs since 1970,
    0 for never. ``failures`` counts failed attempts since the last success.
    """

    id: str
    account: str
    firm: str
    firm_wide: bool
    name: str
    url: str
    events: dict[str, int]
    created_at: int
    created_by: str
    seq: int
    secret: bytes = field(default=b"", repr=False)
    old_secret: bytes = field(default=b"", repr=False)
    old_until: int = 0
    state: State = "active"
    reason: str = ""
    event_index: int = 1 << 62
    failures: int = 0
    failing_since: int = 0
    next_attempt_at: int = 0
    last_error: str = ""
    delivered_at: int = 0
    updated_at: int = 0

    @property
    def place(self) -> tuple[int, int]:
        """The event up to which it was served."""
        return self.seq, self.event_index

    @property
    def is_failing(self) -> bool:
        """True while its newest attempt has failed and it will be tried again."""
        return self.state == "active" and self.failures > 0

    def secrets(self, now_us: int) -> list[bytes]:
        """Return the secrets that sign now, the newest first."""
        old = [self.old_secret] if self.old_secret and now_us < self.old_until else []
        return [self.secret, *old]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt. ``http_status`` is 0 where no answer came, ``answer`` its first characters."""

    endpoint: str
    event_id: str
    type: str
    kind: AttemptKind
    at: int
    delivered: bool
    http_status: int
    latency_us: int
    error: str
    answer: str
    number: int = 0


@dataclass(frozen=True, slots=True)
class Errand:
    """A test, or events behind (``seq``, ``event_index``) up to ``until`` to be sent again."""

    endpoint: str
    kind: ErrandKind
    at: int
    by: str
    seq: int = 0
    event_index: int = 0
    until_seq: int = 0
    until_index: int = 0
    number: int = 0


_ENDPOINT: Final = tuple(Endpoint.__dataclass_fields__)
_ATTEMPT: Final = tuple(name for name in Attempt.__dataclass_fields__ if name != "number")
_ERRAND: Final = tuple(name for name in Errand.__dataclass_fields__ if name != "number")
_SEALED: Final = ("secret", "old_secret")


class WebhookStore:
    """The file ``path``; ":memory:" for one process alone. Thread-safe, also after a fork.

    ``master`` is the file of the key that encrypts secrets. A file that is not there is made by
    the first endpoint.
    """

    def __init__(self, path: str, master: str = "") -> None:
        self._path = path
        self._sealer = Sealer(master)
        self._lock = threading.Lock()
        self._pid = 0
        self._open: sqlite3.Connection | None = None
        self._version = -1

    @property
    def exists(self) -> bool:
        """True once an endpoint was ever made."""
        return self._path == ":memory:" or os.path.exists(self._path)

    def changed(self) -> bool:
        """Return whether another process has changed the file since the last call."""
        if not self.exists:
            return False
        with self._reading() as database:
            (version,) = database.execute("pragma data_version").fetchone()
            known, self._version = self._version, version
            return bool(known != version)

    # Endpoints

    def add(self, endpoint: Endpoint, account_max: int) -> None:
        """Store a new endpoint. Raises WebhookNameTaken, WebhooksFull, WebhookStoreError."""
        with self._changing() as database:
            everyone, own = database.execute(
                "select count(*), count(*) filter (where account = ?) from endpoints",
                (endpoint.account,),
            ).fetchone()
            taken = database.execute(
                "select 1 from endpoints where account = ? and name = ?",
                (endpoint.account, endpoint.name),
            ).fetchone()
            if taken:
                raise WebhookNameTaken(f"{endpoint.account} has an endpoint {endpoint.name}")
            if everyone >= VENUE_ENDPOINTS_MAX or own >= account_max:
                raise WebhooksFull("no more endpoints can be made")
            marks = ", ".join("?" * len(_ENDPOINT))
            database.execute(
                f"insert into endpoints ({', '.join(_ENDPOINT)}) values ({marks})",
                [self._stored(endpoint.id, name, getattr(endpoint, name)) for name in _ENDPOINT],
            )

    def find(self, endpoint_id: str) -> Endpoint | None:
        """Return one endpoint."""
        return next(iter(self._select("id = ?", (endpoint_id,))), None)

    def of(self, account: str) -> list[Endpoint]:
        """Return the endpoints of an account, oldest first."""
        return self._select("account = ?", (account,))

    def everything(self) -> list[Endpoint]:
        """Return every endpoint, oldest first."""
        return self._select("true", ())

    def change(self, endpoint_id: str, **changes: Any) -> Endpoint | None:
        """Change fields of an endpoint; returns it as it is then, None if it is gone.

        Raises WebhookNameTaken, WebhookStoreError.
        """
        with self._changing() as database:
            self._update(database, endpoint_id, changes)
        return self.find(endpoint_id)

    def delete(self, endpoint_id: str) -> None:
        """Delete an endpoint with its log; its secrets are overwritten."""
        with self._changing() as database:
            database.execute("delete from endpoints where id = ?", (endpoint_id,))
            for table in ("attempts", "errands"):
                database.execute(f"delete from {table} where endpoint = ?", (endpoint_id,))

    # Attempts and errands

    def record(
        self, attempt: Attempt, *, done: Errand | None = None, errand_at: tuple[int, int] = (0, 0),
        **changes: Any,
    ) -> None:  # fmt: skip
        """Log an attempt and change its endpoint, and the errand that it was made for, if any:
        ``done`` is over, unless ``errand_at`` says up to which place it was done."""
        with self._changing() as database:
            alive = self._update(database, attempt.endpoint, changes)
            if not alive:
                return  # It was deleted meanwhile, and its log with it.
            _log(database, attempt)
            if done is not None and errand_at == (0, 0):
                database.execute("delete from errands where number = ?", (done.number,))
            elif done is not None:
                database.execute(
                    "update errands set seq = ?, event_index = ? where number = ?",
                    (*errand_at, done.number),
                )

    def log(self, attempt: Attempt) -> None:
        """Log an attempt to an endpoint that is not in this file."""
        with self._changing() as database:
            _log(database, attempt)

    def forget_endpoints(self) -> None:
        """Forget every endpoint and errand, and keep the log."""
        with self._changing() as database:
            for table in ("endpoints", "errands"):
                database.execute(f"delete from {table}")

    def attempts(
        self, endpoint_id: str, *, before: int = 0, event_id: str = "", limit: int = 100
    ) -> list[Attempt]:
        """Return attempts, newest first, those with a number below ``before`` if it is given."""
        if not self.exists:
            return []
        with self._reading() as database:
            rows = database.execute(
                f"select {', '.join(_ATTEMPT)}, number from attempts where endpoint = ? "
                "and (? = 0 or number < ?) and (? = '' or event_id = ?) "
                "order by number desc limit ?",
                (endpoint_id, before, before, event_id, event_id, limit),
            ).fetchall()
        return [_attempt(row) for row in rows]

    def ask(self, errand: Errand) -> int:
        """Store what shall be sent; returns its number. Raises WebhooksFull."""
        with self._changing() as database:
            (waiting,) = database.execute(
                "select count(*) from errands where endpoint = ?", (errand.endpoint,)
            ).fetchone()
            if waiting >= ERRANDS_MAX:
                raise WebhooksFull("too much waits to be sent to the endpoint")
            marks = ", ".join("?" * len(_ERRAND))
            cursor = database.execute(
                f"insert into errands ({', '.join(_ERRAND)}) values ({marks})",
                [getattr(errand, name) for name in _ERRAND],
            )
            return cursor.lastrowid or 0

    def errand(self, endpoint_id: str) -> Errand | None:
        """Return what an endpoint is to be sent first, out of turn."""
        with self._reading() as database:
            row = database.execute(
                f"select {', '.join(_ERRAND)}, number from errands where endpoint = ? "
                "order by kind, number limit 1",
                (endpoint_id,),
            ).fetchone()
        return None if row is None else Errand(**dict(zip((*_ERRAND, "number"), row, strict=True)))

    def finish(self, errand: Errand) -> None:
        """Remove an errand."""
        with self._changing() as database:
            database.execute("delete from errands where number = ?", (errand.number,))

    def hand_over(self) -> None:
        """Do nothing: what this file has is stored with every attempt."""

    def close(self) -> None:
        """Close the file, if this process has opened it."""
        with self._lock:
            if self._open is not None and self._pid == os.getpid():
                self._open.close()
            self._open = None

    # Inside the lock

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._lock:
                yield self._file()
        except (sqlite3.Error, OSError) as error:
            raise WebhookStoreError(f"the file of webhooks cannot be used: {error}") from error

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        with self._reading() as database, transaction(database):
            yield database

    def _file(self) -> sqlite3.Connection:
        if self._open is None or self._pid != os.getpid():
            self._open = open_private(self._path, "pragma secure_delete = on", *_SCHEMA)
            self._pid = os.getpid()
        return self._open

    def _select(self, where: str, values: tuple[str, ...]) -> list[Endpoint]:
        if not self.exists:
            return []
        with self._reading() as database:
            rows = database.execute(
                f"select {', '.join(_ENDPOINT)} from endpoints where {where} order by rowid", values
            ).fetchall()
            return [self._endpoint(row) for row in rows]

    def _update(
        self, database: sqlite3.Connection, endpoint_id: str, changes: dict[str, Any]
    ) -> bool:
        """Update the fields of an endpoint; returns whether there is one."""
        names = list(changes)
        values = [self._stored(endpoint_id, name, changes[name]) for name in names]
        fields = ", ".join(f"{name} = ?" for name in names) or "id = id"
        try:
            cursor = database.execute(
                f"update endpoints set {fields} where id = ?", (*values, endpoint_id)
            )
        except sqlite3.IntegrityError:
            raise WebhookNameTaken("the account has another endpoint of that name") from None
        return cursor.rowcount > 0

    def _stored(self, endpoint_id: str, name: str, value: Any) -> Any:
        if name in _SEALED:
            return self._sealer.seal(value, endpoint_id) if value else b""
        return json.dumps(value) if name == "events" else value

    def _endpoint(self, row: tuple[Any, ...]) -> Endpoint:
        fields = dict(zip(_ENDPOINT, row, strict=True))
        for name in _SEALED:
            fields[name] = self._sealer.open(fields[name], fields["id"])
        fields["events"] = json.loads(fields["events"])
        fields["firm_wide"] = bool(fields["firm_wide"])
        return Endpoint(**fields)


def _log(database: sqlite3.Connection, attempt: Attempt) -> None:
    """Add an attempt, and delete the oldest of the endpoint that are too many."""
    marks = ", ".join("?" * len(_ATTEMPT))
    database.execute(
        f"insert into attempts ({', '.join(_ATTEMPT)}) values ({marks})",
        [getattr(attempt, name) for name in _ATTEMPT],
    )
    database.execute(
        "delete from attempts where endpoint = ? and number <= (select number from "
        "attempts where endpoint = ? order by number desc limit 1 offset ?)",
        (attempt.endpoint, attempt.endpoint, LOG_ROWS_MAX),
    )


def _attempt(row: tuple[Any, ...]) -> Attempt:
    fields = dict(zip((*_ATTEMPT, "number"), row, strict=True))
    fields["delivered"] = bool(fields["delivered"])
    return Attempt(**fields)
