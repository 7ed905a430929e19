"""Balances, ledger, deposits, and withdrawals with two people."""

from __future__ import annotations

from typing import Any

import pytest

from engine.core.commands import DefineAccount
from engine.core.types import Origin, SelfTrade
from tests.api.client import CallerOf
from tests.api.inprocess import Clock, InProcessEngine
from tests.support.venue import violations

BTC_ADDRESS = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
OTHER_ADDRESS = "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2"


def payout(name: str = "w1", amount: str = "1", **more: Any) -> dict[str, Any]:
    return {
        "client_withdrawal_id": name, "asset": "BTC", "network": "bitcoin",
        "address": BTC_ADDRESS, "amount": amount, **more,
    }  # fmt: skip


def btc(caller: CallerOf, name: str = "alice") -> tuple[str, str, str, str]:
    row = caller(f"{name}-read").get("/v1/balances", asset="BTC").ok()["balances"][0]
    return row["posted"], row["held"], row["available"], row["pending"]


def test_balances_show_every_asset_and_wait_for_a_sequence(
    caller: CallerOf, engine: InProcessEngine
) -> None:
    reader = caller("alice-read")
    answer = reader.get("/v1/balances").ok()
    assert [row["asset"] for row in answer["balances"]] == ["BTC", "ETH", "USD"]
    assert btc(caller) == ("1000", "0", "1000", "0")
    seq = answer["as_of_seq"]
    assert reader.get("/v1/balances", min_seq=seq).ok()["as_of_seq"] == seq
    problem = reader.get("/v1/balances", min_seq=seq + 1).problem(409, "not_caught_up")
    assert problem["outcome"] == "not_applied"
    reader.get("/v1/balances", asset="XXX").problem(404, "unknown_asset")


def test_reads_of_the_history_wait_for_it_or_say_how_old_they_are(
    caller: CallerOf, engine: InProcessEngine
) -> None:
    engine.project = False
    body = {"client_order_id": "a1", "symbol": "BTC-USD", "side": "buy", "quantity": "1",
            "price": "100"}  # fmt: skip
    seq = caller("alice-trade").post("/v1/orders", body).ok(201)["as_of_seq"]
    reader = caller("alice-read")
    late = reader.get("/v1/ledger", min_seq=seq).problem(409, "not_caught_up")
    assert late["as_of_seq"] == seq - 1
    assert reader.get("/v1/ledger").ok()["as_of_seq"] == seq - 1
    engine.catch_up()
    rows = reader.get("/v1/ledger", min_seq=seq).ok()["entries"]
    assert (rows[-1]["cause"], rows[-1]["client_order_id"]) == ("order_hold", "a1")


def test_the_ledger_adds_up_and_pages(caller: CallerOf) -> None:
    for number in range(3):
        body = {"client_order_id": f"a{number}", "symbol": "ETH-USD", "side": "buy",
                "quantity": "1", "price": "100"}  # fmt: skip
        caller("alice-trade").post("/v1/orders", body).ok(201)
    reader = caller("alice-read")
    rows: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = reader.get("/v1/ledger", asset="USD", limit=2, **cursor).ok()
        rows += page["entries"]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert [row["cause"] for row in rows] == ["deposit"] + ["order_hold"] * 3
    assert [row["held"] for row in rows] == ["0", "100.1", "200.2", "300.3"]
    assert rows[-1]["available"] == "99999699.7"
    reader.get("/v1/ledger", cursor="rubbish").problem(400, "invalid_request")


def test_fees_and_limits(caller: CallerOf) -> None:
    fees = caller("alice-read").get("/v1/fees").ok()
    assert (fees["maker"], fees["taker"]) == ("0.0005", "0.001")
    assert {row["network"] for row in fees["withdrawal"]} == {"bitcoin", "ethereum", "wire"}
    limits = caller("alice-read").get("/v1/limits").ok()
    assert limits["open_orders_remaining"] == limits["open_orders_max"] == 10_000
    by_asset = {row["asset"]: row for row in limits["withdrawals"]}
    assert by_asset["BTC"]["approval_above"] == "10"


# Deposits.


