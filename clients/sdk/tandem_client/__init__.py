"""A client of a Tandem venue: REST and stream, for threads and for asyncio.

``Client`` and ``AsyncClient`` have a method for each operation of the account API, ``Stream`` and
``AsyncStream`` the channels and order entry of the WebSocket. Amounts are Decimal; a float is
refused. What has no answer is sent again under the id that makes a repeat harmless.
"""

from tandem_client.async_client import AsyncClient
from tandem_client.async_stream import AsyncStream
from tandem_client.book import Book, Level
from tandem_client.client import Client
from tandem_client.connection import Reconnect, StreamSettings
from tandem_client.credentials import (
    BearerToken,
    Credentials,
    Ed25519Key,
    HmacKey,
    SigningKey,
    signing_text,
)
from tandem_client.errors import (
    AnswerNotUnderstood,
    ApiError,
    ClockSkew,
    Conflict,
    ConnectionFailed,
    Forbidden,
    Invalid,
    NoAnswer,
    NotFound,
    RateLimited,
    StreamEnded,
    TandemError,
    Unauthorized,
    VenueUnavailable,
)
from tandem_client.exchange import RateLimit, Response
from tandem_client.messages import (
    BalancesMessage,
    BookMessage,
    Disconnected,
    ExecutionsMessage,
    Gap,
    LedgerMessage,
    OrdersMessage,
    Reconnected,
    StreamItem,
    TradesMessage,
    TransfersMessage,
)
from tandem_client.retry import Retry
from tandem_client.stream import Stream
from tandem_client.values import Amount, Instant, Side
from tandem_client.version import __version__

__all__ = [
    "Amount", "AnswerNotUnderstood", "ApiError", "AsyncClient", "AsyncStream", "BalancesMessage",
    "BearerToken", "Book", "BookMessage", "Client", "ClockSkew", "Conflict", "ConnectionFailed",
    "Credentials", "Disconnected", "Ed25519Key", "ExecutionsMessage", "Forbidden", "Gap", "HmacKey",
    "Instant", "Invalid", "LedgerMessage", "Level", "NoAnswer", "NotFound", "OrdersMessage",
    "RateLimit", "RateLimited", "Reconnect", "Reconnected", "Response", "Retry", "Side",
    "SigningKey", "Stream", "StreamEnded", "StreamItem", "StreamSettings", "TandemError",
    "TradesMessage", "TransfersMessage", "Unauthorized", "VenueUnavailable", "__version__",
    "signing_text",
]  # fmt: skip
