"""FIX sessions and dead man's switches (rules I-1, S)."""

from __future__ import annotations

from typing import Final

from engine.core import purges
from engine.core.authority import speaks_for_firm
from engine.core.commands import (
    CloseSession,
    OpenSession,
    ReserveNumbers,
    SetDeadMansSwitch,
    StartEpoch,
    TakeSession,
)
from engine.core.events import DeadMansSwitchSet, SessionChanged, SessionHeld
from engine.core.order_checks import check_active, not_for_firm, unknown_account
from engine.core.records import Ending, Session
from engine.core.timers import Timer, TimerKind
from engine.core.types import CancelReason, CancelScope, Origin, RejectReason
from engine.core.venue import Venue

NUMBER_MAX: Final = 2**63 - 1


def _report(venue: Venue, session: Session, what: str, cause: str) -> None:
    fields = (
        session.name, what, session.epoch, session.last_num_applied, session.cancel_scope,
        session.cursor, cause,
    )  # fmt: skip
    venue.emit(SessionChanged, venue.accounts[session.account], *fields)


def _stop_grace(venue: Venue, session: Session) -> None:
    if session.closes_at:
        timer = Timer(TimerKind.SESSION, session.name, "", 0)
        venue.timers.discard(session.closes_at, timer)
        session.closes_at = 0


def open_session(venue: Venue, c: OpenSession) -> None:
    """Open a session (rule S-1)."""
    name = c.origin.source
    if c.account not in venue.accounts:
        venue.refuse(c.account, name, *unknown_account(c.account))
        return
    account = venue.accounts[c.account]
    if c.cancel_scope is CancelScope.FIRM and not speaks_for_firm(account.name, account.firm):
        venue.refuse(c.account, name, *not_for_firm(account))
        return
    session = venue.sessions.get(name)
    if fenced(session, c.origin):
        return
    if session is None:
        session = venue.sessions[name] = Session(name, c.origin.epoch)
    _stop_grace(venue, session)
    session.account = c.account
    session.connected = True
    session.cancel_scope = c.cancel_scope
    session.grace_us = max(0, c.grace_us)
    _report(venue, session, "opened", "")


def close_session(venue: Venue, c: CloseSession) -> None:
    """Close a session; its grace period begins (rule S-1)."""
    session = venue.sessions.get(c.origin.source)
    if session is None or not session.connected:
        return
    if c.origin.term and fenced(session, c.origin):
        return  # Without a term it is the engine's own.
    session.connected = False
    _report(venue, session, "closed", "logout" if c.clean else "connection lost")
    if session.cancel_scope is CancelScope.NONE or session.grace_us == 0:
        _end(venue, session)
        return
    session.closes_at = venue.time_us + session.grace_us
    venue.timers.add(session.closes_at, Timer(TimerKind.SESSION, session.name, "", 0))


def _end(venue: Venue, session: Session) -> None:
    """Cancel the orders in scope at the end of the grace period (rule S-2).

    A session without epoch, numbers and holder is not a FIX session: it never returns, and is
    removed.
    """
    if session.epoch == 0 and session.last_num_applied == 0 and session.term == 0:
        del venue.sessions[session.name]
    if session.cancel_scope is CancelScope.NONE:
        return
    firm_wide = session.cancel_scope is not CancelScope.ACCOUNT
    purge = purges.make(
        venue, session.account, firm_wide, CancelReason.DISCONNECT, Ending.NOTHING
    )
    if session.cancel_scope is CancelScope.SESSION:
        purge.session = session.name
    purges.begin(venue, purge)


def start_epoch(venue: Venue, c: StartEpoch) -> None:
    """Begin a new epoch: sequence numbers were reset (rule I-1)."""
    name = c.origin.source
    session = venue.sessions.get(name)
    current = session.epoch if session else 0
    if c.account not in venue.accounts:
        venue.refuse(c.account, name, *unknown_account(c.account))
        return
    if c.origin.epoch != current + 1:
        text = f"{name} is in epoch {current}; the next one is {current + 1}"
        venue.refuse(c.account, name, RejectReason.STALE_EPOCH, text, current)
        return
    if session is not None and fenced(session, c.origin):
        text = f"{name} was taken by another gateway"
        venue.refuse(c.account, name, RejectReason.NOT_PERMITTED, text)
        return
    if session is None:
        session = venue.sessions[name] = Session(name, 0)
    session.account = c.account
    session.epoch = c.origin.epoch
    session.reserved = 0
    session.last_num_applied = 0
    session.cursor = c.cursor
    _report(venue, session, "epoch", c.cause)


