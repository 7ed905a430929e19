"""Clients that behave badly pay for it themselves; clients that behave go on."""

from __future__ import annotations

import pytest

from tests.prove.overload import stand

pytestmark = [pytest.mark.serial, pytest.mark.timeout(300)]


def test_who_behaves_is_served_whatever_others_do() -> None:
    stood = stand(quick=True, settle_s=0.15)
    assert stood.findings == [], "\n".join(stood.rows)
    assert len(stood.rows) > 8
