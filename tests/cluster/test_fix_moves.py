"""A FIX client whose machine is lost goes on at another one, and is told everything."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from config.ports import free_ports
from engine.client import EngineClient, EngineError, queries
from engine.core.types import SessionRow
from tests.fix.moving import Cursor, Mover, SharedVenue
from tests.support.cluster import Cluster, Node, running
from tests.support.etcd import needs_etcd
from tests.support.processes import Process
from tests.support.waiting import until

pytestmark = [needs_etcd, pytest.mark.xdist_group("cluster")]


class Machines(SharedVenue):
    """The nodes of a cluster, each with a gateway, as the client and its judge see them."""

    def __init__(self, cluster: Cluster) -> None:  # A SharedVenue has one engine; this has three.
        self.cluster = cluster
        self.gateways: dict[str, Process] = {}
        self.addresses: dict[str, tuple[str, int]] = {}
        self._reports: dict[str, set[Cursor]] = {}
        self._read_to: dict[str, int] = {}
        for name, node in cluster.nodes.items():
            port = free_ports(1)[0]
            text = node.config.read_text(encoding="utf-8")
            node.config.write_text(text.replace("port = 9878", f"port = {port}"), encoding="utf-8")
            self.addresses[name] = ("127.0.0.1", port)

    @property
    def _desk(self) -> EngineClient:  # type: ignore[override]
        """A client of a machine that runs, made anew: the last one may be gone."""
        self._last = getattr(self, "_last", None) or self._alive().client()
        try:
            self._last.connect()
        except EngineError:
            self._last.close()
            self._last = self._alive().client()
        return self._last

    def _alive(self) -> Node:
        return next(node for node in self.cluster.nodes.values() if node.seq() >= 0)

    def spawn(self, name: str) -> Process:
        """Start the gateway of a machine; it need not be ready yet."""
        self.gateways[name] = Process("fix_gateway.main", self.cluster.nodes[name].environment)
        return self.gateways[name]

    def lose(self, name: str) -> None:
        """kill -9 of everything on a machine."""
        self.gateways[name].kill()
        self.cluster.nodes[name].kill()
        self.cluster.etcd.members[list(self.cluster.nodes).index(name)].kill()

    def bring_back(self, name: str) -> None:
        """Start everything on a machine again."""
        self.cluster.etcd.members[list(self.cluster.nodes).index(name)].start()
        self.cluster.nodes[name].start().wait_for("ready")
        self.spawn(name).wait_for("ready")

    def row(self, comp_id: str = "ALICE") -> SessionRow:
        """What the newest member remembers of a session."""
        found = self._desk.fetch(queries.Session(f"fix:{comp_id}")).value
        assert found is not None
        return found


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    with running(tmp_path_factory.mktemp("cluster")) as cluster:
        for node in cluster.nodes.values():
            assert node.process is not None
            node.process.wait_for("ready")
        machines = Machines(cluster)
        try:
            for name in machines.addresses:
                machines.spawn(name)
            for gateway in machines.gateways.values():
                gateway.wait_for("ready")
            yield machines
        finally:
            for gateway in machines.gateways.values():
                gateway.kill()


def test_S8_a_client_whose_machine_is_lost_goes_on_at_another(machines: Machines) -> None:
    """It is the leader's machine, and the client stays with 141=N; then it goes back there."""
    client = Mover(machines)
    here = machines.cluster.leader().name
    client.begin(here)
    for _ in range(10):
        client.order()
    client.read_in_all(5)
    for _ in range(5):
        client.order()  # Some of these answers are lost, and some orders may be.
    machines.lose(here)
    client.leave()
    there = machines.cluster.leader().name
    client.logon_again(there, 60)
    client.read_all(60)
    client.order()
    machines.bring_back(here)
    client.leave()
    until(lambda: not machines.row().connected)
    client.logon_again(here, 60)
    client.read_all(60)
    client.logout()
    client.check()
