"""The results of a run: verdicts with their reasons, and the raw messages of each case."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final, Literal, Protocol

import msgspec

from certification.scenarios.programme import INTERFACES, Programme
from certification.scenarios.scenario import Direction, Interface, Scenario

Verdict = Literal["passed", "failed", "not run"]
ENTRIES_MAX: Final = 2_000
"""Messages recorded of one case, so that a client that floods does not fill the disk."""
NOT_CHOSEN: Final = "Not chosen."
FORMAT: Final = "tandem-certification-report"
VERSION: Final = 2
"""Reports of version 1 did not say which cases are needed."""


class Entry(msgspec.Struct, frozen=True):
    """A message or an event. ``way`` is ``>`` to the venue, ``<`` from it, ``p>`` and ``p<``
    between counterparty and venue, ``!`` for an action of the certifier."""

    at: str
    way: str
    text: str
    note: str = ""


class Recorded(Protocol):
    """A FIX message that a transcript can record."""

    @property
    def type(self) -> str:
        """Return MsgType(35)."""

    def shown(self) -> str:
        """Return the message as text without secrets."""


class Transcript:
    """Records messages and events in order, without secrets."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def message(self, way: str, message: Recorded, note: str = "") -> None:
        """Record a FIX message."""
        self._add(Entry(stamp(), way, message.shown(), note))

    def text(self, way: str, text: str, note: str = "") -> None:
        """Record text that is not a FIX message; the caller has removed secrets."""
        self._add(Entry(stamp(), way, text, note))

    def note(self, text: str) -> None:
        """Record an action of the certifier."""
        self._add(Entry(stamp(), "!", text))

    def _add(self, entry: Entry) -> None:
        if len(self.entries) < ENTRIES_MAX:
            self.entries.append(entry)
        elif len(self.entries) == ENTRIES_MAX:
            self.entries.append(Entry(stamp(), "!", "what came after this was not kept"))


class CaseResult(msgspec.Struct, frozen=True):
    """The last attempt at a case.

    ``reason`` says why it failed or was not run, and ``cause`` what of it has nothing to do with
    this case; ``digest`` identifies the version of the scenario.
    """

    id: str
    title: str
    part: str
    rules: tuple[str, ...]
    must: bool
    verdict: Verdict = "not run"
    reason: str = ""
    cause: str = ""
    told: str = ""
    attempts: int = 0
    began: str = ""
    seconds: float = 0.0
    transcript: tuple[Entry, ...] = ()
    interface: Interface = "FIX"
    digest: str = ""


class Tally(msgspec.Struct, frozen=True):
    """How many of the required cases of an interface have passed."""

    interface: Interface
    needed: int
    passed: int


class Report(msgspec.Struct, frozen=True):
    """A whole run. ``certified`` are the interfaces of which every required case has passed and
    none has failed; ``complete`` is set if these are all interfaces that the client has tried.

    ``cases`` are all cases, including those not chosen. ``tallies`` count the required cases of
    each interface tried. ``chosen`` are the values of ``--case``, ``edition`` identifies the
    scenarios, and ``altered`` is set if they are not those of the release; a run that is chosen
    or altered certifies nothing. ``verdict`` is the summary in one line.
    """

    format: str
    version: int
    direction: Direction
    subject: str
    venue: str
    began: str
    written: str
    passed: int
    failed: int
    not_run: int
    complete: bool
    cases: tuple[CaseResult, ...]
    parameters: dict[str, str] = {}
    files: dict[str, str] = {}
    certified: tuple[Interface, ...] = ()
    verdict: str = ""
    tallies: tuple[Tally, ...] = ()
    chosen: tuple[str, ...] = ()
    edition: str = ""
    altered: bool = False

    @property
    def counts(self) -> str:
        """Return the number of cases by verdict, as text."""
        return f"{self.passed} passed, {self.failed} failed, {self.not_run} not run"


