"""Requests about the past: fills from the SQL history, and the reports of a session once more."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import structlog

from engine.client import EngineError, EngineRefused, Transaction
from engine.core.instruments import Instrument
from engine.history import reader as history
from fix_gateway.codec import responses, trade_reports
from fix_gateway.codec.fields import shown
from fix_gateway.codec.requests import NotAvailable, ReplayQuery, TradesQuery
from fix_gateway.codec.responses import Response, addressed
from fix_gateway.codec.routing import messages
from fix_gateway.runtime.delivery import Connect, Delivery
from fix_gateway.session.session import Session

if TYPE_CHECKING:
    import sqlalchemy

# The history's reader imports SQLAlchemy when somebody first asks for trades: it would be
# a third of what the gateway imports, and after a kill its sessions wait for that.
log = structlog.get_logger()

FILLS_MAX: Final = 1_000
"""Fills in the answer to one request; the next asks after the last trade id."""
REPLAY_MAX: Final = 10_000
"""Reports in one replay; the next asks after the last ExecID."""
REPLAY_TIMEOUT_S: Final = 60.0
_PLACE: Final = re.compile("2000[27]=[0-9]+\x01")
_EXEC_ID: Final = re.compile("(?:^|\x01)17=([^\x01]+)\x01")
HISTORY_WAIT_S: Final = 2.0
"""How long a subscription waits for the history to have what happened before it."""


def open_history(url: str) -> sqlalchemy.Engine:
    """Open the history, which somebody else makes: SQLite would make an empty one.

    Raises StoreError.
    """
    import sqlalchemy

    address = sqlalchemy.make_url(url)
    if address.get_backend_name() == "sqlite" and not Path(address.database or "").exists():
        raise history.StoreError(f"there is no history at {address.database}")
    return history.open_reader(address)


class HistoryRequests:
    """Answers requests about what is past, for the thread that answers requests."""

    def __init__(
        self,
        history_url: str,
        connect: Connect,
        instruments: Mapping[str, Instrument],
        captures: Delivery,
    ) -> None:
        self._captures = captures
        self._url = history_url
        self._engine: sqlalchemy.Engine | None = None
        self._connect = connect
        self._instruments = instruments

    def trades(self, session: Session, query: TradesQuery) -> list[Response]:
        """Answer with the TradeCaptureReports of fills, or with what became of a subscription.

        At most FILLS_MAX fills. Raises NotAvailable.
        """
        if query.subscription == "0":
            page = self._page(session, query, 0)
            rows = [row for row in page.rows if query.trade_id in (0, row.trade_id)]
            return trade_reports.answer_trades(query, rows, self._instruments, page.as_of_seq)
        if query.subscription == "2":
            if self._captures.end_capture(session, query.request_id):
                return [responses.trades_ack(query, "0", "1", "The subscription has ended")]
            text = "No subscription has this TradeRequestID(568)"
            return [responses.trades_ack(query, "99", "2", text)]
        after_seq = self._captures.capture(session, query)
        try:
            page = self._page(session, query, after_seq)
        except NotAvailable:
            self._captures.end_capture(session, query.request_id)
            raise
        # What came later is reported as it comes; each fill once, by one way or the other.
        rows = [row for row in page.rows if row.seq <= after_seq]
        begun = responses.trades_ack(query, "0", "0", "Subscribed: later fills come as they happen")
        if not rows:
            return [begun]
        return [begun, *trade_reports.answer_trades(query, rows, self._instruments, after_seq)]

    def _page(self, session: Session, query: TradesQuery, min_seq: int) -> Any:
        """Read the fills that match, once the history has ``min_seq``. Raises NotAvailable."""
        try:
            if min_seq and not history.wait_for(self._history(), min_seq, HISTORY_WAIT_S):
                raise NotAvailable("The trade history lags behind; ask again in a moment")
            return self._fills(session, query)
        except (history.SQLAlchemyError, history.StoreError) as error:
            reason = str(error).partition("\n")[0]
            log.warning("history_not_available", session=session.comp_id, reason=reason)
            raise NotAvailable(
                "The trade history cannot be read at the moment; ask again later"
            ) from None

    def _fills(self, session: Session, query: TradesQuery) -> Any:
        accounts = [query.account] if query.account else sorted(session.settings.accounts)
        with self._history().connect() as connection:
            return history.fills(
                connection,
                accounts,
                symbol=query.symbol,
                strategy=query.strategy,
                order_id=query.order_id,
                client_order_id=query.client_order_id,
                side=query.side,
                after_trade_id=max(0, query.trade_id - 1),
                from_us=query.from_us,
                to_us=query.until_us,
                limit=1 if query.trade_id else FILLS_MAX,
            )

    def _history(self) -> sqlalchemy.Engine:
        if self._engine is None:
            self._engine = open_history(self._url)
        return self._engine

    def replay(
        self, session: Session, query: ReplayQuery, send: Callable[[Response], None]
    ) -> None:
        """Send every report after the one named again, marked as such, and an end.

        The copies carry no cursor: they are not what delivery counts. What is named must be an
        ExecID that this session was told, or could have been; a place that only lies somewhere
        would make a client believe that it has everything. Takes up to REPLAY_TIMEOUT_S; raises
        EngineError.
        """
        found = _Replay(session, query, self._instruments, send)
        client = self._connect(f"fix-replay-{session.comp_id}", found.lost)
        try:
            found.until = client.connect().seq
            found.unknown = not 0 <= query.after_seq <= found.until
            if found.until and not found.unknown:
                client.subscribe(max(1, query.after_seq), found.take)
                found.finished.wait(REPLAY_TIMEOUT_S)
        except EngineRefused as error:
            send(addressed(responses.replay_refused(query, error.text, found.until), query.route))
            return
        finally:
            client.close()
        if found.unknown:
            refused = responses.replay_refused(query, _unknown(query.exec_id), found.until)
            send(addressed(refused, query.route))
            return
        complete = found.seq >= found.until
        last = found.last_exec_id or ("" if complete else query.exec_id)
        end = responses.replay_end(query, found.count, last, found.seq, complete)
        send(addressed(end, query.route))


def _unknown(exec_id: str) -> str:
    return (
        f"ExecID(17) {shown(exec_id)} is unknown: no ExecutionReport for this session has it; "
        "leave it out to have all"
    )


class _Replay:
    """One replay while it runs, on the reader thread of its own client."""

    def __init__(
        self,
        session: Session,
        query: ReplayQuery,
        instruments: Mapping[str, Instrument],
        send: Callable[[Response], None],
    ) -> None:
        self._session = session
        self._after = (query.after_seq, query.after_index)
        self._instruments = instruments
        self._send = send
        self.unknown = False
        """There is no report after which the replay could begin."""
        self._sought = query.exec_id
        self.until = 0
        self.seq = query.after_seq
        self.count = 0
        self.last_exec_id = ""
        self.finished = threading.Event()

    def lost(self, error: EngineError) -> None:
        """End it where the engine has gone away; what was sent so far stands."""
        self.finished.set()

    def take(self, batch: list[Transaction]) -> None:
        """Send the reports of some transactions again."""
        for transaction in batch:
            if self.finished.is_set():
                return
            if self._session.life.holds or self.count >= REPLAY_MAX:
                self.finished.set()
                return
            found = messages(transaction, self._session.context, self._instruments)
            if self._sought:
                # The first transaction is the one that the ExecID names, if there is such a one.
                told, self._sought = f"\x0117={self._sought}\x01", ""
                if not any(each.msg_type == "8" and told in each.body for each in found):
                    self.unknown = True
                    self.finished.set()
                    return
            for message in found:
                if message.msg_type == "8" and self._after < (transaction.seq, message.event_index):
                    body = _PLACE.sub("", message.body)
                    self.count += 1
                    exec_id = _EXEC_ID.search(body)
                    self.last_exec_id = exec_id[1] if exec_id else self.last_exec_id
                    self._send(Response("8\x0197=Y", body, message.header))
            self.seq = transaction.seq
            if transaction.seq >= self.until:
                self.finished.set()
