"""Fixtures of the engine shell's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.engine_shell.harness import EngineThread


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., EngineThread]]:
    """Start engines over the test's folder; those that still run are ended."""
    started: list[EngineThread] = []

    def make(**options: Any) -> EngineThread:
        engine = EngineThread(options.pop("folder", tmp_path), **options)
        started.append(engine)
        return engine

    yield make
    for engine in started:
        if engine.thread.is_alive():
            engine.kill()
