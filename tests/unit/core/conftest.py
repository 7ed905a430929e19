"""The venues that the tests of the rules run on.

``venue`` is made twice, with the real exchange and with the oracle of the differential
tests, so that the judge is judged by the same examples. ``make_venue`` takes settings.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.oracle import Oracle
from tests.support.venue import Venue, new_exchange

MakeVenue = Callable[..., Venue]


@pytest.fixture(params=["exchange", "oracle"])
def make_venue(request: pytest.FixtureRequest) -> MakeVenue:
    """A maker of venues, on either implementation."""

    def make(**settings: Any) -> Venue:
        return Venue(new_exchange() if request.param == "exchange" else Oracle(), **settings)

    return make


@pytest.fixture
def venue(make_venue: MakeVenue) -> Venue:
    """A venue without fees, with everybody rich."""
    return make_venue()


@pytest.fixture
def make_core_venue() -> MakeVenue:
    """A maker of venues on the real exchange, for what the oracle does not know."""
    return lambda **settings: Venue(new_exchange(), **settings)


@pytest.fixture
def core_venue(make_core_venue: MakeVenue) -> Venue:
    """A venue on the real exchange."""
    return make_core_venue()
