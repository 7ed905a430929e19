"""Enters an order over REST and shows its fills and the balances, with tandem-client.

python clients/python/rest_order.py buy BTC-USD 0.5 60000 --id my-first

Run it again with the same --id after any failure: the order is entered once.
"""

from __future__ import annotations

import argparse
import sys

from tandem_client import Client, TandemError


def run(given: argparse.Namespace) -> None:
    key = f"demo-{given.firm}-trade"
    with Client(given.url, key, f"{key}-secret") as venue:
        # Without an answer it is sent again: its client order id makes that harmless.
        done = venue.create_order(
            client_order_id=given.id, symbol=given.symbol, side=given.side,
            quantity=given.quantity, price=given.price,
        )  # fmt: skip
        seq = done.as_of_seq
        print(f"{done.status}: {done.filled_quantity} of {done.quantity} at seq {seq}")
        # A read with min_seq reflects at least the response above.
        for fill in venue.iter_fills(client_order_id=given.id, min_seq=seq):
            print(f"filled {fill.quantity} @ {fill.price}, fee {fill.fee}")
        for row in venue.get_balances(min_seq=seq).balances:
            print(f"{row.asset}: {row.available} available, {row.held} held")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("side", choices=("buy", "sell"))
    parser.add_argument("symbol")
    parser.add_argument("quantity")
    parser.add_argument("price")
    parser.add_argument("--id", required=True, help="the client order id")
    parser.add_argument("--firm", default="bob")
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    try:
        run(parser.parse_args())
    except (TandemError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
