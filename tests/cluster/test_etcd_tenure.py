"""Tenure and members in a real etcd."""

from __future__ import annotations

import math

import pytest

from engine.cluster.log import Deposed, Head
from engine.cluster.members import Member, Members, Progress
from engine.cluster.tenure import Leader
from tests.support import pace
from tests.support.contender import Contender
from tests.support.etcd import EtcdCluster
from tests.support.waiting import until


def test_one_leads_and_the_next_wins_when_it_resigns(etcd: EtcdCluster, prefix: str) -> None:
    one, two = (Contender(etcd.client(), prefix, node) for node in "ab")
    assert one.tenure.leader() is None
    assert one.tenure.try_win()
    assert not two.tenure.try_win()
    assert two.tenure.leader() == Leader("a", "a:1")
    one.tenure.resign()
    assert one.tenure.valid_until == 0.0
    assert two.tenure.leader() is None
    assert two.tenure.try_win()
    assert one.tenure.leader() == Leader("b", "b:1")


def test_a_tenure_lasts_while_it_is_renewed(etcd: EtcdCluster, prefix: str) -> None:
    ttl_s = math.ceil(pace.seconds(1))
    one = Contender(etcd.client(), prefix, "a", ttl_s)
    begin = one.etcd.clock()
    assert one.tenure.try_win()
    first = one.tenure.valid_until
    assert begin + ttl_s <= first <= one.etcd.clock() + ttl_s
    one.tenure.start()
    until(lambda: one.tenure.valid_until > first + ttl_s / 3, "it is renewed")
    assert one.tenure.leader() == Leader("a", "a:1")
    # Its lease is gone, as after a pause that was too long: it learns it by itself.
    one.etcd.revoke(one.tenure.lease)
    until(lambda: one.tenure.valid_until == 0.0, "it notices that its lease has ended")
    assert not one.tenure.renew()
    one.tenure.resign()


def test_a_lease_that_is_not_renewed_ends(etcd: EtcdCluster, prefix: str) -> None:
    """A frozen leader: another leads when its time has passed, and it can append nothing."""
    one, two = (Contender(etcd.client(), prefix, node, ttl_s=1) for node in "ab")
    one.log.create(Head(0, 0, 0))
    one.lead()
    one.append(b"before")
    until(two.tenure.try_win, "the lease of the frozen leader ends")
    assert one.etcd.clock() >= one.tenure.valid_until
    head = two.log.head()
    assert head is not None
    two.head = two.log.take(head, two.tenure)
    with pytest.raises(Deposed):
        one.append(b"after")
    two.append(b"mine")
    assert two.bodies() == [b"before", b"mine"]


def test_the_tenure_of_an_earlier_process_of_the_node_is_taken_over(
    etcd: EtcdCluster, prefix: str
) -> None:
    one = Contender(etcd.client(), prefix, "a", ttl_s=60)
    one.log.create(Head(0, 0, 0))
    one.lead()
    again = Contender(etcd.client(), prefix, "a", ttl_s=60)
    assert again.lead().epoch == 2
    assert again.tenure.lease != one.tenure.lease
    assert not one.tenure.renew()
    with pytest.raises(Deposed):
        one.append(b"x")


def test_members_are_registered_and_report_how_far_they_are(etcd: EtcdCluster, prefix: str) -> None:
    a, b = (Members(etcd.client(), prefix, node, ttl_s=1) for node in "ab")
    a.register("10.0.0.1:7000")
    b.register("10.0.0.2:7000", candidate=False)
    progress = Progress("leader", 10, 9, 1, 1_700_000_000_000_000)
    a.report(progress)
    a.report(progress)
    assert b.list() == [
        Member("a", "10.0.0.1:7000", True, progress),
        Member("b", "10.0.0.2:7000", False, None),
    ]
    until(lambda: b.list()[0].progress is None, "progress goes with its member")
    a.report(progress)
    assert b.list()[0].progress == progress
    a.leave()
    assert b.list()[0].progress is None
    a.remove("b")
    assert [member.node for member in a.list()] == ["a"]
