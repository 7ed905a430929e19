"""The referee of a client of the account API: which case is meant, and its verdict.

REST and the WebSocket of a client come here; its FIX sessions have ``referee``. Both play on
the same venue, so one case is under way at a time.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, Protocol

import structlog

from certification.api.attempt import AccountAttempt
from certification.api.http import VERDICT_HEADER, HttpFault, Reply, Request, problem
from certification.api.requests import (
    Answer,
    Asked,
    from_frame,
    from_request,
    meant_ids,
    meant_quantity,
    without_secrets,
)
from certification.api.websocket import Passage
from certification.fix.referee import CASE_ID, Referee
from certification.scenarios.scenario import Scenario
from certification.scenarios.values import as_text, same

log = structlog.get_logger()

SHOWN_MAX: Final = 2_000
_FOLLOWED: Final = frozenset({"orders", "executions"})
Forward = Callable[[Request], Awaitable[Reply]]


class Gate(Protocol):
    """The client's WebSockets that are there."""

    passages: set[Passage]


class AccountReferee:
    """Watches what one client asks of the account API. ``forward`` has the venue answer."""

    def __init__(
        self, scenarios: Iterable[Scenario], referee: Referee, parameters: Mapping[str, str],
        forward: Forward,
    ) -> None:  # fmt: skip
        self.scenarios = {s.id: s for s in scenarios if s.begins == "http"}
        self.current: AccountAttempt | None = None
        self.gate: Gate | None = None
        self._referee = referee
        self._parameters = parameters
        self._forward = forward
        self._task: asyncio.Task[None] | None = None
        self._waiting: dict[tuple[int, str], Asked] = {}
        self._lost: set[Asked] = set()
        self._busy: dict[Asked, asyncio.Event] = {}
        self._beginning = asyncio.Lock()
        self._verdict = ""
        self._by_quantity = {s.quantity: s for s in self.scenarios.values() if s.quantity}
        referee.interrupt = self._interrupted

    # REST.

    async def serve(self, request: Request) -> Reply | None:
        """Answer a request; None ends the connection without an answer."""
        asked = from_request(request)
        done = self._busy[asked] = asyncio.Event()
        try:
            return await self._serve(request, asked)
        finally:
            del self._busy[asked]
            done.set()

    async def _serve(self, request: Request, asked: Asked) -> Reply | None:
        verdict = await self._judge(asked)
        if verdict == "swallowed":
            self._note(">", "the request above got lost on its way")
            return None
        if isinstance(verdict, Reply):
            reply = verdict
        else:
            try:
                reply = await self._forward(request)
            except (OSError, TimeoutError, HttpFault, asyncio.IncompleteReadError) as error:
                text = f"The venue cannot be reached: {str(error) or type(error).__name__}."
                reply = problem(503, "engine_unavailable", text, "unknown")
        self._note("<", reply.shown(), "answered by the certifier"
                   if isinstance(verdict, Reply) else "")  # fmt: skip
        await self._answered(asked, Answer(reply.status, reply.document))
        if verdict == "lost":
            self._note("!", "the answer above got lost")
            return None
        headers = (*reply.headers, (VERDICT_HEADER, self._verdict)) if self._verdict else (
            reply.headers
        )  # fmt: skip
        return Reply(reply.status, headers, reply.body)

    # The WebSocket.

    async def asked(self, passage: Passage, text: str, document: Any) -> bool:
        """A frame of the client; False to lose it."""
        asked = from_frame(text, document)
        number = as_text(document.get("req_id")) if isinstance(document, dict) else ""
        self._waiting[(id(passage), number)] = asked
        verdict = await self._judge(asked)
        if isinstance(verdict, Reply):
            await self._refuse(passage, document, verdict)
        elif verdict == "swallowed":
            self._note("!", "the request above got lost, and the WebSocket with it")
            passage.cut()
        elif verdict == "lost":
            self._lost.add(asked)
        return verdict in ("pass", "lost")

    async def _refuse(self, passage: Passage, document: Any, reply: Reply) -> None:
        """An answer of ours to an operation."""
        content = {"op": document.get("op"), "req_id": document.get("req_id"), "ok": False,
                   "error": reply.document}  # fmt: skip
        text = json.dumps(content)
        self._note("<", f"WS {text}", "answered by the certifier")
        await passage.client.send(text)

    async def told(self, passage: Passage, text: str, document: Any) -> bool:
        """A frame of the venue; False to lose it."""
        if not isinstance(document, dict):
            return True
        self._note("<", f"WS {without_secrets(text, document)}"[:SHOWN_MAX])
        if "op" not in document:
            attempt = self.current
            return attempt is None or attempt.over or attempt.told(document)
        number = as_text(document.get("req_id"))
        asked = self._waiting.pop((id(passage), number), None)
        if asked is None:
            return True
        good = bool(document.get("ok"))
        if good and asked.method == "WS":
            self._follow(passage, asked)
        content = document.get("data") if good else document.get("error")
        status = document.get("status") or (200 if good else 400)
        if not good and isinstance(content, dict):
            status = content.get("status", status)
        if isinstance(content, dict) and document.get("replayed"):
            content = content | {"replayed": True}
        await self._answered(asked, Answer(int(status), content))
        if asked in self._lost:
            self._lost.discard(asked)
            self._note("!", "the answer above got lost, and the WebSocket with it")
            passage.cut()
            return False
        return True

    def _follow(self, passage: Passage, asked: Asked) -> None:
        channels = asked.body.get("channels")
        known = [str(name) for name in channels] if isinstance(channels, list) else []
        if asked.path == "login":
            passage.logged_in = True
        elif asked.path == "subscribe":
            passage.channels.update(known)
        elif asked.path == "unsubscribe":
            passage.channels.difference_update(known)

    def stream_ended(self, passage: Passage) -> None:
        """A connection is over; what it asked has no answer."""
        for key in [key for key in self._waiting if key[0] == id(passage)]:
            asked = self._waiting.pop(key)
            asked.judged.set()
            self._lost.discard(asked)

    def following(self) -> bool:
        """Whether a WebSocket is subscribed to the account's orders or executions."""
        there = self.gate.passages if self.gate is not None else set()
        return any(passage.channels & _FOLLOWED for passage in there)

    def cut(self) -> None:
        """End the client's WebSockets without a word."""
        for passage in list(self.gate.passages if self.gate is not None else ()):
            passage.cut()

    # Which case is meant, and what becomes of a request.

    async def _judge(self, asked: Asked) -> str | Reply:
        async with self._beginning:
            meant = self._meant(asked)
            attempt = self.current
            if meant is not None and (attempt is None or attempt.scenario is not meant):
                attempt = await self._begin(meant)
        self._note(">", asked.shown[:SHOWN_MAX])
        if attempt is None or attempt.over:
            asked.decide("pass")
            return "pass"
        attempt.take(asked)
        return await asked.decided

    async def _answered(self, asked: Asked, answer: Answer) -> None:
        """Hand an answer to the case and wait, for a moment, for what it thinks of it."""
        asked.answered(answer)
        if self.current is None or self.current.over or asked.harmless:
            return
        try:
            async with asyncio.timeout(self._referee.venue_s * 2):
                await asked.judged.wait()
        except TimeoutError:
            log.warning("not_judged", request=asked.shown[:200])

    def _meant(self, asked: Asked) -> Scenario | None:
        """The case that a request begins: by the id in front of its ids, else by quantity."""
        current = self.current
        for name in meant_ids(asked):
            found = CASE_ID.match(name)
            if found is not None:
                return self.scenarios.get(found[1])
        if current is not None:
            return None
        quantity = meant_quantity(asked)
        for number, scenario in self._by_quantity.items():
            if quantity and same(quantity, str(number)):
                return scenario
        return None

    # An attempt.

    def _interrupted(self, name: str) -> None:
        if self.current is not None:
            self.current.violate(f"Case {name} was begun before this one was done.")

    async def _begin(self, scenario: Scenario) -> AccountAttempt:
        if self.current is not None:
            self._interrupted(scenario.id)
            if self._task is not None:
                await asyncio.gather(self._task, return_exceptions=True)
        if self._referee.current is not None:
            self._referee.current.violate(f"Case {scenario.id} was begun before this one was done.")
        # What an earlier case has let go must not arrive in the middle of this one.
        for asked, done in list(self._busy.items()):
            if asked.decided.done():
                await done.wait()
        number = self._referee.attempts(scenario.id) + 1
        attempt = AccountAttempt(scenario, self._referee, self, self._parameters, number)
        self.current = attempt
        self._task = asyncio.create_task(self._play(attempt))
        return attempt

    async def _play(self, attempt: AccountAttempt) -> None:
        result = await self._referee.judge(attempt)
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

    async def close(self) -> None:
        """End what runs."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self.current is not None:
            self.current.release_all()
