"""Epochs: one life of a session's sequence numbers. Journalled before the numbers change.

A reset goes in this order, so that after a crash between any two steps the next start can
finish it: the engine records the new epoch and where delivery stood; the store begins again
at 1; the mark beside the store says so. Only then does the client hear of it.
"""

from __future__ import annotations

from typing import NamedTuple

import structlog

from engine.client import EngineClient, own_event, queries
from engine.core.commands import StartEpoch
from engine.core.events import Refused, SessionChanged
from engine.core.types import Origin, RejectReason, SessionRow
from fix_gateway.session.holding import NotHeld, take
from fix_gateway.session.session import Session
from fix_gateway.session.store import (
    LAST_INDEX,
    NO_REPEATS,
    GatewayState,
    Repeats,
    boot_id,
)

log = structlog.get_logger()


class EpochError(Exception):
    """The engine did not record the new epoch; the message says why."""


class Fenced(EpochError):
    """Another gateway holds the session."""


def start_epoch(session: Session, client: EngineClient, cause: str) -> None:
    """Have the engine record the next epoch; retry once when ours was out of date.

    Delivery to the session must be held, so that its cursor stays; the gate must be free, as
    the thread that brings the answer may want it first. Raises Fenced, EpochError or EngineError.
    """
    for _ in range(2):
        epoch = session.epoch + 1
        shared = session.gateway.shared
        command = StartEpoch(
            Origin(session.source, epoch, term=session.term), session.settings.account,
            session.confirmed if shared else session.delivery.cursor, cause,
        )  # fmt: skip
        event = own_event(
            client.submit(command).transaction.events, command, SessionChanged, Refused
        )
        if isinstance(event, SessionChanged):
            with session.gate:
                session.epoch, session.last_num_applied = event.epoch, 0
                session.delivery.begun = command.cursor
                if shared:
                    session.reserved = session.room = 0
            log.info("epoch", session=session.comp_id, epoch=epoch, cause=cause)
            return
        if isinstance(event, Refused):
            if event.reason is RejectReason.NOT_PERMITTED:
                raise Fenced(event.text)
            row = client.fetch(queries.Session(session.source)).value
            if row is None or row.epoch == session.epoch:
                raise EpochError(event.text)
            with session.gate:
                session.epoch, session.last_num_applied = row.epoch, row.last_num_applied
    raise EpochError(f"the epoch of {session.comp_id} keeps changing")


class Start(NamedTuple):
    """What a session begins with: QuickFIX's numbers, 0 for "as stored"."""

    sender: int
    target: int


def restore(session: Session, client: EngineClient, last: GatewayState | None) -> Start:
    """Bring engine, store and cursor of a session together, before QuickFIX opens the store.

    ``last`` is what the last run left, None if nothing is known of it. Raises ValueError for a
    session that gateways share, where this one is configured to be the only one.
    """
    row = client.fetch(queries.Session(session.source)).value
    if row is not None and row.term and not session.gateway.shared:
        raise ValueError(
            f"{session.comp_id} has been served by one of several gateways: shared under [fix] has "
            "to stay true, also with gateways = 1"
        )
    session.restore(row)
    store, place = session.store, session.delivery
    engine_seq = client.connect().seq
    if session.gateway.shared and not _held(session, row, client):
        return Start(0, 0)
    if row is None or row.epoch == 0:
        # Never seen before: nothing that happened so far is for this session.
        store.reset()
        place.cursor = session.confirmed = (engine_seq, LAST_INDEX, 0)
        return _begin(session, client, "first")
    place.cursor = place.begun = row.cursor
    numbers = store.numbers()
    if store.epoch() == row.epoch - 1 and row.last_num_applied == 0 and store.epoch() > 0:
        # A reset was recorded but not finished; the client has not heard of it.
        known = store.repeats()
        if known.epoch in (row.epoch - 1, row.epoch):
            place.repeats = known
        store.reset()
        finish_epoch(session)
        return Start(0, 0)
    if store.epoch() != row.epoch or (row.last_num_applied > 0 and numbers.sender == 1):
        log.error("store_reset_unexplained", session=session.comp_id, epoch=row.epoch)
        session.repeat(Repeats(row.epoch + 1, 1, engine_seq, row.cursor))
        store.reset()
        return _begin(session, client, "store lost")
    return _continue(session, last, engine_seq)


