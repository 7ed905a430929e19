"""The best prices of the public book, and what a taker may pay against them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from bots.grid import Grid
from tandem_client.book import Level
from tandem_client.generated.models import LevelView

SLIP_PPM: Final = 1_500
"""How far beyond the best price an order may reach."""


@dataclass(frozen=True, slots=True)
class Best:
    """The best bid and ask in ticks; 0 if there is none."""

    bid: int
    ask: int

    def limit(self, side: str) -> int:
        """Return the price of an order that takes the best level, in ticks; 0 if there is none.

        If one side of the book is far from the other, it is probably a typing error, and such a
        price is not taken.
        """
        if not self.bid or not self.ask or (self.ask - self.bid) * 10 > self.bid:
            return 0
        if side == "buy":
            return self.ask + self.ask * SLIP_PPM // 1_000_000
        return max(1, self.bid - self.bid * SLIP_PPM // 1_000_000)


class Depth(Protocol):
    """A response to GET /v1/books/{symbol}, or the stream's copy of a book."""

    @property
    def bids(self) -> list[LevelView] | list[Level]:
        """Return the bids, best first."""

    @property
    def asks(self) -> list[LevelView] | list[Level]:
        """Return the asks, best first."""


def best_of(book: Depth, grid: Grid) -> Best:
    """Return the best prices of a book."""
    bids, asks = book.bids, book.asks
    return Best(
        grid.ticks(bids[0].price) if bids else 0,
        grid.ticks(asks[0].price) if asks else 0,
    )
