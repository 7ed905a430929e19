"""The client's address of a request that arrives through reverse proxies.

A proxy appends the address that it saw to X-Forwarded-For. Only what a configured proxy
appended is trusted: everything to the left of it came from the client.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]


def forwarded_for(address: str, headers: Iterable[str], proxies: Collection[str]) -> str:
    """Return the nearest address that is not one of our proxies; ``address`` is the peer's own."""
    chain = [part.strip() for header in headers for part in header.split(",")]
    while address in proxies and chain:
        address = chain.pop()
    return address


def behind_proxies(application: Wsgi, proxies: Collection[str]) -> Wsgi:
    """Wrap the application so that REMOTE_ADDR is what ``forwarded_for`` returns."""
    if not proxies:
        return application
    trusted = frozenset(proxies)

    def serve(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        given = environ.get("HTTP_X_FORWARDED_FOR")
        if given:
            environ["REMOTE_ADDR"] = forwarded_for(
                environ.get("REMOTE_ADDR", ""), [given], trusted
            )
        return application(environ, start_response)

    return serve
