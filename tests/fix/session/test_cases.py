"""The session-level cases of the FIX Trading Community, each a script, over a raw socket."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from tests.fix.processes import Venue
from tests.fix.session import script as script_module
from tests.fix.session.conformity import CASES, PAGE, page
from tests.fix.session.definitions import DEFINITIONS, DIFFERENT
from tests.fix.session.script import Failed, Run, Script, load, parse

SCRIPTS = load()


def play(venue: Venue, script: Script) -> None:
    # From an address of its own: failed logons slow down the address that they come from.
    number = SCRIPTS.index(script)
    Run(script, venue.address, f"127.0.10.{1 + number}", actions(venue)).play()


def actions(venue: Venue) -> dict[str, Callable[[], object]]:
    """What a script may do to the venue."""
    engine, gateway = venue.engine, venue.gateway
    assert engine is not None and gateway is not None
    return {
        "kill engine": engine.kill,
        "start engine": venue.start_engine,
        "kill gateway": gateway.kill,
        "stop gateway": lambda: gateway.popen.send_signal(signal.SIGTERM),
        "start gateway": venue.start_gateway,
    }


def names(scripts: list[Script]) -> list[str]:
    return [script.name for script in scripts]


PLAIN = [script for script in SCRIPTS if not script.disturbs]
DISTURBING = [script for script in SCRIPTS if script.disturbs]


@pytest.mark.parametrize("script", PLAIN, ids=names(PLAIN))
def test_case(venue: Venue, script: Script) -> None:
    play(venue, script)


@pytest.mark.parametrize("script", DISTURBING, ids=names(DISTURBING))
def test_case_that_disturbs_the_venue(own_venue: Venue, script: Script) -> None:
    play(own_venue.start(), script)


def test_every_case_of_the_list_has_a_script() -> None:
    assert {script.case for script in SCRIPTS} == set(CASES)


def test_every_definition_of_quickfix_is_played() -> None:
    assert len(DEFINITIONS) == 59 and DIFFERENT.keys() <= DEFINITIONS.keys()
    known = {script.name: script for script in SCRIPTS}
    for name, played in DEFINITIONS.items():
        assert played and set(played) <= known.keys(), name


def test_every_difference_is_explained() -> None:
    for script in SCRIPTS:
        differs = script.heading["result"] == "differs"
        assert script.heading["result"] in ("conforms", "differs"), script.name
        assert {"does", "why"} <= script.heading.keys() if differs else (
            not {"does", "why"} & script.heading.keys()
        ), script.name  # fmt: skip


def test_the_page_says_what_the_scripts_say() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert page(SCRIPTS, text) == text, "run python -m tests.fix.session.conformity"


@pytest.mark.parametrize(
    "wrong",
    [
        "< 0|112=another",
        "< 8",
        "< 0|34=9",
        "< 0|112=!",
        "< 0|58=*",
        "closed",
        "< 0\n< 0",
    ],
)
def test_a_script_that_is_not_met_fails(
    venue: Venue, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script_module, "TIMEOUT_S", 0.5)
    text = (
        "case: 2a\ncondition: x\nexpected: x\nresult: conforms\n\nconnect\n"
        f"> A|98=0|108=30|{{login}}\n< A\n> 1|112=x\n{wrong}\n"
    )
    with pytest.raises(Failed):
        Run(parse("wrong", text), venue.address, "127.0.11.1").play()
