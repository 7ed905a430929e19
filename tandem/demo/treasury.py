"""A firm's treasury: the client library against the account API."""

from __future__ import annotations

import json
from typing import Any, Final

from tandem_client import AnswerNotUnderstood, BearerToken, Client

TIMEOUT_S: Final = 20.0


class Treasury:
    """Reads with the firm's bearer token; signs every other request."""

    def __init__(self, base: str, firm: str) -> None:
        self.firm = firm
        self._base = base
        self._clients: dict[str, Client] = {}

    def get(self, target: str) -> dict[str, Any]:
        """Send a GET request and return the body. Raises TandemError for an error."""
        status, body = self._ask("read", "GET", target, None)
        if status >= 400:
            raise AnswerNotUnderstood(f"GET {target}: HTTP {status}, {body.get('detail')}")
        return body

    def send(
        self, purpose: str, method: str, target: str, body: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Send a request signed with the firm's key for ``purpose``; return status and body."""
        return self._ask(purpose, method, target, body)

    def _ask(
        self, purpose: str, method: str, target: str, body: dict[str, Any] | None
    ) -> tuple[int, dict[str, Any]]:
        raw = json.dumps(body).encode() if body is not None else b""
        response = self._client(purpose).request(method, target, raw)
        return response.status, dict(json.loads(response.content))

    def _client(self, purpose: str) -> Client:
        found = self._clients.get(purpose)
        if found is None:
            key = f"demo-{self.firm}-{purpose}"
            found = self._clients[purpose] = (
                Client(self._base, credentials=BearerToken(key), timeout_s=TIMEOUT_S,
                       trust_env=False)
                if purpose == "read"
                else Client(self._base, key, f"{key}-secret", timeout_s=TIMEOUT_S, trust_env=False)
            )  # fmt: skip
        return found

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            client.close()
