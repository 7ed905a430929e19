"""A member of the cluster: the engine's loop in one of two roles, and the change to the second.

The law: a follower may become leader, a leader never becomes a follower. It ends, because its
memory may hold what was not committed, and starts again from its segments. Promotion reads the end
of the log, applies it, takes the next epoch, and only then is anything committed by this member.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Final
from zlib import crc32

import structlog

from engine.cluster.assembly import Parts
from engine.cluster.etcd import EtcdError
from engine.cluster.journal import MemberJournal
from engine.cluster.log import Head, LogError
from engine.cluster.relay import AGE_MS_MAX, Diverged
from engine.cluster.watch import Place
from engine.core.types import ClusterStatus, Standing
from engine.journal.base import JournalFailed, Record
from engine.server.sequencer import Sequencer
from engine.server.terms import EngineStopped

TURN_S: Final = 0.1
"""A member looks at least this often whether its role has changed."""
READY_S: Final = 3.0
"""Without a leader for so long, a member that is not new serves what it has."""
LED_S: Final = 2.0
"""A leader of which a follower has not heard for so long is none to its clients."""
PAUSE_S: Final = 0.5
"""After a promotion that could not be finished, before the next attempt."""

log = structlog.get_logger("engine.cluster")


class NoHead(Exception):
    """etcd holds no head of this cluster's log; the message says what to do."""


