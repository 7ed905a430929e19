"""Who asks: a key that signs with HMAC-SHA256 or Ed25519, or a bearer token.

A signature covers four lines joined by newlines: the time in milliseconds, the method, the target
with its query, and the hex SHA-256 of the body; a fifth is the Idempotency-Key, if one is sent.
"""

from __future__ import annotations

import hashlib
import hmac
from abc import ABC, abstractmethod
from pathlib import Path


def signing_text(
    timestamp_ms: int, method: str, target: str, body: bytes = b"", idempotency_key: str = ""
) -> bytes:
    """Return the bytes that are signed."""
    lines = [str(timestamp_ms), method, target, hashlib.sha256(body).hexdigest()]
    if idempotency_key:
        lines.append(idempotency_key)
    return "\n".join(lines).encode()


class Credentials(ABC):
    """What authenticates requests."""

    @abstractmethod
    def headers(
        self, timestamp_ms: int, method: str, target: str, body: bytes, idempotency_key: str
    ) -> dict[str, str]:
        """Return the headers of a request."""

    @abstractmethod
    def login(self, timestamp_ms: int, path: str) -> dict[str, str]:
        """Return the parameters of a login to the stream at ``path``."""


class SigningKey(Credentials):
    """A key that signs each request; ``name`` is public."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, …)"

    @abstractmethod
    def sign(self, text: bytes) -> str:
        """Return the signature of a text as lower-case hex."""

    def headers(
        self, timestamp_ms: int, method: str, target: str, body: bytes, idempotency_key: str
    ) -> dict[str, str]:
        """Return key, timestamp and signature as headers."""
        text = signing_text(timestamp_ms, method, target, body, idempotency_key)
        return {
            "X-Tandem-Key": self.name,
            "X-Tandem-Timestamp": str(timestamp_ms),
            "X-Tandem-Signature": self.sign(text),
        }

    def login(self, timestamp_ms: int, path: str) -> dict[str, str]:
        """Return key, timestamp and the signature of ``GET path`` without a body."""
        signature = self.sign(signing_text(timestamp_ms, "GET", path))
        return {"key": self.name, "timestamp": str(timestamp_ms), "signature": signature}


class HmacKey(SigningKey):
    """A key of kind ``hmac`` and its secret."""

    def __init__(self, name: str, secret: str) -> None:
        super().__init__(name)
        self._secret = secret.encode()

    def sign(self, text: bytes) -> str:
        """Return the HMAC-SHA256."""
        return hmac.new(self._secret, text, hashlib.sha256).hexdigest()


class Ed25519Key(SigningKey):
    """A key of kind ``ed25519`` and its private key: PEM bytes, or the path of a PEM file.

    Needs the package cryptography: ``pip install tandem-client[ed25519]``. Raises ValueError if
    there is no Ed25519 private key in it.
    """

    def __init__(self, name: str, private_key: bytes | str | Path) -> None:
        super().__init__(name)
        # Only this kind of key needs the package.
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        pem = private_key if isinstance(private_key, bytes) else Path(private_key).read_bytes()
        key = load_pem_private_key(pem, password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError(f"The private key of {name} is no Ed25519 key.")
        self._key = key

    def sign(self, text: bytes) -> str:
        """Return the Ed25519 signature."""
        return self._key.sign(text).hex()


class BearerToken(Credentials):
    """A token, which can only read."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __repr__(self) -> str:
        return "BearerToken(…)"

    def headers(
        self, timestamp_ms: int, method: str, target: str, body: bytes, idempotency_key: str
    ) -> dict[str, str]:
        """Return the Authorization header."""
        return {"Authorization": f"Bearer {self._token}"}

    def login(self, timestamp_ms: int, path: str) -> dict[str, str]:
        """Return the token."""
        return {"token": self._token}
