"""What every simulated client is: a connection that comes and goes, and requests on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from engine import wire
from engine.client.protocol import ClientCore, EngineError, Outcome
from engine.wire import Transaction
from tests.prove.simulation.engine import SimEngine
from tests.prove.simulation.transport import ClientEnd
from tests.prove.simulation.world import World

RECONNECT_US_MAX: Final = 200_000
TIMEOUT_US: Final = 3_000_000


class Handle:
    """A future that calls."""

    def __init__(self, call: Callable[[Any], None]) -> None:
        self._call = call
        self._done = False

    def done(self) -> bool:
        return self._done

    def give(self, value: Any) -> None:
        """Settle it with an outcome, an answer or an exception."""
        if not self._done:
            self._done = True
            self._call(value)

    set_result = give
    set_exception = give


class Actor:
    """A client that reconnects for as long as the world lasts.

    Subclasses act in ``connected``, on answers, and in ``idle``; while ``healing`` nothing
    new is begun and what is under way is brought to its end.
    """

    def __init__(self, world: World, engine: SimEngine, name: str) -> None:
        self.world = world
        self.engine = engine
        self.name = name
        self.end: ClientEnd | None = None
        self.core: ClientCore[Handle] = ClientCore(name)
        self.welcomed = False
        self.healing = False
        self.connections = 0
        world.after(world.delay_us(RECONNECT_US_MAX), self.connect)

    # What a subclass says.

    def connected(self) -> None:
        """The engine has said Welcome."""

    def lost(self) -> None:
        """The connection has ended."""

    def published(self, transaction: Transaction) -> None:
        """A transaction of the subscription."""

    @property
    def busy(self) -> bool:
        """Whether something is still to come."""
        return False

    # What it does.

    def connect(self) -> None:
        """Connect, or try again a little later."""
        end = self.engine.connect()
        if end is None:
            self.world.after(1_000 + self.world.delay_us(RECONNECT_US_MAX), self.connect)
            return
        self.end, self.core, self.welcomed = end, ClientCore(self.name), False
        self.connections += 1
        end.on_data = lambda data: self._data(end, data)
        end.on_end = lambda: self._ended(end)
        end.send(self.core.hello())

    def disconnect(self) -> None:
        """End the connection from this side, whatever is under way."""
        end = self.end
        if end is not None and end.open:
            end.close()
            self._ended(end)

    def request(self, register: Callable[[Handle], tuple[int, bytes]], handle: Handle) -> None:
        """Send a request; when no answer comes in time the connection is given up."""
        end = self.end
        assert end is not None
        _, data = register(handle)
        end.send(data)
        self.world.after(TIMEOUT_US, lambda: self._late(end, handle))

    def ask(self, query: str, arguments: dict[str, Any], min_seq: int, handle: Handle) -> None:
        """Ask a query."""
        self.request(lambda h: self.core.ask(query, arguments, min_seq, h), handle)

    def _late(self, end: ClientEnd, handle: Handle) -> None:
        if end is self.end and end.open and not handle.done():
            self.disconnect()

    def _data(self, end: ClientEnd, data: bytes) -> None:
        if end is not self.end:
            return
        try:
            received = self.core.feed(data)
        except wire.WireError as error:
            self.world.found(f"{self.name}: the engine's bytes make no sense: {error}")
            self.disconnect()
            return
        if received.welcome is not None:
            self.welcomed = True
            self.connected()
        for handle, value in received.completed:
            handle.give(value)
        for transaction in received.transactions:
            self.durable(transaction)
            self.published(transaction)
        if received.dropped is not None:
            self.dropped(received.dropped.seq)

    def dropped(self, seq: int) -> None:
        """The engine has ended a slow connection."""

    def _ended(self, end: ClientEnd) -> None:
        if end is not self.end:
            return
        self.end, self.welcomed = None, False
        waiting = self.core.lose()
        self.lost()
        for handle, _ in waiting:
            handle.give(EngineError("lost"))
        self.world.after(1_000 + self.world.delay_us(RECONNECT_US_MAX), self.connect)

    def durable(self, transaction: Transaction) -> None:
        """Whatever the engine tells of must be on the disk, as it was told."""
        bodies = self.engine.disk.bodies
        seq = transaction.seq
        if seq > len(bodies):
            self.world.found(f"{self.name} was told of seq {seq}, which is not durable")
        elif wire.encode_transaction(*transaction) != bodies[seq - 1]:
            self.world.found(f"{self.name} was told of another seq {seq} than is stored")

    def outcome(self, value: Any) -> Transaction | None:
        """The transaction of a Result, checked; None for anything else."""
        if isinstance(value, Outcome):
            self.durable(value.transaction)
            return value.transaction
        return None
