"""The keys that are good at this moment: those of the configuration and those that were made.

Every request looks at a count in shared memory that moves with every change of the file of keys;
so a key that was revoked through one process is good in none from then on. When the file
cannot be read nobody is let in: a revocation might be in it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Final

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from account_api.errors import Problem
from account_api.security.keystore import KeyStore, KeyStoreError, StoredKey
from account_api.settings import SCOPES, ApiKey

_log: Final = structlog.get_logger("account_api")


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys as of one version of the file.

    ``signing`` finds keys by name, ``tokens`` bearer keys by the hash of the token, and
    ``named`` all of them; ``public`` holds the keys of Ed25519 ready for use.
    """

    signing: dict[str, ApiKey]
    tokens: dict[str, ApiKey]
    named: dict[str, ApiKey]
    public: dict[str, Ed25519PublicKey]


class KeyRing:
    """Thread-safe; may be made before a fork."""

    def __init__(self, configured: Iterable[ApiKey], store: KeyStore | None = None) -> None:
        self.store = store
        self.configured = tuple(configured)
        self._lock = threading.Lock()
        self._version = -1
        self._keys = _index(self.configured)

    def current(self) -> Keys:
        """The keys that are good now. Raises Problem ``keys_unavailable``."""
        if self.store is None:
            return self._keys
        try:
            version = self.store.version()
            if version != self._version or version & 1:
                with self._lock:
                    self._read(self.store)
        except KeyStoreError as error:
            raise Problem(
                "keys_unavailable", "The service cannot read which API keys are good."
            ) from error
        return self._keys

    def _read(self, store: KeyStore) -> None:
        """Read anew (the lock is held); the version first, so that no change is passed over."""
        version = store.version()
        if version == self._version and not version & 1:
            return
        revoked = store.revocations()
        made = [api_key(key) for key in store.live() if _usable(key)]
        kept = [key for key in self.configured if key.key not in revoked]
        self._keys = _index([*made, *kept])
        self._version = version


def api_key(key: StoredKey) -> ApiKey:
    """A key that was made, as requests are checked against it."""
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
    )


def _usable(key: StoredKey) -> bool:
    if key.kind == "hmac" and not key.secret:
        _log.error("key_unreadable", key=key.key, reason="another master key sealed its secret")
        return False
    return True


def _index(keys: Iterable[ApiKey]) -> Keys:
    """Keys of the configuration come last: nothing that was made can take their place."""
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


