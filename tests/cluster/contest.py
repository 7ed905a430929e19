"""Two or three members reach for one log in a simulated etcd; what holds whatever happens.

Each wins the tenure, reads what it has missed, takes the log, appends, and is paused, killed or
deposed. Half of them are reckless: they go on when their lease has ended. ``Truth`` sees what etcd
commits, in order, and what each leader was told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from engine.cluster.etcd import EtcdError, EtcdUnavailable
from engine.cluster.log import Deposed, EtcdLog, Head, HeadMoved, LogError, LogGap
from engine.cluster.tenure import Tenure
from engine.journal.base import Record
from tests.prove.simulation.world import World
from tests.support.contender import chain
from tests.support.etcd_model import Killed, ModelEtcd, Server, Task, Weather

PREFIX: Final = "/tandem/contest/"
HEAD: Final = f"{PREFIX}head".encode()
LOG: Final = f"{PREFIX}log/".encode()
TTL_S: Final = 1
LEADING_MAX: Final = 30

MakeLog = Callable[[ModelEtcd, str, str], EtcdLog]


class Truth:
    """What etcd has committed, and what was acknowledged."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.bodies: list[bytes] = []
        self.epochs: list[int] = []
        self.head = Head(0, 0, 0)
        self._acknowledged: set[int] = set()
        self._last: dict[int, int] = {}
        self._leaders: dict[int, object] = {}

    def changed(self, puts: dict[bytes, bytes]) -> None:
        """Etcd has committed a transaction."""
        if HEAD not in puts:
            return
        new, old = Head.decode(puts[HEAD]), self.head
        batches = [(key, value) for key, value in puts.items() if key.startswith(LOG)]
        if not batches:
            if new != (0, 0, 0, 0) and (new.epoch, *new[1:3]) != (old.epoch + 1, *old[1:3]):
                self._world.found(f"{old} was taken as {new}")
        for key, value in batches:
            _, deflated, crc, content = msgspec.msgpack.decode(value)
            bodies = msgspec.msgpack.decode(content)
            if deflated or int(key[len(LOG) :]) != len(self.bodies) + 1 or crc != old.crc:
                self._world.found(f"{key!r} does not continue {old}")
            self.bodies += bodies
            self.epochs += [new.epoch] * len(bodies)
            if new != (old.epoch, len(self.bodies), chain(crc, bodies), old.tenure):
                self._world.found(f"{new} came after {old}")
        self.head = new

    def lead(self, head: Head, process: object) -> None:
        """A process was told that it leads in the epoch of ``head``."""
        if self._leaders.setdefault(head.epoch, process) is not process:
            self._world.found(f"two lead in epoch {head.epoch}")

    def acknowledge(self, head: Head, bodies: Sequence[bytes]) -> None:
        """A leader was told that its batch, behind ``head``, is durable."""
        for seq, body in enumerate(bodies, head.seq + 1):
            there = self.bodies[seq - 1] if seq <= len(self.bodies) else None
            if there != body or self.epochs[seq - 1] != head.epoch:
                self._world.found(f"{body!r} was acknowledged as {seq}, where {there!r} is")
            if seq in self._acknowledged:
                self._world.found(f"{seq} was acknowledged twice")
            if self._last.get(head.epoch, 0) >= seq:
                self._world.found(f"{seq} was acknowledged after a later one")
            self._acknowledged.add(seq)
            self._last[head.epoch] = seq

    def finish(self) -> None:
        """Nothing is there twice, and epochs only rise."""
        twice = [body for body, count in Counter(self.bodies).items() if count > 1]
        if twice:
            self._world.found(f"in the log twice: {twice}")
        if self.epochs != sorted(self.epochs):
            self._world.found("epochs do not rise")


