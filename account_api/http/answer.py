"""A pre-rendered response: bytes and header fields that Flask does not process again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, Final

from flask import Response

_LINES: Final = {int(status): f"{status.value} {status.phrase}" for status in HTTPStatus}


class Answer(Response):
    """The response of a route of the table.

    Flask's own response builds, checks and converts its fields for every request, which costs
    more than the rest of a small response. Here they are passed on unchanged: each was written by
    us or, like X-Request-Id, checked when it was read.
    """

    def __init__(self, body: bytes, status: int, fields: list[tuple[str, str]]) -> None:
        self._body = body
        self._fields = fields
        self._status = _LINES[status]
        self._status_code = status
        fields.append(("Content-Length", str(len(body))))

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Send the response by WSGI; a response to HEAD has no body."""
        start_response(self._status, self._fields)
        return () if environ["REQUEST_METHOD"] == "HEAD" else (self._body,)
