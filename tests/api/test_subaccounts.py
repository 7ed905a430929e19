"""A key of the firm's main account acts for the firm's other accounts, and nobody else does."""

from __future__ import annotations

from typing import Any

import pytest

from engine.core.commands import DefineAccount
from tests.api.client import CallerOf
from tests.api.inprocess import ENGINE, InProcessEngine

DESK = "alice:desk"
BTC_ADDRESS = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"


def order(name: str = "a1", **changes: Any) -> dict[str, Any]:
    return {
        "client_order_id": name, "symbol": "BTC-USD", "side": "buy", "quantity": "1",
        "price": "10", "account": DESK,
    } | changes  # fmt: skip


@pytest.fixture
def funded(caller: CallerOf) -> CallerOf:
    for asset, amount in (("USD", "1000"), ("BTC", "50")):
        body = {"client_transfer_id": f"t-{asset}", "to_account": DESK, "asset": asset,
                "amount": amount}  # fmt: skip
        caller("alice-withdraw").post("/v1/transfers", body).ok(201)
    return caller


def test_orders_of_a_sub_account_from_create_to_cancel(funded: CallerOf) -> None:
    alice, reader = funded("alice-trade"), funded("alice-read")
    row = alice.post("/v1/orders", order()).ok(201)
    assert row["account"] == DESK
    held = reader.get("/v1/balances", account=DESK, asset="USD").ok()["balances"][0]["held"]
    assert held not in ("0", None)
    assert reader.get("/v1/orders").ok()["orders"] == []
    assert alice.post("/v1/orders", order()).replayed
    # The same client order id is another order's on the main account.
    own = alice.post("/v1/orders", order(account=None)).ok(201)
    assert own["account"] == "alice" and own["order_id"] != row["order_id"]
    changed = alice.patch("/v1/orders/client:a1", {"quantity": "0.5", "account": DESK}).ok()
    assert (changed["account"], changed["quantity"]) == (DESK, "0.5")
    gone = alice.delete("/v1/orders/client:a1", account=DESK).ok()
    assert (gone["account"], gone["status"]) == (DESK, "canceled")
    assert alice.get("/v1/orders/client:a1").ok()["status"] == "new"


def test_C1_by_order_id_the_firm_finds_changes_and_cancels_an_order_of_its_sub_account(
    funded: CallerOf,
) -> None:
    alice, bob = funded("alice-trade"), funded("bob-trade")
    number = alice.post("/v1/orders", order()).ok(201)["order_id"]
    path = f"/v1/orders/{number}"
    assert alice.get(path).ok()["account"] == DESK
    changed = alice.patch(path, {"quantity": "0.5"}).ok()
    assert (changed["account"], changed["quantity"]) == (DESK, "0.5")
    bob.get(path).problem(404, "unknown_order")
    bob.delete(path).problem(404, "unknown_order")
    gone = alice.delete(path).ok()
    assert (gone["account"], gone["status"]) == (DESK, "canceled")
    assert alice.get(path).ok()["status"] == "canceled"
    # A client order id is one of the account that is meant, whoever speaks for the firm.
    alice.get("/v1/orders/client:a1").problem(404, "unknown_order")


def test_batches_filters_and_the_switch_of_a_sub_account(funded: CallerOf) -> None:
    alice = funded("alice-trade")
    alice.post("/v1/orders", order("own", account=None)).ok(201)
    operations = [{"op": "create", **order(f"b{number}")} for number in range(3)]
    for one in operations:
        del one["account"]
    batch = alice.post("/v1/orders/batch", {"operations": operations, "account": DESK}).ok()
    assert batch["accepted"] == 3
    assert {row["order"]["account"] for row in batch["results"]} == {DESK}
    switch = alice.put("/v1/dead-man-switch", {"timeout_s": 60, "account": DESK}).ok()
    assert switch["fires_at"]
    canceled = alice.delete("/v1/orders", account=DESK).ok()["canceled"]
    assert len(canceled) == 3
    assert alice.get("/v1/orders/client:own").ok()["status"] == "new"


def test_one_operation_of_a_batch_cannot_name_another_account(funded: CallerOf) -> None:
    body = {"operations": [{"op": "create", **order()}]}
    funded("alice-trade").post("/v1/orders/batch", body).problem(400, "invalid_request")


