"""What the translation knows about the FIX session that a message came from or goes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from engine.core.authority import (
    Holder,
    Reach,
    Reports,
    SessionKind,
    Thing,
    reach,
    speaks_for_firm,
)

HOLDERS: Final[Mapping[SessionKind, Holder]] = {
    "order": Holder.FIX_ORDER,
    "drop_copy": Holder.FIX_DROP_COPY,
    "market_data": Holder.FIX_MARKET_DATA,
}
"""What the table of authority knows each kind of session as."""


class SessionTerms(Protocol):
    """What the translation asks of a session's settings: whose it is, and what it is told.

    The settings themselves are ``config.model.SessionSettings``, which this room does not know.
    ``account`` is used where a message has no Account(1); ``accounts`` are those that it reaches.
    ``reports`` "firm" adds the ExecutionReports of orders on them that others entered. A
    "drop_copy" session sees everything of these accounts and causes nothing. ``market_data`` lets
    an order session subscribe to the market.
    """

    @property
    def comp_id(self) -> str: ...
    @property
    def account(self) -> str: ...
    @property
    def firm(self) -> str: ...
    @property
    def accounts(self) -> frozenset[str]: ...
    @property
    def kind(self) -> SessionKind: ...
    @property
    def reports(self) -> Reports: ...
    @property
    def market_data(self) -> bool: ...


def source_of(comp_id: str) -> str:
    """Return the id of a session, its ``Origin.source``: "fix:ALICE"."""
    return f"fix:{comp_id}"


@dataclass(frozen=True, slots=True)
class SessionContext:
    """A FIX session: its settings, and what is none of them.

    PossDup creates and replaces older than ``stale_after_us`` are refused. ``source`` is its id
    ("fix:ALICE"): the ``Origin.source`` of its commands, which the engine keeps as the ``session``
    of its orders and of its row. ``term`` is the one in which this gateway holds the session.
    """

    settings: SessionTerms
    stale_after_us: int
    term: int = 0
    source: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "source", source_of(self.settings.comp_id))

    def may(self, thing: Thing) -> bool:
        """Return True if the table of authority lets such a session do a thing."""
        return reach(HOLDERS[self.settings.kind], thing) is not Reach.NONE

    @property
    def reads_market(self) -> bool:
        """True if it may subscribe to market data, by the table and by its setting."""
        settings = self.settings
        return self.may(Thing.READ_MARKET) and (
            settings.kind == "market_data" or settings.market_data
        )

    @property
    def firm_wide(self) -> bool:
        """True if it speaks for the whole firm where it names no account."""
        return speaks_for_firm(self.settings.account, self.settings.firm)
