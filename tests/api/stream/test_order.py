"""Requests of a connection are answered in their order, and what was unsubscribed is silent."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from engine.client import EngineUnavailable
from tests.api.stream.harness import WAIT_S, Client, begin, running_stream
from tests.support import pace
from tests.support.processes import EngineProcess

PRIVATE = ["balances", "executions", "ledger", "orders", "transfers"]


async def send_all(client: Client, *requests: tuple[str, dict[str, Any]]) -> None:
    """Send requests without waiting for an answer; their req_id is their place, from 1000."""
    for number, (op, params) in enumerate(requests):
        request = {"op": op, "req_id": 1000 + number, "params": params}
        await client.connection.send(json.dumps(request))


async def answers(client: Client, count: int) -> list[dict[str, Any]]:
    """The next ``count`` answers; a past that is asked for again begins channels anew."""
    found: list[dict[str, Any]] = []
    while len(found) < count:
        message = json.loads(await asyncio.wait_for(client.connection.recv(), pace.seconds(WAIT_S)))
        if message.get("req_id", 0) >= 1000:
            found.append(message)
    return found


async def test_a_private_subscribe_is_not_overtaken_by_later_requests(
    engine: EngineProcess,
) -> None:
    async with running_stream(engine) as stream, stream.client("demo-alice-trade") as client:
        for _ in range(5):
            await send_all(
                client,
                ("subscribe", {"channels": PRIVATE}),
                ("ping", {}),
                ("get_instruments", {}),
                ("subscribe", {"channels": ["orders"], "from_seq": 1}),
                ("ping", {}),
            )
            found = await answers(client, 5)
            assert [message["req_id"] for message in found] == list(range(1000, 1005))
            assert all(message["ok"] for message in found), found


async def test_what_was_unsubscribed_is_silent_from_the_answer_on(engine: EngineProcess) -> None:
    async with running_stream(engine) as stream:
        async with (
            stream.client("demo-alice-trade") as client,
            stream.client("demo-alice-trade") as trader,
        ):
            for number in range(40):
                await trader.create(f"before-{number}", "buy")
            for turn, from_seq in enumerate((None, 1, None, 1)):
                more = {} if from_seq is None else {"from_seq": from_seq}
                await send_all(
                    client,
                    ("subscribe", {"channels": PRIVATE, **more}),
                    ("unsubscribe", {"channels": PRIVATE}),
                )
                assert [one["ok"] for one in await answers(client, 2)] == [True, True]
                client.received.clear()
                done = await trader.create(f"turn-{turn}", "buy")
                await stream.caught_up(done)
                await client.ask("ping")
                assert client.received == []


async def test_an_unsubscribe_of_one_channel_leaves_the_others(engine: EngineProcess) -> None:
    async with running_stream(engine) as stream, stream.client("demo-alice-trade") as client:
        await send_all(
            client,
            ("subscribe", {"channels": PRIVATE}),
            ("unsubscribe", {"channels": ["orders", "ledger"]}),
        )
        await answers(client, 2)
        await client.create("a1", "buy")
        await client.until("balances", type="update")
        assert {m["channel"] for m in client.received if m["type"] == "update"} <= {
            "balances", "executions", "transfers",
        }  # fmt: skip


async def test_a_subscribe_that_is_refused_changes_nothing(engine: EngineProcess) -> None:
    """The engine cannot be asked for the new snapshot; what was subscribed before goes on."""
    async with running_stream(engine) as stream, stream.client("demo-alice-trade") as client:
        await begin(client, "orders")
        await client.until("orders", type="snapshot")
        loader: Any = stream.server.handler.loader
        working = loader._snapshot

        async def away(account: str) -> Any:
            raise EngineUnavailable("away", "not_applied")

        loader._snapshot = away
        answer = await client.ask("subscribe", channels=["orders", "balances"])
        assert answer["error"]["code"] == "engine_unavailable"
        loader._snapshot = working
        await client.create("a1", "buy")
        (message,) = await client.until("orders", type="update")
        assert message["data"]["client_order_id"] == "a1"
        await asyncio.sleep(0)
        assert not [m for m in client.received if m["channel"] == "balances"]
