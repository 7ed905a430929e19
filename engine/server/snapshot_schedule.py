"""When snapshots are taken beside trading, and what is said of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog

from engine.core.exchange import Exchange
from engine.journal.base import Journal
from engine.journal.snapshots import Outcome, SnapshotWriter
from engine.server.metrics import Counters

LATE_SHARE: Final = 8
"""A snapshot may be late by this part of the commands between two."""

log = structlog.get_logger("engine.server.snapshots")


class SnapshotSchedule:
    """Every ``every`` transactions one, in a turn in which nothing else is done, so that nobody
    waits for both; where there is no such turn, not much later for that."""

    def __init__(
        self, exchange: Exchange, journal: Journal, writer: SnapshotWriter, counters: Counters,
        every: int, monotonic: Callable[[], float],
    ) -> None:  # fmt: skip
        self._exchange = exchange
        self._journal = journal
        self._writer = writer
        self._counters = counters
        self._every = every
        self._monotonic = monotonic
        self._next = exchange.seq + every

    @property
    def due(self) -> bool:
        """Whether a turn without other work is wanted now."""
        return self._exchange.seq >= self._next and not self._writer.busy

    def look_after(self, idle: bool) -> bool:
        """See to the child, or begin one if it is time; ``idle``: nothing else was to be done.

        Return True if a child has finished.
        """
        if self._writer.busy:
            return self._finish()
        late = 0 if idle else self._every // LATE_SHARE
        if self._exchange.seq >= self._next + late:
            self._begin()
        return False

    def _finish(self) -> bool:
        finished = self._writer.poll()
        if finished is None:
            return False
        tell = log.info if finished.outcome is Outcome.WRITTEN else log.error
        tell(
            "snapshot", seq=finished.seq, outcome=finished.outcome.value,
            exit_code=finished.exit_code,
        )  # fmt: skip
        self._counters.snapshots_failed += finished.outcome is Outcome.FAILED
        return True

    def _begin(self) -> None:
        exchange = self._exchange
        self._next = exchange.seq + self._every
        started = self._monotonic()
        try:
            crc = self._journal.crc_at(exchange.seq)
            self._journal.flush()  # A snapshot must not outlive the end of its journal.
            self._writer.start(exchange, exchange.time_us, crc)
        except OSError as error:
            self._counters.snapshots_failed += 1
            log.error("snapshot_not_started", error=str(error))
            return
        pause_ms = (self._monotonic() - started) * 1_000
        self._counters.snapshot_pause_us = int(pause_ms * 1_000)
        log.info("snapshot_started", seq=exchange.seq, pause_ms=round(pause_ms, 1))
