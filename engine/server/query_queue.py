"""Answer queries at once, or when their ``min_seq`` is durable.

An answer that scans more than ``INLINE_ROWS`` rows is made by a forked child, as of the moment of
the fork, so that no other client waits for it. Waiting is bounded in time and in number; a query
that waits too long gets "behind".
"""

from __future__ import annotations

from functools import partial
from typing import Final, NamedTuple

import structlog

from engine import wire
from engine.journal.base import Journal
from engine.server.ipc import Connection, Server
from engine.server.queries import Queries, QueryError
from engine.server.query_child import QueryChild
from engine.wire import Ask

WAITERS_MAX: Final = 1_024
INLINE_ROWS: Final = 1_000
"""So many take two or three milliseconds, about what a fork takes."""

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
        queries.prepare()
        self._journal = journal
        self._server = server
        self._wait_s_max = wait_ms_max / 1_000
        self._waiters: list[_Waiter] = []
        self._large: list[tuple[Connection, Ask]] = []
        self._asked: list[tuple[Connection, Ask]] = []
        self._child = QueryChild()

    @property
    def busy(self) -> bool:
        """Whether a child makes answers."""
        return self._child.busy

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
        self._large = [large for large in self._large if large[0] is not connection]

    def look_after_child(self) -> bool:
        """Hand over what a child has made, or let one begin. Return whether one has finished."""
        finished = False
        if self._child.busy:
            frames = self._child.poll()
            if frames is None:
                return False
            finished = True
            asked, self._asked = self._asked, []
            for at, (connection, ask) in enumerate(asked):
                if frames:
                    self._server.reply(connection, frames[at])
                else:
                    self._failed(connection, ask)
        if self._large:
            self._asked, self._large = self._large, []
            makers = [partial(self._frame, ask) for _, ask in self._asked]
            try:
                self._child.start(makers)
            except OSError as error:
                log.error("queries_not_started", error=str(error))
                asked, self._asked = self._asked, []
                for connection, ask in asked:
                    self._failed(connection, ask)
        return finished

    def close(self) -> None:
        """End the child; called when no more is served."""
        self._child.close()

    def _failed(self, connection: Connection, ask: Ask) -> None:
        """A child could not be begun, or ended without its answers."""
        log.error("query_failed", query=ask.query, reason="no answer of the child")
        text = f"the engine could not answer the query {ask.query}; its log says why"
        self._server.send(connection, wire.Failed(ask.id, "internal", text))

    def wait_s(self, now: float, otherwise: float) -> float:
        """Return the seconds until the first waiter's time is over, or ``otherwise`` if sooner."""
        if not self._waiters:
            return otherwise
        first = min(waiter.deadline for waiter in self._waiters)
        return min(otherwise, max(0.0, first - now))

    def _answer(self, connection: Connection, ask: Ask) -> None:
        if self._queries.rows(ask.query, ask.arguments) <= INLINE_ROWS:
            self._server.reply(connection, self._frame(ask))
        elif len(self._large) >= WAITERS_MAX:
            text = f"{WAITERS_MAX} large queries wait already"
            self._server.send(connection, wire.Failed(ask.id, "too_many_waiting", text))
        else:
            self._large.append((connection, ask))

    def _frame(self, ask: Ask) -> bytes:
        """Return the answer, or why there is none."""
        try:
            body = wire.encode_value(self._queries.answer(ask.query, ask.arguments))
            answer = wire.Answer(ask.id, self._journal.last_seq, wire.raw(body))
            return wire.encode_frame(answer)
        except QueryError as error:
            return wire.encode_frame(wire.Failed(ask.id, error.code, str(error)))
        except wire.WireError as error:
            return wire.encode_frame(wire.Failed(ask.id, "too_large", str(error)))
        except Exception as error:
            # A query only reads: a fault in it must not stop trading, but is logged.
            log.error("query_failed", query=ask.query, exc_info=error)
            text = f"the engine could not answer the query {ask.query}; its log says why"
            return wire.encode_frame(wire.Failed(ask.id, "internal", text))
