"""``tandem sign`` and ``tandem curl``: signed requests from the command line."""

from __future__ import annotations

import http.client
import json
import os
import time
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from config.settings import Settings, load
from config.suggestion import hint
from tandem import signing
from tandem.output import CommandError

TIMEOUT_S: Final = 30.0


def base_url(settings: Settings) -> str:
    """Return the URL of the account API of these settings."""
    host = f"[{settings.http.host}]" if ":" in settings.http.host else settings.http.host
    return f"http://{host}:{settings.http.port}"


def signer(key: str, secret_file: Path | None, config: Path | None) -> signing.Signer:
    """Return the signer of a key: from a file, from TANDEM_SECRET, or from the configuration.

    A secret is never read from the command line, which every user of the machine can see.
    """
    if secret_file is not None:
        try:
            text = secret_file.read_text(encoding="utf-8")
            if "PRIVATE KEY" in text:
                return signing.ed25519_signer(secret_file)
        except (OSError, ValueError) as error:
            raise CommandError(f"{secret_file} cannot be used as secret: {error}") from None
        return signing.hmac_signer(text.strip())
    if secret := os.environ.get("TANDEM_SECRET"):
        return signing.hmac_signer(secret)
    own = {known.key: known for known in load(config).keys if known.secret}
    if key not in own:
        raise CommandError(
            f"there is no secret for the key {key!r}{hint(key, own)}; for a key that is not in "
            "the configuration give --secret-file or TANDEM_SECRET"
        )
    return signing.hmac_signer(own[key].secret)


def body_bytes(text: str) -> bytes:
    """Return the body as given, or the contents of the file after @."""
    if text.startswith("@"):
        try:
            return Path(text[1:]).read_bytes()
        except OSError as error:
            raise CommandError(f"{text[1:]} cannot be read: {error.strerror}") from None
    return text.encode()


def signed_headers(
    key: str,
    sign: signing.Signer,
    method: str,
    target: str,
    body: bytes,
    idempotency_key: str = "",
) -> dict[str, str]:
    """Return the headers that sign a request now."""
    now_ms = time.time_ns() // 1_000_000
    return signing.headers(key, sign, now_ms, method.upper(), target, body, idempotency_key)


def send(
    base: str,
    key: str,
    sign: signing.Signer,
    method: str,
    target: str,
    body: bytes,
    idempotency_key: str = "",
) -> tuple[int, str]:
    """Sign and send one request; return the status and the body, indented if it is JSON.

    The target is sent byte for byte as it was signed, which is why a low-level client is used
    that normalizes nothing.
    """
    if not target.startswith("/"):
        raise CommandError(f"the path must begin with a slash, as in /v1/balances, not {target!r}")
    parts = urlsplit(base)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "127.0.0.1", parts.port, timeout=TIMEOUT_S)
    headers = signed_headers(key, sign, method, target, body, idempotency_key)
    if body:
        headers["Content-Type"] = "application/json"
    try:
        connection.request(method.upper(), target, body or None, headers)
        response = connection.getresponse()
        text = response.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise CommandError(f"no answer from {base}: {error}") from None
    finally:
        connection.close()
    return response.status, _pretty(text)


def _pretty(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text
