"""A symbol whose orders behave as their quantity says, added to the configuration of a test-net.

It has an asset of its own, of which every account gets some, and a firm that trades in it, so that
nothing else on the venue is touched.
"""

from __future__ import annotations

from typing import Final

import msgspec

from config.model import Account, Asset, Settings
from config.reading import Problems
from engine.core.instruments import make_instrument

ASSET: Final = "SIM"
ACCOUNT: Final = "simulator"
_SCALE: Final = 8
_UNIT: Final = 10**_SCALE
_OWN_UNITS: Final = 10**9
_UNITS: Final = 10_000
_LOTS_OF_UNIT: Final = 100
_TICKS: Final = ("1", "0.1", "0.01")


def extended(settings: Settings, problems: Problems) -> Settings:
    """Return the settings with the symbol, if they ask for it."""
    quote = next((one for one in settings.assets if one.asset == settings.simulation.quote), None)
    if not settings.simulation.enabled:
        return settings
    if settings.environment == "production":
        problems.add("simulation.enabled", "expected false: simulated orders are for test-nets")
    elif quote is None:
        problems.add(
            "simulation.quote", f"expected one of the assets, got {settings.simulation.quote!r}"
        )
    elif ASSET in {one.asset for one in settings.assets}:
        problems.add("simulation.enabled", f"needs the name {ASSET}, which is an asset already")
    elif {ACCOUNT} & {name for one in settings.accounts for name in (one.account, one.firm)}:
        problems.add("simulation.enabled", f"needs the name {ACCOUNT}, which is an account already")
    if problems.lines or quote is None:
        return settings
    instrument = make_instrument(
        settings.simulation.symbol, ASSET, _SCALE, quote.asset, quote.scale,
        _TICKS[min(2, quote.scale)], "0.01", 1, 1_000 * _LOTS_OF_UNIT, 10_000_000, 0,
    )  # fmt: skip
    plenty = ((ASSET, _OWN_UNITS * _UNIT), (quote.asset, _OWN_UNITS * 10**quote.scale))
    own = Account(
        account=ACCOUNT, firm=ACCOUNT, maker_fee_ppm=0, taker_fee_ppm=0, open_orders_max=1_000,
        grants=tuple(sorted(plenty)), approval_above=(), daily_limits=(),
    )  # fmt: skip
    others = tuple(
        msgspec.structs.replace(one, grants=tuple(sorted((*one.grants, (ASSET, _UNITS * _UNIT)))))
        for one in settings.accounts
    )
    return msgspec.structs.replace(
        settings,
        assets=(*settings.assets, Asset(asset=ASSET, scale=_SCALE)),
        instruments=(*settings.instruments, instrument),
        accounts=(*others, own),
    )
