"""A Logon that asks for what its session may not cause: refused in words, and nothing begins.

Its credentials were right, so the client is told, by the door's Logout with the reason.
"""

from __future__ import annotations

from engine.core.authority import Thing
from engine.core.types import CancelScope
from fix_gateway.door.logon import Wishes
from fix_gateway.session.session import Session


def objection(session: Session, wishes: Wishes) -> str:
    """Say why the table of authority does not allow what a Logon asks for; "" where it does."""
    scope, context = wishes.scope, session.context
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
            f"{session.settings.firm} speaks for the whole firm; use 0, 1 or 3"
        )
    return ""
