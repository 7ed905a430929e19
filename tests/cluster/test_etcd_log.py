"""The log in a real etcd: appended, read back, taken over, deleted."""

from __future__ import annotations

import random

import pytest

from engine.cluster.etcd import EtcdUnavailable
from engine.cluster.log import (
    BATCH_BYTES,
    Deposed,
    Head,
    HeadMoved,
    LogCorrupt,
    LogGap,
)
from engine.cluster.operations import Get, Put, prefix_end
from engine.journal.base import Record
from tests.support.contender import Contender, chain
from tests.support.etcd import EtcdCluster


@pytest.fixture
def first(etcd: EtcdCluster, prefix: str) -> Contender:
    """A leader of a new log."""
    contender = Contender(etcd.client(), prefix, "a")
    contender.log.create(Head(0, 0, 0))
    contender.lead()
    return contender


def keys(leader: Contender, prefix: str) -> list[bytes]:
    log = f"{prefix}log/".encode()
    return [one.key[len(log) :] for one in leader.etcd.range(Get(log, prefix_end(log)))]


def test_what_was_appended_is_read_back(first: Contender, etcd: EtcdCluster, prefix: str) -> None:
    first.append(b"one")
    first.append(b"two", b"three", b"")
    assert first.head == first.log.head()
    assert first.head[:3] == (1, 4, chain(0, [b"one", b"two", b"three", b""]))
    other = Contender(etcd.client(), prefix, "b")
    assert other.bodies() == [b"one", b"two", b"three", b""]
    assert other.bodies(3) == [b"three", b""]
    assert other.bodies(5) == []
    assert first.log.size().records == 4 and first.log.size().bytes > 0


def test_a_log_is_created_once(first: Contender, etcd: EtcdCluster) -> None:
    with pytest.raises(HeadMoved, match="There is a log already"):
        first.log.create(Head(0, 0, 0))
    none = Contender(etcd.client(), "/tandem/none/", "a")
    assert none.log.head() is None
    with pytest.raises(LogGap, match="never created"):
        none.log.read(1)


def test_large_batches_are_deflated_and_split(first: Contender, prefix: str) -> None:
    chance = random.Random(1)
    bodies = [chance.randbytes(700) * 300 for _ in range(12)]
    first.append(*bodies)
    first.append(b"small")
    first.append(chance.randbytes(3 * BATCH_BYTES))
    assert first.bodies()[:13] == [*bodies, b"small"]
    assert keys(first, prefix) == [b"%020d" % seq for seq in (1, 5, 9, 13, 14)]
    stored = first.etcd.range(Get(f"{prefix}log/{1:020d}".encode()))[0].value
    assert len(stored) < 50_000


def test_records_that_do_not_continue_the_log_are_not_appended(first: Contender) -> None:
    deadline = first.etcd.clock() + 5
    with pytest.raises(LogCorrupt, match="does not follow 0"):
        first.log.append([Record(2, b"x")], chain(0, [b"x"]), deadline)
    first.lead()
    with pytest.raises(LogCorrupt, match="do not have the crc"):
        first.log.append([Record(1, b"x")], 1, deadline)
    with pytest.raises(Deposed, match="lost track"):
        first.log.append([Record(1, b"x")], chain(0, [b"x"]), deadline)
    assert first.bodies() == []


def test_who_comes_first_takes_the_log_and_the_earlier_leader_appends_nothing(
    first: Contender, etcd: EtcdCluster, prefix: str
) -> None:
    first.append(b"one")
    read = first.log.head()
    assert read is not None
    second = Contender(etcd.client(), prefix, "b")
    assert not second.tenure.try_win()
    with pytest.raises(Deposed, match="b does not hold the tenure"):
        second.log.take(read, second.tenure)
    # What a paused leader cannot notice: its lease ends, and another wins.
    first.etcd.revoke(first.tenure.lease)
    assert second.tenure.try_win()
    first.append(b"two")
    with pytest.raises(HeadMoved, match="no longer"):
        second.log.take(read, second.tenure)
    assert second.lead().epoch == 2
    with pytest.raises(Deposed, match="a had left it at"):
        first.append(b"lost")
    second.append(b"three")
    assert second.bodies() == [b"one", b"two", b"three"]


def test_of_two_that_reach_for_the_same_epoch_one_gets_it(
    first: Contender, etcd: EtcdCluster, prefix: str
) -> None:
    """The same epoch, seq and crc, but never the same head."""
    read = first.log.head()
    assert read is not None
    first.etcd.revoke(first.tenure.lease)
    second = Contender(etcd.client(), prefix, "b")
    assert second.tenure.try_win()
    second.head = second.log.take(read, second.tenure)
    second.etcd.revoke(second.tenure.lease)
    assert first.tenure.try_win()
    with pytest.raises(HeadMoved):
        first.log.take(read, first.tenure)
    assert first.log.head() == second.head and second.head.tenure == second.tenure.lease


def test_a_head_that_is_gone_deposes(first: Contender, prefix: str) -> None:
    """Etcd was emptied, or somebody deleted our keys."""
    first.etcd.txn([], [Put(f"{prefix}head".encode(), Head(7, 0, 0).encode())])
    with pytest.raises(Deposed):
        first.append(b"x")


def test_what_all_have_is_deleted(first: Contender, prefix: str) -> None:
    for n in range(10):
        first.append(b"%d" % (2 * n + 1), b"%d" % (2 * n + 2))
    first.log.forget(0)
    assert len(keys(first, prefix)) == 10
    first.log.forget(7)
    assert keys(first, prefix)[0] == b"%020d" % 7
    with pytest.raises(LogGap, match="Record 6 has been deleted"):
        first.log.read(6)
    assert first.bodies(7)[0] == b"7"
    assert first.bodies(8) == [b"%d" % n for n in range(8, 21)]
    assert first.log.size().records == 14
    first.log.forget(20)
    assert keys(first, prefix) == [b"%020d" % 19]
    first.log.forget(20)
    first.append(b"21")
    assert first.bodies(19) == [b"19", b"20", b"21"]
    revision = first.etcd.status().header.revision
    first.etcd.compact(revision)
    first.etcd.compact(revision)


def test_a_record_that_was_changed_is_found(first: Contender, prefix: str) -> None:
    first.append(b"one")
    first.append(b"two")
    key = f"{prefix}log/{1:020d}".encode()
    value = first.etcd.range(Get(key))[0].value
    first.etcd.txn([], [Put(key, value.replace(b"one", b"0ne"))])
    with pytest.raises(LogCorrupt, match="does not continue"):
        first.log.read(1)
    first.etcd.txn([], [Put(key, b"\xff")])
    with pytest.raises(LogCorrupt, match="cannot be read"):
        first.log.read(1)


def test_after_the_deadline_nothing_is_sent(first: Contender) -> None:
    with pytest.raises(EtcdUnavailable) as raised:
        first.append(b"late", within_s=-1.0)
    assert raised.value.outcome == "not_applied"
    assert first.bodies() == []
