"""Private channels of another account of the firm, by the table of authority (rule S-6)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.api.stream.harness import Client, begin, deposit, running_stream
from tests.support import pace
from tests.support.processes import EngineProcess

DESK = "alice:desk"
PRIVATE = ["orders", "executions", "balances", "ledger", "transfers"]


async def rest(client: Client, account: str, client_order_id: str) -> None:
    """Enter a buy order that nobody meets."""
    answer = await client.ask(
        "create_order", account=account, client_order_id=client_order_id, symbol="BTC-USD",
        side="buy", quantity="0.001", price="1",
    )  # fmt: skip
    assert answer["ok"], answer


def of(client: Client, account: str) -> list[dict[str, Any]]:
    """What was received on private channels of an account, without what it began with."""
    return [
        m for m in client.received if m.get("account") == account and m["type"] == "update"
    ]


async def test_a_key_of_the_firm_streams_a_sub_account(engine: EngineProcess) -> None:
    """Every private channel of the account that is named, and nothing of the key's own."""
    async with running_stream(engine) as stream:
        async with stream.client("demo-alice-trade") as alice:
            answer = await begin(alice, *PRIVATE, account=DESK)
            assert answer["data"]["private"]["account"] == DESK
            await alice.until("orders", type="snapshot", account=DESK)
            await asyncio.to_thread(deposit, engine, DESK, "USD")
            await alice.until("transfers", type="update", account=DESK)
            await rest(alice, DESK, "d-1")
            await rest(alice, "alice", "a-1")
            (update,) = await alice.until("orders", type="update")
            assert (update["account"], update["data"]["client_order_id"]) == (DESK, "d-1")
            await alice.ask("ping")
            assert of(alice, "alice") == []
        async with stream.client("demo-alice-trade") as alice:
            await begin(alice, "orders", account=DESK, from_seq=update["seq"])
            (again,) = await alice.until("orders", type="update")
            assert again["data"] == update["data"], "a resumption is of the account named too"


async def test_the_channels_of_two_accounts_go_on_beside_each_other(engine: EngineProcess) -> None:
    """Each account has its own sequence; what ends for one goes on for the other."""
    async with running_stream(engine, heartbeat_s=0.1) as stream:
        async with stream.client("demo-alice-trade") as alice:
            await asyncio.to_thread(deposit, engine, DESK, "USD")
            await begin(alice, "orders")
            await begin(alice, "orders", account=DESK)
            await alice.until("orders", 2, type="snapshot")
            for number in range(3):
                await rest(alice, DESK, f"d-{number}")
                await rest(alice, "alice", f"a-{number}")
            for account in (DESK, "alice"):
                # The place of each in its account's sequence is checked as it arrives.
                await alice.until("orders", 3, account=account, type="update")
            while (beat := await alice.receive()).get("channel") != "heartbeat":
                pass
            assert beat["data"]["accounts"] == {
                "alice": alice.last["orders", "", "alice"], DESK: alice.last["orders", "", DESK],
            }  # fmt: skip
            assert (await alice.ask("unsubscribe", channels=["orders"], account=DESK))["ok"]
            await rest(alice, DESK, "d-silent")
            await rest(alice, "alice", "a-heard")
            await alice.until("orders", account="alice", type="update")
            await alice.ask("ping")
            assert of(alice, DESK) == []
            answer = await alice.ask("snapshot", channels=["orders"], account=DESK)
            assert answer["ok"]
            (shown,) = await alice.until("orders", account=DESK, type="snapshot")
            assert len(shown["data"]) == 4
            while (beat := await alice.receive()).get("channel") != "heartbeat":
                pass
            assert list(beat["data"]["accounts"]) == ["alice"]


@pytest.mark.parametrize("op", ["subscribe", "unsubscribe", "snapshot"])
async def test_an_account_that_a_key_does_not_reach_is_not_found(
    engine: EngineProcess, op: str
) -> None:
    """As by REST: one of another firm, and one that does not exist, are told apart by nobody."""
    async with running_stream(engine) as stream, stream.client("demo-bob-trade") as bob:
        for account in (DESK, "alice", "nobody"):
            answer = await bob.ask(op, channels=["orders"], account=account)
            assert answer["error"]["code"] == "not_found", answer
            assert answer["error"]["field"] == "account"
            listed = await bob.ask("get_orders", account=account)
            assert listed["error"]["detail"] == answer["error"]["detail"]
        answer = await bob.ask(op, channels=["trades"], symbols=["BTC-USD"], account="bob")
        assert (answer["error"]["code"], answer["error"]["field"]) == (
            "invalid_request", "account",
        )  # fmt: skip
        answer = await bob.ask(op, channels=["orders"], account="")
        assert answer["error"]["field"] == "account"
        assert bob.received == []


async def test_subscriptions_of_all_accounts_count_and_end_with_the_connection(
    engine: EngineProcess,
) -> None:
    async with running_stream(engine, subscriptions_max=6) as stream:
        hub = stream.server.hub
        async with stream.client("demo-alice-trade") as alice:
            await begin(alice, *PRIVATE)
            await begin(alice, "orders", account=DESK)
            answer = await alice.ask("subscribe", channels=["ledger"], account=DESK)
            assert answer["error"]["field"] == "channels"
            (peer,) = hub.peers
            assert peer.accounts == {"alice", DESK}
            assert hub.private_channels(peer) == 6
        async with asyncio.timeout(pace.seconds(10)):
            while hub.peers:
                await asyncio.sleep(0.005)
        assert peer.accounts == set()
        assert hub._private == {}
