"""API keys of a venue on several machines: records in the engine, and a copy in every process.

The rules are those of ``keystore``: the change of a firm's keys is based on the newest version of
all of them, so no limit is passed and no revoked key makes another, whichever machine is asked. A
revocation is answered when no process of any machine trusts a copy without it. Secrets are
encrypted before they leave the process, under a master key that is the same on every machine.
"""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Final, Literal

import msgspec
import structlog

from account_api.security.keystore import (
    KEYS_MAX,
    KEYS_OF_ACCOUNT_MAX,
    ActorRevoked,
    Full,
    KeyStore,
    KeyStoreError,
    NameTaken,
    Revocation,
    Revoked,
    State,
    StoredKey,
)
from account_api.security.master_key import MasterKey
from account_api.security.replica import (
    CHANGES_MAX,
    SETTLED_S,
    RecordsPort,
    RecordsRefused,
    RecordsUnavailable,
    Replica,
)
from account_api.security.replica import State as Records
from account_api.security.sealing import Sealer
from engine.core.types import StoredRecord

COLLECTION: Final = "api_keys"
RECORDS_MAX: Final = KEYS_MAX + 4_096
"""Above the keys that can be made there is room for revocations of configured keys."""
_log: Final = structlog.get_logger("account_api")


class _Row(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is stored of a key; of a configured one its revocation alone, with ``kind`` ""."""

    kind: Literal["", "bearer", "hmac", "ed25519"] = ""
    name: str = ""
    account: str = ""
    user: str = ""
    scopes: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    sealed: str = ""
    token_sha256: str = ""
    public_key: str = ""
    state: State = "active"
    created_at: int = 0
    created_by: str = ""
    approved_at: int = 0
    approved_by: str = ""
    revoked_at: int = 0
    revoked_by: str = ""
    valid_until: int = 0


class _Entry(msgspec.Struct, frozen=True):
    """A record as it is kept in memory; ``made`` is None for a configured key."""

    key: str
    row: _Row
    made: StoredKey | None

    @property
    def ended(self) -> Revocation | None:
        if not self.row.revoked_at:
            return None
        return Revocation(self.row.revoked_at, self.row.revoked_by)


_decode: Final = msgspec.json.Decoder(_Row).decode
_encode: Final = msgspec.json.Encoder().encode


class SharedKeyStore:
    """The keys of all machines; has what ``KeyStore`` has. Thread-safe, also after a fork.

    ``configured`` are the configured keys and their firms. ``file`` is where a machine by itself
    keeps its keys: what is in it is added to the shared ones, and it is renamed. A call waits for
    the engine ``wait_s`` at most.
    """

    def __init__(
        self,
        records: RecordsPort,
        master: str,
        configured: Iterable[tuple[str, str]] = (),
        file: str = "",
        wait_s: float = 5.0,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._master = MasterKey(records, master)
        self._sealer = Sealer(master)
        self._configured: Mapping[str, str] = dict(configured)
        self._file = file
        self._pause = pause
        self._replica: Replica[_Entry] = Replica(COLLECTION, records, self._entry, wait_s)
        self._ready = False

    # What is read.

    def version(self) -> int:
        """Return a number that differs after every change; the copy is recent, or this raises."""
        return self._records().version * 2

    def renew(self) -> None:
        """Make sure that whatever was committed before this call is known."""
        if self._ready:
            self._asking(self._replica.renew)
        else:
            self._records()

    def live(self) -> list[StoredKey]:
        """Return every key that is not revoked, oldest first."""
        return [key for key in self.everything() if not key.revoked_at]

    def of(self, account: str) -> list[StoredKey]:
        """Return every key that the account ever made, oldest first."""
        return [key for key in self.everything() if key.account == account]

    def everything(self) -> list[StoredKey]:
        """Return every key that was ever made, oldest first."""
        return _made(self._records())

    def find(self, key: str) -> StoredKey | None:
        """Return one key, revoked or not; None if nobody made it. Renewed, as it is decided on."""
        self.renew()
        entries = self._records().records.values()
        return next((entry.made for entry in entries if entry.key == key), None)

    def named(self, account: str, name: str) -> StoredKey | None:
        """Return the key that has, or had, a name in an account."""
        self.renew()
        return next((made for made in self.of(account) if made.name == name), None)

    def revocations(self) -> dict[str, Revocation]:
        """Return every revocation by key, those of configured keys included."""
        entries = self._records().records.values()
        return {entry.key: entry.ended for entry in entries if entry.ended is not None}

    # What is changed.

    def add(self, key: StoredKey) -> StoredKey:
        """Store a new key. Raises NameTaken, Full, ActorRevoked, KeyStoreError."""
        row = self._row(key)

        def plan(state: Records[_Entry]) -> list[tuple[str, str]]:
            if (key.firm, key.key) in state.records:
                return []
            _refuse_revoked(state, key.created_by)
            made = _made(state)
            own = [one for one in made if one.account == key.account]
            if any(one.name == key.name for one in own):
                raise NameTaken(f"{key.account} has had a key {key.name}")
            if len(made) >= KEYS_MAX or len(own) >= KEYS_OF_ACCOUNT_MAX:
                raise Full("no more keys can be made")
            return [(key.key, _text(row))]

        state = self._change(key.firm, key.created_by, plan)
        found = state.records[key.firm, key.key].made
        assert found is not None
        return found

    def approve(self, key: str, by: str, at: int) -> None:
        """Activate a pending key; any other stays as it is.

        Raises ActorRevoked, KeyStoreError.
        """
        firm = self._firm_of(key)

        def plan(state: Records[_Entry]) -> list[tuple[str, str]]:
            entry = state.records.get((firm, key))
            if entry is None or entry.row.state != "pending_approval":
                return []
            _refuse_revoked(state, by)
            row = msgspec.structs.replace(
                entry.row, state="active", approved_at=at, approved_by=by
            )
            return [(key, _text(row))]

        self._change(firm, by, plan)

    def revoke(self, key: str, by: str, at: int, *, descendants: bool = False) -> Revoked:
        """Revoke a key permanently and, with ``descendants``, all that it and those have made.

        When it returns no machine admits a request with any of them. A large family is revoked in
        several steps, the oldest first: as a revoked key cannot make another, none escapes. The
        first revocation of each key is kept. Raises KeyStoreError.
        """
        firm = self._firm_of(key)
        changed = False

        def plan(state: Records[_Entry]) -> list[tuple[str, str]]:
            nonlocal changed
            family = [key, *_descendants(state, key)] if descendants else [key]
            found = []
            for one in family:
                entry = state.records.get((firm, one))
                row = entry.row if entry is not None else _Row()
                if not row.revoked_at:
                    ended = msgspec.structs.replace(row, revoked_at=at, revoked_by=by)
                    found.append((one, _text(ended)))
            changed = changed or bool(found)
            return found[:CHANGES_MAX]

        state = self._change(firm, by, plan)
        # Also if it was revoked before: that may have been this very moment, on another machine.
        self._pause(SETTLED_S)
        ended = state.records[firm, key].ended
        assert ended is not None
        family = tuple(_descendants(state, key)) if descendants else ()
        return Revoked(ended, family, changed=changed)

    def close(self) -> None:
        """End the copy of this process."""
        self._replica.close()
        self._ready = False

    # Inside.

    def _records(self) -> Records[_Entry]:
        if not self._ready:
            self._prepare()
        try:
            return self._replica.state()
        except RecordsUnavailable as error:
            raise _failed(error) from error

    def _asking(self, ask: Callable[[], Records[_Entry]]) -> Records[_Entry]:
        try:
            return ask()
        except (RecordsUnavailable, RecordsRefused) as error:
            raise _failed(error) from error

    def _prepare(self) -> None:
        """Check the master key, and share the keys that this machine had for itself."""
        try:
            self._master.check()
            if self._file and os.path.exists(self._file):
                self._share(KeyStore(self._file, self._master.path))
        except (RecordsUnavailable, RecordsRefused) as error:
            raise _failed(error) from error
        except OSError as error:
            raise KeyStoreError(f"the master key cannot be read: {error}") from error
        self._ready = True

    def _share(self, alone: KeyStore) -> None:
        """Add keys and revocations of the machine's own file to the shared ones."""
        try:
            revoked, made = alone.revocations(), alone.everything()
        finally:
            alone.close()
        rows: dict[str, dict[str, _Row]] = {}
        for one in made:
            rows.setdefault(one.firm, {})[one.key] = self._row(one)
        for name, ended in revoked.items():
            known = next((one for one in made if one.key == name), None)
            firm = known.firm if known is not None else self._configured.get(name, "")
            row = rows.setdefault(firm, {}).get(name, _Row())
            rows[firm][name] = msgspec.structs.replace(
                row, revoked_at=ended.at, revoked_by=ended.by
            )
        for firm, wanted in rows.items():
            plan = _adding(firm, wanted)
            self._asking(partial(self._replica.change, firm, "worker:keys", plan))
        try:
            os.replace(self._file, f"{self._file}.shared")
        except FileNotFoundError:
            return  # Another worker has done the same.
        _log.info("keys_shared", made=len(made), revoked=len(revoked))

    def _change(
        self, owner: str, by: str, plan: Callable[[Records[_Entry]], Sequence[tuple[str, str]]]
    ) -> Records[_Entry]:
        self._records()
        return self._asking(lambda: self._replica.change(owner, f"api:{by}", plan))

    def _firm_of(self, key: str) -> str:
        """Return whose records have the key."""
        if key in self._configured:
            return self._configured[key]
        made = self.find(key)
        return made.firm if made is not None else ""

    def _row(self, key: StoredKey) -> _Row:
        sealed = self._sealer.seal(key.secret, key.key) if key.secret else b""
        return _Row(
            kind=key.kind, name=key.name, account=key.account, user=key.user, scopes=key.scopes,
            allow=key.allow, sealed=_base64(sealed), token_sha256=key.token_sha256,
            public_key=_base64(key.public_key), state=key.state, created_at=key.created_at,
            created_by=key.created_by, approved_at=key.approved_at, approved_by=key.approved_by,
            revoked_at=key.revoked_at, revoked_by=key.revoked_by, valid_until=key.valid_until,
        )  # fmt: skip

    def _entry(self, record: StoredRecord) -> _Entry:
        row = _decode(record.value)
        if not row.kind:
            return _Entry(record.key, row, None)
        made = StoredKey(
            key=record.key, name=row.name, kind=row.kind, account=row.account, firm=record.owner,
            user=row.user, scopes=row.scopes, allow=row.allow, state=row.state,
            created_at=row.created_at, created_by=row.created_by,
            secret=self._sealer.open(base64.b64decode(row.sealed), record.key),
            token_sha256=row.token_sha256, public_key=base64.b64decode(row.public_key),
            slot=record.number, approved_at=row.approved_at, approved_by=row.approved_by,
            revoked_at=row.revoked_at, revoked_by=row.revoked_by, valid_until=row.valid_until,
        )  # fmt: skip
        return _Entry(record.key, row, made)


def _adding(
    firm: str, wanted: Mapping[str, _Row]
) -> Callable[[Records[_Entry]], Sequence[tuple[str, str]]]:
    """Make the plan that adds keys, and revocations of keys that are there already."""

    def plan(state: Records[_Entry]) -> list[tuple[str, str]]:
        found = []
        for name, row in wanted.items():
            entry = state.records.get((firm, name))
            if entry is None:
                found.append((name, _text(row)))
            elif row.revoked_at and not entry.row.revoked_at:
                ended = msgspec.structs.replace(
                    entry.row, revoked_at=row.revoked_at, revoked_by=row.revoked_by
                )
                found.append((name, _text(ended)))
        return found[:CHANGES_MAX]

    return plan


def _made(state: Records[_Entry]) -> list[StoredKey]:
    made = [entry.made for entry in state.records.values() if entry.made is not None]
    return sorted(made, key=lambda key: key.slot)


def _descendants(state: Records[_Entry], key: str) -> list[str]:
    """Return what a key has made, what those have made, and so on; oldest first."""
    makers, family = {key}, []
    for made in _made(state):  # A key is older than what it makes.
        if made.created_by in makers:
            makers.add(made.key)
            family.append(made.key)
    return family


def _refuse_revoked(state: Records[_Entry], key: str) -> None:
    """Raise ActorRevoked if a key was revoked since its request was let in."""
    if any(entry.key == key and entry.ended for entry in state.records.values()):
        raise ActorRevoked(f"the key {key} is revoked")


def _text(row: _Row) -> str:
    return _encode(row).decode()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _failed(error: RecordsUnavailable | RecordsRefused) -> KeyStoreError:
    failure = KeyStoreError(f"the API keys cannot be used: {error}")
    if isinstance(error, RecordsUnavailable):
        failure.unknown, failure.leaderless = error.unknown, error.leaderless
    return failure