def reasons(cases: Iterable[CaseResult]) -> list[tuple[str, list[str]]]:
    """Return each reason for which cases have not passed, with their ids, the commonest first."""
    found: dict[str, list[str]] = {}
    for case in cases:
        if case.verdict != "passed" and (why := case.cause or case.reason):
            found.setdefault(why.rstrip("."), []).append(case.id)
    return sorted(found.items(), key=lambda item: -len(item[1]))


def stamp() -> str:
    """Return the current time in ISO 8601, UTC, with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def blank(scenario: Scenario, reason: str = "") -> CaseResult:
    """Return the result of a case that was not run."""
    return CaseResult(
        id=scenario.id, title=scenario.title, part=scenario.part, rules=scenario.rules,
        must=scenario.must, reason=reason, interface=scenario.interface, digest=scenario.digest,
    )  # fmt: skip


def report(
    direction: Direction,
    subject: str,
    venue: str,
    began: str,
    programme: Programme,
    results: Iterable[CaseResult],
    parameters: dict[str, str] | None = None,
) -> Report:
    """Summarize a run. The report has every case of the programme, whether played or not."""
    found = {result.id: result for result in results}
    played = {scenario.id for scenario in programme.played}
    rows = tuple(
        _row(scenario, found.get(scenario.id), scenario.id in played)
        for scenario in programme.cases(direction)
    )
    verdicts = [case.verdict for case in rows]
    tried = [name for name in INTERFACES
             if any(case.attempts for case in rows if case.interface == name)]  # fmt: skip
    tallies = tuple(_tally(rows, name) for name in tried)
    certified = () if programme.partial else tuple(n for n in tried if _certified(rows, n))
    complete = bool(tried) and tried == list(certified)
    return Report(
        format=FORMAT,
        version=VERSION,
        direction=direction,
        subject=subject,
        venue=venue,
        began=began,
        written=stamp(),
        passed=verdicts.count("passed"),
        failed=verdicts.count("failed"),
        not_run=verdicts.count("not run"),
        complete=complete,
        cases=rows,
        parameters=parameters or {},
        certified=certified,
        verdict=f"complete: certified for {', '.join(certified)}" if complete
        else _partial(programme, rows, tallies, certified),
        tallies=tallies,
        chosen=programme.choice,
        edition=programme.edition,
        altered=programme.altered,
    )  # fmt: skip


def _row(scenario: Scenario, found: CaseResult | None, played: bool) -> CaseResult:
    """Return the result of a case; one of another version of the scenario does not count."""
    if found is None:
        return blank(scenario, "Not begun." if played else NOT_CHOSEN)
    if found.digest != scenario.digest:
        return msgspec.structs.replace(
            blank(scenario, "The case has changed since it was tried."), attempts=found.attempts
        )
    return found


def _tally(rows: Iterable[CaseResult], interface: Interface) -> Tally:
    needed = [case for case in rows if case.interface == interface and case.must]
    return Tally(interface, len(needed), sum(case.verdict == "passed" for case in needed))


def _certified(rows: Iterable[CaseResult], interface: Interface) -> bool:
    """Return whether every required case of an interface has passed and none has failed."""
    own = [case for case in rows if case.interface == interface]
    return all(
        case.verdict == "passed" or (not case.must and case.verdict == "not run" and not
                                     case.attempts) for case in own
    )  # fmt: skip


def _partial(
    programme: Programme, rows: Iterable[CaseResult], tallies: Iterable[Tally],
    certified: Iterable[Interface],
) -> str:  # fmt: skip
    """Return a line on the cases passed and those missing, for a run that is not complete."""
    counts = ", ".join(
        f"{one.passed} of the {one.needed} needed {one.interface} cases" for one in tallies
    )
    parts = [counts or "no case was tried"]
    if failed := [case.id for case in rows if case.verdict == "failed"]:
        parts.append(f"failed: {', '.join(failed)}")
    if broken := [case.id for case in rows if case.verdict == "not run" and case.attempts]:
        parts.append(f"begun and without a verdict: {', '.join(broken)}")
    if programme.partial:
        parts.append(programme.partial)
    names = ", ".join(certified)
    return f"partial: {'; '.join(parts)}; certified for {names or 'nothing'}"
