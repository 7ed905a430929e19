"""Conform: play the scenarios as a client against any FIX 4.4 acceptor.

Each case has its own connections, which begin with 141=Y, so that cases are independent. Nothing
here is specific to this venue: cases that need its custom messages are ``extension`` and are
played only on request.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import msgspec

from certification.attempt import CaseFailure, CounterpartyFault
from certification.fix.conform_case import ConformCase, Target
from certification.report.results import CaseResult, blank, stamp
from certification.scenarios.scenario import Scenario
from certification.scenarios.values import ValueFault

Say = Callable[[CaseResult], None]


async def run(
    target: Target, scenarios: Iterable[Scenario], run_id: str, say: Say
) -> list[CaseResult]:
    """Play every scenario that has this direction; call ``say`` with each verdict at once."""
    results = []
    for scenario in scenarios:
        if not scenario.script("conform"):
            continue
        result = await play(target, scenario, run_id)
        say(result)
        results.append(result)
    return results


async def play(target: Target, scenario: Scenario, run_id: str) -> CaseResult:
    """Play one scenario and return its verdict; no failure raises."""
    needs = scenario.needs("conform")
    if "http" in needs:
        return blank(scenario, "Needs the account API.")
    if lacking := needs - target.sessions:
        names = ", ".join(sorted(lacking)).replace("_", "-")
        return blank(scenario, f"Needs a session that was not given: {names}.")
    if scenario.extension and not target.extensions:
        return blank(scenario, "Needs messages or settings that FIX 4.4 does not have.")
    case = ConformCase(target, scenario, run_id)
    began, clock = stamp(), time.monotonic()
    reason = cause = ""
    try:
        await case.run()
    except CaseFailure as failure:
        reason, cause = str(failure), failure.cause
    except CounterpartyFault as fault:
        reason = f"The counterparty could not do its part: {fault}."
    except (OSError, TimeoutError) as error:
        reason = f"The venue cannot be reached: {str(error) or type(error).__name__}."
    except ValueFault as fault:
        reason = f"The scenario cannot be played here: {fault}."
    finally:
        await case.end()
    return msgspec.structs.replace(
        blank(scenario), verdict="failed" if reason else "passed", reason=reason, cause=cause,
        told=f"{reason} {scenario.fails}" if reason else "", attempts=1, began=began,
        seconds=round(time.monotonic() - clock, 3), transcript=tuple(case.transcript.entries),
    )  # fmt: skip
