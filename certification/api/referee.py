"""The referee of a client's REST and WebSocket: finds the case that each request belongs to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog

from certification.api.attempt import AccountAttempt
from certification.api.http import VERDICT_HEADER, HttpFault, Reply, Request, problem
from certification.api.requests import (
    ApiResponse,
    HeldRequest,
    entered_ids,
    entered_quantity,
    from_frame,
    from_request,
    without_secrets,
)
from certification.api.websocket import ConnectionPair
from certification.judge import BaseReferee, Judge, case_id
from certification.scenarios.scenario import Scenario
from certification.scenarios.values import as_text

log = structlog.get_logger()

SHOWN_MAX: Final = 2_000
_FOLLOWED: Final = frozenset({"orders", "executions"})
Forward = Callable[[Request], Awaitable[Reply]]


class AccountReferee(BaseReferee[AccountAttempt]):
    """Observes one client's requests to the account API. ``forward`` sends one to the venue."""

    def __init__(self, judge: Judge, forward: Forward) -> None:
        super().__init__(judge)
        self._forward = forward
        self._pairs: set[ConnectionPair] = set()
        self._waiting: dict[tuple[int, str], HeldRequest] = {}
        self._lost: set[HeldRequest] = set()
        self._busy: dict[HeldRequest, asyncio.Event] = {}
        self._beginning = asyncio.Lock()
        self._verdict = ""

    # REST.

    async def serve(self, request: Request) -> Reply | None:
        """Answer a request; None closes the connection without a response."""
        held = from_request(request)
        done = self._busy[held] = asyncio.Event()
        try:
            return await self._serve(request, held)
        finally:
            del self._busy[held]
            done.set()

    async def _serve(self, request: Request, held: HeldRequest) -> Reply | None:
        verdict = await self._decide(held)
        if verdict == "swallowed":
            self._note(">", "the request above got lost on its way")
            return None
        if isinstance(verdict, Reply):
            reply = verdict
        else:
            try:
                reply = await self._forward(request)
            except (OSError, TimeoutError, HttpFault) as error:
                text = f"The venue cannot be reached: {str(error) or type(error).__name__}."
                reply = problem(503, "engine_unavailable", text, "unknown")
        self._note("<", reply.shown(), "answered by the certifier"
                   if isinstance(verdict, Reply) else "")  # fmt: skip
        await self._respond(held, ApiResponse(reply.status, reply.document))
        if verdict == "lost":
            self._note("!", "the answer above got lost")
            return None
        told = ((VERDICT_HEADER, self._verdict),) if self._verdict else ()
        return Reply(reply.status, reply.headers + told, reply.body)

    # The WebSocket.

    def connected(self, pair: ConnectionPair) -> None:
        """Record a new connection."""
        self._pairs.add(pair)

    async def from_client(self, pair: ConnectionPair, text: str, document: Any) -> bool:
        """Take a frame of the client; return False to drop it."""
        held = from_frame(text, document)
        number = as_text(document.get("req_id")) if isinstance(document, dict) else ""
        self._waiting[(id(pair), number)] = held
        verdict = await self._decide(held)
        if isinstance(verdict, Reply):
            await self._refuse(pair, document, verdict)
        elif verdict == "swallowed":
            self._note("!", "the request above got lost, and the WebSocket with it")
            pair.cut()
        elif verdict == "lost":
            self._lost.add(held)
        return verdict in ("pass", "lost")

    async def _refuse(self, pair: ConnectionPair, document: Any, reply: Reply) -> None:
        """Answer an operation in place of the venue."""
        # A header of REST is a member of the error over the WebSocket, as in the venue's stream.
        wait = dict(reply.headers).get("Retry-After")
        error = reply.document | ({"retry_after_s": int(wait)} if wait else {})
        content = {"op": document.get("op"), "req_id": document.get("req_id"), "ok": False,
                   "error": error}  # fmt: skip
        text = json.dumps(content)
        self._note("<", f"WS {text}", "answered by the certifier")
        await pair.client.send(text)

    async def from_venue(self, pair: ConnectionPair, text: str, document: Any) -> bool:
        """Take a frame of the venue; return False to drop it."""
        if not isinstance(document, dict):
            return True
        self._note("<", f"WS {without_secrets(text, document)}"[:SHOWN_MAX])
        if "op" not in document:
            attempt = self.current
            return attempt is None or attempt.over or attempt.take_update(document)
        number = as_text(document.get("req_id"))
        held = self._waiting.pop((id(pair), number), None)
        if held is None:
            return True
        good = bool(document.get("ok"))
        if good and held.method == "WS":
            self._follow(pair, held)
        content = document.get("data") if good else document.get("error")
        status = document.get("status") or (200 if good else 400)
        if not good and isinstance(content, dict):
            status = content.get("status", status)
        if isinstance(content, dict) and document.get("replayed"):
            content = content | {"replayed": True}
        await self._respond(held, ApiResponse(int(status), content))
        if held in self._lost:
            self._lost.discard(held)
            self._note("!", "the answer above got lost, and the WebSocket with it")
            pair.cut()
            return False
        return True

    def _follow(self, pair: ConnectionPair, held: HeldRequest) -> None:
        channels = held.body.get("channels")
        known = [str(name) for name in channels] if isinstance(channels, list) else []
        if held.path == "subscribe":
            pair.channels.update(known)
        elif held.path == "unsubscribe":
            pair.channels.difference_update(known)

    def disconnected(self, pair: ConnectionPair) -> None:
        """Record the end of a connection: its open requests get no response."""
        self._pairs.discard(pair)
        for key in [key for key in self._waiting if key[0] == id(pair)]:
            held = self._waiting.pop(key)
            held.judged.set()
            self._lost.discard(held)

    def following(self) -> bool:
        """Return whether a WebSocket is subscribed to the account's orders or executions."""
        return any(pair.channels & _FOLLOWED for pair in self._pairs)

    def cut(self) -> None:
        """Abort the client's WebSockets, without a close frame."""
        for pair in list(self._pairs):
            pair.cut()

    # Cases and verdicts on requests.

    async def _decide(self, held: HeldRequest) -> str | Reply:
        async with self._beginning:
            meant = self._meant(held)
            attempt = self.current
            if meant is not None and (attempt is None or attempt.scenario is not meant):
                attempt = await self._begin(meant)
        self._note(">", held.shown[:SHOWN_MAX])
        if attempt is None or attempt.over:
            held.decide("pass")
            return "pass"
        attempt.take_request(held)
        return await held.decided

    async def _respond(self, held: HeldRequest, response: ApiResponse) -> None:
        """Pass a response to the case and wait, for a bounded time, until it is judged."""
        held.respond(response)
        if self.current is None or self.current.over or held.is_read:
            return
        try:
            async with asyncio.timeout(self.judge.venue_s * 2):
                await held.judged.wait()
        except TimeoutError:
            log.warning("not_judged", request=held.shown[:200])

    def _meant(self, held: HeldRequest) -> Scenario | None:
        """Return the case that a request begins, by the case id in its ids or by its quantity."""
        for name in filter(None, map(case_id, entered_ids(held))):
            scenario = self.judge.scenarios.get(name)
            return scenario if scenario and scenario.begins == "http" else None
        if self.current is not None:
            return None
        return self.judge.with_quantity(entered_quantity(held), "http")

    # An attempt.

    async def _begin(self, scenario: Scenario) -> AccountAttempt:
        await self.interrupt(scenario.id)
        # Requests that an earlier case released must be answered before this case begins.
        for held, done in list(self._busy.items()):
            if held.decided.done():
                await done.wait()
        number = self.judge.attempts(scenario.id) + 1
        attempt = AccountAttempt(scenario, self.judge, self, self.judge.parameters, number)
        self.start(attempt)
        return attempt

    async def play(self, attempt: AccountAttempt) -> None:
        """Judge an attempt; the next response has its verdict in a header."""
        result = await self.judge.judge(attempt)
        self._verdict = f"{result.id} {result.verdict}"
        if result.reason:
            told = json.dumps(result.told)[1:-1]
            self._verdict += f": {told.encode('ascii', 'replace').decode('ascii')[:900].rstrip()}"
        self.current = None
        attempt.release_all()

    def _note(self, way: str, text: str, note: str = "") -> None:
        attempt = self.current
        if attempt is not None and not attempt.over:
            attempt.transcript.text(way, text, note)
