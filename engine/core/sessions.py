"""FIX sessions and dead man's switches (rules I-1, S)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.core import purges
from engine.core.authority import speaks_for_firm
from engine.core.commands import (
    CloseSession,
    OpenSession,
    SetDeadMansSwitch,
    StartEpoch,
)
from engine.core.events import DeadMansSwitchSet, SessionChanged
from engine.core.risk import check_active, not_for_firm, unknown_account
from engine.core.timers import Timer, TimerKind
from engine.core.types import CancelReason, CancelScope, RejectReason, SessionRow

if TYPE_CHECKING:
    from engine.core.exchange import Exchange


class Session:
    """A FIX session (or a WebSocket with cancel on disconnect) as the engine remembers it.

    ``mark`` is the highest MsgSeqNum done in this epoch, ``cursor`` the outbound position at
    its start, ``closes_at`` the end of a running grace period (0 for none).
    """

    __slots__ = ("account", "cancel_scope", "closes_at", "connected", "cursor", "epoch",
                 "grace_us", "mark", "name")  # fmt: skip

    def __init__(self, name: str, epoch: int) -> None:
        self.name = name
        self.account = ""
        self.epoch = epoch
        self.mark = 0
        self.connected = False
        self.cancel_scope = CancelScope.NONE
        self.grace_us = 0
        self.cursor = (0, 0, 0)
        self.closes_at = 0

    def row(self) -> SessionRow:
        """The session as a query shows it."""
        return SessionRow(
            self.name, self.account, self.epoch, self.mark, self.connected, self.cancel_scope,
            self.grace_us, self.cursor, self.closes_at,
        )  # fmt: skip


def _report(exchange: Exchange, session: Session, what: str, cause: str) -> None:
    fields = (
        session.name, what, session.epoch, session.mark, session.cancel_scope, session.cursor,
        cause,
    )  # fmt: skip
    exchange.emit(SessionChanged, exchange.accounts[session.account], *fields)


def _stop_grace(exchange: Exchange, session: Session) -> None:
    if session.closes_at:
        timer = Timer(TimerKind.SESSION, session.name, "", 0)
        exchange.timers.discard(session.closes_at, timer)
        session.closes_at = 0


def open_session(exchange: Exchange, c: OpenSession) -> None:
    """A session logged on (rule S-1)."""
    name = c.origin.source
    if c.account not in exchange.accounts:
        exchange.refuse(c.account, name, *unknown_account(c.account))
        return
    account = exchange.accounts[c.account]
    if c.cancel_scope is CancelScope.FIRM and not speaks_for_firm(account.name, account.firm):
        exchange.refuse(c.account, name, *not_for_firm(account))
        return
    session = exchange.sessions.get(name)
    if session is None:
        session = exchange.sessions[name] = Session(name, c.origin.epoch)
    _stop_grace(exchange, session)
    session.account = c.account
    session.connected = True
    session.cancel_scope = c.cancel_scope
    session.grace_us = max(0, c.grace_us)
    _report(exchange, session, "opened", "")


def close_session(exchange: Exchange, c: CloseSession) -> None:
    """A session is gone; its grace period begins (rule S-1)."""
    session = exchange.sessions.get(c.origin.source)
    if session is None or not session.connected:
        return
    session.connected = False
    _report(exchange, session, "closed", "logout" if c.clean else "connection lost")
    if session.cancel_scope is CancelScope.NONE or session.grace_us == 0:
        _end(exchange, session)
        return
    session.closes_at = exchange.time_us + session.grace_us
    exchange.timers.add(session.closes_at, Timer(TimerKind.SESSION, session.name, "", 0))


def _end(exchange: Exchange, session: Session) -> None:
    """The grace period is over: cancel the orders in scope (rule S-2).

    A session without epoch and numbers is no FIX session: it never comes back, and is forgotten.
    """
    if session.epoch == 0 and session.mark == 0:
        del exchange.sessions[session.name]
    if session.cancel_scope is CancelScope.NONE:
        return
    firm_wide = session.cancel_scope is not CancelScope.ACCOUNT
    purge = purges.make(
        exchange, session.account, firm_wide, CancelReason.DISCONNECT, purges.Ending.NOTHING
    )
    if session.cancel_scope is CancelScope.SESSION:
        purge.session = session.name
    purges.begin(exchange, purge)


def start_epoch(exchange: Exchange, c: StartEpoch) -> None:
    """Sequence numbers begin again (rule I-1)."""
    name = c.origin.source
    session = exchange.sessions.get(name)
    current = session.epoch if session else 0
    if c.account not in exchange.accounts:
        exchange.refuse(c.account, name, *unknown_account(c.account))
        return
    if c.origin.epoch != current + 1:
        text = f"{name} is in epoch {current}; the next one is {current + 1}"
        exchange.refuse(c.account, name, RejectReason.STALE_EPOCH, text, current)
        return
    if session is None:
        session = exchange.sessions[name] = Session(name, 0)
    session.account = c.account
    session.epoch = c.origin.epoch
    session.mark = 0
    session.cursor = c.cursor
    _report(exchange, session, "epoch", c.cause)


def set_switch(exchange: Exchange, c: SetDeadMansSwitch) -> None:
    """Set, renew or switch off a dead man's switch (rule S-3)."""
    account = exchange.accounts.get(c.account)
    if c.timeout_us < 0:
        text = "the time-out of a dead man's switch is not negative; 0 switches it off"
        exchange.refuse(c.account, c.strategy, RejectReason.INVALID_FIELD, text)
        return
    if account is None:
        exchange.refuse(c.account, c.strategy, *unknown_account(c.account))
        return
    inactive = check_active(account)
    if inactive is not None:
        # Neither renewed nor turned off: what was set before the suspension fires (rule A-2).
        exchange.refuse(c.account, c.strategy, *inactive)
        return
    timer = Timer(TimerKind.SWITCH, c.account, c.strategy, 0)
    before = account.switches.pop(c.strategy, 0)
    if before:
        exchange.timers.discard(before, timer)
    fires_at = 0
    if c.timeout_us:
        fires_at = exchange.time_us + c.timeout_us
        account.switches[c.strategy] = fires_at
        exchange.timers.add(fires_at, timer)
    exchange.emit(DeadMansSwitchSet, account, c.strategy, fires_at)


def end_grace(exchange: Exchange, name: str) -> None:
    """The grace period of a session ends (rule S-1)."""
    session = exchange.sessions[name]
    session.closes_at = 0
    _end(exchange, session)


def fire_switch(exchange: Exchange, timer: Timer) -> None:
    """A dead man's switch was not renewed in time (rule S-3)."""
    del exchange.accounts[timer.name].switches[timer.detail]
    purge = purges.make(
        exchange, timer.name, False, CancelReason.DEAD_MAN_SWITCH, purges.Ending.SWITCH
    )
    purge.strategy = timer.detail
    purges.begin(exchange, purge)