def _held(session: Session, row: SessionRow | None, client: EngineClient) -> bool:
    """Have the session for this gateway where its store is the one that it was left in.

    So is that of a session which no gateway has held so far, if it has one here or nowhere.
    """
    store, name = session.store, session.gateway.holder
    session.held = False
    session.reserved = session.room = 0
    if row is not None and row.holder:
        if row.holder != name or store.term() != row.term:
            return False
        session.set_term(row.term)
        session.reserved = row.reserved
    elif row is None or row.epoch in (0, store.epoch()):
        try:
            taken, _ = take(session, client)
        except NotHeld as error:
            log.warning("session_not_taken", session=session.comp_id, reason=str(error))
            return False
        if taken.before:
            # A gateway that starts beside this one took it after the row was read, and may have
            # begun its epoch. It is nobody's store's now: whoever its client asks takes it.
            return False
        store.set_term(taken.term)
        session.set_term(taken.term)
    else:
        return False
    if row is not None:
        session.confirmed = session.recorded = row.cursor
    session.held = True
    return True


def _begin(session: Session, client: EngineClient, cause: str) -> Start:
    try:
        start_epoch(session, client, cause)
    except Fenced as error:
        # A gateway that starts beside this one has taken it meanwhile.
        log.warning("session_not_taken", session=session.comp_id, reason=str(error))
        session.held = False
    else:
        finish_epoch(session)
    return Start(0, 0)


def begin_store(session: Session) -> None:
    """Empty the store of a running gateway for the epoch that the engine has recorded.

    The gate must be held. Raises what QuickFIX does, or OSError: the epoch is due then.
    """
    session.epoch_due = True
    if session.qf is not None:
        session.qf.reset()
    finish_epoch(session)
    session.epoch_due = False


def finish_epoch(session: Session) -> None:
    """Mark a store that begins again as the epoch's that the engine has. Raises OSError.

    Reports that are to be sent a second time are that in the new epoch as well.
    """
    place = session.delivery
    if place.repeating:
        place.repeats = Repeats(session.epoch, 1, place.repeats.until, place.cursor)
    else:
        place.repeats = NO_REPEATS
    session.store.set_repeats(place.repeats)
    session.store.set_epoch(session.epoch)


def _continue(session: Session, last: GatewayState | None, engine_seq: int) -> Start:
    """Go on where the store ends, which is the one that we left."""
    place, store = session.delivery, session.store
    known = store.repeats()
    if known.epoch == session.epoch:
        place.repeats = known
    numbers = store.numbers()
    found = None if last is not None and last.clean else store.survey()
    same_boot = last is not None and last.boot_id == boot_id()
    sender = place.repeats.number if place.repeats.number > numbers.sender else 0
    place.cursor = place.told = max(place.begun, session.stored_cursor())
    shared = session.gateway.shared  # Then what was delivered may have been to another store.
    if found is not None and found.lost:
        # The disk was full, and the gateway was killed before it could open the store again. What
        # stood under that number and later ones may not have been sent: it is sent once more.
        log.error("store_mended", session=session.comp_id, lost_from=found.lost)
        told = session.stored_cursor(below=found.lost)
        session.repeat(Repeats(session.epoch, sender or numbers.sender, engine_seq, told))
    elif (
        last is not None and not shared and not place.repeating and (same_boot or last.synced)
    ):
        place.done_to(min(last.delivered.get(session.comp_id, 0), engine_seq))
    if last is not None and not same_boot and not last.clean:
        # What the kernel had not written is lost: numbers that the client has seen may be
        # free again, and so may be reports.
        used = max(numbers.sender, place.repeats.number)
        sender = used + session.gateway.unclean_margin
        if shared and session.reserved:
            sender = max(used, session.reserved + 1)
        session.repeat(Repeats(session.epoch, sender, engine_seq, place.cursor))
        log.warning("unclean_start", session=session.comp_id, next_sender=sender)
    if found is not None:
        store.mend_index(found)
    trusted = last is not None and last.clean
    applied = session.last_num_applied + 1
    target = max(numbers.target, applied) if trusted else applied
    return Start(sender, target)
