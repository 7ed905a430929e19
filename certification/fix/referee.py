"""The referee of one client: finds out which case is meant, has it played, gives the verdict.

A case is begun by its opening order, whose ClOrdID begins with the case's id (``A07-…``) or
whose quantity is the case's. Everything that the client sends then belongs to that case until
its verdict, which is given at once; the opening order sent again begins a new attempt.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final, Protocol

import msgspec
import structlog

from certification.fix.attempt import Attempt, Held, hold
from certification.fix.counterparty import Counterparty, CounterpartyFault
from certification.fix.link import Link
from certification.fix.wire import ADMIN, Message
from certification.report.results import CaseFailure, CaseResult, Transcript, blank, stamp
from certification.scenarios.scenario import WAY_S, Scenario
from certification.scenarios.values import ValueFault, same

log = structlog.get_logger()

CASE_ID: Final = re.compile(r"([A-Z][0-9]{2})(?![0-9A-Za-z])")
OLD_ORDERS_MAX: Final = 100_000
IDS_MAX: Final = 100_000
VENUE_S: Final = 5.0
"""How long the venue's own answer may take."""

class Judged(Protocol):
    """An attempt as its verdict needs it."""

    scenario: Scenario
    number: int
    transcript: Transcript

    async def run(self) -> None:
        """Play every step. Raises CaseFailure, CounterpartyFault, ValueFault."""


MakeTrader = Callable[[str, Transcript], Awaitable[Counterparty]]
Changed = Callable[[CaseResult], None]


def _ignore(result: CaseResult) -> None:
    """Nobody wants to know."""


