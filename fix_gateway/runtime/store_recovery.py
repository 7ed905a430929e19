"""A store that could not be written, opened again when there is room.

The C library remembers permanently that a write to a stream failed, and QuickFIX asks it before
each message: once a disk was full for a moment, a session would stay mute until the process ends.
So the store is closed and opened, once its disk has taken as much as a few reports need.
"""

from __future__ import annotations

from typing import Final

import structlog

from fix_gateway.session.epochs import begin_store
from fix_gateway.session.session import Session
from fix_gateway.session.store import Repeats

log = structlog.get_logger()

PROBE_BYTES: Final = 1 << 16
"""So much must go to the disk before the store is opened again."""


def reopen(session: Session, position: int) -> int | None:
    """Open a session's store again; return None while its disk does not take anything.

    The session must have no connection, and its gate must be held. Returns the lowest number
    whose message is missing in the store, 0 if none is. Its reports up to seq ``position`` are to
    be sent once more then, which is written down.
    """
    store, quickfix_session = session.store, session.qf
    assert quickfix_session is not None
    try:
        if session.epoch_due:
            begin_store(session)
            log.info("store_reopened", session=session.comp_id)
            return 0
        store.probe(PROBE_BYTES)
        # What the failed writes left behind goes to the files as they are closed, ...
        quickfix_session.refresh()
        # ... is taken out of the index, and what is left is read.
        found = store.survey()
        if found.lost:
            log.error("store_mended", session=session.comp_id, lost_from=found.lost)
            told = session.stored_cursor(below=found.lost)
            session.repeat(Repeats(session.epoch, store.numbers().sender, position, told))
        store.mend_index(found)
        quickfix_session.refresh()
    except Exception as error:
        log.warning("store_not_reopened", session=session.comp_id, reason=str(error))
        return None
    log.info("store_reopened", session=session.comp_id)
    return found.lost
