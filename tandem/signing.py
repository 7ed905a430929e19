"""Sign requests to the account API as a client does (spec/REST.md, Authentication).

The signed text is four lines joined by newlines: the time in milliseconds, the method, the
target with its query, and the hex SHA-256 of the body; a fifth is the Idempotency-Key, if that
header is sent.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

Signer: TypeAlias = Callable[[bytes], str]
"""Computes the hex signature of a text."""


def signing_text(
    timestamp_ms: int, method: str, target: str, body: bytes, idempotency_key: str = ""
) -> bytes:
    """Return the four lines, and the fifth if there is an Idempotency-Key."""
    lines = [str(timestamp_ms), method, target, hashlib.sha256(body).hexdigest()]
    if idempotency_key:
        lines.append(idempotency_key)
    return "\n".join(lines).encode()


def hmac_signer(secret: str) -> Signer:
    """Return a signer with a shared secret (HMAC-SHA256)."""

    def sign(text: bytes) -> str:
        return hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()

    return sign


def ed25519_signer(pem_file: Path) -> Signer:
    """Return a signer with the private key of a PEM file. Raises ValueError for other keys."""
    key = load_pem_private_key(pem_file.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"{pem_file} holds no Ed25519 private key")
    return lambda text: key.sign(text).hex()


def headers(
    key: str,
    sign: Signer,
    timestamp_ms: int,
    method: str,
    target: str,
    body: bytes,
    idempotency_key: str = "",
) -> dict[str, str]:
    """Return the headers of a signed request."""
    text = signing_text(timestamp_ms, method, target, body, idempotency_key)
    named = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
    return named | {
        "X-Tandem-Key": key,
        "X-Tandem-Timestamp": str(timestamp_ms),
        "X-Tandem-Signature": sign(text),
    }
