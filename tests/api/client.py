"""Callers of the API for tests: signed, bearer, in process or over HTTP."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Callable
from typing import Any

from flask.testing import FlaskClient

from tests.api.inprocess import Clock
from tests.support.signing import signed_headers


class Answer:
    """Status, headers and decoded body of a response."""

    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.raw = body

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def replayed(self) -> bool:
        return self.headers.get("Idempotent-Replayed") == "true"

    def problem(self, status: int, code: str) -> dict[str, Any]:
        """The problem document, checked for its form and against what is expected."""
        assert self.headers["Content-Type"] == "application/problem+json", self.raw
        body: dict[str, Any] = self.json
        assert (self.status, body["code"]) == (status, code), body
        assert body["type"] == f"/errors/{code}"
        assert body["status"] == status
        assert body["title"] and body["detail"].endswith(".")
        assert body["request_id"] == self.headers["X-Request-Id"]
        assert isinstance(body["retryable"], bool)
        assert body["outcome"] in ("not_applied", "applied", "unknown")
        return body

    def ok(self, status: int = 200) -> Any:
        assert self.status == status, (self.status, self.raw)
        return self.json


class Caller:
    """Sends requests as one key; without a key, as nobody."""

    def __init__(
        self, http: FlaskClient, clock: Clock, key: str = "", token: str = "", secret: str = ""
    ) -> None:
        self.http = http
        self.clock = clock
        self.key = key
        self.token = token
        self.secret = secret or f"{key}-secret"

    def headers(
        self, method: str, target: str, body: bytes, idempotency_key: str = ""
    ) -> dict[str, str]:
        if self.token:
            return {"Authorization": f"Bearer {self.token}"}
        if not self.key:
            return {}
        # A millisecond later each time, so that no two requests are the same by accident.
        self.clock.now_us += 1000
        return signed_headers(
            self.key, self.clock.now_us // 1000, method, target, body, idempotency_key,
            secret=self.secret.encode(),
        )  # fmt: skip

    def send(
        self,
        method: str,
        target: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        idempotency_key: str = "",
    ) -> Answer:
        data = b"" if body is None else body if isinstance(body, bytes) else _encode(body)
        if headers is None:
            headers = self.headers(method, target, data, idempotency_key)
        if data:
            headers = {"Content-Type": "application/json", **headers}
        path, _, query = target.partition("?")
        # As gunicorn hands it over: the path unquoted to bytes, the target as it came.
        raw = {
            "PATH_INFO": urllib.parse.unquote(path, "latin-1"),
            "QUERY_STRING": query,
            "RAW_URI": target,
            "REQUEST_URI": target,
        }
        response = self.http.open(
            "/", method=method, data=data, headers=headers, environ_overrides=raw
        )
        return Answer(response.status_code, response.headers, response.data)

    def get(self, target: str, **query: Any) -> Answer:
        return self.send("GET", with_query(target, query))

    def post(self, target: str, body: Any = None, idempotency_key: str = "") -> Answer:
        return self.send("POST", target, body, idempotency_key=idempotency_key)

    def put(self, target: str, body: Any, idempotency_key: str = "") -> Answer:
        return self.send("PUT", target, body, idempotency_key=idempotency_key)

    def patch(self, target: str, body: Any) -> Answer:
        return self.send("PATCH", target, body)

    def delete(self, target: str, **query: Any) -> Answer:
        return self.send("DELETE", with_query(target, query))


CallerOf = Callable[[str], Caller]
"""The fixture ``caller``: a caller by the name of its key in the demo configuration."""


def with_query(target: str, query: dict[str, Any]) -> str:
    return f"{target}?{urllib.parse.urlencode(query)}" if query else target


def _encode(body: Any) -> bytes:
    return json.dumps(body).encode()


def limit(name: str, side: str, quantity: str, price: str, **more: Any) -> dict[str, Any]:
    """The body of a limit order for BTC-USD."""
    return {
        "client_order_id": name, "symbol": "BTC-USD", "side": side, "quantity": quantity,
        "price": price, **more,
    }  # fmt: skip
