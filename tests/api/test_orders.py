"""Orders over HTTP: create, replace, cancel, batch, cancel all, find, and repeats of each."""

from __future__ import annotations

from typing import Any

import pytest

from engine.client import EngineTimeout, EngineUnavailable
from engine.core.commands import NewOrder
from engine.core.types import OrdType, Origin, Route, Side, TimeInForce
from tests.api.client import Caller, CallerOf, limit
from tests.api.inprocess import Clock, InProcessEngine


def test_a_create_answers_the_whole_order(alice: Caller) -> None:
    body = limit("a1", "buy", "1.5", "100.25", strategy="mm1", manual=True, post_only=True,
                 time_in_force="gtd", expire_at="2031-01-01T00:00:00Z",
                 self_trade_prevention="cancel_oldest", display_quantity="0.5")  # fmt: skip
    row = alice.post("/v1/orders", body).ok(201)
    for name in ("client_order_id", "symbol", "side", "quantity", "price", "strategy", "manual",
                 "post_only", "time_in_force", "self_trade_prevention",
                 "display_quantity"):  # fmt: skip
        assert row[name] == body[name]
    assert row["expire_at"] == "2031-01-01T00:00:00.000000Z"
    assert (row["status"], row["filled_quantity"], row["leaves_quantity"]) == ("new", "0", "1.5")
    assert (row["type"], row["average_price"], row["fills"]) == ("limit", None, [])
    assert (row["held"], row["held_asset"]) == ("150.525375", "USD")
    assert isinstance(row["order_id"], str) and isinstance(row["as_of_seq"], int)


def test_a_trade_is_told_to_both_sides_with_exact_figures(
    alice: Caller, bob: Caller, caller: CallerOf
) -> None:
    alice.post("/v1/orders", limit("a1", "buy", "1", "100", strategy="quote")).ok(201)
    row = bob.post("/v1/orders", limit("b1", "sell", "0.4", "90")).ok(201)
    assert (row["status"], row["average_price"], row["fees"]) == ("filled", "100", "0.04")
    assert [(f["quantity"], f["price"], f["fee"], f["liquidity"]) for f in row["fills"]] == [
        ("0.4", "100", "0.04", "taker")
    ]
    resting = caller("alice-read").get("/v1/orders/client:a1").ok()
    assert (resting["status"], resting["filled_quantity"], resting["leaves_quantity"]) == (
        "partially_filled", "0.4", "0.6",
    )  # fmt: skip
    assert resting["fees"] == "0.02"
    fills = caller("alice-read").get("/v1/fills").ok()["fills"]
    assert [(f["client_order_id"], f["strategy"], f["notional"], f["fee"]) for f in fills] == [
        ("a1", "quote", "40", "0.02")
    ]
    balances = caller("alice-read").get("/v1/balances").ok()["balances"]
    money = {b["asset"]: (b["posted"], b["held"], b["available"]) for b in balances}
    assert money["BTC"] == ("1000.4", "0", "1000.4")
    assert money["USD"] == ("99999959.98", "60.06", "99999899.92")
    holds = caller("alice-read").get("/v1/holds").ok()["holds"]
    assert holds == [
        {"hold_id": "O1", "asset": "USD", "amount": "60.06", "order_id": "1",
         "withdrawal_id": None}
    ]  # fmt: skip


def test_market_orders_by_quantity_and_by_money(alice: Caller, bob: Caller) -> None:
    bob.post("/v1/orders", limit("b1", "sell", "5", "100")).ok(201)
    body = {"client_order_id": "a1", "symbol": "BTC-USD", "side": "buy", "type": "market",
            "quantity": "2"}  # fmt: skip
    row = alice.post("/v1/orders", body).ok(201)
    assert (row["status"], row["price"], row["filled_quantity"]) == ("filled", None, "2")
    body = {"client_order_id": "a2", "symbol": "BTC-USD", "side": "buy", "type": "market",
            "cash_quantity": "150"}  # fmt: skip
    row = alice.post("/v1/orders", body).ok(201)
    assert (row["filled_quantity"], row["cash_quantity"]) == ("1.5", "150")
    assert alice.post("/v1/orders", body).ok(200)["order_id"] == row["order_id"]


