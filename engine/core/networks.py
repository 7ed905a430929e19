"""The networks over which assets are deposited and withdrawn."""

from __future__ import annotations

from engine.core.order_checks import Refusal
from engine.core.records import Network
from engine.core.types import RejectReason
from engine.core.venue import Venue


def find_network(venue: Venue, asset: str, network: str) -> Network | Refusal:
    """Return the network of an asset, or the refusal if there is none."""
    if asset not in venue.assets:
        return Refusal(RejectReason.UNKNOWN_ASSET, f"there is no asset {asset!r}")
    found = venue.networks.get((asset, network))
    if found is None:
        known = ", ".join(sorted(name for one, name in venue.networks if one == asset)) or "none"
        what = f"is not available on {network}" if network else "needs a network to be named"
        text = f"{asset} {what}; its networks are: {known}"
        return Refusal(RejectReason.UNKNOWN_NETWORK, text)
    return found
