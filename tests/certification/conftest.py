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
    # Cases have wrong Logons, which the console of a test-net names.
    assert not [text for text in said if "was not let in" not in text], said
