"""Which gateway holds a session, where several serve one engine (rules S-7 and S-8).

A gateway is known by the name in its store's folder, made once. It takes a session before a
Logon. Where another held it, or this store is not the one that the session was left in, the
store begins empty above every number that may have been used, and delivery goes on from what the
client is known to have: what the last store holds is not needed. QuickFIX fills the gap.

Outgoing numbers are reserved in blocks before they are used. ``Session.room`` counts what is left
of them; delivery waits when little is left, so that the rest is for what cannot wait, and a
connection that needs more ends. What the client has is known when it answers a TestRequest.
"""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import Final

import structlog

from engine.client import EngineClient, Transaction, own_event
from engine.core.commands import CloseSession, ReserveNumbers, TakeSession
from engine.core.events import SessionHeld
from engine.core.types import Origin
from fix_gateway.session.life import Event, Phase, Progress, Step
from fix_gateway.session.session import Session
from fix_gateway.session.store import LAST_INDEX, Cursor, Repeats, write_durably

log = structlog.get_logger()

COMMANDS: Final = frozenset((TakeSession, ReserveNumbers, CloseSession))
"""What changes who holds a session, its numbers, or that it can be taken."""
BLOCK: Final = 2_000
"""Numbers that are reserved at a time."""
ASK_BELOW: Final = BLOCK // 2
KEPT_BACK: Final = 100
"""Numbers that delivery leaves for heartbeats, rejects, answers and a Logout."""
ASK_AGAIN_S: Final = 0.5
"""After so long a reservation that has not been seen is asked for again."""
CONFIRM_EVERY_S: Final = 1.0
"""How often a client is asked whether it has what it was sent."""
MOVED_ON: Final = 20_000
"""Transactions after which the position of a session that was told nothing is recorded."""
FARTHEST_BACK: Final = -(2**62)
HOLDER: Final = "holder"
"""The file with a gateway's name, in the folder of its store."""


class NotHeld(Exception):
    """The session cannot be had; the message says why."""


def known_holder(folder: Path) -> str:
    """Return the name of the gateway whose store this is, "" if it has none yet. OSError."""
    try:
        return (folder / HOLDER).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return ""


def holder_name(folder: Path) -> str:
    """Return the name of the gateway whose store this is; make it the first time. OSError."""
    path = folder / HOLDER
    name = known_holder(folder)
    if not name:
        name = secrets.token_hex(8)
        write_durably(path, name + "\n")
    return name


def take(session: Session, client: EngineClient) -> tuple[SessionHeld, int]:
    """Have the engine give the session to us; return what it says, and when (seq).

    Raises NotHeld or EngineError.
    """
    command = TakeSession(
        Origin(session.source), session.settings.account, session.gateway.holder
    )
    transaction = client.submit(command).transaction
    event = own_event(transaction.events, command, SessionHeld)
    if event is None or event.what != "taken":
        raise NotHeld(event.text if event is not None else "the engine gave no answer")
    return event, transaction.seq


def reservation(session: Session, ahead: bool = True) -> ReserveNumbers:
    """Return the command that records what the client has and, if ``ahead``, reserves numbers."""
    through = session.reserved
    if ahead and session.room < ASK_BELOW:
        through += BLOCK - session.room
    return ReserveNumbers(session.origin(), through, session.confirmed)


def reserve(session: Session, client: EngineClient) -> None:
    """Reserve numbers and wait for them. Raises NotHeld or EngineError."""
    command = reservation(session)
    event = own_event(client.submit(command).transaction.events, command, SessionHeld)
    if event is None or event.what != "reserved":
        raise NotHeld(event.text if event is not None else "the engine gave no answer")
    granted(session, event)


def granted(session: Session, event: SessionHeld) -> None:
    """Take in that numbers were reserved; from any thread."""
    if (event.term, event.epoch) == (session.term, session.epoch):
        session.reserved = max(session.reserved, event.reserved)
        session.recorded = max(session.recorded, event.cursor)
        session.numbers_asked_at = 0.0
        count_room(session)


def count_room(session: Session) -> None:
    """Count the numbers that are left."""
    if session.qf is not None:
        session.room = session.reserved + 1 - session.qf.getExpectedSenderNum()


def set_place(session: Session, cursor: Cursor) -> None:
    """Let delivery begin at a position that the client is known to have reached; gate held."""
    place = session.delivery
    place.cursor = place.told = session.confirmed = session.recorded = cursor
    lag(session)


