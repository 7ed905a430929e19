"""A checked client comes in: its session is claimed, made ready, and handed to QuickFIX.

Runs on the door's threads. Here alone do a session's numbers begin again, each time with a new
epoch that the engine has recorded before.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from engine.client import EngineClient, EngineError
from fix_gateway.door import logon_fields, logon_refusals
from fix_gateway.door.logon import Logon, Wishes, for_quickfix
from fix_gateway.door.refusals import TurnedAway
from fix_gateway.runtime.delivery import Delivery
from fix_gateway.runtime.housekeeping import Housekeeping
from fix_gateway.runtime.leadership import LOGON_TEXT, NO_LEADER
from fix_gateway.runtime.outbox import Outbox
from fix_gateway.session import holding
from fix_gateway.session.epochs import EpochError, begin_store, finish_epoch, start_epoch
from fix_gateway.session.handover import HandOverError, InnerListener, let_go
from fix_gateway.session.holding import NotHeld
from fix_gateway.session.life import Event, Hold
from fix_gateway.session.sender import Sender
from fix_gateway.session.session import Clock, Link, Session
from fix_gateway.settings import GatewaySettings

FREE_WAIT_S: Final = 1.0
UNANSWERED_WAIT_S: Final = 2.0
STORE_TEXT: Final = "its store cannot be written"


class Entrance:
    """Between the door and QuickFIX. Closed until ``inner`` is set, and from ``close`` on."""

    def __init__(
        self,
        settings: GatewaySettings,
        leaderless: Callable[[], bool],
        client: EngineClient,
        outbox: Outbox,
        delivery: Delivery,
        housekeeping: Housekeeping,
        sender: Sender,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._leaderless = leaderless
        self._turned_away: dict[str, tuple[int, int]] = {}
        """Of a session that was turned away without a leader: the number expected, and given."""
        self._client = client
        self._outbox = outbox
        self._delivery = delivery
        self._housekeeping = housekeeping
        self._sender = sender
        self._clock = clock
        self._stamp = secrets.token_hex(16)
        self._closed = False
        self.inner: InnerListener | None = None

    def dictionary(self) -> Path:
        """Write QuickFIX's own dictionary, with this process's stamp; return where it is.

        Raises OSError or ValueError.
        """
        stamped = self._settings.store / logon_fields.STAMPED
        logon_fields.write_stamped(
            self._settings.dictionary, stamped, self._stamp, logon_fields.MARKET_DATA_FIELDS
        )
        return stamped

    def close(self) -> None:
        """Let nobody else in."""
        self._closed = True

    def enter(self, session: Session, logon: Logon, wishes: Wishes, link: Link) -> str:
        """Hand a checked client to QuickFIX; return the reason where that cannot be, else "".

        Raises TurnedAway where the client is to be told the reason.
        """
        reason = self._objection(session, wishes)
        if reason:
            return reason
        if not self._claim(session, link):
            return "session is logged on already"
        handed_over = False
        try:
            self._delivery.pause(session, Event.PREPARE)
            reason = self._hand_over(session, logon, wishes, link, logon.raw)
            handed_over = not reason
        finally:
            if not handed_over:
                self.give_back(session, link)
        return reason

    def enter_again(self, session: Session, logon: Logon, wishes: Wishes, link: Link) -> str:
        """Hand a client over that begins its numbers again within its session; as ``enter``.

        The session must be claimed for it, and stays so where a reason is given.
        """
        reason = self._objection(session, wishes)
        if reason:
            return reason
        session.begin()
        session.reset_within = True
        return self._hand_over(session, logon, wishes, link, b"")

    def give_back(self, session: Session, link: Link) -> None:
        """Give a claimed session back, which nobody has then."""
        session.handle(Event.GIVE_BACK, link)
        self._housekeeping.wake()

    def _objection(self, session: Session, wishes: Wishes) -> str:
        """Return why nobody can come in; raises TurnedAway where the client may not."""
        if self._leaderless():
            if self._is_still_here(session, wishes):
                raise TurnedAway(LOGON_TEXT)
            return NO_LEADER
        if self._closed or not self._outbox.online or self.inner is None:
            return "the engine is not available"
        if Hold.STORE in session.life.holds:
            return STORE_TEXT
        objection = logon_refusals.objection(session, wishes)
        if objection:
            raise TurnedAway(objection)
        return ""

    def _is_still_here(self, session: Session, wishes: Wishes) -> bool:
        """Return whether a client was served nowhere else since it was here, by its own number.

        Without a leader nobody can say who holds a session now. A Logout under a number that
        another gateway has used would leave the client out of step.
        """
        if not session.held or session.qf is None:
            return False
        expected = session.qf.getExpectedTargetNum()
        known = self._turned_away.get(session.comp_id)
        if wishes.num != expected and known != (expected, wishes.num - 1):
            return False
        self._turned_away[session.comp_id] = expected, wishes.num
        return True

    def _hand_over(
        self, session: Session, logon: Logon, wishes: Wishes, link: Link, unread: bytes
    ) -> str:
        """Hand a claimed session's client over, on whose stream ``unread`` is taken off."""
        assert self.inner is not None
        try:
            granted, reason = self._prepare(session, wishes)
            if not reason:
                session.answer_num = 0
                whole, session.logon_due = for_quickfix(
                    logon, granted, self._stamp, self._clock()
                )
                session.hand_over(self.inner.handover(link.socket, unread, whole))
        except (EngineError, EpochError, HandOverError, NotHeld, OSError) as error:
            reason = str(error) or type(error).__name__
        return reason

    @staticmethod
    def _claim(session: Session, link: Link) -> bool:
        """Take a session for a connection, a moment after its last one has ended."""
        return session.claim(link) or (
            session.life.free.wait(FREE_WAIT_S) and session.claim(link)
        )

    def farewell(self, session: Session, link: Link, text: str) -> bytes:
        """Make the Logout for a client that is not let in, under the next number; b"" for none.

        A client counts what it gets. Were the number used again for the answer to its next
        Logon, it would take that for a repeat and never get in.
        """
        if self._closed or not self._claim(session, link):
            return b""
        try:
            return self.last_words(session, text)
        finally:
            session.handle(Event.GIVE_BACK, link)

    def last_words(self, session: Session, text: str) -> bytes:
        """Make the Logout of a claimed session's client, as ``farewell``."""
        return self._sender.farewell(session, text)

    def _prepare(self, session: Session, wishes: Wishes) -> tuple[Wishes, str]:
        """Bring the session into the state in which QuickFIX may see the Logon.

        Returns what is granted of the wishes, and the reason where it cannot be. Raises
        TurnedAway, EngineError and EpochError.
        """
        if not let_go(session.id):
            return wishes, "QuickFIX has not let go of the last connection"
        if self._settings.shared:
            self._hold(session)
        if session.answer_num and not session.store.holds_number(session.answer_num):
            # Its answer to the last Logon failed, and each further one would.
            with session.gate:
                if not self._delivery.reopen(session):
                    return wishes, STORE_TEXT
        settings = session.settings
        quickfix_session = session.qf
        assert quickfix_session is not None
        resets = wishes.reset or settings.reset_on_logon
        expected, sender = wishes.next_expected, quickfix_session.getExpectedSenderNum()
        if not resets and expected is not None and expected > sender:
            raise TurnedAway(
                f"NextExpectedMsgSeqNum(789) is {expected}; the next message here is {sender}"
            )
        session.scope = settings.cancel_on_disconnect if wishes.scope is None else wishes.scope
        grace_s = settings.grace_s if wishes.grace_s is None else wishes.grace_s
        session.grace_us = grace_s * 1_000_000
        session.heartbeat_s = wishes.heartbeat_s
        session.logout_received = False
        session.snapshot_wanted = wishes.snapshot
        session.flow.reset(time.monotonic())
        if session.throttle is not None:
            session.throttle.reset_patience()
        if resets:
            reason = self.reset(session, "141=Y" if wishes.reset else "reset of the store")
            if reason:
                return wishes, reason
            if self._settings.shared:
                self._reserve(session)
        elif session.rewind_to:
            quickfix_session.setNextTargetMsgSeqNum(session.rewind_to)
        session.rewind_to = 0
        # Numbers may also have begun again while the client was away, and it does not know.
        numbers = quickfix_session.getExpectedSenderNum(), quickfix_session.getExpectedTargetNum()
        unaware = numbers == (1, 1) and wishes.num > 1 and session.epoch > 1
        session.says_reset = resets or unaware
        session.confirms_reset = session.says_reset and not wishes.reset
        session.expects_next = expected is not None
        session.logon_num = 1 if session.says_reset else wishes.num
        quickfix_session.setSendNextExpectedMsgSeqNum(session.expects_next)
        quickfix_session.logon()
        if session.says_reset:
            # Whatever number the Logon came under, it is the first one now.
            wishes = replace(wishes, num=1, next_expected=None)
        return wishes, ""

    def _hold(self, session: Session) -> None:
        """Have a claimed session for this gateway, and numbers for it.

        Waits a moment where it is connected through another one. Raises NotHeld, EngineError,
        EpochError or OSError.
        """
        session.closed_elsewhere.clear()
        try:
            event, seq = holding.take(session, self._client)
        except holding.NotHeld:
            if not session.closed_elsewhere.wait(FREE_WAIT_S):
                raise
            event, seq = holding.take(session, self._client)
        if not session.held or event.term != session.term:
            holding.adopt(session, event, seq)
            self._delivery.taken(session)
            if event.reserved == 0:
                # Nobody knows which numbers were used, if any were.
                start_epoch(session, self._client, "store lost" if event.epoch else "first")
                with session.gate:
                    finish_epoch(session)
        self._reserve(session)

    def _reserve(self, session: Session) -> None:
        """See that a claimed session has numbers. Raises NotHeld or EngineError."""
        holding.count_room(session)
        if session.room < holding.ASK_BELOW:
            holding.reserve(session, self._client)

    def begin_again(self, session: Session, cause: str) -> str:
        """Begin a new epoch without a client; as ``reset``."""
        if self._settings.shared:
            try:
                self._hold(session)
            except holding.NotHeld as error:
                return str(error)
        return self.reset(session, cause)

    def reset(self, session: Session, cause: str) -> str:
        """Begin a new epoch: in the engine, in the store, in its mark; in this order.

        The session must be claimed. Returns the reason where that cannot be, else "". Raises
        EngineError or EpochError.
        """
        if not self._outbox.wait_done(session.source, UNANSWERED_WAIT_S):
            return "messages of the last epoch wait for the engine"
        # Held, so that delivery stays where it is; but never with the gate, which the thread
        # may want that brings the engine's answer.
        self._delivery.pause(session, Event.RESET_BEGINS)
        try:
            start_epoch(session, self._client, cause)
            with session.gate:
                try:
                    begin_store(session)
                except Exception as error:
                    # What is sent until then would be lost when the store does begin again.
                    session.store_failed()
                    raise EpochError(f"{STORE_TEXT}: {error}") from error
        finally:
            session.handle(Event.RESET_DONE)
            self._housekeeping.wake()
        return ""
