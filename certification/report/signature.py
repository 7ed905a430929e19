"""Reports are signed with the venue's Ed25519 key and are verified with its public key.

The signature is over the report as JSON with sorted keys and without whitespace, except for its
member ``signature``. ``files`` has the SHA-256 of the HTML and XML forms, so that one signature
covers all three.
"""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)


class SignatureFault(ValueError):
    """A report does not match its signature, or a key cannot be used; the message says why."""


def load_key(path: Path) -> Ed25519PrivateKey:
    """Load the private key in a PEM file. Raises SignatureFault."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError) as error:
        raise SignatureFault(f"{path} cannot be used as signing key: {error}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise SignatureFault(f"{path} holds no Ed25519 private key")
    return key


def load_or_make_key(path: Path) -> Ed25519PrivateKey:
    """Load the key from a PEM file, or create the file, and one with the public key beside it."""
    if path.exists():
        return load_key(path)
    key = Ed25519PrivateKey.generate()
    path.parent.mkdir(parents=True, exist_ok=True)
    # Created with its mode, so that nobody else can read it at any moment.
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(number, "wb") as file:
        file.write(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ))  # fmt: skip
    path.with_suffix(".pub.pem").write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return key


def load_public(path: Path) -> Ed25519PublicKey:
    """Load the public key in a PEM file, or that of a private key. Raises SignatureFault."""
    try:
        content = path.read_bytes()
        if b"PRIVATE KEY" in content:
            return load_key(path).public_key()
        key = serialization.load_pem_public_key(content)
    except (OSError, ValueError) as error:
        raise SignatureFault(f"{path} cannot be used as public key: {error}") from None
    if not isinstance(key, Ed25519PublicKey):
        raise SignatureFault(f"{path} holds no Ed25519 public key")
    return key


def public_text(key: Ed25519PublicKey) -> str:
    """Return the 32 bytes of a public key, base64."""
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return base64.b64encode(raw).decode("ascii")


def fingerprint(public: str) -> str:
    """Return the fingerprint of a public key, short enough to compare by eye."""
    digest = hashlib.sha256(base64.b64decode(public)).hexdigest()[:32]
    return ":".join(digest[n : n + 4] for n in range(0, 32, 4))


def canonical(document: dict[str, Any]) -> bytes:
    """Return the canonical form of a document, which is signed."""
    rest = {name: value for name, value in document.items() if name != "signature"}
    return msgspec.json.encode(rest, order="sorted")


def sign(document: dict[str, Any], key: Ed25519PrivateKey) -> dict[str, Any]:
    """Return the document with its signature."""
    public = public_text(key.public_key())
    unsigned = {name: value for name, value in document.items() if name != "signature"}
    value = base64.b64encode(key.sign(canonical(unsigned))).decode("ascii")
    return unsigned | {
        "signature": {
            "algorithm": "Ed25519", "public_key": public, "fingerprint": fingerprint(public),
            "value": value,
        }
    }  # fmt: skip


def verify(document: dict[str, Any], public: Ed25519PublicKey | None = None) -> str:
    """Verify a signed document; return the fingerprint of the key. Raises SignatureFault.

    With ``public`` the document must be signed with that key; without it, with the key that it
    contains, whose fingerprint the caller has to compare.
    """
    signature = document.get("signature")
    if not isinstance(signature, dict):
        raise SignatureFault("the report is not signed")
    named = str(signature.get("public_key", ""))
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(named, validate=True))
        value = base64.b64decode(str(signature.get("value", "")), validate=True)
    except ValueError as error:
        raise SignatureFault(f"the signature cannot be read: {error}") from None
    if public is not None and public_text(public) != named:
        raise SignatureFault(
            f"the report was signed with another key, {fingerprint(named)}, than the venue's, "
            f"{fingerprint(public_text(public))}"
        )
    try:
        key.verify(value, canonical(document))
    except InvalidSignature:
        raise SignatureFault("the report was changed after it was signed") from None
    return fingerprint(named)


def sha256(content: bytes) -> str:
    """Return the SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()
