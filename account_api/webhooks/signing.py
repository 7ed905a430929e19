"""Signatures of deliveries, by the Standard Webhooks specification (version 1).

A delivery has the headers ``webhook-id``, ``webhook-timestamp`` (seconds since 1970, of this
attempt) and ``webhook-signature``: for each valid secret ``v1,`` and the base64 of HMAC-SHA256 over
``<id>.<timestamp>.<body>``, separated by spaces. The text of a secret is ``whsec_`` and the base64
of its bytes.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from typing import Final

SECRET_PREFIX: Final = "whsec_"
SECRET_BYTES: Final = 32


def new_secret() -> bytes:
    """Draw the bytes of a secret."""
    return secrets.token_bytes(SECRET_BYTES)


def secret_text(secret: bytes) -> str:
    """Write a secret as libraries take it."""
    return SECRET_PREFIX + base64.b64encode(secret).decode()


def signature(secret: bytes, event_id: str, timestamp_s: int, body: bytes) -> str:
    """Sign one delivery with one secret."""
    signed = f"{event_id}.{timestamp_s}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()


def signed_headers(
    secrets_valid: Iterable[bytes], event_id: str, timestamp_s: int, body: bytes
) -> list[tuple[str, str]]:
    """Return the three headers of a delivery, signed with every secret that is valid."""
    signatures = [signature(one, event_id, timestamp_s, body) for one in secrets_valid]
    return [
        ("webhook-id", event_id),
        ("webhook-timestamp", str(timestamp_s)),
        ("webhook-signature", " ".join(signatures)),
    ]
