"""The questions to the history: whose rows, in which order, where pages end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, insert
from sqlalchemy.exc import DBAPIError

from engine.core.types import INT64_MAX, Liquidity, Side, WithdrawalState
from engine.history import queries, schema
from engine.history.paging import CursorError, _make_cursor
from engine.history.projector import Projector
from engine.history.store import StoreError, open_reader, open_writer
from tests.unit.history.by_hand import SECOND_US, START_US, day

BOTH = ["alice", "bob"]


@pytest.fixture
def connection(url: str) -> Iterator[Connection]:
    """A reader's connection to the projected day."""
    writer = open_writer(url)
    Projector(writer).apply(day())
    writer.dispose()
    reader = open_reader(url)
    with reader.connect() as opened:
        yield opened
    reader.dispose()


def test_fills_need_no_order_id_and_carry_client_order_id_and_strategy(
    connection: Connection,
) -> None:
    page = queries.fills(connection, ["alice"], symbol="BTC-USD")
    assert [(row.trade_id, row.client_order_id, row.strategy) for row in page.rows] == [
        (1, "a-2", "mm"),
        (2, "a-2", "mm"),
    ]
    assert {row.first_client_order_id for row in page.rows} == {"a-1"}
    assert page.rows[0].liquidity is Liquidity.MAKER
    assert page.rows[0].side is Side.BUY
    assert (page.rows[0].qty, page.rows[0].cash, page.rows[0].fee_asset) == (4, 800, "USD")
    assert page.cursor is None
    assert page.as_of_seq == len(day())


def test_after_trade_id_is_exclusive_and_pages_join_without_gap(connection: Connection) -> None:
    first = queries.fills(connection, ["alice"], limit=1)
    assert [row.trade_id for row in first.rows] == [1]
    assert first.cursor == "1"
    second = queries.fills(connection, ["alice"], after_trade_id=1, limit=1)
    assert [row.trade_id for row in second.rows] == [2]
    assert second.cursor is None
    assert queries.fills(connection, ["alice"], after_trade_id=2).rows == []


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_a_page_never_ends_between_the_two_sides_of_a_trade(
    connection: Connection, limit: int
) -> None:
    seen, after = [], 0
    while True:
        page = queries.fills(connection, BOTH, after_trade_id=after, limit=limit)
        seen += [(row.trade_id, row.account) for row in page.rows]
        if page.cursor is None:
            break
        after = int(page.cursor)
    assert sorted(seen) == [(1, "alice"), (1, "bob"), (2, "alice"), (2, "bob")]


def test_fills_by_any_id_of_the_chain_by_order_and_by_strategy(connection: Connection) -> None:
    for wanted in ("a-1", "a-2"):
        assert len(queries.fills(connection, ["alice"], client_order_id=wanted).rows) == 2
    assert len(queries.fills(connection, BOTH, order_id=2).rows) == 1
    assert len(queries.fills(connection, BOTH, strategy="mm").rows) == 2
    assert queries.fills(connection, BOTH, strategy="other").rows == []
    assert len(queries.fills(connection, BOTH, side=Side.SELL).rows) == 2


def test_nobody_sees_the_rows_of_another_account(connection: Connection) -> None:
    assert queries.order(connection, ["bob"], order_id=1) is None
    assert queries.order(connection, ["bob"], client_order_id="a-1") is None
    assert queries.fills(connection, ["bob"], client_order_id="a-2").rows == []
    assert queries.fills(connection, ["bob"], order_id=1).rows == []
    assert queries.withdrawal(connection, ["bob"], withdrawal_id=1) is None
    assert queries.deposit(connection, ["bob"], "genesis:alice:USD") is None
    assert queries.ledger(connection, []).rows == []
    assert {row.account for row in queries.ledger(connection, ["bob"]).rows} == {"bob"}


