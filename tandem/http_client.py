"""``tandem sign`` and ``tandem curl``: signed requests from the command line."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Final

from config.settings import Settings, load
from config.suggestion import hint
from tandem.output import CommandError
from tandem_client.credentials import Ed25519Key, HmacKey, SigningKey

TIMEOUT_S: Final = 30.0


def base_url(settings: Settings) -> str:
    """Return the URL of the account API of these settings."""
    host = f"[{settings.http.host}]" if ":" in settings.http.host else settings.http.host
    return f"http://{host}:{settings.http.port}"


def signer(key: str, secret_file: Path | None, config: Path | None) -> SigningKey:
    """Return the signer of a key: from a file, from TANDEM_SECRET, or from the configuration.

    A secret is never read from the command line, which every user of the machine can see.
    """
    if secret_file is not None:
        try:
            text = secret_file.read_text(encoding="utf-8")
            if "PRIVATE KEY" in text:
                return Ed25519Key(key, secret_file)
        except (OSError, ValueError) as error:
            raise CommandError(f"{secret_file} cannot be used as secret: {error}") from None
        return HmacKey(key, text.strip())
    if secret := os.environ.get("TANDEM_SECRET"):
        return HmacKey(key, secret)
    own = {known.key: known for known in load(config).keys if known.secret}
    if key not in own:
        raise CommandError(
            f"there is no secret for the key {key!r}{hint(key, own)}; for a key that is not in "
            "the configuration give --secret-file or TANDEM_SECRET"
        )
    return HmacKey(key, own[key].secret)


def body_bytes(text: str) -> bytes:
    """Return the body as given, or the contents of the file after @."""
    if text.startswith("@"):
        try:
            return Path(text[1:]).read_bytes()
        except OSError as error:
            raise CommandError(f"{text[1:]} cannot be read: {error.strerror}") from None
    return text.encode()


def signed_headers(
    signer: SigningKey, method: str, target: str, body: bytes, idempotency_key: str = ""
) -> dict[str, str]:
    """Return the headers that sign a request now."""
    now_ms = time.time_ns() // 1_000_000
    named = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
    return named | signer.headers(now_ms, method.upper(), target, body, idempotency_key)


def send(
    base: str, signer: SigningKey, method: str, target: str, body: bytes, idempotency_key: str = ""
) -> tuple[int, str]:
    """Sign and send one request; return the status and the body, indented if it is JSON.

    The target is sent byte for byte as it is signed.
    """
    if not target.startswith("/"):
        raise CommandError(f"the path must begin with a slash, as in /v1/balances, not {target!r}")
    # Only a command that sends needs the HTTP library.
    from tandem_client import Client, TandemError

    try:
        with Client(base, credentials=signer, timeout_s=TIMEOUT_S, trust_env=False) as client:
            response = client.request(method, target, body, idempotency_key=idempotency_key)
    except (TandemError, ValueError) as error:
        raise CommandError(str(error).rstrip(".")) from None
    return response.status, _pretty(response.content.decode("utf-8", "replace"))


def _pretty(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text
