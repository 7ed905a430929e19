"""The documentation: ``/docs``, ``/docs/api``, ``/openapi.json`` and the page of each error.

``/docs`` is the site that ``make docs`` built. ``/docs/api`` is the API reference from which
requests can be sent; its files, and the renderer they load, are in ``account_api/reference``.
``/docs/api/plain`` is the same without scripts. Both are made from the types with which this
process validates, and are always there. All of it may be read by pages of other origins.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec
from flask import Flask, Response, redirect, send_from_directory

from account_api.errors import CATALOGUE
from account_api.http.cors import PUBLIC
from account_api.http.downloads import tagged

Finish = Callable[[Response], Response]
Reference = Callable[[], dict[str, Any]]

REFERENCE: Final = Path(__file__).parent.parent / "reference"
_PLAIN_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
_SITE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
    **dict(PUBLIC),
}


def add_docs(
    app: Flask, content: Reference, plain: Callable[[dict[str, Any]], str], site: Path | None,
    demo_keys: tuple[str, ...], finish: Finish,
) -> None:  # fmt: skip
    """Serve the documentation.

    ``content`` makes the OpenAPI document and ``plain`` a page of it, both at their first use:
    clients are waiting for a worker that replaces a killed one. ``demo_keys`` are keys whose secret
    is public, which the reference offers. ``finish`` adds the headers of every response. ``site``
    may be built while the venue runs; until then /docs leads to the reference.
    """
    known = cache(content)
    page = cache(lambda: plain(known()))
    encoded = cache(lambda: msgspec.json.format(msgspec.json.encode(known()), indent=2))
    index = (REFERENCE / "index.html").read_text(encoding="utf-8")
    index = index.replace("%DEMO_KEYS%", html.escape(" ".join(demo_keys), quote=True))

    def shared(body: str | bytes, media_type: str, policy: str = "") -> Response:
        response = finish(Response(body, content_type=media_type))
        response.headers.update(PUBLIC)
        if policy:
            response.headers["Content-Security-Policy"] = policy
        return response

    def file_of(folder: Path, name: str) -> Response:
        response = send_from_directory(folder, name, conditional=True)
        response.headers.update(_HEADERS | {"Content-Security-Policy": _SITE_POLICY})
        return response

    def moved(target: str) -> Response:
        return finish(Response(redirect(target).data, 302, {"Location": target}))

    html_type = "text/html; charset=utf-8"
    views: dict[str, tuple[str, Callable[..., Response]]] = {
        "/openapi.json": ("openapi_json",
                          lambda: tagged(shared(encoded(), "application/json"))),
        "/docs/api": ("docs_api", lambda: shared(index, html_type, _SITE_POLICY)),
        "/docs/api/": ("docs_api_slash", lambda: moved("/docs/api")),
        "/docs/api/plain": ("docs_plain", lambda: shared(page(), html_type, _PLAIN_POLICY)),
        "/docs/api/<path:name>": ("docs_api_file", lambda name: file_of(REFERENCE, name)),
    }
    if site is None:
        views["/docs"] = views["/docs/"] = ("docs", lambda: moved("/docs/api"))
    else:
        built, index_file = site, site / "index.html"

        def home(there: Callable[[], Response]) -> Response:
            return there() if index_file.is_file() else moved("/docs/api")

        views["/docs"] = ("docs", lambda: home(lambda: moved("/docs/")))
        views["/docs/"] = ("docs_home", lambda: home(lambda: file_of(built, index_file.name)))
        views["/docs/<path:name>"] = ("docs_file", lambda name: file_of(built, name))
    for rule, (name, view) in views.items():
        app.add_url_rule(rule, name, view, methods=["GET"])


def add_errors(app: Flask, finish: Finish, unknown: Callable[[], Response]) -> None:
    """Serve the page of each error, to which the type of a problem leads."""

    def error_page(code: str) -> Response:
        kind = CATALOGUE.get(code)
        if kind is None:
            return unknown()
        response = finish(Response(kind.text(), content_type="text/plain; charset=utf-8"))
        response.headers.update(PUBLIC)
        return response

    app.add_url_rule("/errors/<code>", "error_page", error_page, methods=["GET"])
