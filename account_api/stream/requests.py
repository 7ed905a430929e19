"""Messages of clients: ``{"op": …, "req_id": …, "params": {…}}``, one JSON object each.

``req_id`` is chosen by the client and returned in the answer. Operations on orders are not listed
here: their parameters are those of the REST routes (see ``operations``).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, TypeVar

from msgspec import Meta

from account_api.errors import Problem
from account_api.schema import decode
from account_api.schema.requests import AccountName, Name, Request, Seq, Symbol

R = TypeVar("R", bound=Request)
ChannelText = Literal[
    "book", "trades", "orders", "executions", "balances", "ledger", "transfers"
]
PUBLIC_CHANNELS: Final = ("book", "trades")
SYMBOLS_MAX: Final = 100

Channels = Annotated[list[ChannelText], Meta(min_length=1, max_length=7)]
Symbols = Annotated[list[Symbol], Meta(max_length=SYMBOLS_MAX)]
_OP: Final = re.compile(r"[a-z_]{1,40}\Z")
_REQ_ID: Final = re.compile(r"[!-~]{1,64}\Z")
_REQ_ID_MAX: Final = 2**53


class LoginParams(Request, frozen=True, kw_only=True):
    """Either a bearer ``token``, or a signature of ``GET /v1/stream`` without a body."""

    token: Annotated[str, Meta(max_length=512)] | None = None
    key: Name | None = None
    timestamp: Annotated[str, Meta(max_length=19)] | None = None
    signature: Annotated[str, Meta(max_length=128)] | None = None


class LogoutParams(Request, frozen=True, kw_only=True):
    """A clean end, at which cancel on disconnect acts unless ``cancel_orders`` is false."""

    cancel_orders: bool = True


class CancelOnDisconnectParams(Request, frozen=True, kw_only=True):
    """Which orders are canceled: those entered on this ``connection`` for any account, all of one
    ``account`` (the key's own, or ``account`` of the same firm), or all of the ``firm``.
    """

    scope: Literal["none", "connection", "account", "firm"]
    account: AccountName | None = None
    grace_s: Annotated[int, Meta(ge=0, le=86_400)] = 0


class ChannelsParams(Request, frozen=True, kw_only=True):
    """Channels to unsubscribe, or to get a snapshot of.

    Private channels are those of the key's own account, or of ``account`` of the same firm.
    """

    channels: Channels
    symbols: Symbols = []
    account: AccountName | None = None


class SubscribeParams(ChannelsParams, frozen=True, kw_only=True):
    """Channels to subscribe. ``from_seq`` is the first wanted event of the account."""

    from_seq: Seq | None = None


class NoParams(Request, frozen=True, kw_only=True):
    """Nothing."""


@dataclass(frozen=True, slots=True)
class Message:
    """A request as it was received."""

    op: str
    req_id: str | int | None
    params: dict[str, Any]

    def read(self, shape: type[R]) -> R:
        """Read the parameters as a type. Raises Problem that names the field."""
        return convert(self.params, shape)


def convert(params: dict[str, Any], shape: type[R]) -> R:
    """Read parameters as a type. Raises Problem."""
    return decode.body_of(json.dumps(params).encode(), shape)


def parse(text: str | bytes) -> Message:
    """Read a message. Raises Problem."""
    if isinstance(text, bytes):
        raise Problem("invalid_json", "Messages are text frames; this one was binary.")
    value = decode.parse_json(text.encode("utf-8", "surrogatepass"))
    if not isinstance(value, dict):
        raise Problem("invalid_json", "A message must be one JSON object.")
    unknown = sorted(set(value) - {"op", "req_id", "params"})
    if unknown:
        raise Problem(
            "invalid_request",
            "A message has the members op, req_id and params, and no others.",
            field=unknown[0][:64],
        )
    op, params = value.get("op"), value.get("params", {})
    if not isinstance(op, str) or _OP.match(op) is None:
        raise Problem("invalid_request", "The member op must name an operation.", field="op")
    if not isinstance(params, dict):
        raise Problem("invalid_request", "The member params must be an object.", field="params")
    return Message(op, request_id(value), params)


def request_id(value: Any) -> str | int | None:
    """Return the ``req_id`` of a message. Raises Problem if it is malformed."""
    found = value.get("req_id") if isinstance(value, dict) else None
    if found is None:
        return None
    if isinstance(found, str) and _REQ_ID.match(found):
        return found
    if isinstance(found, int) and not isinstance(found, bool) and abs(found) <= _REQ_ID_MAX:
        return found
    raise Problem(
        "invalid_request",
        "The member req_id must be a whole number or 1 to 64 visible ASCII characters.",
        field="req_id",
    )