class Competitor:
    """A node with its journal, which outlives its processes."""

    def __init__(self, node: str, contest: Contest) -> None:
        self.node = node
        self.journal: list[bytes] = []
        self._contest = contest
        self._world = contest.world
        self._reckless = contest.world.chance(0.5)
        self._made = 0

    def live(self, task: Task) -> None:
        """Start again and again."""
        counts = self._contest.counts
        while True:
            try:
                self._process(task)
            except Killed:
                counts["killed"] += 1
            except Deposed:
                counts["deposed"] += 1
            except EtcdUnavailable as error:
                counts[error.outcome] += 1
            task.sleep(self._world.random.random())

    def _process(self, task: Task) -> None:
        etcd = ModelEtcd(self._contest.server, task)
        log = self._contest.make_log(etcd, PREFIX, self.node)
        tenure = Tenure(etcd, PREFIX, self.node, f"{self.node}:1", TTL_S)
        while not tenure.try_win():
            task.sleep(self._world.random.random())
        head = self._take(log, tenure)
        self._contest.truth.lead(head, log)
        self._contest.counts["taken"] += 1
        for _ in range(self._world.random.randrange(1, LEADING_MAX)):
            head = self._append(etcd, log, tenure, head)
            if self._world.chance(0.5) and not tenure.renew() and not self._reckless:
                return
            if self._world.chance(0.1):
                self._forget(log)
            if self._world.chance(0.1):
                task.sleep(self._world.delay_us(5_000_000) / 1e6)
        if self._world.chance(0.5):
            tenure.resign()

    def _take(self, log: EtcdLog, tenure: Tenure) -> Head:
        """Read what is missing until it is all, as a promotion does."""
        while True:
            head = log.head()
            assert head is not None
            self._catch_up(log)
            if len(self.journal) != head.seq:
                continue
            try:
                return log.take(head, tenure)
            except HeadMoved:
                self._contest.counts["moved"] += 1

    def _catch_up(self, log: EtcdLog) -> None:
        try:
            records = log.read(len(self.journal) + 1)
        except LogGap:
            self._contest.counts["gaps"] += 1
            self.journal = max((one.journal for one in self._contest.all), key=len).copy()
            return
        for seq, body in records:
            if seq != len(self.journal) + 1 or self._contest.truth.bodies[seq - 1] != body:
                self._world.found(f"{self.node} read {body!r} as {seq}")
            self.journal.append(body)

    def _append(self, etcd: ModelEtcd, log: EtcdLog, tenure: Tenure, head: Head) -> Head:
        bodies = []
        for _ in range(self._world.random.randrange(1, 4)):
            self._made += 1
            bodies.append(f"{self.node}{self._made}".encode())
        deadline = tenure.valid_until
        if self._reckless:
            deadline = etcd.clock() + 30 * self._world.random.random()
        crc = chain(head.crc, bodies)
        records = [Record(head.seq + n, body) for n, body in enumerate(bodies, 1)]
        log.append(records, crc, deadline)
        self._contest.truth.acknowledge(head, bodies)
        self._contest.counts["acknowledged"] += len(bodies)
        self.journal += bodies
        return head._replace(seq=head.seq + len(bodies), crc=crc)

    def _forget(self, log: EtcdLog) -> None:
        """What all have; or, beyond a bound, what two have."""
        ends = sorted(len(one.journal) for one in self._contest.all)
        log.forget(ends[0] if self._world.chance(0.8) else ends[-2])


class Contest:
    """All of it, from one seed."""

    def __init__(
        self, seed: int, make_log: MakeLog = EtcdLog, weather: Weather | None = None
    ) -> None:
        self.world = World(seed)
        self.make_log = make_log
        self.server = Server(self.world, weather or Weather())
        self.truth = Truth(self.world)
        self.server.changed = self.truth.changed
        self.server.late = lambda: self.counts.update(["late"])
        self.counts: Counter[str] = Counter()
        self.all: list[Competitor] = []

    def run(self, seconds: float) -> list[str]:
        """Return what is not as it must be."""
        nodes = "abc"[: self.world.random.randrange(2, 4)]
        self.all = [Competitor(node, self) for node in nodes]
        tasks = [Task(self.world, self._begin)]
        try:
            while self.world.seconds() < seconds and not self.world.findings:
                self.world.step()
                if len(tasks) == 1 and self.truth.head.tenure == 0 and self._created():
                    tasks += [Task(self.world, one.live) for one in self.all]
        except (LogError, EtcdError, AssertionError) as error:
            self.world.found(f"{type(error).__name__}: {error}")
        finally:
            for task in tasks:
                task.end()
        self.truth.finish()
        return self.world.findings

    def _begin(self, task: Task) -> None:
        """``tandem cluster init``, repeated until it is done."""
        etcd = ModelEtcd(self.server, task)
        log = EtcdLog(etcd, PREFIX, "init")
        while True:
            try:
                log.create(Head(0, 0, 0))
                return
            except HeadMoved:
                return
            except (EtcdError, Killed):
                task.sleep(0.1)

    def _created(self) -> bool:
        return HEAD in self.server.kvs
