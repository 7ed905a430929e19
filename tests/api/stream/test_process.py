"""The process itself, and that its description says what it is."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from account_api.routes import ROUTES
from account_api.stream.operations import OPERATIONS
from account_api.stream.private_channels import PRIVATE_CHANNELS
from account_api.stream.requests import PUBLIC_CHANNELS
from engine.client import queries
from engine.core.types import OrdStatus
from tests.api.stream.harness import ROOT, await_ready, running_engine, signed
from tests.support import pace


def environment_with_free_port(base: dict[str, str], folder: Path) -> dict[str, str]:
    """The demo configuration with the stream on any free port."""
    demo = (ROOT / "config" / "demo.toml").read_text()
    config = folder / "test.toml"
    config.write_text(re.sub(r"(?m)^port = 8081", "port = 0", demo))
    return base | {"TANDEM_CONFIG": str(config)}


def test_process_says_where_it_listens_serves_and_ends_on_sigterm(tmp_path: Path) -> None:
    with running_engine() as engine:
        process = subprocess.Popen(
            [sys.executable, "-m", "account_api.stream"], cwd=ROOT,
            env=environment_with_free_port(engine.environment, tmp_path),
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            url = await_ready(process)["url"]

            async def story() -> tuple[int, str]:
                async with connect(url) as connection:
                    login = {"op": "login", "req_id": 1, "params": signed("demo-bob-trade")}
                    await connection.send(json.dumps(login))
                    assert json.loads(await connection.recv())["ok"]
                    process.terminate()
                    await connection.wait_closed()
                    assert connection.close_code is not None
                    return connection.close_code, connection.close_reason or ""

            assert asyncio.run(story()) == (1001, "the service ends; connect again")
            assert process.wait(timeout=pace.seconds(5)) == 0
            assert process.stderr is not None
            assert "secret" not in process.stderr.read()
        finally:
            process.kill()
            process.wait()


def test_orders_are_canceled_when_the_process_is_killed(tmp_path: Path) -> None:
    with running_engine() as engine:
        process = subprocess.Popen(
            [sys.executable, "-m", "account_api.stream"], cwd=ROOT,
            env=environment_with_free_port(engine.environment, tmp_path),
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        client = engine.client()
        try:
            url = await_ready(process)["url"]
            order = {"client_order_id": "x", "symbol": "BTC-USD", "side": "buy",
                     "quantity": "1", "price": "5"}  # fmt: skip
            requests = (
                ("login", signed("demo-bob-trade")),
                ("cancel_on_disconnect", {"scope": "connection"}),
                ("create_order", order),
            )

            async def story() -> None:
                async with connect(url) as connection:
                    for op, params in requests:
                        await connection.send(json.dumps({"op": op, "params": params}))
                        while "op" not in (answer := json.loads(await connection.recv())):
                            pass
                        assert answer["ok"], answer
                    resting = await asyncio.to_thread(client.fetch, queries.OpenOrders("bob"))
                    assert len(resting.value) == 1
                    process.kill()
                    await connection.wait_closed()

            asyncio.run(story())
            deadline = time.monotonic() + pace.seconds(10)
            while client.fetch(queries.OpenOrders("bob")).value:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            row = client.fetch(queries.Order("bob", "x")).value
            assert row is not None and row.status is OrdStatus.CANCELED
        finally:
            client.close()
            process.kill()
            process.wait()


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