def test_ioc_remainder_and_fok_end_canceled_with_their_reason(alice: Caller, bob: Caller) -> None:
    bob.post("/v1/orders", limit("b1", "sell", "1", "100")).ok(201)
    row = alice.post("/v1/orders", limit("a1", "buy", "3", "100", time_in_force="fok")).ok(201)
    assert (row["status"], row["cancel_reason"]) == ("canceled", "fok_unfillable")
    row = alice.post("/v1/orders", limit("a2", "buy", "3", "100", time_in_force="ioc")).ok(201)
    assert (row["status"], row["cancel_reason"], row["filled_quantity"]) == (
        "canceled", "ioc_remainder", "1",
    )  # fmt: skip
    assert row["held"] == "0"


def test_an_order_shows_the_third_parties_that_it_was_entered_for_over_FIX(
    alice: Caller, caller: CallerOf, engine: InProcessEngine
) -> None:
    command = NewOrder(
        Origin("fix:ALICE", route=Route("NORTH", "trader 7")), "alice", "f1", "BTC-USD", Side.BUY,
        OrdType.LIMIT, TimeInForce.GTC, 1000, 10_000,
    )  # fmt: skip
    engine.submit(command)
    alice.post("/v1/orders", limit("a1", "buy", "1", "100")).ok(201)
    third_party = {
        "on_behalf_of_comp_id": "NORTH", "on_behalf_of_sub_id": "trader 7",
        "deliver_to_comp_id": None, "deliver_to_sub_id": None,
    }  # fmt: skip
    reader = caller("alice-read")
    one = reader.get("/v1/orders/client:f1").ok()
    assert (one["entered_by"], one["third_party"]) == ("fix:ALICE", third_party)
    rows = reader.get("/v1/orders?status=all").ok()["orders"]
    assert [row["third_party"] for row in rows] == [third_party, None]
    alice.delete("/v1/orders/client:f1").ok()
    assert reader.get("/v1/orders/client:f1").ok()["third_party"] == third_party, "closed too"
    changed = alice.patch("/v1/orders/client:a1", {"price": "90", "client_order_id": "a2"}).ok()
    assert changed["third_party"] is None


def test_orders_are_listed_from_either_end_page_by_page(alice: Caller) -> None:
    """Open ones from the engine, all of them from the history: the same pages either way."""
    for name in ("a1", "a2", "a3"):
        alice.post("/v1/orders", limit(name, "buy", "1", "100")).ok(201)

    def pages(target: str) -> list[list[str]]:
        found, cursor = [], ""
        while True:
            page = alice.get(f"{target}&limit=2{cursor}").ok()
            found.append([row["client_order_id"] for row in page["orders"]])
            if page["next_cursor"] is None:
                return found
            cursor = f"&cursor={page['next_cursor']}"

    for status in ("open", "all"):
        assert pages(f"/v1/orders?status={status}&sort=newest") == [["a3", "a2"], ["a1"]]
        assert pages(f"/v1/orders?status={status}") == [["a1", "a2"], ["a3"]]
    newest = alice.get("/v1/orders?status=all&sort=newest&limit=2").ok()["next_cursor"]
    refused = alice.get(f"/v1/orders?status=all&cursor={newest}")
    assert (refused.status, refused.json["field"]) == (400, "cursor")


# Repeats.


