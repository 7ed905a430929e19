"""The thread of a member that talks to etcd: who leads, what each member has, what may be deleted.

It decides nothing about the state: the engine's thread reads what it has found, and alone appends.
What fails here is tried again at the next round, and logged once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import structlog

from engine.cluster.clock import MemberClock
from engine.cluster.etcd import EtcdError, EtcdFull
from engine.cluster.flusher import Flusher
from engine.cluster.log import EtcdLog, Head, LogError, Size
from engine.cluster.members import Member, Members, Progress
from engine.cluster.tenure import Leader, Tenure
from engine.core.types import MemberRow
from engine.journal.base import Journal

ROUND_S: Final = 0.1
REPORT_S: Final = 0.25
TRIM_S: Final = 1.0
SEE_S: Final = 0.5

log = structlog.get_logger("engine.cluster")


class Place(NamedTuple):
    """What a member is at this moment."""

    role: str
    epoch: int
    seq: int


class Seen(NamedTuple):
    """The end of the log as etcd told it to who asked at ``at`` (monotonic)."""

    head: Head
    at: float


class Terms(NamedTuple):
    """What a member says of itself, and the bounds of what it watches.

    A leader that says nothing for ``silence_s``, while etcd answers, is replaced. More than
    ``records_max`` in etcd are deleted as soon as a majority has them.
    """

    node: str
    address: str
    candidate: bool
    records_max: int
    silence_s: float
    configuration: str = ""


class Lag:
    """For how long a member has lacked something that another had."""

    def __init__(self) -> None:
        self.ms = 0
        self._goal = 0
        self._since = 0.0

    def note(self, newest: int, seq: int, now: float) -> None:
        """Take in where the newest member is, and where this one."""
        if seq >= self._goal:
            self._goal, self._since = newest, now
        self.ms = 0 if seq >= self._goal else round((now - self._since) * 1_000)


class Watch:
    """Looks after one member; ``wake`` is called when the engine's thread should look."""

    def __init__(
        self,
        terms: Terms,
        tenure: Tenure,
        members: Members,
        etcd_log: EtcdLog,
        journal: Journal,
        wake: Callable[[], None],
        clock: MemberClock,
    ) -> None:
        self.terms = terms
        self._tenure = tenure
        self._members = members
        self._log = etcd_log
        self.flusher = Flusher(journal, wake)
        self._wake = wake
        self.clock = clock
        self.place: Callable[[], Place] = lambda: Place("follower", 0, journal.last_seq)
        self.leader: Leader | None = None
        """Who holds the lease, as far as is known."""
        self.won = False
        """This member holds the lease."""
        self.followed: Callable[[], bool] = lambda: False
        """Whether a leader tells this member what is new; the member sets it."""
        self.head: Seen | None = None
        """What the log ended with when nobody told."""
        self.size = Size(0, 0)
        """What etcd holds, as far as the leader knows."""
        self.members: tuple[Member, ...] = ()
        self.retire = ""
        """The member that is to lead in the place of this one."""
        self.trouble = ""
        """What keeps this member from etcd."""
        self.full = False
        """etcd answers and takes nothing: it has reached its quota."""
        self._lags: dict[str, Lag] = {}
        self._silent_rounds = max(3, round(terms.silence_s / ROUND_S))
        self._registered: bool | None = None
        """Whether it is known to the others as one that may lead."""
        self._not_before = 0.0
        self._report_at = self._trim_at = self._see_at = 0.0
        self._differs = False
        self._heard: Progress | None = None
        self._silent = 0
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()
        self.flusher.start()

    def give_up(self, pause_s: float) -> None:
        """Return the lease, and do not try again before the pause is over."""
        self._not_before = time.monotonic() + pause_s
        self._tenure.resign()
        self.won = False

    def close(self) -> None:
        """End; called once."""
        self._closed.set()
        self._thread.join()
        self.flusher.close()

    def _run(self) -> None:
        while not self._closed.wait(ROUND_S):
            try:
                self._look()
            except (EtcdError, LogError, OSError) as error:
                if not self.trouble:
                    log.warning("cluster_not_reached", reason=str(error))
                self.trouble = str(error)
                self.full = isinstance(error, EtcdFull)
            else:
                self.full = False
                if self.trouble:
                    log.info("cluster_reached")
                self.trouble = ""

    @property
    def _stands(self) -> bool:
        """Whether this member may lead: not while its clock is wrong."""
        return self.terms.candidate and not self.clock.trouble

    def _look(self) -> None:
        now = time.monotonic()
        place = self.place()
        terms, stands = self.terms, self._stands
        if self._registered is not stands:
            self._members.register(
                terms.address, candidate=stands, configuration=terms.configuration
            )
            self._registered = stands
        if now >= self._report_at:
            self._report_at = now + REPORT_S
            told = Progress(
                place.role, place.seq, self.flusher.flushed, place.epoch, self.clock(),
            )  # fmt: skip
            self._members.report(told)
        members, wanted = self._members.view()
        self._note_lags(members, now)
        self._compare(members)
        self._compare_clocks(members)
        if self.won:
            self._give_way(wanted)
        else:
            self._find_leader(now, wanted)
            self._see_head()
        if place.role == "leader" and now >= self._trim_at:
            self._trim_at = now + TRIM_S
            self._trim()

    def _see_head(self) -> None:
        """Ask etcd how far the log is, where no leader says so: who has all of it is current."""
        asked_at = time.monotonic()
        if self.won or self.followed() or asked_at < self._see_at:
            return
        self._see_at = asked_at + SEE_S
        head = self._log.head()
        if head is not None:
            self.head = Seen(head, asked_at)
        if asked_at >= self._trim_at:
            self._trim_at = asked_at + TRIM_S
            self.size = self._log.size()

    def _give_way(self, wanted: str) -> None:
        """Have this leader end if another member, which is there, is wanted in its place."""
        there = {one.node for one in self.members if one.candidate and one.progress is not None}
        if wanted in there - {self.terms.node}:
            self.retire = wanted
            self._wake()

    def _note_lags(self, members: Sequence[Member], now: float) -> None:
        seqs = {one.node: one.progress.seq for one in members if one.progress is not None}
        newest = max(seqs.values(), default=0)
        for node in self._lags.keys() - seqs.keys():
            del self._lags[node]
        for node, seq in seqs.items():
            self._lags.setdefault(node, Lag()).note(newest, seq, now)
        self.members = tuple(members)

    def _compare(self, members: Sequence[Member]) -> None:
        """Log it once if the leader's configuration is another than this member's."""
        theirs = {one.node: one.configuration for one in members}
        leader = "" if self.leader is None else self.leader.node
        differs = theirs.get(leader, self.terms.configuration) != self.terms.configuration
        if differs and not self._differs:
            log.warning("configuration_differs", leader=leader)
        self._differs = differs

    def _compare_clocks(self, members: Sequence[Member]) -> None:
        others = [one for one in members if one.node != self.terms.node]
        reported = {
            one.node: one.progress.time_us for one in others if one.progress is not None
        }
        self.clock.compare(reported, alone=not others)

    def rows(self) -> tuple[MemberRow, ...]:
        """Return the members as this one knows them; may be called by another thread."""
        members = self.members
        newest = max((one.progress.seq for one in members if one.progress), default=0)
        found = []
        for one in members:
            had, lag = one.progress, self._lags.get(one.node)
            role, seq, flushed = ("away", 0, 0) if had is None else (had.role, had.seq, had.flushed)
            found.append(
                MemberRow(
                    one.node, one.address, one.candidate, role, seq, flushed, newest - seq,
                    0 if lag is None else lag.ms,
                )
            )  # fmt: skip
        return tuple(found)

    def _find_leader(self, now: float, wanted: str) -> None:
        leader = self._tenure.leader()
        silent = leader is not None and self._is_silent(leader)
        if leader != self.leader:
            self.leader = leader
            self._wake()
        if not self._stands or now < self._not_before:
            return
        if wanted not in ("", self.terms.node):
            return
        if leader is None or leader.node == self.terms.node or silent:
            self._silent = 0
            if silent and leader is not None:
                log.warning("leader_silent", leader=leader.node)
                self._tenure.depose(leader)
            won = self._tenure.try_win()
            if won:
                self._tenure.start()
                self.won = True
                self._wake()

    def _is_silent(self, leader: Leader) -> bool:
        """Return whether the leader has said nothing in many rounds in which etcd answered.

        A leader that is there after all loses its lease and nothing else: the next epoch keeps it
        from committing anything, and it starts again as a follower.
        """
        every = {one.node: one.progress for one in self.members}
        heard = every.get(leader.node)
        if heard != self._heard or leader != self.leader:
            self._heard, self._silent = heard, 0
        else:
            self._silent += 1
        return self._silent >= self._silent_rounds

    def _trim(self) -> None:
        """Delete from etcd what all members have on disk; beyond the bound, what most have."""
        # What a member that is away has is not known: nothing is taken for it.
        flushed = sorted(
            0 if one.progress is None else one.progress.flushed for one in self.members
        )
        self.size = self._log.size()
        excess = self.size.records > self.terms.records_max
        self._log.forget(flushed[(len(flushed) - 1) // 2 if excess else 0])
