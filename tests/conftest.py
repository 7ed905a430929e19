"""What all tests share. A venue, an engine or a gateway has its fixtures beside its tests."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
WHOLE_FILES = ("fix", "api", "crash", "demo", "certification", "docs")
"""Folders whose files start processes: the tests of such a file stay on one worker."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Group tests for xdist: serial ones together, those of a venue by their file."""
    for item in items:
        folder = item.path.relative_to(ROOT / "tests").parts[0]
        if item.get_closest_marker("serial"):
            item.add_marker(pytest.mark.xdist_group("serial"))
        elif folder in WHOLE_FILES:
            item.add_marker(pytest.mark.xdist_group(str(item.path)))


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository."""
    return ROOT
