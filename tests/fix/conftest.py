"""Fixtures of the gateway's tests: real processes, a raw client and a QuickFIX initiator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fix.processes import Venue
from tests.fix.rawfix import RawFix


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    """Engine and gateway for all tests of a file."""
    with Venue(tmp_path_factory.mktemp("venue")) as running:
        yield running.start()


@pytest.fixture
def own_venue(tmp_path: Path) -> Iterator[Venue]:
    """Engine and gateway of one test, not yet started."""
    with Venue(tmp_path) as running:
        yield running


Connect = Callable[..., RawFix]


@pytest.fixture
def connect(venue: Venue) -> Iterator[Connect]:
    """Makes raw clients of the shared venue; closed after the test."""
    clients: list[RawFix] = []

    def make(comp_id: str = "ALICE", **fields: object) -> RawFix:
        client = RawFix(venue.address, comp_id, **fields)  # type: ignore[arg-type]
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()
