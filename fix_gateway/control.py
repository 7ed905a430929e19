"""What an operator may do to sessions: end a connection, begin numbers again, announce.

Called from outside QuickFIX's threads. The first two go the way that a client's own Logout or
ResetSeqNumFlag would go, so everything that must be journalled is. An announcement changes
nothing that is journalled, and must get through while the engine is away; it is kept in the
sessions' stores like every other message.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Final

import structlog

from engine.client import EngineError
from fix_gateway.session.epochs import EpochError
from fix_gateway.session.life import Event, Phase
from fix_gateway.session.session import Link, Session, Sessions

LOGOUT_WAIT_S: Final = 2.0
CUT_WAIT_S: Final = 5.0
ANNOUNCEMENT_CHARS_MAX: Final = 500
TEXT: Final = "The operator has ended this connection"

log = structlog.get_logger()


class ControlRefused(Exception):
    """It cannot be done; the message says why."""


def kick(sessions: Sessions, comp_id: str) -> str:
    """Log a session out, cut its connection if the client does not go, and say what happened.

    The client may log on again at once; ``enabled = false`` and a reload keep it out. Takes up to
    LOGOUT_WAIT_S and CUT_WAIT_S. Raises ControlRefused.
    """
    session = _named(sessions, comp_id)
    if session.life.free.is_set():
        return f"{comp_id} was not logged on."
    log.warning("kicked", session=comp_id)
    if session.qf is not None:
        session.qf.logout(TEXT)
    if not session.life.free.wait(LOGOUT_WAIT_S):
        session.cut()
        if not session.life.free.wait(CUT_WAIT_S):
            raise ControlRefused(f"{comp_id} was cut but has not ended; see the log")
    return f"{comp_id} was logged out."


def reset(sessions: Sessions, comp_id: str, begin: Callable[[Session, str], str]) -> str:
    """Begin the numbers of a session again at 1, in a new epoch that the engine records.

    ``begin`` is the gateway's own step. The session must be logged out, and stays so
    meanwhile; reports that it missed can be had by a ReplayRequest(UD) afterwards. Raises
    ControlRefused.
    """
    session = _named(sessions, comp_id)
    with socket.socket() as nobody:
        link = Link(nobody, "operator")
        if not session.claim(link):
            raise ControlRefused(f"{comp_id} is logged on; kick it first")
        try:
            reason = begin(session, "operator")
        except (EngineError, EpochError) as error:
            reason = str(error) or type(error).__name__
        finally:
            session.handle(Event.GIVE_BACK, link)
    if reason:
        raise ControlRefused(f"the numbers of {comp_id} stay as they are: {reason}")
    return f"{comp_id} begins at 1, in epoch {session.epoch}. Tell the client to do the same."


def announce(sessions: Sessions, text: str, send: Callable[[Session, str], bool]) -> str:
    """Tell every session something; who is not logged on is told by resend when it returns.

    Raises ControlRefused where the text is none that FIX can carry.
    """
    plain = text.isascii() and text.isprintable()
    if not plain or not 1 <= len(text) <= ANNOUNCEMENT_CHARS_MAX:
        raise ControlRefused(
            f"an announcement is one line of 1 to {ANNOUNCEMENT_CHARS_MAX} ASCII characters"
        )
    told = live = 0
    for session in sessions:
        away = session.phase is Phase.FREE
        if away and session.settings.reset_on_logon:
            continue  # It has nowhere to keep what is sent while it is away.
        if not session.held:
            continue  # The gateway that holds it announces it.
        if send(session, text):
            told, live = told + 1, live + (not away)
    log.info("announced", text=text, sessions=told)
    return f"Announced to {told} sessions, {live} of them logged on."


def _named(sessions: Sessions, comp_id: str) -> Session:
    session = sessions.by_comp_id.get(comp_id)
    if session is None:
        known = ", ".join(sorted(sessions.by_comp_id))
        raise ControlRefused(f"there is no session {comp_id}; there are {known}")
    return session
