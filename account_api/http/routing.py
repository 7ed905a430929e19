"""The table of routes, and the one way in which every request of it is served.

A route says what it takes (scope, body, query) and what it answers; the table yields the URL
rules of Flask and the OpenAPI document, so that neither can drift from what is validated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

import msgspec
from msgspec import structs

from account_api.errors import Problem
from account_api.reply import REPLAYED, Reply
from account_api.schema.identifiers import is_id
from account_api.schema.requests import NoQuery, Request
from account_api.security.auth import Principal
from account_api.services import Services
from engine.core.authority import Thing, scope_of

__all__ = ["REPLAYED", "Call", "Handler", "Method", "Reply", "Route", "part_id"]

R = TypeVar("R", bound=Request)
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]

class Call(msgspec.Struct, frozen=True):
    """One request on its way through a handler.

    ``parts`` are the variable parts of the path. ``now_us`` is when it was received. ``thing`` is
    what the caller was found to be allowed to do.
    """

    services: Services
    caller: Principal | None
    parts: dict[str, str]
    raw_query: Request
    raw_body: Request | None
    now_us: int
    request_id: str
    thing: Thing = Thing.READ_REFERENCE

    @property
    def principal(self) -> Principal:
        """The caller of a route that asks for a scope."""
        if self.caller is None:
            raise RuntimeError("a public route asked who its caller is")
        return self.caller

    def under(self, token: str) -> Call:
        """The same request, known to the engine by another token."""
        if self.caller is None:
            return self
        return structs.replace(self, caller=structs.replace(self.caller, token=token))

    def query(self, shape: type[R]) -> R:
        """The query string, of the type that the route declares."""
        if not isinstance(self.raw_query, shape):
            raise RuntimeError(f"the route does not declare the query {shape.__name__}")
        return self.raw_query

    def body(self, shape: type[R]) -> R:
        """The body, of the type that the route declares."""
        if not isinstance(self.raw_body, shape):
            raise RuntimeError(f"the route does not declare the body {shape.__name__}")
        return self.raw_body


Handler = Callable[[Call], Reply]


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the table. ``thing`` is its row in the table of authority.

    ``needs_key``: the request has no natural id, so an Idempotency-Key has to come with it.

    ``errors`` are the codes that are particular to the route; those that every route of its
    kind can answer are added by the OpenAPI document.
    """

    method: Method
    path: str
    handler: Handler
    summary: str
    answer: type[msgspec.Struct]
    thing: Thing = Thing.READ_REFERENCE
    query: type[Request] = NoQuery
    body: type[Request] | None = None
    body_required: bool = True
    status: int = 200
    replays: bool = False
    needs_key: bool = False
    errors: tuple[str, ...] = ()
    tag: str = "market"

    @property
    def scope(self) -> str | None:
        """The scope that it needs; None: anybody may call it."""
        holder = scope_of(self.thing)
        return None if holder is None else holder.value

    @property
    def group(self) -> str:
        """The rate limit that counts it."""
        if self.scope == "trade":
            return "trade"
        return "read" if self.scope in (None, "read") else "money"

    @property
    def name(self) -> str:
        """A name for the operation that is unique in the table."""
        return self.handler.__name__


def part_id(call: Call, name: str, code: str, what: str) -> int:
    """The number in a path; anything else cannot exist, so it is answered with ``code``."""
    text = call.parts[name]
    if not is_id(text):
        raise Problem(code, f"There is no {what} {text[:40]!r}.", status=404)
    return int(text)