def test_W8_a_deposit_is_credited_once_when_it_is_confirmed(caller: CallerOf) -> None:
    operator = caller("operator")
    body = {"deposit_id": "d1", "account": "alice", "asset": "BTC", "amount": "2.5",
            "network": "bitcoin", "txid": "ab12", "confirmations": 0,
            "confirmations_required": 2}  # fmt: skip
    assert operator.post("/v1/deposits", body).ok(201)["credited"] is False
    assert btc(caller) == ("1000", "0", "1000", "2.5")
    row = operator.post("/v1/deposits", body | {"confirmations": 1}).ok(200)
    assert (row["confirmations"], row["credited"]) == (1, False)
    assert operator.post("/v1/deposits", body | {"confirmations": 2}).ok(200)["credited"]
    assert btc(caller) == ("1002.5", "0", "1002.5", "0")
    again = operator.post("/v1/deposits", body | {"confirmations": 3})
    assert again.replayed and again.ok(200)["credited"]
    assert btc(caller)[0] == "1002.5"
    operator.post("/v1/deposits", body | {"amount": "3"}).problem(409, "duplicate_deposit")
    operator.post("/v1/deposits", body | {"account": "bob"}).problem(409, "duplicate_deposit")
    rows = caller("alice-read").get("/v1/deposits").ok()["deposits"]
    mine = [row for row in rows if row["deposit_id"] == "d1"]
    assert [(row["amount"], row["confirmations"], row["credited"]) for row in mine] == [
        ("2.5", 3, True)
    ]
    assert all(row["account"] == "bob" for row in
               caller("bob-read").get("/v1/deposits").ok()["deposits"])  # fmt: skip


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"account": "nobody"}, 422, "unknown_account"),
        ({"asset": "XXX"}, 422, "unknown_asset"),
        ({"network": "pigeon"}, 422, "unknown_network"),
        ({"amount": "0"}, 422, "invalid_field"),
        ({"amount": "0.000000001"}, 422, "invalid_field"),
        ({"amount": "-1"}, 400, "invalid_request"),
        ({"amount": 1}, 400, "invalid_request"),
    ],
)
def test_a_wrong_deposit_changes_nothing(
    caller: CallerOf, engine: InProcessEngine, change: dict[str, Any], status: int, code: str
) -> None:
    body = {"deposit_id": "d1", "account": "alice", "asset": "BTC", "amount": "1"}
    caller("operator").post("/v1/deposits", body | change).problem(status, code)
    assert "d1" not in engine.exchange.deposits


# Withdrawals.


def test_W2_amount_and_fee_are_held_from_the_request_on(caller: CallerOf) -> None:
    row = caller("alice-withdraw").post("/v1/withdrawals", payout()).ok(201)
    assert (row["state"], row["amount"], row["fee"]) == ("queued", "1", "0.0002")
    assert row["cancellable"] and row["requested_by"] == "alice-treasurer"
    assert btc(caller) == ("1000", "1.0002", "998.9998", "0")
    holds = caller("alice-read").get("/v1/holds").ok()["holds"]
    assert [(row["hold_id"], row["amount"]) for row in holds] == [("W1", "1.0002")]
    assert row["hold_id"] == "W1"


def test_the_only_network_of_an_asset_need_not_be_named(caller: CallerOf) -> None:
    body = payout()
    del body["network"]
    assert caller("alice-withdraw").post("/v1/withdrawals", body).ok(201)["network"] == "bitcoin"


def test_W1_the_client_withdrawal_id_is_known_for_ever(
    caller: CallerOf, clock: Clock, engine: InProcessEngine
) -> None:
    treasurer = caller("alice-withdraw")
    first = treasurer.post("/v1/withdrawals", payout()).ok(201)
    clock.advance(86_400 * 400)
    again = treasurer.post("/v1/withdrawals", payout(amount="1.000"))
    assert again.replayed and again.ok(200)["withdrawal_id"] == first["withdrawal_id"]
    treasurer.delete(f"/v1/withdrawals/{first['withdrawal_id']}").ok()
    again = treasurer.post("/v1/withdrawals", payout())
    assert again.replayed and again.ok(200)["state"] == "canceled"
    for change in ({"amount": "2"}, {"address": OTHER_ADDRESS}, {"memo": "m"}):
        problem = treasurer.post("/v1/withdrawals", payout(**change)).problem(
            409, "duplicate_client_withdrawal_id"
        )
        assert problem["withdrawal_id"] == first["withdrawal_id"]
    assert len(engine.exchange.withdrawals) == 1
    # Another firm may use the same id.
    caller("bob-withdraw").post("/v1/withdrawals", payout()).ok(201)


