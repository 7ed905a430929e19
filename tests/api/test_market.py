"""What everybody may see."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.client import EngineRefused
from tests.api.client import Caller, CallerOf
from tests.api.inprocess import START_US, Clock, InProcessEngine


@pytest.fixture
def market(caller: CallerOf, clock: Clock) -> Caller:
    """A book with two levels on each side and three trades in two minutes."""
    alice, bob = caller("alice-trade"), caller("bob-trade")
    number = 0
    for who, side, quantity, price in (
        (alice, "buy", "1", "99"), (alice, "buy", "2", "98.5"), (alice, "buy", "0.5", "99"),
        (bob, "sell", "1", "101"), (bob, "sell", "3", "102"), (alice, "buy", "0.25", "101"),
        (bob, "sell", "0.5", "99"), (bob, "sell", "0.1", "99"),
    ):  # fmt: skip
        number += 1
        body = {"client_order_id": f"m{number}", "symbol": "BTC-USD", "side": side,
                "quantity": quantity, "price": price}  # fmt: skip
        who.post("/v1/orders", body).ok(201)
        if number == 6:
            clock.advance(60)
    return caller("")


def test_time_is_the_venues_clock(caller: CallerOf, clock: Clock) -> None:
    answer = caller("").get("/v1/time").ok()
    assert answer == {"time": "2030-03-17T17:46:40.000000Z", "time_ms": START_US // 1000}


def test_assets_networks_and_instruments(caller: CallerOf) -> None:
    nobody = caller("")
    assets = nobody.get("/v1/assets").ok()["assets"]
    assert assets == [{"asset": name, "decimals": 8} for name in ("BTC", "ETH", "USD")]
    networks = {row["network"]: row for row in nobody.get("/v1/networks").ok()["networks"]}
    assert networks["bitcoin"]["withdrawal_fee"] == "0.0002"
    assert networks["ethereum"]["confirmations_required"] == 12
    rows = nobody.get("/v1/instruments").ok()["instruments"]
    grid = [(row["symbol"], row["tick"], row["lot"], row["status"]) for row in rows]
    assert grid == [
        ("BTC-USD", "0.01", "0.00001", "open"),
        ("ETH-USD", "0.01", "0.0001", "open"),
        ("ETH-BTC", "0.00001", "0.001", "open"),
    ]


def test_a_book_shows_levels_best_first_as_of_a_sequence(
    market: Caller, engine: InProcessEngine
) -> None:
    book = market.get("/v1/books/BTC-USD").ok()
    assert [(row["price"], row["quantity"], row["orders"]) for row in book["bids"]] == [
        ("99", "0.9", 2), ("98.5", "2", 1),
    ]  # fmt: skip
    assert [(row["price"], row["quantity"]) for row in book["asks"]] == [
        ("101", "0.75"), ("102", "3"),
    ]  # fmt: skip
    assert (book["last_price"], book["as_of_seq"]) == ("99", engine.exchange.seq)
    assert len(market.get("/v1/books/BTC-USD", depth=1).ok()["bids"]) == 1
    market.get("/v1/books/NO-SUCH").problem(404, "unknown_symbol")
    market.get("/v1/books/BTC-USD", depth=0).problem(400, "invalid_request")
    market.get("/v1/books/BTC-USD", depth=1001).problem(400, "invalid_request")


def test_trades_ascend_after_a_trade_id(market: Caller) -> None:
    rows = market.get("/v1/trades", symbol="BTC-USD").ok()["trades"]
    assert [(row["trade_id"], row["price"], row["quantity"], row["side"]) for row in rows] == [
        (1, "101", "0.25", "buy"), (2, "99", "0.5", "sell"), (3, "99", "0.1", "sell"),
    ]  # fmt: skip
    page = market.get("/v1/trades", symbol="BTC-USD", after_trade_id=0, limit=2).ok()
    assert page["next_after_trade_id"] == 2
    rest = market.get("/v1/trades", symbol="BTC-USD", after_trade_id=2).ok()
    assert [row["trade_id"] for row in rest["trades"]] == [3]
    assert rest["next_after_trade_id"] is None
    newest = market.get("/v1/trades", symbol="BTC-USD", limit=1).ok()["trades"]
    assert [row["trade_id"] for row in newest] == [3]
    market.get("/v1/trades", symbol="NO-SUCH").problem(404, "unknown_symbol")
    assert market.get("/v1/trades").problem(400, "invalid_request")["field"] == "symbol"


def test_candles(market: Caller) -> None:
    answer = market.get("/v1/candles", symbol="BTC-USD", interval="1m").ok()
    assert [
        (row["start"][11:19], row["open"], row["close"], row["volume"], row["quote_volume"])
        for row in answer["candles"]
    ] == [("17:46:00", "101", "101", "0.25", "25.25"), ("17:47:00", "99", "99", "0.6", "59.4")]
    day = market.get("/v1/candles", symbol="BTC-USD", interval="1d").ok()["candles"]
    assert [(row["high"], row["low"], row["trades"]) for row in day] == [("101", "99", 3)]
    later = market.get("/v1/candles", symbol="BTC-USD", start="2030-03-17T17:47:00Z").ok()
    assert len(later["candles"]) == 1
    market.get("/v1/candles", symbol="BTC-USD", interval="7m").problem(400, "invalid_request")


def test_tickers_show_the_last_24_hours(market: Caller, clock: Clock) -> None:
    rows = {row["symbol"]: row for row in market.get("/v1/tickers").ok()["tickers"]}
    assert set(rows) == {"BTC-USD", "ETH-USD", "ETH-BTC"}
    assert rows["BTC-USD"] == {
        "symbol": "BTC-USD", "start": "2030-03-16T17:47:00.000000Z",
        "open": "101", "high": "101", "low": "99", "change": "-2", "change_percent": "-1.98",
        "volume": "0.85", "quote_volume": "84.65", "trades": 3, "last_price": "99",
        "last_trade_id": 3, "last_trade_at": "2030-03-17T17:47:40.008000Z",
    }  # fmt: skip
    quiet = rows["ETH-USD"]
    assert (quiet["last_price"], quiet["change_percent"], quiet["volume"]) == (None, None, "0")
    clock.advance(25 * 3600)
    (later,) = market.get("/v1/tickers", symbol="BTC-USD").ok()["tickers"]
    assert (later["open"], later["change"], later["trades"]) == (None, None, 0)
    assert (later["last_price"], later["last_trade_id"]) == ("99", 3)
    market.get("/v1/tickers", symbol="NO-SUCH").problem(404, "unknown_symbol")


def test_health_and_readiness(caller: CallerOf, engine: InProcessEngine) -> None:
    assert caller("").get("/healthz").ok()["status"] == "ok"
    ready = caller("").get("/readyz").ok()
    assert ready["status"] == "ready" and str(engine.exchange.seq) in ready["detail"]


def test_a_history_that_cannot_be_read_is_said_so(
    caller: CallerOf, engine: InProcessEngine, tmp_path: Path
) -> None:
    caller("").get("/v1/trades", symbol="BTC-USD").ok()
    for file in tmp_path.glob("history.db*"):
        file.unlink()
    # The worker has the old file open; a new one finds nothing.
    fresh = caller("alice-read")
    fresh.http.application.extensions["tandem"].close()
    problem = fresh.get("/v1/fills").problem(503, "history_unavailable")
    assert (problem["outcome"], problem["retryable"]) == ("not_applied", True)
    caller("").get("/v1/trades", symbol="BTC-USD").problem(503, "history_unavailable")
    caller("").get("/readyz").problem(503, "history_unavailable")
    fresh.get("/v1/balances").ok()
    fresh.get("/v1/orders").ok()


def test_an_engine_that_refuses_is_said_so(caller: CallerOf, engine: InProcessEngine) -> None:
    caller("alice-read").get("/v1/balances").ok()
    engine.failure = EngineRefused("too_many_waiting", "1024 queries wait already")
    caller("alice-read").get("/v1/balances").problem(503, "engine_refused")
