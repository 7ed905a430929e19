"""The position of the history."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection, Engine, select

from engine.history import schema

POLL_INTERVAL_S: Final = 0.005


def last_seq(connection: Connection) -> int:
    """Return the sequence of the newest transaction that the history contains; 0 if empty."""
    return connection.execute(select(schema.meta.c.last_seq)).scalar_one_or_none() or 0


def newest(connection: Connection) -> tuple[int, int]:
    """Return sequence and time (µs) of the newest transaction that the history contains."""
    found = connection.execute(select(schema.meta.c.last_seq, schema.meta.c.last_time_us)).first()
    return (0, 0) if found is None else (int(found[0]), int(found[1]))


def wait_for(
    engine: Engine,
    seq: int,
    timeout_s: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> bool:
    """Wait until the history contains ``seq``; return False if ``timeout_s`` passes first.

    The projector is another process and SQLite has no notifications, hence a short poll of
    one row.
    """
    deadline = clock() + timeout_s
    while True:
        with engine.connect() as connection:
            if last_seq(connection) >= seq:
                return True
        left = deadline - clock()
        if left <= 0:
            return False
        pause(min(POLL_INTERVAL_S, left))
