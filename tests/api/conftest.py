"""A venue on the demo configuration, and callers for each of its keys."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask

from account_api.configuration import api_settings
from account_api.crypto_addresses import simulated_deposit_address
from account_api.http.app import create_app
from config.settings import DEMO_FILE, load
from engine.history.queries import open_reader
from tests.api.client import Caller, CallerOf
from tests.api.inprocess import Clock, InProcessEngine


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def engine(tmp_path: Path, clock: Clock) -> InProcessEngine:
    return InProcessEngine(tmp_path, clock)


@pytest.fixture
def app(engine: InProcessEngine, clock: Clock, tmp_path: Path) -> Flask:
    settings = api_settings(load(DEMO_FILE, {"TANDEM_DATA": str(tmp_path)}))
    formats = {(asset, network): form for asset, network, form in settings.address_formats}
    return create_app(
        settings,
        lambda: engine,
        lambda: open_reader(engine.history_url),
        clock,
        simulated_deposit_address(formats),
    )


@pytest.fixture
def caller(app: Flask, clock: Clock) -> CallerOf:
    """Make a caller: ``alice-trade`` signs, ``alice-read`` has a token, "" is nobody."""

    def make(name: str) -> Caller:
        http = app.test_client()
        if name.endswith("-read"):
            return Caller(http, clock, token=f"demo-{name}")
        return Caller(http, clock, key=f"demo-{name}" if name else "")

    return make


@pytest.fixture
def alice(caller: CallerOf) -> Caller:
    return caller("alice-trade")


@pytest.fixture
def bob(caller: CallerOf) -> Caller:
    return caller("bob-trade")


@pytest.fixture
def carol(caller: CallerOf) -> Caller:
    return caller("carol-trade")
