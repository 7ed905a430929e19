"""A cluster for tests: members of etcd, and the engine of each node, all on loopback."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from config.ports import free_ports
from config.settings import DEMO_FILE, load
from engine.client import EngineClient, EngineError, queries
from engine.cluster import assembly
from engine.cluster.log import Head
from tandem import cluster_certificates
from tests.support import pace
from tests.support.etcd import EtcdCluster
from tests.support.processes import Process
from tests.support.waiting import until

NAMES = ("a", "b", "c")
LEASE_S = 0.5
"""On a machine where nobody waits for a processor for long; two seconds are the least."""


class Node:
    """One machine's engine; its folder holds the configuration, the data and the certificates."""

    def __init__(
        self, folder: Path, name: str, port: int, etcd: EtcdCluster, tls: Path,
        changes: Mapping[str, str],
    ) -> None:  # fmt: skip
        self.name = name
        self.folder = folder
        self.data = folder / "data"
        folder.mkdir(parents=True)
        table = f"""
[cluster]
name = "test"
node = "{name}"
address = "127.0.0.1:{port}"
etcd = {[*etcd.endpoints]!r}
etcd_tls = false
ca = "{tls / cluster_certificates.CA}"
certificate = "{tls / cluster_certificates.CERTIFICATE}"
key = "{tls / cluster_certificates.KEY}"
lease_s = {round(min(max(pace.seconds(LEASE_S), 2.0), 10.0))}
"""
        text = DEMO_FILE.read_text(encoding="utf-8").replace("\n[fix]\n", f"{table}\n[fix]\n", 1)
        for old, new in changes.items():
            assert old in text, f"the demo configuration has no {old!r}"
            text = text.replace(old, new)
        self.config = folder / "venue.toml"
        self.config.write_text(text, encoding="utf-8")
        self.config.chmod(0o600)
        self.process: Process | None = None
        self.starts = 0

    @property
    def environment(self) -> dict[str, str]:
        """What names this node's configuration and data to any process of it."""
        return {"TANDEM_CONFIG": str(self.config), "TANDEM_DATA": str(self.data)}

    @property
    def settings(self) -> Any:
        """The node's settings."""
        return load(self.config, self.environment)

    def start(self) -> Process:
        """Start the engine; it need not be ready yet."""
        self.process = Process("engine.main", self.environment)
        self.starts += 1
        return self.process

    def revived(self) -> Node:
        """Start the engine if it does not run, as its supervisor would."""
        if self.process is None or self.process.popen.poll() is not None:
            self.start()
        return self

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None:
            self.process.popen.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process = None

    def client(self, name: str = "test", timeout_s: float | None = None) -> EngineClient:
        """A client over the node's own socket."""
        wait_s = pace.seconds(5) if timeout_s is None else timeout_s
        return EngineClient(str(self.settings.engine.socket), name, timeout_s=wait_s)

    def seq(self) -> int:
        """The last transaction that the node has; -1 while it does not answer."""
        client = self.client(timeout_s=pace.seconds(2))
        try:
            return client.fetch(queries.Status()).value.seq
        except EngineError:
            return -1
        finally:
            client.close()


class Cluster:
    """Three nodes over ``etcd``. As a context they run, and what runs is killed at the end."""

    def __init__(
        self, folder: Path, etcd: EtcdCluster, changes: Mapping[str, str], names: tuple[str, ...]
    ) -> None:
        self.etcd = etcd
        tls = folder / "tls"
        hosts: Mapping[str, list[str]] = {name: ["127.0.0.1"] for name in names}
        cluster_certificates.make(tls, hosts, 30)
        ports = free_ports(len(names))
        self.nodes = {
            name: Node(folder / name, name, port, etcd, tls / name, changes)
            for name, port in zip(names, ports, strict=True)
        }
        self.log = assembly.log_of(self.node.settings.cluster)

    @property
    def node(self) -> Node:
        """The first node."""
        return next(iter(self.nodes.values()))

    def create(self) -> None:
        """Begin the log, as `tandem cluster init` does."""
        self.log.create(Head(0, 0, 0))

    def leader(self) -> Node:
        """Wait for a node that leads, and return it."""
        tenure = assembly.tenure_of(self.node.settings.cluster)

        def find() -> Node | None:
            leader = tenure.leader()
            if leader is None:
                return None
            node = self.nodes[leader.node]
            running = node.process is not None and node.process.popen.poll() is None
            return node if running and node.process.events("leading") else None

        found = until(find, "no node leads")
        assert found is not None
        return found

    def followers(self) -> list[Node]:
        """The nodes that run and do not lead."""
        leader = self.leader()
        return [node for node in self.nodes.values() if node is not leader and node.process]

    def __enter__(self) -> Cluster:
        self.create()
        for node in self.nodes.values():
            node.start()
        return self

    def __exit__(self, *_: object) -> None:
        for node in self.nodes.values():
            node.kill()


@contextmanager
def running(
    folder: Path,
    members: int = 3,
    *,
    fsync: bool = False,
    changes: Mapping[str, str] = MappingProxyType({}),
    names: tuple[str, ...] = NAMES,
) -> Iterator[Cluster]:
    """A cluster that runs, on as many members of etcd; ``changes`` are those of EngineProcess."""
    with EtcdCluster(folder / "etcd", members, fsync=fsync) as etcd:
        with Cluster(folder, etcd, changes, names) as cluster:
            yield cluster
