"""Follows an account over the WebSocket, through lost connections, with tandem-client.

python clients/python/stream_orders.py --orders 2

It subscribes to orders from where it left off (``--from-seq``), and ends after ``--orders``
events. What it prints as ``next`` is the ``--from-seq`` of the next run.
"""

from __future__ import annotations

import argparse
import sys

from tandem_client import Disconnected, Gap, OrdersMessage, Reconnected, Stream, TandemError


def follow(given: argparse.Namespace) -> None:
    key, left = f"demo-{given.firm}-trade", given.orders
    with Stream(given.url, key, f"{key}-secret") as stream:
        print("login: ok", flush=True)
        stream.subscribe(
            "orders", account=given.account or None, from_seq=given.from_seq or None
        )
        print("subscribe: ok", flush=True)
        for item in stream:
            match item:
                case OrdersMessage(snapshot=True, data=list(orders)):
                    print(f"snapshot: {len(orders)} open, next {item.seq + 1}", flush=True)
                case OrdersMessage(data=event):
                    what = getattr(event, "event", "")
                    name = getattr(event, "client_order_id", "")
                    print(f"{item.seq} {what} {name} next {item.seq + 1}", flush=True)
                    left -= 1
                case Disconnected() | Reconnected() | Gap():
                    print(item, file=sys.stderr, flush=True)
            if left <= 0:
                return


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--firm", default="bob")
    parser.add_argument("--url", default="ws://127.0.0.1:8081")
    parser.add_argument("--account", default="", help="a sub-account of the firm, else its own")
    parser.add_argument("--from-seq", type=int, default=0)
    parser.add_argument("--orders", type=int, default=2, help="events to wait for")
    try:
        follow(parser.parse_args())
    except (TandemError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
