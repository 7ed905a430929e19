"""Commands on their way to the engine, kept until they are seen to be durable.

A command is sent when it comes, in order, and stays here until the subscription shows its
transaction. When the engine was away, everything that is still here is sent again before
anything new; the engine recognises by (session, epoch, MsgSeqNum) what it has done already.
So that an old order never goes live by surprise, creates and replaces that were kept carry a
time after which the engine refuses them.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, Protocol, TypeAlias

import structlog

from engine.client import EngineError, EngineUnavailable
from engine.core.commands import Batch, Command, NewOrder, ReplaceOrder
from engine.core.types import Origin
from fix_gateway.session.session import Session

log = structlog.get_logger()

POST_MAX: Final = 512
"""Commands in one call of the client."""
DIRECT_MAX: Final = 16
"""While so few are kept, a command is sent at once."""
PIECE: Final = 32
"""Beyond that commands are gathered until there are so many, or until others were done."""
UNDER_WAY_MAX: Final = 512
"""Room for so many and more is in the socket's buffer, so sending them does not wait."""
GATHERED_S_MAX: Final = 0.05
"""No command is gathered for longer, whatever happens to the others."""

Key: TypeAlias = tuple[str, int, int]
_AGEING: Final = (NewOrder, ReplaceOrder, Batch)


class Posts(Protocol):
    """What the outbox needs of the engine's client."""

    @property
    def connected(self) -> bool:
        """True while there is a live connection."""

    def post(self, commands: Iterable[Command], *, connect: bool) -> None:
        """Send commands without waiting for them; raises EngineUnavailable.

        With ``connect`` False it makes no connection.
        """


