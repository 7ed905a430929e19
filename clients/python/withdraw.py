"""Withdraws at a fee that it quotes first, with tandem-client.

python clients/python/withdraw.py ETH 2 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed --id payout-1

Run it again with the same --id after any failure: the money leaves once.
"""

from __future__ import annotations

import argparse
import sys

from tandem_client import Client, TandemError


def run(given: argparse.Namespace) -> None:
    key = f"demo-{given.firm}-withdraw"
    with Client(given.url, key, f"{key}-secret") as venue:
        # A quote has no id of its own; under the same Idempotency-Key it is the same quote.
        quote = venue.quote_withdrawal(
            asset=given.asset, amount=given.amount, idempotency_key=f"quote-{given.id}"
        )
        print(f"{quote.net} {quote.asset} arrive, {quote.fee} is the fee")
        done = venue.request_withdrawal(
            client_withdrawal_id=given.id, asset=given.asset, amount=given.amount,
            address=given.address, quote_id=quote.quote_id,
        )  # fmt: skip
        print(f"withdrawal {done.client_withdrawal_id}: {done.state}, {done.fee} was the fee")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("asset")
    parser.add_argument("amount")
    parser.add_argument("address")
    parser.add_argument("--id", required=True, help="the client withdrawal id")
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
