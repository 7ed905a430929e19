"""A firm that works over HTTP while somebody looks at the page."""

from __future__ import annotations

import itertools
import json
import time
from typing import Any

import requests

from tests.support import pace
from tests.support.signing import signed_headers

_numbers = itertools.count(1)


class Firm:
    """A firm that works over HTTP while somebody looks at the page."""

    def __init__(self, url: str, name: str) -> None:
        self.url = url
        self.name = name
        self.http = requests.Session()
        self.http.trust_env = False

    def call(self, method: str, target: str, body: Any = None, purpose: str = "trade") -> Any:
        key = f"demo-{self.name}-{purpose}" if self.name != "operator" else "demo-operator"
        data = b"" if body is None else json.dumps(body).encode()
        headers = signed_headers(key, time.time_ns() // 1_000_000, method, target, data)
        if data:
            headers["Content-Type"] = "application/json"
        answer = self.http.request(
            method, self.url + target, data=data or None, headers=headers, timeout=pace.seconds(20)
        )
        assert answer.ok, answer.text
        time.sleep(0.001)  # So that no two requests are signed in the same millisecond.
        return answer.json()

    def order(self, side: str, quantity: str, price: str, symbol: str = "BTC-USD") -> Any:
        """Send a limit order."""
        return self.call("POST", "/v1/orders", {
            "client_order_id": f"{self.name}-{next(_numbers)}", "symbol": symbol, "side": side,
            "quantity": quantity, "price": price,
        })  # fmt: skip

    def cancel_all(self) -> None:
        self.call("DELETE", "/v1/orders")

    def balance(self, asset: str) -> str:
        rows = self.call("GET", "/v1/balances")["balances"]
        return {row["asset"]: str(row["available"]) for row in rows}[asset]