def test_I3_the_identical_create_again_answers_the_original(
    alice: Caller, bob: Caller, engine: InProcessEngine
) -> None:
    body = limit("a1", "buy", "1", "100", strategy="s")
    first = alice.post("/v1/orders", body)
    assert first.ok(201) and not first.replayed
    again = alice.post("/v1/orders", body)
    assert again.replayed and again.ok(200)["order_id"] == first.json["order_id"]
    # Also in other spelling of the same numbers, after a fill, a replace and the close.
    bob.post("/v1/orders", limit("b1", "sell", "0.5", "100")).ok(201)
    again = alice.post("/v1/orders", body | {"price": "100.00", "type": "limit"})
    assert again.replayed and again.ok(200)["filled_quantity"] == "0.5"
    alice.patch("/v1/orders/client:a1", {"price": "90", "client_order_id": "a2"}).ok()
    assert alice.post("/v1/orders", body).ok(200)["price"] == "90"
    alice.delete("/v1/orders/client:a1").ok()
    again = alice.post("/v1/orders", body)
    assert again.replayed and again.ok(200)["status"] == "canceled"
    assert len(engine.exchange.accounts["alice"].closed) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"quantity": "2"}, {"price": "101"}, {"side": "sell"}, {"symbol": "ETH-USD"},
        {"strategy": "other"}, {"manual": True}, {"post_only": True},
        {"time_in_force": "day"}, {"display_quantity": "0.5"},
        {"time_in_force": "gtd", "expire_at": "2031-01-01T00:00:00Z"},
        {"self_trade_prevention": "cancel_both"},
    ],
)  # fmt: skip
def test_I3_a_known_client_id_with_other_terms_is_a_conflict(
    alice: Caller, change: dict[str, Any]
) -> None:
    body = limit("a1", "buy", "1", "100", strategy="s")
    number = alice.post("/v1/orders", body).ok(201)["order_id"]
    problem = alice.post("/v1/orders", body | change).problem(409, "duplicate_client_order_id")
    assert (problem["order_id"], problem["outcome"]) == (number, "not_applied")


def test_I3_a_repeat_is_compared_with_the_terms_the_order_began_with(alice: Caller) -> None:
    body = limit("a1", "buy", "1", "100")
    alice.post("/v1/orders", body).ok(201)
    alice.patch("/v1/orders/client:a1", {"quantity": "2", "price": "99"}).ok()
    assert alice.post("/v1/orders", body).ok(200)["quantity"] == "2"
    now = limit("a1", "buy", "2", "99")
    alice.post("/v1/orders", now).problem(409, "duplicate_client_order_id")


def test_one_client_id_namespace_per_account_not_across(alice: Caller, bob: Caller) -> None:
    alice.post("/v1/orders", limit("same", "buy", "1", "100")).ok(201)
    bob.post("/v1/orders", limit("same", "buy", "1", "99")).ok(201)


def test_a_lost_response_is_harmless(
    alice: Caller, engine: InProcessEngine, caller: CallerOf
) -> None:
    body = limit("a1", "buy", "1", "100")
    engine.lost = EngineTimeout("no answer")
    problem = alice.post("/v1/orders", body).problem(503, "engine_unavailable")
    assert (problem["outcome"], problem["retryable"]) == ("unknown", True)
    engine.lost = None
    again = alice.post("/v1/orders", body)
    assert again.replayed and again.ok(200)["status"] == "new"
    assert len(caller("alice-read").get("/v1/orders").ok()["orders"]) == 1


def test_an_engine_that_is_away_is_said_so(alice: Caller, engine: InProcessEngine) -> None:
    alice.get("/v1/balances").ok()
    engine.failure = EngineUnavailable("down", "not_applied")
    answer = alice.post("/v1/orders", limit("a1", "buy", "1", "100"))
    assert answer.problem(503, "engine_unavailable")["outcome"] == "not_applied"
    assert answer.headers["Retry-After"] == "1"
    engine.failure = EngineUnavailable("lost", "unknown")
    problem = alice.get("/v1/balances").problem(503, "engine_unavailable")
    assert problem["outcome"] == "not_applied"
    assert "nothing was changed" in problem["detail"]
    alice.get("/readyz").problem(503, "engine_unavailable")
    alice.get("/healthz").ok()


# Replace.


def test_C4_a_replace_says_whether_priority_was_kept(alice: Caller) -> None:
    alice.post("/v1/orders", limit("a1", "buy", "2", "100")).ok(201)
    row = alice.patch("/v1/orders/client:a1", {"quantity": "1"}).ok()
    assert (row["quantity"], row["priority_kept"], row["held"]) == ("1", True, "100.1")
    row = alice.patch(f"/v1/orders/{row['order_id']}", {"price": "99"}).ok()
    assert (row["price"], row["priority_kept"], row["held"]) == ("99", False, "99.099")