def test_W4_a_second_person_approves_what_is_above_the_limit(caller: CallerOf) -> None:
    row = caller("alice-withdraw").post("/v1/withdrawals", payout(amount="11")).ok(201)
    assert row["state"] == "pending_approval" and row["expires_at"] is not None
    target = f"/v1/withdrawals/{row['withdrawal_id']}"
    caller("alice-withdraw").post(f"{target}/approve").problem(403, "insufficient_scope")
    approved = caller("alice-approve").post(f"{target}/approve").ok()
    assert (approved["state"], approved["approved_by"]) == ("queued", "alice-approver")
    again = caller("alice-approve").post(f"{target}/approve")
    assert again.replayed and again.ok()["state"] == "queued"
    problem = caller("alice-approve").post(f"{target}/reject").problem(409, "withdrawal_state")
    assert problem["state"] == "queued"


def test_W4_the_initiator_may_not_approve_even_with_another_key(
    caller: CallerOf, app: Any, engine: InProcessEngine
) -> None:
    from dataclasses import replace

    from account_api.security.auth import Authenticator
    from account_api.security.keyring import KeyRing

    settings = app.extensions["tandem"].settings
    keys = tuple(
        replace(key, user="alice-treasurer") if key.key == "demo-alice-approve" else key
        for key in settings.keys
    )
    row = caller("alice-withdraw").post("/v1/withdrawals", payout(amount="11")).ok(201)
    approver = caller("alice-approve")
    services = app.extensions["tandem"]
    services.authenticator = Authenticator(KeyRing(keys), settings.window_ms, settings.ahead_ms)
    target = f"/v1/withdrawals/{row['withdrawal_id']}/approve"
    approver.post(target).problem(403, "self_approval")
    assert engine.exchange.withdrawals[1].row.state.name == "PENDING_APPROVAL"


def test_a_second_person_refuses_and_the_hold_is_released(caller: CallerOf) -> None:
    row = caller("alice-withdraw").post("/v1/withdrawals", payout(amount="11")).ok(201)
    target = f"/v1/withdrawals/{row['withdrawal_id']}"
    refused = caller("alice-approve").post(f"{target}/reject", {"note": "wrong address"}).ok()
    assert refused["state"] == "rejected"
    assert refused["history"][-1]["note"] == "wrong address"
    assert refused["history"][-1]["actor"] == "alice-approver"
    assert btc(caller) == ("1000", "0", "1000", "0")
    problem = caller("alice-approve").post(f"{target}/approve").problem(409, "withdrawal_state")
    assert problem["state"] == "rejected"
    assert caller("alice-approve").post(f"{target}/reject").ok()["state"] == "rejected"


def test_W5_a_cancel_answers_canceled_and_nothing_less(
    caller: CallerOf, engine: InProcessEngine
) -> None:
    from engine.core.commands import AdvanceWithdrawal
    from engine.core.types import WithdrawalState

    treasurer = caller("alice-withdraw")
    row = treasurer.post("/v1/withdrawals", payout()).ok(201)
    target = f"/v1/withdrawals/{row['withdrawal_id']}"
    assert treasurer.delete(target).ok()["state"] == "canceled"
    assert treasurer.delete(target).ok()["state"] == "canceled"
    assert btc(caller) == ("1000", "0", "1000", "0")
    row = treasurer.post("/v1/withdrawals", payout("w2")).ok(201)
    target = f"/v1/withdrawals/{row['withdrawal_id']}"
    engine.submit(AdvanceWithdrawal(Origin("worker:x"), 2, int(WithdrawalState.BROADCASTING)))
    problem = treasurer.delete(target).problem(409, "withdrawal_state")
    assert problem["state"] == "broadcasting"
    assert violations(engine.exchange) == []


def test_withdrawals_are_found_by_either_id_and_listed(caller: CallerOf) -> None:
    treasurer = caller("alice-withdraw")
    for name in ("w1", "w2", "w3"):
        treasurer.post("/v1/withdrawals", payout(name)).ok(201)
    treasurer.delete("/v1/withdrawals/client:w2").ok()
    reader = caller("alice-read")
    assert reader.get("/v1/withdrawals/client:w3").ok()["withdrawal_id"] == "3"
    assert reader.get("/v1/withdrawals/3").ok()["client_withdrawal_id"] == "w3"

    def names(**query: Any) -> list[str]:
        rows = reader.get("/v1/withdrawals", **query).ok()["withdrawals"]
        return [row["client_withdrawal_id"] for row in rows]

    assert names() == ["w1", "w2", "w3"]
    assert names(status="open") == ["w1", "w3"]
    assert names(status="closed") == ["w2"]
    assert names(limit=1, cursor=reader.get("/v1/withdrawals", limit=1).ok()["next_cursor"]) == [
        "w2"
    ]
    for name in ("4", "client:no", "abc", "-1", "9" * 30):
        reader.get(f"/v1/withdrawals/{name}").problem(404, "unknown_withdrawal")


