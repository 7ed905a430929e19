"""The gateway: door, QuickFIX, outbox, delivery and housekeeping, and how they meet.

``start`` waits for nobody but the engine; ``stop`` ends in order. Whatever happens between
the two may also end by kill -9.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

import structlog

from config.model import SessionSettings
from engine.client import EngineClient, EngineError, EngineRefused, GapTooOld, queries
from engine.core.commands import Command
from engine.core.instruments import Instrument
from engine.core.types import CancelScope
from fix_gateway import bridge, control
from fix_gateway.codec.requests import Query
from fix_gateway.codec.responses import news
from fix_gateway.door.gateways import Gateways
from fix_gateway.door.listener import FrontDoor
from fix_gateway.door.passage import Passage
from fix_gateway.door.side_door import SideDoor
from fix_gateway.logon_entry import Entrance
from fix_gateway.market_data.hosting import HostedMarketData, MarketDataTerms
from fix_gateway.quickfix_import import quickfix
from fix_gateway.runtime.callbacks import AWAY_TEXT, Application
from fix_gateway.runtime.delivery import Delivery
from fix_gateway.runtime.faults import Faults
from fix_gateway.runtime.housekeeping import Housekeeping
from fix_gateway.runtime.leadership import Leadership, telling
from fix_gateway.runtime.outbox import Outbox
from fix_gateway.runtime.quickfix_log import UNNUMBERED_TEXT, QuickfixLog
from fix_gateway.runtime.replay import HistoryRequests, open_history
from fix_gateway.runtime.request_worker import RequestWorker
from fix_gateway.session import holding
from fix_gateway.session.epochs import Start, restore
from fix_gateway.session.handover import INNER, InnerListener
from fix_gateway.session.life import Action, Event, Move, Phase
from fix_gateway.session.sender import Sender
from fix_gateway.session.session import Clock, Session, Sessions
from fix_gateway.session.store import read_state
from fix_gateway.session_messages import SessionMessages
from fix_gateway.session_reset import SessionResets
from fix_gateway.session_reset import read as read_logon
from fix_gateway.settings import GatewaySettings, quickfix_settings

log = structlog.get_logger()

LOGOUT_WAIT_S: Final = 2.0
FIRST_NUM: Final = 2
"""The number of a client's first message behind a Logon that began at 1."""
FLOOD_TEXT: Final = "Too many messages above the limit of this session; slow down and log on again"


def apart(
    sessions: Iterable[SessionSettings],
) -> tuple[list[SessionSettings], list[SessionSettings]]:
    """Return the sessions that the gateway serves, and those that it passes on."""
    every = list(sessions)
    return (
        [session for session in every if session.kind != "market_data"],
        [session for session in every if session.kind == "market_data"],
    )


