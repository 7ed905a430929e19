"""`tandem up --market`: bots are one more process, where they may be."""

from __future__ import annotations

import msgspec
import pytest

from config.settings import Settings, load
from tandem import up
from tandem.output import CommandError
from tandem.processes import venue_processes


def changed(**fields: object) -> Settings:
    return msgspec.structs.replace(load(env={}), **fields)


def test_bots_start_last_and_only_when_asked_for() -> None:
    without = venue_processes()
    assert "bots" not in {process.name for process in without}
    *others, last = venue_processes(market=True)
    assert tuple(others) == without and last.name == "bots"
    assert last.stage > max(process.stage for process in without)


def test_a_market_is_refused_in_production_and_without_prices() -> None:
    with pytest.raises(CommandError, match="environment is production"):
        up.run(changed(environment="production"), market=True)
    bots = msgspec.structs.replace(load(env={}).bots, prices={}, enabled=True)
    with pytest.raises(CommandError, match="nothing to quote"):
        up.run(changed(bots=bots))
