"""Members of a cluster as processes: commands by any of them, the loss of one, and its return."""

from __future__ import annotations

import json
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config.health import cluster_part
from config.process import EXIT_DAMAGED
from engine.client import EngineClient, EngineError, Outcome, queries
from engine.cluster import assembly
from engine.core.commands import Command, Deposit, OpenSession
from engine.core.types import Answered, CancelScope, Origin
from tandem import cluster_state
from tandem.backup import backup, restore
from tandem.metrics import engine_families
from tandem.output import CommandError
from tests.support import pace
from tests.support.cluster import Cluster, Node, running
from tests.support.etcd import needs_etcd
from tests.support.processes import EngineProcess
from tests.support.waiting import until

pytestmark = [needs_etcd, pytest.mark.xdist_group("cluster")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def cluster(whole: Cluster) -> Iterator[Cluster]:
    """All members run before a test; after it all must come to the same state."""
    for node in whole.nodes.values():
        node.revived()
    whole.leader()
    yield whole
    last = whole.leader().seq()
    until(
        lambda: [one.revived().seq() for one in whole.nodes.values()], "not all have caught up",
        enough=lambda seqs: min(seqs) >= last,
    )  # fmt: skip
    found = {fetched(one, queries.StateHash()) for one in whole.nodes.values()}
    assert len({answer.value for answer in found}) == 1, found


def fetched(node: Node, query: queries.Query[Any], min_seq: int = 0) -> Answered[Any]:
    """Ask a node over a connection of its own."""
    client = node.client()
    try:
        return client.fetch(query, min_seq)
    finally:
        client.close()


def deposit(number: str) -> Deposit:
    return Deposit(Origin("test"), number, "alice", "BTC", 1)


def submitted(client: EngineClient, command: Command) -> Outcome:
    """Submit as a client does: again, when it was not heard what became of it."""

    def attempt() -> Outcome | None:
        try:
            return client.submit(command)
        except EngineError:
            return None

    found = until(attempt, "no member has done it", 60)
    assert found is not None
    return found


def credited(node: Node, prefix: str, min_seq: int) -> list[str]:
    """The deposits with that prefix that a node knows, each as often as it was credited."""
    rows = fetched(node, queries.Deposits("alice"), min_seq).value
    return sorted(row.deposit_id for row in rows if row.deposit_id.startswith(prefix))


class Depositor(threading.Thread):
    """Makes one deposit after the other at one node, until it is told to stop."""

    def __init__(self, node: Node, prefix: str) -> None:
        super().__init__(daemon=True)
        self._node = node
        self._prefix = prefix
        self.done: list[str] = []
        self.seq = 0
        self.ending = threading.Event()
        self.start()

    def run(self) -> None:
        client = self._node.client()
        while not self.ending.is_set():
            name = f"{self._prefix}-{self._node.name}-{len(self.done):05d}"
            self.seq = submitted(client, deposit(name)).transaction.seq
            self.done.append(name)
        client.close()

    def stop(self) -> None:
        self.ending.set()
        self.join(pace.seconds(60))
        assert not self.is_alive()


def test_a_command_is_done_by_any_member_and_read_there_at_once(cluster: Cluster) -> None:
    seqs = []
    for node in cluster.nodes.values():
        client = node.client()
        seq = submitted(client, deposit(f"any-{node.name}")).transaction.seq
        assert client.fetch(queries.Status()).value.seq >= seq
        client.close()
        seqs.append(seq)
    assert len(set(seqs)) == 3
    for node in cluster.nodes.values():
        assert len(credited(node, "any-", max(seqs))) == 3


@pytest.mark.parametrize("how", ["killed", "frozen", "etcd too"])
def test_nothing_acknowledged_is_lost_or_doubled_when_the_leader_is(
    cluster: Cluster, how: str
) -> None:
    """A leader that was frozen and goes on can append nothing: it ends and follows."""
    leader = cluster.leader()
    assert leader.process is not None
    others = cluster.followers()
    depositors = [Depositor(node, f"lost-{how}") for node in others]
    until(lambda: min(len(one.done) for one in depositors), enough=lambda least: least >= 5)
    beside = cluster.etcd.members[list(cluster.nodes).index(leader.name)]
    if how == "frozen":
        leader.process.popen.send_signal(signal.SIGSTOP)
    else:
        if how == "etcd too":
            beside.kill()
        leader.kill()
    was = {one: len(one.done) for one in depositors}
    until(
        lambda: min(len(one.done) - was[one] for one in depositors), "nobody leads",
        60, enough=lambda least: least >= 5,
    )  # fmt: skip
    if how == "frozen":
        leader.process.popen.send_signal(signal.SIGCONT)
        leader.process.wait_for("engine_stopped")
    if how == "etcd too":
        beside.start()
    for one in depositors:
        one.stop()
    done = sorted(name for one in depositors for name in one.done)
    last = max(one.seq for one in depositors)
    for node in others:
        assert credited(node, f"lost-{how}", last) == done
    assert cluster.leader() in others


def test_a_switch_moves_the_lead_and_nothing_is_lost(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    old = cluster.leader()
    wanted = cluster.followers()[-1]
    depositor = Depositor(wanted, "switch")
    until(lambda: len(depositor.done), enough=lambda count: count >= 5)
    cluster_state.switch(old.settings, wanted.name)
    assert f"{wanted.name} leads" in capsys.readouterr().out
    was = len(depositor.done)
    until(lambda: len(depositor.done), enough=lambda count: count >= was + 5)
    depositor.stop()
    assert cluster.leader() is wanted
    assert credited(wanted, "switch", depositor.seq) == depositor.done
    assert old.process is not None
    old.process.wait_for("engine_stopped", kind="switch")


def test_without_a_majority_nothing_is_acknowledged_and_it_goes_on_by_itself(
    cluster: Cluster,
) -> None:
    follower = cluster.followers()[0]
    client = follower.client(timeout_s=pace.seconds(2))
    before = submitted(client, deposit("majority-before")).transaction.seq
    for one in cluster.etcd.members[:2]:
        one.kill()
    with pytest.raises(EngineError):
        client.submit(deposit("majority-during"))
    assert fetched(follower, queries.Status()).value.seq >= before
    for one in cluster.etcd.members[:2]:
        one.start()
    for node in cluster.nodes.values():
        node.revived()
    seq = submitted(client, deposit("majority-after")).transaction.seq
    client.close()
    for node in cluster.nodes.values():
        until(lambda one=node: one.revived().seq(), enough=lambda there: there >= seq)
        names = credited(node, "majority", seq)
        assert names.count("majority-after") == names.count("majority-before") == 1


def test_an_empty_member_joins_and_has_everything(cluster: Cluster) -> None:
    follower = cluster.followers()[0]
    follower.kill()
    shutil.rmtree(follower.data)
    follower.start()
    assert follower.process is not None
    follower.process.wait_for("ready")
    assert fetched(follower, queries.Status()).value.seq >= cluster.leader().seq() - 1


def test_a_member_restored_from_a_backup_joins_where_the_leader_has_archived(
    tmp_path: Path,
) -> None:
    engine = "[engine]\nsegment_records_max = 50\nsnapshot_every = 60\n"
    small = {"\n[venue]\n": f"\n{engine}\n[venue]\n"}
    with running(tmp_path, 1, changes=small) as cluster:
        leader = cluster.leader()
        follower, absent = cluster.followers()
        assert absent.process is not None
        absent.process.wait_for("ready")
        absent.kill()
        shutil.rmtree(absent.data)
        depositor = Depositor(follower, "archived")
        until(lambda: len(depositor.done), enough=lambda made: made >= 200)
        depositor.stop()
        until(follower.seq, enough=lambda seq: seq >= depositor.seq)
        taken = until(
            lambda: fetched(leader, queries.Status()).value.snapshot_seq,
            enough=lambda seq: seq > 60,
        )
        assert fetched(leader, queries.Forget(taken)).value > 1
        process = absent.start()
        assert process.wait() == EXIT_DAMAGED
        (line,) = process.events("journal_not_usable")
        assert "restore a backup of another member" in line["reason"]
        shutil.rmtree(absent.data)
        backup(follower.settings, tmp_path / "backup", lambda text: None)
        restore(tmp_path / "backup", absent.data, lambda text: None)
        absent.start().wait_for("ready")
        until(absent.seq, enough=lambda seq: seq >= depositor.seq)
        assert credited(absent, "archived", depositor.seq) == depositor.done
        assert len({fetched(n, queries.StateHash()).value for n in cluster.nodes.values()}) == 1


def test_what_all_have_is_deleted_from_etcd(cluster: Cluster) -> None:
    depositor = Depositor(cluster.leader(), "trim")
    until(lambda: len(depositor.done), enough=lambda count: count >= 50)
    depositor.stop()
    until(lambda: cluster.log.size().records, enough=lambda records: records < 20)


def test_a_member_with_another_journal_does_not_follow(cluster: Cluster, tmp_path: Path) -> None:
    with EngineProcess(tmp_path / "other") as other:
        client = other.client()
        for number in range(3):
            client.submit(deposit(f"other-{number}"))
        client.close()
    follower = cluster.followers()[0]
    follower.kill()
    aside = follower.data / "aside"
    (follower.data / "journal").rename(aside)
    shutil.copytree(other.data / "journal", follower.data / "journal")
    process = follower.start()
    assert process.wait() == EXIT_DAMAGED
    (line,) = process.events("journal_not_usable")
    assert "differs from the leader's" in line["reason"]
    shutil.rmtree(follower.data / "journal")
    aside.rename(follower.data / "journal")


def test_the_sessions_of_a_client_that_goes_are_closed_through_any_member(
    cluster: Cluster,
) -> None:
    follower = cluster.followers()[0]
    client = follower.client()
    submitted(client, OpenSession(Origin("fix:GONE", 1), "alice", CancelScope.NONE, 0))
    assert fetched(cluster.leader(), queries.Session("fix:GONE")).value.connected
    client.close()
    until(
        lambda: fetched(cluster.leader(), queries.Session("fix:GONE")).value,
        enough=lambda row: row is None or not row.connected,
    )


def test_a_member_with_another_configuration_is_named(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    follower = cluster.followers()[0]
    text = follower.config.read_text(encoding="utf-8")
    follower.kill()
    other = text.replace("closed_orders_kept", "# closed_orders_kept")
    other = other.replace("[venue]\n", "[venue]\nclosed_orders_kept = 5000\n")
    follower.config.write_text(other, encoding="utf-8")
    follower.start().wait_for("configuration_differs")
    cluster_state.status(follower.settings, as_json=True)
    notes = {row["node"]: row["note"] for row in json.loads(capsys.readouterr().out)}
    assert notes.pop(follower.name) == "has another configuration than the leader"
    assert set(notes.values()) == {""}
    follower.kill()
    follower.config.write_text(text, encoding="utf-8")


def test_the_cluster_says_how_it_is(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    leader = cluster.leader()
    until(
        lambda: fetched(leader, queries.Cluster()).value.members,
        enough=lambda rows: [row.role for row in rows].count("follower") == 2,
    )
    for node in cluster.nodes.values():
        status = until(
            lambda one=node: fetched(one, queries.Cluster()).value,
            enough=lambda found: found.leader == leader.name and not found.trouble,
        )
        assert status.node == node.name
        assert status.role == ("leader" if node is leader else "follower")
        client = node.client()
        names = {family.name for family in engine_families(client)}
        client.close()
        assert {"tandem_cluster_leads", "tandem_cluster_member_lag_seconds"} <= names
        until(
            lambda one=node: cluster_part(fetched(one, queries.Cluster()).value).state,
            enough=lambda state: state == "ok",
        )
    cluster_state.status(leader.settings, as_json=True)
    rows = {row["node"]: row for row in json.loads(capsys.readouterr().out)}
    assert {row["role"] for row in rows.values()} == {"leader", "follower"}
    with pytest.raises(CommandError, match="is running; stop it"):
        cluster_state.remove(leader.settings, cluster.followers()[0].name)
    with pytest.raises(CommandError, match="has no member z"):
        cluster_state.remove(leader.settings, "z")
    with pytest.raises(CommandError, match="There is a log already"):
        cluster_state.init(leader.settings)


def test_K11_without_a_leader_a_member_with_the_whole_log_is_current(cluster: Cluster) -> None:
    """etcd answers, and nobody leads: nothing was committed, so nothing was revoked."""
    leader = cluster.leader()
    here, other = cluster.followers()
    last = leader.seq()
    until(lambda: here.seq() >= last, "it does not follow")
    members = assembly.members_of(here.settings.cluster)
    members.want("nobody", 60)  # So that the one that is left does not lead.
    other.kill()
    leader.kill()
    until(
        lambda: fetched(here, queries.Cluster()).value.leader, "it still knows of a leader", 30,
        enough=lambda name: not name,
    )  # fmt: skip
    standing = fetched(here, queries.Standing()).value
    assert (standing.leads, cluster_part(fetched(here, queries.Cluster()).value).state) == (
        False, "away",
    )  # fmt: skip
    assert standing.age_ms < 2_000, "what it has is known to be the newest"
    members.want("", 1)
