"""The log of the cluster in etcd: what is in it is durable, and nothing else is.

``head`` says how far the log goes and in whose tenure; each transaction compares it and moves it.
So an earlier leader can append nothing, whatever it believes, and a batch whose answer was lost is
found by reading ``head``. A batch is sent again only as it was, under the same key.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple
from zlib import crc32

import msgspec

from engine.cluster.etcd import Etcd, EtcdFull, EtcdUnavailable
from engine.cluster.operations import (
    Delete,
    Get,
    KeyValue,
    LeaseIs,
    Missing,
    Put,
    ValueIs,
    prefix_end,
)
from engine.cluster.tenure import Tenure
from engine.journal.base import Record

BATCH_BYTES: Final = 1 << 20
"""A transaction has no more bytes of records than this, or one record."""
DEFLATE_BYTES: Final = 1 << 13
"""Larger batches are deflated: three members flush a third, which takes longer than deflating."""
PAGE: Final = 16
"""Batches that are read at a time."""
FORMAT: Final = 1
SEEK: Final = (64, 1024, 16_384)
"""How far before a record the beginning of its batch is looked for, in turn."""


class Head(NamedTuple):
    """The end of the log: the last ``seq`` and its chained ``crc``, and who may append.

    ``tenure`` is the lease of the leader that moved the head to ``epoch``, 0 before the first: two
    that reach for the same epoch never write the same head.
    """

    epoch: int
    seq: int
    crc: int
    tenure: int = 0

    def encode(self) -> bytes:
        """Return the value of the key ``head``."""
        return f"{self.epoch} {self.seq} {self.crc:08x} {self.tenure:x}".encode()

    @classmethod
    def decode(cls, value: bytes) -> Head:
        """Read a value. Raises LogCorrupt."""
        try:
            epoch, seq, crc, tenure = value.split()
            return cls(int(epoch), int(seq), int(crc, 16), int(tenure, 16))
        except ValueError:
            raise LogCorrupt(f"The head of the log in etcd cannot be read: {value!r}.") from None


class LogError(Exception):
    """The log cannot be used like this; the message says why."""


class Deposed(LogError):
    """The head is another's: nothing of what was to be appended is in the log or will be."""


class HeadMoved(LogError):
    """The head is not what was read: read the end of the log again."""


class LogGap(LogError):
    """What was asked for has been deleted from etcd: a peer or a snapshot has it."""


class LogCorrupt(LogError):
    """What etcd has is not what was written."""


class Size(NamedTuple):
    """How many records etcd has, how many bytes of disk its database takes, and what it reports.

    An alarm such as NOSPACE stays until it is disarmed, and lets nothing be written meanwhile.
    """

    records: int
    bytes: int
    alarms: tuple[str, ...] = ()


class _Batch(msgspec.Struct, array_like=True):
    """Records one after the other; ``crc`` is that of the record before the first."""

    format: int
    deflated: bool
    crc: int
    content: bytes


