"""The processes of a venue, and the order in which they start and stop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from config.fix import gateway_names


@dataclass(frozen=True, slots=True)
class Process:
    """A process of the venue: ``python -m module arguments``, its output in ``<name>.log``.

    Stages start one after the other and stop in reverse order.
    """

    name: str
    module: str
    stage: int
    arguments: tuple[str, ...] = ()


_ALL: Final = (
    Process("engine", "engine.main", 0),
    Process("history", "engine.history.main", 1),
    Process("fix", "fix_gateway.main", 1),
    Process("marketdata", "fix_gateway.market_data.main", 1),
    Process("api", "account_api.main", 1),
    Process("stream", "account_api.stream", 1),
    Process("settlement", "account_api.settlement", 1),
    Process("webhooks", "account_api.webhooks", 1),
    Process("metrics", "tandem.metrics", 1),
)

_MARKET: Final = Process("bots", "bots.main", 2)
_TLS: Final = Process("tls", "tandem.tls_proxy", 0)
"""It stops after the gateway, whose last words to its clients go through it."""


def venue_processes(
    market: bool = False, tls: bool = False, gateways: int = 1
) -> tuple[Process, ...]:
    """Return the processes of a venue, in order of their stages.

    ``market``: with its bots; ``tls``: with TLS before the FIX gateway; ``gateways``: so many of
    that one.
    """
    first = (_TLS,) if tls else ()
    more = (
        Process(name, "fix_gateway.main", 1, (name,)) for name in gateway_names(gateways)[1:]
    )
    last = (_MARKET,) if market else ()
    return (*first, *_ALL, *more, *last)
