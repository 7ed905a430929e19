"""What the translation knows about the FIX session that a message came from or goes to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from engine.core.types import SelfTrade


@dataclass(frozen=True, slots=True)
class SessionContext:
    """A FIX session: whose it is, what it may do, what it is told.

    ``session`` is its ``Origin.source`` ("fix:ALICE"). ``account`` is used where a message
    has no Account(1); ``accounts`` are all accounts of the firm. ``reports`` "firm" adds the
    ExecutionReports of orders that others of the firm entered. A "drop_copy" session sees
    everything of the firm and can change nothing. ``stp`` None leaves self-trade prevention
    to the account's setting. PossDup creates and replaces older than ``stale_after_us`` are
    refused.
    """

    session: str
    comp_id: str
    account: str
    firm: str
    accounts: frozenset[str] = field(default_factory=frozenset)
    kind: Literal["order", "drop_copy"] = "order"
    reports: Literal["own", "firm"] = "own"
    stale_after_us: int = 5_000_000
    stp: SelfTrade | None = None
