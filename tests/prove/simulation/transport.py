"""Simulated Unix sockets below the real server: delays, small buffers, lost connections.

A selector and sockets with the methods that ``engine.server.ipc.Server`` uses take the place of the
kernel's; everything above them (framing, queues, partial sends, drops) is the server's own.
"""

from __future__ import annotations

import selectors
import tempfile
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from engine.server.ipc import Limits, Server
from tests.prove.simulation.world import World

DELAY_US_MAX: Final = 20_000
BUFFERS: Final = (300, 2_000, 30_000, 1 << 20)


class Crash(BaseException):
    """The simulated process ends here, as by kill -9. No handler of ours catches it."""


class Pipe:
    """One direction of a connection: bytes on their way, and bytes that have arrived."""

    def __init__(self, world: World, capacity: int) -> None:
        self.world = world
        self.capacity = capacity
        self.arrived = bytearray()
        self.ended = False
        self.underway = 0
        self.notify: Callable[[], None] = lambda: None
        self.drained: Callable[[], None] = lambda: None
        self._arrives_us = 0
        self._cut = False

    @property
    def room(self) -> int:
        """Bytes that may be sent at this moment."""
        return self.capacity - self.underway - len(self.arrived)

    def send(self, data: bytes) -> int:
        """Take some bytes; 0 when the buffer is full."""
        size = min(len(data), self.room)
        if size <= 0:
            return 0
        if size > 1 and self.world.chance(0.1):
            size = self.world.random.randint(1, size)
        piece = bytes(data[:size])
        self.underway += size
        self._later(lambda: self._arrive(piece))
        return size

    def end(self) -> None:
        """No more comes; the receiver learns it behind what is under way."""
        self._later(self._end)

    def cut(self) -> None:
        """What is under way is lost."""
        self._cut = True
        self._end()

    def take(self, size: int) -> bytes:
        """Receive what has arrived."""
        data = bytes(self.arrived[:size])
        del self.arrived[:size]
        self.drained()
        return data

    def _later(self, call: Callable[[], None]) -> None:
        world = self.world
        self._arrives_us = max(self._arrives_us, world.now_us + world.delay_us(DELAY_US_MAX))
        world.after(self._arrives_us - world.now_us, call)

    def _arrive(self, piece: bytes) -> None:
        self.underway -= len(piece)
        if not self._cut:
            self.arrived += piece
            self.notify()

    def _end(self) -> None:
        self.ended = True
        self.notify()


