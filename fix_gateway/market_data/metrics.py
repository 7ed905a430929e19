"""What the market data service counts, and the metrics of the process that hosts it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class MarketDataCounts:
    """Counts since the start of the process; written by the service's thread alone."""

    __slots__ = ("ended_slow", "messages", "rejected", "requests", "slow")

    def __init__(self) -> None:
        self.requests = 0
        """Requests answered, the rejected ones included."""
        self.rejected = 0
        self.messages = 0
        """Messages sent, of any kind."""
        self.slow = 0
        """Times that a session was found to leave too much unread."""
        self.ended_slow = 0
        """Sessions ended because they read too slowly."""


class Hosted(Protocol):
    """What the metrics ask of a service."""

    @property
    def counts(self) -> MarketDataCounts:
        """What it has counted."""
    @property
    def available(self) -> bool:
        """True while there is a market to show."""
    @property
    def position(self) -> int:
        """The transaction up to which the market is known."""
    @property
    def readers(self) -> int:
        """How many sessions have subscriptions."""


def service_metrics(service: Hosted) -> Iterator[Metric]:
    """Yield the metrics of a service, wherever it is hosted."""
    counts = service.counts
    for name, text, value in (
        ("available", "1 while there is a market to show", int(service.available)),
        ("seq", "Engine sequence up to which the market is known", service.position),
        ("readers", "Sessions that have subscriptions", service.readers),
    ):
        yield GaugeMetricFamily(f"tandem_market_data_{name}", text, value=value)
    for name, text, value in (
        ("requests", "Requests answered, rejected ones included", counts.requests),
        ("requests_rejected", "Requests rejected", counts.rejected),
        ("messages", "Messages sent", counts.messages),
        ("slow", "Times that a session left too much unread to be told more", counts.slow),
        ("ended_slow", "Sessions ended because they read too slowly", counts.ended_slow),
    ):
        yield CounterMetricFamily(f"tandem_market_data_{name}", text, value=value)


class MarketDataMetrics(Collector):
    """The metrics of the market data process; ``connected`` gives who is logged on."""

    def __init__(
        self, service: Hosted, sessions: Iterable[str], connected: Callable[[], Iterable[str]]
    ) -> None:
        self._service = service
        self._sessions = tuple(sessions)
        self._connected = connected

    def collect(self) -> Iterator[Metric]:
        """Yield all of them; the counts are those of this moment."""
        yield from service_metrics(self._service)
        connected = GaugeMetricFamily(
            "tandem_market_data_session_connected", "1 while the session is logged on",
            labels=["session"],
        )  # fmt: skip
        live = set(self._connected())
        for name in self._sessions:
            connected.add_metric([name], int(name in live))
        yield connected
