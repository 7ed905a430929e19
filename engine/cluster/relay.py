"""A follower's traffic with the leader: transactions in, its clients' commands out, results back.

A result is handed over when this member has applied its transaction, so that a client reads here
what it wrote. While there is no leader, commands wait, bounded in number and time. When the
connection to the leader is lost, every client with a command on it is disconnected: what became of
the command is unknown, as after a restart of the engine, and the client sends it again.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import msgspec
import structlog

from engine import queries, wire
from engine.cluster.dial import Fresh
from engine.cluster.link import Connected, Link, Lost
from engine.core.commands import COMMAND_KINDS, CloseSession, Command, OpenSession
from engine.core.types import ClusterStatus, Origin, Standing
from engine.journal.base import Journal, JournalError, Record
from engine.server.ipc import Connection, Item, Server
from engine.wire import Submit

RECORDS_PER_BATCH: Final = 256
HELD_MAX: Final = 10_000
"""Commands that wait for a leader; more are not taken."""
HELD_S: Final = 4.0
"""How long a command waits for a leader: longer than a change of leader takes, and less than the
5 s that clients wait, so that they are told that it was not done."""
NO_LEADER_TEXT: Final = "the venue has no leader at this moment; the command was not done"

AGE_MS_MAX: Final = 1_000_000_000

log = structlog.get_logger("engine.cluster")


class Diverged(JournalError):
    """This member's journal is not a part of the cluster's; it must not go on."""


class TooFarBehind(JournalError):
    """No member has the records any more that this one lacks."""


class _Held(NamedTuple):
    connection: Connection
    frame: Submit
    deadline: float


class _Sent(NamedTuple):
    connection: Connection
    number: int


class _Done(NamedTuple):
    seq: int
    connection: Connection
    frame: bytes


class Relay:
    """``Following`` over a ``Link``; used by the engine's thread alone. Times are monotonic."""

    def __init__(
        self, link: Link, server: Server, journal: Journal, monotonic: Callable[[], float]
    ) -> None:
        self._link = link
        self._server = server
        self._journal = journal
        self._monotonic = monotonic
        self._records: deque[Record] = deque()
        self._received = journal.last_seq
        self._ready = False
        self._crc_asked = 0
        self._subscribing = 0
        self._last_number = 0
        self._sent: dict[int, _Sent] = {}
        self._forwarded: dict[int, Connection] = {}
        """Clients that have sent a command on this connection to the leader."""
        self._held: deque[_Held] = deque()
        self._done: list[_Done] = []
        self._owners: dict[str, int] = {}
        self._goal = -1
        self._fresh = (0, -math.inf)
        self.fresh_at = -math.inf
        """What this member has applied is all that the cluster had at that time."""
        self.led_at = -math.inf
        """When the leader, to which there was a connection, was last known to lead."""
        self.status: Callable[[], ClusterStatus | None] = lambda: None
        """See ``Following``; the member sets both."""
        self.standing: Callable[[], Standing] = lambda: Standing(leads=False, age_ms=AGE_MS_MAX)

    @property
    def pending(self) -> bool:
        """See ``Following``."""
        return bool(self._records)

    @property
    def caught_up(self) -> bool:
        """Whether this member has what its leader had when they met."""
        return 0 <= self._goal <= self._journal.last_seq

    def forward(self, connection: Connection, frame: Submit, command: Command) -> None:
        """See ``Following``. Another member that takes this one for the leader is disconnected."""
        if connection.remote:
            self._server.end(connection)
            return
        kind = type(command)
        if kind is OpenSession:
            self._owners[command.origin.source] = connection.number
        elif kind is CloseSession:
            self._owners.pop(command.origin.source, None)
        if self._ready and not self._held and self._send(connection, frame):
            return
        if len(self._held) >= HELD_MAX:
            self._server.end(connection)
            return
        self._held.append(_Held(connection, frame, self._monotonic() + HELD_S))

    def gone(self, connection: Connection) -> None:
        """See ``Following``: its sessions are closed, at the leader."""
        self._forwarded.pop(connection.number, None)
        if any(held.connection is connection for held in self._held):
            self._held = deque(one for one in self._held if one.connection is not connection)
        for name in [name for name, owner in self._owners.items() if owner == connection.number]:
            del self._owners[name]
            close = CloseSession(Origin(name))
            frame = Submit(0, COMMAND_KINDS[CloseSession], wire.encode_command(close))
            # Without a connection the leader has closed them already, or a new one will.
            self._link.send(wire.encode_frame(frame))

    def arrived(self) -> Sequence[Record]:
        """See ``Following``. Raises Diverged or TooFarBehind."""
        for item in self._link.take():
            if isinstance(item, Connected):
                self._connected(item.welcome)
            elif isinstance(item, Lost):
                self._lost(item.reason)
            elif isinstance(item, Fresh):
                self._fresh = (item.seq, item.at)
                self.led_at = item.at
            else:
                self._take(item)
        records = self._records
        return [records.popleft() for _ in range(min(len(records), RECORDS_PER_BATCH))]

    def applied(self, seq: int, now: float) -> None:
        """See ``Following``."""
        if self._fresh[0] <= seq:
            self.fresh_at = self._fresh[1]
        if self._done:
            waiting = []
            for done in self._done:
                if done.seq > seq:
                    waiting.append(done)
                elif done.connection.open:
                    self._server.reply(done.connection, done.frame)
            self._done = waiting
        while self._held:
            held = self._held[0]
            if held.connection.open:
                if not (self._ready and self._send(held.connection, held.frame)):
                    if held.deadline > now:
                        return
                    self._give_up(held)
            self._held.popleft()

    def _give_up(self, held: _Held) -> None:
        """Tell a client that its command, which nobody has seen, is not done.

        One that asks for no result hears of it by the end of its connection, and sends it again.
        """
        log.warning("no_leader", client=held.connection.name, waited_s=HELD_S)
        if held.frame.id:
            failed = wire.Failed(held.frame.id, "no_leader", NO_LEADER_TEXT)
            self._server.send(held.connection, failed)
        else:
            self._server.end(held.connection)

    def release(self) -> list[tuple[Connection, Item]]:
        """Give up what waits for a leader, to the one that this member becomes.

        What was sent to the last one, and not answered, is unknown to those who sent it.
        """
        self._lost("this member leads")
        held, self._held = self._held, deque()
        return [(one.connection, one.frame) for one in held if one.connection.open]

    def _send(self, connection: Connection, frame: Submit) -> bool:
        number = 0
        if frame.id:
            self._last_number += 1
            number = self._last_number
        if not self._link.send(wire.encode_frame(Submit(number, frame.kind, frame.command))):
            return False
        if number:
            self._sent[number] = _Sent(connection, frame.id)
        self._forwarded[connection.number] = connection
        return True

    def _ask(self, query: queries.Query[int]) -> int:
        self._last_number += 1
        arguments = msgspec.to_builtins(query)
        self._link.send(wire.encode_frame(wire.Ask(self._last_number, query.name, arguments)))
        return self._last_number

    def _connected(self, welcome: wire.Welcome) -> None:
        if welcome.role != "leader":
            self._link.leave()  # It does not lead yet, or no longer: etcd says who does.
            return
        # What this member has must be what the leader has there; the rest is sent again.
        self._records.clear()
        self._received = self._journal.last_seq
        self._crc_asked = self._ask(queries.Crc(self._received))

    def _take(self, frame: wire.EngineFrame) -> None:
        if isinstance(frame, wire.Published):
            self._received += 1
            self._records.append(Record(self._received, bytes(frame.transaction)))
        elif isinstance(frame, wire.Result):
            sent = self._sent.pop(frame.id, None)
            if sent is not None:
                body = bytes(frame.transaction)
                reply = wire.result_frame(sent.number, frame.duplicate, body)
                self._done.append(_Done(wire.transaction_seq(body), sent.connection, reply))
        elif isinstance(frame, wire.Answer):
            self._answered(frame)
        elif isinstance(frame, wire.Failed):
            self._failed(frame)

    def _answered(self, answer: wire.Answer) -> None:
        if answer.id == self._crc_asked:
            self._crc_asked = 0
            theirs = queries.Crc(self._received).decode(answer.body)
            if theirs != self._journal.crc_at(self._received):
                raise Diverged(
                    f"the journal of this member differs from the leader's at seq "
                    f"{self._received}; keep it aside and let this member join again, empty"
                )
            self._last_number += 1
            self._subscribing = self._last_number
            self._link.send(
                wire.encode_frame(wire.Subscribe(self._subscribing, self._received + 1))
            )
        elif answer.id == self._subscribing:
            self._subscribing = 0
            self._ready = True
            self._goal = answer.seq
            log.info("following", from_seq=self._received + 1, leader_seq=answer.seq)

    def _failed(self, failed: wire.Failed) -> None:
        if failed.id and failed.id in (self._crc_asked, self._subscribing):
            if failed.code == "gap_too_old":
                raise TooFarBehind(
                    f"this member ends with seq {self._received}, and the leader has archived what "
                    "follows; restore a backup of another member here, and start again"
                )
            raise Diverged(
                f"this member has seq {self._received}, which the leader does not know: "
                f"{failed.text}"
            )
        sent = self._sent.pop(failed.id, None)
        if sent is not None and sent.connection.open:
            self._server.send(sent.connection, wire.Failed(sent.number, failed.code, failed.text))

    def _lost(self, reason: str) -> None:
        if self._ready:
            log.warning("leader_lost", reason=reason, clients=len(self._forwarded))
        self._ready = False
        self._fresh = (0, self.fresh_at)
        self._crc_asked = self._subscribing = 0
        self._sent.clear()
        self._done.clear()
        for connection in self._forwarded.values():
            self._server.end(connection)
        self._forwarded.clear()
