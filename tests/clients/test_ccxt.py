"""Tandem for ccxt over REST: ccxt's own suite, and what the suite does not try."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ccxt = pytest.importorskip("ccxt", reason="ccxt is not installed: make test does it")

from account_api.errors import CATALOGUE  # noqa: E402
from tests.api.processes import Venue  # noqa: E402
from tests.clients.conftest import Settings  # noqa: E402
from tests.clients.suite import PACKAGE, run_suite  # noqa: E402
from tests.support import pace  # noqa: E402
from tests.support.waiting import until  # noqa: E402

SYMBOL = "BTC/USD"
ADDRESS = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
PEM = """-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
"""


@pytest.fixture(scope="module")
def alice(settings: Settings) -> Iterator[Any]:
    import tandem_ccxt

    yield tandem_ccxt.tandem(settings("alice-trade"))


@pytest.fixture(scope="module")
def bob(settings: Settings) -> Any:
    return ccxt.tandem(settings("bob-trade"))


@pytest.fixture(scope="module")
def traded(alice: Any, bob: Any) -> dict[str, Any]:
    """A market with a day behind it: orders of most kinds, three trades."""
    bid = alice.create_order(SYMBOL, "limit", "buy", "0.5", "60000", {"postOnly": True})
    alice.create_order(SYMBOL, "limit", "sell", "0.5", "60100")
    sold = bob.create_order(SYMBOL, "market", "sell", "0.1")
    bought = bob.create_market_order_with_cost(SYMBOL, "buy", "601")
    return {"bid": bid, "sold": sold, "bought": bought}


def test_every_error_of_the_venue_is_an_exception_of_ccxt() -> None:
    from tandem_ccxt.errors import EXACT

    assert set(EXACT) == set(CATALOGUE)
    assert all(issubclass(kind, ccxt.BaseError) for kind in EXACT.values())
    for code, kind in EXACT.items():
        if CATALOGUE[code].status >= 500 or CATALOGUE[code].status == 429:
            assert issubclass(kind, ccxt.OperationFailed), code


def test_the_signature_is_that_of_the_specification() -> None:
    import tandem_ccxt

    exchange = tandem_ccxt.tandem({"secret": "demo-alice-trade-secret"})
    given = exchange.signature("1900000000000", "DELETE", "/v1/orders?symbol=BTC-USD")
    assert given == "f978996bee8521c7a95366b8dd707f552c5cf95b8f78e315ab7f5e7818076bee"


def test_a_key_in_pem_signs_with_ed25519() -> None:
    import tandem_ccxt
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    exchange = tandem_ccxt.tandem({"secret": PEM})
    given = bytes.fromhex(exchange.signature("1", "GET", "/v1/balances"))
    text = b"1\nGET\n/v1/balances\n" + exchange.hash(b"", "sha256").encode()
    load_pem_private_key(PEM.encode(), None).public_key().verify(given, text)  # type: ignore[union-attr,call-arg]


def test_no_two_requests_of_one_object_have_the_same_timestamp() -> None:
    import tandem_ccxt

    exchange = tandem_ccxt.tandem()
    stamps = [exchange.nonce() for _ in range(500)]
    assert len(set(stamps)) == 500 and stamps == sorted(stamps)


def test_the_suite_of_ccxt_finds_nothing(settings: Settings, traded: Any, tmp_path: Path) -> None:
    """With the sync class; ``tests.prove --only ccxt`` has the async one and the stream too."""
    tested, told = run_suite(
        tmp_path, settings("alice-trade"), "--private", "--sync", limit_s=pace.seconds(100)
    )
    assert {
        "loadMarkets", "features", "fetchCurrencies", "fetchTicker", "fetchTickers", "fetchOHLCV",
        "fetchTrades", "fetchOrderBook", "fetchStatus", "fetchAccounts", "fetchBalance",
        "fetchTradingFees", "fetchOrders", "fetchOpenOrders", "fetchClosedOrders", "fetchMyTrades",
        "fetchLedger", "fetchDeposits", "fetchWithdrawals", "fetchTransfers",
    } <= set(tested), told  # fmt: skip


def test_tickers_are_those_of_the_venue(alice: Any, traded: Any) -> None:
    asked = []
    page = alice.publicGetTickers
    alice.publicGetTickers = lambda request: asked.append(request) or page(request)
    try:
        every = alice.fetch_tickers()
        assert list(alice.fetch_tickers([SYMBOL])) == [SYMBOL]
        one = alice.fetch_ticker(SYMBOL)
    finally:
        del alice.publicGetTickers
    assert asked == [{}, {}, {"symbol": "BTC-USD"}]
    assert set(every) == set(alice.symbols)
    rows = {row["symbol"]: row for row in alice.publicGetTickers()["tickers"]}
    assert {one["info"]["symbol"]: one["info"] for one in every.values()} == rows
    row = rows["BTC-USD"]
    assert [one[name] for name in ("open", "high", "low", "last")] == [
        float(row[name]) for name in ("open", "high", "low", "last_price")
    ]
    assert (one["baseVolume"], one["quoteVolume"]) == (
        float(row["volume"]), float(row["quote_volume"])
    )  # fmt: skip
    book = alice.fetch_order_book(SYMBOL, 1)
    assert [[one["bid"], one["bidVolume"]], [one["ask"], one["askVolume"]]] == [
        book["bids"][0], book["asks"][0]
    ]  # fmt: skip
    assert every[SYMBOL]["bid"] is None and every[SYMBOL]["last"] == one["last"]
    quiet = alice.fetch_ticker("ETH/USD")
    assert quiet["last"] is None and quiet["baseVolume"] == 0


def test_accounts_are_those_that_the_key_reaches(settings: Settings, alice: Any) -> None:
    rows = alice.fetch_accounts()
    assert [row["id"] for row in rows] == ["alice", "alice:desk"]
    for row in rows:
        assert row["info"]["firm"] == "alice"
        desk = ccxt.tandem(settings("alice-trade") | {"options": {"account": row["id"]}})
        assert "USD" in desk.fetch_balance()


def test_a_trade_is_the_same_for_both_sides(alice: Any, bob: Any, traded: Any) -> None:
    sold, bought = traded["sold"], traded["bought"]
    assert (traded["bid"]["status"], traded["bid"]["timeInForce"]) == ("open", "PO")
    assert (sold["status"], sold["filled"], sold["average"]) == ("closed", 0.1, 60000.0)
    assert (sold["cost"], sold["fee"]) == (6000.0, {"cost": 6.0, "currency": "USD"})
    assert (bought["cost"], bought["filled"]) == (601.0, 0.01)
    mine = alice.fetch_my_trades(SYMBOL)
    his = bob.fetch_my_trades(SYMBOL, mine[0]["timestamp"])
    assert [row["id"] for row in mine] == [row["id"] for row in his]
    assert [row["takerOrMaker"] for row in (*mine, *his)] == ["maker"] * 2 + ["taker"] * 2
    assert mine[0]["order"] == traded["bid"]["id"]
    assert alice.fetch_order_trades(traded["bid"]["id"]) == mine[:1]


def test_the_orders_are_those_of_ccxt(alice: Any, traded: Any) -> None:
    """ccxt's validator of an order judges each; its test of createOrder cannot run in Python."""
    from ccxt.test.exchange.base.test_order import test_order as judge

    stop = alice.create_order(SYMBOL, "market", "sell", 0.1, None, {"triggerPrice": 50000})
    limit = alice.create_order(
        SYMBOL, "limit", "sell", 0.1, 49000, {"triggerPrice": 50000, "clientOrderId": "a/b+c~%2F?"},
    )  # fmt: skip
    iceberg = alice.create_order(
        SYMBOL, "limit", "buy", 1, 50000,
        {"icebergAmount": 0.1, "selfTradePrevention": "EXPIRE_TAKER", "strategy": "mm1"},
    )  # fmt: skip
    killed = alice.create_order(SYMBOL, "limit", "buy", 1, 50000, {"timeInForce": "IOC"})
    for order in (stop, limit, iceberg, killed):
        judge(alice, {}, "createOrder", order, SYMBOL, alice.milliseconds())
        found = alice.fetch_order(order["id"])
        judge(alice, {}, "fetchOrder", found, SYMBOL, alice.milliseconds())
        assert found["clientOrderId"] == order["clientOrderId"]
    assert (stop["type"], stop["triggerPrice"], stop["status"]) == ("market", 50000.0, "open")
    assert (limit["type"], limit["price"], limit["triggerPrice"]) == ("limit", 49000.0, 50000.0)
    assert iceberg["info"]["display_quantity"] == "0.1"
    assert iceberg["info"]["self_trade_prevention"] == "cancel_newest"
    assert (killed["status"], killed["timeInForce"]) == ("canceled", "IOC")
    by_name = alice.cancel_order(None, SYMBOL, {"clientOrderId": limit["clientOrderId"]})
    assert (by_name["id"], by_name["status"]) == (limit["id"], "canceled")
    moved = alice.edit_order(stop["id"], SYMBOL, "market", "sell", 0.05, None, {"stopPrice": 49000})
    assert (moved["amount"], moved["triggerPrice"]) == (0.05, 49000.0)
    gone = alice.cancel_orders([stop["id"], iceberg["id"], "999999999"])
    assert [order["status"] for order in gone] == ["canceled", "canceled", None]


