"""The parts of a member, made from its settings."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from typing import Any, Final, NamedTuple

from engine.cluster import forks
from engine.cluster.clock import MemberClock
from engine.cluster.etcd import Etcd
from engine.cluster.journal import MemberJournal
from engine.cluster.link import Link
from engine.cluster.log import EtcdLog
from engine.cluster.members import Members
from engine.cluster.relay import Relay
from engine.cluster.tenure import Tenure
from engine.cluster.watch import Terms, Watch
from engine.server.ipc import Server
from engine.server.sequencer import clock_us
from engine.server.tcp import TcpListener
from engine.server.tls import TlsFiles

CALL_S: Final = 0.5
"""How long one endpoint of etcd may take for one call of a member."""
ASKED_S: Final = 3.0
"""The same where nothing but a person waits; etcd takes its time to check a password."""


class Parts(NamedTuple):
    """What a member is made of, beside its sequencer and its journal."""

    log: EtcdLog
    tenure: Tenure
    link: Link
    relay: Relay
    watch: Watch


def etcd_of(
    cluster: Any,
    guard: AbstractContextManager[object] | None = None,
    timeout_s: float = CALL_S,
) -> Etcd:
    """Return a client of the cluster's etcd; ``cluster`` has the shape of ``config.Cluster``."""
    password = ""
    if cluster.etcd_password_file is not None:
        password = cluster.etcd_password_file.read_text(encoding="utf-8").strip()
    return Etcd(
        cluster.etcd,
        ca=cluster.ca if cluster.etcd_tls else None,
        cert=cluster.certificate if cluster.etcd_tls else None,
        key=cluster.key if cluster.etcd_tls else None,
        user=cluster.etcd_user,
        password=password,
        timeout_s=timeout_s,
        guard=guard,
    )


def prefix_of(cluster: Any) -> str:
    """Return the prefix below which everything of the cluster stands in etcd."""
    return f"/tandem/{cluster.name}/"


def log_of(cluster: Any) -> EtcdLog:
    """Return the cluster's log, as this node sees it."""
    return EtcdLog(etcd_of(cluster, timeout_s=ASKED_S), prefix_of(cluster), cluster.node)


def tenure_of(cluster: Any) -> Tenure:
    """Return the tenure for which this node may try."""
    etcd, prefix = etcd_of(cluster, timeout_s=ASKED_S), prefix_of(cluster)
    return Tenure(etcd, prefix, cluster.node, cluster.address, cluster.lease_s)


def members_of(cluster: Any) -> Members:
    """Return the members of the cluster."""
    return Members(etcd_of(cluster, timeout_s=ASKED_S), prefix_of(cluster), cluster.node)


def listener(cluster: Any) -> TcpListener:
    """Return where the other members connect. Raises OSError or TlsError."""
    return TcpListener(cluster.address, _files(cluster))


def parts(
    cluster: Any, journal: MemberJournal, server: Server, configuration: str
) -> Parts:
    """Make the parts of a member. Raises OSError or TlsError.

    ``configuration`` is the digest that the members compare.
    """
    prefix, node, address = prefix_of(cluster), cluster.node, cluster.address
    # The engine's thread and the watch have a client each: neither waits for the other.
    appending, watching = etcd_of(cluster), etcd_of(cluster, forks.LOCK)
    tenure = Tenure(watching, prefix, node, address, cluster.lease_s)
    link = Link(_files(cluster), f"member:{node}", server.wake)
    terms = Terms(
        node, address, cluster.candidate, cluster.log_records_max, cluster.lease_s / 2,
        configuration,
    )
    watch = Watch(
        terms, tenure, Members(watching, prefix, node), EtcdLog(watching, prefix, node), journal,
        server.wake, MemberClock(clock_us, time.monotonic),
    )  # fmt: skip
    relay = Relay(link, server, journal, time.monotonic)
    return Parts(EtcdLog(appending, prefix, node), tenure, link, relay, watch)


def _files(cluster: Any) -> TlsFiles:
    return TlsFiles(cluster.ca, cluster.certificate, cluster.key)
