"""The process that Prometheus scrapes: ``python -m tandem.metrics``.

At every scrape it queries the engine, and each other process on its control socket, and returns
all metrics together, each with the label ``process`` (and ``pid`` if several run). A process that
does not answer is ``tandem_up`` 0. It keeps no state, so it may die at any time, and no other
process waits for it.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from cryptography import x509
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from config.control import ControlError, ask, control_folder
from config.health import ONE_GATEWAY, Watch, free_bytes
from config.process import EXIT_UNAVAILABLE, get_logger, on_signals, run
from config.settings import Cluster, Settings
from engine.client import EngineClient, EngineError, queries
from engine.core.types import (
    ClusterStatus,
    EngineMetrics,
    EngineStatus,
    InstrumentStatus,
    WithdrawalState,
)
from tandem.processes import venue_processes

ENGINE_TIMEOUT_S: Final = 5.0
PROCESS_TIMEOUT_S: Final = 5.0
log = get_logger("metrics")


class VenueMetrics(Collector):
    """Queries every process at each scrape. ``names`` are the processes that should answer."""

    def __init__(
        self, data: Path, engine: EngineClient, names: Iterable[str], journal: Path | None = None,
        gateways: Sequence[str] = ONE_GATEWAY, cluster: Cluster | None = None,
    ) -> None:  # fmt: skip
        self._cluster = cluster
        self._data = data
        self._folders = {"data": data} | ({"journal": journal} if journal is not None else {})
        self._watch = Watch(data, self._folders.values(), gateways)
        self._engine = engine
        self._names = tuple(names)
        self._lock = threading.Lock()

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics that are available now."""
        with self._lock:  # Concurrent scrapes would query twice for the same result.
            up = GaugeMetricFamily(
                "tandem_up", "1 while the process answers", labels=["process"]
            )
            families: list[Metric] = []
            try:
                families += engine_families(self._engine)
                up.add_metric(["engine"], 1)
            except EngineError as error:
                log.warning("engine_silent", reason=str(error))
                up.add_metric(["engine"], 0)
            families += self._parts(families)
            if self._cluster is not None:
                families += certificate_families(self._cluster)
            answered, found = self._others()
            # The bots of a test-net are optional.
            there = {name.partition("-")[0] for name in self._sockets()}
            for name in (*self._names, *sorted((there | answered) - set(self._names))):
                up.add_metric([name], int(name in answered))
            yield up
            yield from families
            yield from found

    def _parts(self, engine: Iterable[Metric]) -> Iterator[Metric]:
        """Yield the state of each part, as in /readyz, and the free space of the disks."""
        seq = next(
            (int(one.samples[0].value) for one in engine if one.name == "tandem_engine_seq"), None
        )
        ok = GaugeMetricFamily(
            "tandem_part_ok", "1 while a part of the venue does its work", labels=["part"]
        )
        records = GaugeMetricFamily(
            "tandem_lag_transactions", "What a part lacks of the engine's transactions",
            labels=["part"],
        )  # fmt: skip
        seconds = GaugeMetricFamily(
            "tandem_lag_seconds", "How long a part has lacked some of them", labels=["part"]
        )
        ok.add_metric(["engine"], int(seq is not None))
        for part in self._watch.look(seq):
            ok.add_metric([part.part], int(part.ok))
            if part.part in self._watch.followers:
                records.add_metric([part.part], part.lag_records)
                seconds.add_metric([part.part], part.lag_s)
        free = GaugeMetricFamily(
            "tandem_disk_free_bytes", "Room on the disk of a folder", labels=["folder"]
        )
        for name, folder in self._folders.items():
            if (size := free_bytes(folder)) is not None:
                free.add_metric([name], size)
        yield from (ok, records, seconds, free)

    def _sockets(self) -> list[str]:
        """Return the names of the control sockets that exist, including those of dead processes."""
        return [path.stem for path in control_folder(self._data).glob("*.sock")]

    def _others(self) -> tuple[set[str], list[Metric]]:
        """Return names of the processes that answered, and their families, each name once."""
        answered: set[str] = set()
        merged: dict[str, Metric] = {}
        for path in sorted(control_folder(self._data).glob("*.sock")):
            name, _, pid = path.name.removesuffix(".sock").partition("-")
            try:
                text = ask(path, "metrics", timeout_s=PROCESS_TIMEOUT_S)
            except ControlError as error:
                self._silent(path, str(error))
                continue
            answered.add(name)
            labels = {"process": name} | ({"pid": pid} if pid else {})
            for family in text_string_to_metric_families(text):
                into = merged.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type)
                )
                for sample in family.samples:
                    into.add_sample(sample.name, sample.labels | labels, sample.value)
        return answered, list(merged.values())

    def _silent(self, path: Path, reason: str) -> None:
        """Remove the socket that a killed worker left behind, once its process is gone."""
        if "-" in path.name and not Path(f"/proc/{path.stem.partition('-')[2]}").exists():
            path.unlink(missing_ok=True)
        else:
            log.warning("process_silent", process=path.stem, reason=reason)


