"""A Logon that asks for what its session may not cause: refused in words, and nothing begins.

Its credentials were right, so the client is told, by a Logout with the reason. QuickFIX does not
see the Logon: it would begin the numbers again for 141=Y before anybody could object. The Logout
has the next outgoing number, which is used up, as that of every Logout.
"""

from __future__ import annotations

import structlog

from engine.core.authority import Thing
from engine.core.types import CancelScope
from fix_gateway.logon import Logon
from fix_gateway.message import SOH, time_text
from fix_gateway.sessions import Clock, Link, Session
from fix_gateway.texts import sentence

log = structlog.get_logger()


def objection(session: Session, logon: Logon) -> str:
    """Why the table of authority does not allow what a Logon asks for; "" where it does."""
    scope, context = logon.scope, session.context
    if not scope:
        return ""
    if not context.may(Thing.CANCEL_ON_DISCONNECT):
        return (
            f"CancelOnDisconnect(20003) {int(scope)} is not allowed on a drop-copy session, which "
            "causes nothing; leave it out or use 0"
        )
    firm_wide = context.firm_wide and context.may(Thing.CANCEL_FIRM_ON_DISCONNECT)
    if scope is CancelScope.FIRM and not firm_wide:
        return (
            f"CancelOnDisconnect(20003) 2 is not allowed: only a session of the account "
            f"{context.firm} speaks for the whole firm; use 0, 1 or 3"
        )
    return ""


def tell(session: Session, link: Link, why: str, clock: Clock) -> None:
    """Send a Logout with the reason on a connection that QuickFIX does not have.

    The session must be claimed for the connection and its delivery held.
    """
    quickfix_session = session.qf
    assert quickfix_session is not None
    with session.gate:
        number = quickfix_session.getExpectedSenderNum()
        body = (
            f"35=5{SOH}34={number}{SOH}49={session.gateway.comp_id}{SOH}"
            f"52={time_text(clock())}{SOH}56={session.comp_id}{SOH}58={sentence(why)}{SOH}"
        )
        text = f"8=FIX.4.4{SOH}9={len(body)}{SOH}{body}"
        data = f"{text}10={sum(text.encode()) % 256:03d}{SOH}".encode()
        quickfix_session.setNextSenderMsgSeqNum(number + 1)
    try:
        link.socket.send(data)
    except OSError as error:
        log.info("farewell_not_sent", session=session.comp_id, reason=str(error))
