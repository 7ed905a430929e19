"""The client side of one connection to the leader, on a thread of its own.

Nothing but that thread touches the socket. Frames go in by ``send`` and come out by ``take``,
decoded, in order, between the ``Connected`` and the ``Lost`` of their connection. Every wait has a
deadline: a leader whose machine is gone, or whose engine hangs, is lost after ``silence_s``.
"""

from __future__ import annotations

import os
import selectors
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeAlias

import structlog

from engine import wire
from engine.cluster import forks
from engine.cluster.dial import Buffers, Carried, Dial, LinkLimits
from engine.server.tls import Contexts, TlsFiles, split_address

BACKOFF_FIRST_S: Final = 0.05
BACKOFF_MAX_S: Final = 0.5
LEAVE_S: Final = 0.2
"""Before the next connection to somebody who did not lead."""
STEADY_S: Final = 1.0
"""A connection that was up for this long is tried again at once when it is lost."""
JOIN_S: Final = 5.0

log = structlog.get_logger("engine.cluster.link")


class Connected(NamedTuple):
    """The leader at ``address`` has answered Hello; ``peer`` is the name in its certificate."""

    welcome: wire.Welcome
    address: str
    peer: str


class Lost(NamedTuple):
    """The connection has ended: what was asked on it is not answered any more."""

    reason: str
    address: str


Arrived: TypeAlias = Carried | Connected | Lost


