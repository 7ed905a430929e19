"""A client's requests to the account API, by REST or as operations of the WebSocket, which are
converted to the equivalent REST requests."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from certification.api.http import Reply, Request
from certification.scenarios.scenario import Step
from certification.scenarios.values import as_text, at_path

CLIENT_PREFIX: Final = "client:"
OPERATIONS: Final[Mapping[str, tuple[str, str]]] = {
    "create_order": ("POST", "/v1/orders"),
    "replace_order": ("PATCH", "/v1/orders/{order}"),
    "cancel_order": ("DELETE", "/v1/orders/{order}"),
    "cancel_all": ("DELETE", "/v1/orders"),
    "batch": ("POST", "/v1/orders/batch"),
    "get_order": ("GET", "/v1/orders/{order}"),
    "get_orders": ("GET", "/v1/orders"),
    "get_fills": ("GET", "/v1/fills"),
    "get_balances": ("GET", "/v1/balances"),
    "get_holds": ("GET", "/v1/holds"),
}
"""Operations of the WebSocket and their REST requests; other operations have no equivalent."""
_SECRETS: Final = ("token", "signature")


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """A response over either interface. One over the WebSocket has the status of REST."""

    status: int
    document: Any


Verdict = str | Reply
"""How a request is handled: ``pass`` (forwarded), ``lost`` (forwarded, its response is dropped),
``swallowed`` (dropped), or answered with this response in place of the venue."""


@dataclass(slots=True, eq=False)
class HeldRequest:
    """A request of the client. ``judged`` is set when the case has looked at its response."""

    method: str
    path: str
    body: Any
    query: Mapping[str, str]
    key: str
    shown: str
    decided: asyncio.Future[Verdict] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    response: asyncio.Future[ApiResponse] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    judged: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_read(self) -> bool:
        """Return whether it is a read, which may come at any time."""
        return self.method in ("GET", "HEAD", "WS")

    def decide(self, verdict: Verdict) -> None:
        """Decide how it is handled; the first decision holds."""
        if not self.decided.done():
            self.decided.set_result(verdict)

    def release(self) -> None:
        """Forward it, and pass its response on."""
        self.decide("pass")
        self.judged.set()

    def respond(self, response: ApiResponse) -> None:
        """Set its response; the first one holds."""
        if not self.response.done():
            self.response.set_result(response)

    def matches(self, wanted: str) -> bool:
        """Return whether it matches ``POST /v1/orders|WS subscribe``; ``{id}`` matches any id."""
        return any(self._is(choice) for choice in wanted.split("|"))

    def _is(self, choice: str) -> bool:
        method, _, path = choice.partition(" ")
        own, segments = self.path.split("/"), path.split("/")
        return method == self.method and len(own) == len(segments) and all(
            wanted == "{id}" or wanted == found
            for wanted, found in zip(segments, own, strict=True)
        )

    @property
    def id(self) -> str:
        """Return the id in the path, without ``client:``."""
        parts = self.path.split("/")
        return parts[3].removeprefix(CLIENT_PREFIX) if len(parts) > 3 else ""

    def look_up(self, key: str) -> str | None:
        """Return a member of the body, a parameter of the query, or ``id``; None if absent."""
        if key == "id":
            return self.id or None
        value = at_path(self.body, key)
        if value is None:
            return self.query.get(key)
        return as_text(value)


def from_request(request: Request) -> HeldRequest:
    """Hold a request of REST."""
    return HeldRequest(
        request.method, request.path, request.document, request.query,
        request.header("x-tandem-key"), request.shown(),
    )  # fmt: skip


def from_frame(text: str, document: Any) -> HeldRequest:
    """Hold a frame of the WebSocket; an operation without a REST equivalent has method WS."""
    op = document.get("op") if isinstance(document, dict) else None
    params = document.get("params") or {} if isinstance(document, dict) else {}
    body = dict(params) if isinstance(params, dict) else {}
    method, path = OPERATIONS.get(str(op), ("WS", str(op)))
    if "{order}" in path:
        path = path.replace("{order}", str(body.pop("order", "")))
    query: dict[str, str] = {}
    if method == "GET":
        query = {name: as_text(value) for name, value in body.items()}
    return HeldRequest(method, path, body, query, "", f"WS {without_secrets(text, document)}")


def without_secrets(text: str, document: Any) -> str:
    """Return a frame as text for reports, without token and signature."""
    params = document.get("params") if isinstance(document, dict) else None
    for name in _SECRETS:
        value = params.get(name) if isinstance(params, dict) else None
        if isinstance(value, str) and value:
            text = text.replace(value, "***")
    return text


def entered_ids(held: HeldRequest) -> list[str]:
    """Return the client's ids of the orders and withdrawals that a request creates."""
    if held.method != "POST" or not isinstance(held.body, dict):
        return []
    rows = held.body.get("operations")
    bodies = [held.body, *(rows if isinstance(rows, list) else [])]
    return [
        str(body[name]) for body in bodies if isinstance(body, dict)
        for name in ("client_order_id", "client_withdrawal_id") if body.get(name)
    ]  # fmt: skip


def entered_quantity(held: HeldRequest) -> str:
    """Return the quantity or amount that a request creates, "" if it creates nothing."""
    return (held.look_up("quantity") or held.look_up("amount") or
            held.look_up("operations.0.quantity") or "") if held.method == "POST" else ""


def names(step: Step) -> str:
    """Return the message types that a step waits for, as text."""
    return " or ".join((step.client or step.venue).split("|"))
