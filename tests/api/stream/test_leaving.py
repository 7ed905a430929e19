"""Connections that end, and what becomes of their orders (rule S-2)."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime, timedelta
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from account_api.configuration import api_settings
from account_api.security.keystore import KeyStore, StoredKey
from engine.client import queries
from tests.api.stream.harness import (
    Client,
    begin,
    deposit,
    running_stream,
    signed,
)
from tests.support import pace
from tests.support.processes import EngineProcess


async def test_cancel_on_disconnect_of_the_connection(engine: EngineProcess) -> None:
    async with running_stream(engine) as stream, stream.client("demo-alice-trade") as watcher:
        await begin(watcher, "orders")
        await watcher.create("stays", "buy")
        async with stream.client("demo-alice-trade") as alice:
            assert (await alice.ask("cancel_on_disconnect", scope="connection"))["ok"]
            await alice.create("goes", "buy")
            alice.connection.transport.abort()
        (message,) = await watcher.until("orders", event="canceled")
        assert message["data"]["client_order_id"] == "goes"
        assert message["data"]["reason"] == "disconnect"
        orders = await watcher.ask("get_orders")
        assert [row["client_order_id"] for row in orders["data"]["orders"]] == ["stays"]


async def test_cancel_on_disconnect_of_the_connection_reaches_its_sub_accounts(
    engine: EngineProcess,
) -> None:
    """S-2: what the connection entered goes, on whichever account; what others entered stays."""
    async with running_stream(engine) as stream, stream.client("demo-alice-trade") as watcher:
        await asyncio.to_thread(deposit, engine, "alice:desk", "USD")
        await rest(watcher, "alice:desk", "desk-stays")
        async with stream.client("demo-alice-trade") as alice:
            assert (await alice.ask("cancel_on_disconnect", scope="connection"))["ok"]
            await rest(alice, "alice:desk", "desk-goes")
            await rest(alice, "alice", "own-goes")
            alice.connection.transport.abort()
        assert await left(watcher, "alice:desk", {"desk-stays"}) == {"desk-stays"}
        assert await left(watcher, "alice", set()) == set()


@pytest.mark.parametrize("named", ["alice", "alice:desk"])
async def test_cancel_on_disconnect_of_one_account(engine: EngineProcess, named: str) -> None:
    """S-2: every order of the account goes, whoever entered it, and none of another account."""
    async with running_stream(engine) as stream, stream.client("demo-alice-trade") as watcher:
        await asyncio.to_thread(deposit, engine, "alice:desk", "USD")
        for account in ("alice", "alice:desk"):
            await rest(watcher, account, f"of-{account}")
        async with stream.client("demo-alice-trade") as alice:
            terms = {"scope": "account", "account": named}
            armed = await alice.ask("cancel_on_disconnect", **terms)
            assert armed["data"]["account"] == named
            row = (await asyncio.to_thread(engine_sessions, engine))[armed["data"]["session"]]
            assert (row.account, row.cancel_scope.name) == (named, "ACCOUNT")
            await rest(alice, "alice", "own")
            alice.connection.transport.abort()
        gone = {"alice": {"own", "of-alice"}, "alice:desk": {"of-alice:desk"}}
        for account, mine in gone.items():
            stays = {"own", "of-alice", "of-alice:desk"} & mine if account != named else set()
            assert await left(watcher, account, stays) == stays


async def test_cancel_on_disconnect_waits_for_its_grace_and_a_return_disarms_it(
    engine: EngineProcess,
) -> None:
    """S-1: with a grace period the orders stay until it is over."""
    async with running_stream(engine) as stream, stream.client("demo-alice-trade") as watcher:
        await begin(watcher, "orders")
        async with stream.client("demo-alice-trade") as alice:
            await alice.ask("cancel_on_disconnect", scope="account", grace_s=1)
            await rest(alice, "alice", "goes")
            alice.connection.transport.abort()
        (ended,) = await watcher.until("orders", event="session_closed")
        (canceled,) = await watcher.until("orders", event="canceled")
        assert when(canceled) - when(ended) >= timedelta(seconds=1)
        async with stream.client("demo-alice-trade") as alice:
            await alice.ask("cancel_on_disconnect", scope="account", grace_s=0)
            await rest(alice, "alice", "stays")
            await alice.ask("cancel_on_disconnect", scope="none")
            alice.connection.transport.abort()
        await watcher.until("orders", event="session_closed")
        assert await left(watcher, "alice", {"stays"}) == {"stays"}


async def test_cancel_on_disconnect_asks_for_what_the_key_may_do(engine: EngineProcess) -> None:
    async with running_stream(engine) as stream:
        async with stream.client("demo-alice-trade") as alice:
            for params, code in (
                ({"scope": "account", "account": "bob"}, "not_found"),
                ({"scope": "account", "account": "bob:desk"}, "not_found"),
                ({"scope": "firm", "account": "alice"}, "invalid_request"),
                ({"scope": "connection", "grace_s": 301}, "invalid_request"),
                ({"scope": "everything"}, "invalid_request"),
            ):
                answer = await alice.ask("cancel_on_disconnect", **params)
                assert answer["error"]["code"] == code, params
            assert not await asyncio.to_thread(engine_sessions, engine)
        # A sub-account's key does not speak for the firm.
        api = api_settings(engine.settings)
        store = KeyStore(api.key_file, api.key_master)
        store.add(
            StoredKey(
                "tk-desk", "desk", "hmac", "alice:desk", "alice", "u", ("read", "trade"), (),
                "active", 1, "test", secret=b"tk-desk-secret",
            )
        )  # fmt: skip
        async with stream.client("tk-desk") as desk:
            refused = await desk.ask("cancel_on_disconnect", scope="firm")
            assert refused["error"]["code"] == "not_permitted"
            assert (await desk.ask("cancel_on_disconnect", scope="account"))["ok"]
            refused = await desk.ask("cancel_on_disconnect", scope="account", account="alice")
            assert refused["error"]["code"] == "not_found"
        store.close()


async def rest(client: Client, account: str, client_order_id: str) -> None:
    """Enter a buy order that nobody meets."""
    answer = await client.ask(
        "create_order", account=account, client_order_id=client_order_id, symbol="BTC-USD",
        side="buy", quantity="0.001", price="1",
    )  # fmt: skip
    assert answer["ok"], answer


async def left(client: Client, account: str, wanted: set[str]) -> set[str]:
    """The open orders of an account once they are those wanted, or what they are at last."""
    found: set[str] = set()
    async with asyncio.timeout(pace.seconds(20)):
        while True:
            orders = await client.ask("get_orders", account=account)
            found = {row["client_order_id"] for row in orders["data"]["orders"]}
            if found == wanted:
                return found


def engine_sessions(engine: EngineProcess) -> dict[str, Any]:
    with contextlib.closing(engine.client()) as client:
        return {row.session: row for row in client.fetch(queries.Sessions()).value}


def when(message: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(message["ts"])


@pytest.mark.parametrize("cancel_orders", [False, True, None])
async def test_a_clean_logout_chooses_what_happens_to_its_orders(
    engine: EngineProcess, cancel_orders: bool | None
) -> None:
    """Where it says nothing it is an end as any other, as a Logout(5) of FIX is."""
    chosen = {} if cancel_orders is None else {"cancel_orders": cancel_orders}
    async with running_stream(engine) as stream, stream.client("demo-alice-trade") as watcher:
        await begin(watcher, "orders")
        async with stream.client("demo-alice-trade") as alice:
            await alice.ask("cancel_on_disconnect", scope="firm")
            await alice.create("mine", "buy")
            assert (await alice.ask("logout", **chosen))["ok"]
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    await alice.receive()
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1000
        await watcher.until("orders", event="session_closed")
        orders = await watcher.ask("get_orders")
        assert bool(orders["data"]["orders"]) is (cancel_orders is False)


async def test_a_recorded_login_is_refused_after_a_restart_of_the_service(
    engine: EngineProcess,
) -> None:
    """The signature is good for seconds, and the memory of it outlives the process."""
    login = signed("demo-alice-trade")
    async with running_stream(engine) as stream, stream.client() as client:
        assert (await client.ask("login", **login))["ok"]
    async with running_stream(engine) as stream, stream.client() as client:
        answer = await client.ask("login", **login)
        assert answer["error"]["code"] == "unauthorized"
        assert "used before" in answer["error"]["detail"]
        assert (await client.ask("login", **signed("demo-alice-trade")))["ok"]
