"""The judge of one client: plays one attempt at a time on the client's venue and gives a verdict.

The referees of FIX and of the account API determine which case a client has begun and which
messages belong to it; attempts over both are played and judged here, since both use one venue.
"""

from __future__ import annotations

import asyncio
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final, Generic, TypeVar

import msgspec
import structlog

from certification.attempt import BaseAttempt, CaseFailure, CounterpartyFault, Trader
from certification.report.results import CaseResult, Recorded, Transcript, blank, stamp
from certification.scenarios.scenario import WAY_S, Scenario
from certification.scenarios.values import ValueFault, same

log = structlog.get_logger()

OLD_ORDERS_MAX: Final = 100_000
IDS_MAX: Final = 100_000
VENUE_S: Final = 5.0
"""How long the venue's own response may take."""
_CASE_ID: Final = re.compile(r"([A-Z][0-9]{2})(?![0-9A-Za-z])")

A = TypeVar("A", bound=BaseAttempt)
MakeTrader = Callable[[str, Transcript], Awaitable[Trader]]
Changed = Callable[[CaseResult], None]


def case_id(text: str) -> str:
    """Return the case id that an id of the client begins with (``A07-1``), "" if there is none."""
    found = _CASE_ID.match(text)
    return found[1] if found is not None else ""


class Judge:
    """Judges the attempts of one client. ``make_trader`` logs a counterparty on.

    ``begun`` is called when an attempt begins, ``changed`` with its verdict.
    """

    def __init__(
        self,
        scenarios: Iterable[Scenario],
        parameters: Mapping[str, str],
        make_trader: MakeTrader,
        begun: Changed,
        changed: Changed,
        *,
        patience_s: float,
        venue_s: float = VENUE_S,
        way_s: float = WAY_S,
    ) -> None:
        self.scenarios = {s.id: s for s in scenarios if s.script("certify")}
        self.parameters = parameters
        self.patience_s = patience_s
        self.venue_s = venue_s
        self.way_s = way_s
        self.results: dict[str, CaseResult] = {}
        self.ids_used: set[str] = set()
        self.old_orders: frozenset[str] = frozenset()
        self.referees: list[BaseReferee[BaseAttempt]] = []
        self.transcript: Transcript | None = None
        self._make_trader = make_trader
        self._changed = changed
        self._begun = begun
        self._turn = asyncio.Lock()
        self._traders: dict[str, Trader] = {}
        self._orders: set[str] = set()
        self._by_quantity = {s.quantity: s for s in self.scenarios.values() if s.quantity}

    # The cases.

    def with_quantity(self, quantity: str, *begins: str) -> Scenario | None:
        """Return the scenario with a quantity, if it begins with one of these."""
        for number, scenario in self._by_quantity.items():
            if scenario.begins in begins and same(quantity, str(number)):
                return scenario
        return None

    def verdict(self, name: str) -> str:
        """Return the last verdict on a case, "" if it was never begun."""
        result = self.results.get(name)
        return result.verdict if result is not None else ""

    def attempts(self, name: str) -> int:
        """Return how often a case was begun."""
        result = self.results.get(name)
        return result.attempts if result is not None else 0

    @property
    def playing(self) -> str:
        """Return the id of the case under way, "" if there is none."""
        current = (referee.current for referee in self.referees)
        return next((attempt.scenario.id for attempt in current if attempt is not None), "")

    def interrupt(self, name: str) -> None:
        """Fail the attempts under way: the client has begun the case ``name``."""
        for referee in self.referees:
            if referee.current is not None:
                referee.current.violate(f"Case {name} was begun before this one was done.")

    def note_order(self, order_id: str) -> None:
        """Record an OrderID, whose messages later attempts ignore."""
        if len(self._orders) < OLD_ORDERS_MAX:
            self._orders.add(order_id)

    # An attempt.

    async def judge(
        self, attempt: BaseAttempt, ended: Callable[[], None] = lambda: None
    ) -> CaseResult:
        """Play an attempt when no other is under way and give the verdict.

        ``ended`` is called between the two.
        """
        async with self._turn:
            began, clock = stamp(), time.monotonic()
            self.transcript = attempt.transcript
            self._note_begun(attempt, began)
            try:
                reason = await self._reason(attempt)
            finally:
                ended()
                self.transcript = None
            return self._conclude(attempt, reason, began, time.monotonic() - clock)

    def _note_begun(self, attempt: BaseAttempt, began: str) -> None:
        """Replace the earlier verdict, which does not cover an attempt that never ends."""
        self.results[attempt.scenario.id] = result = msgspec.structs.replace(
            blank(attempt.scenario, f"Attempt {attempt.number} was begun and has no verdict."),
            attempts=attempt.number, began=began,
        )  # fmt: skip
        self._begun(result)

    async def _reason(self, attempt: BaseAttempt) -> str:
        """Play an attempt; return why it failed, "" if it passed."""
        try:
            if attempt.scenario.begins != "logon":
                await self._clean()
            await attempt.run()
        except CaseFailure as failure:
            return str(failure)
        except CounterpartyFault as fault:
            return f"The counterparty could not do its part: {fault}."
        except (ValueFault, OSError, TimeoutError) as fault:
            log.error("case_fault", case=attempt.scenario.id, error=str(fault))
            return f"The case could not be played: {str(fault) or type(fault).__name__}."
        return ""

    async def _clean(self) -> None:
        """Cancel every order that the previous attempt has left in the book."""
        for trader in list(self._traders.values()):
            await trader.clear()
        await (await self.trader("desk")).mass_cancel_firm()
        await self.trader("peer")
        self.old_orders = frozenset(self._orders)
        if len(self._orders) >= OLD_ORDERS_MAX:
            self._orders.clear()
        if len(self.ids_used) > IDS_MAX:
            self.ids_used.clear()

    def _conclude(
        self, attempt: BaseAttempt, reason: str, began: str, seconds: float
    ) -> CaseResult:
        scenario = attempt.scenario
        told = f"{reason} {scenario.told}" if reason else ""
        result = msgspec.structs.replace(
            blank(scenario), verdict="failed" if reason else "passed", reason=reason, told=told,
            attempts=attempt.number, began=began, seconds=round(seconds, 3),
            transcript=tuple(attempt.transcript.entries),
        )  # fmt: skip
        self.results[scenario.id] = result
        log.info("verdict", case=scenario.id, verdict=result.verdict, reason=reason)
        self._changed(result)
        for referee in self.referees:
            referee.announce(result)
        return result

    async def trader(self, name: str) -> Trader:
        """Return the counterparty (``peer``) or the firm's other trader (``desk``), logged on."""
        trader = self._traders.get(name)
        if trader is None or not trader.open:
            trader = self._traders[name] = await self._make_trader(name, _CurrentTranscript(self))
        return trader

    async def close(self) -> None:
        """End the attempts under way and log the counterparties out."""
        for referee in self.referees:
            await referee.close()
        for trader in self._traders.values():
            await trader.leave()


