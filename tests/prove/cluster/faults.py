"""Faults of machines, one after the other and at once, as many as leave a majority."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from engine.core.types import ClusterStatus
from tests.prove.cluster.machine import STRACE, Machine
from tests.prove.cluster.network import WAYS, Namespaces
from tests.prove.crash.told import Told
from tests.support import pace

HEALTHY_S: Final = 60.0
"""How long a machine may take, once it is let, until it has all that there is, or more."""
CATCH_UP_S: Final = 600.0
"""How long it may take in all, as an empty one does after a long run."""
ORDERS: Final = 3
"""So many orders are to be acknowledged after a fault, before it is over."""
COMPANION: Final = 0.3
"""Share of faults during which something is killed on another machine too."""
LEADER: Final = 0.8
"""Share of faults of the machine whose engine leads."""
FROZEN_S: Final = 10.0
QUIET_S: Final = 0.5
"""An order that was sent so long after etcd refused is sent to an engine that knows it."""
CLOCK_S_MAX: Final = 10_000.0
NEEDS_NAMESPACES: Final = frozenset((*WAYS, "disk full", "etcd disk full"))
NEEDS_STRACE: Final = frozenset(("disk failing", "etcd disk failing"))
KINDS: Final = (
    "machine killed", "cable", "machine frozen", "deaf", "engine killed", "mute", "torn tail",
    "engine frozen", "etcd killed", "machine replaced", "disk full", "disk failing", "clock set",
    "etcd disk full", "etcd disk failing", "etcd out of space", "all restarted",
)  # fmt: skip


class Loss(NamedTuple):
    """When the leader was lost (monotonic), and how."""

    at: float
    what: str


@dataclass(slots=True)
class Done:
    """What was done to the machines."""

    faults: Counter[str] = field(default_factory=Counter)
    losses: list[Loss] = field(default_factory=list)


class Faults:
    """Does harm to one machine at a time, and at times to a process of another.

    Before each fault every machine is whole: has a member of etcd and an engine that has what the
    leader has. ``acknowledged(since)`` counts orders that were sent and acknowledged since then.
    """

    def __init__(
        self, machines: dict[str, Machine], told: Told, seed: int, kinds: Sequence[str],
        acknowledged: Callable[[float], int], hold_s_max: float = 60.0,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:  # fmt: skip
        self.done = Done()
        self._machines = machines
        self._told = told
        self._random = random.Random(f"faults {seed}")
        self._acknowledged = acknowledged
        self._hold_s_max = hold_s_max
        self._say = say
        self._turns: dict[str, Callable[[Machine], None]] = {
            "machine killed": self._machine_killed,
            "cable": self._cut,
            "deaf": self._cut,
            "mute": self._cut,
            "machine frozen": self._machine_frozen,
            "engine frozen": self._engine_frozen,
            "engine killed": self._engine_killed,
            "etcd killed": self._etcd_killed,
            "torn tail": self._torn,
            "machine replaced": self._replaced,
            "disk full": self._disk_full,
            "disk failing": self._disk_failing,
            "etcd disk full": self._disk_full,
            "etcd disk failing": self._etcd_disk_failing,
            "etcd out of space": self._out_of_space,
            "clock set": self._clock_set,
            "all restarted": self._all_restarted,
        }
        plan = next(iter(machines.values())).plan
        alone = isinstance(plan.network, Namespaces)
        without = frozenset[str]() if alone else NEEDS_NAMESPACES
        without |= frozenset[str]() if STRACE else NEEDS_STRACE
        without |= frozenset[str]() if plan.clocks else frozenset(("clock set",))
        self.kinds = [kind for kind in kinds if kind not in without]
        self._kind = ""
        self._leads = False
        self._queue: list[str] = []

    @property
    def lost(self) -> int:
        """How often the leader was lost."""
        return len(self.done.losses)

    def run(self, losses: int) -> None:
        """Do harm until the leader was lost so often, or something was found."""
        while self.lost < losses and not self._told.findings:
            if not self._queue:
                self._queue = list(self.kinds)
                self._random.shuffle(self._queue)
            self.one(self._queue.pop())
            self._say(f"{self.lost} of {losses} losses of the leader")
        self.await_whole()

    def one(self, kind: str) -> None:
        """Do one fault, and wait until it is over and orders are acknowledged again."""
        leader = self.await_whole()
        if leader is None:
            return
        names = sorted(self._machines)
        chosen = leader.name
        if self._random.random() > LEADER:
            chosen = self._random.choice([name for name in names if name != leader.name])
        machine = self._machines[chosen]
        self._kind, self._leads = kind, chosen == leader.name
        self.done.faults[kind] += 1
        companion = None
        if self._random.random() < COMPANION and kind != "all restarted":
            other = self._random.choice([name for name in names if name != chosen])
            companion = threading.Timer(
                self._random.random(), self._machines[other].kill_engine
            )
            self.done.faults["engine of another killed meanwhile"] += 1
            companion.start()
        self._turns[kind](machine)
        if companion is not None:
            companion.join()

    # What is waited for.

    def await_whole(self) -> Machine | None:
        """Wait until every machine has what the leader has; return that which leads."""
        began = since = time.monotonic()
        seqs: list[int] = []
        limit_s = pace.seconds(HEALTHY_S)
        while not self._told.findings:
            leader = self._whole()
            if leader is not None:
                return leader
            now = [machine.seq() for machine in self._machines.values()]
            if seqs and min(now) > min(seqs) and since - began < pace.seconds(CATCH_UP_S):
                since = time.monotonic()  # Who lacks most catches up.
            seqs = now
            if time.monotonic() - since > limit_s:
                self._told.found(f"after {self._kind} not all is well: {self._standing()}")
            self._told.pause(0.1)
        return None

    def _whole(self) -> Machine | None:
        found: dict[str, ClusterStatus] = {}
        for name, machine in self._machines.items():
            status = machine.status()
            if status is None or status.trouble:
                return None
            found[name] = status
        leading = [name for name, status in found.items() if status.role == "leader"]
        if len(leading) != 1 or any(one.leader != leading[0] for one in found.values()):
            return None
        leader = self._machines[leading[0]]
        last = leader.seq()
        if any(machine.seq() < last for machine in self._machines.values()):
            return None
        return leader if all(one.has_etcd() for one in self._machines.values()) else None

    def _standing(self) -> str:
        """What each machine says, for whoever has to find out why it is not whole."""
        rows = []
        for name, machine in self._machines.items():
            logs = "\n".join(
                f"--- {name} {log}: {machine.log_of(log)}" for log in ("up", "engine", "etcd")
            )
            rows.append(f"{name}: seq {machine.seq()}, {machine.status()}\n{logs}")
        return "\n".join(rows)

    def _await_orders(self, since: float) -> None:
        """Wait until orders that were sent after the fault are acknowledged."""
        self._told.wait_for(
            lambda: self._acknowledged(since) >= ORDERS, pace.seconds(HEALTHY_S)
        )
        if self._acknowledged(since) < ORDERS:
            self._told.found(f"after {self._kind} nobody acknowledges: {self._standing()}")

    def _hold(self, shortest_s: float, longest_s: float) -> None:
        """Let a fault last; mostly short, for the long ones are the same after a while."""
        longest_s = min(longest_s, self._hold_s_max)
        last_s = shortest_s + (longest_s - shortest_s) * self._random.random() ** 3
        self._told.pause(max(0.0, last_s))

    def _note(self) -> float:
        """Return the time of a fault; it is a loss of the leader if that is what it was done to."""
        now = time.monotonic()
        if self._leads:
            self.done.losses.append(Loss(now, self._kind))
        return now

    # Faults.

    def _machine_killed(self, machine: Machine) -> None:
        machine.kill()
        self._await_orders(self._note())
        self._hold(0.0, 20.0)
        machine.start()

    def _torn(self, machine: Machine) -> None:
        """A machine comes back without the last bytes that its journal had, or with others."""
        machine.kill()
        self._await_orders(self._note())
        logs = sorted((machine.data / "journal").glob("*-wal"))
        for log in logs[-1:]:
            size = log.stat().st_size
            lost = self._random.randint(1, max(1, min(size, 100_000)))
            with log.open("r+b") as file:
                if self._random.random() < 0.5:
                    file.truncate(size - lost)
                else:
                    file.seek(size - lost)
                    file.write(self._random.randbytes(min(lost, 64)))
        machine.start()

    def _replaced(self, machine: Machine) -> None:
        """A machine comes back with nothing but its configuration, as another would."""
        machine.kill()
        self._await_orders(self._note())
        others = [one for one in self._machines.values() if one is not machine]
        others[0].replace_member(machine)
        machine.empty()
        machine.start()

    def _cut(self, machine: Machine) -> None:
        network, way = machine.plan.network, self._kind
        assert isinstance(network, Namespaces)
        network.cut(machine.name, way)
        self._await_orders(self._note())
        self._hold(1.0, 60.0)
        network.mend(machine.name, way)

    def _machine_frozen(self, machine: Machine) -> None:
        self._frozen(machine, "")

    def _engine_frozen(self, machine: Machine) -> None:
        self._frozen(machine, "engine.main")

    def _frozen(self, machine: Machine, what: str) -> None:
        pids = machine.freeze(what)
        at = self._note()
        self._await_orders(at)
        self._told.pause(max(0.0, at + FROZEN_S - time.monotonic()))
        machine.thaw(pids)

    def _engine_killed(self, machine: Machine) -> None:
        machine.kill_engine()
        self._await_orders(self._note())

    def _etcd_killed(self, machine: Machine) -> None:
        """The engine of that machine has the two others; it may go on leading."""
        machine.kill_etcd()
        self._await_orders(time.monotonic())
        self._hold(0.0, 10.0)
        machine.start_etcd()

    def _disk_full(self, machine: Machine) -> None:
        disk = machine.etcd_disk if self._kind == "etcd disk full" else machine.data
        machine.fill(disk)
        at = time.monotonic()
        try:
            self._await_orders(at)
            self._hold(2.0, 10.0)
        finally:
            machine.make_room(disk)

    def _disk_failing(self, machine: Machine) -> None:
        with machine.failing_disk("engine.main"):
            self._await_orders(time.monotonic())
            self._hold(0.0, 5.0)

    def _etcd_disk_failing(self, machine: Machine) -> None:
        """Its etcd ends; the engine of that machine has the two others."""
        with machine.failing_disk("--listen-peer-urls"):
            self._await_orders(time.monotonic())
            self._hold(0.0, 5.0)

    def _out_of_space(self, machine: Machine) -> None:
        """Every member of etcd refuses to write, until an operator has made room."""
        machine.alarm(True)
        at = time.monotonic()
        self._hold(1.0, 10.0)
        if self._acknowledged(at + QUIET_S):
            self._told.found("orders are acknowledged while etcd takes none")
        machine.alarm(False)
        self._await_orders(time.monotonic())

    def _clock_set(self, machine: Machine) -> None:
        """A clock is set by seconds to hours, and back again; its engine may start meanwhile."""
        assert machine.clock is not None
        ahead_s = CLOCK_S_MAX ** self._random.random() * self._random.choice((-1, 1))
        self._say(f"the clock of {machine.name} goes by {ahead_s:+.1f} s")
        machine.clock.set(ahead_s)
        at = time.monotonic()
        if self._random.random() < 0.5:
            machine.kill_engine()
            at = self._note()
        self._await_orders(at)
        self._hold(1.0, 20.0)
        machine.clock.set(0.0)
        self._await_orders(time.monotonic())

    def _all_restarted(self, machine: Machine) -> None:
        for one in self._machines.values():
            one.kill()
        self._note()
        for one in self._machines.values():
            one.start()
        self._await_orders(time.monotonic())
