"""Orders of the simulated symbol by WebSocket: a late answer, and what is not late meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from account_api.stream import late_answers
from tests.api.stream.harness import begin, running_stream
from tests.support import pace
from tests.support.processes import EngineProcess


@pytest.fixture(autouse=True)
def late_s(monkeypatch: pytest.MonkeyPatch) -> float:
    """How late an answer is, on this machine: what must not wait is done before."""
    seconds = pace.seconds(late_answers.LATE_S)
    monkeypatch.setattr(late_answers, "LATE_S", seconds)
    return seconds


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EngineProcess]:
    """An engine that has the simulated symbol."""
    monkeypatch.setenv("TANDEM_MARKET", "1")
    with EngineProcess(tmp_path) as process:
        yield process


def simulated(name: str, quantity: str, side: str = "buy") -> dict[str, Any]:
    return {"client_order_id": name, "symbol": "SIM-USD", "side": side, "price": "70",
            "quantity": quantity}  # fmt: skip


async def test_10_is_answered_late_and_trades_meanwhile(
    engine: EngineProcess, late_s: float
) -> None:
    async with (
        running_stream(engine, simulated_symbol="SIM-USD") as stream,
        stream.client("demo-alice-trade") as alice,
        stream.client("demo-alice-trade") as watcher,
        stream.client("demo-bob-trade") as bob,
    ):
        await begin(watcher, "orders")
        started = time.monotonic()
        late = asyncio.create_task(alice.ask("create_order", **simulated("late", "10")))
        (accepted,) = await watcher.until("orders", event="accepted")
        assert accepted["data"]["client_order_id"] == "late"
        sold = await bob.ask("create_order", **simulated("b-1", "9", "sell"))
        assert sold["data"]["filled_quantity"] == "9"
        await watcher.until("orders", event="filled")
        assert not late.done() and time.monotonic() - started < late_s
        answer = await late
        assert time.monotonic() - started >= late_s
        # The answer is of the moment when the order was accepted.
        assert (answer["status"], answer["data"]["filled_quantity"]) == (201, "0")
        # A repeat is the original at once, and another connection's order was never late.
        started = time.monotonic()
        again = await alice.ask("create_order", **simulated("late", "10"))
        assert again["replayed"] and again["data"]["filled_quantity"] == "9"
        canceled = await alice.ask("cancel_order", order="client:late")
        assert canceled["data"]["status"] == "canceled"
        plain = await alice.create("plain", "buy", quantity="10")
        assert plain["status"] == 201 and time.monotonic() - started < late_s


async def test_without_the_simulation_no_answer_is_late(
    engine: EngineProcess, late_s: float
) -> None:
    async with running_stream(engine) as stream, stream.client("demo-alice-trade") as alice:
        started = time.monotonic()
        answer = await alice.ask("create_order", **simulated("soon", "10"))
        assert answer["ok"] and time.monotonic() - started < late_s
