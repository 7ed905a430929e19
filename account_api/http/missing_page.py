"""What a browser is shown at a path that does not exist; programs get the problem document."""

from __future__ import annotations

import html
from functools import cache
from typing import Final

from flask import Response, request

from account_api.errors import PROBLEM_TYPE, Problem
from account_api.http.web_page import WEB

FILE: Final = "missing.html"
_TYPE: Final = "text/html"
# The first is what a client gets that names none of them, or all alike.
_OFFERED: Final = (PROBLEM_TYPE, "application/json", _TYPE)
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def asked_for() -> bool:
    """Return whether the request being served prefers HTML to JSON, as browsers do."""
    wanted = request.accept_mimetypes.best_match(_OFFERED, default=PROBLEM_TYPE)
    return request.method in ("GET", "HEAD") and wanted == _TYPE


def missing_page(problem: Problem) -> Response:
    """Make the page with the sentence of the problem."""
    text = _template().replace("%DETAIL%", html.escape(problem.detail))
    return Response(text, 404, _HEADERS, content_type="text/html; charset=utf-8")


@cache
def _template() -> str:
    return (WEB / FILE).read_text(encoding="utf-8")
