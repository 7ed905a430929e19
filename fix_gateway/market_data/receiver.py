"""Who is served market data: what the service asks of a session, and what it keeps of one."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple, Protocol

from fix_gateway.codec.responses import Response, SharedResponse
from fix_gateway.market_data.views import Subscription

Thing = tuple[object, ...]
"""An instrument and a view of it: what may be subscribed to once."""


class Receiver(Protocol):
    """A session that is logged on. Its methods are called on the service's thread."""

    @property
    def name(self) -> str:
        """Its CompID."""
    @property
    def conflation_ms(self) -> int:
        """How long changes are gathered before they are told; 0 tells each as it comes."""
    def send(self, response: Response | SharedResponse) -> bool:
        """Send a message; return False if the session has gone."""
    def cork(self, corked: bool) -> None:
        """Keep what is sent until packets are full, or send what is left."""
    def unread(self) -> int:
        """Return how many bytes the client has not read yet, or at most how many."""
    def end(self, reason: str) -> None:
        """Log the session out with this text."""


class Asked(NamedTuple):
    """A subscription to statuses: MsgSeqNum of its request, its header reversed, its symbol."""

    num: int
    header: str
    symbol: str = ""


class Reader:
    """What the service keeps of one receiver: its subscriptions, and what waits for it."""

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self.requests: dict[str, list[Subscription]] = {}
        self.things: dict[Thing, str] = {}
        self.statuses: dict[str, Asked] = {}
        """Subscriptions to SecurityStatus, by request id."""
        self.trading_sessions: dict[str, Asked] = {}
        """Subscriptions to TradingSessionStatus, by request id."""
        self.news: dict[tuple[str, str], None] = {}
        """MsgType, f or h, and request id of what is to be told unasked and is not told yet."""
        self.held: deque[str] = deque()
        """Requests that wait to be answered: for a market, or for the session to read."""
        self.waiting: dict[Subscription, None] = {}
        """Subscriptions about whose instrument something has happened that is not told yet.

        A dict, so that they are told in the order in which it happened."""
        self.slow_since = 0.0
        """When it was first seen to leave too much unread, 0 while it reads."""

    @property
    def count(self) -> int:
        """How many subscriptions it has."""
        books = sum(len(each) for each in self.requests.values())
        return books + len(self.statuses) + len(self.trading_sessions)

    @property
    def idle(self) -> bool:
        """True if it has no subscription and no request that waits."""
        return not (self.held or self.requests or self.statuses or self.trading_sessions)