def test_a_replace_may_trade_and_tells_its_fills(alice: Caller, bob: Caller) -> None:
    bob.post("/v1/orders", limit("b1", "sell", "1", "100")).ok(201)
    alice.post("/v1/orders", limit("a1", "buy", "2", "90")).ok(201)
    row = alice.patch("/v1/orders/client:a1", {"price": "100"}).ok()
    assert (row["status"], row["leaves_quantity"]) == ("partially_filled", "1")
    assert [(f["quantity"], f["client_order_id"]) for f in row["fills"]] == [("1", "a1")]


def test_C1_every_id_of_a_chain_finds_the_order(alice: Caller, caller: CallerOf) -> None:
    alice.post("/v1/orders", limit("a1", "buy", "2", "100")).ok(201)
    row = alice.patch("/v1/orders/client:a1", {"quantity": "1", "client_order_id": "a2"}).ok()
    assert (row["client_order_id"], row["first_client_order_id"]) == ("a2", "a1")
    reader = caller("alice-read")
    for name in ("client:a1", "client:a2", row["order_id"]):
        assert reader.get(f"/v1/orders/{name}").ok()["client_order_id"] == "a2"
    # The same replace again is recognised by its new id.
    again = alice.patch("/v1/orders/client:a1", {"quantity": "1", "client_order_id": "a2"})
    assert again.replayed and again.ok()["order_id"] == row["order_id"]
    other = alice.patch("/v1/orders/client:a1", {"quantity": "2", "client_order_id": "a2"})
    other.problem(409, "duplicate_client_order_id")


def test_a_replace_of_what_is_closed_is_too_late(alice: Caller, bob: Caller) -> None:
    alice.post("/v1/orders", limit("a1", "buy", "1", "100")).ok(201)
    bob.post("/v1/orders", limit("b1", "sell", "1", "100")).ok(201)
    problem = alice.patch("/v1/orders/client:a1", {"quantity": "2"}).problem(409, "too_late")
    assert (problem["order_status"], problem["order"]["filled_quantity"]) == ("filled", "1")


def test_a_replace_must_change_something(alice: Caller) -> None:
    alice.post("/v1/orders", limit("a1", "buy", "1", "100")).ok(201)
    alice.patch("/v1/orders/client:a1", {}).problem(400, "invalid_request")
    alice.patch("/v1/orders/client:no", {"quantity": "1"}).problem(404, "unknown_order")


# Cancel.


def test_C2_a_cancel_frees_its_hold_before_it_is_answered(alice: Caller) -> None:
    everything = limit("a1", "buy", "1000", "99000")
    alice.post("/v1/orders", everything).ok(201)
    alice.post("/v1/orders", everything | {"client_order_id": "a2"}).problem(
        422, "insufficient_funds"
    )
    row = alice.delete("/v1/orders/client:a1").ok()
    assert (row["status"], row["held"], row["cancel_reason"]) == ("canceled", "0", "requested")
    alice.post("/v1/orders", everything | {"client_order_id": "a3"}).ok(201)


def test_a_cancel_again_answers_the_final_state(alice: Caller) -> None:
    alice.post("/v1/orders", limit("a1", "buy", "1", "100")).ok(201)
    first = alice.delete("/v1/orders/client:a1").ok()
    again = alice.delete("/v1/orders/client:a1").ok()
    assert (again["status"], again["order_id"]) == ("canceled", first["order_id"])
    assert again["cancel_reason"] == "requested"


def test_a_cancel_of_a_filled_order_is_too_late_and_shows_it(alice: Caller, bob: Caller) -> None:
    alice.post("/v1/orders", limit("a1", "buy", "1", "100")).ok(201)
    bob.post("/v1/orders", limit("b1", "sell", "1", "100")).ok(201)
    problem = alice.delete("/v1/orders/client:a1").problem(409, "too_late")
    assert problem["order"]["status"] == "filled"
    alice.delete("/v1/orders/client:never").problem(404, "unknown_order")
    alice.delete("/v1/orders/12345").problem(404, "unknown_order")


