"""Reports to one session, handed to QuickFIX: in one piece by the bridge, or one by one.

A session's cursor (seq, event index, part) names the last message that QuickFIX has stored for it.
What is at or below it is skipped.
"""

from __future__ import annotations

from typing import Final

import structlog

from engine.client import Transaction
from fix_gateway.codec.message import envelope
from fix_gateway.codec.routing import OutMessage
from fix_gateway.quickfix_import import quickfix
from fix_gateway.runtime.faults import Faults
from fix_gateway.runtime.outbox import Outbox
from fix_gateway.session import holding
from fix_gateway.session.life import Phase
from fix_gateway.session.sender import Sender
from fix_gateway.session.session import Session
from fix_gateway.session.store import Cursor

log = structlog.get_logger()

Gathered = tuple[Transaction, list[OutMessage]]
"""A transaction, and what a session is told of it."""


class Handing:
    """Hands reports over. Whoever calls holds the session's gate."""

    def __init__(
        self,
        outbox: Outbox,
        dictionary: quickfix.DataDictionary,
        sender: Sender,
        faults: Faults | None,
    ) -> None:
        self._outbox = outbox
        self._dictionary = dictionary
        self._sender = sender
        self._faults = faults
        self.together: Final = sender.together and faults is None
        """A burst goes in one piece."""

    def send(self, session: Session, gathered: list[Gathered]) -> int:
        """Send the messages of transactions to a session.

        Return of how many transactions all is sent. The session was held before the end of the next
        one: it is to be taken up again.
        """
        if self.together:
            return self._send_together(session, gathered)
        for done, (transaction, found) in enumerate(gathered):
            if not self._send_each(session, transaction.seq, found):
                return done
        return len(gathered)

    def _send_together(self, session: Session, gathered: list[Gathered]) -> int:
        """Send by the bridge, in one piece; as ``send``."""
        place, life = session.delivery, session.life
        cursors: list[Cursor] = []
        texts: list[str] = []
        for transaction, found in gathered:
            seq = transaction.seq
            resend = "\x0197=Y" if seq <= place.repeats.until else ""
            for message in found:
                cursor = (seq, message.event_index, message.part)
                if cursor > place.cursor:
                    cursors.append(cursor)
                    texts.append(
                        envelope(f"{message.msg_type}{resend}\x01{message.header}{message.body}")
                    )
        done = 0
        while done < len(texts):
            if life.holds:
                break
            room = len(texts)
            if session.room < holding.ASK_BELOW:
                if not self._has_numbers(session):
                    break
                room = session.room - holding.KEPT_BACK
            some = texts[done : done + room]
            sent, whole = self._send_some(session, some, cursors[done : done + room])
            done += sent
            if not whole:
                break
        if done == len(texts):
            return len(gathered)
        first = cursors[done][0]
        return next(i for i, (transaction, _) in enumerate(gathered) if transaction.seq == first)

    def _send_some(
        self, session: Session, texts: list[str], cursors: list[Cursor]
    ) -> tuple[int, bool]:
        """Send texts in one piece; return how many are done with, and whether more can follow."""
        place = session.delivery
        try:
            sent, behind = self._sender.send_together(session, texts)
        except IndexError as error:
            # It can never be made: one report must not hold up all that follow.
            bad: int = error.args[0]
            if bad:
                return self._send_some(session, texts[:bad], cursors[:bad])
            log.error("report_not_made", session=session.comp_id, seq=cursors[0][0])
            place.cursor = place.told = cursors[0]
            return 1, True
        except Exception:
            log.exception("report_not_stored", session=session.comp_id, seq=cursors[0][0])
            sent = behind = 0
        arrived = sent
        if session.lost_from:
            arrived = min(sent, max(0, session.lost_from - (behind - sent)))
        if arrived:
            place.cursor = place.told = cursors[arrived - 1]
        if sent < len(texts) and not session.life.holds:  # Else it has just gone, which is why.
            log.error("report_not_stored", session=session.comp_id, seq=cursors[sent][0])
            session.store_failed()
        return arrived, arrived == len(texts)

    def _send_each(self, session: Session, seq: int, found: list[OutMessage]) -> bool:
        """Send a transaction's messages one by one; return False as ``send`` stops."""
        place, life = session.delivery, session.life
        for message in found:
            cursor = (seq, message.event_index, message.part)
            if cursor <= place.cursor:
                continue
            if life.holds or (self._faults is not None and self._faults.late(session, message)):
                return False
            if session.room < holding.ASK_BELOW and not self._has_numbers(session):
                return False
            if not self._store(session, message, seq):
                if not life.holds:  # Else it has just gone, which is why.
                    log.error("report_not_stored", session=session.comp_id, seq=seq)
                    session.store_failed()
                return False
            if session.lost_from and session.goes_nowhere(place.message):
                return False
            place.cursor = place.told = cursor
        return True

    def _store(self, session: Session, message: OutMessage, seq: int) -> bool:
        """Hand one message to QuickFIX, which stores it and sends it if it can.

        Returns False where it was not stored, and True where it can never be made: one report
        must not hold up all that follow.
        """
        resend = "\x0197=Y" if seq <= session.delivery.repeats.until else ""
        text = envelope(f"{message.msg_type}{resend}\x01{message.header}{message.body}")
        ready = session.delivery.message
        try:
            ready.setString(text, False, self._dictionary)
        except Exception:
            log.exception("report_not_made", session=session.comp_id, seq=seq)
            return True
        faults = self._faults
        try:
            if faults is None:
                return self._sender.send(session, ready, len(text))
            return faults.around(
                session, text, lambda: self._sender.send(session, ready, len(text))
            )
        except Exception:
            log.exception("report_not_stored", session=session.comp_id, seq=seq)
            return False

    def _has_numbers(self, session: Session) -> bool:
        """Ask for more of them in time; return False where too few are left."""
        if holding.wants_numbers(session):
            self._outbox.send_unretained(holding.asked(session))
            if session.phase is Phase.LIVE and not session.flow.probe:
                self._sender.probe(session)
        return session.room > holding.KEPT_BACK
