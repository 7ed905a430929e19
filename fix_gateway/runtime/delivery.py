"""From committed transactions to messages on FIX sessions: each exactly once.

The engine's subscription calls ``on_transactions`` on its reader thread, and the messages are
sent from there. A session's cursor (seq, event index, part) names the last message that
QuickFIX has stored for it; the same three numbers are in the message itself, as tags 20001,
20002 and 20007, so that after a crash the store tells where to go on. What is at or below
the cursor is skipped.

A session may be held for a while (its Logon is under way, it leaves too much unread, its
store cannot be written). Then transactions wait in a bounded backlog, and beyond that the
session catches up through a subscription of its own.
"""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable
from typing import Final

import structlog

from engine.client import EngineClient, EngineError, EngineRefused, GapTooOld, Transaction
from engine.core.commands import DefineAsset, DefineInstrument
from engine.core.events import AssetDefined, InstrumentDefined
from engine.core.instruments import Instrument, defined_instrument
from fix_gateway.codec.requests import NotAvailable, TradesQuery
from fix_gateway.codec.routing import OutMessage, Router, messages
from fix_gateway.quickfix_import import quickfix
from fix_gateway.runtime.burst import TOGETHER_MAX, Burst
from fix_gateway.runtime.faults import Faults
from fix_gateway.runtime.handing import Gathered, Handing
from fix_gateway.runtime.outbox import Outbox
from fix_gateway.runtime.store_recovery import reopen
from fix_gateway.runtime.trade_capture import CAPTURES_MAX, Capture, captured
from fix_gateway.session import holding
from fix_gateway.session.life import Event, Phase, Progress, Step
from fix_gateway.session.sender import Sender
from fix_gateway.session.session import Session, Sessions
from fix_gateway.session.store import LAST_INDEX

log = structlog.get_logger()

DRAIN_STEP: Final = 100
"""Held transactions sent before others get a turn at the session's gate."""

PLACE: Final = operator.attrgetter("event_index", "part")
_DEFINITIONS: Final = frozenset((DefineAsset, DefineInstrument))
Connect = Callable[[str, Callable[[EngineError], None]], EngineClient]


