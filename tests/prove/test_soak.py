"""Memory under a steady load: the long form's clients run, and its judgement sees growth."""

from __future__ import annotations

import pytest

from tests.prove.soak import Sample, Soaked, judge, soak


def held(*mib: float, descriptors: int = 10) -> list[dict[str, Sample]]:
    """Samples of one process."""
    return [{"engine": Sample(each, descriptors, 1.0)} for each in mib]


def test_what_fills_its_bounds_at_first_and_then_stays_is_flat() -> None:
    result = Soaked()
    judge(held(20, 60, 90, 91, 91, 300, 92, 91, 93), result)
    assert result.findings == [], "one high sample is a collection that was just due"
    assert "start 40.0" in result.rows[0] and "end 92.0" in result.rows[0]


def test_what_grows_after_the_first_quarter_is_found() -> None:
    result = Soaked()
    judge(held(20, 60, 90, 95, 100, 105, 110, 115, 120), result)
    assert result.findings == ["engine grew from 90.0 to 117.5 MiB"]


def test_open_files_that_pile_up_are_found() -> None:
    result = Soaked()
    judge(held(*[50.0] * 6) + held(*[50.0] * 3, descriptors=40), result)
    assert result.findings == ["engine has 40 files open, before 10"]


@pytest.mark.xdist_group("venues")
@pytest.mark.timeout(300)
def test_a_venue_stands_its_steady_load() -> None:
    soaked = soak(2.0, 0.02)
    assert soaked.findings == []
    for kind in ("FIX", "REST", "WebSocket", "treasury", "come and go"):
        assert soaked.done[f"steps by {kind}"] > 0
