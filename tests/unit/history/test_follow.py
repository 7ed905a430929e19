"""What a follower says of itself to whoever asks for its health."""

from __future__ import annotations

from typing import Any

import structlog
from sqlalchemy.exc import OperationalError

from engine.client import EngineUnavailable
from engine.history.follow import Follower
from engine.wire import Welcome


class Broken:
    """A projector whose database cannot be written, until it can."""

    last_seq = last_time_us = 0
    error: Exception | None = OperationalError("insert", {}, Exception("disk is full"))

    def apply(self, transactions: list[Any]) -> int:
        if self.error is not None:
            raise self.error
        self.last_seq += len(transactions)
        return self.last_seq


def test_an_engine_that_was_away_for_a_moment_troubles_nobody_once_it_is_there() -> None:
    projector: Any = Broken()
    follower = Follower("nowhere", projector, structlog.get_logger())
    assert follower.trouble == ""
    follower._lost(EngineUnavailable("gone", "unknown"))
    assert "the engine is lost" in follower.trouble
    # A venue may be idle for hours: to be there again is enough.
    follower._connected(Welcome(1, "boot", 5, 1))
    assert follower.trouble == ""


def test_a_database_that_fails_is_trouble_until_rows_are_written_again() -> None:
    projector: Any = Broken()
    follower = Follower("nowhere", projector, structlog.get_logger())
    follower._database_trouble = "interrupted: disk is full"
    follower._apply([object()])  # type: ignore[list-item]
    follower._connected(Welcome(1, "boot", 5, 1))  # It tries again, by a new connection.
    assert "disk is full" in follower.trouble
    projector.error = None
    follower._failed = False
    follower._apply([object()])  # type: ignore[list-item]
    assert follower.trouble == "" and projector.last_seq == 1
