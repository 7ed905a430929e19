"""Authentication by bearer tokens, and by signatures with HMAC-SHA256 or Ed25519.

A signed request carries ``X-Tandem-Key``, ``X-Tandem-Timestamp`` (milliseconds) and
``X-Tandem-Signature``, lower-case hex over four lines joined by newlines:

    timestamp
    METHOD
    target, with its query, as it stands in the request line
    hex SHA-256 of the body (of the empty string if there is none)

and a fifth, the ``Idempotency-Key``, if that header is sent: the signature of a copy of the
request with another key, or with none, is wrong.

The newlines matter: without them bytes could move from the query to the body under the same
signature. The signature is valid for ``window_ms``, is checked here and again by the engine, and
works once on a request that changes something: the engine remembers it. An unknown key, a wrong
signature and a wrong token get the same response after the same time.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from ipaddress import IPv6Address, ip_address
from typing import Final, Protocol

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from account_api.errors import Problem
from account_api.security.keyring import KeyRing, Keys
from account_api.security.wrong_signature import Signed, explain
from account_api.settings import ApiKey
from engine.core import authority
from engine.core.authority import Reach, Thing
from engine.core.types import Origin

KEY_HEADER: Final = "X-Tandem-Key"
TIMESTAMP_HEADER: Final = "X-Tandem-Timestamp"
SIGNATURE_HEADER: Final = "X-Tandem-Signature"
IDEMPOTENCY_HEADER: Final = "Idempotency-Key"
CHALLENGE: Final = (("WWW-Authenticate", 'Bearer realm="tandem", Tandem-Signature'),)

_TIMESTAMP: Final = re.compile(r"[0-9]{1,19}\Z")
_OTHER_UNITS: Final = ((1_000_000, "nanoseconds"), (1_000, "microseconds"))
_HMAC_HEX: Final = re.compile(r"[0-9a-f]{64}\Z")
_ED25519_HEX: Final = re.compile(r"[0-9a-f]{128}\Z")
_DUMMY_SECRET: Final = b"no key has this secret; it only takes the time that one would"


class Headers(Protocol):
    """Request headers by case-insensitive name."""

    def get(self, key: str, default: str, /) -> str:
        """Return the value of a header, or the default."""
        ...


class Principal(msgspec.Struct, frozen=True):
    """An authenticated caller. ``token`` and ``valid_until`` (µs) are empty for a bearer."""

    key: ApiKey
    token: str = ""
    valid_until: int = 0

    @property
    def account(self) -> str:
        """The account that the key belongs to; "" for an operator."""
        return self.key.account

    def origin(self, not_after_us: int = 0) -> Origin:
        """Identify this request to the engine, valid until the earlier of two times (µs)."""
        kind = "operator" if self.key.is_operator else "api"
        until = self.valid_until
        if not_after_us and (until == 0 or not_after_us < until):
            until = not_after_us
        return Origin(
            source=f"{kind}:{self.key.key}",
            token=self.token,
            valid_until=until,
            user=self.key.user,
        )


def signing_text(
    timestamp: str, method: str, target: str, body: bytes, idempotency_key: str = ""
) -> bytes:
    """Return the bytes that are signed."""
    lines = [timestamp, method, target, hashlib.sha256(body).hexdigest()]
    if idempotency_key:
        lines.append(idempotency_key)
    return "\n".join(lines).encode("utf-8", "surrogateescape")


def sign_hmac(
    secret: bytes,
    timestamp: str,
    method: str,
    target: str,
    body: bytes,
    idempotency_key: str = "",
) -> str:
    """Sign a request with a shared secret; returns lower-case hex."""
    text = signing_text(timestamp, method, target, body, idempotency_key)
    return hmac.new(secret, text, hashlib.sha256).hexdigest()


class Authenticator:
    """Finds the caller of a request among the valid keys. Thread-safe."""

    def __init__(
        self, ring: KeyRing, window_ms: int, ahead_ms: int, explains: bool = False
    ) -> None:
        """``explains``: the response says what is wrong with a signature; not in production."""
        self.ring = ring
        self._explains = explains
        self._window_ms = window_ms
        self._ahead_ms = ahead_ms

    def authenticate(
        self,
        headers: Headers,
        method: str,
        target: str,
        body: bytes,
        address: str,
        now_us: int,
    ) -> Principal:
        """Find the caller of a request, whose time of arrival is ``now_us``.

        ``target`` is the raw request target, ``address`` the peer's IP address. Raises Problem:
        ``unauthorized``, ``outside_window``, ``source_not_allowed``, ``key_expired``,
        ``key_pending``, ``keys_unavailable``.
        """
        bearer = headers.get("Authorization", "")
        signed = headers.get(KEY_HEADER, "")
        if signed and not bearer:
            principal = self._signed(headers, signed, method, target, body, now_us)
        elif bearer and not signed:
            principal = self._bearer(bearer)
        else:
            raise _unauthorized()
        _check_address(principal.key, address)
        if principal.key.has_expired(now_us):
            raise Problem(
                "key_expired",
                f"The key {principal.key.key} has expired; make another one, or use one that is "
                "still valid.",
            )
        if principal.key.pending:
            # It may have been approved on another machine just now.
            key = self.ring.renewed().named.get(principal.key.key)
            if key is not None and not key.pending:
                principal = msgspec.structs.replace(principal, key=key)
        if principal.key.pending:
            raise Problem(
                "key_pending",
                f"The key {principal.key.key} is not active until another user of the account "
                "approves it.",
            )
        return principal

    def _bearer(self, header: str) -> Principal:
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer":
            raise _unauthorized()
        digest = hashlib.sha256(token.strip().encode("utf-8", "surrogateescape")).hexdigest()
        # The lookup compares digests, so its timing reveals nothing about any token.
        key = self.ring.current().tokens.get(digest) or self.ring.renewed().tokens.get(digest)
        if key is None:
            raise _unauthorized()
        return Principal(key)

    def _signed(
        self,
        headers: Headers,
        name: str,
        method: str,
        target: str,
        body: bytes,
        now_us: int,
    ) -> Principal:
        timestamp = headers.get(TIMESTAMP_HEADER, "")
        signature = headers.get(SIGNATURE_HEADER, "")
        if _TIMESTAMP.match(timestamp) is None:
            raise self._no_timestamp() if self._explains else _unauthorized()
        keys = self.ring.current()
        idempotency_key = headers.get(IDEMPOTENCY_HEADER, "")
        text = signing_text(timestamp, method, target, body, idempotency_key)
        key = _signer(keys, name, signature, text)
        if key is None and (renewed := self.ring.renewed()) is not keys:
            # It may have been made on another machine just now.
            keys = renewed
            key = _signer(keys, name, signature, text)
        if key is None:
            if self._explains:
                signed = Signed(timestamp, method, target, body, idempotency_key)
                raise self._explained(keys, name, signed, signature, headers.get("Host", ""))
            raise _unauthorized()
        stamped_ms, now_ms = int(timestamp), now_us // 1000
        if now_ms - stamped_ms > self._window_ms or stamped_ms - now_ms > self._ahead_ms:
            raise Problem(
                "outside_window",
                f"The timestamp {stamped_ms} is not within {self._window_ms} ms before and "
                f"{self._ahead_ms} ms after the venue's clock, which is at {now_ms} milliseconds "
                f"since 1970{_in_other_unit(stamped_ms, now_ms)}.",
                headers=CHALLENGE,
                server_time_ms=now_ms,
            )
        token = hashlib.sha256(signature.encode("ascii")).hexdigest()
        return Principal(key, token, (stamped_ms + self._window_ms) * 1000)

    def _no_timestamp(self) -> Problem:
        # What it has is not shown: a secret stands in the wrong header as easily.
        return Problem(
            "unauthorized",
            f"The header {TIMESTAMP_HEADER} must have milliseconds since 1970, in digits.",
            headers=CHALLENGE, differs="timestamp",
        )  # fmt: skip

    def _explained(
        self, keys: Keys, name: str, signed: Signed, signature: str, host: str
    ) -> Problem:
        """Make the problem that says what is wrong. An unknown key gets the same as a wrong
        secret, after the same work."""
        key = keys.signing.get(name)

        def verify(text: bytes, given: str) -> bool:
            if key is not None and key.kind == "ed25519":
                return _verify_ed25519(keys.public[name], given, text)
            secret = _DUMMY_SECRET if key is None else key.secret
            expected = hmac.new(secret, text, hashlib.sha256).hexdigest()
            return hmac.compare_digest(expected.encode(), given.encode()) and key is not None

        detail, part = explain(signed, signature, host, verify)
        text = "\n".join(signed.lines)
        return Problem(
            "unauthorized", detail, headers=CHALLENGE, string_to_sign=text, differs=part
        )


def _in_other_unit(stamped: int, now_ms: int) -> str:
    """Guess the unit of a timestamp of another magnitude, to end a sentence with."""
    if abs(stamped * 1_000 - now_ms) < now_ms // 100:
        return "; yours seems to be in seconds"
    for factor, unit in _OTHER_UNITS:
        if abs(stamped // factor - now_ms) < now_ms // 100:
            return f"; yours seems to be in {unit}"
    return ""


def _signer(keys: Keys, name: str, signature: str, text: bytes) -> ApiKey | None:
    """Return the key of a name if it made the signature; it takes as long if there is none."""
    key = keys.signing.get(name)
    if key is not None and key.kind == "ed25519":
        genuine = _verify_ed25519(keys.public[name], signature, text)
    else:
        secret = _DUMMY_SECRET if key is None else key.secret
        expected = hmac.new(secret, text, hashlib.sha256).hexdigest()
        well_formed = _HMAC_HEX.match(signature) is not None
        given = signature if well_formed else "0" * 64
        genuine = hmac.compare_digest(expected, given) and well_formed
    return key if genuine else None


def _verify_ed25519(key: Ed25519PublicKey, signature: str, text: bytes) -> bool:
    if _ED25519_HEX.match(signature) is None:
        return False
    try:
        key.verify(bytes.fromhex(signature), text)
    except InvalidSignature:
        return False
    return True


def require(principal: Principal, thing: Thing) -> Reach:
    """Return for whom the key may do a thing, by the table of authority.

    Raises Problem ``insufficient_scope`` where it may not do it at all.
    """
    found = authority.may(principal.key.holders, thing)
    if found is Reach.NONE:
        needed = authority.scope_of(thing)
        scope = "" if needed is None else needed.value
        raise Problem(
            "insufficient_scope",
            f"The key {principal.key.key} does not have the scope {scope}.",
            required_scope=scope,
        )
    return found


def _check_address(key: ApiKey, address: str) -> None:
    if not key.allow:
        return
    try:
        peer = ip_address(address)
    except ValueError:
        peer = None
    if isinstance(peer, IPv6Address) and peer.ipv4_mapped is not None:
        peer = peer.ipv4_mapped
    if peer is None or not any(peer in network for network in key.allow):
        raise Problem(
            "source_not_allowed",
            f"The key {key.key} may not be used from {address or 'an unknown address'}.",
        )


def _unauthorized() -> Problem:
    return Problem(
        "unauthorized",
        "The request needs a valid bearer token, or a known key with a valid signature in "
        f"{KEY_HEADER}, {TIMESTAMP_HEADER} and {SIGNATURE_HEADER}.",
        headers=CHALLENGE,
    )
