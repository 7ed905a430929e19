"""The market data process: QuickFIX behind the door's back, the service, and the engine.

The door in the gateway process judges every Logon and passes the clients of market data sessions
on with their sockets; so what many readers cost is not paid by order entry.
"""

from __future__ import annotations

import queue
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import structlog

from config.model import SessionSettings
from engine.client import EngineClient, EngineError
from fix_gateway.codec.message import time_text
from fix_gateway.codec.requests import SecurityListQuery
from fix_gateway.codec.responses import addressed, news, reject_query
from fix_gateway.control import CUT_WAIT_S, LOGOUT_WAIT_S, TEXT, ControlRefused
from fix_gateway.door import logon_fields
from fix_gateway.door.logon import stamped_logon
from fix_gateway.market_data.application import MarketDataApplication
from fix_gateway.market_data.follower import MarketFollower
from fix_gateway.market_data.hosting import MarketDataTerms
from fix_gateway.market_data.reception import Reception
from fix_gateway.market_data.seeding import OpenHistory
from fix_gateway.market_data.service import MarketDataService
from fix_gateway.market_data.session import MarketConnection, MarketSession
from fix_gateway.quickfix_import import quickfix
from fix_gateway.runtime.quickfix_log import UNNUMBERED_TEXT, QuickfixLog
from fix_gateway.runtime.security_list import security_list
from fix_gateway.session.handover import INNER, HandOverError, InnerListener, let_go
from fix_gateway.session.life import Event
from fix_gateway.session.passing import BUSY, TAKEN, UNAVAILABLE, PassedAnswer, PassedLogon
from fix_gateway.session.session import LEAVING_S
from fix_gateway.settings import GatewaySettings, quickfix_settings

log = structlog.get_logger()

FREE_WAIT_S: Final = 1.0
LISTS_MAX: Final = 1_000
"""SecurityListRequests that may wait."""
STOP_TEXT: Final = "Market data is stopping; log on again in a moment"
AGAIN_TEXT: Final = "The request could not be answered; send it again in a moment"
JUDGED_LATER: Final = (*logon_fields.MARKET_DATA_FIELDS, "SubscriptionRequestType")


