"""The one thread that owns the exchange: drain, stamp, apply, journal, commit, publish.

The law: nothing leaves this process that is not durable. Each turn drains the sockets; each
batch of at most ``batch_max`` items is stamped and applied in order of arrival, written to
the journal with one commit, and only then are its results queued, its transactions
published, and its queries answered. A turn that takes longer than ``turn_ms_max`` ends early:
the rest waits, the connections take turns, and newly arrived frames are read. Work that one
command did not finish (rule M-10) continues with one Tick per turn, in a batch of its own after
those of the clients: a command that arrives in between waits for one piece of it, not for two.
Any failure between apply and commit is ``EngineStopped``: the process must end, and recovers from
the journal.

In a cluster a follower runs the same loop: ``follow`` applies what the leader committed, and
``Following`` forwards commands. Timers and sessions that end are the leader's, until ``lead``.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import structlog

from engine import wire
from engine.core.commands import (
    CloseSession,
    Command,
    OpenSession,
    Tick,
)
from engine.core.exchange import Exchange
from engine.core.types import Origin, Standing
from engine.journal.base import Journal, JournalFailed, Record
from engine.journal.index import IndexFeed
from engine.journal.prior import with_prior
from engine.journal.recovery import replay_record
from engine.journal.snapshots import SnapshotWriter
from engine.memory import Memory
from engine.server.backlog import Backlog
from engine.server.following import Following
from engine.server.ipc import Connection, Gone, Item, Malformed, Server
from engine.server.metrics import Counters
from engine.server.publisher import Publisher
from engine.server.queries import Queries
from engine.server.query_queue import QueryDesk
from engine.server.results import Results
from engine.server.snapshot_schedule import SnapshotSchedule
from engine.server.terms import Bounds, EngineStopped
from engine.wire import Ask, Hello, Submit, Subscribe, Transaction, Welcome

IDLE_S: Final = 1.0
CHILD_POLL_S: Final = 0.05
ANSWER_POLL_S: Final = 0.005
SOURCE: Final = "engine"
ALONE: Final = Standing(leads=True, age_ms=0)

log = structlog.get_logger("engine.server.sequencer")


def clock_us() -> int:
    """Return microseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1_000


