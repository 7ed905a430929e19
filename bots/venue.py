"""How the bots reach the account API: every failure is theirs to handle, so nothing is repeated."""

from __future__ import annotations

from typing import Final

from tandem_client import Client, Retry

TIMEOUT_S: Final = 10.0


def account_api(base: str, key: str = "", secret: str = "") -> Client:
    """Return a client. Without a key it can only read public data.

    It ignores the proxy of the environment, and spends no Idempotency-Key on batches: after a
    lost response the maker cancels everything and starts again.
    """
    return Client(
        base, key, secret, timeout_s=TIMEOUT_S, retry=Retry(attempts=1), automatic_keys=False,
        trust_env=False,
    )  # fmt: skip
