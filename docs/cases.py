"""The certification's cases as a page; `docs/generate.py` writes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from certification.scenarios.programme import edition
from certification.scenarios.scenario import Scenario, load

HEAD: Final = (
    "Made by `python docs/generate.py` from `spec/certification/`; a test holds the two together."
)


_MODULE: Final = '''\
"""Made by `python docs/generate.py` from `spec/certification/`; a test holds the two together."""

from __future__ import annotations

from typing import Final

EDITION: Final = "{edition}"
"""Names the scenarios of this release. A run with others certifies nothing."""
'''


def edition_module() -> str:
    """The source of the module that names the scenarios."""
    return _MODULE.format(edition=edition(load()))


def document() -> str:
    """Every case: what the client does, what the venue does, what passes and what fails."""
    every = load()
    lines = [
        "# Certification cases", "", HEAD, "",
        "How to be certified is in the [guide](../certification.md). A case is begun by its id in "
        "front of ClOrdID(11), `client_order_id` or `client_withdrawal_id`, or by its quantity. "
        "*Needed* cases must pass for a client to be certified for that interface; the others are "
        "certified if they are shown.", "",
        "| Case | Title | Interface | Quantity | Needed |", "|---|---|---|---|---|",
        *(_row(scenario) for scenario in every), "",
    ]  # fmt: skip
    part = ""
    for scenario in every:
        if scenario.part != part:
            part = scenario.part
            lines += [f"## {part}", ""]
        lines += _case(scenario)
    return "\n".join(lines).rstrip() + "\n"


def _row(scenario: Scenario) -> str:
    certified = bool(scenario.script("certify"))
    needed = "yes" if scenario.must and certified else "no" if certified else "venues only"
    quantity = scenario.quantity if certified and scenario.quantity else ""
    return f"| {scenario.id} | {scenario.title} | {scenario.interface} | {quantity} | {needed} |"


def _case(scenario: Scenario) -> Iterator[str]:
    yield from (f"### {scenario.id} {scenario.title}", "", scenario.does, "")
    for name, text in (
        ("The venue", scenario.venue), ("Passes", scenario.passes), ("Fails", scenario.fails),
        ("What a client is told", scenario.told), ("Rules", "; ".join(scenario.rules)),
    ):  # fmt: skip
        yield f"- *{name}*: {text}"
    yield ""
