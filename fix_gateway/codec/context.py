"""What the translation knows about the FIX session that a message came from or goes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from engine.core.authority import Holder, Reach, Thing, reach, speaks_for_firm
from engine.core.types import SelfTrade

Kind = Literal["order", "drop_copy"]
HOLDERS: Final[Mapping[Kind, Holder]] = {
    "order": Holder.FIX_ORDER,
    "drop_copy": Holder.FIX_DROP_COPY,
}
"""What the table of authority knows each kind of session as."""


@dataclass(frozen=True, slots=True)
class SessionContext:
    """A FIX session: whose it is, what it may do, what it is told.

    ``source`` is its id ("fix:ALICE"): the ``Origin.source`` of its commands, which the engine
    keeps as the ``session`` of its orders and of its row. ``account`` is used where a message
    has no Account(1); ``accounts`` are those that it reaches: all of the firm, or a sub-account's
    own (see ``engine.core.authority``). ``reports`` "firm" adds the ExecutionReports of orders on
    them that others entered. A "drop_copy" session sees
    everything of these accounts and causes nothing. ``stp`` None leaves self-trade prevention
    to the account's setting. PossDup creates and replaces older than ``stale_after_us`` are
    refused.
    """

    source: str
    comp_id: str
    account: str
    firm: str
    accounts: frozenset[str] = field(default_factory=frozenset)
    kind: Kind = "order"
    reports: Literal["own", "firm"] = "own"
    stale_after_us: int = 5_000_000
    stp: SelfTrade | None = None

    def may(self, thing: Thing) -> bool:
        """Whether the table of authority lets such a session do a thing."""
        return reach(HOLDERS[self.kind], thing) is not Reach.NONE

    @property
    def firm_wide(self) -> bool:
        """Whether it speaks for the whole firm where it names no account."""
        return speaks_for_firm(self.account, self.firm)
