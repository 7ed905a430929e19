"""Pages of other origins: what is public is theirs to read, and nothing else unless configured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from account_api.http.app import create_app
from account_api.routes import ROUTES
from config.settings import DEMO_FILE, SettingsError, load
from engine.history.queries import open_reader
from tests.api.client import Caller, limit
from tests.api.inprocess import Clock, InProcessEngine

APP = "https://app.example.com"
ALLOW = "Access-Control-Allow-Origin"
ASKED = {"Origin": APP, "Access-Control-Request-Method": "POST",
         "Access-Control-Request-Headers": "x-tandem-key,content-type"}  # fmt: skip
Cross = Callable[..., FlaskClient]


@pytest.fixture
def cross(app: Flask, engine: InProcessEngine, clock: Clock) -> Cross:
    """Make a client of an application that allows some origins."""

    def make(*origins: str) -> FlaskClient:
        settings = replace(app.extensions["tandem"].settings, cors_origins=frozenset(origins))
        return create_app(
            settings, lambda: engine, lambda: open_reader(engine.history_url), clock
        ).test_client()

    return make


@pytest.mark.parametrize(
    "target",
    ["/v1/time", "/v1/instruments", "/v1/books/BTC-USD", "/v1/books/NONE",
     "/v1/trades?symbol=BTC-USD", "/v1/candles?symbol=BTC-USD", "/healthz", "/openapi.json",
     "/docs/api", "/docs/api/plain", "/docs/api/reference.js", "/errors/not_found"],
)  # fmt: skip
def test_what_is_public_is_for_pages_of_every_origin(cross: Cross, target: str) -> None:
    answer = cross().get(target, headers={"Origin": APP})
    assert answer.headers.getlist(ALLOW) == ["*"], target
    assert "Access-Control-Allow-Credentials" not in answer.headers


def test_what_needs_a_key_is_for_no_page_of_another_origin(cross: Cross) -> None:
    http = cross()
    for route in ROUTES:
        if route.scope is not None:
            path = route.path.replace("{", "").replace("}", "")
            answer = http.open(path, method=route.method, headers={"Origin": APP})
            assert ALLOW not in answer.headers, route.path
            assert ALLOW not in http.options(path, headers=ASKED).headers, route.path


def test_options_says_which_methods_a_path_has(cross: Cross) -> None:
    http = cross()
    answer = http.options("/v1/orders")
    assert (answer.status_code, answer.data) == (204, b"")
    assert answer.headers["Allow"] == "DELETE, GET, HEAD, OPTIONS, POST"
    assert http.options("/v1/orders/batch").headers["Allow"] == "OPTIONS, POST"
    assert answer.headers["X-Request-Id"]


def test_a_preflight_of_a_public_read_is_allowed(cross: Cross) -> None:
    answer = cross().options("/v1/books/BTC-USD", headers={
        "Origin": APP, "Access-Control-Request-Method": "GET",
    })  # fmt: skip
    assert answer.status_code == 204
    assert answer.headers[ALLOW] == "*"
    assert answer.headers["Access-Control-Allow-Methods"] == "GET, HEAD"


def test_pages_of_a_configured_origin_may_send_everything(cross: Cross, clock: Clock) -> None:
    http = cross(APP)
    asked = http.options("/v1/orders", headers=ASKED)
    assert asked.status_code == 204 and asked.headers[ALLOW] == APP
    assert "X-Tandem-Signature" in asked.headers["Access-Control-Allow-Headers"]
    assert "POST" in asked.headers["Access-Control-Allow-Methods"]
    caller = Caller(http, clock, key="demo-alice-trade")
    body = limit("cors-1", "buy", "1", "100")
    signed = caller.headers("POST", "/v1/orders", b"")
    refused = caller.send("POST", "/v1/orders", body, signed | {"Origin": APP})
    assert refused.headers.getlist(ALLOW) == [APP]
    refused.problem(401, "unauthorized")
    public = http.get("/v1/time", headers={"Origin": APP})
    assert public.headers.getlist(ALLOW) == [APP] and public.headers["Vary"] == "Origin"
    assert "RateLimit" in public.headers["Access-Control-Expose-Headers"]


@pytest.mark.parametrize("origin", ["https://other.example", "null", f"{APP}:8443", f"{APP}/"])
def test_another_origin_is_not_a_configured_one(cross: Cross, origin: str) -> None:
    http = cross(APP)
    assert ALLOW not in http.options("/v1/orders", headers=ASKED | {"Origin": origin}).headers
    assert ALLOW not in http.get("/v1/orders", headers={"Origin": origin}).headers
    assert http.get("/v1/time", headers={"Origin": origin}).headers[ALLOW] == "*"


@pytest.mark.parametrize("text", ["*", "app.example.com", "https://app.example.com/", "ftp://a"])
def test_an_origin_in_the_configuration_is_checked(tmp_path: Path, text: str) -> None:
    path = tmp_path / "venue.toml"
    demo = DEMO_FILE.read_text(encoding="utf-8")
    path.write_text(demo.replace("[http]\n", f'[http]\ncors_origins = ["{text}"]\n', 1))
    path.chmod(0o600)
    with pytest.raises(SettingsError, match=r"http\.cors_origins\[0\].*expected an origin like"):
        load(path, {"TANDEM_DATA": str(tmp_path)})


def test_a_path_that_ends_with_a_slash_says_what_it_should_be(cross: Cross) -> None:
    answer = cross().get("/v1/balances/")
    assert answer.status_code == 404
    assert answer.json is not None and answer.json["detail"].endswith("slash: /v1/balances.")
    moved = cross().get("/docs/api/")
    assert (moved.status_code, moved.headers["Location"]) == (302, "/docs/api")
