"""An answer that is ready: bytes and header fields that nobody looks at again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, Final

from flask import Response

_LINES: Final = {int(status): f"{status.value} {status.phrase}" for status in HTTPStatus}


class Answer(Response):
    """What a route of the table answers.

    Flask's own response builds, checks and converts its fields for every request, which costs
    more than the rest of a small answer. Here they are handed on as they are: every one was
    written by us or, as X-Request-Id, checked when it was read.
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
        """The answer as WSGI has it; one to HEAD has no bytes."""
        start_response(self._status, self._fields)
        return () if environ["REQUEST_METHOD"] == "HEAD" else (self._body,)
