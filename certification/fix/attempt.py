"""One attempt of a client at one case: its steps, one after the other.

Messages of the client are held back until the step that waits for them has looked at them and
has done what comes first; that is what makes a race such as "filled before the cancel
arrives" come out the same way every time. Admin messages are never held.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from certification.fix.counterparty import Counterparty
from certification.fix.link import Link
from certification.fix.matching import check, missing, unexpected
from certification.fix.verbs import VERBS
from certification.fix.wire import ADMIN, Message, parse_time, type_name
from certification.fix.wire import now as wall_clock
from certification.report.results import CaseFailure, Transcript
from certification.scenarios.scenario import Scenario, Step
from certification.scenarios.values import Memory

_PASSED_OVER: Final = frozenset({"B", "f"})
_ENTRY_TYPES: Final = frozenset({"D", "F", "G", "q", "E", "UB"})
T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Held:
    """A message of the client; ``passes`` says whether it goes on to the venue."""

    message: Message
    passes: asyncio.Future[bool]
    skew_s: float | None

    def release(self, passes: bool = True) -> None:
        """Let it go on, or lose it."""
        if not self.passes.done():
            self.passes.set_result(passes)


class Stage(Protocol):
    """What an attempt needs from its surroundings.

    ``patience_s`` bounds the wait for the client, ``venue_s`` that for the venue's answers, and
    ``way_s`` is added to waits that are counted in heartbeats.
    """

    links: dict[str, Link]
    patience_s: float
    venue_s: float
    way_s: float
    ids_used: set[str]
    old_orders: frozenset[str]

    async def trader(self, name: str) -> Counterparty:
        """The counterparty, or the other trader of the client's firm."""


@dataclass(slots=True)
class _Inbox:
    client: deque[Held] = field(default_factory=deque)
    venue: deque[Message] = field(default_factory=deque)


def _heartbeat_meant(step: Step, message: Message) -> bool:
    """Whether a Heartbeat is of the kind that a step waits for: an answer, or one by itself."""
    if message.type != "0" or "112" not in step.fields:
        return True
    return (112 in message) != (step.fields["112"] == "-")


def hold(message: Message) -> Held:
    """A message that has just come, with how far its SendingTime is off."""
    moment = parse_time(message.get(52))
    skew = None if moment is None else (moment - wall_clock()).total_seconds()
    return Held(message, asyncio.get_running_loop().create_future(), skew)


