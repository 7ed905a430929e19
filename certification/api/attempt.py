"""One attempt of a client at a case of the account API.

A request is held until the step that waits for it has checked it, and its response until the case
has judged it. Reads may come at any time and are ignored unless a step waits for one.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Final, Protocol

from certification.api.http import problem
from certification.api.requests import ApiResponse, HeldRequest, names
from certification.attempt import BaseAttempt, CaseFailure, Stage
from certification.scenarios.scenario import Scenario, Step
from certification.scenarios.values import Document, ValueFault, as_text, at_path, shown

QUIET_S: Final = 0.3


class Streams(Protocol):
    """The client's WebSockets."""

    def following(self) -> bool:
        """Return whether one is subscribed to the account's orders or executions."""

    def cut(self) -> None:
        """Abort all of them, without a close frame."""


class AccountAttempt(BaseAttempt):
    """Plays the steps of a scenario over REST and the WebSocket."""

    def __init__(
        self, scenario: Scenario, stage: Stage, streams: Streams, parameters: Mapping[str, str],
        number: int,
    ) -> None:  # fmt: skip
        super().__init__(scenario, stage, parameters, number)
        self._streams = streams
        self._drops: list[Mapping[str, str]] = []
        self._requests: deque[HeldRequest] = deque()
        self._updates: deque[Any] = deque()
        self._last: HeldRequest | None = None
        self._lost_seq = 0
        self._verbs = {"cut": self._cut, "following": self._following, "drop": self._drop,
                       "quiet": self._quiet}  # fmt: skip

    # Requests and updates.

    def take_request(self, held: HeldRequest) -> None:
        """Take a request of the client."""
        if self.over:
            held.release()
            return
        self._requests.append(held)
        self.notify()

    def take_update(self, document: Any) -> bool:
        """Take a message of a channel; return False to drop it."""
        seq = at_path(document, "seq")
        for wanted in self._drops:
            if all(self._matches(document, path, text) for path, text in wanted.items()):
                self._drops.remove(wanted)
                self._lost_seq = seq
        # One event is published on several channels, with the same seq: all of them are dropped.
        if self._lost_seq and seq == self._lost_seq and "prev_seq" in document:
            self.transcript.note("that message was lost on purpose")
            return False
        self._updates.append(document)
        self.notify()
        return True

    def _matches(self, document: Any, path: str, pattern: str) -> bool:
        value = at_path(document, path)
        return not self.memory.wanted(pattern, None if value is None else as_text(value))

    def release_held(self) -> None:
        """Release everything that is held."""
        if self._last is not None:
            self._last.release()
        for held in self._requests:
            held.release()

    def _judged(self) -> None:
        """Release the response to the last request."""
        if self._last is not None:
            self._last.judged.set()

    # The script.

    async def client(self, step: Step, following: Step | None) -> None:
        """Wait for a request; for one that polls, until its response matches ``following``."""
        seconds = step.seconds(1.0, self.stage.patience_s)
        deadline, wrong = time.monotonic() + seconds, ""
        while True:
            self._judged()
            if wrong and time.monotonic() > deadline:
                raise CaseFailure(wrong)
            held = await self.wait_for(
                lambda: self._next_request(step), seconds, lambda: _missing(step, seconds)
            )
            self._last = held
            self._check_request(step, held)
            for first in step.first:
                await self.act(first)
            if step.answer:
                held.decide(_refusal(step))
            else:
                held.decide("swallowed" if step.swallowed else "lost" if step.lost else "pass")
            if not step.poll or following is None:
                return
            wrong = self._wrong(following, await self._response(following, held))
            if not wrong:
                return

    def _next_request(self, step: Step) -> HeldRequest | None:
        while self._requests:
            held = self._requests.popleft()
            if held.matches(step.client):
                return held
            self._pass_read(held, f"came where {names(step)} was expected. {step.why}")
        return None

    def _pass_read(self, held: HeldRequest, wrong: str) -> None:
        """Forward a request that no step waits for. Raises CaseFailure if it is not a read."""
        held.decide("pass")
        if not held.is_read:
            self._last = held
            raise CaseFailure(f"{held.method} {held.path} {wrong}".rstrip())

    def _check_request(self, step: Step, held: HeldRequest) -> None:
        what = f"{held.method} {held.path}"
        if step.key and held.key and not held.key.endswith(f"-{step.key}"):
            raise CaseFailure(f"{what} was signed with {held.key}; it takes the {step.key} key.")
        if step.again and not held.is_read:
            before = self.memory.named.get(step.again)
            if isinstance(before, Document) and before.body != held.body:
                raise CaseFailure(f"{what}: the request is not the same as before. {step.why}")
        else:
            self._check_ids(step, what, held)
        for path, pattern in (step.fields | step.body).items():
            wanted = self.memory.wanted(pattern, held.look_up(path))
            if wanted:
                raise CaseFailure(
                    f"{what}: {path} is {shown(held.look_up(path))}, expected {wanted}. "
                    f"{step.explain.get(path, '') or step.why}".rstrip()
                )
        if step.name:
            body = held.body if isinstance(held.body, dict) else {}
            self.memory.named[step.name] = Document(body)

    def _check_ids(self, step: Step, what: str, held: HeldRequest) -> None:
        """Check that the ids of a POST are new, unless the step requires a known one."""
        if held.method != "POST":
            return
        for name in ("client_order_id", "client_withdrawal_id"):
            value = held.look_up(name)
            again = self.used_before([value] if value else [])
            if again and not step.body.get(name, "").startswith("@"):
                raise CaseFailure(
                    f"{what}: {name} {value} was used before. An id is used once, also when "
                    "what it named was refused or is done."
                )

    async def venue(self, step: Step) -> None:
        """Check the response to the last request, or wait for a message of a channel."""
        if step.venue.split("|")[0].isdigit():
            if self._last is None:
                raise CaseFailure("no request came before")
            wrong = self._wrong(step, await self._response(step, self._last))
            if wrong:
                raise CaseFailure(wrong)
            return
        seconds = step.seconds(1.0, self.stage.venue_s)
        message = await self.wait_for(
            lambda: self._next_update(step), seconds, lambda: _missing(step, seconds)
        )
        if step.name:
            self.memory.named[step.name] = Document(message)

    async def _response(self, step: Step, held: HeldRequest) -> ApiResponse:
        try:
            async with asyncio.timeout(step.seconds(1.0, self.stage.venue_s)):
                return await asyncio.shield(held.response)
        except TimeoutError:
            raise CaseFailure(f"The venue did not answer {held.method} {held.path}.") from None

    def _wrong(self, step: Step, response: ApiResponse) -> str:
        """Return why a response does not match a step; if it does, store it and return ""."""
        document = response.document
        if str(response.status) not in step.venue.split("|"):
            said = f" It says: {at_path(document, 'detail')}" if at_path(document, "detail") else ""
            return f"The answer is {response.status}, expected {names(step)}. {step.why}{said}"
        for path, pattern in step.body.items():
            value = at_path(document, path)
            text = None if value is None else as_text(value)
            wanted = self.memory.wanted(pattern, text)
            if wanted:
                return (f"The answer's {path} is {shown(text)}, expected {wanted}. "
                        f"{step.explain.get(path, '') or step.why}".rstrip())  # fmt: skip
        if step.name:
            self.memory.named[step.name] = Document(document)
        return ""

    def _next_update(self, step: Step) -> Any:
        """Return the next message of one of the step's channels that matches the step."""
        channels = step.venue.removeprefix("WS ").split("|")
        while self._updates:
            document = self._updates.popleft()
            if at_path(document, "channel") in channels and all(
                self._matches(document, path, pattern) for path, pattern in step.body.items()
            ):
                return document
        return None

    def order_price(self) -> str:
        """Return the price of the case's order."""
        return self.memory.value("@order.price")

    # Verbs.

    async def do(self, step: Step) -> None:
        """Carry out the verb of ``do``. Raises ValueFault for an unknown verb."""
        verb = self._verbs.get(step.do)
        if verb is None:
            raise ValueFault(f"there is no verb {step.do} over the account API")
        await verb(step)

    async def _cut(self, step: Step) -> None:
        """End the client's WebSockets."""
        self._streams.cut()
        self.transcript.note("the WebSocket was cut on purpose")

    async def _following(self, step: Step) -> None:
        """Check that a WebSocket is subscribed."""
        if not self._streams.following():
            raise CaseFailure("No WebSocket is subscribed to orders or executions. "
                              f"{step.why}".rstrip())  # fmt: skip

    async def _drop(self, step: Step) -> None:
        """Drop the next channel message that matches the step's ``body``."""
        self._drops.append(step.body)

    async def _quiet(self, step: Step) -> None:
        """Check that the client sends no changing request for ``times`` ms, or QUIET_S."""
        self._judged()

        def changed() -> None:
            while self._requests:
                self._pass_read(self._requests.popleft(), f"came too early. {step.why}")

        await self.wait(changed, step.times / 1000 if step.times > 1 else QUIET_S)


def _missing(step: Step, seconds: float) -> str:
    return (
        f"{names(step)} was expected and did not come: {max(seconds, 0):.0f} s passed. {step.why}"
    ).rstrip()


def _refusal(step: Step) -> Any:
    """Build the error that the certifier sends in place of the venue."""
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