def fenced(session: Session | None, origin: Origin) -> bool:
    """Return whether a command comes from a gateway that does not hold the session (rule S-7)."""
    return session is not None and origin.term != session.term


def take_session(venue: Venue, c: TakeSession) -> None:
    """Give a session to the gateway that asks for it (rule S-7)."""
    name = c.origin.source
    session = venue.sessions.get(name)
    before = session.holder if session else ""
    text = ""
    if c.account not in venue.accounts:
        text = unknown_account(c.account).text
    elif not c.holder:
        text = "a holder has a name"
    elif session is not None and session.connected and before != c.holder:
        text = f"{name} is connected through another gateway"
    if text:
        _report_holder(venue, session or Session(name, 0), "refused", before, text)
        return
    if session is None:
        session = venue.sessions[name] = Session(name, 0)
    session.account = c.account
    if before != c.holder:
        session.holder = c.holder
        session.term += 1
    _report_holder(venue, session, "taken", before, "")


def reserve_numbers(venue: Venue, c: ReserveNumbers) -> None:
    """Record which outgoing numbers may have been used, and what the client has (rule S-8)."""
    name = c.origin.source
    session = venue.sessions.get(name)
    text = ""
    if session is None or not session.term or fenced(session, c.origin):
        text = f"{name} is held by another gateway"
    elif c.origin.epoch != session.epoch:
        text = f"{name} is in epoch {session.epoch}"
    elif not 0 <= c.through <= NUMBER_MAX:
        text = f"{c.through} is no number of a message"
    if session is None or text:
        session = session or Session(name, 0)
        _report_holder(venue, session, "refused", session.holder, text)
        return
    session.reserved = max(session.reserved, c.through)
    session.cursor = max(session.cursor, c.cursor)
    _report_holder(venue, session, "reserved", session.holder, "")


def _report_holder(venue: Venue, session: Session, what: str, before: str, text: str) -> None:
    fields = (
        session.name, what, session.holder, before, session.term, session.epoch,
        session.last_num_applied, session.reserved, session.cursor, text,
    )  # fmt: skip
    venue.emit_public(SessionHeld, *fields)


def set_switch(venue: Venue, c: SetDeadMansSwitch) -> None:
    """Set, renew or switch off a dead man's switch (rule S-3)."""
    account = venue.accounts.get(c.account)
    if c.timeout_us < 0:
        text = "the time-out of a dead man's switch is not negative; 0 switches it off"
        venue.refuse(c.account, c.strategy, RejectReason.INVALID_FIELD, text)
        return
    if account is None:
        venue.refuse(c.account, c.strategy, *unknown_account(c.account))
        return
    inactive = check_active(account)
    if inactive is not None:
        # Neither renewed nor turned off: what was set before the suspension fires (rule A-2).
        venue.refuse(c.account, c.strategy, *inactive)
        return
    timer = Timer(TimerKind.SWITCH, c.account, c.strategy, 0)
    before = account.switches.pop(c.strategy, 0)
    if before:
        venue.timers.discard(before, timer)
    fires_at = 0
    if c.timeout_us:
        fires_at = venue.time_us + c.timeout_us
        account.switches[c.strategy] = fires_at
        venue.timers.add(fires_at, timer)
    venue.emit(DeadMansSwitchSet, account, c.strategy, fires_at)


def end_grace(venue: Venue, name: str) -> None:
    """End the grace period of a session (rule S-1)."""
    session = venue.sessions[name]
    session.closes_at = 0
    _end(venue, session)


def fire_switch(venue: Venue, timer: Timer) -> None:
    """Fire a dead man's switch that was not renewed in time (rule S-3)."""
    del venue.accounts[timer.name].switches[timer.detail]
    purge = purges.make(
        venue, timer.name, False, CancelReason.DEAD_MAN_SWITCH, Ending.SWITCH
    )
    purge.strategy = timer.detail
    purges.begin(venue, purge)
