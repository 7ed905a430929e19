"""The gateway's metrics, read at the moment of the scrape from what is there anyway."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from fix_gateway.gateway import Gateway
from fix_gateway.market_data.metrics import service_metrics
from fix_gateway.session.life import Phase


class GatewayMetrics(Collector):
    """All metrics of a gateway that is started, one set for each session."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def collect(self) -> Iterator[Metric]:
        """Yield all of them; the counts are those of this moment."""
        gateway, door = self._gateway, self._gateway.door
        yield GaugeMetricFamily(
            "tandem_fix_engine_connected", "1 while the gateway can send to the engine",
            value=int(gateway.outbox.online),
        )  # fmt: skip
        yield GaugeMetricFamily(
            "tandem_fix_delivered_seq", "Engine sequence up to which reports were routed",
            value=gateway.delivery.position,
        )  # fmt: skip
        yield GaugeMetricFamily(
            "tandem_fix_unconfirmed_commands", "Commands that the engine has not confirmed",
            value=len(gateway.outbox),
        )  # fmt: skip
        yield CounterMetricFamily(
            "tandem_fix_logons", "Logons that the door let in", value=door.admitted if door else 0
        )
        yield CounterMetricFamily(
            "tandem_fix_refused", "Connections that the door turned away",
            value=door.refused if door else 0,
        )  # fmt: skip
        service = gateway.market_data.service
        if service is not None:
            yield from service_metrics(service)
        yield from self._sessions()

    def _sessions(self) -> Iterator[Metric]:
        def gauge(name: str, text: str) -> GaugeMetricFamily:
            return GaugeMetricFamily(f"tandem_fix_session_{name}", text, labels=["session"])

        connected = gauge("connected", "1 while the session is logged on")
        held = gauge("held", "1 while reports are held back from the session")
        unread = gauge("unread_bytes", "Bytes sent that the client may not have read")
        sender = gauge("next_sender_num", "Next outgoing MsgSeqNum")
        target = gauge("next_target_num", "Next expected MsgSeqNum")
        alone = not self._gateway.settings.neighbours
        for session in self._gateway.sessions:
            if not (alone or session.held):
                continue  # The gateway that holds it tells of it.
            labels = [session.comp_id]
            live = session.phase is Phase.LIVE
            connected.add_metric(labels, int(live))
            held.add_metric(labels, int(bool(session.life.holds)))
            unread.add_metric(labels, session.flow.outstanding if live else 0)
            if session.qf is not None:
                sender.add_metric(labels, session.qf.getExpectedSenderNum())
                target.add_metric(labels, session.qf.getExpectedTargetNum())
        yield from (connected, held, unread, sender, target)