class Delivery:
    """Routes transactions to sessions. ``position`` is the last seq taken up.

    It is set before the transaction is routed: everything below it has reached every session
    that is in step. ``connect`` makes a client for a session that catches up by itself.
    """

    def __init__(
        self,
        sessions: Sessions,
        instruments: dict[str, Instrument],
        scales: dict[str, int],
        outbox: Outbox,
        dictionary: quickfix.DataDictionary,
        sender: Sender,
        connect: Connect,
        faults: Faults | None = None,
    ) -> None:
        self._sessions = sessions
        self._instruments = instruments
        self._scales = scales
        self._outbox = outbox
        self._sender = sender
        self._handing = Handing(outbox, dictionary, sender, faults)
        self._connect = connect
        self._catching_up: dict[str, threading.Event] = {}
        self._burst = Burst()
        self._gathered: dict[str, list[Gathered]] = {}
        """By the source of a session: what it is told of the last transactions."""
        self._gathered_count = 0
        self._gathered_from = 0
        """The first transaction of which something may not be delivered yet, 0 if there is none."""
        self._routing = threading.Lock()
        self._routed_to = 0
        self._capturing: dict[str, dict[str, Capture]] = {}
        self.position = 0
        self.update_sessions()

    def update_sessions(self) -> None:
        """Take in changed settings of the sessions."""
        self._router = Router(session.context for session in self._sessions if session.held)

    def on_transactions(self, batch: list[Transaction]) -> None:
        """Deliver what the engine has committed; the subscription's callback."""
        for transaction in batch:
            if not self._gathered_from:
                self._gathered_from = transaction.seq
            self.position = transaction.seq
            try:
                self._take(transaction)
            except Exception:
                # An exception would end the reader thread, and with it every session.
                log.exception("delivery_failed", seq=transaction.seq)
            if self._gathered_count >= TOGETHER_MAX:
                self._deliver_gathered()
        self._deliver_gathered()
        self._burst.end()
        self._outbox.flush()

    def _take(self, transaction: Transaction) -> None:
        sources = self._sessions.by_source
        origin = transaction.command.origin
        if origin.num:
            session = sources.get(origin.source)
            if session is not None:
                with session.gate:
                    if origin.epoch == session.epoch:
                        session.last_num_applied = max(session.last_num_applied, origin.num)
            self._outbox.done(origin)
        if type(transaction.command) in holding.COMMANDS:
            self._deliver_gathered()
            self._gathered_from = transaction.seq
            self._follow_holders(transaction)
        self._learn(transaction)
        with self._routing:
            routed = list(self._routed(transaction).items())
            self._routed_to = transaction.seq
        for source, found in routed:
            self._gathered.setdefault(source, []).append((transaction, found))
            self._gathered_count += len(found)

    def _deliver_gathered(self) -> None:
        """Deliver what was gathered of the last transactions, each session's in one piece."""
        routed = list(self._gathered.items())
        self._gathered.clear()
        self._gathered_count = 0
        sources = self._sessions.by_source
        if len(routed) > 1:
            # Who is away comes first: when somebody hears of a trade, it is stored for the others.
            routed.sort(key=lambda item: sources[item[0]].phase is not Phase.FREE)
        for source, gathered in routed:
            try:
                self._deliver(sources[source], gathered)
            except Exception:
                log.exception("delivery_failed", session=source, seq=gathered[0][0].seq)
        self._gathered_from = 0

    @property
    def _reached(self) -> int:
        """The seq up to which everything has reached every session that is in step."""
        position = self.position  # Read first: what is gathered meanwhile begins behind it.
        return min(position, self._gathered_from or position) - 1

    def _routed(self, transaction: Transaction) -> dict[str, list[OutMessage]]:
        """Return the messages of a transaction by the source of their session."""
        try:
            pairs = self._router.deliveries(transaction, self._instruments)
        except Exception:
            # One report that cannot be made must not silence the whole venue.
            log.exception("reports_not_made", seq=transaction.seq)
            return {}
        routed: dict[str, list[OutMessage]] = {}
        for source, message in pairs:
            routed.setdefault(source, []).append(message)
        for source in self._capturing:
            more = self._captured(source, transaction)
            if more:
                routed[source] = sorted(routed.get(source, []) + more, key=PLACE)
        return routed

    def _captured(self, source: str, transaction: Transaction) -> list[OutMessage]:
        """Return what a session's subscriptions to trade capture have of a transaction."""
        captures = self._capturing.get(source)
        if not captures:
            return []
        try:
            return captured(transaction, list(captures.values()), self._instruments)
        except Exception:
            log.exception("reports_not_made", seq=transaction.seq)
            return []

    # Other gateways.

    def _follow_holders(self, transaction: Transaction) -> None:
        """Take in who holds a session now, and which numbers we may use."""
        session = self._sessions.by_source.get(transaction.command.origin.source)
        if session is not None and holding.follow(session, transaction):
            self._outbox.forget(session.source)
            self.taken(session)

    def taken(self, session: Session) -> None:
        """Take in that we have, or another gateway has, taken a session; nothing goes on."""
        running = self._catching_up.get(session.source)
        if running is not None:
            running.set()
        self.update_sessions()

    def keep_numbers(self, session: Session, now: float) -> None:
        """Reserve numbers in time, and record what the client has (from housekeeping)."""
        if holding.due(session, now, self.in_step_to(session)):
            ahead = session.phase is Phase.LIVE
            self._outbox.send_unretained(holding.asked(session, ahead))
        if holding.unsure(session, now):
            self._sender.probe(session)

    # Trade capture.

    def capture(self, session: Session, query: TradesQuery) -> int:
        """Begin to report later fills; return the seq after which they are later.

        What is up to that seq is the history's to tell. Raises NotAvailable.
        """
        accounts = frozenset((query.account,)) if query.account else session.settings.accounts
        with self._routing:
            known = self._capturing.get(session.source, {})
            if query.request_id in known:
                raise NotAvailable(f"TradeRequestID(568) {query.request_id} is subscribed already")
            if len(known) >= CAPTURES_MAX:
                raise NotAvailable(
                    f"A session has at most {CAPTURES_MAX} subscriptions; end one with "
                    "SubscriptionRequestType(263)=2"
                )
            if session.phase is not Phase.LIVE:
                raise NotAvailable("The session has left meanwhile")
            made = Capture(query, accounts, self._routed_to)
            # Never changed in place: the other side may be going through it.
            self._capturing[session.source] = known | {query.request_id: made}
            return made.after_seq

    def end_capture(self, session: Session, request_id: str = "") -> bool:
        """End one subscription, or all that a session has; return False when there was none."""
        with self._routing:
            known = dict(self._capturing.get(session.source, {}))
            found = bool(known.pop(request_id, None) if request_id else known)
            if request_id and known:
                self._capturing[session.source] = known
            elif found:
                self._capturing.pop(session.source, None)
            return found

    def _learn(self, transaction: Transaction) -> None:
        """Take in assets and instruments that are defined while we run."""
        if type(transaction.command) in _DEFINITIONS:
            for event in transaction.events:
                if isinstance(event, AssetDefined):
                    self._scales[event.asset] = event.scale
                elif isinstance(event, InstrumentDefined):
                    self._instruments[event.symbol] = defined_instrument(event, self._scales)

    def _deliver(self, session: Session, gathered: list[Gathered]) -> None:
        place, life = session.delivery, session.life
        with session.gate:
            done = 0
            if life.progress is Progress.IN_STEP:
                if not self._handing.together:
                    self._burst.add(session, sum(len(found) for _, found in gathered))
                done = self._handing.send(session, gathered)
                if done < len(gathered):
                    self._stop(session)
            for transaction, _ in gathered[done:]:
                if life.progress is Progress.LAGGING:
                    return
                if len(place.backlog) >= session.gateway.held_transactions_max:
                    place.backlog.clear()
                    life.advance(Step.OVERFLOW)
                else:
                    place.backlog.append(transaction)

    def _send_again(self, session: Session, transaction: Transaction) -> bool:
        """Send what a held transaction means to one session; the gate is held."""
        try:
            found = messages(transaction, session.context, self._instruments)
            more = self._captured(session.source, transaction)
            found = sorted(found + more, key=PLACE) if more else found
        except Exception:
            log.exception("reports_not_made", session=session.comp_id, seq=transaction.seq)
            return True
        return self._handing.send(session, [(transaction, found)]) == 1

    # Pausing and resuming.

    def reopen_store(self, session: Session) -> bool:
        """Open the store of a session that is away; return False while it cannot be written."""
        with session.gate:
            return session.phase is Phase.FREE and self.reopen(session)

    def reopen(self, session: Session) -> bool:
        """Open a session's store; return False while it cannot be written. The gate is held.

        What the store holds has been delivered, even if QuickFIX failed after it was written:
        a resend brings it. What is missing in it is sent once more, marked as such.
        """
        place, life = session.delivery, session.life
        self._stop(session)
        lost = reopen(session, self.position)
        if lost is None:
            return False
        if not lost:
            place.cursor = max(place.cursor, session.stored_cursor())
        elif life.progress is Progress.BEHIND:
            # The backlog begins later than what is sent once more.
            place.backlog.clear()
            life.advance(Step.OVERFLOW)
        return True

    def pause(self, session: Session, event: Event) -> None:
        """Take in an event that may hold delivery. If it does, nothing is under way on return.

        Raises OutOfOrder.
        """
        session.handle(event)
        if session.life.holds:
            with session.gate:
                self._stop(session)

    def _stop(self, session: Session) -> None:
        """Keep the place where delivery is; the gate is held."""
        if session.life.progress is Progress.IN_STEP:
            session.life.advance(Step.STOP)
            session.delivery.done_to(self._reached)

    def resume(self, session: Session) -> None:
        """Go on with delivery, here and now, unless something holds it.

        Must not be called from a callback of QuickFIX or of a client.
        """
        while self._drain(session):
            continue

    def _drain(self, session: Session) -> bool:
        """Send some of the backlog; return True while there may be more."""
        place, life = session.delivery, session.life
        with session.gate:
            if life.holds or life.progress is Progress.IN_STEP:
                return False
            if life.progress is Progress.LAGGING:
                self._catch_up(session)
                return False
            for _ in range(DRAIN_STEP):
                if not place.backlog:
                    life.advance(Step.CATCH_UP)
                    return False
                if not self._send_again(session, place.backlog[0]):
                    return False
                place.backlog.popleft()
            return True

    # Catching up.

    def _catch_up(self, session: Session) -> None:
        """Subscribe for one session from its cursor; the gate is held."""
        if session.source in self._catching_up:
            return
        finished = self._catching_up[session.source] = threading.Event()
        threading.Thread(
            target=self._run_catch_up, args=(session, finished), name=f"catch-up-{session.comp_id}",
            daemon=True,
        ).start()  # fmt: skip

    def _run_catch_up(self, session: Session, finished: threading.Event) -> None:
        place, life = session.delivery, session.life

        def lost(error: EngineError) -> None:
            log.warning("catch_up_lost", session=session.comp_id, error=str(error))
            finished.set()

        def take(batch: list[Transaction]) -> None:
            for transaction in batch:
                with session.gate:
                    if finished.is_set():
                        return
                    if life.holds:
                        finished.set()
                        return
                    if not self._send_again(session, transaction):
                        finished.set()
                        return
                    if transaction.seq >= self.position:
                        place.done_to(transaction.seq)
                        place.backlog.clear()
                        life.advance(Step.CATCH_UP)
                        finished.set()
                        return

        client = self._connect(f"fix-catch-up-{session.comp_id}", lost)
        try:
            client.subscribe(max(1, place.cursor[0]), take)
            finished.wait()
        except GapTooOld:
            # Archived meanwhile: what is left is still worth having, ReplayRequest tells
            # nothing more, and the client must compare with the account API.
            oldest = client.connect().first_seq
            log.error("reports_lost", session=session.comp_id, oldest=oldest)
            with session.gate:
                place.done_to(oldest - 1)
        except EngineRefused as error:
            log.error("catch_up_refused", session=session.comp_id, error=str(error))
        except EngineError as error:
            log.warning("catch_up_lost", session=session.comp_id, error=str(error))
        finally:
            del self._catching_up[session.source]
            client.close()

    def retry(self) -> None:
        """Go on where nothing holds a session but it is not in step (from housekeeping)."""
        for session in self._sessions:
            life = session.life
            waits = life.progress is not Progress.IN_STEP and not life.holds
            if waits and session.source not in self._catching_up:
                self.resume(session)

    def in_step_to(self, session: Session) -> int:
        """Return the seq up to which a session has everything, for the state file."""
        with session.gate:
            place = session.delivery
            if session.life.progress is Progress.IN_STEP:
                place.done_to(self._reached)
            seq, index, _ = place.cursor
            return seq if index == LAST_INDEX else seq - 1