def test_more_than_a_batch_of_orders(alice: Any) -> None:
    wanted = [
        {"symbol": "ETH/USD", "type": "limit", "side": "buy", "amount": 1, "price": 100 + number}
        for number in range(60)
    ]
    wanted[55]["amount"] = 1_000_000
    made = alice.create_orders(wanted)
    assert [order["status"] for order in made].count("open") == 59
    assert made[55]["status"] == "rejected"
    assert made[55]["info"]["error"]["code"] == "quantity_too_large"
    assert len(alice.fetch_open_orders("ETH/USD")) == 59
    change = [{"id": made[0]["id"], "symbol": "ETH/USD", "amount": 2}]
    assert alice.edit_orders(change)[0]["amount"] == 2.0
    assert len(alice.cancel_all_orders("ETH/USD")) == 59
    closed = alice.fetch_canceled_orders("ETH/USD", None, 4)
    assert [order["price"] for order in closed] == [156.0, 157.0, 158.0, 159.0]


def test_money_moves_and_is_in_the_lists(settings: Settings, alice: Any) -> None:
    treasurer = ccxt.tandem(settings("alice-withdraw"))
    paid = treasurer.withdraw("BTC", "0.50000000999", ADDRESS, {"network": "BTC"})
    assert (paid["amount"], paid["fee"]["cost"]) == (0.5, 0.0002)
    until(lambda: treasurer.fetch_withdrawal(paid["id"])["status"] == "ok", "the withdrawal")
    assert [row["txid"] is not None for row in alice.fetch_withdrawals("BTC")] == [True]
    sent = treasurer.transfer("USD", 1000, "alice", "alice:desk")
    assert (sent["fromAccount"], sent["toAccount"]) == ("alice", "alice:desk")
    desk = ccxt.tandem(settings("alice-trade") | {"options": {"account": "alice:desk"}})
    assert desk.fetch_balance()["USD"] == {"free": 1000.0, "used": 0.0, "total": 1000.0}
    assert [row["id"] for row in desk.fetch_transfers("USD")] == [sent["id"]]
    with pytest.raises(ccxt.InvalidAddress, match="createDepositAddress"):
        alice.fetch_deposit_address("ETH")
    made = ccxt.tandem(settings("alice-address")).create_deposit_address("ETH")
    assert made["network"] == "ERC20"
    assert alice.fetch_deposit_address("ETH", {"network": "ERC20"})["address"] == made["address"]