def lag(session: Session) -> None:
    """Have delivery read from the engine what comes next; the gate is held."""
    life = session.life
    if life.progress is Progress.IN_STEP:
        life.advance(Step.STOP)
    if life.progress is Progress.BEHIND:
        life.advance(Step.OVERFLOW)
    session.delivery.backlog.clear()


def adopt(session: Session, event: SessionHeld, seq: int) -> None:
    """Let a session that was held elsewhere go on in this store. It must be claimed.

    Raises NotHeld where it was taken again meanwhile, and OSError.
    """
    quickfix_session = session.qf
    assert quickfix_session is not None
    with session.gate:
        if session.lost_term > event.term:
            raise NotHeld(f"{session.source} was taken by another gateway meanwhile")
        session.held, session.room = False, 0
        session.store.set_term(0)
        session.set_term(event.term)
        session.epoch, session.last_num_applied = event.epoch, event.mark
        session.reserved = event.reserved
        quickfix_session.reset()
        quickfix_session.setNextSenderMsgSeqNum(event.reserved + 1)
        quickfix_session.setNextTargetMsgSeqNum(event.mark + 1)
        session.pending_requests.restore(event.epoch, FARTHEST_BACK)
        session.store.set_epoch(event.epoch)
        first = event.epoch == 0
        cursor = (seq, LAST_INDEX, 0) if first else event.cursor
        session.delivery.begun = cursor
        session.repeat(Repeats(event.epoch, event.reserved + 1, seq, cursor))
        set_place(session, cursor)
        session.store.set_term(event.term)
        session.held = True
        count_room(session)
    session.handle(Event.HELD)
    log.info(
        "session_taken", session=session.comp_id, holder_before=event.before, term=event.term,
        next_sender=event.reserved + 1, next_target=event.mark + 1,
    )  # fmt: skip


def follow(session: Session, transaction: Transaction) -> bool:
    """Take in what the engine did with a session; return True if we have lost it by that."""
    if type(transaction.command) is CloseSession:
        session.closed_elsewhere.set()
    if not session.gateway.shared:
        return False
    lost = False
    for event in transaction.events:
        if isinstance(event, SessionHeld) and event.what != "refused":
            session.keeper.follow(event)
            ours = event.holder == session.gateway.holder
            if event.what == "reserved" and ours:
                granted(session, event)
            elif event.what == "taken" and not ours:
                lost = _lose(session, event)
    return lost


def _lose(session: Session, event: SessionHeld) -> bool:
    with session.gate:
        session.lost_term = max(session.lost_term, event.term)
        if not session.held or event.term <= session.term:
            return False
        session.held, session.room = False, 0
        log.warning("session_lost", session=session.comp_id, term=event.term)
        session.handle(Event.ELSEWHERE)
        lag(session)
    return True


def due(session: Session, now: float, told_to: int) -> bool:
    """Return whether a reservation is to be sent now; ``told_to`` is delivery's position.

    For who is away no numbers are reserved ahead: delivery asks for some when there is something to
    tell. Where none are, another gateway knows that its client has not heard of a reset.
    """
    if not session.held or session.epoch == 0:
        return False
    if session.room < ASK_BELOW and session.phase is Phase.LIVE:
        return now - session.numbers_asked_at > ASK_AGAIN_S
    if now - session.recorded_at < CONFIRM_EVERY_S:
        return False
    place = session.delivery
    if place.told <= session.confirmed:
        # It was told nothing since, so it has everything up to there.
        session.confirmed = max(session.confirmed, (told_to, LAST_INDEX, 0))
        if place.told <= session.recorded:
            return session.confirmed[0] - session.recorded[0] > MOVED_ON
    return session.confirmed > session.recorded


def wants_numbers(session: Session) -> bool:
    """Return whether delivery, which has little room, asks for numbers now.

    In an epoch that no Logon of the client has seen none are reserved: what there is to tell waits.
    """
    waited_s = time.monotonic() - session.numbers_asked_at
    known = session.reserved > 0 or session.phase is Phase.LIVE
    return session.held and known and waited_s > ASK_AGAIN_S


def unsure(session: Session, now: float) -> bool:
    """Return whether the client is to be asked now if it has what it was sent."""
    flow = session.flow
    waits = now - flow.probe_at > CONFIRM_EVERY_S and not flow.probe
    return waits and session.phase is Phase.LIVE and session.delivery.told > session.confirmed


def asked(session: Session, ahead: bool = True) -> ReserveNumbers:
    """Return the command for a reservation that is sent now and not waited for."""
    session.recorded_at = time.monotonic()
    if ahead:
        session.numbers_asked_at = session.recorded_at
    return reservation(session, ahead)
