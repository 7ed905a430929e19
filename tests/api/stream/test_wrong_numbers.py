"""The WebSocket refuses a wrong number for the reason that every door has."""

from __future__ import annotations

from tests.api.stream.harness import running_stream
from tests.support.processes import EngineProcess
from tests.support.wrong_numbers import rows

HEAD = {"symbol": "BTC-USD", "side": "buy"}


async def test_the_stream_refuses_them_for_the_reason_of_every_door(engine: EngineProcess) -> None:
    async with running_stream(engine) as stream, stream.client("demo-alice-trade") as alice:
        await alice.create("a1", "buy", quantity="10", display_quantity="5")
        for row in rows():
            if row.what == "create":
                answer = await alice.ask(
                    "create_order", client_order_id="x", **HEAD, **row.terms
                )
            else:
                answer = await alice.ask("replace_order", order="client:a1", **row.terms)
            assert answer["ok"] is False, row
            assert answer["error"]["code"] == row.code, (row, answer)
