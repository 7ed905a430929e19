"""A venue with its stream, and classes of ccxt for it."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.processes import Venue
from tests.support.processes import ROOT

APART = Path(sys.prefix) / "ccxt"
"""The environment in which ``make test`` has installed ccxt."""
sys.path.insert(0, str(ROOT / "clients" / "ccxt"))
# Last, so that nothing else is taken from there that is here too.
sys.path.append(sysconfig.get_path("purelib", vars={"base": str(APART)}))
Settings = Callable[[str], dict[str, Any]]


def settings_of(http: str, stream: str, name: str) -> dict[str, Any]:
    """The settings of ccxt for a key of the demo at a venue."""
    urls = dict.fromkeys(("public", "private", "root"), http)
    return {
        "apiKey": f"demo-{name}", "secret": f"demo-{name}-secret",
        "urls": {"api": {**urls, "ws": stream}},
    }  # fmt: skip


@pytest.fixture(scope="session")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    changes = (("port = 8081", "port = 0"),)
    with Venue(tmp_path_factory.mktemp("venue"), changes) as running:
        running.start("engine", "history", "http", "stream", "settlement")
        yield running


@pytest.fixture(scope="session")
def settings(venue: Venue) -> Settings:
    """Give the settings of ccxt for a key of the demo, such as ``alice-trade``."""

    return lambda name: settings_of(venue.url, venue.stream_url, name)
