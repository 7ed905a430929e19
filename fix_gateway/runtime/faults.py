"""Faults of a FIX session on demand, for a client that tries its own error paths.

Only on a test-net, and only for the orders of its simulated symbol: the quantity of an order that
is accepted chooses what happens around its ExecutionReport. ``docs/test-net.md`` has the table.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import structlog

from fix_gateway.codec.routing import OutMessage
from fix_gateway.session.life import Phase
from fix_gateway.session.session import Session

log = structlog.get_logger()

CUT_QUANTITY: Final = "7"
GAP_QUANTITY: Final = "8"
LATE_QUANTITY: Final = "10"
LATE_S: Final = 3.0


class Faults:
    """The faults around reports about orders of ``symbol``."""

    def __init__(self, symbol: str) -> None:
        self._symbol = f"\x0155={symbol}\x01"
        self._due: dict[str, tuple[str, float]] = {}
        """By the source of a session: the report that waits, and until when."""

    def late(self, session: Session, message: OutMessage) -> bool:
        """Return whether a report has to wait: delivery stops at it, and housekeeping goes on.

        What follows it on the session waits behind it. The session's gate is held.
        """
        text = f"\x01{message.header}{message.body}\x01"
        if self._fault(session, text) != LATE_QUANTITY:
            return False
        now = time.monotonic()
        known, due = self._due.get(session.source, ("", 0.0))
        if known != message.body:
            self._due[session.source] = (message.body, now + LATE_S)
            log.info("late_report_simulated", session=session.comp_id)
            return True
        return now < due

    def around(self, session: Session, text: str, send: Callable[[], bool]) -> bool:
        """Send a report, with the fault that its order asks for; returns what ``send`` does.

        The session's gate is held.
        """
        fault = self._fault(session, text)
        if fault == GAP_QUANTITY and session.qf is not None:
            number = session.qf.getExpectedSenderNum()
            session.qf.setNextSenderMsgSeqNum(number + 1)
            log.info("gap_simulated", session=session.comp_id, left_out=number)
        sent = send()
        if fault == CUT_QUANTITY and sent:
            log.info("cut_simulated", session=session.comp_id)
            session.cut()
        return sent

    def _fault(self, session: Session, text: str) -> str:
        """Return the quantity that chooses a fault, "" for none."""
        if self._symbol not in text or session.phase is not Phase.LIVE:
            return ""
        if "\x01150=0\x01" not in text or session.settings.kind != "order":
            return ""
        for quantity in (CUT_QUANTITY, GAP_QUANTITY, LATE_QUANTITY):
            if f"\x0138={quantity}\x01" in text:
                return quantity
        return ""