class Gateway:
    """One gateway process. ``clock`` gives microseconds since 1970.

    ``on_failed`` is called when only a new process can go on.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        sessions: Iterable[SessionSettings],
        engine_socket: str,
        history_url: str,
        clock: Clock,
        on_failed: Callable[[], None],
        market_data: MarketDataTerms = MarketDataTerms(),  # noqa: B008 - it is immutable.
    ) -> None:
        if settings.shared:
            settings.store.mkdir(mode=0o700, parents=True, exist_ok=True)
            settings = replace(settings, holder=holding.holder_name(settings.store))
        self.settings = settings
        served, passed = apart(sessions)
        self.sessions = Sessions(settings, served)
        self._gateways = (
            Gateways(settings, self.sessions)
            if settings.number == 1 and settings.neighbours else None
        )  # fmt: skip
        self._passage = Passage(settings.passing_socket, settings.comp_id, passed, clock)
        self._engine_socket = engine_socket
        self._clock = clock
        self._on_failed = on_failed
        self._stopping = False
        self._instruments: dict[str, Instrument] = {}
        self._scales: dict[str, int] = {}
        self.outbox = Outbox(settings.unanswered_max, settings.stale_after_us, self._opened)
        self._client = EngineClient(
            engine_socket,
            f"fix_gateway:{settings.comp_id}",
            silence_s=settings.silence_s if settings.shared else 0.0,
            on_lost=self._lost,
            on_connected=lambda welcome: self.outbox.connected(),
        )
        dictionary = quickfix.DataDictionary(str(settings.dictionary))
        self._sender = Sender(dictionary, bridge.load())
        self.delivery = Delivery(
            self.sessions,
            self._instruments,
            self._scales,
            self.outbox,
            dictionary,
            self._sender,
            self._connect,
            Faults(settings.simulated_symbol) if settings.simulated_symbol else None,
        )
        self.market_data = HostedMarketData(
            market_data,
            lambda lost: self._connect("market_data", lost),
            lambda: open_history(history_url),
            clock,
            self._sender,
            dictionary,
        )
        self._housekeeping = Housekeeping(settings, self.sessions, self.delivery, self._sender)
        self._requests = RequestWorker(
            settings.requests_max,
            self._client,
            self._instruments,
            self._scales,
            self._sender,
            self.outbox,
            HistoryRequests(history_url, self._connect, self._instruments, self.delivery),
            clock,
        )
        told = telling(self.sessions, self._sender, clock, settings.stale_after_us)
        self._leadership = Leadership(self._client, told)
        self._entrance = Entrance(
            settings, lambda: self._leadership.missing, self._client, self.outbox, self.delivery,
            self._housekeeping, self._sender, clock,
        )  # fmt: skip
        self._messages = SessionMessages(self.sessions, self._passage.sessions)
        self._resets = SessionResets(settings, self._entrance, self.delivery)
        for session in self.sessions:
            session.gone = self._gone
        self.door: FrontDoor | None = None
        self._side_door: SideDoor | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Where clients connect; raises RuntimeError before ``start``."""
        if self.door is None:
            raise RuntimeError("the gateway is not started")
        return self.door.address

    # What an operator asks for; on the control socket's thread.

    def kick(self, comp_id: str) -> str:
        """End a session's connection; return what happened. Raises ControlRefused."""
        return control.kick(self.sessions, comp_id)

    def reset(self, comp_id: str) -> str:
        """Begin a session's numbers again; return what happened. Raises ControlRefused."""
        return control.reset(self.sessions, comp_id, self._entrance.begin_again)

    def announce(self, text: str) -> str:
        """Tell every session something by News(B); return to how many. Raises ControlRefused."""
        return control.announce(self.sessions, text, self._news)

    def messages(self, comp_id: str, cursor: str, limit: int) -> str:
        """Return what a session has sent and got, as JSON. Raises ControlRefused."""
        return self._messages.of(comp_id, cursor, limit)

    def elsewhere(self, comp_id: str) -> int:
        """Return the number of the other gateway of this machine that has a session, or 0."""
        session = self.sessions.by_comp_id.get(comp_id)
        if session is None or self._gateways is None:
            return 0
        number = self._gateways.home(session)
        return 0 if number == self.settings.number else number

    def _news(self, session: Session, text: str) -> bool:
        return self._sender.send_settled(session, news(text, (), self._clock()))

    # Start and stop.

    def connect(self) -> None:
        """Connect to the engine. Raises EngineUnavailable; may be called again."""
        self.outbox.start(self._client)
        self._client.connect()

    def start(self, inner_port: int, listener: socket.socket | None) -> None:
        """Restore every session and open the door, once connected. Raises EngineError.

        ``listener`` is bound to the public port; None where another gateway has that, and passes
        clients on. QuickFIX listens for a moment on
        ``inner_port``, which nobody else may use.
        """
        store = self.settings.store
        store.mkdir(mode=0o700, parents=True, exist_ok=True)
        assets = self._client.fetch(queries.Assets()).value
        self._scales.update({row.asset: row.scale for row in assets})
        instruments = self._client.fetch(queries.Instruments()).value
        self._instruments.update({instrument.symbol: instrument for instrument in instruments})
        last = read_state(store)
        starts = {s.comp_id: restore(s, self._client, last) for s in self.sessions}
        self._housekeeping.write(clean=False, synced=True)
        for session in self.sessions:
            target = starts[session.comp_id].target or session.store.numbers().target
            session.pending_requests.restore(session.epoch, target)
        self._start_quickfix(starts, inner_port)
        for session in self.sessions:
            self.delivery.pause(session, Event.START)
            if not session.held:
                self.delivery.pause(session, Event.ELSEWHERE)
            elif self.settings.shared:
                holding.count_room(session)
        self.delivery.update_sessions()
        self._subscribe()
        self._requests.start()
        self._housekeeping.start()
        if self.settings.shared:
            self._leadership.start()
        self.door = FrontDoor(
            self.settings, self.sessions, self._entrance.enter, self._entrance.farewell,
            self._clock, listener, self._passage, self._gateways,
        )  # fmt: skip
        self._resets.judge = self.door.within
        self.door.start()
        if listener is None:
            own = self.settings.neighbours[self.settings.number - 1]
            self._side_door = SideDoor(
                own.passing_socket, self.sessions, self.settings.logon_bytes_max, self.door.admit
            )
            self._side_door.start()

    def _start_quickfix(self, starts: dict[str, Start], port: int) -> None:
        every = [session.settings for session in self.sessions]
        config = quickfix_settings(self.settings, every, port, self._entrance.dictionary())
        application = Application(
            self.sessions, self.outbox, self._instruments, self._sender, self, self._clock
        )
        events = self._log = QuickfixLog(self._unnumbered, self.sessions.by_comp_id)
        events.start()
        self._messages.received = events.messages
        factory = None
        if self._sender.bridge is None:
            factory = quickfix.FileStoreFactory(config)
            self._acceptor = quickfix.SocketAcceptor(application, factory, config, events)
        else:
            self._acceptor = self._sender.bridge.acceptor(
                application, application.take, config, self.settings.store, events.server
            )
        # QuickFIX keeps plain pointers to these.
        self._kept = (config, application, factory, events)
        for session in self.sessions:
            session.qf = quickfix.Session.lookupSession(session.id)
            # Until the inner listener is ours nobody may log on.
            session.qf.logout("starting")
            sender, target = starts[session.comp_id]
            if sender:
                session.qf.setNextSenderMsgSeqNum(sender)
            if target:
                session.qf.setNextTargetMsgSeqNum(target)
        # On a thread of Python's own: for a foreign one the interpreter would make and drop a
        # thread state at every callback, which costs as much as the callback.
        threading.Thread(target=self._run_quickfix, name="quickfix", daemon=True).start()
        self._entrance.inner = InnerListener(port, self.settings.store / INNER)

    def _run_quickfix(self) -> None:
        """Run QuickFIX on this thread; it cannot be entered again once an exception has left it."""
        try:
            self._acceptor.block()
        except Exception:
            log.critical("quickfix_ended", exc_info=True)
            self._on_failed()

    def _subscribe(self) -> None:
        """Go on from the smallest cursor, or from the oldest transaction that there is."""
        held = [session for session in self.sessions if session.held]
        nothing = self._client.connect().seq if self.settings.shared else 1
        first = min((session.delivery.cursor[0] for session in held), default=nothing)
        self.delivery.position = first
        try:
            self._client.subscribe(max(1, first), self.delivery.on_transactions)
        except GapTooOld:
            oldest = self._client.connect().first_seq
            log.error("reports_lost", asked_from=first, oldest=oldest)
            self.delivery.position = oldest
            self._client.subscribe(oldest, self.delivery.on_transactions)

    def stop(self) -> None:
        """Let nobody in, log everybody out, bring everything to disk."""
        self._stopping = True
        self._leadership.stop()
        self._entrance.close()
        if self._side_door is not None:
            self._side_door.close()
        if self.door is not None:
            self.door.stop()
        self._resets.stop()
        live = [session for session in self.sessions if session.phase is not Phase.FREE]
        for session in live:
            if session.qf is not None:
                session.qf.logout("The gateway is stopping; log on again in a moment")
        deadline = time.monotonic() + LOGOUT_WAIT_S
        for session in live:
            session.life.free.wait(max(0.0, deadline - time.monotonic()))
            session.cut()
        self.market_data.stop()
        self._housekeeping.stop()
        self._housekeeping.write(clean=len(self.outbox) == 0, synced=True)
        if self._entrance.inner is not None:
            self._entrance.inner.close()

    def reload(self, sessions: Iterable[SessionSettings]) -> None:
        """Take changed credentials, limits and permissions of known sessions, live."""
        served, passed = apart(sessions)
        unknown = [*self.sessions.update(served), *self._passage.update(passed)]
        self.delivery.update_sessions()
        log.info("reloaded", needs_restart=unknown)

    # What QuickFIX's thread tells.

    def on_logon(self, session: Session) -> None:
        """Tell the engine that the session is there, and let its reports flow."""
        session.answer_num, session.logout_received = 0, False
        move = session.handle(Event.LOGGED_ON)
        self._carry_out(session, move)
        if move.phase is Phase.LIVE:
            if session.snapshot_wanted:
                self._requests.enqueue_snapshot(session)
            self._requests.resume(session)
            if session.reset_within and session.lost_input:
                self._housekeeping.ask(session, FIRST_NUM + 1)
        session.reset_within = False
        log.info("logged_on", session=session.comp_id, epoch=session.epoch)

    def on_logout(self, session: Session) -> None:
        """Take in the client's Logout: its orders may stay, and nothing more is stored for it where
        its next Logon empties its store."""
        if not session.settings.cancel_on_logout and not session.logout_sent_at:
            # Before it is answered, so that they stay whatever ends next.
            session.scope = CancelScope.NONE
            self.outbox.send_unretained(session.open_command())
        self.delivery.pause(session, Event.LOGOUT_READ)

    def on_disconnect(self, session: Session) -> None:
        """Tell the engine that the session has gone."""
        # Asked first: as soon as the session is free its next connection may change this.
        clean, reason = session.logout_received, session.disconnect_reason(time.monotonic())
        self.market_data.forget(session)
        move = session.handle(Event.LOGGED_OUT)
        if Action.CLOSE not in move.does:
            return  # The client stays: its numbers begin again.
        self.delivery.end_capture(session)
        self._carry_out(session, move)
        log.info("logged_out", session=session.comp_id, clean=clean, reason=reason)

    def _gone(self, session: Session) -> None:
        """Tell the engine that a session has gone; from any thread that ends one."""
        if not self._stopping:
            self.outbox.send_unretained(session.close_command())

    def on_test_response(self, session: Session) -> None:
        """Take in that the client has read on."""
        self._carry_out(session, session.handle(Event.READ))

    def _carry_out(self, session: Session, move: Move) -> None:
        """Do what follows from an event."""
        if Action.OPEN in move.does:
            self.outbox.send_unretained(session.open_command())
        if Action.RESUME in move.does:
            self._housekeeping.wake()

    def on_request(self, session: Session, query: Query, text: str) -> bool:
        """Queue a request for the thread that may wait for the engine."""
        return self._requests.enqueue(session, query, text)

    def on_market_request(self, session: Session, num: int, text: str) -> None:
        """Pass a request for market data on, and commit that this message is done with."""
        self.market_data.request(session, text)
        if num > session.last_num_applied:
            mark = session.mark_command(session.epoch, num, "answered by the gateway")
            self.outbox.send_unretained(mark)

    def on_overload(self, session: Session, num: int) -> None:
        """End a session for which too much waits; it sends the rest when it returns."""
        session.rewind_to = num
        log.warning("cut", session=session.comp_id, reason="the engine does not keep up")
        if session.qf is not None:
            session.qf.logout(AWAY_TEXT)

    def on_reset(self, session: Session, answer: quickfix.Message) -> bool:
        """Have the numbers of a session begin again, where its Logon asks for that."""
        message = self._log.message(session.comp_id)
        logon = read_logon(message, self.settings.logon_bytes_max)
        return logon is not None and self._resets.begin(session, logon, answer)

    def on_violation(self, session: Session, text: str) -> None:
        """Log a session out that has broken the rules, with this text."""
        log.warning("cut", session=session.comp_id, reason=text)
        if session.qf is not None:
            session.qf.logout(text)

    def on_gap(self, session: Session, up_to: int) -> None:
        """Ask for a gap as soon as the ResendRequest that came behind it is answered."""
        self._housekeeping.ask(session, up_to)

    def _unnumbered(self, comp_id: str) -> None:
        """Log a session out that sent a message without MsgSeqNum, which QuickFIX only drops."""
        session = self.sessions.by_comp_id.get(comp_id)
        if session is None or session.phase is not Phase.LIVE or session.logout_sent_at:
            return
        log.warning("cut", session=session.comp_id, reason=UNNUMBERED_TEXT)
        # Not by QuickFIX's logout: from another thread its own may see the order and not yet
        # the reason. The client's answer ends the connection, or housekeeping does.
        self._sender.admin(session, f"5\x0158={UNNUMBERED_TEXT}")

    def on_flood(self, session: Session) -> None:
        """Log a client out that is far above its limit and does not stop."""
        if session.qf is not None and session.qf.isEnabled():
            log.warning("cut", session=session.comp_id, reason="floods")
            session.qf.logout(FLOOD_TEXT)

    # The engine.

    def _opened(self) -> list[Command]:
        return [session.open_command() for session in self.sessions.live()]

    def _lost(self, error: EngineError) -> None:
        self.outbox.lost(error)
        if isinstance(error, EngineRefused):
            # The subscription cannot go on; a new process starts from the cursors.
            log.critical("subscription_lost", error=str(error))
            self._on_failed()

    def _connect(self, name: str, lost: Callable[[EngineError], None]) -> EngineClient:
        """Make a further client, for a subscription of its own."""
        return EngineClient(self._engine_socket, name, on_lost=lost)
