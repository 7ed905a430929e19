"""The keys that are valid now: those of the configuration and those made through the API.

Every request checks a counter in shared memory that changes with the file of keys; so a key that
was revoked through one process is valid in none from then on. While the file cannot be read every
request that needs a key is refused: the file might revoke it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Final

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from account_api.errors import Problem, no_leader
from account_api.security.keystore import KeyStore, KeyStoreError, StoredKey
from account_api.security.shared_keys import SharedKeyStore
from account_api.settings import SCOPES, ApiKey

_log: Final = structlog.get_logger("account_api")


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys as of one version of the file.

    ``signing`` has keys that sign, and ``named`` all keys, by name; ``tokens`` has bearer keys by
    the hash of the token, and ``public`` the loaded Ed25519 keys by name.
    """

    signing: dict[str, ApiKey]
    tokens: dict[str, ApiKey]
    named: dict[str, ApiKey]
    public: dict[str, Ed25519PublicKey]


class KeyRing:
    """Indexes the valid keys. Thread-safe; may be constructed before a fork."""

    def __init__(
        self, configured: Iterable[ApiKey], store: KeyStore | SharedKeyStore | None = None
    ) -> None:
        self.store = store
        self.configured = tuple(configured)
        self._lock = threading.Lock()
        self._version = -1
        self._keys = _index(self.configured)

    def current(self) -> Keys:
        """Return the keys that are valid now. Raises Problem."""
        if self.store is None:
            return self._keys
        try:
            version = self.store.version()
            if version != self._version or version & 1:
                with self._lock:
                    self._read(self.store)
        except KeyStoreError as error:
            raise _unavailable(error) from error
        return self._keys

    def renewed(self) -> Keys:
        """Return the keys with all that was committed before this call, on any machine.

        For who is about to refuse a key because it is not there. Raises Problem
        ``keys_unavailable`` or ``no_leader``.
        """
        if self.store is not None:
            try:
                self.store.renew()
            except KeyStoreError as error:
                raise _unavailable(error) from error
        return self.current()

    def _read(self, store: KeyStore | SharedKeyStore) -> None:
        """Read the keys (the lock is held), the version first, so that no change is missed."""
        version = store.version()
        if version == self._version and not version & 1:
            return
        revoked = store.revocations()
        made = [api_key(key) for key in store.live() if _usable(key)]
        kept = [key for key in self.configured if key.key not in revoked]
        self._keys = _index([*made, *kept])
        self._version = version


def api_key(key: StoredKey) -> ApiKey:
    """Convert a stored key into the form against which requests are checked."""
    return ApiKey(
        key=key.key,
        kind=key.kind,
        account=key.account,
        firm=key.firm,
        user=key.user,
        scopes=frozenset(scope for scope in SCOPES if scope in key.scopes),
        secret=key.secret,
        token_sha256=key.token_sha256,
        public_key=key.public_key,
        allow=tuple(ip_network(text) for text in key.allow),
        slot=key.slot,
        pending=key.state != "active",
        valid_until=key.valid_until,
    )


def _unavailable(error: KeyStoreError) -> Problem:
    _log.warning("keys_unavailable", reason=str(error))
    if error.leaderless:
        return no_leader()
    return Problem("keys_unavailable", "The service cannot read which API keys are valid.")


def _usable(key: StoredKey) -> bool:
    if key.kind == "hmac" and not key.secret:
        _log.error("key_unreadable", key=key.key, reason="another master key sealed its secret")
        return False
    return True


def _index(keys: Iterable[ApiKey]) -> Keys:
    """Index the keys; those of the configuration come last, so that no made key replaces one."""
    found = Keys({}, {}, {}, {})
    for key in keys:
        found.named[key.key] = key
        if key.kind == "bearer":
            found.tokens[key.token_sha256] = key
        else:
            found.signing[key.key] = key
        if key.kind == "ed25519":
            found.public[key.key] = Ed25519PublicKey.from_public_bytes(key.public_key)
    return found


