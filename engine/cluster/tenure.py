"""Who tries to lead: a lease in etcd, and the key ``leader`` that lives as long as it.

A lease is no fence. A leader that was stopped and goes on believes in it; only the comparison of
the head of the log (``EtcdLog.append``) keeps it from doing harm.
"""

from __future__ import annotations

import math
import threading
from typing import Final, NamedTuple

import msgspec

from engine.cluster.etcd import NOT_FOUND, Etcd, EtcdRefused, EtcdUnavailable
from engine.cluster.operations import Get, Missing, Put

RENEWALS: Final = 6
"""Renewals within one time to live."""
TRIES: Final = 8
"""Endpoints that can be asked within one time to live. When the leader of etcd is lost, a request
that its members have passed on is never answered; only the next one is, after the election."""


class Leader(NamedTuple):
    """Who leads, and where the others reach it ("host:port")."""

    node: str
    address: str


class _Value(msgspec.Struct):
    node: str
    address: str


class Tenure:
    """The tenure of ``node``, which the others reach at ``address``; its lease has ``ttl_s``.

    ``try_win``, ``renew`` and ``resign`` belong to one thread; after ``start`` a thread of its own
    renews, until ``resign``. They raise EtcdUnavailable and EtcdRefused.
    """

    def __init__(self, etcd: Etcd, prefix: str, node: str, address: str, ttl_s: int) -> None:
        self._etcd = etcd
        self.key = f"{prefix}leader".encode()
        self._node = node
        self._value = msgspec.json.encode(_Value(node, address))
        self._ttl_s = ttl_s
        self.lease = 0
        self.valid_until = 0.0
        """Until when (seconds of the etcd's ``clock``) the lease certainly lasts; 0 without one."""
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def leader(self) -> Leader | None:
        """Return who leads, None if nobody does."""
        found = self._etcd.range(Get(self.key))
        if not found:
            return None
        value = msgspec.json.decode(found[0].value, type=_Value)
        return Leader(value.node, value.address)

    def try_win(self) -> bool:
        """Become leader if nobody is. A key of this node's earlier process is no obstacle."""
        found = self._etcd.range(Get(self.key))
        if found:
            value = msgspec.json.decode(found[0].value, type=_Value)
            if value.node != self._node:
                return False
            # Also ours: a key whose answer was lost, so that nobody knew of having won.
            self._etcd.revoke(found[0].lease)
        self.valid_until = 0.0
        begin = self._etcd.clock()
        self.lease = self._etcd.grant(self._ttl_s)
        put = Put(self.key, self._value, self.lease)
        try:
            won = self._etcd.txn([Missing(self.key)], [put]).succeeded
        except EtcdUnavailable as error:
            if error.outcome == "not_applied":
                raise
            found = self._etcd.range(Get(self.key))
            won = bool(found) and found[0].lease == self.lease
        except EtcdRefused as error:
            # This process was stopped for longer than its new lease lasts.
            if error.code != NOT_FOUND:
                raise
            won = False
        if won:
            self.valid_until = begin + self._ttl_s
        return won

    def renew(self) -> bool:
        """Renew the lease; False when it has ended, or may have: a tenure has no second life."""
        begin = self._etcd.clock()
        each_s = self._ttl_s / TRIES
        if begin >= self.valid_until or not self._etcd.keep_alive(
            self.lease, self.valid_until, each_s
        ):
            self.valid_until = 0.0
            return False
        self.valid_until = begin + self._ttl_s
        return True

    @property
    def held_at(self) -> float:
        """Return when the lease was certainly held last, in seconds of the etcd's ``clock``."""
        return self.valid_until - self._ttl_s if self.valid_until else -math.inf

    def depose(self, leader: Leader) -> None:
        """Take the lease of ``leader`` away, if it is still the one that leads."""
        found = self._etcd.range(Get(self.key))
        if found:
            value = msgspec.json.decode(found[0].value, type=_Value)
            if (value.node, value.address) == leader:
                self._etcd.revoke(found[0].lease)

    def start(self) -> None:
        """Renew from now on, on a thread of its own, until the lease ends or ``resign``."""
        self._ending.clear()
        self._thread = threading.Thread(target=self._renew, name="tenure", daemon=True)
        self._thread.start()

    def resign(self) -> None:
        """Give the lease back, so that another can win at once."""
        self._ending.set()
        self.valid_until = 0.0
        try:
            if self.lease:
                self._etcd.revoke(self.lease)
        finally:
            # Not before: a renewal under way may take long, and renews nothing any more.
            if self._thread is not None:
                self._thread.join()
                self._thread = None
            self.valid_until = 0.0

    def _renew(self) -> None:
        """While etcd does not answer, ask on: the lease is lost when its time has passed."""
        while not self._ending.wait(self._ttl_s / RENEWALS):
            try:
                if not self.renew():
                    return
            except (EtcdUnavailable, EtcdRefused):
                if self._etcd.clock() >= self.valid_until:
                    return
