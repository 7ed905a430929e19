"""One attempt of a client at a case of the account API: its steps, one after the other.

A request is held back until the step that waits for it has looked at it and has done what
comes first, and its answer until the case knows what it thinks of it. Reads may come at any
time and are passed over unless the step waits for one.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, TypeVar

from certification.api.http import problem
from certification.api.requests import Answer, Asked, names
from certification.fix.counterparty import Counterparty
from certification.report.results import CaseFailure, Transcript
from certification.scenarios.scenario import Scenario, Step
from certification.scenarios.values import Document, Memory, as_text, at_path

QUIET_S: Final = 0.3
T = TypeVar("T")


class Stage(Protocol):
    """What an attempt needs from its surroundings."""

    patience_s: float
    venue_s: float
    ids_used: set[str]

    async def trader(self, name: str) -> Counterparty:
        """The counterparty, or the other trader of the client's firm."""


class Streams(Protocol):
    """The client's WebSockets."""

    def following(self) -> bool:
        """Whether one of them is subscribed to the account's orders or executions."""

    def cut(self) -> None:
        """End all of them without a word."""


class AccountAttempt:
    """Plays the steps of ``scenario``."""

    def __init__(
        self, scenario: Scenario, stage: Stage, streams: Streams, parameters: Mapping[str, str],
        number: int,
    ) -> None:  # fmt: skip
        self.scenario = scenario
        self.number = number
        self.transcript = Transcript()
        self.violation = ""
        self.over = False
        self.memory = Memory(dict(parameters) | {"case": scenario.id})
        self.drops: list[Mapping[str, str]] = []
        self._stage = stage
        self._streams = streams
        self._script = scenario.script("certify")
        self._asked: deque[Asked] = deque()
        self._told: deque[Any] = deque()
        self._news = asyncio.Event()
        self._last: Asked | None = None
        self._lost_seq = 0

    # What passes.

    def take(self, asked: Asked) -> None:
        """A request of the client."""
        if self.over:
            asked.decide("pass")
            asked.judged.set()
            return
        self._asked.append(asked)
        self._news.set()

    def told(self, document: Any) -> bool:
        """A message of a channel; False to lose it."""
        seq = at_path(document, "seq")
        for wanted in self.drops:
            if all(self._is(document, path, text) for path, text in wanted.items()):
                self.drops.remove(wanted)
                self._lost_seq = seq
        # One event is told on several channels, all with its seq: none of them arrives.
        if self._lost_seq and seq == self._lost_seq and "prev_seq" in document:
            self.transcript.note("that message was lost on purpose")
            return False
        self._told.append(document)
        self._news.set()
        return True

    def _is(self, document: Any, path: str, pattern: str) -> bool:
        value = at_path(document, path)
        return not self.memory.wanted(pattern, None if value is None else as_text(value))

    def violate(self, why: str) -> None:
        """Something that no case allows: the attempt ends at its next look."""
        self.violation = self.violation or why
        self._news.set()

    def release_all(self) -> None:
        """Let go of everything that is held."""
        self.over = True
        if self._last is not None:
            self._last.decide("pass")
            self._last.judged.set()
        for asked in self._asked:
            asked.decide("pass")
            asked.judged.set()

    # The script.

    async def run(self) -> None:
        """Play every step. Raises CaseFailure, CounterpartyFault, ValueFault."""
        for number, step in enumerate(self._script):
            following = self._script[number + 1] if number + 1 < len(self._script) else None
            if step.client:
                await self._client(step, following)
            elif step.venue:
                await self._venue(step)
            elif step.peer:
                await self._peer(step)
            else:
                await self._do(step)

    async def _client(self, step: Step, following: Step | None) -> None:
        """A request; one that polls comes until the answer is as the step behind wants it."""
        seconds = step.seconds(1.0, self._stage.patience_s)
        deadline, wrong = time.monotonic() + seconds, ""
        while True:
            if self._last is not None:
                self._last.judged.set()
            if wrong and time.monotonic() > deadline:
                raise CaseFailure(wrong)
            asked = await self._wait(lambda: self._next_asked(step), step, seconds)
            self._last = asked
            self._check_asked(step, asked)
            for first in step.first:
                await self._peer(first)
            if step.answer:
                asked.decide(_refusal(step))
            else:
                asked.decide("swallowed" if step.swallowed else "lost" if step.lost else "pass")
            if not step.poll or following is None:
                return
            wrong = self._wrong(following, await self._answer(following, asked))
            if not wrong:
                return

    def _next_asked(self, step: Step) -> Asked | None:
        while self._asked:
            asked = self._asked.popleft()
            if asked.matches(step.client):
                return asked
            asked.decide("pass")
            if not asked.harmless:
                self._last = asked
                raise CaseFailure(f"{asked.method} {asked.path} came where {names(step)} was "
                                  f"expected. {step.why}".rstrip())  # fmt: skip
        return None

    def _check_asked(self, step: Step, asked: Asked) -> None:
        what = f"{asked.method} {asked.path}"
        if step.key and asked.key and not asked.key.endswith(f"-{step.key}"):
            raise CaseFailure(f"{what} was signed with {asked.key}; it takes the {step.key} key.")
        if step.again and not asked.harmless:
            before = self.memory.named.get(step.again)
            if isinstance(before, Document) and before.body != asked.body:
                raise CaseFailure(f"{what}: the request is not the same as before. {step.why}")
        else:
            self._check_ids(step, what, asked)
        for path, pattern in (step.fields | step.body).items():
            wanted = self.memory.wanted(pattern, asked.look_up(path))
            if wanted:
                raise CaseFailure(
                    f"{what}: {path} is {_shown(asked.look_up(path))}, expected {wanted}. "
                    f"{step.explain.get(path, '') or step.why}".rstrip()
                )
        if step.name:
            body = asked.body if isinstance(asked.body, dict) else {}
            self.memory.named[step.name] = Document(body)

    def _check_ids(self, step: Step, what: str, asked: Asked) -> None:
        """The client's id of something new is new, unless the step takes one that is known."""
        if asked.method != "POST":
            return
        for name in ("client_order_id", "client_withdrawal_id"):
            value = asked.look_up(name)
            known = step.body.get(name, "").startswith("@")
            if value and value in self._stage.ids_used and not known:
                raise CaseFailure(
                    f"{what}: {name} {value} was used before. An id is used once, also when "
                    "what it named was refused or is done."
                )
            if value:
                self._stage.ids_used.add(value)

    async def _venue(self, step: Step) -> None:
        if step.venue.split("|")[0].isdigit():
            if self._last is None:
                raise CaseFailure("no request came before")
            wrong = self._wrong(step, await self._answer(step, self._last))
            if wrong:
                raise CaseFailure(wrong)
            return
        seconds = step.seconds(1.0, self._stage.venue_s)
        message = await self._wait(lambda: self._next_told(step), step, seconds)
        if step.name:
            self.memory.named[step.name] = Document(message)

    async def _answer(self, step: Step, asked: Asked) -> Answer:
        try:
            async with asyncio.timeout(step.seconds(1.0, self._stage.venue_s)):
                return await asyncio.shield(asked.answer)
        except TimeoutError:
            raise CaseFailure(f"The venue did not answer {asked.method} {asked.path}.") from None

    def _wrong(self, step: Step, answer: Answer) -> str:
        """Why an answer is not as a step wants it, or ""; what is right is remembered."""
        document = answer.document
        if str(answer.status) not in step.venue.split("|"):
            said = f" It says: {at_path(document, 'detail')}" if at_path(document, "detail") else ""
            return f"The answer is {answer.status}, expected {names(step)}. {step.why}{said}"
        for path, pattern in step.body.items():
            value = at_path(document, path)
            text = None if value is None else as_text(value)
            wanted = self.memory.wanted(pattern, text)
            if wanted:
                return (f"The answer's {path} is {_shown(text)}, expected {wanted}. "
                        f"{step.explain.get(path, '') or step.why}".rstrip())  # fmt: skip
        if step.name:
            self.memory.named[step.name] = Document(document)
        return ""

    def _next_told(self, step: Step) -> Any:
        """The next message of one of the channels that is as the step wants it."""
        channels = step.venue.removeprefix("WS ").split("|")
        while self._told:
            document = self._told.popleft()
            if at_path(document, "channel") in channels and all(
                self._is(document, path, pattern) for path, pattern in step.body.items()
            ):
                return document
        return None

    async def _peer(self, step: Step) -> None:
        if step.do:
            await self._do(step)
            return
        name, _, action = step.peer.rpartition("-")
        trader = await self._stage.trader("desk" if name else "peer")
        price = self.memory.value(step.price or "@order.price")
        await trader.trade(action, self.memory.value(step.qty), price, rest=step.rest)

    async def _do(self, step: Step) -> None:
        if step.do == "cut":
            self._streams.cut()
            self.transcript.note("the WebSocket was cut on purpose")
        elif step.do == "following":
            if not self._streams.following():
                raise CaseFailure("No WebSocket is subscribed to orders or executions. "
                                  f"{step.why}".rstrip())  # fmt: skip
        elif step.do == "drop":
            self.drops.append(step.body)
        elif step.do == "quiet":
            await self._quiet(step)
        else:
            raise CaseFailure(f"there is no verb {step.do} here")

    async def _quiet(self, step: Step) -> None:
        """For ``times`` ms, or a moment, the client changes nothing."""
        if self._last is not None:
            self._last.judged.set()
        deadline = time.monotonic() + (step.times / 1000 if step.times > 1 else QUIET_S)
        while (left := deadline - time.monotonic()) > 0:
            while self._asked:
                asked = self._asked.popleft()
                asked.decide("pass")
                if not asked.harmless:
                    self._last = asked
                    raise CaseFailure(
                        f"{asked.method} {asked.path} came too early. {step.why}".rstrip()
                    )
            self._news.clear()
            try:
                async with asyncio.timeout(left):
                    await self._news.wait()
            except TimeoutError:
                return

    async def _wait(self, look: Callable[[], T | None], step: Step, seconds: float) -> T:
        deadline = time.monotonic() + seconds
        while True:
            if self.violation:
                raise CaseFailure(self.violation)
            self._news.clear()
            found = look()
            if found is not None:
                return found
            try:
                async with asyncio.timeout(max(deadline - time.monotonic(), 0.0)):
                    await self._news.wait()
            except TimeoutError:
                raise CaseFailure(
                    f"{names(step)} was expected and did not come: {max(seconds, 0):.0f} s "
                    f"passed. {step.why}".rstrip()
                ) from None


def _shown(value: str | None) -> str:
    return "absent" if value is None else repr(value) if not value.strip() else value


def _refusal(step: Step) -> Any:
    """An answer of the certifier's own."""
    wait = str(step.times)
    if step.answer == "429":
        return problem(
            429, "rate_limited", f"The key is over its limit; there is room again in {wait} s.",
            "not_applied", ("Retry-After", wait),
        )  # fmt: skip
    return problem(
        503, "engine_unavailable", "The engine does not answer at this moment.", "unknown",
        ("Retry-After", wait),
    )  # fmt: skip