class EtcdLog:
    """The log below ``prefix`` ("/tandem/<cluster>/"), as one member sees it.

    One thread uses it. Methods raise EtcdUnavailable and EtcdRefused too.
    """

    def __init__(self, etcd: Etcd, prefix: str, node: str) -> None:
        self._etcd = etcd
        self._node = node
        self._head_key = f"{prefix}head".encode()
        self._log = f"{prefix}log/".encode()
        self._held: Head | None = None

    def head(self, deadline: float | None = None) -> Head | None:
        """Return the end of the log, or None if there is no log."""
        return _head(self._etcd.range(Get(self._head_key), deadline))

    def create(self, head: Head) -> None:
        """Begin the log behind ``head``. Raises HeadMoved if there is one."""
        put = Put(self._head_key, head.encode())
        try:
            if self._etcd.txn([Missing(self._head_key)], [put]).succeeded:
                return
            there = self.head()
        except EtcdUnavailable as error:
            if error.outcome == "not_applied":
                raise
            there = self.head()
            if there is None:
                raise
            # Whoever wrote the same head: this is the log that was to be there.
            if there == head:
                return
        raise HeadMoved(f"There is a log already: {there}.")

    def take(self, read: Head, tenure: Tenure) -> Head:
        """Move the head from what was ``read`` to the next epoch, and return it.

        From then on no earlier leader can append. Raises HeadMoved, and Deposed when the leader
        key is not this tenure's.
        """
        new = read._replace(epoch=read.epoch + 1, tenure=tenure.lease)
        self._held = None
        leader = Get(tenure.key)
        try:
            done = self._etcd.txn(
                [ValueIs(self._head_key, read.encode()), LeaseIs(tenure.key, tenure.lease)],
                [Put(self._head_key, new.encode())],
                [Get(self._head_key), leader],
            )
        except EtcdUnavailable as error:
            if error.outcome == "not_applied" or self.head() != new:
                raise
        else:
            if not done.succeeded:
                there, holders = _head(done.found[0]), done.found[1]
                if there != read:
                    raise HeadMoved(f"The head of the log is {there}, no longer {read}.")
                if not holders or holders[0].lease != tenure.lease:
                    raise Deposed(f"{self._node} does not hold the tenure of the leader.")
        self._held = new
        return new

    def append(self, records: Sequence[Record], crc: int, deadline: float) -> None:
        """Make records durable, those after the head that was taken; ``crc`` is the last one's.

        Raises Deposed. EtcdUnavailable means that by the deadline (monotonic seconds) it was not
        known how much of them is in the log. After any error nothing more can be appended: what
        comes later could be confused with what may yet arrive.
        """
        held, self._held = self._held, None
        if held is None:
            raise Deposed(f"{self._node} has not taken the log, or lost track of it.")
        batches = list(_batches(records, held))
        if batches and batches[-1][2].crc != crc:
            raise LogCorrupt(f"The records up to {records[-1].seq} do not have the crc {crc:08x}.")
        for first_seq, value, new in batches:
            self._append(self._key(first_seq), value, held, new, deadline)
            held = new
        self._held = held

    def _append(self, key: bytes, value: bytes, old: Head, new: Head, deadline: float) -> None:
        compare = [ValueIs(self._head_key, old.encode())]
        success = [Put(key, value), Put(self._head_key, new.encode())]
        failure = [Get(self._head_key)]
        sent = False
        while True:
            refused: EtcdFull | None = None
            try:
                done = self._etcd.txn(compare, success, failure, deadline)
                if done.succeeded:
                    return
                found = _head(done.found[0])
            except (EtcdUnavailable, EtcdFull) as error:
                refused = error if isinstance(error, EtcdFull) else None
                sent = sent or refused is not None or _may_be_applied(error)
                if not sent:
                    raise
                try:
                    found = self.head(deadline)
                except EtcdUnavailable as second:
                    raise EtcdUnavailable(str(second), "unknown") from error
            if found == new:
                return
            if found != old:
                raise Deposed(f"The head of the log is {found}; {self._node} had left it at {old}.")
            if refused is not None:
                raise refused

    def read(self, from_seq: int) -> list[Record]:
        """Return the records from ``from_seq`` to the end. Raises LogGap and LogCorrupt."""
        first = self._batch_of(from_seq)
        begin = self._key(from_seq if first is None else first)
        end = prefix_end(self._log)
        head_get = Get(self._head_key)
        done = self._etcd.txn([], [head_get, Get(begin, end, PAGE)])
        head = _head(done.found[0])
        if head is None:
            raise LogGap("There is no log in etcd: it was never created, or etcd was emptied.")
        records: list[Record] = []
        page, crc = done.found[1], -1
        while page:
            for found in page:
                crc = self._read(found, records, crc, head)
            page = self._etcd.range(Get(page[-1].key + b"\0", end, PAGE))
        first_there = records[0].seq if records else head.seq + 1
        if from_seq <= head.seq and from_seq < first_there:
            raise LogGap(f"Record {from_seq} has been deleted from etcd.")
        if records and records[-1].seq < head.seq:
            raise LogGap(f"The log in etcd ends at {records[-1].seq}, its head is at {head.seq}.")
        return [record for record in records if record.seq >= from_seq]

    def _read(self, found: KeyValue, records: list[Record], crc: int, head: Head) -> int:
        """Add what a batch has, checked against what came before; return the new crc."""
        seq = int(found.key[len(self._log) :])
        batch_crc, bodies = _decode(found)
        if records and (seq != records[-1].seq + 1 or batch_crc != crc):
            if seq > records[-1].seq + 1:
                raise LogGap(f"The records after {records[-1].seq} were deleted meanwhile.")
            raise LogCorrupt(f"The batch {seq} in etcd does not continue the one before it.")
        crc = batch_crc
        for body in bodies:
            crc = crc32(body, crc)
            if seq == head.seq and crc != head.crc:
                raise LogCorrupt(f"Record {seq} in etcd has the crc {crc:08x}, its head {head}.")
            records.append(Record(seq, body))
            seq += 1
        return crc

    def forget(self, through_seq: int) -> None:
        """Delete whole batches up to ``through_seq`` and compact; the last batch stays."""
        first = self._batch_of(through_seq + 1)
        if first is None:
            return
        done = self._etcd.txn([], [Delete(self._log, self._key(first))], repeat=True)
        self._etcd.compact(done.revision)

    def size(self) -> Size:
        """Return how much etcd has; its quota counts these bytes."""
        done = self._etcd.txn(
            [], [Get(self._head_key), Get(self._log, prefix_end(self._log), 1, keys_only=True)]
        )
        head, first = _head(done.found[0]), done.found[1]
        records = 0 if head is None or not first else head.seq + 1 - self._seq(first[0])
        status = self._etcd.status()
        return Size(records, status.db_size, tuple(sorted(set(_alarms(status.errors)))))

    def _key(self, first_seq: int) -> bytes:
        return b"%s%020d" % (self._log, first_seq)

    def _seq(self, found: KeyValue) -> int:
        return int(found.key[len(self._log) :])

    def _batch_of(self, seq: int) -> int | None:
        """The first seq of the batch that has ``seq``, or of the last before it; None if none."""
        end = self._key(seq + 1)
        for back in (*SEEK, seq):
            keys = self._etcd.range(Get(self._key(max(0, seq - back)), end, keys_only=True))
            if keys:
                return self._seq(keys[-1])
        return None


