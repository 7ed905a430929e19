"""A client begins its numbers again within its session, by a Logon with ResetSeqNumFlag(141)=Y.

FIX 4.4, volume 2, Logon: so that venues which never close need no disconnect. The connection stays,
and QuickFIX is the one that leaves it: it would begin the numbers before it has verified anything,
and keeps messages of the old numbers that it would take for new ones. So the Logon makes a
round like one at the door:

1. On QuickFIX's thread, as it rejects the Logon (decision 22), its connection is exchanged for an
   end of a pair of sockets of our own. From there on the session is ``RESETTING``: nothing is
   delivered, and nothing that comes is taken.
2. What QuickFIX had still to send is passed on to the client, up to its answer to the Logon,
   which the client does not get. Then QuickFIX sees the end of its connection, forgets everything
   of it, and the session is ``CLAIMED``.
3. The Logon is judged as at the door. A Logout tells what is wrong with it, and the numbers are
   what they were. If nothing is, the engine records a new epoch, the store begins again, and
   QuickFIX is handed the client's connection once more, and answers.

What the client sent behind its Logon, in one piece with it, nobody takes. It has a number
of the new epoch, and is asked for again with ResendRequest(2). The engine hears of no disconnect.
"""

from __future__ import annotations

import secrets
import select
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import structlog

from fix_gateway.door import logon as logons
from fix_gateway.door.logon import Logon, LogonError
from fix_gateway.door.refusals import TurnedAway
from fix_gateway.door.second_logon import SecondLogons
from fix_gateway.logon_entry import Entrance
from fix_gateway.quickfix_import import quickfix
from fix_gateway.runtime.delivery import Delivery
from fix_gateway.session.handover import let_go
from fix_gateway.session.life import Event, Phase
from fix_gateway.session.session import Link, Session
from fix_gateway.settings import BEGIN_STRING, GatewaySettings

log = structlog.get_logger()

THREADS: Final = 2
"""A password takes tens of milliseconds, and a few dozen megabytes, to verify."""
PASSED_ON_S: Final = 5.0
"""How long a client may take to read what was sent to it before its Logon came."""
FAREWELL_S: Final = 1.0
BLOCK_BYTES: Final = 1 << 16
_BEGIN: Final = f"8={BEGIN_STRING}\x019=".encode("ascii")
GONE: Final = "the connection has ended"
SECOND_TEXT: Final = "a second Logon came before the first one was answered"


