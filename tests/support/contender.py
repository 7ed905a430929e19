"""A member that reaches for the log, as the engine does, and appends to it."""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

from engine.cluster.etcd import Etcd
from engine.cluster.log import EtcdLog, Head
from engine.cluster.tenure import Tenure
from engine.journal.base import Record


def chain(crc: int, bodies: Sequence[bytes]) -> int:
    """The chained crc after some bodies."""
    for body in bodies:
        crc = crc32(body, crc)
    return crc


class Contender:
    """A node with its own client of etcd; ``head`` is the end of the log as it knows it."""

    def __init__(self, etcd: Etcd, prefix: str, node: str, ttl_s: int = 2) -> None:
        self.etcd = etcd
        self.log = EtcdLog(etcd, prefix, node)
        self.tenure = Tenure(etcd, prefix, node, f"{node}:1", ttl_s)
        self.head = Head(0, 0, 0)

    def lead(self) -> Head:
        """Win and take the log, where nobody else leads."""
        assert self.tenure.try_win()
        head = self.log.head()
        assert head is not None
        self.head = self.log.take(head, self.tenure)
        return self.head

    def append(self, *bodies: bytes, within_s: float = 10.0) -> None:
        """Append records with these bodies behind the head."""
        seq, crc = self.head.seq, chain(self.head.crc, bodies)
        records = [Record(seq + n, body) for n, body in enumerate(bodies, 1)]
        self.log.append(records, crc, self.etcd.clock() + within_s)
        self.head = self.head._replace(seq=seq + len(bodies), crc=crc)

    def bodies(self, from_seq: int = 1) -> list[bytes]:
        """What the log has from a record on."""
        records = self.log.read(from_seq)
        assert [one.seq for one in records] == list(range(from_seq, from_seq + len(records)))
        return [one.body for one in records]