def _head(found: list[KeyValue]) -> Head | None:
    return Head.decode(found[0].value) if found else None


def _may_be_applied(error: EtcdUnavailable | EtcdFull) -> bool:
    return isinstance(error, EtcdFull) or error.outcome == "unknown"


def _batches(records: Sequence[Record], head: Head) -> Iterator[tuple[int, bytes, Head]]:
    """The transactions for records: first seq, value, and the head after it."""
    seq, crc = head.seq, head.crc
    bodies: list[bytes] = []
    size, crc_before = 0, crc
    for record in records:
        if record.seq != seq + 1:
            raise LogCorrupt(f"Record {record.seq} does not follow {seq}.")
        if bodies and size + len(record.body) > BATCH_BYTES:
            yield seq + 1 - len(bodies), _encode(bodies, crc_before), _after(head, seq, crc)
            bodies, size, crc_before = [], 0, crc
        bodies.append(record.body)
        size += len(record.body)
        seq, crc = record.seq, crc32(record.body, crc)
    if bodies:
        yield seq + 1 - len(bodies), _encode(bodies, crc_before), _after(head, seq, crc)


def _after(head: Head, seq: int, crc: int) -> Head:
    return Head(head.epoch, seq, crc, head.tenure)


def _encode(bodies: list[bytes], crc: int) -> bytes:
    content = msgspec.msgpack.encode(bodies)
    deflated = len(content) > DEFLATE_BYTES
    if deflated:
        content = zlib.compress(content, 1)
    return msgspec.msgpack.encode(_Batch(FORMAT, deflated, crc, content))


def _decode(found: KeyValue) -> tuple[int, list[bytes]]:
    try:
        batch = msgspec.msgpack.decode(found.value, type=_Batch)
        if batch.format != FORMAT:
            raise LogCorrupt(
                f"{found.key.decode()} in etcd has format {batch.format}, this is {FORMAT}."
            )
        content = zlib.decompress(batch.content) if batch.deflated else batch.content
        return batch.crc, msgspec.msgpack.decode(content, type=list[bytes])
    except (msgspec.MsgspecError, zlib.error) as error:
        raise LogCorrupt(f"{found.key.decode()} in etcd cannot be read: {error}.") from error


def _alarms(errors: Sequence[str]) -> Iterator[str]:
    """Yield the alarms of which a member of etcd tells: ``memberID:1 alarm:NOSPACE``."""
    for error in errors:
        _, found, alarm = error.partition("alarm:")
        if found:
            yield alarm.strip()
