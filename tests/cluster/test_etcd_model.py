"""The log of a simulated etcd under lost answers, late requests, pauses and kills; by seed.

TANDEM_SEED sets the first seed. ``make prove`` runs many more and longer ones.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from engine.cluster.etcd import Etcd, EtcdUnavailable
from engine.cluster.log import EtcdLog, Head, HeadMoved
from engine.cluster.operations import Done, Put, ValueIs
from engine.cluster.tenure import Tenure
from engine.journal.base import Record
from tests.cluster.contest import Contest

FIRST_SEED = int(os.environ.get("TANDEM_SEED", "1"))
SEEDS = 120
SECONDS = 30.0


def test_what_is_acknowledged_is_in_the_log_once_and_in_order() -> None:
    counts: Counter[str] = Counter()
    for seed in range(FIRST_SEED, FIRST_SEED + SEEDS):
        contest = Contest(seed)
        assert contest.run(SECONDS) == [], f"seed {seed}"
        counts.update(contest.counts)
    # What is to be stood has happened, often.
    assert counts["acknowledged"] > 30 * SEEDS and counts["taken"] > 2 * SEEDS
    for what in ("late", "unknown", "not_applied", "deposed", "killed"):
        assert counts[what] > SEEDS / 4, what
    assert counts["moved"] and counts["gaps"]


def test_a_seed_does_the_same_again() -> None:
    one, two = Contest(FIRST_SEED), Contest(FIRST_SEED)
    assert one.run(SECONDS) == two.run(SECONDS)
    assert (one.truth.bodies, one.counts) == (two.truth.bodies, two.counts)
    assert one.world.steps == two.world.steps


class Believes(EtcdLog):
    """Takes a batch whose answer was lost for durable."""

    def append(self, records: Sequence[Record], crc: int, deadline: float) -> None:
        held = self._held
        assert held is not None
        try:
            super().append(records, crc, deadline)
        except EtcdUnavailable:
            self._held = Head(held.epoch, records[-1].seq, crc, held.tenure)


class SendsAgain(EtcdLog):
    """Takes a batch whose answer was lost for lost, and appends it again behind what is there."""

    def _append(self, key: bytes, value: bytes, old: Head, new: Head, deadline: float) -> None:
        try:
            done = self._etcd.txn(
                [ValueIs(self._head_key, old.encode())],
                [Put(key, value), Put(self._head_key, new.encode())],
                [],
                deadline,
            )
            if done.succeeded:
                return
        except EtcdUnavailable:
            pass
        there = self.head(deadline)
        assert there is not None
        again = there._replace(seq=there.seq + new.seq - old.seq)
        self._append(self._key(there.seq + 1), value, there, again, deadline)


class TakesAnyOfItsEpoch(EtcdLog):
    """Concludes from the epoch alone that a take whose answer was lost was its own."""

    def take(self, read: Head, tenure: Tenure) -> Head:
        try:
            return super().take(read, tenure)
        except (EtcdUnavailable, HeadMoved):
            there = self.head()
            if there is None or there[:3] != (read.epoch + 1, read.seq, read.crc):
                raise
            self._held = there
            return there


def comparing_nothing(etcd: Etcd, prefix: str, node: str) -> EtcdLog:
    """The lease alone is to keep an earlier leader away."""

    class Careless:
        def __getattr__(self, name: str) -> Any:
            return getattr(etcd, name)

        def txn(self, compare: Any, *rest: Any, **options: Any) -> Done:
            kept = [one for one in compare if not isinstance(one, ValueIs)]
            return etcd.txn(kept, *rest, **options)

    return EtcdLog(Careless(), prefix, node)  # type: ignore[arg-type]


@pytest.mark.parametrize("make_log", [Believes, SendsAgain, TakesAnyOfItsEpoch, comparing_nothing])
def test_a_log_that_breaks_the_law_is_found(make_log: Any) -> None:
    assert any(Contest(seed, make_log).run(SECONDS) for seed in range(1, 400))
