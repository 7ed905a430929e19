"""Tandem for ccxt: the watch methods."""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

ccxt = pytest.importorskip("ccxt", reason="ccxt is not installed: make test does it")

from tests.clients.conftest import Settings  # noqa: E402
from tests.support import pace  # noqa: E402

SYMBOL = "BTC/USD"
Do = Callable[[], Coroutine[Any, Any, Any]]


@contextlib.asynccontextmanager
async def exchanges(settings: Settings, *names: str) -> AsyncIterator[list[Any]]:
    import tandem_ccxt

    made = [tandem_ccxt.pro.tandem(settings(name)) for name in names]
    try:
        for one in made:
            one.timeout_on_exit = 0
            await one.load_markets()
            if one.apiKey.endswith("-trade"):
                await one.cancel_all_orders()
        yield made
    finally:
        for one in made:
            await one.close()


async def after(do: Do, *watches: Coroutine[Any, Any, Any]) -> list[Any]:
    """What each watch says of what is done once all of them wait."""
    waiting = [asyncio.ensure_future(watch) for watch in watches]
    await asyncio.sleep(0.05)
    await do()
    return list(await asyncio.wait_for(asyncio.gather(*waiting), pace.seconds(10)))


async def begun(watch: Coroutine[Any, Any, Any]) -> Any:
    return await asyncio.wait_for(watch, pace.seconds(10))


async def test_every_watch_method_tells_of_a_trade(settings: Settings) -> None:
    from ccxt.test.exchange.base.test_ohlcv import test_ohlcv as judge_candle
    from ccxt.test.exchange.base.test_order import test_order as judge_order
    from ccxt.test.exchange.base.test_order_book import test_order_book as judge_book
    from ccxt.test.exchange.base.test_ticker import test_ticker as judge_ticker
    from ccxt.test.exchange.base.test_trade import test_trade as judge_trade

    async with exchanges(settings, "alice-trade", "bob-trade") as (alice, bob):
        await begun(alice.watch_order_book(SYMBOL))
        await begun(alice.watch_ohlcv(SYMBOL))
        balance = await begun(alice.watch_balance())
        had = balance["BTC"]["total"]
        orders, book, ticker = await after(
            lambda: alice.create_order(SYMBOL, "limit", "buy", 0.5, 60000),
            alice.watch_orders(), alice.watch_order_book(SYMBOL), alice.watch_ticker(SYMBOL),
        )  # fmt: skip
        now = alice.milliseconds()
        judge_order(alice, {}, "watchOrders", orders[-1], SYMBOL, now)
        judge_book(alice, {}, "watchOrderBook", book, SYMBOL)
        judge_ticker(alice, {}, "watchTicker", ticker, SYMBOL)
        assert (orders[-1]["status"], book["bids"]) == ("open", [[60000.0, 0.5, 1]])
        assert ticker["bid"] == 60000.0
        fills, trades, candles, orders, balance = await after(
            lambda: bob.create_order(SYMBOL, "market", "sell", 0.1),
            alice.watch_my_trades(SYMBOL), alice.watch_trades(SYMBOL), alice.watch_ohlcv(SYMBOL),
            alice.watch_orders(SYMBOL), alice.watch_balance(),
        )  # fmt: skip
        now = alice.milliseconds()
        judge_trade(alice, {}, "watchMyTrades", fills[-1], SYMBOL, now, False)
        judge_trade(alice, {}, "watchTrades", trades[-1], SYMBOL, now, True)
        judge_candle(alice, {}, "watchOHLCV", candles[-1], SYMBOL, now)
        judge_order(alice, {}, "watchOrders", orders[-1], SYMBOL, now)
        assert fills[-1]["id"] == trades[-1]["id"]
        assert (fills[-1]["takerOrMaker"], trades[-1]["side"]) == ("maker", "sell")
        assert candles[-1][4] == 60000.0
        assert (orders[-1]["filled"], orders[-1]["timestamp"]) == (0.1, orders[-1]["timestamp"])
        assert orders[-1]["timestamp"] is not None
        assert balance["BTC"]["total"] == pytest.approx(had + 0.1)
        (candles,) = await after(
            lambda: bob.create_order(SYMBOL, "market", "sell", 0.2), alice.watch_ohlcv(SYMBOL)
        )
        fetched = await alice.fetch_ohlcv(SYMBOL)
        assert candles[-1] == fetched[-1], "candles of the stream are those of the venue"
        assert await alice.cancel_all_orders()


async def test_what_happened_without_a_connection_is_told_by_the_next(settings: Settings) -> None:
    async with exchanges(settings, "alice-trade") as (alice,):
        await begun(alice.watch_balance())
        client = alice.client(alice.urls["api"]["ws"])
        watch = asyncio.ensure_future(alice.watch_orders())
        await client.connection.close()
        with pytest.raises(ccxt.NetworkError):
            await asyncio.wait_for(watch, pace.seconds(10))
        made = await alice.create_order(SYMBOL, "limit", "buy", 1, 1000)
        await alice.cancel_order(made["id"])
        known = await begun(alice.watch_orders())
        while known[-1]["status"] != "canceled":
            known = await begun(alice.watch_orders())
        assert known[-1]["id"] == made["id"]


async def test_who_may_not_log_in_is_told(settings: Settings) -> None:
    async with exchanges(settings, "alice-trade") as (stranger,):
        stranger.apiKey = "nobody"
        for _ in range(2):
            with pytest.raises(ccxt.AuthenticationError):
                await begun(stranger.watch_orders())


def book_message(seq: int, bids: list[list[Any]], checksum: int, kind: str = "update") -> Any:
    return {
        "channel": "book", "type": kind, "seq": seq, "prev_seq": seq - 1,
        "ts": "2030-01-31T12:00:00.000000Z",
        "data": {"symbol": "BTC-USD", "bids": bids, "asks": [], "checksum": checksum},
    }  # fmt: skip


@pytest.mark.parametrize("fault", ["checksum", "gap"])
async def test_a_wrong_book_is_given_up_and_begun_anew(settings: Settings, fault: str) -> None:
    async with exchanges(settings, "alice-trade") as (alice,):
        client = alice.client(alice.urls["api"]["ws"])
        await begun(alice.watch_order_book(SYMBOL))
        text = "60000:1.000000000000000001"
        alice.handle_message(client, book_message(
            5, [["60000", "1.000000000000000001", 1]], zlib.crc32(text.encode()), "snapshot"
        ))  # fmt: skip
        watch = asyncio.ensure_future(alice.watch_order_book(SYMBOL))
        await asyncio.sleep(0.05)
        good = zlib.crc32(b"60000:2")
        seq, checksum = (7, good) if fault == "gap" else (6, good + 1)
        alice.handle_message(client, book_message(seq, [["60000", "2", 1]], checksum))
        with pytest.raises(ccxt.ChecksumError, match="lost" if fault == "gap" else "wrong"):
            await asyncio.wait_for(watch, pace.seconds(10))
        book = await begun(alice.watch_order_book(SYMBOL))
        assert book["bids"] == [] and book["nonce"] not in (5, 6, 7)