def test_C7_cancel_all_by_filter(alice: Caller, bob: Caller) -> None:
    for name, symbol, side, price, strategy in (
        ("a1", "BTC-USD", "buy", "100", "x"), ("a2", "BTC-USD", "sell", "200", "x"),
        ("a3", "ETH-USD", "buy", "10", "y"), ("a4", "BTC-USD", "buy", "99", "y"),
    ):  # fmt: skip
        body = limit(name, side, "1", price, strategy=strategy) | {"symbol": symbol}
        alice.post("/v1/orders", body).ok(201)
    bob.post("/v1/orders", limit("b1", "buy", "1", "50")).ok(201)

    def canceled(**query: str) -> list[str]:
        rows = alice.delete("/v1/orders", **query).ok()["canceled"]
        return [row["client_order_id"] for row in rows]

    assert canceled(symbol="BTC-USD", side="buy", strategy="x") == ["a1"]
    assert canceled(strategy="y", symbol="ETH-USD") == ["a3"]
    assert canceled(strategy="nothing") == []
    assert canceled() == ["a2", "a4"]
    alice.delete("/v1/orders", symbol="NO-SUCH").problem(404, "unknown_symbol")
    assert len(bob.get("/v1/orders").ok()["orders"]) == 1


# Batches.


def test_B1_a_batch_mixes_creates_replaces_and_cancels_over_symbols(
    alice: Caller, bob: Caller
) -> None:
    bob.post("/v1/orders", limit("b1", "sell", "1", "105")).ok(201)
    alice.post("/v1/orders", limit("a1", "buy", "1", "100")).ok(201)
    alice.post("/v1/orders", limit("a2", "buy", "1", "99")).ok(201)
    answer = alice.post("/v1/orders/batch", {"operations": [
        {"op": "cancel", "order": "client:a1"},
        {"op": "replace", "order": "client:a2", "price": "105", "client_order_id": "a2b"},
        {"op": "create", **limit("a3", "buy", "2", "10"), "symbol": "ETH-USD"},
        {"op": "create", **limit("a4", "buy", "1", "100.001")},
        {"op": "cancel", "order": "client:none"},
        {"op": "create", **limit("a5", "sell", "1", "200"), "strategy": "mm"},
        {"op": "create", **limit("a6", "sell", "1", "200"), "symbol": "NO-SUCH"},
    ]}).ok()  # fmt: skip
    rows = answer["results"]
    assert [row["index"] for row in rows] == list(range(7))
    assert [row["accepted"] for row in rows] == [True, True, True, False, False, True, False]
    assert (answer["accepted"], answer["refused"]) == (4, 3)
    assert [row["client_order_id"] for row in rows] == [
        "a1", "a2b", "a3", "a4", "none", "a5", "a6",
    ]  # fmt: skip
    assert rows[0]["order"]["status"] == "canceled"
    assert rows[1]["order"]["status"] == "filled"
    assert rows[1]["order"]["fees"] == "0.105"
    assert [f["price"] for f in rows[1]["order"]["fills"]] == ["105"]
    assert rows[2]["order"]["symbol"] == "ETH-USD"
    assert (rows[3]["error"]["code"], rows[3]["error"]["field"]) == ("invalid_price", "price")
    assert rows[4]["error"]["code"] == "unknown_order"
    assert rows[6]["error"]["code"] == "unknown_symbol"
    assert all((row["order"] is None) != (row["error"] is None) for row in rows)


def test_B3_validate_all_does_nothing_when_one_is_wrong(
    alice: Caller, engine: InProcessEngine
) -> None:
    good, bad = limit("a1", "buy", "1", "100"), limit("a2", "buy", "1", "100.001")
    operations = [{"op": "create", **good}, {"op": "create", **bad}]
    answer = alice.post(
        "/v1/orders/batch", {"operations": operations, "mode": "validate_all"}
    ).ok()
    assert (answer["accepted"], answer["refused"]) == (0, 2)
    codes = [row["error"]["code"] for row in answer["results"]]
    assert codes == ["batch_refused", "invalid_price"]
    assert len(engine.exchange.orders) == 0