class BaseReferee(ABC, Generic[A]):
    """Determines which case a client has begun on one interface.

    ``current`` is the attempt under way, None if there is none.
    """

    def __init__(self, judge: Judge) -> None:
        self.judge = judge
        self.current: A | None = None
        self._task: asyncio.Task[None] | None = None
        judge.referees.append(self)  # type: ignore[arg-type]

    def start(self, attempt: A) -> None:
        """Make an attempt the current one and start to play it."""
        self.current = attempt
        self._task = asyncio.create_task(self.play(attempt))

    @abstractmethod
    async def play(self, attempt: A) -> None:
        """Judge an attempt, then release the messages that it holds."""

    def announce(self, result: CaseResult) -> None:  # noqa: B027
        """Send the client a verdict, if its interface has a message for that."""

    async def interrupt(self, name: str) -> None:
        """Fail the attempts under way, as the case ``name`` begins; wait until this one's ends."""
        self.judge.interrupt(name)
        if self.current is not None and self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def close(self) -> None:
        """End the attempt under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self.current is not None:
            self.current.release_all()


class _CurrentTranscript(Transcript):
    """Records a counterparty's messages in the transcript of the case under way."""

    def __init__(self, judge: Judge) -> None:
        super().__init__()
        self._judge = judge

    def message(self, way: str, message: Recorded, note: str = "") -> None:
        """Record a message while a case is under way, except Heartbeats and TestRequests."""
        transcript = self._judge.transcript
        if transcript is not None and message.type not in ("0", "1"):
            transcript.message(way, message, note)

    def note(self, text: str) -> None:
        """Ignore events of the counterparty's own connection."""
