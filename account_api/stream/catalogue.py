"""Assets and instruments, kept up to date by events."""

from __future__ import annotations

from collections.abc import Iterable

from engine.core import events as ev
from engine.core.instruments import Instrument, defined_instrument
from engine.core.types import AssetRow
from engine.history.postings import Pair


class LiveCatalogue:
    """Scales of assets, instruments by symbol, and the two assets of each."""

    def __init__(self, assets: Iterable[AssetRow], instruments: Iterable[Instrument]) -> None:
        self.scales: dict[str, int] = {row.asset: row.scale for row in assets}
        self.instruments: dict[str, Instrument] = {row.symbol: row for row in instruments}
        self.pairs: dict[str, Pair] = {
            symbol: Pair(row.base, row.quote) for symbol, row in self.instruments.items()
        }

    def apply(self, event: ev.Event) -> None:
        """Apply a definition; ignore other events."""
        if isinstance(event, ev.AssetDefined):
            self.scales[event.asset] = event.scale
        elif isinstance(event, ev.InstrumentDefined):
            self.instruments[event.symbol] = defined_instrument(event, self.scales)
            self.pairs[event.symbol] = Pair(event.base, event.quote)
