"""What gunicorn cannot read is answered as everything else is: by a problem document."""

from __future__ import annotations

import os
from http import HTTPStatus
from typing import Any, Final

from gunicorn import util
from gunicorn.http.errors import NoMoreData, ParseException

from account_api.errors import PROBLEM_TYPE, Problem

BODY_UNREADABLE: Final = (ParseException, NoMoreData)
"""What gunicorn raises while a body is read whose framing is wrong, or which ends too early."""


def answer_by_problem() -> None:
    """Have gunicorn write a problem where it would write a page of HTML.

    It finds the function by name in its module, and calls it for every request that it refuses
    before an application sees it.
    """
    util.write_error = _write


def _write(sock: Any, status: int, reason: str, _: str) -> None:
    """The answer to a request that is not valid HTTP. What was wrong with it is in our log."""
    request_id = os.urandom(16).hex()
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = reason
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        problem = Problem("internal_error", "Something went wrong on our side.")
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
