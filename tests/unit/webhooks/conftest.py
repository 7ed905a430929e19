"""A venue in the test's process, whose history the deliverer reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.api.inprocess import Clock, InProcessEngine


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def engine(tmp_path: Path, clock: Clock) -> InProcessEngine:
    return InProcessEngine(tmp_path, clock)
