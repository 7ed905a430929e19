"""The bots' metrics, for Prometheus."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class Bot(Protocol):
    """A bot: ``active`` while it quotes or is connected; its counters."""

    active: threading.Event
    orders_sent: int
    failures: int


class BotMetrics(Collector):
    """Reads the bots' counters at each scrape."""

    def __init__(self, bots: Iterable[Bot]) -> None:
        self._bots = tuple(bots)

    def collect(self) -> Iterator[Metric]:
        """Yield one sample per bot in each family."""
        active = GaugeMetricFamily(
            "tandem_bots_active", "1 while the bot quotes or is connected", labels=["bot"]
        )
        sent = CounterMetricFamily(
            "tandem_bots_orders", "Orders that the bot has sent", labels=["bot"]
        )
        failures = CounterMetricFamily(
            "tandem_bots_failures", "How often the venue refused the bot or was away",
            labels=["bot"],
        )  # fmt: skip
        for bot in self._bots:
            name = type(bot).__name__
            active.add_metric([name], int(bot.active.is_set()))
            sent.add_metric([name], bot.orders_sent)
            failures.add_metric([name], bot.failures)
        yield from (active, sent, failures)
