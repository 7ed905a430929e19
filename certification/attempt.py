"""One attempt at one case over any interface: its script, its variables and its waits."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from itertools import zip_longest
from typing import Protocol, TypeVar

from certification.report.results import Transcript
from certification.scenarios.scenario import Direction, Scenario, Step
from certification.scenarios.values import Memory

T = TypeVar("T")


class CaseFailure(Exception):
    """The side under test did not do what the case requires; the message explains it.

    ``cause`` names a fault that does not depend on the case, for instance that a message is not
    supported at all.
    """

    def __init__(self, text: str, cause: str = "") -> None:
        super().__init__(text)
        self.cause = cause


class CounterpartyFault(Exception):
    """The counterparty could not do its part; the message says what happened instead."""


class Trader(Protocol):
    """The counterparty of a case, or another trader of the client's firm.

    Every method raises CounterpartyFault.
    """

    @property
    def open(self) -> bool:
        """Return whether its session is logged on."""

    async def trade(self, side: str, qty: str, price: str, *, rest: bool) -> None:
        """Enter a limit order: one that rests, or one that must be filled at once."""

    async def cancel(self, order_id: str, side: str) -> None:
        """Cancel an order of the same firm by its OrderID."""

    async def clear(self) -> None:
        """Cancel its own resting orders."""

    async def mass_cancel_firm(self) -> None:
        """Cancel every order of the firm, whoever entered it."""

    async def leave(self) -> None:
        """Log out."""


class Stage(Protocol):
    """The run that an attempt belongs to.

    ``patience_s`` bounds the wait for the client and ``venue_s`` the wait for the venue's
    responses; ``way_s`` is added to waits that are given in heartbeats. ``ids_used`` are the
    client's order and withdrawal ids of this run, ``old_orders`` the OrderIDs of earlier attempts.
    """

    patience_s: float
    venue_s: float
    way_s: float
    ids_used: set[str]
    old_orders: frozenset[str]

    async def trader(self, name: str) -> Trader:
        """Return the counterparty (``peer``) or the firm's other trader (``desk``), logged on."""


class ScriptPlayer(ABC):
    """Plays the steps of a scenario, one after the other, in one direction."""

    def __init__(
        self, scenario: Scenario, direction: Direction, parameters: Mapping[str, str]
    ) -> None:
        self.scenario = scenario
        self.script = scenario.script(direction)
        self.transcript = Transcript()
        self.memory = Memory(dict(parameters) | {"case": scenario.id})

    async def run(self) -> None:
        """Play every step. Raises CaseFailure, CounterpartyFault, ValueFault."""
        for step, following in zip_longest(self.script, self.script[1:]):
            if step.client:
                await self.client(step, following)
            elif step.venue:
                await self.venue(step)
            else:
                await self.act(step)

    async def act(self, step: Step) -> None:
        """Enter or cancel the counterparty's order of this step, or carry out the step's verb."""
        if step.do:
            await self.do(step)
            return
        name, _, action = step.peer.rpartition("-")
        trader = await self.trader("desk" if name else "peer")
        qty = self.memory.value(step.qty)
        if action == "cancel":
            await trader.cancel(qty, "1")
            return
        price = self.memory.value(step.price) if step.price else self.order_price()
        await trader.trade(action, qty, price, rest=step.rest)

    @abstractmethod
    async def client(self, step: Step, following: Step | None) -> None:
        """Play a step of the client; ``following`` is the step after it."""

    @abstractmethod
    async def venue(self, step: Step) -> None:
        """Play a step of the venue."""

    @abstractmethod
    async def do(self, step: Step) -> None:
        """Carry out the verb of ``do``."""

    @abstractmethod
    def order_price(self) -> str:
        """Return the price of the case's order: the counterparty's price unless a step has one."""

    @abstractmethod
    async def trader(self, name: str) -> Trader:
        """Return the trader ``peer`` or ``desk``, logged on."""


class BaseAttempt(ScriptPlayer):
    """An attempt of a client at a case; ``number`` counts the attempts from 1.

    Each message of the client is held until the step that waits for it has checked it and has
    carried out its ``first`` steps; so a race such as "filled before the cancel arrives" has the
    same outcome every time. ``over`` is set when messages are no longer held.
    """

    def __init__(
        self, scenario: Scenario, stage: Stage, parameters: Mapping[str, str], number: int
    ) -> None:
        super().__init__(scenario, "certify", parameters)
        self.number = number
        self.stage = stage
        self.over = False
        self._violation = ""
        self._news = asyncio.Event()

    def violate(self, why: str) -> None:
        """Record what no case allows; the attempt fails at its next wait."""
        self._violation = self._violation or why
        self.notify()

    def release_all(self) -> None:
        """Release everything that is held, now and later."""
        self.over = True
        self.release_held()

    @abstractmethod
    def release_held(self) -> None:
        """Release everything that is held."""

    def notify(self) -> None:
        """Wake the step that waits, so that it checks again."""
        self._news.set()

    async def wait(self, look: Callable[[], T | None], seconds: float) -> T | None:
        """Wait until ``look`` returns something and return it; None after ``seconds``."""
        deadline = time.monotonic() + seconds
        while True:
            self._news.clear()
            found = look()
            if found is not None:
                return found
            try:
                async with asyncio.timeout(max(deadline - time.monotonic(), 0.0)):
                    await self._news.wait()
            except TimeoutError:
                return None

    async def wait_for(
        self, look: Callable[[], T | None], seconds: float, missing: Callable[[], str]
    ) -> T:
        """Wait until ``look`` returns something and return it.

        Raises CaseFailure after ``seconds``, with the text of ``missing``, and on a violation.
        """

        def allowed() -> T | None:
            if self._violation:
                raise CaseFailure(self._violation)
            return look()

        found = await self.wait(allowed, seconds)
        if found is None:
            raise CaseFailure(missing())
        return found

    async def trader(self, name: str) -> Trader:
        """Return the trader ``peer`` or ``desk``, logged on."""
        return await self.stage.trader(name)

    def used_before(self, ids: Iterable[str]) -> list[str]:
        """Record ids of the client; return those that it has used before."""
        ids = list(ids)
        again = [name for name in ids if name in self.stage.ids_used]
        self.stage.ids_used.update(ids)
        return again
