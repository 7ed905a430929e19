"""The projector's metrics, read at scrape time."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from engine.history.projector import Projector


class HistoryMetrics(Collector):
    """The position of the history, and how much it has written since the start."""

    def __init__(self, projector: Projector) -> None:
        self._projector = projector

    def collect(self) -> Iterator[Metric]:
        """Return all metrics as they are now."""
        projector = self._projector
        yield GaugeMetricFamily(
            "tandem_history_seq", "Newest engine sequence that the history has",
            value=projector.last_seq,
        )  # fmt: skip
        yield CounterMetricFamily(
            "tandem_history_transactions", "Transactions written", value=projector.transactions
        )
        yield CounterMetricFamily(
            "tandem_history_commits", "SQL transactions committed", value=projector.commits
        )
