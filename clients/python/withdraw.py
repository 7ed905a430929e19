"""Withdraws at a fee that it quotes first, with requests; safe to run again after any failure.

python clients/python/withdraw.py ETH 2 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed --id payout-1
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
    """Signs and sends; a request without a response is sent again, which its id makes harmless."""

    def __init__(self, base: str, key: str, secret: str) -> None:
        self.base, self.key, self.secret = base, key, secret
        self.session = requests.Session()

    def call(
        self, method: str, target: str, body: dict[str, Any] | None = None, once: str = ""
    ) -> Any:
        """``once`` is the Idempotency-Key, for requests that have no id of their own."""
        raw = b"" if body is None else json.dumps(body).encode()
        for attempt in range(3):
            try:
                answer = self.session.request(
                    method, self.base + target, data=raw or None, timeout=5,
                    headers=self.headers(method, target, raw, once),
                )  # fmt: skip
            except requests.RequestException:
                if attempt == 2:
                    raise
                continue
            document = answer.json()
            if answer.status_code < 400:
                return document
            if document["outcome"] != "unknown" or attempt == 2:
                raise SystemExit(f"{document['code']}: {document['detail']}")
        raise AssertionError("not reached")

    def headers(self, method: str, target: str, raw: bytes, once: str) -> dict[str, str]:
        """Sign four lines: time, method, target, hash of the body; the key is a fifth."""
        now = str(time.time_ns() // 1_000_000)
        lines = [now, method, target, hashlib.sha256(raw).hexdigest(), *([once] if once else [])]
        text = "\n".join(lines).encode()
        sign = hmac.new(self.secret.encode(), text, hashlib.sha256).hexdigest()
        found = {
            "X-Tandem-Key": self.key, "X-Tandem-Timestamp": now, "X-Tandem-Signature": sign,
        }  # fmt: skip
        found |= {"Content-Type": "application/json"} if raw else {}
        return found | ({"Idempotency-Key": once} if once else {})


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("asset")
    parser.add_argument("amount")
    parser.add_argument("address")
    parser.add_argument("--id", required=True, help="the client withdrawal id")
    parser.add_argument("--firm", default="bob")
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    given = parser.parse_args()
    key = f"demo-{given.firm}-withdraw"
    api = Api(given.url, key, f"{key}-secret")
    known = {"asset": given.asset, "amount": given.amount}
    quote = api.call("POST", "/v1/withdrawals/quotes", known, once=f"quote-{given.id}")
    print(f"{quote['net']} {quote['asset']} arrive, {quote['fee']} is the fee")
    done = api.call(
        "POST", "/v1/withdrawals",
        {"client_withdrawal_id": given.id, "address": given.address,
         "quote_id": quote["quote_id"], **known},
    )  # fmt: skip
    print(f"withdrawal {done['client_withdrawal_id']}: {done['state']}, {done['fee']} was the fee")
    return 0


if __name__ == "__main__":
    sys.exit(main())
