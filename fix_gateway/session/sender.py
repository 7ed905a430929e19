"""What a client leaves unread: counted, bounded, and the sender that counts it.

QuickFIX's send queue has no bound and cannot be seen. What a client has not read counts from
the moment when it had read everything: when the kernel has nothing on its way to it, or when
it answers a TestRequest of ours. Past the bound delivery is held, and when nothing moves in
time the connection is cut.
"""

from __future__ import annotations

import time
from typing import Final

import structlog

from fix_gateway.bridge import Bridge
from fix_gateway.codec.message import envelope
from fix_gateway.codec.responses import Response
from fix_gateway.quickfix_import import quickfix
from fix_gateway.session.life import Event, Phase
from fix_gateway.session.session import Session

log = structlog.get_logger()

_QUIET_BYTES: Final = 1 << 15
"""What may be on its way to a client that reads as fast as it can."""

class Sender:
    """Hands messages to QuickFIX and keeps the count."""

    def __init__(
        self, dictionary: quickfix.DataDictionary, bridge: Bridge | None = None
    ) -> None:
        self._dictionary = dictionary
        self.bridge = bridge
        self._probes = 0

    def send(self, session: Session, message: quickfix.Message, size: int) -> bool:
        """Store and send an application message; return False where it could not be stored.

        ``size`` is in bytes.
        """
        if session.room <= 0:
            self._out_of_numbers(session)
            return False
        if session.qf is None or not session.qf.send(message):
            return False
        self._count(session, 1, size)
        return True

    @property
    def together(self) -> bool:
        """True if ``send_together`` can be called: the bridge is there."""
        return self.bridge is not None

    def send_together(self, session: Session, texts: list[str]) -> tuple[int, int]:
        """Store and send application messages in one piece; the gate is held.

        Return how many, and the number behind the last: as many as could be stored, and never more
        than there is room for. Raises IndexError with the place of a text that is no message, and
        then does nothing.
        """
        if session.room < len(texts):
            texts = texts[: max(session.room, 0)]
        if not texts:
            self._out_of_numbers(session)
        if session.qf is None or self.bridge is None or not texts:
            return 0, 0
        sent, behind = self.bridge.send(session.qf, self._dictionary, texts)
        if sent:
            self._count(session, sent, sum(map(len, texts[:sent])))
            if session.gateway.shared:
                session.room = session.reserved + 1 - behind
        return sent, behind

    def _count(self, session: Session, count: int, size: int) -> None:
        """Count what was sent, ``size`` in bytes."""
        session.room -= count
        flow = session.flow
        flow.sent_at = time.monotonic()
        flow.sent_bytes += size
        if flow.sent_bytes - flow.checked_bytes > session.gateway.outstanding_bytes_max // 16:
            flow.checked_bytes = flow.sent_bytes
            self._check(session)

    @staticmethod
    def _out_of_numbers(session: Session) -> None:
        """End the connection: no number is left that no other gateway may use."""
        if session.held and session.phase is not Phase.FREE:
            log.error("cut", session=session.comp_id, reason="no outgoing numbers are reserved")
        session.cut()

    def send_settled(self, session: Session, response: Response) -> bool:
        """Send what is caused by no transaction, from a thread that may wait; as ``send``.

        Between the moment when the answer to a Logon leaves and the moment when QuickFIX takes
        the session for logged on, a message would be stored and not sent. Who claims a session
        for a Logon takes its gate after that, so nobody who holds the gate can overlook it.
        """
        text = envelope(f"{response.msg_type}\x01{response.header}{response.body}")
        message = quickfix.Message(text, self._dictionary, False)
        life = session.life
        while True:
            with session.gate:
                if life.phase in (Phase.FREE, Phase.LIVE):
                    sent = self.send(session, message, len(text))
                    if not sent and life.phase is Phase.LIVE and session.room > 0:
                        session.store_failed()
                    if not sent or not session.goes_nowhere(message):
                        return sent
            life.settled.wait()

    def _check(self, session: Session) -> None:
        """See what is unread; ask the client about it, and hold delivery at the bound."""
        flow, bound = session.flow, session.gateway.outstanding_bytes_max
        if session.phase is not Phase.LIVE or flow.outstanding <= bound // 4:
            return
        if self.has_read(session):
            return
        if flow.outstanding > bound:
            session.handle(Event.UNREAD_LIMIT)
        if not flow.probe:
            self.probe(session)

    def has_read(self, session: Session) -> bool:
        """Return True if nothing to speak of is on its way; then nothing is outstanding."""
        flow, link = session.flow, session.link
        if link is not None and link.bytes_unread() > _QUIET_BYTES:
            return False
        flow.answered_bytes = flow.sent_bytes
        return True

    def probe(self, session: Session) -> None:
        """Ask the client for a sign that it has read everything so far."""
        flow = session.flow
        self._probes += 1
        flow.probe = f"TANDEM-{self._probes}"
        flow.probe_bytes = flow.sent_bytes
        flow.probe_cursor = session.delivery.cursor
        flow.probe_at = time.monotonic()
        self.admin(session, f"1\x01112={flow.probe}")

    def answered(self, session: Session, test_request: str) -> bool:
        """Take in a Heartbeat that answers a TestRequest; return True when that was ours."""
        flow = session.flow
        if not flow.probe or test_request != flow.probe:
            return False
        flow.answered_bytes = flow.probe_bytes
        session.confirmed = max(session.confirmed, flow.probe_cursor)
        flow.probe = ""
        if flow.outstanding > session.gateway.outstanding_bytes_max // 4:
            self.probe(session)
        return True

    def admin(self, session: Session, content: str) -> None:
        """Send an admin message, given from its MsgType on."""
        if session.qf is not None:
            session.qf.send(_admin(content))

    def farewell(self, session: Session, text: str) -> bytes:
        """Make the Logout to be sent to a client that is not logged on; b"" if it cannot be.

        It takes the next number, and is in the store under it. The session must be claimed.
        """
        message = _admin(f"5\x0158={text}")
        with session.gate:
            if session.room <= 0 or session.qf is None or not session.qf.send(message):
                return b""
        whole: str = message.toString()
        return whole.encode("ascii", "replace")

    def ask_again(self, session: Session, up_to: int) -> None:
        """Ask for what was missed before ResendRequest number ``up_to``, which was too high.

        QuickFIX answers such a ResendRequest, as FIX has it, and would not ask for the gap in
        front of it before the next message comes.
        """
        if session.qf is None or session.phase is not Phase.LIVE:
            return
        with session.gate:
            expected = session.qf.getExpectedTargetNum()
            if session.asked_from != expected < up_to:
                self.admin(session, f"2\x017={expected}\x0116=0")


def _admin(content: str) -> quickfix.Message:
    return quickfix.Message(envelope(f"{content}\x01"), False)
