"""The maker's target quotes, and the operations that reach them. Pure.

A slot is one quote: instrument, side, level. The ladder gives the target of each slot; the
difference to the resting quotes becomes creates and replaces for one batch.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from bots.grid import Grid
from tandem_client import Side
from tandem_client.generated.requests import BatchCancel, BatchCreate, BatchReplace

OPERATIONS_MAX: Final = 50
"""The maximum number of operations in one batch."""
SIDES: Final[tuple[Side, Side]] = ("buy", "sell")
HALF_SPREAD_PPM: Final = 150
STEP_PPM: Final = 140
SLACK_PPM: Final = 60
SLACK_STEP_PPM: Final = 40
"""How far a quote may be from its target before it is moved; deeper ones farther."""
Slot = tuple[str, Side, int]
"""Symbol, side and level."""
Operation = BatchCreate | BatchReplace | BatchCancel


@dataclass(frozen=True, slots=True)
class Quote:
    """A price in ticks and a quantity in lots."""

    price: int
    lots: int


@dataclass(slots=True)
class Resting:
    """One of our quotes in the book, in its last known state."""

    client_order_id: str
    price: int
    leaves: int
    filled: int


def ladder(
    grid: Grid, middle: int, quantity: int, levels: int, draw: random.Random
) -> dict[Slot, Quote]:
    """Return both sides around a mid price, every level at a different price.

    ``quantity`` (lots) is about what the first level shows; deeper ones show more.
    """
    found: dict[Slot, Quote] = {}
    for side in SIDES:
        previous = middle
        for level in range(levels):
            # Uneven, as in real books, but the same at every step, so that it causes no moves.
            jitter = (37 * level + 23 * len(found)) % (STEP_PPM // 2)
            away = middle * (HALF_SPREAD_PPM + STEP_PPM * level + jitter) // 1_000_000
            price = (
                min(middle - away, previous - 1) if side == "buy"
                else max(middle + away, previous + 1)
            )  # fmt: skip
            previous = price
            if not 0 < price <= grid.max_price:
                break
            size = quantity * (2 + level) * draw.randint(60, 140) // 200
            found[grid.symbol, side, level] = Quote(price, min(max(size, 1), grid.max_lots))
    return found


def operations(
    wanted: Mapping[Slot, Quote],
    resting: Mapping[Slot, Resting],
    grids: Mapping[str, Grid],
    new_id: Iterable[str],
) -> list[tuple[Slot, Operation]]:
    """Return the operations from the resting to the target quotes, in an order that does not cross.

    If the market moves up the asks move before the bids, and the other way round. A quote that
    is near its target and not mostly filled is left alone: the venue stores every change
    permanently.
    """
    ids = iter(new_id)
    changed: list[tuple[tuple[int, int], Slot, Operation]] = []
    for slot, quote in wanted.items():
        known = resting.get(slot)
        if known is None:
            changed.append((_turn(slot, quote.price), slot, _create(slot, quote, grids, next(ids))))
        elif _is_off(slot, quote, known) or 3 * known.leaves < quote.lots:
            move = quote.price - known.price
            changed.append((_turn(slot, move), slot, _replace(slot, quote, known, grids)))
    changed.sort(key=lambda one: one[0])
    return [(slot, operation) for _, slot, operation in changed][:OPERATIONS_MAX]


def _is_off(slot: Slot, quote: Quote, known: Resting) -> bool:
    slack = quote.price * (SLACK_PPM + SLACK_STEP_PPM * slot[2]) // 1_000_000
    return abs(known.price - quote.price) > slack


def _turn(slot: Slot, move: int) -> tuple[int, int]:
    """Sort by moves away from the mid first, outermost level first; then those towards it."""
    _, side, level = slot
    away = move < 0 if side == "buy" else move > 0
    return (0, -level) if away else (1, level)


def _create(
    slot: Slot, quote: Quote, grids: Mapping[str, Grid], client_order_id: str
) -> BatchCreate:
    symbol, side, _ = slot
    grid = grids[symbol]
    return {
        "op": "create",
        "client_order_id": client_order_id,
        "symbol": symbol,
        "side": side,
        "quantity": grid.quantity_text(quote.lots),
        "price": grid.price_text(quote.price),
        "post_only": True,
        "strategy": "maker",
    }


def _replace(
    slot: Slot, quote: Quote, known: Resting, grids: Mapping[str, Grid]
) -> BatchReplace:
    """Return the quantity of a replace, which includes executions."""
    grid = grids[slot[0]]
    lots = min(known.filled + quote.lots, grid.max_lots)
    return {
        "op": "replace",
        "order": f"client:{known.client_order_id}",
        "quantity": grid.quantity_text(lots),
        "price": grid.price_text(quote.price),
    }
