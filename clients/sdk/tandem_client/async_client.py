"""``AsyncClient``: the account API for asyncio. Every operation is a method of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, TypeVar

import httpx

from tandem_client.client import (
    DEFAULT_URL,
    base_url,
    built,
    chosen,
    lost,
    next_page,
    read,
    received,
)
from tandem_client.credentials import Credentials
from tandem_client.document import Document
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
from tandem_client.generated.methods_async import AsyncOperations
from tandem_client.generated.operations import OPERATIONS
from tandem_client.retry import Retry

D = TypeVar("D", bound=Document)
Members = Mapping[str, Any]


class AsyncClient(AsyncOperations):
    """A client of one venue with one key, for one event loop; its arguments are Client's."""

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
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.url = base_url(url)
        self._address, self._timeout_s = httpx.URL(self.url), timeout_s
        clock = Clock(clock_offset_ms)
        self._exchange = Exchange(
            self.url, chosen(key, secret, credentials), retry or Retry(), clock, automatic_keys
        )
        self._http = httpx.AsyncClient(
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

    async def clock_skew_ms(self) -> int:
        """Ask the venue for its time; return how far this machine is ahead, about, in ms."""
        before = now_ms()
        venue = (await self.get_time()).time_ms
        return (before + now_ms()) // 2 - venue

    async def request(
        self, method: str, target: str, content: bytes = b"", *, idempotency_key: str = ""
    ) -> Response:
        """Sign and send a request once, as it is given; return the response, whatever it says.

        The target reaches the venue byte for byte. Raises NoAnswer.
        """
        return await self._run(
            self._exchange.raw(method.upper(), target, content, idempotency_key)
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _call(
        self, operation: str, answer: type[D], parts: Members, query: Members,
        body: Members | None, idempotency_key: str | None,
    ) -> D:
        steps = self._exchange.call(OPERATIONS[operation], parts, query, body, idempotency_key)
        return read(await self._run(steps), answer)

    async def _pages(
        self, operation: str, answer: type[D], rows: str, query: Members, following: str
    ) -> AsyncIterator[Any]:
        asked: Members | None = query
        while asked is not None:
            page = await self._call(operation, answer, {}, asked, None, None)
            for row in getattr(page, rows):
                yield row
            asked = next_page(page, query, following)

    async def _run(self, steps: Steps) -> Response:
        reply: Response | Lost | None = None
        while True:
            try:
                step = steps.send(reply)
            except StopIteration as end:
                response: Response = end.value
                return response
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
                reply = None
            else:
                reply = await self._send(step)

    async def _send(self, request: Request) -> Response | Lost:
        try:
            answer = await self._http.send(built(self._address, request, self._timeout_s))
        except httpx.TransportError as error:
            return lost(error)
        return received(answer)