def test_a_batch_again_answers_the_originals(alice: Caller, engine: InProcessEngine) -> None:
    operations = [
        {"op": "create", **limit("a1", "buy", "1", "100")},
        {"op": "create", **limit("a2", "buy", "1", "99")},
        {"op": "cancel", "order": "client:a1"},
    ]
    first = alice.post("/v1/orders/batch", {"operations": operations}).ok()
    again = alice.post("/v1/orders/batch", {"operations": operations}).ok()
    assert [row["replayed"] for row in again["results"]] == [True, True, True]
    assert [row["order"]["order_id"] for row in again["results"]] == [
        row["order"]["order_id"] for row in first["results"]
    ]
    assert len(engine.exchange.orders) == 2


def test_a_batch_has_1_to_50_operations(alice: Caller) -> None:
    one = {"op": "create", **limit("a", "buy", "1", "100")}
    many = [one | {"client_order_id": f"a{i}"} for i in range(51)]
    alice.post("/v1/orders/batch", {"operations": many}).problem(400, "invalid_request")
    alice.post("/v1/orders/batch", {"operations": []}).problem(400, "invalid_request")
    seq = alice.post("/v1/orders/batch", {"operations": many[:50]}).ok()["as_of_seq"]
    assert seq == alice.get("/v1/orders", limit=50).ok()["as_of_seq"]


# Finding.


def test_orders_are_found_by_status_symbol_side_strategy_and_client_id(
    alice: Caller, bob: Caller
) -> None:
    alice.post("/v1/orders", limit("a1", "buy", "1", "100", strategy="x")).ok(201)
    alice.post("/v1/orders", limit("a2", "sell", "1", "200", strategy="y")).ok(201)
    alice.post("/v1/orders", limit("a3", "buy", "1", "99", strategy="y")).ok(201)
    alice.delete("/v1/orders/client:a3").ok()

    def names(**query: Any) -> list[str]:
        rows = alice.get("/v1/orders", **query).ok()["orders"]
        return [row["client_order_id"] for row in rows]

    assert names() == ["a1", "a2"]
    assert names(status="closed") == ["a3"]
    assert names(status="all") == ["a1", "a2", "a3"]
    assert names(status="all", strategy="y") == ["a2", "a3"]
    assert names(side="sell") == ["a2"]
    assert names(client_order_id="a1", status="all") == ["a1"]
    assert names(client_order_id="a1") == ["a1"]
    assert names(client_order_id="a3") == []
    assert names(symbol="ETH-USD") == []
    page = alice.get("/v1/orders", limit=1).ok()
    assert names(cursor=page["next_cursor"]) == ["a2"]
    page = alice.get("/v1/orders", status="all", limit=2).ok()
    assert names(status="all", cursor=page["next_cursor"]) == ["a3"]
    alice.get("/v1/orders", cursor="zzz").problem(400, "invalid_request")
    alice.get("/v1/orders", cursor="zzz", status="all").problem(400, "invalid_request")
    closed = alice.get("/v1/orders", status="closed").ok()["orders"][0]
    assert closed["cancel_reason"] == "requested"


def test_closed_orders_are_found_long_after_the_engine_forgot_them(
    alice: Caller, engine: InProcessEngine
) -> None:
    body = limit("a1", "buy", "1", "100")
    number = alice.post("/v1/orders", body).ok(201)["order_id"]
    alice.delete("/v1/orders/client:a1").ok()
    account = engine.exchange.accounts["alice"]
    engine.exchange._retire(account, 0, engine.exchange.time_us + 1)
    assert len(engine.exchange.orders) == 0
    for name in ("client:a1", number):
        assert alice.get(f"/v1/orders/{name}").ok()["status"] == "canceled"
    assert alice.delete("/v1/orders/client:a1").ok()["status"] == "canceled"
    alice.patch("/v1/orders/client:a1", {"quantity": "2"}).problem(409, "too_late")


