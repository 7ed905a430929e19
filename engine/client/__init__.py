"""Clients of the engine: one for threads, one for request handlers, one for asyncio."""

from engine import queries
from engine.client.aio import AsyncEngineClient
from engine.client.answers import own_cancels, own_event, own_events
from engine.client.blocking import EngineClient
from engine.client.pooled import DirectEngineClient
from engine.client.protocol import (
    EngineError,
    EngineRefused,
    EngineTimeout,
    EngineUnavailable,
    GapTooOld,
    Outcome,
    SubscriptionDropped,
)
from engine.core.types import Answered
from engine.wire import Transaction, Welcome

__all__ = [
    "Answered",
    "AsyncEngineClient",
    "DirectEngineClient",
    "EngineClient",
    "EngineError",
    "EngineRefused",
    "EngineTimeout",
    "EngineUnavailable",
    "GapTooOld",
    "Outcome",
    "SubscriptionDropped",
    "Transaction",
    "Welcome",
    "own_cancels",
    "own_event",
    "own_events",
    "queries",
]
