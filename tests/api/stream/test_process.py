"""The process itself, and that its description says what it is."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Iterator

import pytest
from websockets.asyncio.client import connect

from account_api.routes import ROUTES
from account_api.stream.operations import OPERATIONS
from account_api.stream.private_channels import PRIVATE_CHANNELS
from account_api.stream.requests import PUBLIC_CHANNELS
from engine.client import queries
from engine.core.types import OrdStatus
from tests.api.stream.harness import signed
from tests.support import pace
from tests.support.processes import ROOT, EngineProcess, Process
from tests.support.waiting import until


@contextlib.contextmanager
def service(engine: EngineProcess) -> Iterator[tuple[Process, str]]:
    """The service's process on a free port, and where it listens."""
    demo = engine.config.read_text()
    engine.config.write_text(re.sub(r"(?m)^port = 8081", "port = 0", demo))
    with Process("account_api.stream", engine.environment) as process:
        yield process, process.wait_for("ready")["url"]


async def test_process_says_where_it_listens_serves_and_ends_on_sigterm(
    engine: EngineProcess,
) -> None:
    with service(engine) as (process, url):
        async with connect(url, open_timeout=pace.seconds(10)) as connection:
            login = {"op": "login", "req_id": 1, "params": signed("demo-bob-trade")}
            await connection.send(json.dumps(login))
            assert json.loads(await connection.recv())["ok"]
            process.popen.terminate()
            await connection.wait_closed()
        told = (connection.close_code, connection.close_reason)
        assert told == (1001, "the service ends; connect again")
        assert process.wait(pace.seconds(5)) == 0
        assert "secret" not in "".join(process.raw)


async def test_orders_are_canceled_when_the_process_is_killed(engine: EngineProcess) -> None:
    order = {
        "client_order_id": "x", "symbol": "BTC-USD", "side": "buy", "quantity": "1", "price": "5",
    }  # fmt: skip
    with contextlib.closing(engine.client()) as client, service(engine) as (process, url):
        requests = (
            ("login", signed("demo-bob-trade")),
            ("cancel_on_disconnect", {"scope": "connection"}),
            ("create_order", order),
        )
        async with connect(url, open_timeout=pace.seconds(10)) as connection:
            for op, params in requests:
                await connection.send(json.dumps({"op": op, "params": params}))
                while "op" not in (answer := json.loads(await connection.recv())):
                    pass
                assert answer["ok"], answer
            resting = await asyncio.to_thread(client.fetch, queries.OpenOrders("bob"))
            assert len(resting.value) == 1
            process.popen.kill()
            await connection.wait_closed()
        until(lambda: not client.fetch(queries.OpenOrders("bob")).value, "it is open", 10)
        row = client.fetch(queries.Order("bob", "x")).value
        assert row is not None and row.status is OrdStatus.CANCELED


@pytest.fixture
def description() -> str:
    return (ROOT / "spec" / "asyncapi.yaml").read_text(encoding="utf-8")


def test_description_lists_the_operations_there_are(description: str) -> None:
    listed = re.search(r"enum:\n((?: +- \w+\n)+)", description)
    assert listed is not None
    own = {"login", "logout", "cancel_on_disconnect", "subscribe", "unsubscribe", "snapshot",
           "ping"}  # fmt: skip
    assert set(re.findall(r"- (\w+)", listed.group(1))) == own | set(OPERATIONS)


def test_description_has_a_message_for_every_channel(description: str) -> None:
    for channel in (*PUBLIC_CHANNELS, *PRIVATE_CHANNELS, "heartbeat"):
        assert f"channel: {{const: {channel}}}" in description


def test_every_trading_route_of_rest_can_be_asked_for_here() -> None:
    offered = set(OPERATIONS.values())
    missing = [
        (route.method, route.path)
        for route in ROUTES
        if route.scope == "trade" and route.tag != "money"
        if (route.method, route.path) not in offered
    ]
    assert missing == []