def test_fills_sync_by_symbol_and_last_trade_id_alone(
    alice: Caller, bob: Caller, caller: CallerOf
) -> None:
    alice.post("/v1/orders", limit("a1", "buy", "3", "100", strategy="x")).ok(201)
    for number in range(3):
        bob.post("/v1/orders", limit(f"b{number}", "sell", "1", "100")).ok(201)
    reader = caller("alice-read")
    first = reader.get("/v1/fills", symbol="BTC-USD", limit=2).ok()
    assert [f["trade_id"] for f in first["fills"]] == [1, 2]
    rest = reader.get("/v1/fills", symbol="BTC-USD", after_trade_id=2).ok()
    assert [f["trade_id"] for f in rest["fills"]] == [3]
    assert reader.get("/v1/fills", cursor=first["next_cursor"]).ok() == rest
    assert rest["next_cursor"] is None
    assert {f["client_order_id"] for f in first["fills"]} == {"a1"}
    assert reader.get("/v1/fills", strategy="y").ok()["fills"] == []
    assert len(reader.get("/v1/fills", strategy="x").ok()["fills"]) == 3
    assert len(reader.get("/v1/fills", client_order_id="a1").ok()["fills"]) == 3
    assert len(reader.get("/v1/fills", order_id="1").ok()["fills"]) == 3
    assert [f["client_order_id"] for f in bob.get("/v1/fills").ok()["fills"]] == ["b0", "b1", "b2"]
    reader.get("/v1/fills", cursor="abc").problem(400, "invalid_request")
    reader.get("/v1/fills", limit=1001).problem(400, "invalid_request")


def test_S3_the_dead_mans_switch_cancels_unless_it_is_set_again(
    alice: Caller, engine: InProcessEngine, clock: Clock
) -> None:
    alice.post("/v1/orders", limit("a1", "buy", "1", "100", strategy="x")).ok(201)
    alice.post("/v1/orders", limit("a2", "buy", "1", "100")).ok(201)
    answer = alice.put("/v1/dead-man-switch", {"timeout_s": 10, "strategy": "x"}).ok()
    assert answer["fires_at"] is not None
    clock.advance(9)
    alice.put("/v1/dead-man-switch", {"timeout_s": 10, "strategy": "x"}).ok()
    clock.advance(9)
    engine.tick()
    assert len(alice.get("/v1/orders").ok()["orders"]) == 2
    clock.advance(2)
    engine.tick()
    rows = alice.get("/v1/orders").ok()["orders"]
    assert [row["client_order_id"] for row in rows] == ["a2"]
    closed = alice.get("/v1/orders/client:a1").ok()
    assert closed["cancel_reason"] == "dead_man_switch"
    assert alice.put("/v1/dead-man-switch", {"timeout_s": 0}).ok()["fires_at"] is None
    alice.put("/v1/dead-man-switch", {"timeout_s": 2}).problem(400, "invalid_request")
    alice.put("/v1/dead-man-switch", {"timeout_s": 301}).problem(400, "invalid_request")


