"""What explains refused Logons is silent in production, and bounded everywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from fix_gateway.door import explanations
from fix_gateway.door.explanations import Explanations, plain
from fix_gateway.door.logon import UNKNOWN_SENDER, Logon, parse
from fix_gateway.settings import GatewaySettings
from tests.fix.rawfix import encode


def logon(comp_id: str = "NOBODY") -> Logon:
    return parse(encode(f"35=A|34=1|49={comp_id}|52=20260105-09:30:00|56=TANDEM|98=0|108=30|"))


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def made(clock: Clock, *, explains: bool = True) -> Explanations:
    settings = GatewaySettings(
        "127.0.0.1", 0, "TANDEM", Path(), Path(), explain_refusals=explains
    )
    return Explanations(settings, lambda: 0, lambda *_: pytest.fail("no session"), clock)


def test_without_the_setting_nobody_is_told_anything() -> None:
    silent = made(Clock(), explains=False)
    assert silent.words(UNKNOWN_SENDER, (None, logon())) == ""
    assert silent.line("NOBODY", "127.0.0.1", UNKNOWN_SENDER) == {}


def test_logouts_to_strangers_are_bounded_by_a_rate() -> None:
    clock = Clock()
    explain = made(clock)
    told = [bool(explain.words(UNKNOWN_SENDER, (None, logon()))) for _ in range(100)]
    assert told.count(True) == explanations.TOLD_AT_ONCE
    clock.now += 1
    told = [bool(explain.words(UNKNOWN_SENDER, (None, logon()))) for _ in range(100)]
    assert told.count(True) == explanations.TOLD_PER_S


def test_the_console_gets_a_sentence_once_a_minute_and_few_of_them() -> None:
    clock = Clock()
    explain = made(clock)
    assert explain.line("A", "10.0.0.1", "no")["console"] == "A from 10.0.0.1 was not let in: no"
    assert [explain.line("A", "10.0.0.1", "no") for _ in range(5)] == [{}] * 5
    shown = [bool(explain.line(f"B{number}", "10.0.0.1", "no")) for number in range(1_000)]
    assert shown.count(True) == explanations.LINES_MAX - 1
    clock.now += explanations.AGAIN_S
    assert explain.line("A", "10.0.0.1", "no")["console"].endswith("no (5 more times before)")
    assert "console" in explain.line("B500", "10.0.0.1", "no")


def test_what_a_stranger_says_of_itself_cannot_write_on_the_terminal_or_into_the_message() -> None:
    assert plain("\x1b[2J\x01é\n" + "x" * 999) == "?[2J???" + "x" * 230 + "..."