class Link:
    """Follows the leader; ``follow``, ``send``, ``take`` and ``close`` belong to one thread.

    ``wake`` is called on the link's thread when there is something to take where there was
    nothing; it must return at once. Raises TlsError if the certificates cannot be used.
    """

    def __init__(
        self,
        tls: TlsFiles,
        name: str,
        wake: Callable[[], None],
        limits: LinkLimits | None = None,
    ) -> None:
        self._contexts = Contexts(tls, server_side=False)
        self._name = name
        self._wake = wake
        self._limits = limits or LinkLimits()
        self._lock = threading.Lock()
        # Under the lock.
        self._address: str | None = None
        self._closing = False
        self._leaving = False
        self._signalled = False
        self._inbox: list[Arrived] = []
        self._inbox_bytes = 0
        self._outbox: deque[bytes] = deque()
        self._outbox_bytes = 0
        self._overflowed = False
        self._connected = 0
        """How many connections were made."""
        self._up = False
        self._taken = 0
        """The connection whose Connected was taken last, 0 when its Lost was taken."""
        self._fault: BaseException | None = None
        # Of the thread.
        self._trouble = ""
        self._dial: Dial | None = None
        self._attempts = 0
        self._backoff_s = BACKOFF_FIRST_S
        self._not_before = 0.0
        self._buffers = Buffers()
        self._registered = 0
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="link", daemon=True)
        self._thread.start()

    def follow(self, address: str | None) -> None:
        """Connect to the leader at ``address``, and again after a loss; None: to nobody.

        A connection to another address ends. Raises ValueError if it is no host:port.
        """
        if address is not None:
            split_address(address)
        with self._lock:
            if address == self._address:
                return
            self._address = address
            self._signal()

    def leave(self) -> None:
        """End this connection, whose other side does not lead, and try again after a pause.

        Whoever it was may lead by then, and would not say so on this connection.
        """
        with self._lock:
            self._leaving = True
            self._signal()

    def send(self, data: bytes) -> bool:
        """Queue whole frames for the connection whose Connected was taken last.

        Returns False, and queues nothing, when that connection is not up any more. A leader that
        leaves too much unread is lost.
        """
        with self._lock:
            if not self._up or self._taken != self._connected or self._overflowed:
                return False
            if self._outbox_bytes + len(data) > self._limits.outbox_bytes_max:
                self._overflowed = True
            else:
                self._outbox.append(data)
                self._outbox_bytes += len(data)
            self._signal()
            return not self._overflowed

    def take(self) -> list[Arrived]:
        """Return everything that has arrived since the last call, in order."""
        with self._lock:
            if self._fault is not None:
                raise RuntimeError("the thread of the link has failed") from self._fault
            arrived, self._inbox = self._inbox, []
            for item in reversed(arrived):
                if type(item) is Connected or type(item) is Lost:
                    self._taken = self._connected if type(item) is Connected else 0
                    break
            if self._inbox_bytes >= self._limits.inbox_bytes_max:
                self._signal()  # It has stopped to receive.
            self._inbox_bytes = 0
        return arrived

    @property
    def trouble(self) -> str:
        """Return why there is no connection, as one sentence; "" while there is one."""
        return self._trouble

    def close(self) -> None:
        """End the connection and the thread; the link cannot be used again."""
        with self._lock:
            self._closing = True
            self._signal()
        self._thread.join(JOIN_S)

    def _signal(self) -> None:
        """Have the thread look at what has changed; the lock is held."""
        if not self._signalled and self._wake_write >= 0:
            self._signalled = True
            os.write(self._wake_write, b"w")

    # The thread.

    def _run(self) -> None:
        try:
            self._loop()
        except BaseException as error:
            with self._lock:
                self._fault = error
            self._wake()
            raise
        finally:
            if self._dial is not None:
                self._dial.close()
            self._selector.close()
            with self._lock:
                self._up = False
                os.close(self._wake_read)
                os.close(self._wake_write)
                self._wake_write = -1

    def _loop(self) -> None:
        address: str | None = None
        while True:
            with self._lock:
                wanted, closing = self._address, self._closing
                leaving, self._leaving = self._leaving, False
            if closing or wanted != address:
                self._end("it is not followed any more")
                address, self._not_before, self._backoff_s = wanted, 0.0, BACKOFF_FIRST_S
            if closing:
                return
            now = time.monotonic()
            if leaving and self._dial is not None:
                self._not_before = now + LEAVE_S
                self._end(f"{self._dial.address} does not lead")
            if self._dial is None and address is not None and now >= self._not_before:
                self._attempts += 1
                self._dial = Dial(
                    address, self._attempts, self._contexts, self._name, self._limits,
                    self._buffers, now,
                )  # fmt: skip
            events = self._wait(address, now)
            if self._dial is not None:
                with forks.LOCK:
                    self._serve(self._dial, events)

    def _wait(self, address: str | None, now: float) -> int:
        """Wait for the socket, the owner or a deadline; return the events of the socket."""
        dial = self._dial
        until: float | None = None
        if dial is not None:
            until = now if dial.ended is not None else dial.deadline()
            self._register(dial.fileno(), 0 if dial.ended is not None else dial.events())
        elif address is not None:
            until = self._not_before
        found = 0
        for key, events in self._selector.select(None if until is None else max(0.0, until - now)):
            if key.fd == self._wake_read:
                with self._lock:
                    os.read(self._wake_read, 4096)
                    self._signalled = False
            else:
                found = events
        return found

    def _register(self, descriptor: int, events: int) -> None:
        if events == self._registered:
            return
        if not self._registered:
            self._selector.register(descriptor, events)
        elif events:
            self._selector.modify(descriptor, events)
        else:
            self._selector.unregister(descriptor)
        self._registered = events

    def _serve(self, dial: Dial, events: int) -> None:
        """Give the connection what is to be sent, and the owner what has arrived."""
        now = time.monotonic()
        with self._lock:
            while self._outbox:
                dial.queue(self._outbox.popleft())
            # What is not a whole frame yet cannot be taken: it must not hold up its own rest.
            full = self._inbox_bytes >= self._limits.inbox_bytes_max
            dial.pause(full and bool(self._inbox), now)
            overflowed = self._overflowed
        was_up = dial.welcome is not None
        frames = dial.advance(events, now) if dial.ended is None else []
        if dial.welcome is not None and not was_up:
            log.info("leader_connected", address=dial.address, peer=dial.peer)
            self._trouble = ""
            self._deliver([Connected(dial.welcome, dial.address, dial.peer), *frames], dial, True)
        else:
            self._deliver(frames, dial, was_up)
        if overflowed and dial.ended is None:
            dial.ended = f"{dial.address} leaves too much unread"
        if dial.ended is not None:
            if dial.up_since and now - dial.up_since >= STEADY_S:
                self._backoff_s = BACKOFF_FIRST_S
            self._not_before = now + self._backoff_s
            self._backoff_s = min(2 * self._backoff_s, BACKOFF_MAX_S)
            self._end(dial.ended)

    def _deliver(self, arrived: Sequence[Arrived], dial: Dial, up: bool) -> None:
        with self._lock:
            self._outbox_bytes = dial.unsent_bytes + sum(map(len, self._outbox))
            if up and not self._up:
                self._connected += 1
                self._up = True
            wake = bool(arrived) and not self._inbox
            self._inbox += arrived
            self._inbox_bytes += dial.arrived_bytes
        if wake:
            self._wake()

    def _end(self, reason: str) -> None:
        """Close the connection, if there is one, and tell the owner that it is lost."""
        dial = self._dial
        if dial is None:
            return
        self._register(dial.fileno(), 0)
        dial.close()
        self._dial = None
        if reason != self._trouble:
            log.warning("no_leader", address=dial.address, reason=reason)
            self._trouble = reason
        with self._lock:
            self._outbox.clear()
            self._outbox_bytes = 0
            self._overflowed = False
            lost, self._up = self._up, False
            wake = lost and not self._inbox
            if lost:
                self._inbox.append(Lost(reason, dial.address))
        if wake:
            self._wake()
