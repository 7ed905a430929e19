"""Instruments as the public API describes them, in whole ticks and whole lots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any


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
    def of(cls, row: Mapping[str, Any]) -> Grid:
        """Build it from a row of GET /v1/instruments."""
        tick, lot = Decimal(row["tick"]), Decimal(row["lot"])
        return cls(
            row["symbol"], row["base"], row["quote"], tick, lot,
            int(Decimal(row["max_price"]) / tick), int(Decimal(row["max_quantity"]) / lot),
        )  # fmt: skip

    def ticks(self, price: str) -> int:
        """Return a price in ticks, rounded down."""
        return int(Decimal(price) / self.tick)

    def lots(self, quantity: str) -> int:
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
