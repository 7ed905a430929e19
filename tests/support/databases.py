"""Databases for the history, as fixtures: SQLite in a file, PostgreSQL where it can be started.

A ``conftest.py`` imports both names.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.postgresql import new_database, server_or_skip

__all__ = ("postgresql", "url")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The socket folder of a running PostgreSQL."""
    yield from server_or_skip()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'history.db'}"
    return new_database(request.getfixturevalue("postgresql"))
