"""Metrics of the deliverer, read at the time of the scrape."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from account_api.webhooks.deliverer import Deliverer


class WebhookMetrics(Collector):
    """Endpoints by their state, attempts, and how long the oldest event waits.

    ``deliverer`` returns None while the venue has no endpoint.
    """

    def __init__(self, deliverer: Callable[[], Deliverer | None]) -> None:
        self._deliverer = deliverer

    def collect(self) -> Iterator[Metric]:
        """Read all metrics."""
        deliverer = self._deliverer()
        states = dict.fromkeys(("active", "failing", "disabled"), 0)
        delivered = failed = oldest = 0
        if deliverer is not None:
            for one in deliverer.endpoints:
                states["failing" if one.is_failing else one.state] += 1
            delivered, failed = deliverer.delivered, deliverer.failed
            oldest = deliverer.oldest_waiting_us
        endpoints = GaugeMetricFamily(
            "tandem_webhook_endpoints", "Endpoints by state", labels=("state",)
        )
        for state, count in states.items():
            endpoints.add_metric((state,), count)
        yield endpoints
        attempts = CounterMetricFamily(
            "tandem_webhook_attempts", "Attempts to deliver, since the start", labels=("outcome",)
        )
        attempts.add_metric(("delivered",), delivered)
        attempts.add_metric(("failed",), failed)
        yield attempts
        yield GaugeMetricFamily(
            "tandem_webhook_oldest_waiting_seconds",
            "Age of the oldest event that an active endpoint was not served yet; 0: none",
            value=max(time.time() - oldest / 1e6, 0.0) if oldest else 0.0,
        )
