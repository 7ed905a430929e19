"""The rows that transactions make, until they are written."""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Final

from engine.core.types import OrderTerms, Route

SqlRow = dict[str, Any]

TERMS: Final = tuple(name for name in OrderTerms._fields if name != "route")
"""Columns of an order's terms; those of its route follow."""
STATE: Final = (
    "status", "leaves", "cum", "notional", "display", "updated_at", "open", "cancel_reason",
    "last_seq", "triggered", "fees", "held",
)  # fmt: skip
"""Columns of an order's state, in the order of ``States``. The last three accumulate."""
_NO_ROUTE: Final = ("",) * len(Route._fields)
_terms_of: Final = attrgetter(*TERMS)
_route_of: Final = attrgetter(*Route._fields)

States = list[Any]
"""Values of ``STATE``. For an order that was stored before, ``fees`` and ``held`` are changes, and
``triggered`` says whether it was now."""


def terms_row(terms: Any) -> tuple[Any, ...]:
    """Return the values of ``TERMS`` and of the route."""
    route = terms.route
    values: tuple[Any, ...] = _terms_of(terms)
    return values + (_NO_ROUTE if route is None else _route_of(route))


@dataclass(slots=True)
class Rows:
    """Rows to write. Lists are inserted, dictionaries (by primary key) inserted or updated."""

    ledger: list[tuple[Any, ...]] = field(default_factory=list)
    """In the order of ``LedgerEntry``."""
    fills: list[tuple[Any, ...]] = field(default_factory=list)
    """In the order of ``Fill``."""
    trades: list[tuple[Any, ...]] = field(default_factory=list)
    """In the order of ``PublicTrade``."""
    orders: dict[int, tuple[Any, ...]] = field(default_factory=dict)
    """New orders: their terms as now, the asset of their hold, and the first transaction."""
    amended: dict[int, tuple[Any, ...]] = field(default_factory=dict)
    """The terms of stored orders that were replaced or restated."""
    states: dict[int, States] = field(default_factory=dict)
    """The state of new orders, and changes of it for stored ones."""
    balances: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    """Available and held, by account and asset."""
    client_ids: dict[tuple[str, str], int] = field(default_factory=dict)
    """The order of each account and client order id."""
    transfers: list[SqlRow] = field(default_factory=list)
    money_events: list[SqlRow] = field(default_factory=list)
    assets: dict[str, SqlRow] = field(default_factory=dict)
    instruments: dict[str, SqlRow] = field(default_factory=dict)
    accounts: dict[str, SqlRow] = field(default_factory=dict)
    candles: dict[tuple[str, int, int], SqlRow] = field(default_factory=dict)
    deposits: dict[str, SqlRow] = field(default_factory=dict)
    withdrawals: dict[int, SqlRow] = field(default_factory=dict)
