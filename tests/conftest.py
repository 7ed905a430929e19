"""What all tests share. A venue, an engine or a gateway has its fixtures beside its tests."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
WHOLE_FILES = ("fix", "api", "crash", "demo", "certification", "docs")
"""Folders whose files start processes: the tests of such a file stay on one worker."""


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None, None, None]:
    """Group tests for xdist: serial ones together, those of a venue by their file."""
    groups = {item: _group(item) for item in items}
    for item, group in groups.items():
        if group:
            item.add_marker(pytest.mark.xdist_group(group))
    yield
    if not getattr(config.option, "loadgroup", False):
        return
    for item, group in groups.items():
        # xdist 3.8 appends the group to an attribute that pytest 9.2 does not read any more;
        # without this the tests of a group would be spread over the workers, in silence.
        if group and not item.nodeid.endswith(f"@{group}") and hasattr(item, "_id"):
            item._id = type(item._id).parse(f"{item.nodeid}@{group}")


def _group(item: pytest.Item) -> str:
    folder = item.path.relative_to(ROOT / "tests").parts[0]
    if item.get_closest_marker("serial"):
        return "serial"
    return str(item.path.relative_to(ROOT)) if folder in WHOLE_FILES else ""


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository."""
    return ROOT
