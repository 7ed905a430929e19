"""What happens to an order of a simulated symbol, by its quantity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Step:
    """``after_s`` seconds after the order was accepted ``fill`` of it is filled, in whole units of
    the base asset; 0: what is left of it is canceled."""

    after_s: float
    fill: int = 0


SCRIPTS: Final[dict[int, tuple[Step, ...]]] = {
    1: (Step(0, 1),),
    2: (Step(2, 2),),
    3: (Step(1, 1), Step(2, 1), Step(3, 1)),
    4: (Step(1, 1),),
    5: (Step(1),),
    6: (Step(1, 2), Step(2)),
}
"""By the quantity of a resting limit order. ``docs/test-net.md`` shows the same table."""


def due(quantity: int, filled: int, age_s: float) -> Step | None:
    """Return the next step of an order, if its time has come.

    Where an order stands in its script follows from how much of it is filled, so nothing has to be
    remembered.
    """
    total = 0
    for step in SCRIPTS.get(quantity, ()):
        total += step.fill
        if step.fill and total <= filled:
            continue
        return step if age_s >= step.after_s else None
    return None
