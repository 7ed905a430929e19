"""Types of events, and which of them an endpoint takes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, TypeAlias, get_args

EventType: TypeAlias = Literal[
    "withdrawal.requested",
    "withdrawal.pending_approval",
    "withdrawal.approved",
    "withdrawal.queued",
    "withdrawal.broadcasting",
    "withdrawal.confirming",
    "withdrawal.completed",
    "withdrawal.rejected",
    "withdrawal.canceled",
    "withdrawal.failed",
    "withdrawal.expired",
    "deposit.detected",
    "deposit.confirming",
    "deposit.credited",
    "fill.created",
]
EventChoice: TypeAlias = Literal["*", "withdrawal.*", "deposit.*", "fill.*"] | EventType
"""What an endpoint can choose: one type, all of a subject, or all."""
EVENT_TYPES: Final[tuple[str, ...]] = get_args(EventType)
FILL: Final = "fill.created"
PING: Final = "webhook.ping"
"""What a test sends; no endpoint chooses it."""


def chosen(choices: Iterable[str]) -> tuple[str, ...]:
    """Return the types that choices stand for, in the order of ``EVENT_TYPES``."""
    wanted = set(choices)
    return tuple(
        one for one in EVENT_TYPES
        if wanted & {"*", one, f"{one.partition('.')[0]}.*"}
    )  # fmt: skip
