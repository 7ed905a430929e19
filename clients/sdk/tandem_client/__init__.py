"""A client of a Tandem venue: REST and stream, for threads and for asyncio.

``Client`` and ``AsyncClient`` have a method for each operation of the account API, ``Stream`` and
``AsyncStream`` the channels and order entry of the WebSocket. Amounts are Decimal; a float is
refused. What has no answer is sent again under the id that makes a repeat harmless.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from tandem_client.version import __version__ as __version__

if TYPE_CHECKING:
    from tandem_client.async_client import AsyncClient as AsyncClient
    from tandem_client.async_stream import AsyncStream as AsyncStream
    from tandem_client.book import Book as Book
    from tandem_client.book import Level as Level
    from tandem_client.client import Client as Client
    from tandem_client.connection import Reconnect as Reconnect
    from tandem_client.connection import StreamSettings as StreamSettings
    from tandem_client.credentials import BearerToken as BearerToken
    from tandem_client.credentials import Credentials as Credentials
    from tandem_client.credentials import Ed25519Key as Ed25519Key
    from tandem_client.credentials import HmacKey as HmacKey
    from tandem_client.credentials import SigningKey as SigningKey
    from tandem_client.credentials import signing_text as signing_text
    from tandem_client.errors import AnswerNotUnderstood as AnswerNotUnderstood
    from tandem_client.errors import ApiError as ApiError
    from tandem_client.errors import ClockSkew as ClockSkew
    from tandem_client.errors import Conflict as Conflict
    from tandem_client.errors import ConnectionFailed as ConnectionFailed
    from tandem_client.errors import Forbidden as Forbidden
    from tandem_client.errors import Invalid as Invalid
    from tandem_client.errors import NoAnswer as NoAnswer
    from tandem_client.errors import NotFound as NotFound
    from tandem_client.errors import RateLimited as RateLimited
    from tandem_client.errors import StreamEnded as StreamEnded
    from tandem_client.errors import TandemError as TandemError
    from tandem_client.errors import Unauthorized as Unauthorized
    from tandem_client.errors import VenueUnavailable as VenueUnavailable
    from tandem_client.exchange import RateLimit as RateLimit
    from tandem_client.exchange import Response as Response
    from tandem_client.messages import BalancesMessage as BalancesMessage
    from tandem_client.messages import BookMessage as BookMessage
    from tandem_client.messages import Disconnected as Disconnected
    from tandem_client.messages import ExecutionsMessage as ExecutionsMessage
    from tandem_client.messages import Gap as Gap
    from tandem_client.messages import LedgerMessage as LedgerMessage
    from tandem_client.messages import OrdersMessage as OrdersMessage
    from tandem_client.messages import Reconnected as Reconnected
    from tandem_client.messages import StreamItem as StreamItem
    from tandem_client.messages import TradesMessage as TradesMessage
    from tandem_client.messages import TransfersMessage as TransfersMessage
    from tandem_client.retry import Retry as Retry
    from tandem_client.stream import Stream as Stream
    from tandem_client.values import Amount as Amount
    from tandem_client.values import Instant as Instant
    from tandem_client.values import Side as Side
    from tandem_client.webhooks import WebhookEvent as WebhookEvent
    from tandem_client.webhooks import WebhookRefused as WebhookRefused
    from tandem_client.webhooks import verify_webhook as verify_webhook

HOMES: Final = {
    name: module
    for module, names in {
        "async_client": "AsyncClient",
        "async_stream": "AsyncStream",
        "book": "Book Level",
        "client": "Client",
        "connection": "Reconnect StreamSettings",
        "credentials": "BearerToken Credentials Ed25519Key HmacKey SigningKey signing_text",
        "errors": (
            "AnswerNotUnderstood ApiError ClockSkew Conflict ConnectionFailed Forbidden Invalid "
            "NoAnswer NotFound RateLimited StreamEnded TandemError Unauthorized VenueUnavailable"
        ),
        "exchange": "RateLimit Response",
        "messages": (
            "BalancesMessage BookMessage Disconnected ExecutionsMessage Gap LedgerMessage "
            "OrdersMessage Reconnected StreamItem TradesMessage TransfersMessage"
        ),
        "retry": "Retry",
        "stream": "Stream",
        "values": "Amount Instant Side",
        "webhooks": "WebhookEvent WebhookRefused verify_webhook",
    }.items()
    for name in names.split()
}
"""Where each name of the package is. Its module is loaded when the name is first used, so that a
program that only signs does not load the HTTP and WebSocket libraries."""

__all__ = sorted(HOMES)


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"tandem_client has no {name!r}")
    found = getattr(import_module(f"tandem_client.{HOMES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted((*globals(), *HOMES))
