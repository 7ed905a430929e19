"""Files that a client needs, from a running venue: ``/FIX44.xml``, ``/docs/files/…`` and others.

The data dictionary, the OpenAPI and AsyncAPI documents, settings and programs for clients, golden
conversations, dashboards. They are those of this release, in a checkout and in a wheel alike, and
anybody may read them. They are read when somebody asks, so that a worker starts without them.
"""

from __future__ import annotations

import hashlib
import html
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Final

from flask import Flask, Response, abort, request

from account_api.http.cors import PUBLIC

FILES: Final = "/docs/files/"
SHORT: Final = {
    "/FIX44.xml": "spec/FIX44.xml",
    "/openapi.yaml": "spec/openapi.yaml",
    "/asyncapi.yaml": "spec/asyncapi.yaml",
}
"""Files with an address of their own besides that under ``FILES``."""
_TYPES: Final = {
    ".json": "application/json",
    ".xml": "application/xml",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}
_TEXT: Final = "text/plain; charset=utf-8"
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    # Revalidated each time and answered with 304: an upgrade reaches every client.
    "Cache-Control": "no-cache",
    **dict(PUBLIC),
}


def tagged(response: Response) -> Response:
    """Give a response its ETag, and make it a 304 for who has it already."""
    response.set_etag(hashlib.sha256(response.get_data()).hexdigest()[:32])
    response.headers["Cache-Control"] = "no-cache"
    response.make_conditional(request)
    return response


def add_downloads(
    app: Flask, find: Callable[[], Mapping[str, Path]], finish: Callable[[Response], Response]
) -> None:
    """Serve the files that ``find`` finds by their path under ``FILES``.

    ``finish`` adds the headers of every response.
    """
    known = cache(find)

    def serve(name: str) -> Response:
        path = known().get(name)
        if path is None:
            abort(404)
        response = Response(path.read_bytes(), content_type=_TYPES.get(path.suffix, _TEXT))
        finish(response).headers.update(_HEADERS)
        return tagged(response)

    def listed() -> Response:
        rows = "".join(
            f"<li><a href='{FILES}{html.escape(name)}'>{html.escape(name)}</a> "
            f"{path.stat().st_size:,} bytes</li>"
            for name, path in sorted(known().items())
        )
        head = "<!doctype html><html lang=en><meta charset=utf-8><title>Files</title><h1>Files</h1>"
        page = f"{head}<ul>{rows}</ul>"
        response = finish(Response(page, content_type="text/html; charset=utf-8"))
        response.headers.update(_HEADERS | {"Content-Security-Policy": "default-src 'none'"})
        return tagged(response)

    app.add_url_rule(FILES, "downloads", listed, methods=["GET"])
    app.add_url_rule(f"{FILES}<path:name>", "download", serve, methods=["GET"])
    for rule, target in SHORT.items():
        app.add_url_rule(rule, f"download {rule}", partial(serve, target), methods=["GET"])
