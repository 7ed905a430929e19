"""``Client``: the account API for threads. Every operation is a method of it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, TypeVar

import httpx
from msgspec.structs import force_setattr

from tandem_client.credentials import Credentials, HmacKey
from tandem_client.document import Document, decode
from tandem_client.exchange import (
    Clock,
    Exchange,
    Lost,
    Pause,
    RateLimit,
    Request,
    Response,
    Steps,
    now_ms,
)
from tandem_client.generated.methods import Operations
from tandem_client.generated.operations import OPERATIONS
from tandem_client.retry import Retry
from tandem_client.version import __version__

D = TypeVar("D", bound=Document)
Members = Mapping[str, Any]
STANDARD = {"User-Agent": f"tandem-client/{__version__}", "Accept-Encoding": "gzip, deflate"}
DEFAULT_URL = "http://127.0.0.1:8080"
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
"""Failures after which the venue cannot have got the request."""


class Client(Operations):
    """A client of one venue with one key. Thread-safe; close it, or use it as a context.

    ``key`` and ``secret`` are an HMAC key; for others pass ``credentials``. Without any of them
    only public data can be read. ``timeout_s`` bounds each attempt, ``retry`` all of them.
    ``clock_offset_ms`` is added to this machine's clock. With ``automatic_keys`` a request that
    changes something and has no id of its own gets an Idempotency-Key, so that it can be sent
    again; without, such a request is not repeated once it may have reached the venue.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        key: str = "",
        secret: str = "",
        *,
        credentials: Credentials | None = None,
        timeout_s: float = 10.0,
        retry: Retry | None = None,
        clock_offset_ms: int = 0,
        automatic_keys: bool = True,
        trust_env: bool = True,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = base_url(url)
        self._address, self._timeout_s = httpx.URL(self.url), timeout_s
        clock = Clock(clock_offset_ms)
        self._exchange = Exchange(
            self.url, chosen(key, secret, credentials), retry or Retry(), clock, automatic_keys
        )
        self._http = httpx.Client(
            timeout=timeout_s, trust_env=trust_env, transport=transport, follow_redirects=False
        )

    @property
    def credentials(self) -> Credentials | None:
        """Return who asks."""
        return self._exchange.credentials

    @property
    def rate_limits(self) -> Mapping[str, RateLimit]:
        """Return what the latest responses said about the key's limits, by group."""
        return self._exchange.rate_limits

    def clock_skew_ms(self) -> int:
        """Ask the venue for its time; return how far this machine is ahead, about, in ms."""
        before = now_ms()
        venue = self.get_time().time_ms
        return (before + now_ms()) // 2 - venue

    def request(
        self, method: str, target: str, content: bytes = b"", *, idempotency_key: str = ""
    ) -> Response:
        """Sign and send a request once, as it is given; return the response, whatever it says.

        The target reaches the venue byte for byte. Raises NoAnswer.
        """
        return self._run(
            self._exchange.raw(method.upper(), target, content, idempotency_key)
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _call(
        self, operation: str, answer: type[D], parts: Members, query: Members,
        body: Members | None, idempotency_key: str | None,
    ) -> D:
        steps = self._exchange.call(OPERATIONS[operation], parts, query, body, idempotency_key)
        return read(self._run(steps), answer)

    def _pages(
        self, operation: str, answer: type[D], rows: str, query: Members, following: str
    ) -> Iterator[Any]:
        asked: Members | None = query
        while asked is not None:
            page = self._call(operation, answer, {}, asked, None, None)
            yield from getattr(page, rows)
            asked = next_page(page, query, following)

    def _run(self, steps: Steps) -> Response:
        reply: Response | Lost | None = None
        while True:
            try:
                step = steps.send(reply)
            except StopIteration as end:
                response: Response = end.value
                return response
            if isinstance(step, Pause):
                time.sleep(step.seconds)
                reply = None
            else:
                reply = self._send(step)

    def _send(self, request: Request) -> Response | Lost:
        try:
            answer = self._http.send(built(self._address, request, self._timeout_s))
        except httpx.TransportError as error:
            return lost(error)
        return received(answer)


def base_url(url: str) -> str:
    """Return the address of a venue without a slash at its end. Raises ValueError."""
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{url!r} is no address of a venue: it begins with http:// or https://.")
    return url.rstrip("/")


def chosen(key: str, secret: str, credentials: Credentials | None) -> Credentials | None:
    """Return who asks. Raises ValueError if that is said twice, or by halves."""
    if bool(key) != bool(secret):
        raise ValueError("A key and its secret go together.")
    if key and credentials is not None:
        raise ValueError("Give either key and secret, or credentials.")
    return HmacKey(key, secret) if key else credentials


def built(address: httpx.URL, request: Request, timeout_s: float) -> httpx.Request:
    """Return the request for httpx, whose target is sent as it was signed."""
    return httpx.Request(
        request.method, address, content=request.body or None,
        headers={**STANDARD, **request.headers},
        extensions={
            "target": request.target.encode("ascii"),
            "timeout": {"connect": timeout_s, "read": timeout_s, "write": timeout_s,
                        "pool": timeout_s},
        },
    )  # fmt: skip


def received(answer: httpx.Response) -> Response:
    """Return the response as the library has it."""
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return Response(answer.status_code, headers, answer.content)


def lost(error: httpx.TransportError) -> Lost:
    """Return what takes the place of a response."""
    reason = re.sub(r"^\[Errno -?[0-9]+\] ", "", str(error)) or type(error).__name__
    if isinstance(error, httpx.TimeoutException):
        reason = "the time limit passed"
    return Lost(reason.rstrip("."), sent=not isinstance(error, NOT_SENT))


def read(response: Response, answer: type[D]) -> D:
    """Return the document of a response; it says whether it is a repeat."""
    found = decode(response.content, answer)
    if response.replayed and "replayed" in answer.__struct_fields__:
        force_setattr(found, "replayed", True)
    return found


def next_page(page: Document, query: Members, following: str) -> Members | None:
    """Return the query of the page after this one; None at the end."""
    name = "next_cursor" if following == "cursor" else f"next_{following}"
    value = getattr(page, name)
    return None if value is None else {**query, following: value}
