"""The documentation at ``/docs``: the site that ``make docs`` built, or else the API reference.

The reference is always at ``/docs/api``, made from the types with which this process validates.
The site consists of static files, which run no script but their own.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from flask import Flask, Response, redirect, send_from_directory

_REFERENCE_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
_SITE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def built_site(folder: Path) -> Path | None:
    """Return the folder of the site, or None if it was not built."""
    return folder if (folder / "index.html").is_file() else None


def add_docs(
    app: Flask, reference: Callable[[], str], site: Path | None,
    finish: Callable[[Response], Response],
) -> None:  # fmt: skip
    """Serve the documentation; ``reference`` renders the API reference, and ``finish`` adds the
    headers of every response."""

    def docs_api() -> Response:
        response = finish(Response(reference(), content_type="text/html; charset=utf-8"))
        response.headers["Content-Security-Policy"] = _REFERENCE_POLICY
        return response

    app.add_url_rule("/docs/api", "docs_api", docs_api, methods=["GET"])
    if site is None:
        app.add_url_rule("/docs", "docs", docs_api, methods=["GET"])
        return

    def docs_file(name: str) -> Response:
        response = send_from_directory(site, name, conditional=True)
        response.headers.update(_HEADERS | {"Content-Security-Policy": _SITE_POLICY})
        return response

    def docs_home() -> Response:
        return docs_file("index.html")

    def docs_moved() -> Response:
        return finish(Response(redirect("/docs/").data, 302, {"Location": "/docs/"}))

    app.add_url_rule("/docs", "docs", docs_moved, methods=["GET"])
    app.add_url_rule("/docs/", "docs_home", docs_home, methods=["GET"])
    app.add_url_rule("/docs/<path:name>", "docs_file", docs_file, methods=["GET"])
