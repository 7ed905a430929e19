"""A mass cancel that is more than one command may do, as a WebSocket client meets it (C-10)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.stream.harness import Client, begin, running_stream
from tests.support.processes import EngineProcess

ORDERS = 600
"""So many that their cancels, one in each Tick, are under way while others are served."""
BATCH = 50


@pytest.fixture
def slow_cancels(tmp_path: Path) -> Iterator[EngineProcess]:
    """An engine in which one command cancels one order."""
    with EngineProcess(tmp_path, {"[venue]\n": "[venue]\nwork_max = 1\n"}) as process:
        yield process


async def fill_book(alice: Client) -> None:
    """Enter the orders, at a price that others trade at."""
    for first in range(0, ORDERS, BATCH):
        orders = [
            {"op": "create", "client_order_id": f"a-{number}", "symbol": "BTC-USD",
             "side": "buy", "price": "100", "quantity": "1"}
            for number in range(first, first + BATCH)
        ]  # fmt: skip
        answer = await alice.ask("batch", operations=orders)
        assert answer["ok"], answer


def named(messages: list[dict[str, Any]], event: str) -> list[dict[str, Any]]:
    return [message for message in messages if message["data"]["event"] == event]


async def test_C10_a_mass_cancel_in_pieces_is_told_in_order_and_others_come_between(
    slow_cancels: EngineProcess,
) -> None:
    async with running_stream(slow_cancels) as stream:
        async with (
            stream.client("demo-alice-trade") as alice,
            stream.client("demo-bob-trade") as bob,
        ):
            await fill_book(alice)
            await begin(alice, "orders", "executions")
            await begin(bob, "orders", "executions")
            answer = await alice.ask("cancel_all")
            # What was done at once, and that it is not all.
            assert answer["ok"] and answer["data"]["complete"] is False
            assert answer["data"]["total"] == len(answer["data"]["canceled"]) == 1
            sold = await bob.create("b-1", "sell")
            assert (sold["data"]["status"], sold["data"]["filled_quantity"]) == ("new", "0")
            # A request that names a covered order finds it gone, or that it is just going.
            named_one = await alice.ask("cancel_order", order=f"client:a-{ORDERS - 1}")
            assert named_one["ok"] or named_one["error"]["code"] == "too_late", named_one
            (whole,) = await alice.until("orders", event="mass_canceled", complete=True)
            told = alice.received_on("orders")

            (begun,) = named(told, "mass_canceled")
            canceled = named(told, "canceled")
            assert begun["data"]["complete"] is False and begun["data"]["total"] == 1
            assert begun["as_of_seq"] == answer["data"]["as_of_seq"]
            # The first cancel comes with the answer's transaction, the rest later, one by one.
            assert [m["as_of_seq"] for m in canceled] == sorted(m["as_of_seq"] for m in canceled)
            assert canceled[0]["as_of_seq"] == begun["as_of_seq"]
            assert canceled[-1]["as_of_seq"] <= whole["as_of_seq"]
            assert len({m["as_of_seq"] for m in canceled}) == ORDERS, "one in each Tick"
            # Each order went once, and every one was counted.
            ids = [m["data"]["client_order_id"] for m in canceled]
            assert sorted(ids) == sorted(f"a-{number}" for number in range(ORDERS))
            assert whole["data"]["total"] == ORDERS
            # The other client's order came in between, and none of those covered traded.
            (accepted,) = await bob.until("orders", event="accepted")
            assert begun["as_of_seq"] < accepted["as_of_seq"] < whole["as_of_seq"]
            after = [m for m in canceled if m["as_of_seq"] > accepted["as_of_seq"]]
            assert after, "there was something left that it could have traded with"
            await asyncio.gather(alice.ask("ping"), bob.ask("ping"))
            for client in (alice, bob):
                assert client.received_on("executions") == []
            # Said again, it has nothing left to do, and nobody hears of an order twice.
            again = await alice.ask("cancel_all")
            assert (again["data"]["total"], again["data"]["complete"]) == (0, True)
            assert again["data"]["canceled"] == []
            await alice.until("orders", event="mass_canceled", complete=True, total=0)
            assert len(named(alice.received_on("orders"), "canceled")) == ORDERS
            assert (await alice.ask("get_orders"))["data"]["orders"] == []


async def test_C10_an_order_entered_after_a_mass_cancel_is_not_covered_by_it(
    slow_cancels: EngineProcess,
) -> None:
    """What it covers is settled when it begins: a client may quote again at once."""
    async with running_stream(slow_cancels) as stream, stream.client("demo-alice-trade") as alice:
        await fill_book(alice)
        await begin(alice, "orders")
        answer = await alice.ask("cancel_all", symbol="BTC-USD", side="buy")
        assert answer["data"]["complete"] is False
        await alice.create("fresh", "buy", price="99")
        (whole,) = await alice.until("orders", event="mass_canceled", complete=True)
        (fresh,) = named(alice.received_on("orders"), "accepted")
        assert fresh["as_of_seq"] < whole["as_of_seq"], "it came while the others went"
        listed = await alice.ask("get_orders")
        assert [row["client_order_id"] for row in listed["data"]["orders"]] == ["fresh"]