class Sequencer:
    """Owns the exchange after recovery. ``clock`` and ``monotonic`` are for tests to set."""

    def __init__(
        self,
        exchange: Exchange,
        journal: Journal,
        server: Server,
        snapshots: SnapshotWriter,
        *,
        boot_id: str,
        bounds: Bounds | None = None,
        clock: Callable[[], int] = clock_us,
        monotonic: Callable[[], float] = time.monotonic,
        memory: Memory | None = None,
        following: Following | None = None,
    ) -> None:
        self._exchange = exchange
        self._following = following
        self._memory = memory
        self._journal = journal
        self._server = server
        self._snapshots = snapshots
        self._boot_id = boot_id
        self._bounds = bounds or Bounds()
        self._clock = clock
        self._monotonic = monotonic
        self._publisher = Publisher(server, journal)
        self._metrics = Counters()
        queries = Queries(
            exchange, journal, self._about,
            lambda: self._metrics.read(exchange, server, self._publisher.catching_up),
            lambda: ALONE if following is None else following.standing(),
            lambda: None if following is None else following.status(),
        )  # fmt: skip
        wait_ms_max = self._bounds.min_seq_wait_ms_max
        self._desk = QueryDesk(queries, journal, server, wait_ms_max)
        self._index = IndexFeed(journal.last_marks(), journal.accounts_with_retired())
        self._stopping = False
        self._backlog = Backlog()
        self._tick_later = False
        self._turn_ends = 0.0
        self._owners: dict[str, int] = {}
        self._injected: deque[Command] = deque()
        every = self._bounds.snapshot_every
        self._schedule = SnapshotSchedule(
            exchange, journal, snapshots, self._metrics, every, monotonic
        )
        self._records: list[Record] = []
        self._transactions: list[Transaction] = []
        self._results = Results(server, journal)
        if following is None:
            self._close_sessions()

    @property
    def role(self) -> str:
        """"leader", in a cluster or alone, or "follower"."""
        return "leader" if self._following is None else "follower"

    def follow(self, records: Sequence[Record]) -> None:
        """Apply again what the leader committed, and publish it. Raises ReplayDiffers too."""
        for record in records:
            transaction = replay_record(self._exchange, record)
            self._index.take(record.seq, transaction.events)
            self._records.append(record)
            self._transactions.append(transaction)
        if records:
            transactions = self._transactions
            self._commit()
            self._publisher.publish(records, transactions)

    def lead(self, waiting: Sequence[tuple[Connection, Item]] = ()) -> None:
        """Take commands from now on, and do what is due.

        ``waiting`` are commands that came before there was a leader. Sessions that were connected
        are closed, as after a restart.
        """
        self._following = None
        self._close_sessions()
        self._backlog.add(waiting)

    def _close_sessions(self) -> None:
        for session in self._exchange.sessions.values():
            if session.connected:
                self._close_session(session.name)

    def submit(self, command: Command) -> Transaction | None:
        """Apply and commit one of the engine's own commands (configuration, at the start).

        Returns None for one that was executed before.
        """
        if self._exchange.find_duplicate(command) is not None:
            return None
        self._apply(command)
        transaction = self._transactions[-1]
        self._commit()
        return transaction

    def stop(self) -> None:
        """Make ``run`` return after the current turn; may be called from a signal handler."""
        self._stopping = True
        self._server.wake()

    def run(self) -> None:
        """Serve until ``stop``. Raises EngineStopped."""
        while not self._stopping:
            self.turn(self.timeout())

    @property
    def stopping(self) -> bool:
        """Whether ``stop`` was called."""
        return self._stopping

    def turn(self, timeout_s: float) -> None:
        """Run one turn: what has arrived, what is due, a piece for subscribers that catch up."""
        now = self._monotonic()
        items = self._server.poll(timeout_s, now, self._backlog)
        self._turn_ends = self._monotonic() + self._bounds.turn_ms_max / 1_000
        seq, anybody = self._exchange.seq, bool(items or self._backlog)
        leads = self._following is None
        self._tick_later = leads and anybody and self._exchange.only_left_over(self._clock())
        if self._backlog:
            self._backlog.add(items)
            while self._batch(self._backlog.take()):
                pass
        else:
            source = iter(items)
            while self._batch(source):
                pass
            self._backlog.add(source)
        if self._tick_later:
            self._tick_later = False
            self._batch(iter(()))
        if self._following is not None:
            self._follow_leader(self._following)
        self._publisher.replay()
        now = self._monotonic()
        self._desk.answer_waiters(now)
        if self._desk.look_after_child() and self._memory is not None:
            self._memory.broken_up()
        for connection in self._server.stalled(now):
            log.warning("client_stalled", client=connection.name, waiting=connection.bytes)
            self._server.end(connection)
        self._server.flush(now)
        idle = not anybody and self._exchange.seq == seq
        copied = self._schedule.look_after(idle)
        if self._memory is not None:
            if copied:
                self._memory.broken_up()
            self._memory.turn(self._exchange.seq, idle)

    def _follow_leader(self, following: Following) -> None:
        """Apply what has arrived from the leader until the turn's time is over."""
        while records := following.arrived():
            self.follow(records)
            if self._is_over:
                break
        following.applied(self._exchange.seq, self._monotonic())
        self._server.flush(self._monotonic())

    def close(self) -> None:
        """Write a last snapshot; called once after ``run`` has returned by ``stop``.

        One that fails is counted as a failed snapshot and is not a fault: the journal has
        everything, and the next start replays more.
        """
        self._desk.close()
        exchange = self._exchange
        if exchange.seq <= self._snapshots.last_seq:
            return
        try:
            crc = self._journal.crc_at(exchange.seq)
            self._journal.flush()
            self._snapshots.write_now(exchange, exchange.time_us, crc)
        except Exception as error:
            self._metrics.snapshots_failed += 1
            log.error(
                "last_snapshot_failed", seq=exchange.seq,
                reason=f"{type(error).__name__}: {error}",
            )  # fmt: skip

    # One batch.

    def _batch(self, source: Iterator[tuple[Connection, Item]]) -> bool:
        """Process what has arrived, at most ``batch_max`` items and until the turn's time is over.

        Return True if there may be more, and time for it.
        """
        later: list[tuple[Connection, Item]] = []
        self._inject()
        left = self._bounds.batch_max
        for connection, item in source:
            left -= 1
            if connection.refused and type(item) is not Gone:
                continue  # Frames after one that was refused are ignored.
            if type(item) is Submit:
                self._take(connection, item, later)
            elif type(item) is Hello and not connection.greeted:
                self._greet(connection, item)
            else:
                later.append((connection, item))
            if not left or self._is_over:
                break
        if self._records:
            records, transactions = self._records, self._transactions
            self._commit()
            self._results.send(records)
            self._publisher.publish(records, transactions)
        elif self._results:
            self._results.send(())
        for index, (connection, item) in enumerate(later):
            if index and self._is_over:
                self._backlog.put_back(later[index:])
                break
            self._serve(connection, item)
        self._server.flush(self._monotonic())
        return not left and not self._is_over

    @property
    def _is_over(self) -> bool:
        """Return whether the turn's time is over."""
        return self._monotonic() >= self._turn_ends

    def _take(
        self, connection: Connection, frame: Submit, later: list[tuple[Connection, Item]]
    ) -> None:
        """Decode one command and apply it, or recognize it as a duplicate."""
        try:
            if not connection.greeted:
                raise wire.WireError("the first frame must be Hello")
            command = wire.decode_command(frame.kind, frame.command)
        except wire.WireError as error:
            connection.refused = True
            later.append((connection, Malformed(frame.id, str(error))))
            return
        if self._following is not None:
            self._following.forward(connection, frame, command)
            return
        exchange = self._exchange
        original = exchange.find_duplicate(command)
        kind = type(command)
        if (kind is OpenSession or kind is CloseSession) and not exchange.fenced(command.origin):
            if kind is OpenSession:
                self._owners[command.origin.source] = connection.number
            else:
                self._owners.pop(command.origin.source, None)
        if original is not None:
            self._metrics.duplicates += 1
            if frame.id:
                self._results.add(connection, frame.id, original, True)
            return
        self._apply(with_prior(command, self._index, self._journal))
        if frame.id:
            self._results.add(connection, frame.id, exchange.seq, False)

    def _apply(self, command: Command) -> None:
        """Stamp and apply. Anything unexpected here is an internal fault and stops the engine."""
        exchange = self._exchange
        seq = exchange.seq + 1
        time_us = self._clock()
        if time_us < exchange.time_us:
            time_us = exchange.time_us
        try:
            events = exchange.apply(seq, time_us, command)
            body = wire.encode_transaction(seq, time_us, command, events)
            self._index.take(seq, events)
        except Exception as error:
            raise EngineStopped(
                "fault",
                f"seq {seq} ({type(command).__name__}) could not be applied: "
                f"{type(error).__name__}: {error}",
            ) from error
        if len(body) > wire.RECORD_BYTES_MAX:
            # Before the commit: it could never be published.
            raise EngineStopped(
                "fault",
                f"seq {seq} ({type(command).__name__}) makes a record of {len(body)} bytes, "
                f"above the limit of {wire.RECORD_BYTES_MAX}",
            )
        self._records.append(Record(seq, body))
        self._transactions.append(Transaction(seq, time_us, command, tuple(events)))

    def _commit(self) -> None:
        """Make the batch durable, or stop."""
        started = self._monotonic()
        try:
            self._journal.append(self._records, self._index.marks, self._index.retired)
        except JournalFailed as error:
            raise EngineStopped("journal", str(error)) from error
        self._metrics.committed(len(self._records), self._monotonic() - started)
        self._index.stored()
        self._records = []
        self._transactions = []

    # What is not a command.

    def _greet(self, connection: Connection, hello: Hello) -> None:
        if hello.version != wire.PROTOCOL_VERSION:
            text = f"this engine speaks version {wire.PROTOCOL_VERSION} of the protocol, not"
            self._server.fail(connection, 0, "version", f"{text} {hello.version}")
            return
        connection.greeted = True
        connection.name = hello.name[:64]
        self._server.expect(connection, hello.silence_ms / 1_000)
        welcome = Welcome(
            wire.PROTOCOL_VERSION, self._boot_id, self._journal.last_seq, self._journal.first_seq,
            self.role,
        )  # fmt: skip
        self._server.send(connection, welcome)

    def _serve(self, connection: Connection, item: Item) -> None:
        """Serve what is not a command, after the commit of the batch in which it arrived."""
        if isinstance(item, Gone):
            self._gone(connection)
        elif connection.closing or not connection.open:
            pass  # It was failed by an earlier frame.
        elif isinstance(item, Malformed):
            self._refuse(connection, item.id, item.text)
        elif isinstance(item, Hello) or not connection.greeted:
            self._refuse(connection, 0, "the first frame, and no other, must be Hello")
        elif isinstance(item, Subscribe):
            self._publisher.subscribe(connection, item.id, item.from_seq, item.accounts)
        elif isinstance(item, Ask):
            self._desk.take(connection, item, self._monotonic())

    def _refuse(self, connection: Connection, number: int, text: str) -> None:
        connection.refused = True
        log.warning("client_failed", client=connection.name, reason=text)
        self._server.fail(connection, number, "malformed", text)

    def _gone(self, connection: Connection) -> None:
        """Handle the end of a connection: the engine closes the sessions that it opened."""
        self._publisher.forget(connection)
        self._desk.forget(connection)
        if self._following is not None:
            self._following.gone(connection)
        opened = [name for name, number in self._owners.items() if number == connection.number]
        for name in opened:
            self._close_session(name)
        if connection.name:
            log.info("client_gone", client=connection.name, sessions_closed=len(opened))

    def _close_session(self, name: str) -> None:
        self._owners.pop(name, None)
        self._injected.append(CloseSession(Origin(name)))

    # Time.

    def _inject(self) -> None:
        """Apply the engine's own commands: a Tick that is due, sessions that ended.

        Only one Tick, even if more are due: clients' commands are executed in between.
        """
        if self._following is not None:
            return
        due = 0 if self._tick_later else self._exchange.next_timer()
        if due and due <= max(self._clock(), self._exchange.time_us):
            self._apply(Tick(Origin(SOURCE)))
        for _ in range(min(len(self._injected), self._bounds.batch_max)):
            self._apply(self._injected.popleft())
            if self._is_over:
                break

    def timeout(self) -> float:
        """Return how long the next poll may wait, in seconds."""
        if self._following is not None and self._following.pending:
            return 0.0
        if self._backlog or self._injected or self._publisher.can_replay or self._server.has_gone:
            return 0.0
        if self._memory is not None and self._memory.pending and not self._snapshots.busy:
            return 0.0
        if self._schedule.due:
            return 0.0
        timeout = CHILD_POLL_S if self._snapshots.busy else IDLE_S
        if self._desk.busy:
            timeout = ANSWER_POLL_S
        due = self._exchange.next_timer() if self._following is None else 0
        if due:
            timeout = min(timeout, max(0.0, (due - self._clock()) / 1e6))
        return self._desk.wait_s(self._monotonic(), timeout)

    def _about(self) -> tuple[str, int, int]:
        return self._boot_id, self._snapshots.last_seq, len(self._server.connections)
