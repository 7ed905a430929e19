"""What the market data service counts."""

from __future__ import annotations


class MarketDataCounts:
    """Counts since the start of the process; written by the service's thread alone."""

    __slots__ = ("ended_slow", "messages", "rejected", "requests", "slow")

    def __init__(self) -> None:
        self.requests = 0
        """Requests answered, the rejected ones included."""
        self.rejected = 0
        self.messages = 0
        """Messages sent, of any kind."""
        self.slow = 0
        """Times that a session was found to leave too much unread."""
        self.ended_slow = 0
        """Sessions ended because they read too slowly."""
