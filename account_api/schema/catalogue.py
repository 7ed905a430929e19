"""The catalogue: assets with their scales, networks and instruments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from account_api.errors import Problem
from account_api.schema.identifiers import sentence
from config.suggestion import hint
from engine.core.instruments import Instrument, NumberError, parse_scaled
from engine.core.types import NetworkRow


class Listing(Protocol):
    """What a rendering needs in order to write amounts, prices and quantities as text."""

    @property
    def scales(self) -> Mapping[str, int]: ...
    @property
    def instruments(self) -> Mapping[str, Instrument]: ...


def unknown_symbol(
    symbol: str, known: Iterable[str], status: int | None = None, field: str = "symbol"
) -> Problem:
    """Say that there is no such instrument, and which may be meant."""
    text = f"There is no instrument {symbol}{hint(symbol, known)}"
    return Problem("unknown_symbol", f"{text}.", status=status, field=field)


def unknown_asset(asset: str, known: Iterable[str], status: int | None = None) -> Problem:
    """Say that there is no such asset, and which may be meant."""
    text = f"There is no asset {asset}{hint(asset, known)}"
    return Problem("unknown_asset", f"{text}.", status=status, field="asset")


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Assets, networks and instruments as of ``loaded_us``."""

    scales: dict[str, int]
    networks: dict[tuple[str, str], NetworkRow]
    instruments: dict[str, Instrument]
    loaded_us: int
    as_of_seq: int

    def amount(self, asset: str, text: str, field: str) -> int:
        """Read decimal text as atoms, above zero. Raises Problem that names the field."""
        scale = self.scales.get(asset)
        if scale is None:
            raise unknown_asset(asset, self.scales)
        try:
            value = parse_scaled(text, scale, field)
        except NumberError as error:
            raise Problem("invalid_field", sentence(error.text), field=field) from None
        if value == 0:
            raise Problem("invalid_field", f"The {field} must be above zero.", field=field)
        return value

    def network(self, asset: str, named: str | None) -> str:
        """Return the named network, or the only one that the asset has. Raises Problem."""
        if asset not in self.scales:
            raise unknown_asset(asset, self.scales)
        names = sorted(network for one, network in self.networks if one == asset)
        if named is None and len(names) == 1:
            return names[0]
        if named is None or named not in names:
            known = ", ".join(names) or "none"
            what = f"is not available on {named}" if named else "needs a network to be named"
            raise Problem(
                "unknown_network", f"{asset} {what}; its networks are: {known}.", field="network"
            )
        return named
