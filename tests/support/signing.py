"""Headers of signed requests, as every client of the account API sends them."""

from __future__ import annotations

from account_api.security.auth import sign_hmac


def signed_headers(
    key: str,
    stamp_ms: int | str,
    method: str,
    target: str,
    body: bytes = b"",
    idempotency_key: str = "",
    *,
    secret: bytes = b"",
) -> dict[str, str]:
    """Sign a request; without ``secret`` with that of a demo key, ``<key>-secret``."""
    stamp, secret = str(stamp_ms), secret or f"{key}-secret".encode()
    headers = {
        "X-Tandem-Key": key,
        "X-Tandem-Timestamp": stamp,
        "X-Tandem-Signature": sign_hmac(secret, stamp, method, target, body, idempotency_key),
    }
    return headers | ({"Idempotency-Key": idempotency_key} if idempotency_key else {})
