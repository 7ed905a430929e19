"""A venue as `tandem certify` gives it to a client: engine and gateway in a folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tandem.lane import FIX_PROCESSES, Lane


@pytest.fixture(scope="module")
def lane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lane]:
    """The venue of client ACME, for all tests of a file."""
    said: list[str] = []
    folder = tmp_path_factory.mktemp("lane")
    with Lane(folder, "ACME", FIX_PROCESSES, lambda name, text: said.append(name + text)) as lane:
        yield lane
    assert not said, said