def test_refusals_are_the_right_exceptions(settings: Settings, alice: Any, bob: Any) -> None:
    def refused(kind: type[Exception], call: Any, *arguments: Any) -> None:
        with pytest.raises(kind) as caught:
            call(*arguments)
        assert caught.type is kind

    order = (SYMBOL, "limit", "buy")
    refused(ccxt.InsufficientFunds, alice.create_order, *order, 9000, 100000)
    refused(ccxt.InvalidOrder, alice.create_order, *order, 100000, 100)
    crossing = {"postOnly": True}
    refused(ccxt.OrderImmediatelyFillable, alice.create_order, *order, 1, 900000, crossing)
    refused(ccxt.OrderNotFound, alice.cancel_order, "99999999")
    refused(ccxt.BadSymbol, alice.fetch_order_book, "XRP/USD")
    refused(ccxt.PermissionDenied, alice.withdraw, "BTC", 1, ADDRESS)
    refused(ccxt.ArgumentsRequired, alice.create_order, SYMBOL, "limit", "buy", 1)
    stranger = ccxt.tandem(settings("alice-trade") | {"apiKey": "nobody"})
    refused(ccxt.AuthenticationError, stranger.fetch_balance)
    late = ccxt.tandem(settings("alice-trade") | {"options": {"timeDifference": 60_000}})
    refused(ccxt.InvalidNonce, late.fetch_balance)
    late.options["adjustForTimeDifference"] = True
    late.load_markets(True)
    assert late.fetch_balance()["BTC"]["total"] > 0
    first = alice.create_order(*order, 1, 100, {"clientOrderId": "once"})
    again = alice.create_order(*order, 1, 100, {"clientOrderId": "once"})
    assert first["id"] == again["id"]
    refused(ccxt.DuplicateOrderId, alice.create_order, *order, 2, 100, {"clientOrderId": "once"})


