"""A client of the account API: public reads and signed requests over HTTP."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from typing import Any, Final

import requests

TIMEOUT_S: Final = 10.0


class Unavailable(RuntimeError):
    """The venue does not answer, or with no result; the request may have been executed."""


class Refused(RuntimeError):
    """The venue refused the request; ``code`` is that of its problem document."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code


def signature(secret: str, stamp: str, method: str, target: str, body: bytes) -> str:
    """Return the HMAC-SHA256 over time, method, target and the hash of the body, as hex."""
    text = f"{stamp}\n{method}\n{target}\n{hashlib.sha256(body).hexdigest()}"
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


class Rest:
    """A client with one persistent connection. Without a key it can only read public data."""

    def __init__(self, base: str, key: str = "", secret: str = "") -> None:
        self._base = base
        self._key = key
        self._secret = secret
        self._http = requests.Session()
        # Ignore the proxy of the environment.
        self._http.trust_env = False
        self._lock = threading.Lock()
        self._stamp_ms = 0

    def credentials(self, method: str, target: str, body: bytes = b"") -> dict[str, str]:
        """Return key, timestamp and signature of a request made now; no two have the same time."""
        with self._lock:
            self._stamp_ms = max(self._stamp_ms + 1, time.time_ns() // 1_000_000)
            stamp = str(self._stamp_ms)
        return {
            "key": self._key,
            "timestamp": stamp,
            "signature": signature(self._secret, stamp, method, target, body),
        }

    def call(self, method: str, target: str, body: Any = None) -> dict[str, Any]:
        """Send a request. Raises Refused, and Unavailable for 5xx, 429 and no answer."""
        data = b"" if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if data else {}
        if self._key:
            signed = self.credentials(method, target, data)
            headers.update({f"X-Tandem-{name.title()}": value for name, value in signed.items()})
        try:
            answer = self._http.request(
                method, self._base + target, data=data or None, headers=headers,
                timeout=TIMEOUT_S, allow_redirects=False,
            )  # fmt: skip
            content: dict[str, Any] = answer.json()
        except (requests.RequestException, ValueError) as error:
            raise Unavailable(str(error)) from error
        if answer.status_code < 400:
            return content
        code, detail = str(content.get("code")), str(content.get("detail"))
        if answer.status_code >= 500 or answer.status_code == 429:
            raise Unavailable(f"{code}: {detail}")
        raise Refused(code, detail)

    def close(self) -> None:
        """Close the connection."""
        self._http.close()
