"""A venue inside the test process: the real exchange behind the interface of a client.

It stamps, applies, remembers, answers queries by the engine's own code, and projects every
transaction into a history database, so that routes are tested against the true rules without
a socket or a second process.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from config.settings import DEMO_FILE, load
from engine.client import Answered, EngineError, EngineRefused, Outcome, Transaction, queries
from engine.core.commands import COMMAND_KINDS, Command, Tick
from engine.core.exchange import Exchange
from engine.core.types import Origin
from engine.history.projector import Projector
from engine.history.store import open_writer
from engine.journal.base import Journal
from engine.server.bootstrap import bootstrap_commands
from engine.server.queries import Queries, QueryError
from engine.wire import decode_command, decode_transaction, encode_command, encode_transaction

START_US = 1_900_000_000_000_000
ENGINE = Origin("engine")


class Clock:
    """A clock that moves only when a test says so."""

    def __init__(self) -> None:
        self.now_us = START_US

    def __call__(self) -> int:
        return self.now_us

    def advance(self, seconds: float) -> None:
        self.now_us += int(seconds * 1_000_000)


class _Journal:
    """As much of a journal as the queries need: the transactions, in memory."""

    def __init__(self, transactions: list[Transaction]) -> None:
        self._transactions = transactions
        self.first_seq = 1

    @property
    def last_seq(self) -> int:
        return len(self._transactions)

    def read(self, start: int, count: int, *_: Any) -> list[Any]:
        rows = self._transactions[start - 1 : start - 1 + count]
        return [_Record(t.seq, encode_transaction(*t)) for t in rows]


class _Record(msgspec.Struct):
    seq: int
    body: bytes


class InProcessEngine:
    """An ``EnginePort`` on an exchange in this process, on the demo configuration.

    ``failure`` makes every call raise it; ``lost`` makes submits happen and then raise, as a
    connection does that dies before the answer.
    """

    def __init__(self, folder: Path, clock: Callable[[], int]) -> None:
        self.exchange = Exchange()
        self.clock = clock
        self.transactions: list[Transaction] = []
        self.failure: EngineError | None = None
        self.lost: EngineError | None = None
        self.subscribers: list[Callable[[list[Transaction]], None]] = []
        self.history_url = f"sqlite:///{folder / 'history.db'}"
        self.projector = Projector(open_writer(self.history_url))
        self.project = True
        self._lock = threading.RLock()
        journal: Any = _Journal(self.transactions)
        typed: Journal = journal
        self._queries = Queries(self.exchange, typed, lambda: ("boot", 0, 1))
        self._encoder = msgspec.msgpack.Encoder()
        settings = load(DEMO_FILE, {"TANDEM_DATA": str(folder)})
        for command in bootstrap_commands(settings, self.exchange):
            self.apply(command)
        self.catch_up()

    def apply(self, command: Command) -> Transaction:
        time_us = max(self.clock(), self.exchange.time_us)
        seq = self.exchange.seq + 1
        events = tuple(self.exchange.apply(seq, time_us, command))
        done = decode_transaction(encode_transaction(seq, time_us, command, events))
        self.transactions.append(done)
        for callback in self.subscribers:
            callback([done])
        return done

    def catch_up(self) -> None:
        self.projector.apply(self.transactions[self.projector.last_seq :])

    def tick(self) -> None:
        """Let due timers fire, as the sequencer does."""
        with self._lock:
            for _ in itertools.count():
                due = self.exchange.next_timer()
                if due == 0 or due > max(self.clock(), self.exchange.time_us):
                    break
                self.apply(Tick(ENGINE))
            self.catch_up()

    def submit(self, command: Command, timeout_s: float | None = None) -> Outcome:
        if self.failure is not None:
            raise self.failure
        command = decode_command(COMMAND_KINDS[type(command)], encode_command(command))
        with self._lock:
            original = self.exchange.find_duplicate(command)
            if original is not None:
                if original == 0:
                    raise EngineRefused("duplicate", "this command was done before")
                return Outcome(self.transactions[original - 1], duplicate=True)
            outcome = Outcome(self.apply(command), duplicate=False)
            if self.project:
                self.catch_up()
        if self.lost is not None:
            raise self.lost
        return outcome

    def fetch(self, query: queries.Query[Any], min_seq: int = 0) -> Answered[Any]:
        if self.failure is not None:
            raise self.failure
        with self._lock:
            if min_seq > self.exchange.seq:
                raise EngineRefused("behind", f"seq {min_seq} was not reached in time")
            arguments = msgspec.to_builtins(query)
            try:
                body = self._encoder.encode(self._queries.answer(query.name, arguments))
            except QueryError as error:
                raise EngineRefused(error.code, str(error)) from None
            return Answered(query.decode(body), self.exchange.seq)

    def subscribe(
        self,
        from_seq: int,
        callback: Callable[[list[Transaction]], None],
        accounts: tuple[str, ...] = (),
    ) -> None:
        with self._lock:
            earlier = self.transactions[from_seq - 1 :]
            if earlier:
                callback(earlier)
            self.subscribers.append(callback)

    def close(self) -> None:
        """Nothing is open."""
