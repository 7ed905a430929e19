"""On a venue that is not production the 401 of a wrong signature says what is wrong with it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from account_api.configuration import api_settings
from account_api.http.app import create_app
from account_api.security.auth import sign_hmac, signing_text
from account_api.security.wrong_signature import BODY_BYTES_MAX
from config.settings import DEMO_FILE, load
from engine.history.queries import open_reader
from tests.api.client import Caller, CallerOf
from tests.api.inprocess import Clock, InProcessEngine

KEY, SECRET = "demo-alice-trade", b"demo-alice-trade-secret"
TARGET = "/v1/orders?strategy=a%2Fb+c&symbol=BTC-USD"
BODY = json.dumps({"b": 1, "a": "ä"}).encode()


def hexed(text: str) -> str:
    return hmac.new(SECRET, text.encode(), hashlib.sha256).hexdigest()


def lines(stamp: str, method: str = "DELETE", target: str = TARGET, body: bytes = b"") -> list[str]:
    return [stamp, method, target, hashlib.sha256(body).hexdigest()]


def refused(
    caller: CallerOf, signature: str, stamp: str, method: str = "DELETE", target: str = TARGET,
    body: bytes = b"", **more: str,
) -> dict[str, Any]:  # fmt: skip
    headers = {
        "X-Tandem-Key": KEY, "X-Tandem-Timestamp": stamp, "X-Tandem-Signature": signature, **more
    }
    answer = caller("").send(method, target, body, headers)
    problem = answer.problem(401, "unauthorized")
    text = answer.raw.decode()
    assert SECRET.decode() not in text
    good = sign_hmac(SECRET, stamp, method, target, body, more.get("Idempotency-Key", ""))
    assert good not in text.lower()
    expected = signing_text(stamp, method, target, body, more.get("Idempotency-Key", ""))
    assert problem["string_to_sign"].encode() == expected
    return problem


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("/v1/orders", "the query is missing"),
        (unquote(TARGET).replace("+", " "), "decoded"),
        ("/v1/orders?strategy=a%2Fb%20c&symbol=BTC-USD", "encoded in another way"),
        ("/v1/orders?strategy=a/b%20c&symbol=BTC-USD", "encoded in another way"),
        ("/orders?strategy=a%2Fb+c&symbol=BTC-USD", "without /v1"),
        ("v1/orders?strategy=a%2Fb+c&symbol=BTC-USD", "first slash"),
        (f"http://localhost{TARGET}", "whole URL"),
    ],
)
def test_a_target_that_was_signed_otherwise_is_named(
    caller: CallerOf, clock: Clock, target: str, said: str
) -> None:
    stamp = str(clock() // 1000)
    problem = refused(caller, hexed("\n".join(lines(stamp, target=target))), stamp)
    assert problem["differs"] == "target" and said in problem["detail"], problem


def test_parameters_that_were_sorted_are_named(caller: CallerOf, clock: Clock) -> None:
    stamp = str(clock() // 1000)
    given, sent = "/v1/orders?a=2&symbol=1", "/v1/orders?symbol=1&a=2"
    problem = refused(caller, hexed("\n".join(lines(stamp, target=given))), stamp, target=sent)
    assert problem["differs"] == "target" and "sorted" in problem["detail"]


@pytest.mark.parametrize(
    ("signed", "said"),
    [
        (b"", "nothing was hashed"),
        (json.dumps({"b": 1, "a": "ä"}, separators=(",", ":")).encode(), "before it was written"),
        (json.dumps({"a": "ä", "b": 1}).encode(), "before it was written"),
        (json.dumps({"b": 1, "a": "ä"}, ensure_ascii=False).encode(), "before it was written"),
    ],
)
def test_a_body_that_was_hashed_otherwise_is_named(
    caller: CallerOf, clock: Clock, signed: bytes, said: str
) -> None:
    stamp = str(clock() // 1000)
    text = "\n".join(lines(stamp, "POST", "/v1/orders", signed))
    problem = refused(caller, hexed(text), stamp, "POST", "/v1/orders", BODY)
    assert problem["differs"] == "body" and said in problem["detail"], problem


def test_each_other_part_is_named(caller: CallerOf, clock: Clock) -> None:
    stamp = str(clock() // 1000)
    four = lines(stamp)
    good = "\n".join(four)
    key = {"Idempotency-Key": "k-1"}
    for signature, more, part, said in (
        (hexed(good.replace("DELETE", "GET")), {}, "method", "GET"),
        (hexed(good.replace("DELETE", "delete")), {}, "method", "delete"),
        (hexed(good.replace(stamp, stamp[:-3])), {}, "timestamp", "seconds"),
        (hexed(good), key, "idempotency_key", "fifth line"),
        (hexed(good + "\n"), {}, "newlines", "without one"),
        (hexed("".join(four)), {}, "newlines", "joined by nothing"),
        (hexed("\r\n".join(four)), {}, "newlines", "carriage return"),
        (hexed(good).upper(), {}, "signature", "upper-case"),
        (base64.b64encode(bytes.fromhex(hexed(good))).decode(), {}, "signature", "base64"),
        (hexed("\n".join([*four[:3], ""])), {}, "body", "hex SHA-256 of nothing"),
        (hexed("\n".join([*four[:3], hashlib.sha256(b"{}").hexdigest()])), {}, "body", "{}"),
        (hexed("\n".join([*four[:3], four[3].upper()])), {}, "body", "upper case"),
    ):
        problem = refused(caller, signature, stamp, **more)
        assert problem["differs"] == part and said in problem["detail"], (said, problem)


def test_what_the_venue_cannot_tell_is_the_same_for_every_key(
    caller: CallerOf, clock: Clock
) -> None:
    stamp = str(clock() // 1000)
    wrong = hmac.new(b"another secret", b"x", hashlib.sha256).hexdigest()
    problems = []
    for key in (KEY, "nobody"):
        headers = {
            "X-Tandem-Key": key, "X-Tandem-Timestamp": stamp, "X-Tandem-Signature": wrong,
            "X-Request-Id": "same",
        }  # fmt: skip
        problems.append(caller("").send("GET", "/v1/balances", b"", headers).json)
    assert problems[0] == problems[1]
    assert "differs" not in problems[0] and "check the secret" in problems[0]["detail"]


def test_a_signature_with_the_dummy_secret_of_an_unknown_key_fits_nothing(
    caller: CallerOf, clock: Clock
) -> None:
    from account_api.security import auth

    stamp = str(clock() // 1000)
    signature = sign_hmac(auth._DUMMY_SECRET, stamp, "POST", "/v1/balances", b"")
    headers = {
        "X-Tandem-Key": "nobody", "X-Tandem-Timestamp": stamp, "X-Tandem-Signature": signature
    }
    assert caller("").send("GET", "/v1/balances", b"", headers).json.get("differs") is None


def test_a_timestamp_that_is_none_is_named(caller: CallerOf) -> None:
    headers = {
        "X-Tandem-Key": KEY, "X-Tandem-Timestamp": "2026-11-30T00:00:00Z",
        "X-Tandem-Signature": "0" * 64,
    }  # fmt: skip
    problem = caller("").send("GET", "/v1/balances", b"", headers).problem(401, "unauthorized")
    assert problem["differs"] == "timestamp" and "milliseconds" in problem["detail"]


@pytest.mark.parametrize("body", [b"[" * 3000, b"x" * (BODY_BYTES_MAX + 1), b"\xff", b'"\\ud800"'])
def test_no_body_is_too_odd_to_be_explained(caller: CallerOf, clock: Clock, body: bytes) -> None:
    stamp = str(clock() // 1000)
    assert refused(caller, "0" * 64, stamp, "POST", "/v1/orders", body).get("differs") is None


def test_in_production_it_stays_unsaid(
    engine: InProcessEngine, clock: Clock, tmp_path: Path
) -> None:
    settings = api_settings(load(DEMO_FILE, {"TANDEM_DATA": str(tmp_path)}))
    settings = replace(settings, page=replace(settings.page, environment="production"))
    app = create_app(settings, lambda: engine, lambda: open_reader(engine.history_url), clock)
    stamp = str(clock() // 1000)
    for signature, when in ((hexed("\n".join(lines(stamp, "GET"))), stamp), ("0" * 64, "today")):
        headers = {
            "X-Tandem-Key": KEY, "X-Tandem-Timestamp": when, "X-Tandem-Signature": signature,
        }  # fmt: skip
        answer = Caller(app.test_client(), clock).send("DELETE", TARGET, b"", headers)
        problem = answer.problem(401, "unauthorized")
        assert "string_to_sign" not in problem and "differs" not in problem
        assert problem["detail"].startswith("The request needs a valid bearer token")
