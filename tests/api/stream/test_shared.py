"""Streams of two machines on one engine: what one has seen or revoked holds for the other."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from account_api.configuration import api_settings
from account_api.security.shared_keys import SharedKeyStore
from account_api.shared import EngineRecords
from account_api.stream.peer import CLOSE_CREDENTIALS
from account_api.stream.sessions import Sessions
from engine.client import EngineClient, Outcome, Transaction
from engine.core.commands import RecordRefusal, SetReferencePrice
from engine.core.types import Origin
from tests.api.stream.harness import Stream, running_stream, signed
from tests.support import pace
from tests.support.processes import EngineProcess


@contextlib.asynccontextmanager
async def machine(engine: EngineProcess, folder: Path) -> AsyncIterator[Stream]:
    folder.mkdir(exist_ok=True)
    api = replace(
        api_settings(engine.settings), shared=True, key_file=str(folder / "keys.db"),
        key_master=str(folder / "keys.master"), logins=str(folder / "logins.db"),
    )  # fmt: skip
    async with running_stream(engine, api=api) as stream:
        yield stream


class Repeated:
    """An engine to which the same signature came before, from this login or from another one."""

    def __init__(self, own: bool) -> None:
        self.own = own

    async def submit(self, command: RecordRefusal) -> Outcome:
        recorded = command if self.own else command._replace(text="another")
        return Outcome(Transaction(1, 1, recorded, ()), True)


@pytest.mark.parametrize("own", [True, False])
async def test_a_login_that_was_sent_again_when_the_leader_was_lost_is_the_first(
    own: bool,
) -> None:
    client: Any = Repeated(own)
    assert await Sessions(client).first_login(Origin("api:alice")) is own


async def test_a_login_counts_once_and_a_revocation_everywhere(
    engine: EngineProcess, tmp_path: Path
) -> None:
    login = signed("demo-alice-trade")
    async with machine(engine, tmp_path / "a") as a:
        async with a.client() as client:
            assert (await client.ask("login", **login))["ok"]
        (tmp_path / "b").mkdir()
        shutil.copy(tmp_path / "a" / "keys.master", tmp_path / "b")
        async with machine(engine, tmp_path / "b") as b, b.client() as client:
            answer = await client.ask("login", **login)
            assert answer["error"]["code"] == "unauthorized"
            assert "used before" in answer["error"]["detail"]
            assert (await client.ask("login", **signed("demo-alice-trade")))["ok"]
            operator = EngineClient(engine.socket, "operator", timeout_s=pace.seconds(5))
            store = SharedKeyStore(
                EngineRecords(lambda: operator), str(tmp_path / "a" / "keys.master")
            )
            await asyncio.to_thread(store.revoke, "demo-alice-trade", "operator:test", 1)
            # Before anything is sent again, it is known there.
            operator.submit(SetReferencePrice(Origin("operator:test"), "BTC-USD", 5_000_000))
            with pytest.raises(ConnectionClosed) as closed:
                await client.receive()
            assert closed.value.rcvd is not None and closed.value.rcvd.code == CLOSE_CREDENTIALS
            store.close()
            operator.close()
