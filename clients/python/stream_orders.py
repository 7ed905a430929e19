"""Follows an account over the WebSocket and checks that nothing is missing, with websockets.

python clients/python/stream_orders.py --orders 2

It logs in, subscribes to orders and executions from where it left off (``--from-seq``), and
ends after ``--orders`` events. What it prints as ``next`` is the ``--from-seq`` of the next run.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import json
import sys
import time
from typing import Any

from websockets.asyncio.client import connect

PATH = "/v1/stream"


def login(key: str, secret: str) -> dict[str, Any]:
    """Sign as for ``GET /v1/stream`` without a body."""
    now = str(time.time_ns() // 1_000_000)
    text = "\n".join((now, "GET", PATH, hashlib.sha256(b"").hexdigest()))
    sign = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    return {"op": "login", "req_id": 1, "params": {"key": key, "timestamp": now, "signature": sign}}


async def follow(url: str, key: str, account: str, from_seq: int, events: int) -> None:
    async with connect(f"{url}{PATH}") as stream:
        await stream.send(json.dumps(login(key, f"{key}-secret")))
        wanted: dict[str, Any] = {"channels": ["orders"]}
        if account:
            wanted["account"] = account
        if from_seq:
            wanted["from_seq"] = from_seq
        await stream.send(json.dumps({"op": "subscribe", "req_id": 2, "params": wanted}))
        last: int | None = None
        async for text in stream:
            message = json.loads(text)
            if "op" in message:
                if not message["ok"]:
                    raise SystemExit(message["error"]["detail"])
                print(f"{message['op']}: ok", flush=True)
                continue
            if message["channel"] != "orders":
                continue  # A heartbeat has the last seq, so an idle client notices a loss.
            if message["type"] == "snapshot":
                last = message["seq"]
                print(f"snapshot: {len(message['data'])} open, next {last + 1}", flush=True)
                if events == 0:
                    return
                continue
            if last is not None and message["prev_seq"] != last:
                raise SystemExit(f"{message['prev_seq']} follows {last}: something was lost")
            last = message["seq"]
            data = message["data"]
            name = data.get("client_order_id", "")
            print(f"{last} {data['event']} {name} next {last + 1}", flush=True)
            events -= 1
            if events <= 0:
                return


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--firm", default="bob")
    parser.add_argument("--url", default="ws://127.0.0.1:8081")
    parser.add_argument("--account", default="", help="a sub-account of the firm, else its own")
    parser.add_argument("--from-seq", type=int, default=0)
    parser.add_argument("--orders", type=int, default=2, help="events to wait for")
    given = parser.parse_args()
    key = f"demo-{given.firm}-trade"
    asyncio.run(follow(given.url, key, given.account, given.from_seq, given.orders))
    return 0


if __name__ == "__main__":
    sys.exit(main())