def engine_families(engine: EngineClient) -> list[Metric]:
    """Return the engine's metrics, from three queries. Raises EngineError."""
    status, metrics = engine.fetch(queries.Status()).value, engine.fetch(queries.Metrics()).value
    families: list[Metric] = [*_of_status(status), *_of_metrics(metrics)]
    halted = GaugeMetricFamily(
        "tandem_instrument_halted", "1 while the instrument is halted", labels=["symbol"]
    )
    for state in engine.fetch(queries.InstrumentStates()).value:
        halted.add_metric([state.symbol], int(state.status is InstrumentStatus.HALTED))
    cluster = engine.fetch(queries.Cluster()).value
    more = [] if cluster is None else cluster_families(cluster)
    return [*families, halted, *_of_withdrawals(engine), *more]


def certificate_families(cluster: Cluster) -> Iterator[Metric]:
    """Yield until when the certificates of a member are valid, as the files are now."""
    family = GaugeMetricFamily(
        "tandem_cluster_certificate_expiry_timestamp_seconds",
        "When a certificate of this member expires", labels=["file"],
    )  # fmt: skip
    for name, path in (("ca", cluster.ca), ("certificate", cluster.certificate)):
        try:
            found = x509.load_pem_x509_certificates(path.read_bytes())
        except (OSError, ValueError) as error:
            log.warning("certificate_not_read", file=str(path), reason=str(error))
            continue
        family.add_metric([name], min(one.not_valid_after_utc.timestamp() for one in found))
    yield family


def cluster_families(cluster: ClusterStatus) -> Iterator[Metric]:
    """Yield the metrics of a cluster, as one of its members knows it."""
    alarm = GaugeMetricFamily(
        "tandem_cluster_etcd_alarm", "1 while etcd reports this alarm", labels=["alarm"]
    )
    for name in sorted({"NOSPACE", *cluster.alarms}):
        alarm.add_metric([name], int(name in cluster.alarms))
    yield alarm
    for name, text, value in (
        ("leads", "1 while this member leads", int(cluster.role == "leader")),
        ("has_leader", "1 while this member knows of a leader", int(bool(cluster.leader))),
        ("etcd_up", "1 while a majority of etcd answers this member", int(cluster.etcd_reached)),
        ("epoch", "Epoch of this member's lead, 0 for a follower", cluster.epoch),
        ("log_transactions", "Transactions in etcd, as the leader counts", cluster.log_records),
        ("log_bytes", "Size of etcd's database, as the leader sees it", cluster.log_bytes),
    ):
        yield GaugeMetricFamily(f"tandem_cluster_{name}", text, value=value)
    there = GaugeMetricFamily(
        "tandem_cluster_member_up", "1 while a member says how far it is", labels=["node"]
    )
    behind = GaugeMetricFamily(
        "tandem_cluster_member_lag_transactions", "What a member lacks", labels=["node"]
    )
    seconds = GaugeMetricFamily(
        "tandem_cluster_member_lag_seconds", "How long a member has lacked some", labels=["node"]
    )
    for row in cluster.members:
        up = row.role != "away"
        there.add_metric([row.node], int(up))
        if up:
            behind.add_metric([row.node], row.behind)
            seconds.add_metric([row.node], row.behind_ms / 1e3)
    yield from (there, behind, seconds)


def _of_status(status: EngineStatus) -> Iterator[Metric]:
    for name, text, value in (
        ("seq", "Sequence of the newest transaction", status.seq),
        ("first_seq", "Oldest transaction that the journal still serves", status.first_seq),
        ("snapshot_seq", "Sequence of the newest snapshot", status.snapshot_seq),
        ("open_orders", "Open orders", status.open_orders),
        ("accounts", "Accounts", status.accounts),
        ("last_transaction_timestamp_seconds", "Time of the newest transaction",
         status.time_us / 1e6),
    ):  # fmt: skip
        yield GaugeMetricFamily(f"tandem_engine_{name}", text, value=value)