class Referee:
    """Watches the links of one client. ``make_trader`` logs a counterparty on.

    ``begun`` hears of an attempt when it begins, ``changed`` of its verdict.
    """

    def __init__(
        self,
        scenarios: Iterable[Scenario],
        parameters: Mapping[str, str],
        make_trader: MakeTrader,
        changed: Changed,
        *,
        patience_s: float,
        venue_s: float = VENUE_S,
        way_s: float = WAY_S,
        news: bool = True,
        begun: Changed = _ignore,
    ) -> None:
        self.scenarios = {s.id: s for s in scenarios if s.script("certify")}
        self.results: dict[str, CaseResult] = {}
        self.links: dict[str, Link] = {}
        self.patience_s = patience_s
        self.venue_s = venue_s
        self.way_s = way_s
        self.ids_used: set[str] = set()
        self.old_orders: frozenset[str] = frozenset()
        self.current: Attempt | None = None
        self.transcript: Transcript | None = None
        self.interrupt: Callable[[str], None] = lambda name: None
        self.news = news
        self._turn = asyncio.Lock()
        self._parameters = parameters
        self._make_trader = make_trader
        self._changed = changed
        self._begun = begun
        self._traders: dict[str, Counterparty] = {}
        self._orders: set[str] = set()
        self._outside = Transcript()
        self._task: asyncio.Task[None] | None = None
        self._by_quantity = {s.quantity: s for s in self.scenarios.values() if s.quantity}

    # What passes.

    async def from_client(self, link: Link, message: Message) -> bool:
        """A message of the client; False to lose it."""
        attempt = self.current
        held = hold(message)
        by_id, by_quantity = self._meant(link, message)
        other = by_id if by_id is not None and attempt and by_id is not attempt.scenario else None
        if attempt is None or other is not None:
            begun = by_id or by_quantity
            if begun is not None:
                attempt = await self._begin(begun, link, held)
                return await held.passes if message.type not in ADMIN else True
        if attempt is None:
            self._outside.message(self._way(link, ">"), message)
            return True
        attempt.transcript.message(self._way(link, ">"), message)
        self._look_at_number(attempt, link, message)
        attempt.take_client(link.kind, held)
        if attempt.over:
            held.release()
        return await held.passes

    def from_venue(self, link: Link, message: Message, ours: str) -> None:
        """A message that the client was sent; of those that are ours only note is taken."""
        if message.type == "8" and message.get(37) != "NONE" and len(self._orders) < OLD_ORDERS_MAX:
            self._orders.add(message.get(37))
        attempt = self.current
        if attempt is None:
            self._outside.message(self._way(link, "<"), message, ours)
            return
        attempt.transcript.message(self._way(link, "<"), message, ours)
        if not ours:
            attempt.take_venue(link.kind, message)

    def noted(self, link: Link, way: str, message: Message | None, text: str) -> None:
        """Take down what happened to a message, or to the connection."""
        transcript = self.current.transcript if self.current is not None else self._outside
        if message is None:
            transcript.text(self._way(link, way) if way != "!" else way, text)
        else:
            transcript.message(self._way(link, way), message, text)

    def left(self, link: Link, on_purpose: bool) -> None:
        """The client's connection has ended; a case that does not expect it ends with it."""
        self.noted(link, "!", None, f"the connection of {link.comp_id} has ended")
        if self.current is not None and link.kind == "main" and not on_purpose:
            self.current.lost()

    def _way(self, link: Link, way: str) -> str:
        return way if link.kind == "main" else f"{link.kind}:{way}"

    def _look_at_number(self, attempt: Attempt, link: Link, message: Message) -> None:
        """A number that was used before needs PossDupFlag(43)=Y, whatever the case."""
        reset = message.type == "A" and message.get(141) == "Y"
        if message.num <= link.highest and not message.possdup and not reset:
            attempt.violate(
                f"MsgSeqNum(34) {message.num} came again without PossDupFlag(43)=Y: what is "
                "sent again has 43=Y and OrigSendingTime(122)."
            )

    # Which case is meant.

    def _meant(self, link: Link, message: Message) -> tuple[Scenario | None, Scenario | None]:
        """The case that a message begins: by its id, and else by its quantity."""
        if link.kind != "main" or message.possdup:
            return None, None
        if message.type == "A":
            first = next((s for s in self.scenarios.values() if s.begins == "logon"), None)
            done = first is None or self._verdict(first.id) == "passed" or self.current
            return (None, None) if done else (None, first)
        begins = {"D": "order", "E": "list"}.get(message.type)
        if begins is None:
            return None, None
        named = CASE_ID.match(message.get(11))
        if named is not None:
            scenario = self.scenarios.get(named[1])
            return (scenario if scenario and scenario.begins == begins else None), None
        quantity = message.get(38)
        for number, scenario in self._by_quantity.items():
            if scenario.begins == begins and same(quantity, str(number)):
                return None, scenario
        return None, None

    def _verdict(self, name: str) -> str:
        result = self.results.get(name)
        return result.verdict if result is not None else ""

    # An attempt.

    async def _begin(self, scenario: Scenario, link: Link, held: Held) -> Attempt:
        """Begin an attempt; one that is under way ends without having passed."""
        if self.current is not None:
            self.current.violate(f"Case {scenario.id} was begun before this one was done.")
            if self._task is not None:
                await asyncio.gather(self._task, return_exceptions=True)
        self.interrupt(scenario.id)
        number = self.attempts(scenario.id) + 1
        attempt = Attempt(scenario, self, self._parameters, number)
        self.current = attempt
        attempt.transcript.message(self._way(link, ">"), held.message)
        self._look_at_number(attempt, link, held.message)
        attempt.take_client(link.kind, held)
        self._task = asyncio.create_task(self._play(attempt))
        return attempt

    def attempts(self, name: str) -> int:
        """How often a case was tried."""
        before = self.results.get(name)
        return before.attempts if before is not None else 0

    async def judge(self, attempt: Judged) -> CaseResult:
        """Have an attempt played, when no other is under way, and give the verdict."""
        async with self._turn:
            began, clock = stamp(), time.monotonic()
            self.transcript = attempt.transcript
            self._note_begun(attempt, began)
            try:
                reason = await self._reason(attempt)
            finally:
                self.transcript = None
            return self._conclude(attempt, reason, began, time.monotonic() - clock)

    def _note_begun(self, attempt: Judged, began: str) -> None:
        """The verdict before does not stand for an attempt that never comes to its end."""
        self.results[attempt.scenario.id] = result = msgspec.structs.replace(
            blank(attempt.scenario, f"Attempt {attempt.number} was begun and has no verdict."),
            attempts=attempt.number, began=began,
        )  # fmt: skip
        self._begun(result)

    async def _reason(self, attempt: Judged) -> str:
        """Play an attempt; "" when it passed, else why not."""
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
        finally:
            if self.current is attempt:
                self.current = None
                for link in self.links.values():
                    link.speak()
                    link.drops.clear()
                    link.refusals = 0
        return ""

    async def _play(self, attempt: Attempt) -> None:
        await self.judge(attempt)
        following = self._following(attempt)
        attempt.release_all()
        if following is not None and attempt.offending is not None:
            await self._begin(following, self.links["main"], attempt.offending)
        elif attempt.offending is not None:
            attempt.offending.release()

    def _following(self, attempt: Attempt) -> Scenario | None:
        """A client that names cases by quantity may have gone on to the next."""
        held = attempt.offending
        if held is None or held.message.type not in ("D", "E") or held.passes.done():
            return None
        _, meant = self._meant(self.links["main"], held.message)
        return meant if meant is not attempt.scenario else None

    async def _clean(self) -> None:
        """An attempt finds the book empty, whatever the one before has left."""
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
        self, attempt: Judged, reason: str, began: str, seconds: float
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
        self._tell(result)
        return result

    def _tell(self, result: CaseResult) -> None:
        """News(B) to a client that is there, so that it need not look at the page."""
        link = self.links.get("main")
        if not self.news or link is None or not link.live:
            return
        rows = [f"{result.id} {result.title}: {result.verdict}"]
        if result.verdict != "passed":
            rows += [result.reason, self.scenarios[result.id].told,
                     "Send the opening order again to try once more."]  # fmt: skip
        texts = [(58, _ascii(row)) for row in rows]
        headline = f"{result.id} {result.verdict}"
        link.add_with_group({35: "B", 148: headline, 33: str(len(texts))}, texts)

    async def trader(self, name: str) -> Counterparty:
        """The counterparty, or the other trader of the client's firm."""
        trader = self._traders.get(name)
        if trader is None or not trader.open:
            transcript = _Relay(self)
            trader = self._traders[name] = await self._make_trader(name, transcript)
        return trader

    async def close(self) -> None:
        """End what runs, and log the counterparties out."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self.current is not None:
            self.current.release_all()
        for trader in self._traders.values():
            await trader.leave()


class _Relay(Transcript):
    """What a counterparty says and hears goes into the transcript of the case at hand."""

    def __init__(self, referee: Referee) -> None:
        super().__init__()
        self._referee = referee

    def message(self, way: str, message: Message, note: str = "") -> None:
        """Take a message down where a case is under way, heartbeats excepted."""
        transcript = self._referee.transcript
        if transcript is not None and message.type not in ("0", "1"):
            transcript.message(way, message, note)

    def note(self, text: str) -> None:
        """Notes about the counterparty's own connection are of no interest."""


def _ascii(text: str) -> str:
    """Text for a FIX field."""
    return text.encode("ascii", "replace").decode("ascii").replace("\x01", " ")[:1000]
