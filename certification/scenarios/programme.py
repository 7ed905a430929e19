"""The programme of a run: all cases, those that are played, and whether the run can certify.

A certificate requires every required case of an interface, as in this release. A run of chosen
cases (``--case``) or of edited scenarios certifies nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from certification.scenarios.edition import EDITION
from certification.scenarios.scenario import (
    FOLDER,
    Direction,
    Interface,
    Scenario,
    ScenarioFault,
    chosen,
    load,
)

INTERFACES: Final[tuple[Interface, ...]] = ("FIX", "MarketData", "REST", "WebSocket")


def edition(scenarios: Iterable[Scenario]) -> str:
    """Return the SHA-256 over the scenarios, in their order, in hexadecimal."""
    return hashlib.sha256("".join(s.digest for s in scenarios).encode("ascii")).hexdigest()


@dataclass(frozen=True, slots=True)
class Programme:
    """The cases of a run.

    ``every`` are all cases of the interfaces to certify, ``played`` those that may be begun.
    ``choice`` are the values of ``--case``; ``edition`` is that of all scenarios.
    """

    every: tuple[Scenario, ...]
    played: tuple[Scenario, ...]
    choice: tuple[str, ...]
    edition: str

    @property
    def altered(self) -> bool:
        """Return whether the scenarios differ from those of this release."""
        return self.edition != EDITION

    @property
    def partial(self) -> str:
        """Return why this run cannot certify, "" if it can."""
        reasons = []
        if self.choice:
            reasons.append(f"only chosen cases are played (--case {' --case '.join(self.choice)})")
        if self.altered:
            reasons.append("the scenarios are not those of this release")
        return "; ".join(reasons)

    def cases(self, direction: Direction) -> tuple[Scenario, ...]:
        """Return every case of a direction, chosen or not."""
        return tuple(s for s in self.every if s.script(direction))


def programme(
    names: Iterable[str] = (), interfaces: Iterable[str] = (), folder: Path = FOLDER
) -> Programme:
    """Return the programme for the given interfaces and case ids; all if none are given.

    Raises ScenarioFault for a name that matches nothing.
    """
    scenarios = load(folder)
    by_name = {name.lower(): name for name in INTERFACES}
    wanted = []
    for name in interfaces:
        if name.lower() not in by_name:
            raise ScenarioFault(f"no interface is called {name}; there are {', '.join(INTERFACES)}")
        wanted.append(by_name[name.lower()])
    every = tuple(s for s in scenarios if not wanted or s.interface in wanted)
    choice = tuple(name.strip().upper() for name in names if name.strip())
    return Programme(every, chosen(every, choice), choice, edition(scenarios))