def _of_metrics(metrics: EngineMetrics) -> Iterator[Metric]:
    for name, text, value in (
        ("batches", "Commits to the journal since the start", metrics.batches),
        ("transactions", "Transactions since the start", metrics.transactions),
        ("duplicates", "Repeated commands that were recognised", metrics.duplicates),
        ("orders", "Orders accepted, ever", metrics.orders),
        ("trades", "Trades ever made", metrics.trades),
        ("withdrawals", "Withdrawals requested, ever", metrics.withdrawals),
        ("clients_dropped", "Clients ended because they did not read", metrics.dropped),
        ("snapshots_failed", "Snapshots that failed since the start", metrics.snapshots_failed),
        ("cpu_seconds", "Processor time of the engine", metrics.cpu_us / 1e6),
    ):
        yield CounterMetricFamily(f"tandem_engine_{name}", text, value=value)
    for name, text, value in (
        ("resident_bytes", "Memory of the engine", metrics.resident_bytes),
        ("catching_up", "Subscribers fed from the journal", metrics.catching_up),
        ("snapshot_pause_seconds", "How long the newest snapshot held up trading",
         metrics.snapshot_pause_us / 1e6),
        ("commit_seconds_max", "Longest commit since the start", metrics.commit_us_max / 1e6),
    ):  # fmt: skip
        yield GaugeMetricFamily(f"tandem_engine_{name}", text, value=value)
    buckets, total = [], 0
    for bound_us, count in metrics.commit_buckets:
        total += count
        buckets.append((str(bound_us / 1e6), float(total)))
    buckets.append(("+Inf", float(metrics.batches)))
    yield HistogramMetricFamily(
        "tandem_engine_commit_seconds", "Time of a commit to the journal, flush included",
        buckets=buckets, sum_value=metrics.commit_us / 1e6,
    )  # fmt: skip
    queued = GaugeMetricFamily(
        "tandem_engine_client_queued_bytes", "Bytes that wait for a client", labels=["client"]
    )
    sums: dict[str, int] = {}
    for client in metrics.clients:
        name = client.name.partition(":")[0] or "unnamed"
        sums[name] = sums.get(name, 0) + client.queued_bytes
    for name, size in sorted(sums.items()):
        queued.add_metric([name], size)
    yield queued


def _of_withdrawals(engine: EngineClient) -> Iterator[Metric]:
    number = GaugeMetricFamily(
        "tandem_withdrawals_open", "Withdrawals that are not final", labels=["state"]
    )
    oldest = GaugeMetricFamily(
        "tandem_withdrawals_oldest_timestamp_seconds",
        "Since when the oldest has been in its state", labels=["state"],
    )  # fmt: skip
    states: dict[WithdrawalState, list[int]] = {}
    for row in engine.fetch(queries.Withdrawals(open_only=True)).value:
        states.setdefault(row.state, []).append(row.updated_at)
    for state in WithdrawalState:
        if state < WithdrawalState.COMPLETED:
            times = states.get(state, [])
            number.add_metric([state.name.lower()], len(times))
            if times:
                oldest.add_metric([state.name.lower()], min(times) / 1e6)
    yield from (number, oldest)


def serve(settings: Settings) -> int:
    """Answer scrapes until SIGTERM or SIGINT."""
    stopping = threading.Event()
    on_signals((signal.SIGTERM, signal.SIGINT), lambda _: stopping.set())
    engine = EngineClient(
        str(settings.engine.socket), "metrics", timeout_s=ENGINE_TIMEOUT_S
    )
    processes = venue_processes(gateways=settings.fix.gateways)
    names = [p.name for p in processes if p.name not in ("engine", "metrics")]
    registry = CollectorRegistry()
    # Not queried at registration: the venue may not be running yet.
    metrics = VenueMetrics(
        settings.data, engine, names, settings.engine.journal, settings.fix.names,
        settings.cluster,
    )  # fmt: skip
    registry.register(_Unasked(metrics))
    try:
        server, thread = start_http_server(
            settings.metrics.port, settings.metrics.host, registry=registry
        )
    except OSError as error:
        log.critical("not_started", reason=f"cannot listen at {settings.metrics.host}: {error}")
        return EXIT_UNAVAILABLE
    host, port = server.server_address[:2]
    log.info("ready", url=f"http://{host!s}:{port}/metrics")
    stopping.wait()
    server.shutdown()
    thread.join(timeout=2.0)
    engine.close()
    log.info("ended")
    return 0


class _Unasked(Collector):
    """Describes no families in advance; else the registry would scrape once for their names."""

    def __init__(self, inner: Collector) -> None:
        self._inner = inner

    def describe(self) -> Iterable[Metric]:
        """Nothing."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Collect what the inner collector has."""
        return self._inner.collect()


def main() -> int:
    """Run the process; return 2 for a wrong configuration, 4 if its port is taken."""
    return run(serve, log)


if __name__ == "__main__":
    sys.exit(main())
