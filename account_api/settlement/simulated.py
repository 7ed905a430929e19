"""A network that moves no coin: payments are in an SQLite file and are confirmed by the clock.

It can be configured to delay, to fail payments (by a prefix of their address) and to reorganise:
a payment that had a confirmation is lost from the chain once and returns later.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from account_api.settlement.network import (
    KeyReused,
    NetworkStatus,
    NetworkUnavailable,
    SendRequest,
)

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS payments (
    key TEXT PRIMARY KEY,
    asset TEXT NOT NULL, network TEXT NOT NULL, address TEXT NOT NULL, memo TEXT NOT NULL,
    amount TEXT NOT NULL,
    accepted_us INTEGER NOT NULL,
    reorganised_us INTEGER NOT NULL DEFAULT 0
)
"""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How the simulated network behaves; a prefix of "" matches nothing."""

    broadcast_delay_us: int = 0
    confirmation_delay_us: int = 0
    fail_prefix: str = ""
    reorganise_prefix: str = ""


class SimulatedNetwork:
    """A ``Network`` in an SQLite file; ``clock_us`` makes blocks. Used by one thread."""

    def __init__(self, path: Path, behaviour: Behaviour, clock_us: Callable[[], int]) -> None:
        self._behaviour = behaviour
        self._clock_us = clock_us
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=5.0)
        # FULL: a payment that was accepted is known after a power cut.
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.execute(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def request(self, payment: SendRequest) -> None:
        """Accept a payment once."""
        row = (
            payment.key, payment.asset, payment.network, payment.address, payment.memo,
            str(payment.amount), self._clock_us(),
        )  # fmt: skip
        try:
            self._connection.execute(
                "INSERT INTO payments (key, asset, network, address, memo, amount, accepted_us) "
                "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING",
                row,
            )
            known = self._connection.execute(
                "SELECT key, asset, network, address, memo, amount FROM payments WHERE key = ?",
                (payment.key,),
            ).fetchone()
        except sqlite3.Error as error:
            raise NetworkUnavailable(f"the simulated network cannot write: {error}") from error
        if known != row[:6]:
            raise KeyReused(f"payment {payment.key} is known with other terms")

    def status(self, key: str) -> NetworkStatus:
        """Return where a payment is by now."""
        try:
            found = self._connection.execute(
                "SELECT address, accepted_us, reorganised_us FROM payments WHERE key = ?", (key,)
            ).fetchone()
            if found is None:
                return NetworkStatus("unknown")
            return self._aged(key, *found)
        except sqlite3.Error as error:
            raise NetworkUnavailable(f"the simulated network cannot read: {error}") from error

    def _aged(
        self, key: str, address: str, accepted_us: int, reorganised_us: int
    ) -> NetworkStatus:
        behaviour, now = self._behaviour, self._clock_us()
        age = now - (reorganised_us or accepted_us) - behaviour.broadcast_delay_us
        if age < 0:
            return NetworkStatus("pending")
        if behaviour.fail_prefix and address.startswith(behaviour.fail_prefix):
            return NetworkStatus("failed", note="the simulated network refuses this address")
        if behaviour.confirmation_delay_us:
            confirmations = age // behaviour.confirmation_delay_us
        else:
            confirmations = 1_000_000
        lost = (
            behaviour.reorganise_prefix
            and address.startswith(behaviour.reorganise_prefix)
            and not reorganised_us
            and confirmations >= 1
        )
        if lost:
            self._connection.execute(
                "UPDATE payments SET reorganised_us = ? WHERE key = ?", (now, key)
            )
            return NetworkStatus("pending", note="the chain was reorganised")
        return NetworkStatus("sent", txid_of(key), min(confirmations, 1_000_000))

    def payments(self) -> list[tuple[str, str, int]]:
        """Return (key, address, amount) of every payment that was accepted, for tests."""
        rows = self._connection.execute(
            "SELECT key, address, amount FROM payments ORDER BY accepted_us, key"
        )
        return [(key, address, int(amount)) for key, address, amount in rows]


def txid_of(key: str) -> str:
    """Return the id of a payment in the simulated chain."""
    return hashlib.sha256(f"simulated:{key}".encode()).hexdigest()
