"""kill -9 of the projector and of the engine at random moments: the history stays exact."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from engine.client import EngineClient, EngineError
from engine.client import queries as engine_queries
from engine.core.commands import CancelOrder, NewOrder
from engine.core.types import OrdType, Origin, Side, TimeInForce
from engine.history import queries, schema
from engine.history.projector import Projector
from engine.history.store import open_reader, open_writer
from tests.support import pace
from tests.support.processes import ROOT, EngineProcess, Process
from tests.support.waiting import until
from tests.unit.history.test_projector import dump

pytestmark = pytest.mark.serial


@contextlib.contextmanager
def projector(engine: EngineProcess, *arguments: str) -> Iterator[Process]:
    """The projector's process; killed when this ends."""
    with Process("engine.history.main", engine.environment, *arguments) as process:
        process.wait_for("ready")
        yield process


def trade(client: EngineClient, pick: random.Random, first: int, count: int) -> None:
    """Orders of two firms that meet, and some cancels."""
    for number in range(first, first + count):
        account = pick.choice(("alice", "bob"))
        order = NewOrder(
            Origin(f"api:{account}"), account, f"k{number}", "BTC-USD",
            Side(pick.randint(1, 2)), OrdType.LIMIT, TimeInForce.GTC,
            pick.randint(10, 500), pick.randint(9_990, 10_010), strategy="k",
        )  # fmt: skip
        client.submit(order)
        if pick.random() < 0.3:
            cancel = CancelOrder(order.origin, account, f"c{number}", order.client_order_id)
            client.submit(cancel)


def caught_up(url: str, client: EngineClient) -> None:
    """Wait until the history contains what the engine has done."""
    reader = open_reader(url)
    try:
        assert queries.wait_for(reader, client.fetch(engine_queries.Status()).value.seq, 20.0)
    finally:
        reader.dispose()


def test_kills_of_projector_and_engine_neither_lose_nor_double(tmp_path: Path) -> None:
    pick = random.Random(8)
    with EngineProcess(tmp_path / "venue") as engine:
        url = engine.settings.history.url
        client = engine.client()
        for turn in range(5):
            with projector(engine):
                trade(client, pick, turn * 100, 50)
                if turn == 2:
                    engine.kill()
                    engine.start()
                    reconnect(client)
                trade(client, pick, turn * 100 + 50, 30)
        with projector(engine) as running:
            caught_up(url, client)
            assert running.stop() == 0
        reader = open_reader(url)
        with reader.connect() as connection:
            for account in ("alice", "bob"):
                stored = {
                    row.asset: (row.available, row.held)
                    for row in connection.execute(
                        select(schema.balances).where(schema.balances.c.account == account)
                    )
                }
                expected = {
                    row.asset: (row.available, row.held)
                    for row in client.fetch(engine_queries.Balances(account)).value
                }
                assert stored == expected
        reader.dispose()
        assert rebuilt_in_process(client, tmp_path) == rows_of(url)
        with projector(engine, "--rebuild"):
            caught_up(url, client)
        assert rebuilt_in_process(client, tmp_path / "again") == rows_of(url)
        client.close()


def reconnect(client: EngineClient) -> None:
    """Wait until the client has found the engine again."""

    def found() -> bool:
        try:
            client.connect()
        except EngineError:
            return False
        return True

    until(found, "the engine is away", 10)


def rows_of(url: str) -> object:
    engine = open_writer(url)
    rows = dump(engine)
    engine.dispose()
    return rows


def rebuilt_in_process(client: EngineClient, folder: Path) -> object:
    """What a projector makes of the engine's transactions in one go."""
    folder.mkdir(exist_ok=True)
    url = f"sqlite:///{folder / 'reference.db'}"
    engine = open_writer(url)
    last = client.fetch(engine_queries.Status()).value.seq
    asked = (client.fetch(engine_queries.Transaction(seq)) for seq in range(1, last + 1))
    Projector(engine).apply([answer.value for answer in asked])
    engine.dispose()
    return rows_of(url)


def test_a_history_ahead_of_its_engine_is_refused(tmp_path: Path) -> None:
    with EngineProcess(tmp_path / "one") as engine, EngineProcess(tmp_path / "other") as other:
        client = engine.client()
        trade(client, random.Random(1), 0, 30)
        with projector(engine):
            caught_up(engine.settings.history.url, client)
        client.close()
        with other.config.open("a") as config:
            config.write(f'\n[history]\nurl = "{engine.settings.history.url}"\n')
        done = subprocess.run(
            [sys.executable, "-m", "engine.history.main"], cwd=ROOT,
            env=os.environ | other.environment, stderr=subprocess.PIPE, text=True,
            timeout=pace.seconds(30),
        )  # fmt: skip
        assert done.returncode == 1
        entry = json.loads(done.stderr.splitlines()[-1])
        assert entry["event"] == "stopped"
        assert "do not belong together" in entry["reason"]
