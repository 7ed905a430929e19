"""How assets travel in and out of the venue."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from engine.core.risk import Refusal
from engine.core.types import RejectReason

if TYPE_CHECKING:
    from engine.core.exchange import Exchange


class Network(NamedTuple):
    """How an asset travels; amounts in atoms."""

    asset: str
    network: str
    withdrawal_fee: int
    withdrawal_min: int
    withdrawal_step: int
    confirmations_required: int
    memo_required: bool
    suspended: bool


def find_network(exchange: Exchange, asset: str, network: str) -> Network | Refusal:
    """The network of an asset, or why there is none."""
    if asset not in exchange.assets:
        return Refusal(RejectReason.UNKNOWN_ASSET, f"there is no asset {asset!r}")
    found = exchange.networks.get((asset, network))
    if found is None:
        text = f"{asset} does not travel on a network {network!r}"
        return Refusal(RejectReason.UNKNOWN_NETWORK, text)
    return found
