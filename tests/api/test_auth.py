"""Who may do what: tokens, signatures, windows, scopes, addresses, and acting once."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask import Flask

from account_api.configuration import api_settings
from account_api.http.app import create_app
from account_api.security.auth import sign_hmac, signing_text
from account_api.settings import ApiKey
from config.settings import DEMO_FILE, load
from engine.history.queries import open_reader
from tests.api.client import Answer, Caller, CallerOf
from tests.api.inprocess import Clock, InProcessEngine
from tests.support.signing import signed_headers

ORDER = {
    "client_order_id": "a1", "symbol": "BTC-USD", "side": "buy", "quantity": "1", "price": "100",
}  # fmt: skip


def order(number: int) -> dict[str, Any]:
    return ORDER | {"client_order_id": f"o{number}"}


def signed(clock: Clock, key: str, method: str, target: str, body: bytes = b"") -> dict[str, str]:
    return signed_headers(key, clock() // 1000, method, target, body)


def test_nobody_is_told_how_to_prove_who_he_is(caller: CallerOf) -> None:
    answer = caller("").get("/v1/balances")
    answer.problem(401, "unauthorized")
    assert "Bearer" in answer.headers["WWW-Authenticate"]


def test_a_bearer_token_reads_and_does_nothing_else(caller: CallerOf) -> None:
    reader = caller("alice-read")
    assert reader.get("/v1/balances").ok()["account"] == "alice"
    problem = reader.post("/v1/orders", ORDER).problem(403, "insufficient_scope")
    assert problem["required_scope"] == "trade"
    body = {"client_withdrawal_id": "w", "asset": "BTC", "address": "x",
            "amount": "1"}  # fmt: skip
    reader.post("/v1/withdrawals", body).problem(403, "insufficient_scope")


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic ZGVtbzpkZW1v"},
        {"Authorization": "demo-alice-read"},
        {"Authorization": "Bearer demo-alice-trade-secret"},
        {"X-Tandem-Key": "demo-alice-trade"},
        {"X-Tandem-Signature": "00" * 32},
    ],
)
def test_a_wrong_credential_is_unauthorized(caller: CallerOf, headers: dict[str, str]) -> None:
    caller("").send("GET", "/v1/balances", headers=headers).problem(401, "unauthorized")


def test_unknown_key_and_wrong_signature_are_answered_alike(
    caller: CallerOf, clock: Clock
) -> None:
    nobody = caller("")
    unknown = signed(clock, "demo-mallory-trade", "GET", "/v1/balances")
    wrong = signed(clock, "demo-alice-trade", "GET", "/v1/balances")
    wrong["X-Tandem-Signature"] = "0" * 64
    answers = [
        nobody.send("GET", "/v1/balances", headers=headers).problem(401, "unauthorized")
        for headers in (unknown, wrong)
    ]
    for answer in answers:
        del answer["request_id"]
    assert answers[0] == answers[1]


def test_a_token_and_a_signature_together_are_refused(caller: CallerOf, clock: Clock) -> None:
    headers = signed(clock, "demo-alice-trade", "GET", "/v1/balances")
    headers["Authorization"] = "Bearer demo-alice-read"
    caller("").send("GET", "/v1/balances", headers=headers).problem(401, "unauthorized")


@pytest.mark.parametrize(
    ("age_ms", "fine"),
    [(0, True), (5000, True), (5001, False), (-1000, True), (-1001, False), (10**9, False)],
)
def test_the_window_is_5_s_back_and_1_s_ahead(
    caller: CallerOf, clock: Clock, age_ms: int, fine: bool
) -> None:
    headers = signed(clock, "demo-alice-trade", "GET", "/v1/balances")
    clock.now_us += age_ms * 1000
    answer = caller("").send("GET", "/v1/balances", headers=headers)
    if fine:
        answer.ok()
    else:
        problem = answer.problem(401, "outside_window")
        assert problem["server_time_ms"] == clock() // 1000


def test_every_part_of_the_request_is_signed(caller: CallerOf, clock: Clock) -> None:
    body = json.dumps(order(1)).encode()
    good = signed(clock, "demo-alice-trade", "POST", "/v1/orders", body)
    nobody = caller("")
    variants: list[tuple[str, str, bytes, dict[str, str]]] = [
        ("POST", "/v1/orders", body.replace(b'"1"', b'"2"'), good),
        ("POST", "/v1/orders?symbol=BTC-USD", body, good),
        ("POST", "/v1/orders/batch", body, good),
        ("PATCH", "/v1/orders/1", body, good),
        ("POST", "/v1/orders", body, good | {"X-Tandem-Key": "demo-bob-trade"}),
        ("POST", "/v1/orders", body, good | {"X-Tandem-Timestamp": str(clock() // 1000 + 1)}),
        ("POST", "/v1/orders", body,
         good | {"X-Tandem-Signature": good["X-Tandem-Signature"].upper()}),
        ("POST", "/v1/orders", body, good | {"X-Tandem-Signature": good["X-Tandem-Signature"][1:]}),
    ]  # fmt: skip
    for method, target, data, headers in variants:
        nobody.send(method, target, data, headers).problem(401, "unauthorized")
    nobody.send("POST", "/v1/orders", body, good).ok(201)


def test_bytes_moved_between_query_and_body_do_not_verify(
    alice: Caller, caller: CallerOf, clock: Clock
) -> None:
    for number in (1, 2):
        alice.post("/v1/orders", order(number)).ok(201)
    narrow = signed(clock, "demo-alice-trade", "DELETE", "/v1/orders?strategy=mm1")
    nobody = caller("")
    moved = nobody.send("DELETE", "/v1/orders", b"?strategy=mm1", narrow)
    moved.problem(401, "unauthorized")
    nobody.send("DELETE", "/v1/orders", headers=narrow).problem(401, "unauthorized")
    # Even signed for it, a body where none is defined is refused.
    with_body = signed(clock, "demo-alice-trade", "DELETE", "/v1/orders", b"?strategy=mm1")
    answer = nobody.send("DELETE", "/v1/orders", b"?strategy=mm1", with_body)
    answer.problem(400, "body_not_allowed")
    assert len(caller("alice-read").get("/v1/orders").ok()["orders"]) == 2


def test_I2_a_signed_cancel_all_acts_once(caller: CallerOf, clock: Clock) -> None:
    alice, nobody = caller("alice-trade"), caller("")
    alice.post("/v1/orders", order(1)).ok(201)
    headers = signed(clock, "demo-alice-trade", "DELETE", "/v1/orders")
    first = nobody.send("DELETE", "/v1/orders", headers=headers)
    assert [row["client_order_id"] for row in first.ok()["canceled"]] == ["o1"]
    assert not first.replayed
    alice.post("/v1/orders", order(2)).ok(201)
    second = nobody.send("DELETE", "/v1/orders", headers=headers)
    assert second.replayed
    assert second.ok() == first.ok()
    open_now = caller("alice-read").get("/v1/orders").ok()["orders"]
    assert [row["client_order_id"] for row in open_now] == ["o2"]


def test_I2_a_replayed_create_and_its_refusal_are_answered_as_before(
    caller: CallerOf, clock: Clock, engine: InProcessEngine
) -> None:
    nobody = caller("")
    for body, status in ((order(1), 201), (order(2) | {"price": "900000"}, 201),
                         (order(3) | {"quantity": "9999", "price": "100000"}, 422)):  # fmt: skip
        data = json.dumps(body).encode()
        headers = signed(clock, "demo-alice-trade", "POST", "/v1/orders", data)
        first = nobody.send("POST", "/v1/orders", data, headers)
        assert first.status == status, first.raw
        seq = engine.exchange.seq
        again = nobody.send("POST", "/v1/orders", data, headers)
        assert engine.exchange.seq == seq
        if status == 201:
            assert again.ok(200) == first.json and again.replayed
        else:
            one, two = first.json, again.json
            assert {**one, "request_id": ""} == {**two, "request_id": ""}
        clock.advance(0.01)


def test_I4_the_window_is_checked_again_by_the_engine(
    caller: CallerOf, clock: Clock, engine: InProcessEngine
) -> None:
    body = json.dumps(order(1)).encode()
    headers = signed(clock, "demo-alice-trade", "POST", "/v1/orders", body)
    real = engine.submit

    def slow(command: Any, timeout_s: float | None = None) -> Any:
        clock.advance(6)
        return real(command, timeout_s)

    engine.submit = slow  # type: ignore[method-assign]
    problem = caller("").send("POST", "/v1/orders", body, headers).problem(408, "request_expired")
    assert problem["outcome"] == "not_applied"
    assert caller("alice-read").get("/v1/orders").ok()["orders"] == []


def app_with(keys: tuple[ApiKey, ...], engine: InProcessEngine, clock: Clock, data: Path) -> Flask:
    settings = replace(api_settings(load(DEMO_FILE, {"TANDEM_DATA": str(data)})), keys=keys)
    return create_app(settings, lambda: engine, lambda: open_reader(engine.history_url), clock)


def test_ed25519_keys_sign_the_same_text(
    engine: InProcessEngine, clock: Clock, tmp_path: Path
) -> None:
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    key = ApiKey(
        "ed", "ed25519", "alice", "alice", "robot", frozenset(("read", "trade")),
        public_key=public,
    )  # fmt: skip
    http = app_with((key,), engine, clock, tmp_path).test_client()
    nobody = Caller(http, clock)
    stamp = str(clock() // 1000)
    signature = private.sign(signing_text(stamp, "GET", "/v1/balances", b"")).hex()
    headers = {
        "X-Tandem-Key": "ed", "X-Tandem-Timestamp": stamp, "X-Tandem-Signature": signature,
    }  # fmt: skip
    assert nobody.send("GET", "/v1/balances", headers=headers).ok()["account"] == "alice"
    bad = dict(headers)
    flipped = "1" if signature[0] == "0" else "0"
    bad["X-Tandem-Signature"] = flipped + signature[1:]
    nobody.send("GET", "/v1/balances", headers=bad).problem(401, "unauthorized")
    # A secret of an HMAC key is worth nothing with an Ed25519 key.
    bad["X-Tandem-Signature"] = sign_hmac(public, stamp, "GET", "/v1/balances", b"")
    nobody.send("GET", "/v1/balances", headers=bad).problem(401, "unauthorized")


@pytest.mark.parametrize(
    ("allowed", "address", "fine"),
    [
        ("127.0.0.0/8", "127.0.0.1", True),
        ("10.0.0.0/8", "127.0.0.1", False),
        ("10.0.0.0/8", "::ffff:10.1.2.3", True),
        ("2001:db8::/32", "2001:db8::1", True),
        ("2001:db8::/32", "10.0.0.1", False),
        ("10.0.0.0/8", "", False),
    ],
)
def test_a_key_can_be_bound_to_addresses(
    engine: InProcessEngine, clock: Clock, tmp_path: Path, allowed: str, address: str, fine: bool
) -> None:
    key = ApiKey(
        "t", "bearer", "alice", "alice", "reader", frozenset(("read",)),
        token_sha256=hashlib.sha256(b"token").hexdigest(), allow=(ip_network(allowed),),
    )  # fmt: skip
    http = app_with((key,), engine, clock, tmp_path).test_client()
    response = http.get(
        "/v1/balances",
        headers={"Authorization": "Bearer token"},
        environ_overrides={"REMOTE_ADDR": address},
    )
    answer = Answer(response.status_code, response.headers, response.data)
    if fine:
        answer.ok()
    else:
        answer.problem(403, "source_not_allowed")


def test_an_operator_reads_any_account_and_trades_for_none(caller: CallerOf) -> None:
    operator = caller("operator")
    assert operator.get("/v1/balances", account="bob").ok()["account"] == "bob"
    operator.get("/v1/balances").problem(400, "invalid_request")
    operator.post("/v1/orders", ORDER).problem(403, "insufficient_scope")


@pytest.mark.parametrize("name", ["alice-trade", "alice-withdraw", "alice-approve"])
def test_only_an_operator_credits_deposits_and_halts(caller: CallerOf, name: str) -> None:
    body = {"deposit_id": "d1", "account": "alice", "asset": "BTC", "amount": "1"}
    caller(name).post("/v1/deposits", body).problem(403, "insufficient_scope")
    target = "/v1/instruments/BTC-USD/status"
    caller(name).put(target, {"status": "halted"}).problem(403, "insufficient_scope")


def test_no_secret_is_shown_by_a_repr(app: Flask) -> None:
    settings = app.extensions["tandem"].settings
    shown = repr(settings)
    assert "demo-alice-trade" in shown
    assert "-secret" not in shown
    for key in settings.keys:
        assert not key.token_sha256 or key.token_sha256 not in shown


def test_what_was_done_and_is_no_longer_kept_is_said_so(
    caller: CallerOf, clock: Clock, engine: InProcessEngine
) -> None:
    headers = signed(clock, "demo-alice-trade", "DELETE", "/v1/orders")
    nobody = caller("")
    nobody.send("DELETE", "/v1/orders", headers=headers).ok()
    for token, (_, until) in list(engine.exchange.tokens.items()):
        engine.exchange.tokens[token] = (0, until)
    problem = nobody.send("DELETE", "/v1/orders", headers=headers).problem(409, "already_done")
    assert problem["outcome"] == "applied"


def test_a_key_of_no_account_acts_for_none(
    engine: InProcessEngine, clock: Clock, tmp_path: Path
) -> None:
    key = ApiKey(
        "ops", "hmac", "", "", "ops", frozenset(("operator", "trade")), secret=b"ops-secret"
    )
    http = app_with((key,), engine, clock, tmp_path).test_client()
    caller = Caller(http, clock, key="ops")
    caller.post("/v1/orders", ORDER).problem(403, "not_permitted")
    caller.delete("/v1/orders").problem(403, "not_permitted")
