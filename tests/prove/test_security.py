"""What a stranger finds on the machine and the network of a venue in use: nothing."""

from __future__ import annotations

import pytest

from tests.prove.security import examine

pytestmark = [pytest.mark.xdist_group("venues"), pytest.mark.timeout(300)]


def test_no_secret_is_shown_no_capture_acts_twice_nothing_is_open_to_others() -> None:
    tried, findings = examine(starts=("engine", "fix"))
    assert findings == []
    assert len(tried) == 6
