"""Durable records per second in etcd by batch size; ``python -m benchmarks.etcd``.

Three members of etcd on this machine, with the flags that we recommend and a flush for each entry.
The cluster's log (``EtcdLog.append``) beside the same requests made before and only sent: what
lies between them is what our own code costs. Members that share a machine share its disk and its
processors, so that three machines do better.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple
from zlib import crc32

import msgspec

from benchmarks.common import Section, done, half_and_99, percentile, progress, rate, ratios
from benchmarks.journal import encoded_transactions
from engine.cluster.connection import Connection
from engine.cluster.etcd import Etcd
from engine.cluster.log import EtcdLog, Head
from engine.cluster.operations import Get, Put, ValueIs, txn_body
from engine.cluster.tenure import Tenure
from engine.journal.base import Record
from tests.support.etcd import EtcdCluster

COMMAND = "python -m benchmarks.etcd"
BATCHES: Final = (1, 8, 64, 512)
WITHIN_S: Final = 30.0


class Batch(NamedTuple):
    """Records, and the crc after them."""

    records: list[Record]
    crc: int


class Round(NamedTuple):
    """Records per second, milliseconds of each batch, and the processor's for one."""

    rate: float
    took_ms: list[float]
    own_ms: float


def batches(size: int, bodies: Sequence[bytes]) -> Iterator[Batch]:
    """Records one after the other from 1 on, ``size`` at a time, with these bodies in turn."""
    again = itertools.cycle(bodies)
    seq, crc = 0, 0
    while True:
        records = []
        for body in itertools.islice(again, size):
            seq += 1
            crc = crc32(body, crc)
            records.append(Record(seq, body))
        yield Batch(records, crc)


def log(etcd: Etcd, prefix: str) -> EtcdLog:
    """A new log, taken."""
    tenure = Tenure(etcd, prefix, "bench", "bench:1", 60)
    new = EtcdLog(etcd, prefix, "bench")
    new.create(Head(0, 0, 0))
    assert tenure.try_win()
    head = new.head()
    assert head is not None
    new.take(head, tenure)
    return new


def ours(etcd: Etcd, prefix: str, made: Sequence[Batch]) -> list[Callable[[], object]]:
    """The venue's appends."""
    to = log(etcd, prefix)
    return [
        lambda one=one: to.append(one.records, one.crc, etcd.clock() + WITHIN_S) for one in made
    ]


def sent(
    etcd: Etcd, prefix: str, made: Sequence[Batch], connection: Connection
) -> list[Callable[[], object]]:
    """Requests that have what those of the log have, encoded before."""
    head_key, old = f"{prefix}head".encode(), Head(1, 0, 0, 1).encode()
    etcd.txn([], [Put(head_key, old)])
    bodies = []
    for one in made:
        new = Head(1, one.records[-1].seq, one.crc, 1).encode()
        key = f"{prefix}log/{one.records[0].seq:020d}".encode()
        value = msgspec.msgpack.encode([record.body for record in one.records])
        changes = [Put(key, value), Put(head_key, new)]
        body = txn_body([ValueIs(head_key, old)], changes, [Get(head_key)])
        bodies.append(msgspec.json.encode(body))
        old = new

    def send(body: bytes) -> None:
        status, answer = connection.post("/v3/kv/txn", "", body, etcd.clock() + WITHIN_S)
        if status != 200 or b'"succeeded":true' not in answer:
            raise RuntimeError(f"etcd did not append: {answer!r}")

    return [lambda body=body: send(body) for body in bodies]


def measure(appends: Sequence[Callable[[], object]], size: int, seconds: float) -> Round:
    """Append for some time, or until there is no more."""
    took = []
    own = time.thread_time()
    start = last = time.perf_counter()
    for append in appends:
        append()
        now = time.perf_counter()
        took.append((now - last) * 1000)
        last = now
        if last - start > seconds:
            break
    own = time.thread_time() - own
    return Round(size * len(took) / (last - start), took, 1000 * own / len(took))


def sections(quick: bool = False, folder: Path | None = None) -> list[Section]:
    """Return rates and times of both, in alternating rounds."""
    rounds, seconds = (3, 1.0) if quick else (7, 2.0)
    bodies = [body for body, _ in encoded_transactions(2_000 if quick else 10_000)]
    results: dict[tuple[str, int], list[Round]] = {}
    where = tempfile.TemporaryDirectory(dir=folder, prefix="tandem-etcd-")
    with where as name, EtcdCluster(Path(name), 3) as cluster:
        leader = cluster.leader()
        etcd = cluster.client([leader.endpoint], timeout_s=WITHIN_S)
        host, port = leader.endpoint.split(":")
        connection = Connection(host, int(port), None, etcd.clock() + WITHIN_S)
        for number in range(rounds):
            for size in BATCHES:
                source = batches(size, bodies)
                made = [next(source) for _ in range(int(seconds * 500))]
                for what in ("log", "sent"):
                    progress(f"etcd: round {number + 1} of {rounds}, {what}, batches of {size}")
                    prefix = f"/bench/{what}/{size}/{number}/"
                    appends = (
                        ours(etcd, prefix, made)
                        if what == "log"
                        else sent(etcd, prefix, made, connection)
                    )
                    results.setdefault((what, size), []).append(measure(appends, size, seconds))
                    end = prefix.encode() + b"\xff"
                    cluster.ask("kv/deleterange", {"key": prefix.encode(), "range_end": end})
                    etcd.compact(etcd.status().header.revision)
        connection.close()
    done()
    return [table(results, rounds, seconds, statistics.mean(map(len, bodies)))]


def table(
    results: dict[tuple[str, int], list[Round]], rounds: int, seconds: float, size_mean: float
) -> Section:
    """Return what was measured."""
    rows = []
    for what, name in (("log", "the cluster's log"), ("sent", "requests made before")):
        for size in BATCHES:
            found = results[what, size]
            took = [one for each in found for one in each.took_ms]
            rows.append(
                (
                    name,
                    str(size),
                    rate([one.rate for one in found]),
                    half_and_99(took),
                    rate([one.own_ms for one in found], 2),
                )
            )
    times = "; ".join(
        f"{size}: "
        + ratios(
            [percentile(one.took_ms, 0.5) for one in results["log", size]],
            [percentile(one.took_ms, 0.5) for one in results["sent", size]],
        )
        for size in BATCHES
    )
    return Section(
        "The cluster's log: durable records per second in etcd",
        COMMAND,
        f"Records of {size_mean:.0f} bytes on average, one batch after the other, three members of "
        f"etcd on this machine; median and spread of {rounds} alternating rounds of {seconds:g} s.",
        ("what", "batch", "records/s", "ms, p50 / p99", "ms of processor in Python"),
        rows,
        (f"The log's p50 is that of the bare requests times, by batch: {times}.",),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--folder", type=Path, help="where to write; the disk that is measured")
    options = parser.parse_args()
    for section in sections(options.quick, options.folder):
        print(section.text())


if __name__ == "__main__":
    main()
