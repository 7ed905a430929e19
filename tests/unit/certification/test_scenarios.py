"""The scenario files are complete, and a wrong one is refused with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from certification.scenarios.scenario import ScenarioFault, chosen, load, walk

EVERY = load()
SHORT = """
part = "X"
[[scenario]]
id = "A01"
title = "t"
rules = ["r"]
quantity = 201
does = "d"
venue = "v"
passes = "p"
fails = "f"
told = "t"
"""
STEPS = 'steps = [{client = "D", fields = {38 = "201"}}]\n'


def test_every_case_that_is_asked_for_is_there() -> None:
    ids = {scenario.id for scenario in EVERY}
    assert {f"S{n:02}" for n in range(1, 13)} <= ids
    assert {f"A{n:02}" for n in range(1, 23)} <= ids
    assert {"A25", "B01", "B02", "R01"} <= ids
    assert {"H01", "H02", "H10", "H11", "W02", "W03"} <= ids
    assert {f"M{n:02}" for n in range(1, 9)} <= ids
    assert {s.interface for s in EVERY} == {"FIX", "MarketData", "REST", "WebSocket"}


@pytest.mark.parametrize("scenario", EVERY, ids=lambda scenario: scenario.id)
def test_a_scenario_says_everything(scenario) -> None:  # type: ignore[no-untyped-def]
    for text in (scenario.title, scenario.does, scenario.venue, scenario.passes, scenario.fails,
                 scenario.told, *scenario.rules):  # fmt: skip
        assert text.strip() == text and text
    for text in (scenario.does, scenario.venue, scenario.passes, scenario.fails, scenario.told):
        assert text.endswith((".", "?")), text
    assert scenario.script("certify") or scenario.script("conform")
    for direction in ("certify", "conform"):
        names: set[str] = set()
        for step in walk(scenario.script(direction)):
            assert not step.name or step.name not in names, f"{step.name} is used twice"
            names.add(step.name)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "there are no scenarios"),
        ("part = 1", "Expected `str`"),
        (SHORT, "has no steps"),
        (SHORT.replace("A01", "Q1") + STEPS, "no id like A07"),
        (SHORT + 'steps = [{venue = "8"}]', "does not begin with an order"),
        (SHORT + 'steps = [{client = "D", venue = "8", fields = {38 = "201"}}]', "exactly one"),
        (SHORT + 'steps = [{client = "D", fields = {38 = "202"}}]', "of its quantity"),
        (SHORT + 'steps = [{client = "D", colour = "red"}]', "unknown field `colour`"),
        (SHORT + STEPS + SHORT.replace('part = "X"', "") + STEPS, "there twice"),
        (SHORT + STEPS + SHORT.replace('part = "X"', "").replace("A01", "A02") + STEPS,
         "same quantity"),
        (SHORT + 'steps = [{client = "D", fields = {38 = "201"}, first = [{client = "F"}]}]',
         "only peers act first"),
        ("part = ", "Invalid value"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, why: str) -> None:
    if text:
        (tmp_path / "x.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ScenarioFault, match=why):
        load(tmp_path)


def test_choosing() -> None:
    assert chosen(EVERY, []) == EVERY
    assert [s.id for s in chosen(EVERY, ["s0", " A17 "])][-1] == "A17"
    assert len(chosen(EVERY, ["S0"])) == 9
    with pytest.raises(ScenarioFault, match="no scenario is called Z9; there are S01"):
        chosen(EVERY, ["Z9"])
