"""What the engine counts about itself, and what it lets go of."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.client import EngineRefused, GapTooOld, queries
from engine.server.metrics import COMMIT_BUCKETS_US, Counters
from engine.server.terms import Bounds
from tests.unit.engine_shell.harness import EngineThread, new_order


def test_commits_fall_into_their_buckets() -> None:
    counters = Counters()
    for took_us in (1, 100, 101, 5_000, 2_000_000):
        counters.committed(10, took_us / 1e6)
    counts = dict(zip(COMMIT_BUCKETS_US, counters._buckets, strict=False))
    assert (counts[100], counts[200], counts[6_400]) == (2, 1, 1)
    assert sum(counts.values()) == 4  # The slowest is beyond every bound.
    assert (counters.batches, counters.transactions) == (5, 50)
    assert counters._commit_us_max == 2_000_000


def test_the_engine_counts_what_it_does(tmp_path: Path) -> None:
    engine = EngineThread(tmp_path)
    client = engine.client("counted")
    before = client.fetch(queries.Metrics()).value
    for number in range(3):
        client.submit(new_order(number))
    after = client.fetch(queries.Metrics()).value
    assert after.transactions - before.transactions == 3
    assert 1 <= after.batches - before.batches <= 3
    assert after.orders - before.orders == 3
    assert sum(count for _, count in after.commit_buckets) <= after.batches
    assert after.commit_us >= before.commit_us and after.resident_bytes > 1 << 20
    assert [each.name for each in after.clients] == ["counted"]
    client.close()
    engine.stop()


def test_whole_segments_are_let_go_of_once_a_snapshot_covers_them(tmp_path: Path) -> None:
    engine = EngineThread(
        tmp_path, bounds=Bounds(snapshot_every=1_000_000), segment_records_max=20
    )
    client = engine.client()
    for number in range(60):
        client.submit(new_order(number))
    with pytest.raises(EngineRefused, match="there is no snapshot of seq 39 or later"):
        client.fetch(queries.Forget(40))
    client.close()
    engine.stop()  # Leaves a snapshot.

    again = EngineThread(tmp_path, segment_records_max=20)
    client = again.client()
    files = sorted(path.name for path in (tmp_path / "journal").glob("*.segment"))
    assert client.fetch(queries.Transaction(1)).value.seq == 1
    assert client.fetch(queries.Forget(45)).value == 41
    assert client.fetch(queries.Status()).value.first_seq == 41
    assert client.fetch(queries.Transaction(41)).value.seq == 41
    with pytest.raises(GapTooOld):
        client.fetch(queries.Transaction(40))
    assert sorted(path.name for path in (tmp_path / "journal").glob("*.segment")) == files
    assert client.submit(new_order("more")).transaction.seq > 60
    client.close()
    again.stop()