class EngineSocket:
    """The engine's end of a connection, with the methods of a non-blocking socket."""

    def __init__(self, selector: SimSelector, receives: Pipe, sends: Pipe) -> None:
        self._selector = selector
        self._receives = receives
        self._sends = sends
        self.closed = False
        self.before_send: Callable[[], None] = lambda: None
        receives.notify = lambda: selector.touched(self)
        sends.drained = lambda: selector.touched(self)

    @property
    def readable(self) -> bool:
        return bool(self._receives.arrived) or self._receives.ended

    @property
    def writable(self) -> bool:
        return self._sends.room > 0 or self._sends.ended

    def recv(self, size: int) -> bytes:
        if not self._receives.arrived:
            if self._receives.ended:
                return b""
            raise BlockingIOError
        return self._receives.take(size)

    def recv_into(self, buffer: bytearray | memoryview) -> int:
        data = self.recv(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def send(self, data: bytes) -> int:
        self.before_send()
        if self._sends.ended:
            raise BrokenPipeError
        sent = self._sends.send(data)
        if not sent:
            raise BlockingIOError
        return sent

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._sends.end()
            self._receives.ended = True

    def die(self, keep_sent: bool) -> None:
        """The process that owned it is gone; what it had sent arrives, or not."""
        self.closed = True
        self._receives.ended = True
        if keep_sent:
            self._sends.end()
        else:
            self._sends.cut()

    def setblocking(self, flag: bool) -> None:
        """It never blocks."""

    def setsockopt(self, *option: Any) -> None:
        """Its buffer is what the world gave it."""


class Key(NamedTuple):
    """As ``selectors.SelectorKey``, as far as the server looks."""

    fileobj: Any
    data: Any


class SimSelector:
    """Tells which registered sockets are ready, the one that became so first first."""

    def __init__(self) -> None:
        self._registered: dict[Any, tuple[int, Any]] = {}
        self._order: dict[Any, None] = {}
        self.wake: Callable[[], None] = lambda: None

    def register(self, fileobj: Any, events: int, data: Any = None) -> None:
        self._registered[fileobj] = (events, data)
        self.touched(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> None:
        if fileobj not in self._registered:
            raise KeyError(fileobj)
        self.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> None:
        del self._registered[fileobj]
        self._order.pop(fileobj, None)

    def close(self) -> None:
        self._registered.clear()

    def touched(self, fileobj: Any) -> None:
        """Something happened to it."""
        if fileobj in self._registered and self._events(fileobj):
            self._order.setdefault(fileobj)
            self.wake()

    def select(self, timeout_s: float) -> list[tuple[Key, int]]:
        """What is ready now; the simulated engine's waiting is done by the world."""
        found = []
        for fileobj in list(self._order):
            events = self._events(fileobj)
            del self._order[fileobj]
            if events:
                found.append((Key(fileobj, self._registered[fileobj][1]), events))
                self._order[fileobj] = None
        return found

    @property
    def anything(self) -> bool:
        """Whether ``select`` would find something."""
        return any(self._events(fileobj) for fileobj in self._order)

    def _events(self, fileobj: Any) -> int:
        wanted = self._registered[fileobj][0]
        ready = selectors.EVENT_READ if wanted & selectors.EVENT_READ and fileobj.readable else 0
        if wanted & selectors.EVENT_WRITE and fileobj.writable:
            ready |= selectors.EVENT_WRITE
        return ready


class SimListener:
    """Connections that wait to be accepted."""

    writable = False

    def __init__(self, selector: SimSelector) -> None:
        self.waiting: deque[EngineSocket] = deque()
        self._selector = selector

    @property
    def readable(self) -> bool:
        return bool(self.waiting)

    def accept(self) -> tuple[EngineSocket, str]:
        if not self.waiting:
            raise BlockingIOError
        return self.waiting.popleft(), ""

    def close(self) -> None:
        self.waiting.clear()


class SimServer(Server):
    """The real server on simulated sockets."""

    def __init__(self, limits: Limits) -> None:
        with tempfile.TemporaryDirectory(prefix="tandem-sim-") as folder:
            super().__init__(Path(folder) / "engine.sock", limits)
            super().close()
        self._wake_read = self._wake_write = -1
        self.selector = SimSelector()
        self._selector = self.selector  # type: ignore[assignment]
        self.listener = SimListener(self.selector)
        self._listener = self.listener  # type: ignore[assignment]
        self.selector.register(self.listener, selectors.EVENT_READ, None)

    def wake(self) -> None:
        self.selector.wake()


class ClientEnd:
    """A client's end: takes everything that it is given, hands on what arrives."""

    def __init__(self, world: World, selector: SimSelector) -> None:
        capacity = world.random.choice(BUFFERS)
        self._world = world
        self._up, self._down = Pipe(world, 1 << 20), Pipe(world, capacity)
        self.engine_socket = EngineSocket(selector, self._up, self._down)
        self._waiting = bytearray()
        self._reading = True
        self.open = True
        self.on_data: Callable[[bytes], None] = lambda data: None
        self.on_end: Callable[[], None] = lambda: None
        self._down.notify = self._arrived
        self._up.drained = self._drained

    def send(self, data: bytes) -> None:
        """Send; what the buffer does not take now waits."""
        self._waiting += data
        self._flush()

    def close(self) -> None:
        """End it from this side."""
        if self.open:
            self.open = False
            self._up.end()
            self._down.ended = True

    def pause(self, duration_us: int) -> None:
        """Read nothing for some time."""
        self._reading = False
        self._world.after(duration_us, self._resume)

    def _resume(self) -> None:
        self._reading = True
        self._arrived()

    def _drained(self) -> None:
        self.engine_socket._selector.touched(self.engine_socket)
        self._flush()

    def _flush(self) -> None:
        while self._waiting and self.open:
            sent = self._up.send(bytes(self._waiting))
            if not sent:
                return
            del self._waiting[:sent]

    def _arrived(self) -> None:
        if not (self._reading and self.open):
            return
        if self._down.arrived:
            data = self._down.take(1 << 18)
            self.engine_socket._selector.touched(self.engine_socket)
            self.on_data(data)
        elif self._down.ended:
            self.open = False
            self._up.end()
            self.on_end()
            return
        if self.open and (self._down.arrived or self._down.ended):
            self._world.after(0, self._arrived)