def test_orders_by_status_and_cursor(connection: Connection) -> None:
    first = queries.orders(connection, BOTH, limit=2)
    assert [row.row.order.order_id for row in first.rows] == [1, 2]
    assert first.cursor is not None
    second = queries.orders(connection, BOTH, limit=2, cursor=first.cursor)
    assert [row.row.order.order_id for row in second.rows] == [3]
    assert second.cursor is None
    newest = queries.orders(connection, BOTH, limit=2, newest=True)
    assert [row.row.order.order_id for row in newest.rows] == [3, 2]
    older = queries.orders(connection, BOTH, limit=2, newest=True, cursor=newest.cursor or "")
    assert [row.row.order.order_id for row in older.rows] == [1] and older.cursor is None
    for direction, foreign in ((True, first.cursor), (False, newest.cursor)):
        with pytest.raises(CursorError):
            queries.orders(connection, BOTH, newest=direction, cursor=foreign or "")
    assert queries.orders(connection, BOTH, status="open").rows == []
    assert len(queries.orders(connection, BOTH, status="closed", side=Side.SELL).rows) == 2
    assert queries.order(connection, BOTH, order_id=1, client_order_id="b-1") is None


def test_order_without_any_id_finds_nothing(connection: Connection) -> None:
    assert queries.order(connection, BOTH) is None
    assert queries.withdrawal(connection, BOTH) is None


def test_ledger_pages_by_cursor_in_order_of_happening(connection: Connection) -> None:
    everything = queries.ledger(connection, ["alice"], limit=1000).rows
    paged, cursor = [], ""
    while True:
        page = queries.ledger(connection, ["alice"], limit=2, cursor=cursor)
        paged += page.rows
        if page.cursor is None:
            break
        cursor = page.cursor
    assert paged == everything
    assert [row.cause for row in queries.ledger(connection, ["alice"], asset="USD").rows] == [
        "deposit", "order_hold", "order_change", "fill", "fee", "fill", "order_release",
        "withdrawal_hold", "withdrawal_posted", "withdrawal_returned", "transfer",
    ]  # fmt: skip
    fee = queries.ledger(connection, ["alice"], cause="fee").rows[0]
    assert (fee.reference, fee.client_order_id, fee.strategy) == ("trade:1", "a-2", "mm")


@pytest.mark.parametrize("cursor", ["x", "ä", "W10", "WyJvcmRlcnMiLDFd", "WyJsZWRnZXIiLDEsMl0"])
def test_a_strange_cursor_is_refused(connection: Connection, cursor: str) -> None:
    with pytest.raises(queries.CursorError, match="not given out by the list of ledger"):
        queries.ledger(connection, BOTH, cursor=cursor)


def test_a_cursor_of_forged_types_is_refused(connection: Connection) -> None:
    for values in (["a", "b", "c"], [1, 2, INT64_MAX + 1], [True, 1, 1], [-1, 0, 0]):
        with pytest.raises(queries.CursorError):
            queries.ledger(connection, BOTH, cursor=_make_cursor("ledger", values))


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_limits_are_bounded(connection: Connection, limit: int) -> None:
    with pytest.raises(ValueError, match="must be from 1 to 1000"):
        queries.fills(connection, BOTH, limit=limit)


def test_trades_newest_or_after_an_id(connection: Connection) -> None:
    newest = queries.trades(connection, "BTC-USD", limit=1)
    assert [row.trade_id for row in newest.rows] == [2]
    after = queries.trades(connection, "BTC-USD", after_trade_id=0, limit=1)
    assert ([row.trade_id for row in after.rows], after.cursor) == ([1], "1")
    assert after.rows[0].taker_side is Side.SELL
    assert queries.trades(connection, "ETH-USD").rows == []


def test_candles_of_each_interval(connection: Connection) -> None:
    for interval_us in queries.CANDLE_INTERVALS_US.values():
        (candle,) = queries.candles(connection, "BTC-USD", interval_us).rows
        assert candle.start_us == START_US - START_US % interval_us
        assert (candle.open, candle.high, candle.low, candle.close) == (100, 100, 100, 100)
        assert (candle.qty, candle.cash, candle.trades) == (7, 1400, 2)
    with pytest.raises(ValueError, match="1m, 5m"):
        queries.candles(connection, "BTC-USD", 7)


