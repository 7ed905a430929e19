"""How many orders a session may send: a token bucket, in whole numbers. Pure.

Orders and replaces weigh one each, in a batch each entry of them; cancels weigh nothing, so
that nobody is ever kept from leaving the market. Who goes on far above the limit is logged
out: refusals themselves cost the venue something.
"""

from __future__ import annotations

from typing import Final

from engine.core.commands import Batch, Command, NewOrder, RecordRefusal, ReplaceOrder
from engine.core.types import RequestKind

FLOOD_FACTOR: Final = 10
"""So many bursts of refused messages, replenished at the rate, end the session."""
_MICRO: Final = 1_000_000
_SINGLE: Final = frozenset((RequestKind.NEW, RequestKind.REPLACE, RequestKind.BATCH))


def weight(command: Command) -> int:
    """Return how many orders and replaces a command is, refused ones included."""
    if isinstance(command, NewOrder | ReplaceOrder):
        return 1
    if isinstance(command, RecordRefusal):
        return 1 if command.request in _SINGLE else 0
    if isinstance(command, Batch):
        return sum([weight(entry) for entry in command.entries])
    return 0


class Throttle:
    """The bucket of one session: ``rate`` a second, ``burst`` at once; times in microseconds.

    Used by one thread.
    """

    def __init__(self, rate: int, burst: int) -> None:
        self.rate = rate
        self.burst = burst
        self._level = burst * _MICRO
        self._patience = FLOOD_FACTOR * burst * _MICRO
        self._at_us = 0

    @property
    def limit(self) -> str:
        """The limit in words."""
        return (
            f"at most {self.rate} orders and replaces a second are taken, {self.burst} at once; "
            "cancels are always taken"
        )

    def take(self, count: int, now_us: int) -> bool:
        """Take so many tokens; return False, and take none, when there are too few."""
        self._refill(now_us)
        if count * _MICRO > self._level:
            self._patience -= count * _MICRO
            return False
        self._level -= count * _MICRO
        return True

    @property
    def flooded(self) -> bool:
        """True once refusals have gone on for too long."""
        return self._patience < 0

    def _refill(self, now_us: int) -> None:
        gained = max(0, now_us - self._at_us) * self.rate
        self._at_us = max(self._at_us, now_us)
        self._level = min(self._level + gained, self.burst * _MICRO)
        self._patience = min(self._patience + gained, FLOOD_FACTOR * self.burst * _MICRO)

    def reset_patience(self) -> None:
        """Begin a connection with full patience, but with the tokens that are left."""
        self._patience = FLOOD_FACTOR * self.burst * _MICRO
