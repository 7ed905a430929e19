"""Third-party routing: for whom a session sends, in the header of application messages.

FIX 4.4, volume 2, Third Party Message Routing: what came on behalf of somebody is answered for
delivery to somebody, and the reverse. Whoever else is told of it gets the fields as they came: a
copy is for its reader, and "deliver to" would have it passed on to somebody who has it already.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from engine.core.events import (
    Event,
    MassCanceled,
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderReplaced,
    OrderRestated,
    OrderTriggered,
)
from engine.core.types import CancelReason, OrderTerms, Route
from fix_gateway.codec.message import SOH

VALUE_LENGTH_MAX: Final = 32
_FIELDS: Final = {
    "115": "OnBehalfOfCompID(115)",
    "116": "OnBehalfOfSubID(116)",
    "128": "DeliverToCompID(128)",
    "129": "DeliverToSubID(129)",
}
_ORDER_EVENTS: Final = (
    OrderAccepted, OrderFilled, OrderCanceled, OrderReplaced, OrderRestated, OrderTriggered,
)  # fmt: skip
_ORDER_KINDS: Final[frozenset[type[Event]]] = frozenset(_ORDER_EVENTS)
_ROUTED_KINDS: Final[frozenset[type[Event]]] = frozenset((OrderCanceled, MassCanceled))


def has_fields(fields: Mapping[str, str]) -> bool:
    """Return True if a message has a field of third-party routing."""
    return "115" in fields or "116" in fields or "128" in fields or "129" in fields


def read_route(fields: Mapping[str, str]) -> tuple[Route | None, str]:
    """Return the route of a message, None without one, and what is wrong with it, or "".

    A value that cannot be taken is left out, so that the refusal is routed by the others.
    """
    if not has_fields(fields):
        return None, ""
    values, fault = [], ""
    for tag, name in _FIELDS.items():
        value = fields.get(tag, "")
        if len(value) > VALUE_LENGTH_MAX or not (value.isascii() and value.isprintable()):
            fault = fault or f"{name} needs 1 to {VALUE_LENGTH_MAX} printable ASCII characters"
            value = ""
        values.append(value)
    return (Route(*values) if any(values) else None), fault


def _header(on_behalf_of: tuple[str, str], deliver_to: tuple[str, str]) -> str:
    values = (*on_behalf_of, *deliver_to)
    return "".join([f"{tag}={v}{SOH}" for tag, v in zip(_FIELDS, values, strict=True) if v])


def reversed_header(route: Route | None) -> str:
    """Return the header fields of an answer to a message with this route."""
    return "" if route is None else _header(route[2:], route[:2])


def copied_header(route: Route | None) -> str:
    """Return the header fields of a copy for somebody whose route it is not."""
    return "" if route is None else _header(route[:2], route[2:])


def answer_header(fields: Mapping[str, str]) -> str:
    """Return the header fields of an answer to a message of these fields."""
    return reversed_header(read_route(fields)[0])


def order_header(order: OrderTerms, source: str) -> str:
    """Return the header fields of what a session is told of an order without having asked."""
    if order.route is None:
        return ""
    return (reversed_header if order.session == source else copied_header)(order.route)


def has_route(event: Event) -> bool:
    """Return True if an event has a route of its own, beside that of the command."""
    kind = type(event)
    if kind in _ORDER_KINDS and event.order.route is not None:  # type: ignore[union-attr]
        return True
    return kind in _ROUTED_KINDS and event.route is not None  # type: ignore[union-attr]


def event_header(event: Event, source: str, requester: str, route: Route | None) -> str:
    """Return the header fields of what a session, ``source``, is told of an event.

    ``requester`` sent the command that caused the event, and ``route`` is that command's. Who is
    answered gets the request's route, reversed; who is told of an order of its own gets the
    order's, reversed; and a copy has the route in question as it came.
    """
    if isinstance(event, OrderCanceled):
        answers = event.reason is CancelReason.REQUESTED
        own = event.order.session == source
        if event.requester == source and (answers or not own):
            return reversed_header(event.route)
        if own or not answers:
            return order_header(event.order, source)
        return copied_header(event.route)
    if isinstance(event, OrderReplaced):
        if event.requester == source:
            return reversed_header(route)
        own = event.order.session == source
        return reversed_header(event.order.route) if own else copied_header(route)
    if isinstance(event, _ORDER_EVENTS):
        return order_header(event.order, source)
    if isinstance(event, MassCanceled):
        requester, route = event.requester or requester, event.route or route
    return (reversed_header if requester == source else copied_header)(route)
