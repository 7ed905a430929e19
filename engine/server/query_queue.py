"""Answer queries at once, or when their ``min_seq`` is durable.

Waiting is bounded in time and in number; a query that waits too long gets "behind".
"""

from __future__ import annotations

from typing import Final, NamedTuple

import structlog

from engine import wire
from engine.journal.base import Journal
from engine.server.ipc import Connection, Server
from engine.server.queries import Queries, QueryError
from engine.wire import Ask

WAITERS_MAX: Final = 1_024

log = structlog.get_logger("engine.server.queries")


class _Waiter(NamedTuple):
    connection: Connection
    ask: Ask
    deadline: float


class QueryDesk:
    """Queries over committed state; ``now`` is monotonic seconds."""

    def __init__(
        self, queries: Queries, journal: Journal, server: Server, wait_ms_max: int
    ) -> None:
        self._queries = queries
        self._journal = journal
        self._server = server
        self._wait_s_max = wait_ms_max / 1_000
        self._waiters: list[_Waiter] = []

    def take(self, connection: Connection, ask: Ask, now: float) -> None:
        """Answer a query, or keep it until its min_seq is reached."""
        if ask.min_seq <= self._journal.last_seq:
            self._answer(connection, ask)
        elif len(self._waiters) >= WAITERS_MAX:
            text = f"{WAITERS_MAX} queries wait for a sequence already"
            self._server.send(connection, wire.Failed(ask.id, "too_many_waiting", text))
        else:
            self._waiters.append(_Waiter(connection, ask, now + self._wait_s_max))

    def answer_waiters(self, now: float) -> None:
        """Answer those whose min_seq is durable, and fail those whose time is over."""
        if not self._waiters:
            return
        waiters, self._waiters = self._waiters, []
        last = self._journal.last_seq
        for waiter in waiters:
            ask = waiter.ask
            if ask.min_seq <= last:
                self._answer(waiter.connection, ask)
            elif now < waiter.deadline:
                self._waiters.append(waiter)
            else:
                text = f"seq {ask.min_seq} was not reached in time, the last is {last}"
                self._server.send(waiter.connection, wire.Failed(ask.id, "behind", text))

    def forget(self, connection: Connection) -> None:
        """The connection has ended."""
        if self._waiters:
            self._waiters = [w for w in self._waiters if w.connection is not connection]

    def wait_s(self, now: float, otherwise: float) -> float:
        """Return the seconds until the first waiter's time is over, or ``otherwise`` if sooner."""
        if not self._waiters:
            return otherwise
        first = min(waiter.deadline for waiter in self._waiters)
        return min(otherwise, max(0.0, first - now))

    def _answer(self, connection: Connection, ask: Ask) -> None:
        try:
            body = wire.encode_value(self._queries.answer(ask.query, ask.arguments))
            answer = wire.Answer(ask.id, self._journal.last_seq, wire.raw(body))
            frame = wire.encode_frame(answer)
        except QueryError as error:
            frame = wire.encode_frame(wire.Failed(ask.id, error.code, str(error)))
        except wire.WireError as error:
            frame = wire.encode_frame(wire.Failed(ask.id, "too_large", str(error)))
        except Exception as error:
            # A query only reads: a fault in it must not stop trading, but is logged.
            log.error("query_failed", query=ask.query, exc_info=error)
            text = f"the engine could not answer the query {ask.query}; its log says why"
            frame = wire.encode_frame(wire.Failed(ask.id, "internal", text))
        self._server.reply(connection, frame)
