"""One engine after the other over the simulated disk: start, turns, crashes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from engine.core.commands import Command
from engine.core.exchange import Exchange
from engine.journal.recovery import ReplayDiffers
from engine.server.ipc import Limits
from engine.server.sequencer import Sequencer
from engine.server.terms import Bounds, EngineStopped
from tests.prove.simulation.storage import Disk, Fault, SimJournal, SimSnapshots
from tests.prove.simulation.transport import ClientEnd, Crash, SimServer
from tests.prove.simulation.world import World

LIMITS: Final = Limits(clients_max=14, queue_bytes_max=40_000, frame_bytes_max=20_000, stall_s=2.0)
BOUNDS: Final = Bounds(batch_max=5, snapshot_every=60, min_seq_wait_ms_max=500)
BUSY_US_MAX: Final = 4_000
RESTART_US_MAX: Final = 300_000
CHILD_US_MAX: Final = 60_000


class SimQueryChild:
    """A child that makes answers in simulated time: a real one would end when it likes."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._frames: list[memoryview] = []
        self._ends_us = 0
        self.busy = False

    def start(self, makers: Sequence[Callable[[], bytes]]) -> None:
        self._frames = [memoryview(make()) for make in makers]
        self._ends_us = self._world.now_us + self._world.delay_us(CHILD_US_MAX)
        self.busy = True

    def poll(self) -> list[memoryview] | None:
        if self._world.now_us < self._ends_us:
            return None
        self.busy = False
        return self._frames

    def close(self) -> None:
        self.busy = False


class SimEngine:
    """The engine process as the world sees it. ``make`` builds the sequencer, for sabotage."""

    def __init__(
        self,
        world: World,
        disk: Disk,
        definitions: Sequence[Command],
        make: Callable[..., Sequencer] = Sequencer,
    ) -> None:
        self.world = world
        self.disk = disk
        self.running = False
        self.crashes = 0
        self.stopped: list[str] = []
        self.on_crash: Callable[[], None] = lambda: None
        self._definitions = definitions
        self._make = make
        self._life = 0
        self._planned = False
        self._idle = 0
        self._amid = False
        self.amid = 0
        """Crashes with work under way that a command had left over (rules M-10, C-10)."""
        self._skew_us = 0
        self._sends_until_crash = 0
        self._sockets: list[ClientEnd] = []
        self.start()

    @property
    def exchange(self) -> Exchange:
        """The state of the present life."""
        return self._exchange

    @property
    def unfinished(self) -> bool:
        """Whether the next Ticks have work to do that a command left over."""
        exchange = self._exchange
        return exchange.next_timer() == exchange.time_us

    def spare(self) -> None:
        """Forget every fault that was planned."""
        self.journal.fault = None
        self._sends_until_crash, self._amid = 0, False

    def start(self) -> None:
        """Recover and serve."""
        self._life += 1
        self._planned = self._amid = False
        self._sends_until_crash = 0
        self._skew_us = self.world.random.choice((0, 0, 0, -3_000_000, 5_000))
        self.journal = SimJournal(self.disk)
        try:
            self._exchange = self.disk.recover(self.world)
        except ReplayDiffers as error:
            self.world.found(f"the engine does not come back: {error}")
            return
        self.server = SimServer(LIMITS)
        self.sequencer = self._make(
            self._exchange,
            self.journal,
            self.server,
            SimSnapshots(self.world, self.disk),
            boot_id=f"boot{self._life}",
            bounds=BOUNDS,
            clock=lambda: self.world.now_us + self._skew_us,
            monotonic=self.world.seconds,
        )
        self.sequencer._desk._child = SimQueryChild(self.world)  # type: ignore[assignment]
        for command in self._definitions[self._exchange.seq :]:
            self.sequencer.submit(command)
        self._sockets = []
        self.running = True
        self.server.selector.wake = self._wake
        self._wake()

    def connect(self) -> ClientEnd | None:
        """A new connection, or None when nobody listens."""
        if not self.running:
            return None
        end = ClientEnd(self.world, self.server.selector)
        end.engine_socket.before_send = self._before_send
        self._sockets.append(end)
        self.server.listener.waiting.append(end.engine_socket)
        self.server.selector.touched(self.server.listener)
        return end

    def crash(self) -> None:
        """kill -9, now; it comes back after a while."""
        if not self.running:
            return
        self.running = False
        self.crashes += 1
        self.amid += self.unfinished
        for end in self._sockets:
            end.engine_socket.die(keep_sent=self.world.chance(0.7))
        self.on_crash()
        self.world.after(self.world.delay_us(RESTART_US_MAX), self.start)

    def plan_fault(self) -> None:
        """Let a seeded fault befall the engine soon."""
        world = self.world
        kind = world.random.randrange(8)
        if kind > 5:
            self._amid = True
        elif kind == 0:
            world.after(world.delay_us(50_000), self.crash)
        elif kind == 1:
            self._sends_until_crash = world.random.randint(1, 40)
        else:
            self.journal.fault = tuple(Fault)[kind - 2]
            self.journal.appends_until_fault = world.random.randint(0, 30)

    def _before_send(self) -> None:
        if self._sends_until_crash:
            self._sends_until_crash -= 1
            if self._sends_until_crash == 0:
                raise Crash

    def _wake(self) -> None:
        if self.running and not self._planned:
            self._planned = True
            life = self._life
            self.world.after(self.world.delay_us(BUSY_US_MAX), lambda: self._turn(life))

    def _turn(self, life: int) -> None:
        if life != self._life or not self.running:
            return
        self._planned = False
        try:
            self.sequencer.turn(0.0)
        except Crash:
            self.crash()
            return
        except EngineStopped as error:
            self.stopped.append(error.kind)
            if error.kind != "journal":
                self.world.found(f"the engine stopped: {error}")
            self.crash()
            return
        if self._amid and self.unfinished and self.world.chance(0.5):
            self.crash()
            return
        timeout_s = self.sequencer.timeout()
        if self.server.selector.anything or timeout_s == 0:
            self._wake()
            return
        self._idle += 1
        token = self._idle
        self.world.after(int(timeout_s * 1e6) + 1, lambda: self._wake_if_idle(life, token))

    def _wake_if_idle(self, life: int, token: int) -> None:
        if life == self._life and token == self._idle:
            self._wake()
