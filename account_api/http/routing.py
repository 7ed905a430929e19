"""``Route``, a row of the table of routes, and ``Call``, a request to one.

A route says what it takes (scope, body, query) and what it returns; Flask's URL rules and the
OpenAPI document are made from the table, so that neither can drift from what is validated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec import structs

from account_api.errors import Problem
from account_api.reply import Reply
from account_api.schema.identifiers import is_id
from account_api.schema.requests import NoQuery, Request
from account_api.security.auth import Principal
from account_api.services import Services
from engine.core.authority import Thing, scope_of

B = TypeVar("B", bound=Request | None)
Q = TypeVar("Q", bound=Request)
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


class Call(msgspec.Struct, Generic[B, Q], frozen=True):
    """One request to a handler, with the body and the query that it takes.

    ``parts`` are the variable parts of the path. ``now_us`` is when it was received (µs since
    1970). ``thing`` is what the caller was authorized for.
    """

    services: Services
    caller: Principal | None
    parts: dict[str, str]
    query: Q
    body: B
    now_us: int
    request_id: str
    thing: Thing = Thing.READ_REFERENCE

    @property
    def principal(self) -> Principal:
        """The caller of a route that requires a scope. Raises RuntimeError on a public route."""
        if self.caller is None:
            raise RuntimeError("a public route asked who its caller is")
        return self.caller

    def under(self, token: str) -> Call[B, Q]:
        """Return the same request under another token of the engine."""
        if self.caller is None:
            return self
        return structs.replace(self, caller=structs.replace(self.caller, token=token))


    def find(self, token: str) -> int:
        """Return the seq in which a request of the caller was done under a token, 0 if it was not.

        In that case it cannot be done any more. Raises Problem.
        """
        return self.services.find(self.under(token).principal.origin())


AnyCall = Call[Any, Any]
"""A request of any route."""
PlainCall = Call[None, NoQuery]
"""A request that takes neither a body nor a query."""
BodyCall = Call[B, NoQuery]
QueryCall = Call[None, Q]

Handler = Callable[[AnyCall], Reply]


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the table. ``thing`` is its row in the table of authority.

    ``body`` and ``query`` are the types in the handler's signature: ``BodyCall[NewOrderRequest]``.

    ``needs_key``: the request has no id of its own, so it needs an Idempotency-Key.
    ``repeatable``: done twice, it does no more than once, whatever came between.

    ``errors`` are the codes that are particular to the route; those that every route of its
    kind can answer are added by the OpenAPI document.
    """

    method: Method
    path: str
    handler: Handler
    summary: str
    answer: type[msgspec.Struct]
    thing: Thing = Thing.READ_REFERENCE
    body_required: bool = True
    status: int = 200
    replays: bool = False
    needs_key: bool = False
    repeatable: bool = True
    errors: tuple[str, ...] = ()
    tag: str = "market"
    body: type[Request] | None = field(init=False)
    query: type[Request] = field(init=False)

    def __post_init__(self) -> None:
        body, query = _taken_by(self.handler)
        object.__setattr__(self, "body", body)
        object.__setattr__(self, "query", query)

    @property
    def scope(self) -> str | None:
        """The scope that it requires; None: it is public."""
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


def _taken_by(handler: Handler) -> tuple[type[Request] | None, type[Request]]:
    """Read the types of the body and the query from a handler's signature."""
    taken = get_type_hints(handler).get("call")
    if get_origin(taken) is not Call:
        raise TypeError(f"{handler.__name__} needs a signature such as call: BodyCall[…]")
    body, query = get_args(taken)
    return (None if body is type(None) else body), query


def part_id(call: AnyCall, name: str, code: str, what: str) -> int:
    """Read the number in a path; anything else does not exist and is answered with ``code``."""
    text = call.parts[name]
    if not is_id(text):
        raise Problem(code, f"There is no {what} {text[:40]!r}.", status=404)
    return int(text)
