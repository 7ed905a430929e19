"""Enters an order over REST, waits for its fills, and reads the balances, with requests.

python clients/python/rest_order.py buy BTC-USD 0.5 60000 --id my-first
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import sys
import time
from typing import Any

import requests


class Api:
    """Signs and sends. After a lost response, send the same request again."""

    def __init__(self, base: str, key: str, secret: str) -> None:
        self.base, self.key, self.secret = base, key, secret
        self.session = requests.Session()

    def call(self, method: str, target: str, body: dict[str, Any] | None = None) -> Any:
        raw = b"" if body is None else json.dumps(body).encode()
        for attempt in range(3):
            try:
                answer = self.session.request(
                    method, self.base + target, data=raw or None, timeout=5,
                    headers=self.headers(method, target, raw),
                )  # fmt: skip
            except requests.RequestException:
                if attempt == 2:
                    raise
                continue  # The client order id makes the repeat harmless.
            document = answer.json()
            if answer.status_code < 400:
                return document
            if document["outcome"] != "unknown" or attempt == 2:
                raise SystemExit(f"{document['code']}: {document['detail']}")
        raise AssertionError("not reached")

    def headers(self, method: str, target: str, raw: bytes) -> dict[str, str]:
        """Sign four lines: time, method, target, hash of the body."""
        now = str(time.time_ns() // 1_000_000)
        text = "\n".join((now, method, target, hashlib.sha256(raw).hexdigest()))
        sign = hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        found = {
            "X-Tandem-Key": self.key, "X-Tandem-Timestamp": now, "X-Tandem-Signature": sign,
        }  # fmt: skip
        return found | ({"Content-Type": "application/json"} if raw else {})


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("side", choices=("buy", "sell"))
    parser.add_argument("symbol")
    parser.add_argument("quantity")
    parser.add_argument("price")
    parser.add_argument("--id", required=True, help="the client order id")
    parser.add_argument("--firm", default="bob")
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    given = parser.parse_args()
    key = f"demo-{given.firm}-trade"
    api = Api(given.url, key, f"{key}-secret")
    done = api.call(
        "POST", "/v1/orders",
        {"client_order_id": given.id, "symbol": given.symbol, "side": given.side,
         "quantity": given.quantity, "price": given.price},
    )  # fmt: skip
    seq = done["as_of_seq"]
    print(f"{done['status']}: {done['filled_quantity']} of {done['quantity']} at seq {seq}")
    # A read with min_seq reflects at least the response above.
    fills = api.call("GET", f"/v1/fills?symbol={given.symbol}&min_seq={seq}&limit=1000")
    for fill in fills["fills"]:
        if fill["client_order_id"] == given.id:
            print(f"filled {fill['quantity']} @ {fill['price']}, fee {fill['fee']}")
    for row in api.call("GET", f"/v1/balances?min_seq={seq}")["balances"]:
        print(f"{row['asset']}: {row['available']} available, {row['held']} held")
    return 0


if __name__ == "__main__":
    sys.exit(main())