def test_money_of_a_sub_account(funded: CallerOf) -> None:
    treasurer, approver = funded("alice-withdraw"), funded("alice-approve")
    body = {"client_withdrawal_id": "w1", "asset": "BTC", "address": BTC_ADDRESS, "amount": "20",
            "account": DESK}  # fmt: skip
    row = treasurer.post("/v1/withdrawals", body).ok(201)
    name = "/v1/withdrawals/client:w1"
    assert row["account"] == DESK
    treasurer.delete(name).problem(404, "unknown_withdrawal")
    if row["state"] == "pending_approval":
        approved = approver.send("POST", f"{name}/approve?account={DESK}").ok()
        assert approved["approved_by"]
    back = {"client_transfer_id": "back", "account": DESK, "to_account": "alice", "asset": "USD",
            "amount": "10"}  # fmt: skip
    assert treasurer.post("/v1/transfers", back).ok(201)["account"] == DESK
    assert treasurer.delete(name, account=DESK).ok()["state"] == "canceled"
    address = {"asset": "BTC", "account": DESK}
    assert funded("alice-address").post("/v1/deposit-addresses", address).ok(201)["address"]
    assert funded("alice-read").get("/v1/deposit-addresses").ok()["deposit_addresses"] == []


ACTIONS = [
    ("trade", "POST", "/v1/orders", order()),
    ("trade", "PATCH", "/v1/orders/1", {"quantity": "1", "account": DESK}),
    ("trade", "DELETE", f"/v1/orders/1?account={DESK}", None),
    ("trade", "DELETE", f"/v1/orders?account={DESK}", None),
    ("trade", "PUT", "/v1/dead-man-switch", {"timeout_s": 0, "account": DESK}),
    ("trade", "POST", "/v1/orders/batch",
     {"operations": [{"op": "cancel", "order": "1"}], "account": DESK}),
    ("withdraw", "POST", "/v1/transfers",
     {"client_transfer_id": "x", "to_account": "bob", "asset": "USD", "amount": "1",
      "account": DESK}),
    ("withdraw", "POST", "/v1/withdrawals/quotes",
     {"asset": "BTC", "amount": "1", "account": DESK}),
    ("withdraw", "POST", "/v1/withdrawals",
     {"client_withdrawal_id": "x", "asset": "BTC", "amount": "1", "address": BTC_ADDRESS,
      "account": DESK}),
    ("withdraw", "DELETE", f"/v1/withdrawals/1?account={DESK}", None),
]  # fmt: skip


@pytest.mark.parametrize(("scope", "method", "target", "body"), ACTIONS)
def test_another_firm_finds_no_such_account(
    funded: CallerOf, scope: str, method: str, target: str, body: Any
) -> None:
    answer = funded(f"bob-{scope}").send(method, target, body, idempotency_key="k1")
    problem = answer.problem(404, "not_found")
    assert problem["field"] == "account" and problem["outcome"] == "not_applied"


def test_a_key_lists_the_accounts_that_it_reaches(caller: CallerOf) -> None:
    def names(key: str) -> list[str]:
        return [row["account"] for row in caller(key).get("/v1/accounts").ok()["accounts"]]

    assert names("alice-read") == ["alice", DESK] and names("bob-read") == ["bob"]
    assert set(names("operator")) > {"alice", DESK, "bob", "carol"}
    (row, _) = caller("alice-trade").get("/v1/accounts").ok()["accounts"]
    assert (row["firm"], row["status"], row["open_orders"]) == ("alice", "active", 0)
    caller("").get("/v1/accounts").problem(401, "unauthorized")


def test_the_scope_is_asked_for_all_the_same(funded: CallerOf) -> None:
    funded("alice-withdraw").post("/v1/orders", order()).problem(403, "insufficient_scope")
    funded("operator").send("POST", "/v1/orders", order()).problem(403, "insufficient_scope")


def test_W13_a_sub_account_shows_and_obeys_the_limits_of_its_firm(
    funded: CallerOf, engine: InProcessEngine
) -> None:
    rows = [r for r in engine.exchange.accounts.values() if r.name == "alice"]
    engine.submit(
        DefineAccount(ENGINE, "alice", "alice", 500, 1000, rows[0].stp, 10_000,
                      (("BTC", 10**8),), (("BTC", 5 * 10**8),))
    )  # fmt: skip
    alice, treasurer = funded("alice-read"), funded("alice-withdraw")
    body = {"client_withdrawal_id": "w1", "asset": "BTC", "address": BTC_ADDRESS, "amount": "1.5",
            "account": DESK}  # fmt: skip
    assert treasurer.post("/v1/withdrawals", body).ok(201)["state"] == "pending_approval"
    for account in ("alice", DESK):
        limits = alice.get("/v1/limits", account=account).ok()
        btc = next(row for row in limits["withdrawals"] if row["asset"] == "BTC")
        assert btc["daily_limit"] == "5"
        assert (btc["daily_used"], btc["daily_remaining"]) == ("1.5", "3.5")
        assert (btc["limit_of"], btc["approval_above"]) == ("firm", "1")
    for account in ("alice", DESK):
        more = body | {"client_withdrawal_id": "w2", "amount": "3.6", "account": account}
        problem = treasurer.post("/v1/withdrawals", more).problem(422, "withdrawal_limit")
        assert problem["remaining"] == "3.5"