class Attempt:
    """Plays the FIX steps of ``scenario``. ``offending`` is the client's message that failed it."""

    def __init__(
        self, scenario: Scenario, stage: Stage, parameters: Mapping[str, str], number: int
    ) -> None:
        self.scenario = scenario
        self.number = number
        self.transcript = Transcript()
        self.offending: Held | None = None
        self.violation = ""
        self.over = False
        self.last: Held | None = None
        self.stage = stage
        self.memory = Memory(dict(parameters) | {"case": scenario.id})
        self.inboxes = {kind: _Inbox() for kind in stage.links}
        self._news = asyncio.Event()
        self._script = scenario.script("certify")
        self.open_orders: dict[str, Message] = {}

    # What passes.

    def take_client(self, kind: str, held: Held) -> None:
        """A message of the client; admin messages are released at once."""
        if held.message.type in ADMIN:
            held.release()
        if held.message.type == "5" and kind == "main" and not self._expects("client", "5"):
            text = held.message.get(58)
            self.violate("Your client logged out in the middle of the case"
                         f"{': ' + text if text else ''}.")  # fmt: skip
        self.inboxes[kind].client.append(held)
        self._news.set()

    def take_venue(self, kind: str, message: Message) -> None:
        """A message that the client was sent."""
        self.inboxes[kind].venue.append(message)
        if message.type == "5" and kind == "main" and not self._expects("client", "5"):
            self.violate(f"The venue ended the session: {message.get(58) or 'no reason given'}.")
        if kind == "main" and message.type == "8" and message.get(150) != "I":
            self._note_order(message)
        self._news.set()

    def lost(self) -> None:
        """The client's connection has ended, not by our doing."""
        if not self._expects("client", "A"):
            self.violate("The connection ended in the middle of the case.")

    def _expects(self, kind: str, msg_type: str) -> bool:
        """Whether some step waits for a message of a type."""
        return any(msg_type in getattr(step, kind).split("|") for step in self._script)

    def violate(self, why: str) -> None:
        """Something that no case allows: the attempt ends at its next look."""
        self.violation = self.violation or why
        self._news.set()

    def release_all(self) -> None:
        """Let go of everything that is held."""
        self.over = True
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
        for step in self._script:
            await getattr(self, f"_{step.kind}")(step)
        for inbox in self.inboxes.values():
            extra = [held.message for held in inbox.client if not self.ignored(held.message)]
            if extra:
                raise CaseFailure(
                    f"{type_name(extra[0].type)} came after the case was done: {extra[0]!r}"
                )

    async def _client(self, step: Step) -> None:
        seconds = self._seconds(step, self.stage.patience_s)
        held = await self.wait_for(lambda: self._next_client(step), step, seconds)
        message = held.message
        try:
            check(step, message, self.memory)
            self._check_id(step, message)
        except CaseFailure:
            self.offending = held
            raise
        for first in step.first:
            await self._peer(first)
        held.release(not step.swallowed)
        self.last = held

    def _next_client(self, step: Step) -> Held | None:
        """The next message that this step has to look at; what it may pass over is gone."""
        queue = self.inboxes[step.session].client
        wanted = set(step.client.split("|"))
        while queue:
            held = queue.popleft()
            message = held.message
            if self._reject_of_ours(message):
                held.release()
            elif message.type == "3" and "3" not in wanted:
                raise CaseFailure(f"Your client rejected message {message.get(45)} of the venue: "
                                  f"{message.get(58) or message!r}")  # fmt: skip
            elif message.type in ADMIN and message.type not in wanted:
                continue
            elif not _heartbeat_meant(step, message):
                continue
            elif message.type == "0" and message.get(112) in self.link(step).tests:
                continue
            elif message.type not in ADMIN and message.possdup and "43" not in step.fields:
                held.release()
            else:
                return held
        return None

    def ignored(self, message: Message) -> bool:
        return message.type in ADMIN or message.possdup or self._reject_of_ours(message)

    def _reject_of_ours(self, message: Message) -> bool:
        """A client that does not know our News(B) says so; that is no fault."""
        return message.type in ("j", "3") and message.get(372) == "B"

    def _check_id(self, step: Step, message: Message) -> None:
        """A ClOrdID is used once, unless the step wants it twice or it is said to be a resend."""
        if message.type not in _ENTRY_TYPES or message.possdup or message.get(97) == "Y":
            return
        used = self.stage.ids_used
        ids = [value for tag, value in message.pairs if tag == 11]
        again = [value for value in ids if value in used]
        used.update(ids)
        if again and not step.fields.get("11", "").startswith("@"):
            raise CaseFailure(
                f"{type_name(message.type)}: ClOrdID(11) {again[0]} was used before. A ClOrdID "
                "is used once, also when its order was refused or is done."
            )

    async def _venue(self, step: Step) -> None:
        seconds = self._seconds(step, self.stage.venue_s)
        message = await self.wait_for(lambda: self._next_venue(step), step, seconds)
        check(step, message, self.memory)

    def _next_venue(self, step: Step) -> Message | None:
        queue = self.inboxes[step.session].venue
        wanted = set(step.venue.split("|"))
        while queue:
            message = queue.popleft()
            if message.type not in wanted and (
                message.type in ADMIN - {"3"}
                or message.type in _PASSED_OVER
                # A drop copy hears of everything, our own tidying up included.
                or step.session == "drop_copy"
            ):
                continue
            if not _heartbeat_meant(step, message):
                continue
            if message.type == "8":
                if message.possdup and "43" not in step.fields:
                    continue
                if message.get(37) in self.stage.old_orders:
                    continue
            return message
        return None

    async def _peer(self, step: Step) -> None:
        if step.do:
            await self._do(step)
            return
        name, _, action = step.peer.rpartition("-")
        trader = await self.stage.trader("desk" if name else "peer")
        qty = self.memory.value(step.qty)
        if action == "cancel":
            await trader.cancel(qty, "1")
            return
        price = self.memory.value(step.price or "@order.44")
        await trader.trade(action, qty, price, rest=step.rest)

    async def _do(self, step: Step) -> None:
        await VERBS[step.do](self, step)

    # Waiting.

    def _seconds(self, step: Step, default: float) -> float:
        return step.seconds(self.link(step).heartbeat_s, default, self.stage.way_s)

    async def wait_for(self, look: Callable[[], T | None], step: Step, seconds: float) -> T:
        deadline = time.monotonic() + seconds
        while True:
            if self.violation:
                raise CaseFailure(self.violation)
            self._news.clear()
            found = look()
            if found is not None:
                return found
            left = deadline - time.monotonic()
            try:
                async with asyncio.timeout(max(left, 0.0)):
                    await self._news.wait()
            except TimeoutError:
                raise CaseFailure(self._missing(step, seconds)) from None

    def _missing(self, step: Step, seconds: float) -> str:
        late = missing(step, seconds, closed=not self.link(step).live)
        other = self.inboxes[step.session].client
        waiting = [h.message for h in other if not self.ignored(h.message)] if step.venue else []
        return late + (f" {unexpected(step, waiting[0])}" if waiting else "")

    def link(self, step: Step) -> Link:
        return self.stage.links[step.session]
