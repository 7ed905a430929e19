"""What a client hears of a value that is none: which there are, and what would be right."""

from __future__ import annotations

from typing import Any

import pytest

from account_api.routes import ROUTES
from tests.api.client import Caller, CallerOf
from tests.api.inprocess import Clock
from tests.support.signing import signed_headers

ORDER = {
    "client_order_id": "a1", "symbol": "BTC-USD", "side": "buy", "quantity": "1", "price": "100",
}  # fmt: skip
FILTERS = (
    ("alice-read", "GET", "/v1/fills", "symbol", "unknown_symbol"),
    ("alice-read", "GET", "/v1/orders", "symbol", "unknown_symbol"),
    ("alice-trade", "DELETE", "/v1/orders", "symbol", "unknown_symbol"),
    ("", "GET", "/v1/trades", "symbol", "unknown_symbol"),
    ("", "GET", "/v1/candles", "symbol", "unknown_symbol"),
    ("", "GET", "/v1/tickers", "symbol", "unknown_symbol"),
    ("alice-read", "GET", "/v1/balances", "asset", "unknown_asset"),
    ("alice-read", "GET", "/v1/ledger", "asset", "unknown_asset"),
    ("alice-read", "GET", "/v1/transfers", "asset", "unknown_asset"),
    ("alice-read", "GET", "/v1/balances", "account", "not_found"),
    ("operator", "GET", "/v1/balances", "account", "not_found"),
    ("operator", "GET", "/v1/orders", "account", "not_found"),
    ("operator", "GET", "/v1/fills", "account", "not_found"),
)


@pytest.mark.parametrize(("name", "method", "path", "field", "code"), FILTERS)
def test_a_filter_by_what_is_not_there_is_refused(
    caller: CallerOf, name: str, method: str, path: str, field: str, code: str
) -> None:
    """An empty list would say that nothing happened."""
    for value in ("btc-usd", "Nobody"):
        answer = caller(name).send(method, f"{path}?{field}={value}")
        problem = answer.problem(404, code)
        assert problem["field"] == field and value in problem["detail"]


def test_every_query_that_names_an_instrument_asset_or_account_is_among_them() -> None:
    """A new filter is refused in the same way, or this says so."""
    known = {(method, path, field) for _, method, path, field, _ in FILTERS}
    for route in ROUTES:
        for field in ("symbol", "asset"):
            if field in route.query.__struct_fields__:
                assert (route.method, route.path, field) in known, (route.path, field)


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({"side": "BUY"}, "side", "must be buy or sell, not 'BUY'"),
        ({"type": "stop-limit"}, "type", "must be limit, market, stop or stop_limit"),
        ({"time_in_force": "GTC"}, "time_in_force", "fok"),
        ({"self_trade_prevention": "yes"}, "self_trade_prevention", "cancel_oldest"),
    ],
)
def test_a_choice_is_told_what_there_is_to_choose_from(
    caller: CallerOf, body: dict[str, Any], field: str, words: str
) -> None:
    problem = caller("alice-trade").post("/v1/orders", ORDER | body)
    found = problem.problem(400, "invalid_request")
    assert found["field"] == field and words in found["detail"], found["detail"]


def test_choices_are_told_in_queries_and_in_the_operations_of_a_batch(
    alice: Caller, caller: CallerOf
) -> None:
    answer = caller("").get("/v1/candles", symbol="BTC-USD", interval="3m")
    wanted = "The field interval must be 1m, 5m, 15m, 1h, 4h or 1d, not '3m'."
    assert plain_words(answer.json["detail"]) == plain_words(wanted)
    for change, words in (
        ({"op": "amend"}, "must be cancel, create or replace, not 'amend'"),
        ({"op": "create", **ORDER, "side": "BUY"}, "must be buy or sell, not 'BUY'"),
    ):
        answer = alice.post("/v1/orders/batch", {"operations": [change]})
        detail = answer.problem(400, "invalid_request")["detail"]
        assert plain_words(words) <= plain_words(detail), detail


@pytest.mark.parametrize(
    ("body", "code", "field", "words"),
    [
        ({"qty": "1"}, "invalid_request", "qty", "is not known here; the nearest is quantity."),
        ({"symbol": "BTCUSD"}, "unknown_symbol", "symbol",
         "There is no instrument BTCUSD; the nearest is BTC-USD."),
        ({"symbol": "DOGE-EUR"}, "unknown_symbol", "symbol",
         "There is no instrument DOGE-EUR; there "),
    ],
)  # fmt: skip
def test_a_name_that_is_not_known_is_answered_with_the_nearest(
    alice: Caller, body: dict[str, Any], code: str, field: str, words: str
) -> None:
    status = 422 if code == "unknown_symbol" else 400
    found = alice.post("/v1/orders", ORDER | body).problem(status, code)
    assert found["field"] == field and words in found["detail"], found["detail"]


def test_a_number_in_a_query_is_told_that_it_must_be_whole(caller: CallerOf) -> None:
    detail = caller("alice-read").get("/v1/fills", limit="5.5").json["detail"]
    assert detail == "The field limit must be a whole number."


@pytest.mark.parametrize(
    ("factor", "unit"), [(1_000, "microseconds"), (1_000_000, "nanoseconds"), (0.001, "seconds")]
)
def test_a_timestamp_in_another_unit_is_told_which_one_is_wanted(
    alice: Caller, clock: Clock, factor: float, unit: str
) -> None:
    stamp = int(clock.now_us // 1000 * factor)
    secret = alice.secret.encode()
    headers = signed_headers(alice.key, stamp, "GET", "/v1/orders", secret=secret)
    problem = alice.send("GET", "/v1/orders", None, headers).problem(401, "outside_window")
    assert f"seems to be in {unit}." in problem["detail"]
    assert "milliseconds since 1970" in problem["detail"]


def plain_words(text: str) -> set[str]:
    """The words of a sentence, in whichever order the choices are listed."""
    return set(text.replace(",", " ").rstrip(".").split()) - {"or"}
