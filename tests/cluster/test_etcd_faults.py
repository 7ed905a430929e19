"""The log and a real etcd that loses answers, members and its majority."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.cluster.etcd import EtcdFull, EtcdUnavailable
from engine.cluster.log import Deposed, Head, LogError
from engine.cluster.members import Members
from tests.support import pace
from tests.support.contender import Contender
from tests.support.cutting_proxy import CuttingProxy
from tests.support.etcd import EtcdCluster, needs_etcd
from tests.support.waiting import until

TRY_S = 0.1


@pytest.fixture
def proxy(etcd: EtcdCluster) -> Iterator[CuttingProxy]:
    """A proxy before the first member."""
    with CuttingProxy("127.0.0.1", etcd.members[0].address.client) as one:
        yield one


@pytest.fixture
def direct(etcd: EtcdCluster, prefix: str) -> Contender:
    """A member that reaches etcd past the proxy."""
    return Contender(etcd.client(), prefix, "direct")


def behind(etcd: EtcdCluster, proxy: CuttingProxy, prefix: str, *more: str) -> Contender:
    """A leader of a new log that reaches etcd through the proxy, or else as ``more`` say."""
    client = etcd.client([f"127.0.0.1:{proxy.port}", *more], timeout_s=pace.seconds(TRY_S))
    contender = Contender(client, prefix, "behind")
    contender.log.create(Head(0, 0, 0))
    contender.lead()
    contender.append(b"one")
    return contender


def test_an_answer_that_is_lost_is_read(
    etcd: EtcdCluster, proxy: CuttingProxy, prefix: str, direct: Contender
) -> None:
    leader = behind(etcd, proxy, prefix)
    proxy.lose_answers(1)
    leader.append(b"two", b"three")
    leader.append(b"four")
    assert direct.bodies() == [b"one", b"two", b"three", b"four"]
    assert direct.log.head() == leader.head


def test_a_request_that_is_lost_is_sent_again(
    etcd: EtcdCluster, proxy: CuttingProxy, prefix: str, direct: Contender
) -> None:
    leader = behind(etcd, proxy, prefix)
    proxy.lose_requests(1)
    leader.append(b"two")
    assert direct.bodies() == [b"one", b"two"]
    # The read that finds it out is lost as well, and so is the second try.
    proxy.lose_requests(2)
    leader.append(b"three")
    proxy.lose_answers(3)
    leader.append(b"four")
    assert direct.bodies() == [b"one", b"two", b"three", b"four"]


def test_a_request_that_arrives_after_it_was_sent_again_changes_nothing(
    etcd: EtcdCluster, proxy: CuttingProxy, prefix: str, direct: Contender
) -> None:
    leader = behind(etcd, proxy, prefix, etcd.members[1].endpoint)
    answers = proxy.answers
    proxy.hold()
    leader.append(b"two")
    leader.append(b"three")
    proxy.release()
    until(lambda: proxy.answers > answers, "etcd answers what came late")
    assert direct.bodies() == [b"one", b"two", b"three"]


def test_what_an_earlier_leader_sent_arrives_late_and_is_refused(
    etcd: EtcdCluster, proxy: CuttingProxy, prefix: str, direct: Contender
) -> None:
    leader = behind(etcd, proxy, prefix)
    answers = proxy.answers
    proxy.hold()
    with pytest.raises(EtcdUnavailable) as raised:
        leader.append(b"two", within_s=pace.seconds(2 * TRY_S))
    assert raised.value.outcome == "unknown"
    with pytest.raises(Deposed, match="lost track"):
        leader.append(b"another two")
    direct.etcd.revoke(leader.tenure.lease)
    direct.lead()
    proxy.release()
    until(lambda: proxy.answers > answers, "etcd answers what came late")
    assert direct.bodies() == [b"one"]
    direct.append(b"mine")
    assert direct.bodies() == [b"one", b"mine"]


def test_what_an_earlier_leader_sent_arrives_before_the_take_and_is_kept(
    etcd: EtcdCluster, proxy: CuttingProxy, prefix: str, direct: Contender
) -> None:
    leader = behind(etcd, proxy, prefix)
    read = direct.log.head()
    assert read is not None
    proxy.hold()
    with pytest.raises(EtcdUnavailable):
        leader.append(b"two", within_s=pace.seconds(2 * TRY_S))
    direct.etcd.revoke(leader.tenure.lease)
    assert direct.tenure.try_win()
    proxy.release()
    until(lambda: direct.log.head() != read, "what came late is in the log")
    with pytest.raises(LogError, match="no longer"):
        direct.log.take(read, direct.tenure)
    direct.lead()
    assert direct.bodies() == [b"one", b"two"]


def test_lost_answers_on_the_way_to_leading(
    etcd: EtcdCluster, proxy: CuttingProxy, prefix: str, direct: Contender
) -> None:
    """Creation, lease, leader key and take, each with its answer lost."""
    client = etcd.client([f"127.0.0.1:{proxy.port}"], timeout_s=pace.seconds(TRY_S))
    one = Contender(client, prefix, "behind", ttl_s=30)
    proxy.lose_answers(1)
    one.log.create(Head(0, 0, 0))
    for lost in (1, 2):
        # The first lease stays without an owner until it ends; the key is ours either way.
        assert one.log.head() is not None
        proxy.lose_answers(lost)
        assert one.tenure.try_win()
        leader = direct.tenure.leader()
        assert leader is not None and leader.node == "behind"
    read = one.log.head()
    assert read is not None
    proxy.lose_answers(1)
    one.head = one.log.take(read, one.tenure)
    assert one.head == direct.log.head() and one.head.epoch == 1
    one.append(b"one")
    proxy.lose_answers(1)
    assert one.tenure.renew()
    members = Members(client, prefix, "behind")
    proxy.lose_answers(1)
    members.register("h:1")
    proxy.lose_answers(1)
    members.remove("behind")
    assert members.list() == []


@needs_etcd
def test_members_of_etcd_are_killed_and_hang_under_appends(tmp_path: Path) -> None:
    """Whichever it is: what was acknowledged is there once, in order, and the leader goes on."""
    with EtcdCluster(tmp_path, 3) as etcd:
        leader = Contender(etcd.client(), "/tandem/x/", "a", ttl_s=60)
        leader.log.create(Head(0, 0, 0))
        leader.lead()
        appended: list[bytes] = []
        stopping = threading.Event()

        def append() -> None:
            while not stopping.is_set():
                bodies = [b"%d" % (len(appended) + n) for n in range(3)]
                leader.append(*bodies, within_s=pace.seconds(20))
                appended.extend(bodies)

        thread = threading.Thread(target=append)
        thread.start()
        try:
            for hang in (False, True):
                victim = etcd.leader()
                (victim.pause if hang else victim.kill)()
                seen = len(appended)
                until(lambda seen=seen: len(appended) > seen + 3, "appends go on")
                (victim.resume if hang else victim.start)()
                until(etcd.ready, "all members of etcd are back")
        finally:
            stopping.set()
            thread.join()
        assert leader.bodies() == appended and len(appended) > 20


@needs_etcd
def test_without_a_majority_nothing_is_acknowledged_and_all_goes_on_after(tmp_path: Path) -> None:
    with EtcdCluster(tmp_path, 3) as etcd:
        leader = Contender(etcd.client(timeout_s=0.3), "/tandem/x/", "a", ttl_s=60)
        leader.log.create(Head(0, 0, 0))
        leader.lead()
        leader.append(b"one")
        for member in etcd.members[:2]:
            member.kill()
        begin = leader.etcd.clock()
        with pytest.raises(EtcdUnavailable):
            leader.append(b"two", within_s=1.5)
        assert leader.etcd.clock() - begin < pace.seconds(1.5) + 0.5
        for call in (leader.log.head, leader.tenure.try_win, leader.tenure.leader):
            with pytest.raises(EtcdUnavailable):
                call()
        for member in etcd.members[:2]:
            member.start()
        until(etcd.ready, "the majority is back")
        leader.lead()
        before = leader.bodies()
        assert before in ([b"one"], [b"one", b"two"])
        leader.append(b"three")
        assert leader.bodies() == [*before, b"three"]


@needs_etcd
def test_a_full_database_says_so_and_what_is_forgotten_makes_room(tmp_path: Path) -> None:
    with EtcdCluster(tmp_path, 1, quota_bytes=6 << 20, fsync=False) as etcd:
        leader = Contender(etcd.client(timeout_s=5), "/tandem/x/", "a", ttl_s=600)
        leader.log.create(Head(0, 0, 0))
        leader.lead()
        with pytest.raises(EtcdFull, match=r"has reached its quota .* disarm the alarm"):
            for n in range(10):
                leader.append(random.Random(n).randbytes(900_000))
        there = leader.bodies()
        with pytest.raises(LogError):
            leader.append(b"more")
        with pytest.raises(EtcdFull):
            leader.tenure.try_win()
        leader.log.forget(leader.log.head().seq)  # type: ignore[union-attr]
        etcd.make_room()
        leader.lead()
        assert leader.head.seq == len(there)
        leader.append(b"more")
        assert leader.bodies(leader.head.seq) == [b"more"]
        assert leader.log.size().bytes < 3 << 20
