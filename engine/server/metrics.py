"""The engine's counters; read on request, never pushed.

The hot path pays one pair of clock readings and a few additions per commit, not per command:
what can be read from the state (orders, trades) is read on request.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from pathlib import Path
from typing import Final

from engine.core.exchange import Exchange
from engine.core.types import ClientMetrics, EngineMetrics
from engine.server.ipc import Server

COMMIT_BUCKETS_US: Final = (
    100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 51_200, 102_400, 1_000_000,
)  # fmt: skip
"""Upper bounds of the commit histogram; slower commits are counted only in the total."""
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


class Counters:
    """Counters since the start of the process; used by the engine's thread alone."""

    def __init__(self) -> None:
        self.batches = 0
        self.transactions = 0
        self.duplicates = 0
        self.snapshots_failed = 0
        self.snapshot_pause_us = 0
        self._commit_us = 0
        self._commit_us_max = 0
        self._buckets = [0] * (len(COMMIT_BUCKETS_US) + 1)

    def committed(self, transactions: int, seconds: float) -> None:
        """Count one commit, its number of transactions and its duration."""
        took_us = int(seconds * 1e6)
        self.batches += 1
        self.transactions += transactions
        self._commit_us += took_us
        if took_us > self._commit_us_max:
            self._commit_us_max = took_us
        self._buckets[bisect_left(COMMIT_BUCKETS_US, took_us)] += 1

    def read(self, exchange: Exchange, server: Server, catching_up: int) -> EngineMetrics:
        """Return everything as it is now."""
        spent = os.times()
        return EngineMetrics(
            batches=self.batches,
            transactions=self.transactions,
            duplicates=self.duplicates,
            commit_us=self._commit_us,
            commit_us_max=self._commit_us_max,
            commit_buckets=tuple(zip(COMMIT_BUCKETS_US, self._buckets, strict=False)),
            orders=exchange.next_order_id - 1,
            trades=exchange.next_trade_id - 1,
            withdrawals=exchange.next_withdrawal_id - 1,
            snapshots_failed=self.snapshots_failed,
            snapshot_pause_us=self.snapshot_pause_us,
            dropped=server.dropped,
            catching_up=catching_up,
            clients=tuple(
                ClientMetrics(each.name, each.bytes) for each in server.connections.values()
            ),
            cpu_us=int((spent.user + spent.system) * 1e6),
            resident_bytes=_resident_bytes(),
        )


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE_BYTES
