"""Who belongs to the cluster, and how far each has come.

A registration stays until it is removed. Progress is attached to a lease of the member, so that it
goes when the member has gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from engine.cluster.etcd import NOT_FOUND, Etcd, EtcdRefused
from engine.cluster.operations import Delete, Get, Put, prefix_end


class Progress(msgspec.Struct, frozen=True):
    """What a member has: ``seq`` applied, ``flushed`` to its disk, at ``time_us``."""

    role: str
    seq: int
    flushed: int
    epoch: int
    time_us: int


class Registration(msgspec.Struct, frozen=True):
    """Where the others reach a member ("host:port"), and whether it may lead.

    ``configuration`` is a digest of what it would have the venue be, as leader.
    """

    address: str
    candidate: bool = True
    configuration: str = ""


class Member(NamedTuple):
    """A member; ``progress`` is None while it is not there."""

    node: str
    address: str
    candidate: bool
    progress: Progress | None
    configuration: str = ""


class Members:
    """The members below ``prefix``, and this one, ``node``, among them.

    Methods raise EtcdUnavailable and EtcdRefused.
    """

    def __init__(self, etcd: Etcd, prefix: str, node: str, ttl_s: int = 5) -> None:
        self._etcd = etcd
        self._node = node
        self._members = f"{prefix}members/".encode()
        self._progress = f"{prefix}progress/".encode()
        self._wanted = f"{prefix}wanted".encode()
        self._ttl_s = ttl_s
        self._lease = 0
        self._renew_at = 0.0

    def register(
        self, address: str, *, candidate: bool = True, configuration: str = ""
    ) -> None:
        """Say that this member is one, and where; a repeat replaces what was said."""
        value = msgspec.json.encode(Registration(address, candidate, configuration))
        self._put(Put(self._members + self._node.encode(), value))

    def report(self, progress: Progress) -> None:
        """Say how far this member has come, for ``ttl_s`` at least."""
        now = self._etcd.clock()
        if self._lease and now >= self._renew_at and not self._etcd.keep_alive(self._lease):
            self._lease = 0
        if not self._lease:
            self._lease = self._etcd.grant(self._ttl_s)
        if now >= self._renew_at:
            self._renew_at = now + self._ttl_s / 3
        key, value = self._progress + self._node.encode(), msgspec.json.encode(progress)
        try:
            self._put(Put(key, value, self._lease))
        except EtcdRefused as error:
            if error.code != NOT_FOUND:
                raise
            # The lease has ended, for this member was stopped: the next report has a new one.
            self._lease = self._etcd.grant(self._ttl_s)
            self._put(Put(key, value, self._lease))

    def want(self, node: str, ttl_s: int) -> None:
        """Say that ``node`` is to lead: whoever leads gives way, and no other tries meanwhile."""
        self._put(Put(self._wanted, node.encode(), self._etcd.grant(ttl_s)))

    def list(self) -> list[Member]:
        """Return all members, ordered by name."""
        return [*self.view()[0]]

    def view(self) -> tuple[Sequence[Member], str]:
        """Return all members, ordered by name, and which of them is wanted as leader, or ""."""
        done = self._etcd.txn(
            [],
            [
                Get(self._members, prefix_end(self._members)),
                Get(self._progress, prefix_end(self._progress)),
                Get(self._wanted),
            ],
        )
        progress = {
            found.key[len(self._progress) :]: msgspec.json.decode(found.value, type=Progress)
            for found in done.found[1]
        }
        members = []
        for found in done.found[0]:
            name = found.key[len(self._members) :]
            one = msgspec.json.decode(found.value, type=Registration)
            node, there = name.decode(), progress.get(name)
            members.append(Member(node, one.address, one.candidate, there, one.configuration))
        wanted = done.found[2][0].value.decode() if done.found[2] else ""
        return members, wanted

    def remove(self, node: str) -> None:
        """Take a member out; what it had is waited for by nobody."""
        name = node.encode()
        deletes = [Delete(self._members + name), Delete(self._progress + name)]
        self._etcd.txn([], deletes, repeat=True)

    def leave(self) -> None:
        """Take back the progress: this member ends, and its registration stays."""
        lease, self._lease = self._lease, 0
        if lease:
            self._etcd.revoke(lease)

    def _put(self, put: Put) -> None:
        self._etcd.txn([], [put], repeat=True)
