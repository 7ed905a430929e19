"""The gateway: door, QuickFIX, outbox, delivery and housekeeping, and how they meet.

``start`` waits for nobody but the engine; ``stop`` ends in order. Whatever happens between
the two may also end by kill -9.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Final

import quickfix
import structlog

from engine.client import EngineClient, EngineError, EngineRefused, GapTooOld
from engine.core.commands import Command
from engine.core.instruments import Instrument
from fix_gateway import control, forbidden
from fix_gateway.answers import news
from fix_gateway.application import AWAY_TEXT, Application, Events
from fix_gateway.delivery import Delivery
from fix_gateway.epochs import EpochError, Start, restore, start_epoch
from fix_gateway.flow import Sender
from fix_gateway.front_door import FrontDoor
from fix_gateway.handover import HandOverError, InnerListener
from fix_gateway.housekeeping import Housekeeping
from fix_gateway.logon import Logon
from fix_gateway.outbox import Outbox
from fix_gateway.past import Past
from fix_gateway.queries import Query
from fix_gateway.questions import Questions
from fix_gateway.sessions import Clock, Link, Phase, Session, Sessions
from fix_gateway.settings import GatewaySettings, SessionSettings, quickfix_settings
from fix_gateway.store import read_state

log = structlog.get_logger()

FREE_WAIT_S: Final = 1.0
REGISTERED_WAIT_S: Final = 2.0
UNANSWERED_WAIT_S: Final = 2.0
LOGOUT_WAIT_S: Final = 2.0
POLL_S: Final = 0.002
INNER: Final = "inner"
"""The folder, beside the stores, of the socket by which QuickFIX is reached."""
FLOOD_TEXT: Final = "Too many messages above the limit of this session; slow down and log on again"


class Gateway(Events):
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
    ) -> None:
        self.settings = settings
        self.sessions = Sessions(settings, sessions)
        self._engine_socket = engine_socket
        self._clock = clock
        self._on_failed = on_failed
        self._stopping = False
        self._instruments: dict[str, Instrument] = {}
        self._scales: dict[str, int] = {}
        self._outbox = Outbox(settings.unanswered_max, settings.stale_after_us, self._opened)
        self._client = EngineClient(
            engine_socket,
            f"fix_gateway:{settings.comp_id}",
            on_lost=self._lost,
            on_connected=lambda welcome: self._outbox.connected(),
        )
        self._dictionary = quickfix.DataDictionary(str(settings.dictionary))
        self._sender = Sender()
        self._delivery = Delivery(
            self.sessions,
            self._instruments,
            self._scales,
            self._outbox,
            self._dictionary,
            self._sender,
            self._connect,
        )
        self._sender.hold = self._delivery.hold
        self._sender.failed = self._delivery.store_failed
        self._housekeeping = Housekeeping(settings, self.sessions, self._delivery, self._sender)
        self._questions = Questions(
            settings.questions_max,
            self._client,
            self._instruments,
            self._scales,
            self._dictionary,
            self._sender,
            self._outbox,
            Past(history_url, self._connect, self._instruments, self._delivery),
            clock,
        )
        self._inner: InnerListener | None = None
        self._door: FrontDoor | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Where clients connect."""
        if self._door is None:
            raise RuntimeError("the gateway is not started")
        return self._door.address

    @property
    def position(self) -> int:
        """The last engine sequence that was taken up."""
        return self._delivery.position

    @property
    def waiting(self) -> int:
        """Commands that the engine has not confirmed."""
        return len(self._outbox)

    @property
    def engine_connected(self) -> bool:
        """Whether commands can be sent."""
        return self._outbox.online

    @property
    def admitted(self) -> int:
        """Logons that the door let in."""
        return self._door.admitted if self._door is not None else 0

    @property
    def refused(self) -> int:
        """Connections that the door turned away."""
        return self._door.refused if self._door is not None else 0

    # What an operator asks for; on the control socket's thread.

    def kick(self, comp_id: str) -> str:
        """End a session's connection; says what happened. Raises ControlRefused."""
        return control.kick(self.sessions, comp_id)

    def reset(self, comp_id: str) -> str:
        """Begin a session's numbers again; says what happened. Raises ControlRefused."""
        return control.reset(self.sessions, comp_id, self._reset)

    def announce(self, text: str) -> str:
        """Tell every session something by News(B); says to how many. Raises ControlRefused."""
        return control.announce(self.sessions, text, self._news)

    def _news(self, session: Session, text: str) -> bool:
        answer = news(text, (), self._clock())
        whole = f"8=FIX.4.4\x019=0\x0135={answer.msg_type}\x01{answer.body}10=000\x01"
        message = quickfix.Message(whole, self._dictionary, False)
        return self._sender.send_settled(session, message, len(whole))

    # Start and stop.

    def connect(self) -> None:
        """Connect to the engine. Raises EngineUnavailable; may be called again."""
        self._outbox.start(self._client)
        self._client.connect()

    def start(self, inner_port: int) -> None:
        """Restore every session and open the door, once connected. Raises EngineError.

        QuickFIX listens for a moment on ``inner_port``, which nobody else may use.
        """
        store = self.settings.store
        store.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._scales.update({row.asset: row.scale for row in self._client.assets()})
        self._instruments.update({i.symbol: i for i in self._client.instruments()})
        last = read_state(store)
        starts = {s.comp_id: restore(s, self._client, last) for s in self.sessions}
        self._housekeeping.write(clean=False, synced=True)
        for session in self.sessions:
            start = starts[session.comp_id]
            session.asked.restore(session.epoch, start.target or session.store.numbers().target)
        self._start_quickfix(starts, inner_port)
        for session in self.sessions:
            if session.settings.reset_on_logon:
                self._delivery.hold(session, "away")
        self._subscribe()
        self._questions.start()
        self._housekeeping.start()
        self._door = FrontDoor(self.settings, self.sessions, self._enter, self._clock)
        self._door.start()

    def _start_quickfix(self, starts: dict[str, Start], port: int) -> None:
        every = [session.settings for session in self.sessions]
        config = quickfix_settings(self.settings, every, port)
        application = Application(
            self.sessions, self._outbox, self._instruments, self._sender, self, self._clock
        )
        factory = quickfix.FileStoreFactory(config)
        self._acceptor = quickfix.SocketAcceptor(application, factory, config)
        # QuickFIX keeps plain pointers to these.
        self._kept = (config, application, factory)
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
        self._inner = InnerListener(port, self.settings.store / INNER)

    def _run_quickfix(self) -> None:
        """QuickFIX's thread. It cannot be entered again once an exception has left it."""
        try:
            self._acceptor.block()
        except Exception:
            log.critical("quickfix_ended", exc_info=True)
            self._on_failed()

    def _subscribe(self) -> None:
        """Go on from the smallest cursor, or from the oldest transaction that there is."""
        first = min(session.delivery.cursor[0] for session in self.sessions)
        self._delivery.position = first
        try:
            self._client.subscribe(max(1, first), self._delivery.on_transactions)
        except GapTooOld:
            oldest = self._client.connect().first_seq
            log.error("reports_lost", asked_from=first, oldest=oldest)
            self._delivery.position = oldest
            self._client.subscribe(oldest, self._delivery.on_transactions)

    def stop(self) -> None:
        """Let nobody in, log everybody out, bring everything to disk."""
        self._stopping = True
        if self._door is not None:
            self._door.stop()
        live = [session for session in self.sessions if session.phase is not Phase.FREE]
        for session in live:
            if session.qf is not None:
                session.qf.logout("The gateway is stopping; log on again in a moment")
        deadline = time.monotonic() + LOGOUT_WAIT_S
        for session in live:
            session.free.wait(max(0.0, deadline - time.monotonic()))
            session.cut()
        self._housekeeping.stop()
        self._housekeeping.write(clean=len(self._outbox) == 0, synced=True)
        if self._inner is not None:
            self._inner.close()

    def reload(self, sessions: Iterable[SessionSettings]) -> None:
        """Take changed credentials, limits and permissions of known sessions, live."""
        unknown = self.sessions.update(sessions)
        self._delivery.update_sessions()
        log.info("reloaded", needs_restart=unknown)

    # A client comes in; on the door's threads.

    def _enter(self, session: Session, logon: Logon, link: Link) -> str:
        """Hand a checked client to QuickFIX; gives the reason where that cannot be."""
        if self._stopping or not self._outbox.online or self._inner is None:
            return "the engine is not available"
        if "store" in session.delivery.reasons:
            return "its store cannot be written"
        if session.unanswered and not self._delivery.reopen_store(session):
            return "its store cannot be written"
        if not session.enter(link):
            if not session.free.wait(FREE_WAIT_S) or not session.enter(link):
                return "session is logged on already"
        reason = "not handed over"
        try:
            self._delivery.hold(session, "entering")
            reason = forbidden.objection(session, logon)
            if reason:
                forbidden.tell(session, link, reason, self._clock)
            else:
                reason = self._prepare(session, logon)
            if not reason:
                session.logon_due = logon.mark
                session.unanswered = True
                passage = self._inner.passage(link.socket, logon.raw)
                session.passage = passage
                passage.start()
        except (EngineError, EpochError, HandOverError, OSError) as error:
            reason = str(error) or type(error).__name__
        finally:
            if reason:
                session.leave(link)
                self._housekeeping.release(session, "entering")
        return reason

    def _prepare(self, session: Session, logon: Logon) -> str:
        """Bring the session into the state in which QuickFIX may see the Logon."""
        deadline = time.monotonic() + REGISTERED_WAIT_S
        while quickfix.Session.isSessionRegistered(session.id):
            # QuickFIX lets go of a connection a moment after it has told us of its end.
            if time.monotonic() > deadline:
                return "QuickFIX has not let go of the last connection"
            time.sleep(POLL_S)
        settings = session.settings
        session.scope = settings.scope if logon.scope is None else logon.scope
        grace_s = logon.grace_s
        session.grace_us = settings.grace_us if grace_s is None else grace_s * 1_000_000
        session.heartbeat_s = logon.heartbeat_s
        session.logout_received = False
        session.snapshot_wanted = logon.fields.get("20006") == "Y"
        session.flow.reset(time.monotonic())
        if session.throttle is not None:
            session.throttle.forgive()
        quickfix_session = session.qf
        assert quickfix_session is not None
        if logon.reset or settings.reset_on_logon or session.store_wiped:
            reason = self._reset(session, "141=Y" if logon.reset else "reset of the store")
            if reason:
                return reason
        elif session.rewind_to:
            quickfix_session.setNextTargetMsgSeqNum(session.rewind_to)
        session.rewind_to = 0
        quickfix_session.logon()
        return ""

    def _reset(self, session: Session, cause: str) -> str:
        """Begin a new epoch: in the engine, in the store, in its mark; in this order."""
        deadline = time.monotonic() + UNANSWERED_WAIT_S
        while self._outbox.waiting_of(session.source):
            if time.monotonic() > deadline:
                return "messages of the last epoch wait for the engine"
            time.sleep(POLL_S)
        # Held, so that delivery stays where it is; but never with the gate, which the thread
        # may want that brings the engine's answer.
        self._delivery.hold(session, "epoch")
        try:
            start_epoch(session, self._client, cause)
            with session.gate:
                if session.qf is not None:
                    session.qf.reset()
                session.store.set_epoch(session.epoch)
                session.delivery.repeat_until = 0
                session.store_wiped = False
        finally:
            self._housekeeping.release(session, "epoch")
        return ""

    # What QuickFIX's thread tells.

    def logged_on(self, session: Session) -> None:
        """The session is there: tell the engine, and let its reports flow."""
        session.unanswered = False
        session.logged_on()
        self._outbox.notify(session.open_command())
        self._housekeeping.release(session, "entering")
        self._housekeeping.release(session, "away")
        if session.snapshot_wanted:
            self._questions.ask_snapshot(session)
        self._questions.resume(session)
        log.info("logged_on", session=session.comp_id, epoch=session.epoch)

    def leaving(self, session: Session) -> None:
        """Store nothing from here on for a session whose next Logon empties its store."""
        if session.settings.reset_on_logon:
            self._delivery.hold(session, "away")

    def logged_out(self, session: Session) -> None:
        """The session has gone."""
        session.leave()
        self._delivery.end_capture(session)
        if session.settings.reset_on_logon:
            # QuickFIX drops what is sent while both numbers are 1.
            session.delivery.reasons.add("away")
            session.delivery.held = True
        if not self._stopping:
            self._outbox.notify(session.close_command())
        log.info(
            "logged_out", session=session.comp_id, clean=session.logout_received,
            reason=session.why_ended(time.monotonic()),
        )  # fmt: skip

    def answered(self, session: Session) -> None:
        """The client has read on."""
        if "unread" in session.delivery.reasons:
            self._housekeeping.release(session, "unread")

    def asked(self, session: Session, query: Query, text: str) -> bool:
        """Queue a question for the thread that may wait for the engine."""
        return self._questions.ask(session, query, text)

    def overloaded(self, session: Session, num: int) -> None:
        """Too much waits for the engine: end the session; it sends the rest when it returns."""
        session.rewind_to = num
        log.warning("cut", session=session.comp_id, reason="the engine does not keep up")
        if session.qf is not None:
            session.qf.logout(AWAY_TEXT)

    def flooding(self, session: Session) -> None:
        """A client is far above its limit and does not stop: log it out."""
        if session.qf is not None and session.qf.isEnabled():
            log.warning("cut", session=session.comp_id, reason="floods")
            session.qf.logout(FLOOD_TEXT)

    # The engine.

    def _opened(self) -> list[Command]:
        return [session.open_command() for session in self.sessions.live()]

    def _lost(self, error: EngineError) -> None:
        self._outbox.lost(error)
        if isinstance(error, EngineRefused):
            # The subscription cannot go on; a new process starts from the cursors.
            log.critical("subscription_lost", error=str(error))
            self._on_failed()

    def _connect(self, name: str, lost: Callable[[EngineError], None]) -> EngineClient:
        """A further client, for a subscription of its own."""
        return EngineClient(self._engine_socket, name, on_lost=lost)
