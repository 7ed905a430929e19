"""A wall clock that is set is followed when other members show that it is right, not before."""

from __future__ import annotations

import pytest

from engine.cluster.clock import MemberClock

SECOND = 1_000_000
HOUR = 3_600 * SECOND


class Machine:
    """A machine with two clocks, and a member on it that knows of others by their offsets."""

    def __init__(self, ahead_us: int = 0) -> None:
        self.at = 1_000.0
        self.ahead_us = ahead_us
        self.stopped_s = 0.0
        self.clock = MemberClock(self.wall, lambda: self.at)

    @property
    def true(self) -> int:
        return round(self.at * 1e6) + 1_700_000_000 * SECOND

    def wall(self) -> int:
        self.at += self.stopped_s
        return self.true + self.ahead_us

    def rounds(self, *others: int, late_us: int = 300_000, count: int = 8) -> None:
        """Take in reports of others, whose clocks are ahead of the truth by so much."""
        for _ in range(count):
            self.at += 0.25
            told = {str(n): self.true + one - late_us for n, one in enumerate(others)}
            self.clock.compare(told, alone=not others)

    @property
    def error(self) -> int:
        """How far the member's time is from the truth."""
        return self.clock() - self.true


def test_a_clock_that_drifts_or_is_moved_a_little_is_followed() -> None:
    machine = Machine()
    for _ in range(100):
        machine.at += 1.0
        machine.ahead_us += 500_000
        assert machine.error == machine.ahead_us


@pytest.mark.parametrize("by", [2 * SECOND, HOUR, -2 * SECOND, -HOUR])
def test_a_clock_that_is_set_wrong_and_back_changes_nothing(by: int) -> None:
    machine = Machine()
    machine.rounds(0, 0)
    machine.ahead_us = by
    assert machine.error == 0
    machine.rounds(0, 0)
    assert machine.error == 0
    assert machine.clock.trouble == "", "its time is right, so it may lead"
    machine.ahead_us = 0
    machine.rounds(0, 0)
    assert machine.error == 0


@pytest.mark.parametrize("by", [4 * SECOND, HOUR, -4 * SECOND, -HOUR])
def test_a_clock_that_was_wrong_from_the_start_and_is_set_right_is_followed(by: int) -> None:
    machine = Machine(by)
    machine.rounds(0, 0)
    assert machine.error == by
    way = "ahead of" if by > 0 else "behind"
    assert f"{way} those of other members" in machine.clock.trouble
    machine.ahead_us = 0
    assert machine.error == by, "nobody has shown yet that it is right"
    machine.rounds(0, 0)
    assert machine.error == 0
    assert machine.clock.trouble == ""


def test_who_agrees_with_one_of_the_others_is_right() -> None:
    machine = Machine()
    machine.rounds(0, HOUR)
    assert machine.clock.trouble == ""
    machine.rounds(HOUR, -HOUR)
    assert machine.clock.trouble == "", "the others do not agree, so nobody knows"


def test_one_other_member_decides_about_a_clock_that_was_set_but_not_who_is_wrong() -> None:
    machine = Machine(HOUR)
    machine.rounds(0)
    assert machine.clock.trouble == ""
    machine.ahead_us = 0
    machine.rounds(0)
    assert machine.error == 0


def test_without_any_other_member_the_wall_clock_is_followed() -> None:
    machine = Machine()
    machine.ahead_us = HOUR
    assert machine.error == 0
    machine.rounds()
    assert machine.error == HOUR


def test_members_that_are_away_show_nothing() -> None:
    machine = Machine()
    machine.rounds(0, 0)
    machine.ahead_us = HOUR
    machine.clock.compare({}, alone=False)
    assert machine.error == 0


def test_old_reports_say_nothing_of_a_clock() -> None:
    machine = Machine()
    told = {"a": machine.true, "b": machine.true}
    for _ in range(40):
        machine.at += 0.25
        machine.clock.compare(told, alone=False)
    assert machine.clock.trouble == ""


def test_a_thread_that_was_stopped_between_two_clocks_takes_them_for_no_step() -> None:
    machine = Machine()
    machine.stopped_s = 5.0
    assert machine.error == 0
