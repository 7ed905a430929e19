"""The stream's metrics, read at the time of the scrape, on another thread than the event loop.

Only sizes and numbers are read, which is one step each for the interpreter.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from account_api.stream.hub import Hub


class StreamMetrics(Collector):
    """Connections, and how far the stream has followed the engine."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def collect(self) -> Iterator[Metric]:
        """Read all metrics."""
        hub = self._hub
        peers = hub.peers.copy()
        yield GaugeMetricFamily(
            "tandem_stream_connections", "Open WebSocket connections", value=len(peers)
        )
        yield GaugeMetricFamily(
            "tandem_stream_logged_in", "Open connections that have logged in",
            value=sum(peer.principal is not None for peer in peers),
        )  # fmt: skip
        yield GaugeMetricFamily(
            "tandem_stream_seq", "Engine sequence that the stream has published",
            value=hub.as_of_seq,
        )  # fmt: skip
        yield GaugeMetricFamily(
            "tandem_stream_engine_connected", "1 while the stream follows the engine",
            value=int(hub.connected),
        )  # fmt: skip
        yield CounterMetricFamily(
            "tandem_stream_connections_made", "Connections ever made", value=hub.peers_ever
        )
        yield CounterMetricFamily(
            "tandem_stream_closed_slow", "Connections closed because they read too slowly",
            value=hub.closed_slow,
        )  # fmt: skip