def test_a_token_reads(settings: Settings, venue: Venue) -> None:
    urls = settings("alice-trade")["urls"]
    reader = ccxt.tandem({"token": "demo-alice-read", "urls": urls})
    assert reader.fetch_balance()["BTC"]["total"] > 0


def test_trades_since_a_time_are_found_by_search(alice: Any, bob: Any) -> None:
    """More rows than a page, of which only those from some time on are fetched."""
    alice.create_order(SYMBOL, "limit", "buy", 1, 60000)
    for _ in range(6):
        bob.create_order(SYMBOL, "market", "sell", 0.01)
    every = alice.fetch_my_trades(SYMBOL)
    since = every[-3]["timestamp"]
    wanted = [row["id"] for row in every if row["timestamp"] >= since]
    read = []
    page = alice.privateGetFills
    alice.privateGetFills = lambda request: read.append(request) or page(request)
    try:
        found = alice.fetch_my_trades(SYMBOL, since, None, {"limit": 2})
        assert [row["id"] for row in found] == wanted
        assert read[-1].get("after_trade_id", 0) > 0
        assert read[-1]["limit"] == 2
    finally:
        del alice.privateGetFills
    public = alice.fetch_trades(SYMBOL, since, None, {"limit": 2})
    assert [row["id"] for row in public][:2] == wanted[:2]


def test_the_program_of_the_readme_runs(
    venue: Venue, bob: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (PACKAGE / "README.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    for old, new in (
        ("http://127.0.0.1:8080", venue.url), ("ws://127.0.0.1:8081/v1/stream", venue.stream_url),
    ):  # fmt: skip
        assert old in program
        program = program.replace(old, new)
    exec(program, {})
    assert capsys.readouterr().out == "open\n"


def test_the_readme_names_every_method() -> None:
    import tandem_ccxt

    exchange = tandem_ccxt.pro.tandem()
    text = (PACKAGE / "README.md").read_text(encoding="utf-8")
    for name in re.findall(r"`((?:fetch|create|edit|cancel|watch)[A-Z]\w+)`", text):
        assert callable(getattr(exchange, name, None)), name
        assert exchange.has[name], name
