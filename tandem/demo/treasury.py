"""A firm's treasury: ``requests`` against the account API."""

from __future__ import annotations

import json
import time
from typing import Any, Final

import requests

from tandem import signing

TIMEOUT_S: Final = 20.0


class Treasury:
    """Reads with the firm's bearer token; signs every other request."""

    def __init__(self, base: str, firm: str) -> None:
        self.firm = firm
        self._base = base
        self._http = requests.Session()
        self._http.trust_env = False

    def get(self, target: str) -> dict[str, Any]:
        """Send a GET request and return the body. Raises ``requests.HTTPError`` for an error."""
        answer = self._http.get(
            self._base + target,
            headers={"Authorization": f"Bearer demo-{self.firm}-read"},
            timeout=TIMEOUT_S,
        )
        answer.raise_for_status()
        return dict(answer.json())

    def send(
        self, purpose: str, method: str, target: str, body: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Send a request signed with the firm's key for ``purpose``; return status and body."""
        return self._signed(f"demo-{self.firm}-{purpose}", method, target, body)

    def _signed(
        self, key: str, method: str, target: str, body: dict[str, Any] | None
    ) -> tuple[int, dict[str, Any]]:
        raw = json.dumps(body).encode() if body is not None else b""
        request = self._http.prepare_request(
            requests.Request(method, self._base + target, data=raw or None)
        )
        if raw:
            request.headers["Content-Type"] = "application/json"
        # The signature covers the target as it is sent, after requests has encoded it.
        request.headers.update(
            signing.headers(
                key, signing.hmac_signer(f"{key}-secret"), time.time_ns() // 1_000_000,
                method, request.path_url, raw,
            )
        )  # fmt: skip
        answer = self._http.send(request, timeout=TIMEOUT_S)
        return answer.status_code, dict(answer.json())

    def close(self) -> None:
        """Close the connections."""
        self._http.close()
