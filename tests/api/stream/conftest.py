"""An engine of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api.stream.harness import EngineProcess, running_engine


@pytest.fixture
def engine() -> Iterator[EngineProcess]:
    with running_engine() as process:
        yield process