class Member:
    """Runs the engine of a member until it is stopped or deposed.

    ``configure`` makes the state agree with the configuration; a leader calls it.
    """

    def __init__(
        self,
        sequencer: Sequencer,
        journal: MemberJournal,
        parts: Parts,
        configure: Callable[[], None],
    ) -> None:
        self._sequencer = sequencer
        self._journal = journal
        self._log = parts.log
        self._tenure = parts.tenure
        self._link = parts.link
        self._relay = parts.relay
        self._watch = parts.watch
        self._configure = configure
        self._epoch = 0
        parts.watch.place = self.place
        parts.relay.status = self.status
        parts.relay.standing = self.standing
        parts.watch.followed = lambda: time.monotonic() - parts.relay.fresh_at < LED_S / 4

    def place(self) -> Place:
        """Return what this member is now; may be called by another thread."""
        return Place(self._sequencer.role, self._epoch, self._journal.last_seq)

    def standing(self) -> Standing:
        """Return whether this member leads, and how old its state may be.

        While the lease was certainly held no other member had a newer state. Without a leader it
        is etcd that says whether there is more than this member has applied.
        """
        leads = bool(self._epoch)
        current_at = self._tenure.held_at if leads else self._relay.fresh_at
        seen = self._watch.head
        have = self._journal.last_seq, self._journal.last_crc
        if not leads and seen is not None and (seen.head.seq, seen.head.crc) == have:
            current_at = max(current_at, seen.at)
        age_ms = min((time.monotonic() - current_at) * 1_000, AGE_MS_MAX)
        return Standing(leads, max(0, round(age_ms)))

    def status(self) -> ClusterStatus:
        """Return what this member knows of the cluster.

        A leader that etcd names and that cannot be reached from here is none.
        """
        watch, place = self._watch, self.place()
        leads = place.role == "leader"
        heard = time.monotonic() - self._relay.led_at < LED_S
        leader = watch.leader.node if watch.leader is not None and heard else ""
        return ClusterStatus(
            watch.terms.node, place.role, place.epoch,
            watch.terms.node if leads else leader,
            watch.trouble or watch.clock.trouble or ("" if leads else self._link.trouble),
            watch.size.records, watch.size.bytes, watch.rows(), watch.full or not watch.trouble,
            tuple(sorted({*watch.size.alarms, *(("NOSPACE",) if watch.full else ())})),
        )  # fmt: skip

    def run(self, ready: Callable[[], None]) -> None:
        """Serve until the sequencer is stopped. Raises EngineStopped or JournalError.

        ``ready`` is called once: when this member leads, when it has what the leader has, or, if it
        is not new, when no leader was found in time.
        """
        sequencer, told = self._sequencer, False
        known_s = READY_S if self._journal.last_seq else math.inf
        started = time.monotonic()
        self._watch.start()
        while not sequencer.stopping:
            sequencer.turn(min(sequencer.timeout(), TURN_S))
            self._check_disk()
            if self._epoch:
                self._check_tenure()
            elif self._watch.won:
                self._promote()
            else:
                self._follow()
            if not told:
                waited_s = time.monotonic() - started
                if self._epoch or self._relay.caught_up or waited_s > known_s:
                    told = True
                    ready()

    def close(self) -> None:
        """Give the lease back, so that another member leads at once; called once, after ``run``."""
        # At first, for the watch may take long to end; and after it, for it may just have won.
        resigned = self._resign()
        self._watch.close()
        if not resigned:
            self._resign()
        self._link.close()

    def _resign(self) -> bool:
        """Give the lease back, if there is one; whether it was."""
        if not self._watch.won:
            return False
        try:
            self._tenure.resign()
        except EtcdError as error:
            log.warning("lease_not_given_back", reason=str(error))
            return False
        return True

    def _follow(self) -> None:
        leader = self._watch.leader
        known = leader is not None and leader.node != self._watch.terms.node
        self._link.follow(leader.address if leader is not None and known else None)

    def _check_disk(self) -> None:
        failed = self._watch.flusher.failed
        if failed is not None:
            raise JournalFailed(f"the journal of this member could not be flushed: {failed}")

    def _check_tenure(self) -> None:
        """Stop before the lease ends if it could not be renewed, or for a planned switch."""
        if self._watch.retire:
            raise EngineStopped("switch", f"{self._watch.retire} is to lead in its place")
        if time.monotonic() > self._tenure.valid_until:
            raise EngineStopped(
                "tenure", "the lease could not be renewed in time; another member may lead"
            )

    def _promote(self) -> None:
        """Become the leader: take in the end of the log, take the next epoch, serve."""
        started = time.monotonic()
        self._link.follow(None)
        self._apply(self._relay.arrived())
        try:
            head = self._take_epoch()
        except (EtcdError, LogError, NoHead) as error:
            log.warning("not_promoted", reason=str(error))
            self._watch.give_up(PAUSE_S)
            return
        self._epoch = head.epoch
        self._journal.commit = self._commit
        self._sequencer.lead(self._relay.release())
        self._configure()
        took_ms = round((time.monotonic() - started) * 1_000, 1)
        log.info("leading", epoch=head.epoch, seq=head.seq, took_ms=took_ms)

    def _take_epoch(self) -> Head:
        """Apply the end of the log and move its head to the next epoch."""
        head = self._log.head()
        if head is None:
            raise NoHead(
                "etcd holds no head of this cluster's log; `tandem cluster init` makes it, once, "
                "on the member whose journal is to be the cluster's"
            )
        if head.seq < self._journal.last_seq:
            raise Diverged(
                f"the journal of this member ends with seq {self._journal.last_seq}, the cluster's "
                f"log with {head.seq}; keep it aside and let this member join again, empty"
            )
        while self._journal.last_seq < head.seq:
            self._apply(self._log.read(self._journal.last_seq + 1))
        if self._journal.last_crc != head.crc:
            raise Diverged(
                f"the journal of this member differs from the cluster's log at seq {head.seq}; "
                "keep it aside and let this member join again, empty"
            )
        return self._log.take(head, self._tenure)

    def _apply(self, records: Sequence[Record]) -> None:
        self._sequencer.follow(records)

    def _commit(self, records: Sequence[Record], previous_crc: int) -> None:
        """Have etcd commit a batch. Raises JournalFailed."""
        try:
            crc = previous_crc
            for record in records:
                crc = crc32(record.body, crc)
            self._log.append(records, crc, self._tenure.valid_until)
        except LogError as error:
            raise JournalFailed(f"this member no longer leads: {error}") from error
        except EtcdError as error:
            raise JournalFailed(
                f"etcd did not say in time whether a batch was committed: {error}"
            ) from error