class MarketDataProcess:
    """Wires it all. ``clock`` gives microseconds since 1970; ``on_failed``: only a new process
    can go on."""

    def __init__(
        self,
        settings: GatewaySettings,
        sessions: Iterable[SessionSettings],
        terms: MarketDataTerms,
        passing_socket: Path,
        engine_socket: str,
        open_history: OpenHistory,
        clock: Callable[[], int],
        on_failed: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._terms = terms
        self._clock = clock
        self._on_failed = on_failed
        self.sessions = {one.comp_id: MarketSession(one, settings) for one in sessions}
        self._by_key = {session.key: session for session in self.sessions.values()}
        self._dictionary = quickfix.DataDictionary(str(settings.dictionary))
        self._stamp = secrets.token_hex(16)
        self.service = MarketDataService(
            terms.service, terms.desk, terms.request, clock, terms.day_roll_us
        )
        self._follower = MarketFollower(
            self.service,
            lambda lost: EngineClient(engine_socket, "market_data", on_lost=lost),
            open_history,
            terms.day_roll_us,
            terms.desk.recent_trades_max,
            on_failed,
        )
        self._asking = EngineClient(engine_socket, "market_data_requests")
        self._lists: queue.Queue[tuple[MarketConnection, SecurityListQuery]] = queue.Queue(
            LISTS_MAX
        )
        self.reception = Reception(
            passing_socket, settings, self.sessions.values(), self._take, self._release
        )
        self._inner: InnerListener | None = None

    # Start and stop.

    def start(self, inner_port: int) -> None:
        """Begin to serve. QuickFIX listens for a moment on ``inner_port``.

        Raises HandOverError, OSError and ValueError.
        """
        self._settings.store.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self.sessions:
            return
        self.service.start()
        self._follower.start()
        threading.Thread(target=self._answer_lists, name="market-data-lists", daemon=True).start()
        self._start_quickfix(inner_port)
        self.reception.start()

    def _start_quickfix(self, port: int) -> None:
        stamped = self._settings.store / logon_fields.STAMPED
        logon_fields.write_stamped(self._settings.dictionary, stamped, self._stamp, JUDGED_LATER)
        every = [session.settings for session in self.sessions.values()]
        config = quickfix_settings(self._settings, every, port, stamped, resends=False)
        application = MarketDataApplication(self._by_key, self, self._clock)
        factory = quickfix.MemoryStoreFactory()
        events = QuickfixLog(self._unnumbered)
        events.start()
        self._acceptor = quickfix.SocketAcceptor(application, factory, config, events)
        # QuickFIX keeps plain pointers to these.
        self._kept = (config, application, factory, events)
        for session in self.sessions.values():
            session.qf = quickfix.Session.lookupSession(session.id)
            # Until the inner listener is ours nobody may log on.
            session.qf.logout("starting")
        threading.Thread(target=self._run_quickfix, name="quickfix", daemon=True).start()
        self._inner = InnerListener(port, self._settings.store / INNER)

    def _run_quickfix(self) -> None:
        try:
            self._acceptor.block()
        except Exception:
            log.critical("quickfix_ended", exc_info=True)
            self._on_failed()

    def stop(self) -> None:
        """Take nobody else, and log everybody out."""
        if not self.sessions:
            return
        self.reception.close()
        connections = self.connections()
        for connection in connections:
            connection.end(STOP_TEXT)
        deadline = time.monotonic() + LOGOUT_WAIT_S
        for connection in connections:
            connection.session.life.free.wait(max(0.0, deadline - time.monotonic()))
            connection.link.cut()
        self._follower.stop()
        self.service.stop()
        self._asking.close()
        if self._inner is not None:
            self._inner.close()

    def connections(self) -> list[MarketConnection]:
        """Return the connections that are logged on."""
        found = [s.connection for s in self.sessions.values() if s.live]
        return [connection for connection in found if connection is not None]

    def reload(self, sessions: Iterable[SessionSettings]) -> None:
        """Take changed settings of known sessions, live."""
        given = {one.comp_id: one for one in sessions}
        for session in self.sessions.values():
            if session.comp_id in given:
                session.update(given[session.comp_id], self._settings)
        unknown = sorted(given.keys() - self.sessions.keys())
        log.info("reloaded", needs_restart=unknown)

    # What an operator asks for; on the control socket's thread.

    def kick(self, comp_id: str) -> str:
        """End a session's connection; return what happened. Raises ControlRefused."""
        session = self.sessions.get(comp_id)
        if session is None:
            known = ", ".join(sorted(self.sessions)) or "none"
            raise ControlRefused(f"there is no market data session {comp_id}; there are {known}")
        connection = session.connection
        if connection is None:
            return f"{comp_id} was not logged on."
        connection.end(TEXT)
        if not session.life.free.wait(LOGOUT_WAIT_S):
            connection.link.cut()
            if not session.life.free.wait(CUT_WAIT_S):
                raise ControlRefused(f"{comp_id} was cut but has not ended; see the log")
        return f"{comp_id} was logged out."

    def announce(self, text: str) -> str:
        """Tell every session that is logged on by News(B); return to how many."""
        message = news(text, (), self._clock())
        told = sum(connection.send(message) for connection in self.connections())
        log.info("announced", text=text, sessions=told)
        return f"Announced to {told} market data sessions that are logged on."

    # From the door.

    def _take(
        self, passed: PassedLogon, client: socket.socket
    ) -> tuple[PassedAnswer, MarketConnection | None]:
        session = self.sessions.get(passed.comp_id)
        if session is None or self._inner is None or not session.settings.enabled:
            return PassedAnswer(UNAVAILABLE, "the session is not known or disabled"), None
        connection = MarketConnection(
            session, client, passed.address, self._dictionary, self._terms.service.slow_bytes
        )
        if not self._claim(session, connection):
            return PassedAnswer(BUSY), None
        session.handle(Event.PREPARE)
        try:
            if not let_go(session.id):
                raise HandOverError("QuickFIX has not let go of the last connection")
            self._make_ready(session, passed)
            sent_at = time_text(self._clock())
            whole, session.logon_due = stamped_logon(
                session.comp_id, self._settings.comp_id, 1, passed.heartbeat_s,
                1 if passed.expects_next else None, self._stamp, sent_at,
            )  # fmt: skip
            session.handover = self._inner.handover(client, bytes(passed.logon_bytes), whole)
        except (HandOverError, OSError) as error:
            session.handle(Event.GIVE_BACK, connection)
            log.warning("not_handed_over", session=session.comp_id, reason=str(error))
            return PassedAnswer(UNAVAILABLE, str(error)), None
        return PassedAnswer(TAKEN), connection

    @staticmethod
    def _claim(session: MarketSession, connection: MarketConnection) -> bool:
        """Take a session for a connection, a moment after its last one has ended."""
        last = session.connection
        if last is not None and not last.link.peer_has_left:
            if not session.life.free.wait(LEAVING_S) and not last.link.peer_has_left:
                return False
        return session.life.claim(connection) or (
            session.life.free.wait(FREE_WAIT_S) and session.life.claim(connection)
        )

    @staticmethod
    def _make_ready(session: MarketSession, passed: PassedLogon) -> None:
        """Begin the numbers again, once nothing of the last connection is on its way."""
        assert session.qf is not None
        with session.gate:
            session.qf.reset()
        session.confirms_reset = not passed.asks_reset
        session.expects_next = passed.expects_next
        session.heartbeat_s = passed.heartbeat_s
        session.qf.setSendNextExpectedMsgSeqNum(passed.expects_next)
        session.qf.logon()

    def _release(self, connection: MarketConnection) -> None:
        """Let QuickFIX read the Logon. Raises OSError when either side has gone."""
        session = connection.session
        session.handle(Event.HAND_OVER)
        assert session.handover is not None
        session.handover.start()

    # From QuickFIX's thread.

    def on_market_request(self, connection: MarketConnection, text: str) -> None:
        """Answer a request for market data."""
        self.service.request(connection, text)

    def on_security_list(self, connection: MarketConnection, query: SecurityListQuery) -> bool:
        """Queue a SecurityListRequest; return False where too many wait."""
        try:
            self._lists.put_nowait((connection, query))
        except queue.Full:
            return False
        return True

    def on_violation(self, connection: MarketConnection, text: str) -> None:
        """Log a session out with this text, from another thread: QuickFIX is about to send."""
        self.reception.call(lambda: connection.end(text))

    def on_end(self, connection: MarketConnection) -> None:
        """Forget a connection that has ended."""
        self.service.forget(connection)

    def _unnumbered(self, comp_id: str) -> None:
        """Log a session out that sent a message without MsgSeqNum, which QuickFIX only drops."""
        session = self.sessions.get(comp_id)
        if session is not None and session.live and session.connection is not None:
            session.connection.end(UNNUMBERED_TEXT)

    def _answer_lists(self) -> None:
        while True:
            connection, query = self._lists.get()
            try:
                # Who reads market data needs no dictionary of ours.
                answers = security_list(
                    self._asking, query, self.service.instruments, attributes=True
                )
            except EngineError as error:
                log.warning("request_not_answered", session=connection.name, reason=str(error))
                answers = [reject_query(query, "4", AGAIN_TEXT)]
            try:
                for answer in answers:
                    if not connection.send(addressed(answer, query.route)):
                        break
            except Exception:
                log.exception("answer_not_sent", session=connection.name)