def test_expires_at_guards_a_request_that_comes_late(alice: Caller, clock: Clock) -> None:
    soon = clock() // 1000 + 10_000
    alice.post("/v1/orders", limit("a1", "buy", "1", "100", expires_at=soon)).ok(201)
    late = limit("a2", "buy", "1", "100", expires_at=clock() // 1000 - 1)
    problem = alice.post("/v1/orders", late).problem(408, "request_expired")
    assert problem["outcome"] == "not_applied"
    late["expires_at"] = "2020-01-01T00:00:00Z"
    alice.post("/v1/orders", late).problem(408, "request_expired")
    late["expires_at"] = "2020-02-30T00:00:00Z"
    assert alice.post("/v1/orders", late).problem(400, "invalid_request")["field"] == "expires_at"


def test_accounts_cannot_see_or_touch_each_others_orders(
    alice: Caller, bob: Caller, caller: CallerOf
) -> None:
    number = alice.post("/v1/orders", limit("a1", "buy", "1", "100")).ok(201)["order_id"]
    for target in (f"/v1/orders/{number}", "/v1/orders/client:a1"):
        bob.get(target).problem(404, "unknown_order")
        bob.delete(target).problem(404, "unknown_order")
        bob.patch(target, {"quantity": "2"}).problem(404, "unknown_order")
    assert bob.delete("/v1/orders").ok()["canceled"] == []
    bob.get("/v1/balances", account="alice").problem(404, "not_found")
    bob.get("/v1/orders", account="alice").problem(404, "not_found")
    answer = bob.get("/v1/balances", account="nobody-has-this")
    answer.problem(404, "not_found")
    assert alice.get(f"/v1/orders/{number}").ok()["status"] == "new"


def test_halted_instruments_refuse_orders_and_accept_cancels(
    alice: Caller, caller: CallerOf
) -> None:
    alice.post("/v1/orders", limit("a1", "buy", "1", "100")).ok(201)
    operator = caller("operator")
    target = "/v1/instruments/BTC-USD/status"
    assert operator.put(target, {"status": "halted", "note": "test"}).ok()["status"] == "halted"
    problem = alice.post("/v1/orders", limit("a2", "buy", "1", "100")).problem(
        409, "instrument_halted"
    )
    assert problem["retryable"]
    assert alice.get("/v1/books/BTC-USD").ok()["status"] == "halted"
    alice.delete("/v1/orders/client:a1").ok()
    operator.put(target, {"status": "open"}).ok()
    alice.post("/v1/orders", limit("a2", "buy", "1", "100")).ok(201)
    operator.put("/v1/instruments/NO-SUCH/status", {"status": "open"}).problem(
        404, "unknown_symbol"
    )


def test_paths_of_their_own_are_not_taken_for_ids(alice: Caller, caller: CallerOf) -> None:
    answer = alice.get("/v1/orders/batch")
    answer.problem(405, "method_not_allowed")
    assert set(answer.headers["Allow"].split(", ")) == {"POST", "OPTIONS"}
    answer = caller("alice-read").get("/v1/withdrawals/quotes")
    answer.problem(405, "method_not_allowed")


@pytest.mark.parametrize(
    "name", ["a/b", "a?b=c", "a%2Fb", "batch", "a+b", "~!@#$^&*()", "client:x"]
)
def test_any_client_order_id_can_be_a_path(alice: Caller, name: str) -> None:
    import urllib.parse

    alice.post("/v1/orders", limit(name, "buy", "1", "100")).ok(201)
    target = "/v1/orders/client:" + urllib.parse.quote(name, safe="")
    assert alice.get(target).ok()["client_order_id"] == name
    assert alice.delete(target).ok()["status"] == "canceled"


def test_a_late_copy_of_a_create_that_came_in_time_is_answered(
    alice: Caller, clock: Clock
) -> None:
    body = limit("a1", "buy", "1", "100", expires_at=clock() // 1000 + 1000)
    number = alice.post("/v1/orders", body).ok(201)["order_id"]
    clock.advance(60)
    late = alice.post("/v1/orders", body)
    assert late.replayed and late.ok(200)["order_id"] == number
    alice.post("/v1/orders", body | {"quantity": "2"}).problem(408, "request_expired")


def test_C10_a_cancel_all_in_pieces_says_whether_it_is_complete(
    alice: Caller, bob: Caller, engine: InProcessEngine
) -> None:
    """What is told is true: how many are gone, and that none of the rest trades any more."""
    for number in range(5):
        alice.post("/v1/orders", limit(f"a{number}", "buy", "1", "100")).ok(201)
    engine.exchange.work_max = 2
    answer = alice.delete("/v1/orders").ok()
    assert (answer["total"], answer["complete"]) == (2, False)
    assert [row["client_order_id"] for row in answer["canceled"]] == ["a0", "a1"]
    sold = bob.post("/v1/orders", limit("b1", "sell", "1", "100")).ok(201)
    assert (sold["filled_quantity"], sold["status"]) == ("0", "new")
    again = alice.delete("/v1/orders/client:a4").ok()
    assert again["status"] == "canceled"
    while not (answer := alice.delete("/v1/orders").ok())["complete"]:
        assert answer["total"] > 0
    assert alice.get("/v1/orders?status=open").ok()["orders"] == []
    assert alice.get("/v1/orders/client:a3").ok()["filled_quantity"] == "0"