class SessionResets:
    """Begins a session's numbers again; ``begin`` is for QuickFIX's thread, the rest for others.

    ``judge`` is there before the first client is.
    """

    def __init__(self, settings: GatewaySettings, entrance: Entrance, delivery: Delivery) -> None:
        self._settings = settings
        self._entrance = entrance
        self._delivery = delivery
        self._pool = ThreadPoolExecutor(THREADS, "fix-reset")
        self.judge: SecondLogons | None = None

    def stop(self) -> None:
        """Begin no more numbers again."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def begin(self, session: Session, logon: Logon, answer: quickfix.Message) -> bool:
        """Take in a Logon within a live session; return False where that cannot be now.

        ``answer`` is QuickFIX's to it, under its lock. It becomes a Heartbeat, which ends what the
        client gets, and which it does not get.
        """
        handover, link = session.handover, session.link
        if handover is None or link is None or session.qf is None:
            return False
        num = int(answer.getHeader().getField(34))
        expected = session.qf.getExpectedTargetNum()
        # In this order: who has looked at the holds and sends now gets a number behind ``num``.
        session.lost_input = session.second_logon = False
        session.lost_from = num
        session.handle(Event.RESET_ASKED)
        try:
            ours = handover.take_back()
        except OSError as error:
            log.error("cut", session=session.comp_id, reason=f"no reset: {error}")
            ours = None
            link.cut()
        mark = f"TANDEM-{secrets.token_hex(8)}"
        for tag in (45, 58, 371, 372, 373):
            answer.removeField(tag)
        answer.getHeader().setField(quickfix.StringField(35, "0"))
        answer.setField(quickfix.StringField(112, mark))
        self._pool.submit(
            self._guarded, _Reset(session, logon, link, ours, num, expected, mark.encode())
        )
        return True

    def _guarded(self, reset: _Reset) -> None:
        try:
            self._run(reset)
        except Exception:
            log.exception("reset_failed", session=reset.session.comp_id)
            reset.link.cut()

    def _run(self, reset: _Reset) -> None:
        session, link = reset.session, reset.link
        reason = reset.pass_on()
        while not let_go(session.id):
            log.warning("reset_waits", session=session.comp_id, reason="QuickFIX has not let go")
        # QuickFIX has, so the session is claimed. From here on it is ours.
        self._delivery.pause(session, Event.PREPARE)
        self._restore(reset)
        try:
            reason = reason or self._judge_and_enter(reset)
        except TurnedAway as turned_away:
            reason = str(turned_away)
        except Exception as error:
            log.exception("reset_failed", session=session.comp_id)
            reason = f"The venue failed to handle this Logon: {type(error).__name__}"
        if reason:
            self._refuse(reset, reason)
        else:
            log.info("numbers_begin_again", session=session.comp_id, epoch=session.epoch)
            self._await_answer(session, link)

    def _restore(self, reset: _Reset) -> None:
        """Give the numbers back that QuickFIX has used since, which nobody has seen."""
        session = reset.session
        with session.gate:
            assert session.qf is not None
            session.qf.setNextSenderMsgSeqNum(reset.num)
            session.qf.setNextTargetMsgSeqNum(reset.expected)
            session.lost_from = session.rewind_to = 0

    def _judge_and_enter(self, reset: _Reset) -> str:
        session, link, logon = reset.session, reset.link, reset.logon
        assert self.judge is not None
        if link.peer_has_left:
            return GONE
        if session.second_logon:
            return SECOND_TEXT
        fault = self.judge.fault(session, link.address, logon)
        if fault:
            return fault
        return self._entrance.enter_again(session, logon, logons.read(logon), link)

    def _refuse(self, reset: _Reset, reason: str) -> None:
        """Tell the client why its Logon is not taken, and end its session."""
        session, link = reset.session, reset.link
        log.warning("cut", session=session.comp_id, reason=reason)
        try:
            if session.phase is Phase.CLAIMED and not link.peer_has_left:
                link.socket.send(self._entrance.last_words(session, reset.words(reason)))
            link.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # The client has gone.
        finally:
            self._entrance.give_back(session, link)
        later = threading.Timer(FAREWELL_S, link.cut)
        later.daemon = True
        later.start()

    def _await_answer(self, session: Session, link: Link) -> None:
        """Cut a client whose Logon QuickFIX does not answer in time."""
        while not session.life.settled.wait(self._settings.logon_timeout_s):
            if session.link is not link or session.undecided:
                continue
            log.warning("cut", session=session.comp_id, reason="Logon was not answered")
            link.cut()
            if link.ended.wait(FAREWELL_S):
                session.handle(Event.DISCONNECTED, link)


class _Reset:
    """One client on its way; ``num`` and ``expected`` are the numbers that the Logon has met."""

    def __init__(
        self,
        session: Session,
        logon: Logon,
        link: Link,
        ours: socket.socket | None,
        num: int,
        expected: int,
        mark: bytes,
    ) -> None:
        self.session = session
        self.logon = logon
        self.link = link
        self.num = num
        self.expected = expected
        self._ours = ours
        self._epoch = session.epoch
        self._end = b"\x01112=%s\x01" % mark

    def pass_on(self) -> str:
        """Pass on to the client what QuickFIX had still to send; say why not, "" if all is well.

        Afterwards QuickFIX has no connection.
        """
        if self._ours is None:
            return GONE
        with self._ours as ours:
            deadline = time.monotonic() + PASSED_ON_S
            sent = b""
            while (end := sent.find(self._end)) < 0:
                ours.settimeout(max(0.001, deadline - time.monotonic()))
                try:
                    block = ours.recv(BLOCK_BYTES)
                except TimeoutError:
                    block = b""
                if not block:
                    self.link.cut()
                    return GONE
                sent += block
            return "" if self._send(sent[: sent.rfind(_BEGIN, 0, end)], deadline) else GONE

    def _send(self, data: bytes, deadline: float) -> bool:
        """Send to the client; False where it does not read in time, or has gone."""
        poller = select.poll()
        view = memoryview(data)
        try:
            poller.register(self.link.socket, select.POLLOUT)
            while view:
                if not poller.poll(max(0.0, deadline - time.monotonic()) * 1000):
                    return False
                view = view[self.link.socket.send(view) :]
        except (OSError, ValueError):
            return False
        return True

    def words(self, reason: str) -> str:
        """Say what is told to a client whose Logon is refused."""
        if self.session.epoch != self._epoch:
            return f"The numbers have begun again, but the Logon could not be answered: {reason}"
        return f"The Logon within the session is refused and has changed nothing: {reason}"


def read(message: bytes, limit: int) -> Logon | None:
    """Read a Logon within a session; None where it does not ask for numbers to begin again.

    What cannot be read cannot ask for it.
    """
    try:
        whole = logons.framed(message, limit)
        logon = None if whole is None else logons.parse(whole)
    except LogonError:
        return None
    return logon if logon is not None and logon.fields.get("141") == "Y" else None
