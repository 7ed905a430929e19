"""One attempt of a client at a case over FIX.

Application messages of the client are held until their step has checked them. Admin messages are
never held.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from certification.attempt import BaseAttempt, CaseFailure, Stage
from certification.fix.matching import check, missing, unexpected
from certification.fix.proxy import SessionProxy
from certification.fix.wire import ADMIN, Message, parse_time, type_name
from certification.fix.wire import now as wall_clock
from certification.scenarios.scenario import Scenario, Step
from certification.scenarios.values import ValueFault

_PASSED_OVER: Final = frozenset({"B", "f"})
_ENTRY_TYPES: Final = frozenset({"D", "F", "G", "q", "E", "UB"})
T = TypeVar("T")


@dataclass(slots=True, eq=False)
class HeldMessage:
    """A message of the client; ``passes`` is True if it is forwarded to the venue.

    ``skew_s`` is how far SendingTime(52) was ahead of the certifier's clock, in seconds; None if
    it is not a UTCTimestamp.
    """

    message: Message
    passes: asyncio.Future[bool]
    skew_s: float | None

    def release(self, passes: bool = True) -> None:
        """Forward it, or drop it."""
        if not self.passes.done():
            self.passes.set_result(passes)


def hold(message: Message) -> HeldMessage:
    """Return a message, just received, as one that is held."""
    moment = parse_time(message.get(52))
    skew = None if moment is None else (moment - wall_clock()).total_seconds()
    return HeldMessage(message, asyncio.get_running_loop().create_future(), skew)


@dataclass(slots=True)
class _Inbox:
    client: deque[HeldMessage] = field(default_factory=deque)
    venue: deque[Message] = field(default_factory=deque)


def _is_wanted_heartbeat(step: Step, message: Message) -> bool:
    """Return False for a Heartbeat that answers a TestRequest if the step waits for one that does
    not, and the reverse."""
    if message.type != "0" or "112" not in step.fields:
        return True
    return (112 in message) != (step.fields["112"] == "-")


class Attempt(BaseAttempt):
    """Plays the FIX steps of a scenario, with ``verbs`` for its steps ``do``.

    ``offending`` is the client's message that failed the case, ``last`` the last one that matched
    its step.
    """

    def __init__(
        self, scenario: Scenario, stage: Stage, sessions: Mapping[str, SessionProxy],
        parameters: Mapping[str, str], number: int, verbs: Mapping[str, Verb],
    ) -> None:  # fmt: skip
        super().__init__(scenario, stage, parameters, number)
        self.offending: HeldMessage | None = None
        self.last: HeldMessage | None = None
        self.inboxes = {kind: _Inbox() for kind in sessions}
        self.open_orders: dict[str, Message] = {}
        self._sessions = sessions
        self._verbs = verbs

    @property
    def home(self) -> str:
        """Return the session that the case is about: it must not end by itself."""
        return "market_data" if self.scenario.begins == "market_data" else "main"

    # Messages.

    def take_client(self, kind: str, held: HeldMessage) -> None:
        """Take a message of the client; admin messages are released at once."""
        if held.message.type in ADMIN:
            held.release()
        if held.message.type == "5" and kind == self.home and not self._expects("client", "5"):
            text = held.message.get(58)
            self.violate("Your client logged out in the middle of the case"
                         f"{': ' + text if text else ''}.")  # fmt: skip
        self.inboxes[kind].client.append(held)
        self.notify()

    def take_venue(self, kind: str, message: Message) -> None:
        """Take a message that was sent to the client."""
        self.inboxes[kind].venue.append(message)
        if message.type == "5" and kind == self.home and not self._expects("client", "5"):
            self.violate(f"The venue ended the session: {message.get(58) or 'no reason given'}.")
        if kind == "main" and message.type == "8" and message.get(150) != "I":
            self._note_order(message)
        self.notify()

    def disconnected(self) -> None:
        """Record that the client's connection has ended and the certifier has not cut it."""
        if not self._expects("client", "A"):
            self.violate("The connection ended in the middle of the case.")

    def _expects(self, kind: str, msg_type: str) -> bool:
        """Return whether some step waits for a message of a type."""
        return any(msg_type in getattr(step, kind).split("|") for step in self.script)

    def release_held(self) -> None:
        """Release everything that is held."""
        for inbox in self.inboxes.values():
            for held in inbox.client:
                held.release()

    def _note_order(self, message: Message) -> None:
        order_id = message.get(37)
        if message.get(39) in ("0", "1"):
            self.open_orders[order_id] = message
        else:
            self.open_orders.pop(order_id, None)

    # The script.

    async def run(self) -> None:
        """Play every step. Raises CaseFailure, CounterpartyFault, ValueFault."""
        await super().run()
        for inbox in self.inboxes.values():
            extra = [held.message for held in inbox.client if not self.ignored(held.message)]
            if extra:
                raise CaseFailure(
                    f"{type_name(extra[0].type)} came after the case was done: {extra[0]!r}"
                )

    async def client(self, step: Step, following: Step | None) -> None:
        """Wait for a message of the client, check it, and forward it."""
        held = await self.wait_for_step(
            step, self.stage.patience_s, lambda: self._next_client(step)
        )
        message = held.message
        try:
            check(step, message, self.memory)
            self._check_id(step, message)
        except CaseFailure:
            self.offending = held
            raise
        for first in step.first:
            await self.act(first)
        held.release(not step.swallowed)
        self.last = held

    def _next_client(self, step: Step) -> HeldMessage | None:
        """Return the next message that this step has to check; skip those that it may ignore."""
        queue = self.inboxes[step.session].client
        wanted = set(step.client.split("|"))
        while queue:
            held = queue.popleft()
            message = held.message
            if self._rejects_news(message):
                held.release()
            elif message.type == "3" and "3" not in wanted:
                raise CaseFailure(f"Your client rejected message {message.get(45)} of the venue: "
                                  f"{message.get(58) or message!r}")  # fmt: skip
            elif message.type in ADMIN and message.type not in wanted:
                continue
            elif not _is_wanted_heartbeat(step, message):
                continue
            elif message.type == "0" and message.get(112) in self.session(step).tests:
                continue
            elif message.type not in ADMIN and message.possdup and "43" not in step.fields:
                held.release()
            else:
                return held
        return None

    def ignored(self, message: Message) -> bool:
        """Return whether a message of the client may come at any time."""
        return message.type in ADMIN or message.possdup or self._rejects_news(message)

    def _rejects_news(self, message: Message) -> bool:
        """Return whether the client rejects the certifier's News(B), which is not a failure."""
        return message.type in ("j", "3") and message.get(372) == "B"

    def _check_id(self, step: Step, message: Message) -> None:
        """Check that a ClOrdID is new, unless the step requires a known one or 43 or 97 is Y."""
        if message.type not in _ENTRY_TYPES or message.possdup or message.get(97) == "Y":
            return
        again = self.used_before(value for tag, value in message.pairs if tag == 11)
        if again and not step.fields.get("11", "").startswith("@"):
            raise CaseFailure(
                f"{type_name(message.type)}: ClOrdID(11) {again[0]} was used before. A ClOrdID "
                "is used once, also when its order was refused or is done."
            )

    async def venue(self, step: Step) -> None:
        """Wait for a message of the venue and check it."""
        message = await self.wait_for_step(
            step, self.stage.venue_s, lambda: self._next_venue(step)
        )
        check(step, message, self.memory)

    def _next_venue(self, step: Step) -> Message | None:
        queue = self.inboxes[step.session].venue
        wanted = set(step.venue.split("|"))
        while queue:
            message = queue.popleft()
            if message.type not in wanted and (
                message.type in ADMIN - {"3"}
                or message.type in _PASSED_OVER
                # A drop copy also gets the reports of the certifier's cleanup.
                or step.session == "drop_copy"
            ):
                continue
            # A subscription of an earlier attempt may still be told something.
            if step.session == "market_data" and not self._fits(step, message):
                if message.type == "Y":
                    raise CaseFailure(f"Your request was refused: {message.get(58)}.")
                continue
            if not _is_wanted_heartbeat(step, message):
                continue
            if message.type == "8":
                if message.possdup and "43" not in step.fields:
                    continue
                if message.get(37) in self.stage.old_orders:
                    continue
            return message
        return None

    def _fits(self, step: Step, message: Message) -> bool:
        """Return whether a message is the one that a step waits for."""
        wanted = step.fields.items()
        return message.type in step.venue.split("|") and not any(
            self.memory.wanted(pattern, message.look_up(key)) for key, pattern in wanted
        )

    async def do(self, step: Step) -> None:
        """Carry out the verb of ``do``. Raises ValueFault for an unknown verb."""
        verb = self._verbs.get(step.do)
        if verb is None:
            raise ValueFault(f"there is no verb {step.do} over FIX")
        await verb(self, step)

    def order_price(self) -> str:
        """Return the price of the case's order."""
        return self.memory.value("@order.44")

    # Waiting.

    async def wait_for_step(self, step: Step, default_s: float, look: Callable[[], T | None]) -> T:
        """Wait, for the time that a step allows, until ``look`` returns something.

        Raises CaseFailure.
        """
        seconds = step.seconds(self.session(step).heartbeat_s, default_s, self.stage.way_s)
        return await self.wait_for(look, seconds, lambda: self._missing(step, seconds))

    def _missing(self, step: Step, seconds: float) -> str:
        late = missing(step, seconds, closed=not self.session(step).live)
        other = self.inboxes[step.session].client
        waiting = [h.message for h in other if not self.ignored(h.message)] if step.venue else []
        return late + (f" {unexpected(step, waiting[0])}" if waiting else "")

    def session(self, step: Step) -> SessionProxy:
        """Return the session of a step."""
        return self._sessions[step.session]


Verb = Callable[[Attempt, Step], Awaitable[None]]
"""The action of the certifier at a step ``do``."""
