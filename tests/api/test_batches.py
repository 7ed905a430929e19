"""Batches whose turn does more than the batch asks for, and batches that name their own orders."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.client import Caller, CallerOf, limit
from tests.api.inprocess import InProcessEngine


def stop(name: str, side: str, stop_price: str, quantity: str = "1") -> dict[str, Any]:
    return {
        "client_order_id": name, "symbol": "BTC-USD", "side": side, "quantity": quantity,
        "type": "stop", "stop_price": stop_price,
    }  # fmt: skip


def create(order: dict[str, Any]) -> dict[str, Any]:
    return {"op": "create", **order}


def done(caller: Caller, *operations: dict[str, Any], **more: Any) -> Any:
    return caller.post("/v1/orders/batch", {"operations": list(operations), **more}).ok()


@pytest.mark.parametrize("mode", ["independent", "validate_all"])
def test_T2_a_stop_that_a_batch_sets_off_does_not_hide_its_answer(
    alice: Caller, bob: Caller, carol: Caller, mode: str
) -> None:
    alice.post("/v1/orders", limit("a1", "sell", "1", "17")).ok(201)
    bob.post("/v1/orders", stop("b1", "buy", "17")).ok(201)
    answer = done(carol, create(limit("c1", "buy", "1", "17")), batch_id="mine", mode=mode)
    assert (answer["batch_id"], answer["accepted"], answer["refused"]) == ("mine", 1, 0)
    order = answer["results"][0]["order"]
    assert (order["client_order_id"], order["status"]) == ("c1", "filled")
    assert [fill["quantity"] for fill in order["fills"]] == ["1"]
    triggered = bob.get("/v1/orders/client:b1").ok()
    assert triggered["triggered"] and triggered["status"] == "canceled"


def test_B3_an_id_that_the_batch_has_twice_is_said_to_be_that(alice: Caller) -> None:
    entry = create(limit("twice", "buy", "1", "10"))
    answer = alice.post(
        "/v1/orders/batch", {"mode": "validate_all", "operations": [entry, entry]}
    ).ok()
    first, second = (row["error"] for row in answer["results"])
    assert first["code"] == "batch_refused"
    assert (second["code"], second["detail"]) == (
        "duplicate_client_order_id", "Client order id twice is in the batch twice.",
    )  # fmt: skip
    alice.get("/v1/orders/client:twice").problem(404, "unknown_order")


def test_a_fill_by_a_stop_after_the_batch_is_told_once_and_with_its_order(
    alice: Caller, bob: Caller, carol: Caller
) -> None:
    alice.post("/v1/orders", limit("a1", "sell", "1", "17")).ok(201)
    bob.post("/v1/orders", stop("b1", "buy", "17", "2")).ok(201)
    # Carol's second order rests behind; Bob's stop takes it when her first has traded.
    answer = done(
        carol,
        create(limit("c2", "sell", "3", "18")),
        create(limit("c1", "buy", "1", "17")),
        {"op": "replace", "order": "client:c2", "quantity": "2.5", "client_order_id": "c3"},
    )
    resting, taken, changed = answer["results"]
    assert [row["client_order_id"] for row in answer["results"]] == ["c2", "c1", "c3"]
    assert taken["order"]["status"] == "filled"
    for row in (resting, changed):
        assert (row["order"]["filled_quantity"], row["order"]["leaves_quantity"]) == ("2", "0.5")
        assert row["order"]["client_order_id"] == "c3"
    told = [row["order"]["fills"] for row in (resting, taken, changed)]
    assert [[fill["quantity"] for fill in fills] for fills in told] == [[], ["1"], ["2"]]


def test_fills_of_own_other_orders_are_told_with_those(alice: Caller) -> None:
    answer = done(
        alice,
        create(limit("a1", "sell", "2", "20")),
        create(limit("a2", "buy", "1", "20", self_trade_prevention="none")),
        create(limit("a3", "buy", "1", "20", self_trade_prevention="cancel_oldest")),
    )
    first, second, third = (row["order"] for row in answer["results"])
    assert (first["status"], first["filled_quantity"]) == ("canceled", "1")
    assert first["cancel_reason"] == "self_trade"
    assert [fill["liquidity"] for fill in first["fills"]] == ["maker"]
    assert [fill["liquidity"] for fill in second["fills"]] == ["taker"]
    assert (third["status"], third["fills"]) == ("new", [])


def test_a_single_create_is_not_confused_by_own_stops_that_it_sets_off(
    alice: Caller, bob: Caller
) -> None:
    alice.post("/v1/orders", limit("a1", "sell", "3", "17")).ok(201)
    bob.post("/v1/orders", stop("b1", "buy", "17")).ok(201)
    row = bob.post("/v1/orders", limit("b2", "buy", "1", "17")).ok(201)
    assert (row["client_order_id"], row["filled_quantity"]) == ("b2", "1")
    assert [fill["client_order_id"] for fill in row["fills"]] == ["b2"]


def test_T4_a_stop_that_is_reached_on_arrival_holds_nothing_when_it_is_filled(
    alice: Caller, bob: Caller
) -> None:
    alice.post("/v1/orders", limit("a1", "sell", "3", "17")).ok(201)
    bob.post("/v1/orders", limit("b1", "buy", "1", "17")).ok(201)
    row = bob.post("/v1/orders", stop("b2", "buy", "17")).ok(201)
    assert (row["status"], row["triggered"], row["held"]) == ("filled", True, "0")


def test_a_suspension_counts_the_cancels_of_the_account_alone(
    alice: Caller, bob: Caller, carol: Caller, caller: CallerOf, engine: InProcessEngine
) -> None:
    # Stops that a full cascade left over act in whatever turn comes next (rule T-3).
    engine.exchange.cascade_max = 1
    alice.post("/v1/orders", limit("a1", "sell", "1", "17")).ok(201)
    alice.post("/v1/orders", limit("a2", "buy", "1", "5")).ok(201)
    for name in ("b1", "b2", "b3"):
        bob.post("/v1/orders", stop(name, "buy", "17")).ok(201)
    carol.post("/v1/orders", limit("c1", "buy", "1", "17")).ok(201)
    status = {"status": "suspended"}
    answer = caller("operator").put("/v1/accounts/alice/status", status).ok()
    assert answer["canceled_orders"] == 1


def test_orders_that_a_batch_makes_are_changed_and_canceled_by_it(alice: Caller) -> None:
    answer = done(
        alice,
        create(limit("x", "buy", "1", "100")),
        {"op": "replace", "order": "client:x", "price": "101", "client_order_id": "y"},
        {"op": "replace", "order": "client:y", "quantity": "0.5"},
        {"op": "cancel", "order": "client:x"},
    )
    assert [row["accepted"] for row in answer["results"]] == [True] * 4, answer
    order = alice.get("/v1/orders/client:x").ok()
    assert (order["status"], order["price"], order["quantity"]) == ("canceled", "101", "0.5")


def test_C1_an_id_that_is_taken_is_not_made_once_more(alice: Caller) -> None:
    """The grid of another instrument would make 50.5 ETH-USD ticks a price of BTC-USD."""
    alice.post("/v1/orders", limit("x", "buy", "1", "100")).ok(201)
    answer = done(
        alice,
        create(limit("x", "buy", "1", "50", symbol="ETH-USD")),
        {"op": "replace", "order": "client:x", "price": "90.5"},
    )
    refused, changed = answer["results"]
    assert refused["error"]["code"] == "duplicate_client_order_id"
    assert changed["order"]["symbol"] == "BTC-USD" and changed["order"]["price"] == "90.5"


def test_an_order_that_comes_later_in_the_batch_is_not_the_one_that_was_named(
    alice: Caller,
) -> None:
    answer = done(
        alice,
        {"op": "cancel", "order": "client:x"},
        {"op": "replace", "order": "client:x", "quantity": "2"},
        create(limit("x", "buy", "1", "1", time_in_force="ioc")),
    )
    canceled, changed, made = answer["results"]
    assert canceled["error"]["code"] == changed["error"]["code"] == "unknown_order"
    assert made["accepted"] and made["order"]["status"] == "canceled"


def test_the_same_batch_again_answers_what_it_did(alice: Caller) -> None:
    operations = (
        create(limit("x", "buy", "1", "100")),
        {"op": "replace", "order": "client:x", "price": "101", "client_order_id": "y"},
        {"op": "cancel", "order": "client:y"},
    )
    first = done(alice, *operations)
    assert first["accepted"] == 3
    again = done(alice, *operations)
    created = again["results"][0]
    assert [row["replayed"] for row in again["results"]] == [True, True, True]
    assert created["order"]["order_id"] == first["results"][0]["order"]["order_id"]


def test_a_replace_that_was_done_is_replayed_within_a_batch_too(alice: Caller) -> None:
    alice.post("/v1/orders", limit("x", "buy", "1", "100")).ok(201)
    change = {"op": "replace", "order": "client:x", "price": "101", "client_order_id": "y"}
    assert not done(alice, change)["results"][0]["replayed"]
    again = done(alice, change)["results"][0]
    assert again["replayed"] and again["order"]["client_order_id"] == "y"


def test_an_id_that_leaves_the_memory_does_not_hide_the_replace_that_pushed_it_out(
    alice: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.core.replaces.CHAIN_IDS_MAX", 4)
    alice.post("/v1/orders", limit("n0", "buy", "1", "100")).ok(201)
    for number in range(8):
        change = {
            "op": "replace", "order": f"client:n{number}", "client_order_id": f"n{number + 1}",
            "price": str(101 + number),
        }  # fmt: skip
        row = done(alice, change)["results"][0]
        assert row["accepted"] and row["order"]["client_order_id"] == f"n{number + 1}"
