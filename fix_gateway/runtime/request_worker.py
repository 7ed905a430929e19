"""Requests of clients, answered from committed state on a thread that may wait for it.

QuickFIX's thread only queues them. What waits is kept in a file of the session as well: a
request whose connection or gateway has ended is answered when the session is back. After the
response the message's number is committed where nothing later is, so that it is not answered
twice when the gateway is restarted.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final, get_args

import structlog

from engine.client import EngineClient, EngineError, queries
from engine.core.instruments import Instrument
from fix_gateway.codec import responses
from fix_gateway.codec.decode import translate
from fix_gateway.codec.requests import (
    BalancesQuery,
    InvalidRequest,
    MassStatusQuery,
    NotAvailable,
    OrderStatusQuery,
    Query,
    ReplayQuery,
    SecurityListQuery,
    TradesQuery,
)
from fix_gateway.codec.responses import Response, addressed
from fix_gateway.runtime.outbox import Outbox
from fix_gateway.runtime.replay import HistoryRequests
from fix_gateway.runtime.security_list import security_list
from fix_gateway.session.life import Phase
from fix_gateway.session.sender import Sender
from fix_gateway.session.session import Clock, Session

log = structlog.get_logger()

NOT_AVAILABLE: Final = "4"
"""BusinessRejectReason(380): application not available."""
AGAIN_TEXT: Final = "The request could not be answered; send it again in a moment"
QUERIES: Final = get_args(Query)
WAITING_MAX: Final = 1_000
"""Requests of one session that may wait for it to come back."""


class NotStored(Exception):
    """The response could not be stored; the request waits until the session is back."""


class RequestWorker:
    """Queues requests and answers them, one after the other.

    ``instruments`` and ``scales`` may grow while it runs.
    """

    def __init__(
        self,
        limit: int,
        client: EngineClient,
        instruments: Mapping[str, Instrument],
        scales: Mapping[str, int],
        sender: Sender,
        outbox: Outbox,
        history: HistoryRequests,
        clock: Clock,
    ) -> None:
        self._waiting: queue.Queue[tuple[Session, Query | None, int, int]] = queue.Queue(limit)
        """Session, query, its key among those that wait, epoch."""
        self._answering: tuple[Session | None, int] = (None, 0)
        self._client = client
        self._instruments = instruments
        self._scales = scales
        self._sender = sender
        self._outbox = outbox
        self._history = history
        self._clock = clock
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start the thread that answers."""
        threading.Thread(target=self._run, name="fix-requests", daemon=True).start()

    def enqueue(self, session: Session, query: Query, text: str) -> bool:
        """Queue a request, given with its message; return False when too many wait."""
        with self._lock:
            pending, epoch = session.pending_requests, session.epoch
            if len(pending) >= WAITING_MAX or self._waiting.full():
                return False
            # One that waits already came again after a resend; one answer is enough.
            return not pending.add(epoch, query.num, text) or self._queue(
                session, query, query.num
            )

    def _queue(self, session: Session, query: Query, key: int) -> bool:
        """Hand a request that is kept to the answering thread; the lock is held."""
        try:
            self._waiting.put_nowait((session, query, key, session.epoch))
        except queue.Full:
            return False
        session.pending_requests.queued.add(key)
        return True

    def resume(self, session: Session) -> None:
        """Queue what a session that is back, or has begun again, requested and was not answered."""
        with self._lock:
            if session.reset_within:
                busy, key = self._answering
                session.pending_requests.carry(session.epoch, key if busy is session else 0)
            for num, text in session.pending_requests.unqueued(session.epoch):
                query = translate(
                    text, session.context, session.epoch, self._instruments, self._clock()
                )
                if not isinstance(query, QUERIES) or not self._queue(session, query, num):
                    log.warning("request_not_resumed", session=session.comp_id, num=num)

    def enqueue_snapshot(self, session: Session) -> None:
        """Queue the snapshot of open orders that the Logon asked for."""
        try:
            self._waiting.put_nowait((session, None, 0, session.epoch))
        except queue.Full:
            log.warning("snapshot_not_sent", session=session.comp_id)

    def _run(self) -> None:
        while True:
            session, query, key, epoch = self._waiting.get()
            with self._lock:
                if session.phase is not Phase.LIVE or session.epoch != epoch:
                    if session.epoch == epoch:
                        session.pending_requests.leave(epoch, key)
                    continue
                self._answering = (session, key)
            try:
                self._handle(session, query)
                if query is not None:
                    self._mark(session, epoch, key)
                    with self._lock:
                        session.pending_requests.done(epoch, key)
            except NotStored:
                with self._lock:
                    session.pending_requests.leave(epoch, key)
            except Exception:
                log.exception("request_failed", session=session.comp_id)
            finally:
                with self._lock:
                    self._answering = (None, 0)

    def _handle(self, session: Session, query: Query | None) -> None:
        """Answer a request, or say that it cannot be answered. Raises NotStored."""
        try:
            if query is None:
                self._snapshot(session)
            else:
                self._answer(session, query)
        except NotStored:
            raise
        except NotAvailable as error:
            self._reject(session, query, str(error))
        except EngineError as error:
            log.warning("request_not_answered", session=session.comp_id, error=str(error))
            self._reject(session, query, AGAIN_TEXT)
        except Exception:
            log.exception("request_failed", session=session.comp_id)
            self._reject(session, query, AGAIN_TEXT)

    def _answer(self, session: Session, query: Query) -> None:
        if isinstance(query, ReplayQuery):
            self._history.replay(session, query, lambda answer: self._send(session, answer))
            return
        for answer in self._answers(session, query):
            self._send(session, addressed(answer, query.route))

    def _answers(self, session: Session, query: Query) -> Sequence[Response]:
        now_us = self._clock()
        if isinstance(query, InvalidRequest):
            return [responses.answer_invalid_request(query)]
        if isinstance(query, TradesQuery):
            return self._history.trades(session, query)
        if isinstance(query, OrderStatusQuery):
            row, seq = self._order(session, query)
            return [responses.answer_order_status(query, row, self._instruments, seq, now_us)]
        if isinstance(query, MassStatusQuery):
            rows, seq = self._open_orders(session, query)
            return responses.answer_mass_status(query, rows, self._instruments, seq, now_us)
        if isinstance(query, SecurityListQuery):
            return security_list(self._client, query, self._instruments)
        assert isinstance(query, BalancesQuery)
        return self._balances(session, query, now_us)

    def _order(self, session: Session, query: OrderStatusQuery) -> tuple[Any, int]:
        """Look for the order in the given account or in all of the firm; return it and the seq."""
        seq = 0
        for account in self._accounts(session, query.account):
            found = self._client.fetch(
                queries.Order(account, query.client_order_id, query.order_id), seq
            )
            seq = found.as_of_seq
            if found.value is not None:
                return found.value, seq
        return None, seq

    def _open_orders(self, session: Session, query: MassStatusQuery) -> tuple[list[Any], int]:
        account = query.account or session.settings.account
        found = self._client.fetch(
            queries.OpenOrders(
                account, self._firm_wide(session, query.account), query.symbol, query.strategy,
                "", query.side,
            )  # fmt: skip
        )
        return found.value, found.as_of_seq

    def _balances(self, session: Session, query: BalancesQuery, now_us: int) -> list[Response]:
        rows: list[Any] = []
        seq = 0
        for account in self._accounts(session, query.account):
            found = self._client.fetch(queries.Balances(account), seq)
            rows += found.value
            seq = found.as_of_seq
        return responses.answer_balances(query, rows, self._scales, seq, now_us)

    @staticmethod
    def _firm_wide(session: Session, account: str) -> bool:
        return not account and session.context.firm_wide

    @staticmethod
    def _accounts(session: Session, account: str) -> list[str]:
        if account:
            return [account]
        own, every = session.settings.account, session.settings.accounts
        return [own, *sorted(every - {own})]

    def _snapshot(self, session: Session) -> None:
        """Send the open orders and an end mark, as asked for in the Logon."""
        account, firm_wide = session.settings.account, session.context.firm_wide
        found = self._client.fetch(queries.OpenOrders(account, firm_wide))
        for answer in responses.open_order_snapshot(
            found.value, self._instruments, found.as_of_seq, self._clock(), session.source
        ):
            self._send(session, answer)

    def _send(self, session: Session, answer: Response) -> None:
        if not self._sender.send_settled(session, answer):
            log.error("answer_not_stored", session=session.comp_id)
            raise NotStored

    def _reject(self, session: Session, query: Query | None, why: str) -> None:
        if query is not None:
            refusal = responses.reject_query(query, NOT_AVAILABLE, why)
            self._send(session, addressed(refusal, query.route))

    def _mark(self, session: Session, epoch: int, num: int) -> None:
        """Commit that this message is done with, unless a later one is already."""
        if num <= session.last_num_applied or session.epoch != epoch or num < 0:
            return
        self._outbox.send_unretained(session.mark_command(epoch, num, "answered by the gateway"))