def test_accounts_cannot_see_or_touch_each_others_withdrawals(caller: CallerOf) -> None:
    row = caller("alice-withdraw").post("/v1/withdrawals", payout(amount="11")).ok(201)
    for target in (f"/v1/withdrawals/{row['withdrawal_id']}", "/v1/withdrawals/client:w1"):
        caller("bob-read").get(target).problem(404, "unknown_withdrawal")
        caller("bob-withdraw").delete(target).problem(404, "unknown_withdrawal")
        for word in ("approve", "reject"):
            caller("bob-approve").post(f"{target}/{word}").problem(404, "unknown_withdrawal")
    assert caller("bob-read").get("/v1/withdrawals").ok()["withdrawals"] == []
    assert caller("alice-read").get("/v1/withdrawals/1").ok()["state"] == "pending_approval"


def test_a_network_that_there_is_not_is_refused_with_one_sentence(caller: CallerOf) -> None:
    detail = "BTC is not available on pigeon; its networks are: bitcoin."
    deposit = {"deposit_id": "d1", "account": "alice", "asset": "BTC", "amount": "1"}
    for key, target, body in (
        ("operator", "/v1/deposits", deposit),
        ("alice-withdraw", "/v1/withdrawals", payout()),
    ):
        answer = caller(key).post(target, body | {"network": "pigeon"})
        assert answer.problem(422, "unknown_network")["detail"] == detail


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"asset": "XXX"}, 422, "unknown_asset"),
        ({"network": "pigeon"}, 422, "unknown_network"),
        ({"amount": "0.0001"}, 422, "amount_too_small"),
        ({"amount": "0"}, 422, "invalid_field"),
        ({"amount": "0.000000001"}, 422, "invalid_field"),
        ({"amount": "1000"}, 422, "insufficient_funds"),
        ({"asset": "USD", "network": "wire", "amount": "100.001"}, 422, "invalid_quantity"),
        ({"expires_at": 1}, 408, "request_expired"),
        ({"address": "has space"}, 400, "invalid_request"),
        ({"address": BTC_ADDRESS[:-1] + "5"}, 422, "invalid_address"),
        ({"address": "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"}, 422, "invalid_address"),
        ({"quote_id": "Q999"}, 422, "unknown_quote"),
        ({"address": ""}, 400, "invalid_request"),
        ({"client_withdrawal_id": "a/b"}, 400, "invalid_request"),
    ],
)
def test_a_wrong_withdrawal_holds_nothing(
    caller: CallerOf, change: dict[str, Any], status: int, code: str
) -> None:
    body = payout() | change
    caller("alice-withdraw").post("/v1/withdrawals", body).problem(status, code)
    assert btc(caller) == ("1000", "0", "1000", "0")


def test_a_daily_limit_tells_what_remains(caller: CallerOf, engine: InProcessEngine) -> None:
    engine.apply(
        DefineAccount(
            Origin("engine"), "alice", "alice", 500, 1000, SelfTrade.NONE, 10_000,
            daily_limits=(("BTC", 5 * 10**8),),
        )
    )  # fmt: skip
    treasurer = caller("alice-withdraw")
    treasurer.post("/v1/withdrawals", payout("w1", "3")).ok(201)
    problem = treasurer.post("/v1/withdrawals", payout("w2", "3")).problem(
        422, "withdrawal_limit"
    )
    assert (problem["remaining"], problem["asset"]) == ("2", "BTC")
    limits = caller("alice-read").get("/v1/limits").ok()["withdrawals"]
    assert {row["asset"]: row["daily_limit"] for row in limits}["BTC"] == "5"


def test_a_late_copy_of_a_withdrawal_that_came_in_time_is_answered(
    caller: CallerOf, clock: Clock
) -> None:
    treasurer = caller("alice-withdraw")
    body = payout(expires_at=clock() // 1000 + 1000)
    number = treasurer.post("/v1/withdrawals", body).ok(201)["withdrawal_id"]
    clock.advance(60)
    late = treasurer.post("/v1/withdrawals", body)
    assert late.replayed and late.ok(200)["withdrawal_id"] == number
    treasurer.post("/v1/withdrawals", body | {"amount": "2"}).problem(408, "request_expired")