class Outbox:
    """Sends, keeps and repeats commands; any thread may call any method.

    While little is under way a command is sent by the thread that brings it. Beyond that
    commands are gathered, because each call that sends gives the interpreter lock away: they
    go in one piece when there are enough, or when the subscription has shown what was under
    way before, from the thread that notices. While the engine is away or slow, a thread of
    our own sends, so that those threads never wait for it. At most ``limit`` commands are
    kept. ``opened`` gives the commands that tell a new connection which sessions are there.
    """

    def __init__(
        self, limit: int, stale_after_us: int, opened: Callable[[], Iterable[Command]]
    ) -> None:
        self._limit = limit
        self._stale_after_us = stale_after_us
        self._opened = opened
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._seen = threading.Condition()
        self._waiters = 0
        self._kept: dict[Key, tuple[Command, int]] = {}
        self._unsent: deque[Command] = deque()
        self._sending = False
        self._asked_to_look = True
        """Whether the thread has to see if a connection is there and nothing waits for it."""
        self._client: Posts | None = None
        self.online = False
        """A connection is there, and what was kept has been sent on it."""

    def __len__(self) -> int:
        return len(self._kept)

    def start(self, client: Posts) -> None:
        """Begin to send to this client, once it is connected."""
        if self._client is not None:
            return
        self._client = client
        threading.Thread(target=self._run, name="fix-outbox", daemon=True).start()

    def wait_done(self, source: str, timeout_s: float) -> bool:
        """Wait until every command of this session is done; return False where one is not in time.

        Looks through all that is kept, once for each batch of transactions that comes meanwhile.
        """
        with self._seen:
            self._waiters += 1
            try:
                return self._seen.wait_for(lambda: not self._keeps(source), timeout_s)
            finally:
                self._waiters -= 1

    def _keeps(self, source: str) -> bool:
        """Return True if a command of this session is not done yet."""
        return any(key[0] == source for key in list(self._kept))

    def _tell_waiters(self) -> None:
        """Have those who wait for commands to be done look again."""
        if self._waiters:
            with self._seen:
                self._seen.notify_all()

    def submit(self, session: Session, command: Command, now_us: int) -> bool:
        """Take a command; return False when too many are kept already, and then do nothing."""
        origin = command.origin
        with self._lock:
            if len(self._kept) >= self._limit:
                return False
            key = (origin.source, origin.epoch, origin.num)
            self._kept[key] = (command, now_us)
            if origin.epoch == session.epoch and origin.num <= session.last_num_applied:
                # Done before this process began, and its transaction was seen since.
                del self._kept[key]
                self._tell_waiters()
                return True
            self._send(command)
        return True

    def send_unretained(self, command: Command) -> None:
        """Send a command that loses its meaning with the connection; it is not kept."""
        with self._lock:
            if self._client is not None and self._client.connected:
                self._send(command)

    def done(self, origin: Origin) -> None:
        """Keep the command of this origin no longer: its transaction was seen."""
        self._kept.pop((origin.source, origin.epoch, origin.num), None)

    def forget(self, source: str) -> None:
        """Keep the commands of a session no longer: another gateway holds it."""
        with self._lock:
            for key in [key for key in self._kept if key[0] == source]:
                del self._kept[key]
        self._tell_waiters()

    def connected(self) -> None:
        """Say on a new connection who is there, then repeat what was kept."""
        with self._lock:
            self._unsent.clear()
            self._unsent.extend(self._opened())
            for command, came_us in self._kept.values():
                self._unsent.append(_ageing(command, came_us + self._stale_after_us))
            log.info("engine_connected", repeated=len(self._kept))
            self._asked_to_look = True
            self._work.notify()

    def lost(self, error: EngineError) -> None:
        """Take in that the connection is gone; commands wait for the next one."""
        self.online = False
        log.warning("engine_lost", error=str(error), kept=len(self._kept))

    def flush(self) -> None:
        """Send what was gathered; called when ``done`` was told all transactions that came.

        Whoever gathers looks afterwards whether anything is still under way, so that this
        call is sure to come.
        """
        self._tell_waiters()
        if self._unsent:
            with self._lock:
                if self._unsent:
                    self._send_gathered()

    def _send(self, command: Command) -> None:
        """Send, or gather; the lock is held."""
        self._unsent.append(command)
        if len(self._kept) <= DIRECT_MAX or len(self._unsent) >= PIECE:
            self._send_gathered()

    def _send_gathered(self) -> None:
        """Send what was gathered from here, or leave it to the thread; the lock is held."""
        if self.online and not self._sending:
            if len(self._kept) - len(self._unsent) > UNDER_WAY_MAX:
                # Transactions of what is under way come, and ``flush`` with them. To wake the
                # thread for each command meanwhile takes longer than all else done with it.
                return
            self._post(self._take())
        if self._unsent:
            self._work.notify()

    def _take(self) -> list[Command]:
        """Return the next commands to send, in one piece; the lock is held."""
        return [self._unsent.popleft() for _ in range(min(POST_MAX, len(self._unsent)))]

    def _post(self, commands: list[Command]) -> None:
        """Send; what fails is sent again after the next ``connected``."""
        client = self._client
        if client is None or not client.connected:
            self.online = False
            return
        try:
            # A connection made here would call ``connected``, which takes the lock that the
            # caller holds; and whoever makes one meanwhile waits there for the same lock.
            client.post(commands, connect=False)
        except EngineUnavailable as error:
            self.online = False
            log.warning("engine_lost", error=str(error), kept=len(self._kept))

    def _run(self) -> None:
        """Send what was not sent at once, on a thread of our own."""
        while True:
            with self._lock:
                while not self._unsent:
                    if self._asked_to_look:
                        # Not each time that nothing was gathered: after a loss ``connected``
                        # has the say, which puts what was kept before anything new. What the
                        # wait returns does not tell: it may time out as it is notified.
                        self._asked_to_look = self._sending = False
                        if self._client is not None and self._client.connected:
                            self.online = True
                    self._work.wait(GATHERED_S_MAX)
                self._asked_to_look = self._sending = True
                commands = self._take()
            try:
                self._post(commands)
            except Exception:
                log.exception("outbox_failed")


def _ageing(command: Command, valid_until: int) -> Command:
    """Return a create or replace so that it is refused once too old; all else as it is."""
    if isinstance(command, _AGEING):
        return command._replace(origin=command.origin._replace(valid_until=valid_until))
    return command
