"""Rules A over REST: an operator suspends an account, which may cancel and read from then on."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.client import Caller, CallerOf

TARGET = "/v1/accounts/alice/status"
SUSPEND = {"status": "suspended", "note": "a runaway"}


def limit(client_id: str, price: str = "100") -> dict[str, Any]:
    return {
        "client_order_id": client_id, "symbol": "BTC-USD", "side": "buy", "quantity": "0.5",
        "price": price,
    }  # fmt: skip


def test_A3_what_is_open_ends_and_A2_nothing_new_begins(
    caller: CallerOf, alice: Caller
) -> None:
    operator = caller("operator")
    for name in ("a1", "a2"):
        alice.post("/v1/orders", limit(name)).ok(201)
    withdrawal = {
        "client_withdrawal_id": "w1", "asset": "BTC", "network": "bitcoin", "amount": "1",
        "address": "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    }  # fmt: skip
    alice_treasurer = caller("alice-withdraw")
    done = operator.put(TARGET, SUSPEND).ok()
    assert (done["account"], done["status"]) == ("alice", "suspended")
    assert (done["canceled_orders"], done["canceled_withdrawals"]) == (2, 0)
    order = alice.get("/v1/orders/client:a1").ok()
    assert (order["status"], order["cancel_reason"]) == ("canceled", "operator")
    problem = alice.post("/v1/orders", limit("a3")).problem(403, "account_suspended")
    assert "alice is suspended" in problem["detail"]
    assert (problem["retryable"], problem["outcome"]) == (False, "not_applied")
    alice_treasurer.post("/v1/withdrawals", withdrawal).problem(403, "account_suspended")
    assert caller("alice-read").get("/v1/limits").ok()["status"] == "suspended"
    alice.delete("/v1/orders").ok()
    done = operator.put(TARGET, {"status": "active"}).ok()
    assert (done["status"], done["canceled_orders"]) == ("active", 0)
    assert caller("alice-read").get("/v1/limits").ok()["status"] == "active"
    alice.post("/v1/orders", limit("a3")).ok(201)


def test_A3_orders_that_are_kept_can_be_canceled_and_not_replaced(
    caller: CallerOf, alice: Caller
) -> None:
    for name in ("a1", "a2"):
        alice.post("/v1/orders", limit(name)).ok(201)
    done = caller("operator").put(TARGET, {**SUSPEND, "keep_open": True}).ok()
    assert done["canceled_orders"] == 0
    alice.patch("/v1/orders/client:a1", {"price": "99"}).problem(403, "account_suspended")
    answer = alice.post(
        "/v1/orders/batch",
        {"operations": [{"op": "cancel", "order": "client:a1"}, {"op": "create", **limit("a3")}]},
    )
    canceled, refused = answer.ok()["results"]
    assert (canceled["accepted"], refused["accepted"]) == (True, False)
    assert refused["error"]["code"] == "account_suspended"
    assert caller("operator").put(TARGET, SUSPEND).ok()["canceled_orders"] == 1


def test_only_an_operator_and_only_what_there_is(caller: CallerOf) -> None:
    caller("alice-trade").put(TARGET, SUSPEND).problem(403, "insufficient_scope")
    operator = caller("operator")
    problem = operator.put("/v1/accounts/nobody/status", SUSPEND)
    problem.problem(404, "unknown_account")
    assert "nobody" in problem.json["detail"]
    for body, field in (
        ({"status": "closed"}, "status"),
        ({"status": "active", "keep_open": True}, "keep_open"),
        ({"status": "suspended", "keep_open": "yes"}, "keep_open"),
        ({"note": "why"}, "status"),
    ):
        assert operator.put(TARGET, body).problem(400, "invalid_request")["field"] == field


@pytest.mark.parametrize("status", ["suspended", "active"])
def test_A1_the_same_request_again_finds_its_answer(caller: CallerOf, status: str) -> None:
    operator = caller("operator")
    first = operator.put(TARGET, {"status": status}, idempotency_key="k-1")
    again = operator.put(TARGET, {"status": status}, idempotency_key="k-1")
    assert again.replayed and again.ok() == first.ok()
    assert operator.put(TARGET, {"status": status}).ok()["status"] == status


def test_A2_every_door_of_the_api_refuses_what_would_act(caller: CallerOf) -> None:
    """What may be asked for: to cancel, to read, and to end what was allowed before."""
    trader, treasurer = caller("alice-trade"), caller("alice-withdraw")
    trader.put("/v1/dead-man-switch", {"timeout_s": 30}).ok()
    key = {"name": "spare", "kind": "hmac", "scopes": ["read"]}
    made = caller("alice-keys").post("/v1/api-keys", key).ok(201)["key"]
    caller("operator").put(TARGET, SUSPEND).ok()
    quote = {"asset": "BTC", "amount": "1"}
    refused = (
        trader.post("/v1/faucet", {"asset": "BTC"}),
        trader.put("/v1/dead-man-switch", {"timeout_s": 30}),
        trader.put("/v1/dead-man-switch", {"timeout_s": 0}),
        treasurer.post("/v1/withdrawals/quotes", quote, idempotency_key="q-1"),
        caller("alice-keys").post("/v1/api-keys", {**key, "name": "second"}),
    )
    for answer in refused:
        problem = answer.problem(403, "account_suspended")
        assert "alice is suspended" in problem["detail"]
        assert problem["outcome"] == "not_applied"
    balances = caller("alice-read").get("/v1/balances", asset="BTC").ok()["balances"]
    assert balances[0]["posted"] == "1000"
    caller("alice-keys").delete(f"/v1/api-keys/{made}").ok()
    caller("operator").put(TARGET, {"status": "active"}).ok()
    trader.post("/v1/faucet", {"asset": "BTC"}).ok(201)
    treasurer.post("/v1/withdrawals/quotes", quote, idempotency_key="q-1").ok(201)


def test_A2_a_key_that_waits_is_not_approved_while_its_account_is_suspended(
    caller: CallerOf,
) -> None:
    wanted = {"name": "w", "kind": "hmac", "scopes": ["withdraw"]}
    made = caller("alice-keys").post("/v1/api-keys", wanted)
    target = f"/v1/api-keys/{made.ok(201)['key']}/approve"
    caller("operator").put(TARGET, SUSPEND).ok()
    caller("alice-approve").post(target).problem(403, "account_suspended")
    caller("operator").put(TARGET, {"status": "active"}).ok()
    assert caller("alice-approve").post(target).ok()["state"] == "active"
