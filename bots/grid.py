"""Instruments as the public API describes them, in whole ticks and whole lots."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from tandem_client.generated.models import InstrumentView

SIMULATED: Final = "SIM"
"""The asset of orders that behave as their quantity says."""


@dataclass(frozen=True, slots=True)
class Grid:
    """An instrument's assets and steps; everything else here counts in ticks and lots."""

    symbol: str
    base: str
    quote: str
    tick: Decimal
    lot: Decimal
    max_price: int
    max_lots: int

    @classmethod
    def of(cls, row: InstrumentView) -> Grid:
        """Build it from a row of GET /v1/instruments."""
        return cls(
            row.symbol, row.base, row.quote, row.tick, row.lot,
            int(row.max_price / row.tick), int(row.max_quantity / row.lot),
        )  # fmt: skip

    def ticks(self, price: Decimal | str) -> int:
        """Return a price in ticks, rounded down."""
        return int(Decimal(price) / self.tick)

    def lots(self, quantity: Decimal | str) -> int:
        """Return a quantity in lots, rounded down."""
        return int(Decimal(quantity) / self.lot)

    def price_text(self, ticks: int) -> str:
        """Return ticks as the API's decimal text."""
        return _plain(ticks * self.tick)

    def quantity_text(self, lots: int) -> str:
        """Return lots as the API's decimal text."""
        return _plain(lots * self.lot)


def _plain(value: Decimal) -> str:
    """Return decimal text without an exponent."""
    return format(value, "f")


def traded(rows: Iterable[InstrumentView]) -> dict[str, Grid]:
    """Return the instruments that takers trade: not the simulated one, where only its counterparty
    may touch an order."""
    return {row.symbol: Grid.of(row) for row in rows if row.base != SIMULATED}
