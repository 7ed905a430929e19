"""REST refuses a wrong number for the reason that every door has (tests/wrong_numbers)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.api.client import Caller
from tests.api.inprocess import InProcessEngine
from tests.support.wrong_numbers import Wrong, rows

HEAD = {"symbol": "BTC-USD", "side": "buy"}


@pytest.mark.parametrize("row", rows(), ids=str)
def test_rest_refuses_it_for_the_reason_of_every_door(
    row: Wrong, caller: Callable[[str], Caller], engine: InProcessEngine
) -> None:
    alice = caller("alice-trade")
    if row.what == "create":
        body = {"client_order_id": "x", **HEAD, **row.terms}
        alice.post("/v1/orders", body).problem(422, row.code)
        entry = {"op": "create", **body}
    else:
        resting = {"client_order_id": "a1", "price": "100", "quantity": "10", **HEAD}
        alice.post("/v1/orders", resting | {"display_quantity": "5"}).ok(201)
        alice.send("PATCH", "/v1/orders/client:a1", row.terms).problem(422, row.code)
        entry = {"op": "replace", "order": "client:a1", **row.terms}
    batch = alice.post("/v1/orders/batch", {"operations": [entry]}).ok(200)
    assert batch["results"][0]["error"]["code"] == row.code
    rows_open = alice.get("/v1/orders").ok(200)["orders"]
    assert [one["client_order_id"] for one in rows_open] == ["a1"] * (row.what == "replace")
