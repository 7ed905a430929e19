"""Which pages of other origins may read responses (CORS).

What is public is for every page: market data and documents. Everything else is for pages of the
origins in ``http.cors_origins`` alone, none by default. There are no cookies, so a page of another
origin never acts as its user unless it has the user's key.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any, Final

from flask import Response

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]

PUBLIC: Final = (
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Expose-Headers", "Retry-After, X-Request-Id"),
)
"""Headers of every public response."""
_AGE_S: Final = "7200"
_ALLOWED: Final = (
    "Authorization, Content-Type, Idempotency-Key, X-Request-Id, X-Tandem-Key, "
    "X-Tandem-Signature, X-Tandem-Timestamp"
)
_EXPOSED: Final = "Idempotent-Replayed, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id"


def options(
    methods: Collection[str], public: bool, finish: Callable[[Response], Response]
) -> Callable[..., Response]:
    """Make the view that answers OPTIONS for a path with these methods.

    ``public``: anybody may GET it, so a page of any origin may, too.
    ``finish`` adds the headers of every response.
    """
    served = {*methods, "OPTIONS"} | ({"HEAD"} if "GET" in methods else set())
    fields = [("Allow", ", ".join(sorted(served))), ("Access-Control-Max-Age", _AGE_S)]
    if public:
        fields += [
            PUBLIC[0], ("Access-Control-Allow-Methods", "GET, HEAD"),
            ("Access-Control-Allow-Headers", "X-Request-Id"),
        ]  # fmt: skip

    def answer(**_: str) -> Response:
        response = Response(status=204)
        response.headers.extend(fields if public else fields[:1])
        return finish(response)

    return answer


def for_origins(application: Wsgi, origins: Collection[str]) -> Wsgi:
    """Wrap the application so that pages of the origins may send it any request."""
    if not origins:
        return application

    def serve(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        origin = environ.get("HTTP_ORIGIN", "")
        if origin not in origins:
            return application(environ, start_response)
        if (
            environ["REQUEST_METHOD"] == "OPTIONS"
            and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ
        ):
            start_response("204 No Content", [*_of(origin), *_PREFLIGHT])
            return ()

        def start(status: str, fields: list[tuple[str, str]], *more: Any) -> Any:
            kept = [field for field in fields if not field[0].startswith("Access-Control-")]
            return start_response(status, [*kept, *_of(origin)], *more)

        return application(environ, start)

    return serve


_PREFLIGHT: Final = (
    ("Access-Control-Allow-Methods", "DELETE, GET, HEAD, PATCH, POST, PUT"),
    ("Access-Control-Allow-Headers", _ALLOWED),
    ("Access-Control-Max-Age", _AGE_S),
)


def _of(origin: str) -> tuple[tuple[str, str], ...]:
    return (
        ("Access-Control-Allow-Origin", origin),
        ("Access-Control-Expose-Headers", _EXPOSED),
        ("Vary", "Origin"),
    )
