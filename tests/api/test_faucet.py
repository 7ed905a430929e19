"""Test coins: a bounded number of portions a day, each once, and none where money is real."""

from __future__ import annotations

from dataclasses import replace

import pytest
from flask import Flask
from msgspec import structs

from account_api.http.app import create_app
from engine.core.commands import OpenSession
from engine.core.types import CancelScope, Origin
from engine.history.queries import open_reader
from tests.api.client import Caller, CallerOf
from tests.api.inprocess import Clock, InProcessEngine


def available(caller: Caller, asset: str) -> str:
    rows = caller.get("/v1/balances").ok()["balances"]
    return {row["asset"]: row["available"] for row in rows}[asset]


def test_a_portion_is_credited_to_the_callers_own_account(alice: Caller, caller: CallerOf) -> None:
    given = alice.post("/v1/faucet", {"asset": "USD"}).ok(201)
    assert (given["account"], given["amount"], given["credited"]) == ("alice", "50000", True)
    assert available(alice, "USD") == "100050000"
    assert available(caller("bob-trade"), "USD") == "100000000"
    rows = caller("alice-read").get("/v1/deposits").ok()["deposits"]
    assert [row["deposit_id"] for row in rows if row["deposit_id"].startswith("faucet:")] == [
        given["deposit_id"]
    ]


def test_a_day_has_ten_portions_of_each_asset_and_tomorrow_has_new_ones(
    alice: Caller, caller: CallerOf, clock: Clock
) -> None:
    for _ in range(10):
        alice.post("/v1/faucet", {"asset": "BTC"}).ok(201)
    refused = alice.post("/v1/faucet", {"asset": "BTC"})
    problem = refused.problem(429, "rate_limited")
    assert "no more of this asset today" in problem["detail"] and problem["retryable"]
    assert 0 < int(refused.headers["Retry-After"]) <= 86_400
    assert available(alice, "BTC") == "1010"
    alice.post("/v1/faucet", {"asset": "ETH"}).ok(201)
    caller("bob-trade").post("/v1/faucet", {"asset": "BTC"}).ok(201)
    clock.advance(int(refused.headers["Retry-After"]))
    alice.post("/v1/faucet", {"asset": "BTC"}).ok(201)
    assert available(alice, "BTC") == "1011"


def test_the_same_signed_request_gives_one_portion(alice: Caller) -> None:
    for portions in range(1, 11):
        body = b'{"asset":"BTC"}'
        headers = alice.headers("POST", "/v1/faucet", body)
        first = alice.send("POST", "/v1/faucet", body, headers).ok(201)
        again = alice.send("POST", "/v1/faucet", body, headers)
        assert again.replayed and again.ok(200) == first
        assert available(alice, "BTC") == str(1000 + portions)


def test_who_may_not_ask_is_told_why(alice: Caller, caller: CallerOf) -> None:
    body = {"asset": "BTC"}
    caller("").post("/v1/faucet", body).problem(401, "unauthorized")
    caller("alice-read").post("/v1/faucet", body).problem(403, "insufficient_scope")
    caller("alice-withdraw").post("/v1/faucet", body).problem(403, "insufficient_scope")
    caller("operator").post("/v1/faucet", body).problem(403, "insufficient_scope")
    alice.post("/v1/faucet", {"asset": "DOGE"}).problem(422, "unknown_asset")
    alice.post("/v1/faucet", {"asset": "BTC", "amount": "5"}).problem(400, "invalid_request")


@pytest.mark.parametrize("assets", [None, ("ETH",)])
def test_a_venue_gives_what_it_is_configured_to(
    app: Flask, engine: InProcessEngine, clock: Clock, assets: tuple[str, ...] | None
) -> None:
    settings = app.extensions["tandem"].settings
    faucet = settings.faucet
    portions = tuple(p for p in faucet.portions if p[0] in (assets or ()))
    some = structs.replace(faucet, portions=portions)
    one = create_app(
        replace(settings, faucet=some if assets else None),
        lambda: engine, lambda: open_reader(engine.history_url), clock,
    )  # fmt: skip
    alice = Caller(one.test_client(), clock, key="demo-alice-trade")
    answer = alice.post("/v1/faucet", {"asset": "BTC"})
    if assets:
        assert "gives ETH" in answer.problem(422, "unknown_asset")["detail"]
    else:
        answer.problem(403, "not_permitted")


def test_sessions_are_shown_to_their_account_and_all_to_an_operator(
    caller: CallerOf, engine: InProcessEngine
) -> None:
    for firm, grace in (("bob", 3), ("alice", 5)):
        engine.submit(
            OpenSession(
                Origin(f"fix:{firm.upper()}"), firm, CancelScope.SESSION, grace * 1_000_000
            )
        )
    own = caller("alice-read").get("/v1/sessions").ok()["sessions"]
    assert own == [
        {"session": "fix:ALICE", "account": "alice", "connected": True, "epoch": own[0]["epoch"],
         "received": 0, "cancel_on_disconnect": "connection", "grace_s": 5, "closes_at": None}
    ]  # fmt: skip
    operator = caller("operator")
    assert [row["account"] for row in operator.get("/v1/sessions").ok()["sessions"]] == [
        "alice", "bob",
    ]  # fmt: skip
    rows = operator.get("/v1/sessions", account="bob").ok()["sessions"]
    assert [row["session"] for row in rows] == ["fix:BOB"]
    caller("alice-read").get("/v1/sessions", account="bob").problem(404, "not_found")