def test_a_ticker_is_24_hours_of_whole_hours_and_the_minutes_before_them(
    connection: Connection, url: str
) -> None:
    minute, hour = (queries.CANDLE_INTERVALS_US[name] for name in ("1m", "1h"))
    first, day_us = START_US // hour * hour, 24 * hour
    names = ("interval_us", "start_us", "open", "high", "low", "close", "qty", "cash", "trades")
    rows = [
        (minute, first - 2 * minute, 7, 9, 5, 7, 10**20, 3, 1),
        (minute, first - minute, 8, 12, 8, 11, 2, 5, 2),
        (hour, first - hour, 7, 12, 5, 11, 10**20 + 2, 8, 3),
        (hour, first, 11, 11, 4, 6, 3, 7, 4),
    ]
    writer = open_writer(url)
    with writer.begin() as opened:
        opened.execute(
            insert(schema.candles),
            [{"symbol": "ETH-USD"} | dict(zip(names, row, strict=True)) for row in rows],
        )
    writer.dispose()
    whole = queries.ticker(connection, "ETH-USD", first - 2 * minute + day_us)
    assert whole.from_us == first - 2 * minute
    assert (whole.open, whole.high, whole.low, whole.close) == (7, 12, 4, 6)
    assert (whole.qty, whole.cash, whole.trades) == (10**20 + 5, 15, 7)
    part = queries.ticker(connection, "ETH-USD", first - minute + day_us + 1)
    assert (part.open, part.high, part.qty) == (8, 12, 5)
    hours = queries.ticker(connection, "ETH-USD", first + day_us)
    assert (hours.open, hours.high, hours.trades) == (11, 11, 4)
    assert queries.ticker(connection, "ETH-USD", first + hour + day_us).trades == 0
    old = queries.ticker(connection, "BTC-USD", START_US + 9 * day_us)
    assert (old.trades, old.open, old.last_trade_id, old.last_price) == (0, 0, 2, 100)


def test_times_are_bounded_below_and_open_above(connection: Connection) -> None:
    at = START_US + 7 * SECOND_US
    assert [row.trade_id for row in queries.fills(connection, ["bob"], from_us=at).rows] == [1, 2]
    assert queries.fills(connection, ["bob"], from_us=at, to_us=at).rows == []
    assert len(queries.fills(connection, ["bob"], from_us=at, to_us=at + 1).rows) == 1


def test_withdrawal_with_history_deposit_and_transfer(connection: Connection) -> None:
    found = queries.withdrawal(connection, ["alice"], client_withdrawal_id="w-1")
    assert found is not None
    assert found.state is WithdrawalState.FAILED
    assert [step.state for step in found.history] == [
        WithdrawalState.REQUESTED, WithdrawalState.CONFIRMING, WithdrawalState.FAILED,
    ]  # fmt: skip
    assert queries.withdrawals(connection, BOTH, states=[WithdrawalState.FAILED]).rows == [found]
    assert queries.withdrawals(connection, BOTH, states=[WithdrawalState.QUEUED]).rows == []
    first = queries.deposits(connection, BOTH, limit=1)
    assert first.cursor is not None
    second = queries.deposits(connection, BOTH, limit=1, cursor=first.cursor)
    assert [row.account for row in (*first.rows, *second.rows)] == ["alice", "bob"]
    assert second.cursor is None
    assert [row.change for row in queries.transfers(connection, BOTH).rows] == [-100, 100]


def test_a_reader_cannot_write(connection: Connection) -> None:
    with pytest.raises(DBAPIError, match="(?i)read.?only"):
        connection.execute(insert(schema.assets), {"asset": "X", "scale": 1})


def test_wait_for_is_bounded_and_sees_the_projector(url: str) -> None:
    writer, reader = open_writer(url), open_reader(url)
    projector = Projector(writer)
    now = [0.0]

    def pause(seconds: float) -> None:
        now[0] += seconds
        if now[0] > 0.5:
            projector.apply(day()[:2])

    clock = lambda: now[0]  # noqa: E731
    assert not queries.wait_for(reader, 1, 0.25, clock=clock, pause=pause)
    assert 0.25 <= now[0] < 0.3
    assert queries.wait_for(reader, 2, 1.0, clock=clock, pause=pause)
    assert queries.wait_for(reader, 2, 0.0, clock=clock, pause=pause)
    writer.dispose()
    reader.dispose()


def test_another_kind_of_database_is_refused() -> None:
    with pytest.raises(StoreError, match="sqlite:///path or postgresql"):
        open_writer("mysql://localhost/x")
