"""Problem documents for requests that gunicorn cannot parse."""

from __future__ import annotations

import os
from http import HTTPStatus
from typing import Any, Final

from gunicorn import util
from gunicorn.http.errors import NoMoreData, ParseException

from account_api.errors import PROBLEM_TYPE, Problem

BODY_UNREADABLE: Final = (ParseException, NoMoreData)
"""What gunicorn raises while it reads a body that is framed wrongly or ends too early."""


def answer_by_problem() -> None:
    """Make gunicorn send a problem document where it would send an HTML page.

    gunicorn looks the function up in its module at every request that it refuses before the
    application sees it.
    """
    util.write_error = _write


def _write(sock: Any, status: int, reason: str, _: str) -> None:
    """Answer a request that is not valid HTTP; what was wrong with it is only logged."""
    request_id = os.urandom(16).hex()
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = reason
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        problem = Problem("internal_error", "An internal error occurred.")
    else:
        detail = f"The request is not valid HTTP: {phrase}."
        problem = Problem("malformed_http", detail, status=status)
    body = problem.encode(request_id)
    head = (
        f"HTTP/1.1 {status} {phrase}\r\nConnection: close\r\nContent-Type: {PROBLEM_TYPE}\r\n"
        f"Content-Length: {len(body)}\r\nX-Request-Id: {request_id}\r\n"
        "Cache-Control: no-store\r\n\r\n"
    )
    util.write_nonblock(sock, head.encode("latin-1") + body)
