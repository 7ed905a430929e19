"""Signs Logons as a client does, from the words of spec/FIX.md alone."""

from __future__ import annotations

import base64

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.fix.rawfix import encode

ORDER = "35 49 56 34 52 98 108 141 553 20003 20004 20006".split()


def public_text(key: Ed25519PrivateKey) -> str:
    """The public key as the configuration has it."""
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return base64.b64encode(raw).decode()


def signature(key: Ed25519PrivateKey, fields: dict[str, str]) -> str:
    """RawData(96) of a Logon with these fields."""
    signed = "\x01".join(f"{tag}={fields[tag]}" for tag in ORDER if tag in fields)
    return base64.b64encode(key.sign(signed.encode("ascii"))).decode()


def logon(key: Ed25519PrivateKey, fields: dict[str, str], extra: str = "") -> bytes:
    """A whole signed Logon."""
    text = signature(key, fields)
    body = "".join(f"{tag}={value}|" for tag, value in fields.items())
    return encode(f"{body}{extra}95={len(text)}|96={text}|")
