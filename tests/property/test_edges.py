"""The largest numbers that a configuration allows, all the way: apply, record, journal,
snapshot, restore, history (rule N-5).

Every case is a grid whose bounds are as wide as ``make_instrument`` lets them be. On it the
largest order is filled at the largest price again and again, the venue's whole money goes out
and comes back, and at every step the state is written and read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import select

from engine.core.commands import (
    AdvanceWithdrawal,
    Command,
    DefineAccount,
    DefineAsset,
    DefineInstrument,
    DefineNetwork,
    DefineVenue,
    Deposit,
    NewOrder,
    RequestWithdrawal,
)
from engine.core.events import Refused
from engine.core.exchange import Exchange
from engine.core.instruments import make_instrument
from engine.core.types import (
    INT64_MAX,
    OrdType,
    Origin,
    RejectReason,
    SelfTrade,
    Side,
    TimeInForce,
    WithdrawalState,
)
from engine.history import schema
from engine.history.projector import Projector
from engine.history.store import open_writer
from engine.journal.base import Record
from engine.journal.index import IndexFeed
from engine.journal.local import LocalJournal
from engine.journal.recovery import recover
from engine.journal.snapshots import read_snapshot, write_snapshot
from engine.wire import decode_transaction, encode_transaction
from tests.support.venue import DAY_US, ENGINE, START_US, SYMBOL, violations

PPM_MAX = 999_999


class Grid(NamedTuple):
    """An instrument as wide as its scales allow."""

    base_scale: int
    quote_scale: int
    tick: str
    lot: str
    max_qty: int
    max_price: int


def widest(base_scale: int, quote_scale: int, tick: str, lot: str, price: int) -> Grid:
    """The grid with the largest quantity that goes with a largest price."""
    probe = make_instrument(
        SYMBOL, "BTC", base_scale, "USD", quote_scale, tick, lot, 1, 1, 1
    )  # fmt: skip
    largest = min(INT64_MAX // (2 * price * probe.unit), INT64_MAX // probe.lot_atoms)
    return Grid(base_scale, quote_scale, tick, lot, largest, price)


GRIDS = {
    "one-to-one": widest(0, 0, "1", "1", 1),
    "one-dear": widest(0, 0, "1", "1", INT64_MAX // 2),
    "demo": widest(8, 8, "0.01", "0.00001", 100_000_000),
    "cheap": widest(8, 8, "0.00000001", "1", 1),
    "scale-18-base": widest(18, 0, "1", "1", 1_000),
    "scale-18-quote": widest(0, 18, "0.000000000000000001", "1", 1_000_000_000),
    "scale-18-both": widest(18, 18, "0.001", "0.001", 1_000),
}


class Run:
    """A venue that writes everything down as the engine does, and reads it again."""

    def __init__(self, folder: Path, url: str, grid: Grid, maker: int, taker: int) -> None:
        self.folder = folder
        self.exchange = Exchange()
        self.journal = LocalJournal(folder / "journal")
        self.index = IndexFeed([], set())
        self.history = open_writer(url)
        self.projector = Projector(self.history)
        self.now = START_US
        self.cash = self.qty = 0
        self.do(DefineVenue(ENGINE, 0, 100, 1_000, 30 * DAY_US))
        self.do(DefineAsset(ENGINE, "BTC", grid.base_scale))
        self.do(DefineAsset(ENGINE, "USD", grid.quote_scale))
        for asset in ("BTC", "USD"):
            self.do(DefineNetwork(ENGINE, asset, "wire", 0, 1, 1, 1))
        self.do(DefineInstrument(ENGINE, SYMBOL, "BTC", "USD", grid.tick, grid.lot, 1,
                                 grid.max_qty, grid.max_price))  # fmt: skip
        for name in ("buyer", "seller"):
            self.do(DefineAccount(ENGINE, name, name, maker, taker, SelfTrade.NONE, 100))
        self.do(Deposit(ENGINE, "g1", "buyer", "USD", INT64_MAX))
        self.do(Deposit(ENGINE, "g2", "seller", "BTC", INT64_MAX))

    def do(self, command: Command) -> list[Any]:
        """Apply, encode, decode, journal, project; the state goes out and in."""
        exchange = self.exchange
        self.now += 1_000
        events = exchange.apply(exchange.seq + 1, self.now, command)
        body = encode_transaction(exchange.seq, self.now, command, events)
        told = decode_transaction(body)
        assert told.command == command and told.events == tuple(events)
        self.index.take(exchange.seq, events)
        self.journal.append([Record(exchange.seq, body)], self.index.marks, self.index.retired)
        self.index.stored()
        self.projector.apply([told])
        assert violations(exchange) == []
        for event in events:
            if type(event).__name__ == "OrderFilled":
                self.cash += event.cash
                self.qty += event.last_qty
        return events

    def keep(self) -> None:
        """Write a snapshot and go on from what it gives."""
        exchange = self.exchange
        path = write_snapshot(
            self.folder / "journal" / "snapshots", exchange, self.now,
            self.journal.crc_at(exchange.seq),
        )  # fmt: skip
        _, restored = read_snapshot(path)
        assert restored.state_hash() == exchange.state_hash()
        assert violations(restored) == []
        self.exchange = restored

    def bring_back(self, owner: str, asset: str, other: str) -> None:
        """Everything that ``owner`` has goes out for good, and as much comes in for ``other``."""
        spare = self.exchange.accounts[owner].money(asset).available
        if not spare:
            return
        number = self.exchange.next_withdrawal_id
        self.do(RequestWithdrawal(Origin(f"api:{owner}"), owner, f"w{number}", asset, "wire",
                                  "address", spare))  # fmt: skip
        for state in (WithdrawalState.BROADCASTING, WithdrawalState.CONFIRMING,
                      WithdrawalState.COMPLETED):  # fmt: skip
            self.do(AdvanceWithdrawal(ENGINE, number, int(state)))
        room = INT64_MAX - self.exchange.house.total(asset)
        self.do(Deposit(ENGINE, f"again{number}", other, asset, room))

    def order(self, account: str, side: Side, qty: int, price: int) -> list[Any]:
        """A GTC limit order."""
        number = self.exchange.seq
        return self.do(NewOrder(Origin(f"api:{account}"), account, f"o{number}", SYMBOL, side,
                                OrdType.LIMIT, TimeInForce.GTC, qty, price))  # fmt: skip


@pytest.mark.parametrize("rates", [(0, PPM_MAX), (PPM_MAX, PPM_MAX), (500, 1_000)],
                         ids=["taker", "both", "demo"])  # fmt: skip
@pytest.mark.parametrize("name", GRIDS)
def test_N5_the_largest_numbers_of_a_configuration_can_be_kept_and_told(
    name: str, rates: tuple[int, int], tmp_path: Path, url: str
) -> None:
    grid = GRIDS[name]
    run = Run(tmp_path, url, grid, *rates)
    unit, lot_atoms = run.exchange.books[SYMBOL].unit, run.exchange.books[SYMBOL].lot_atoms
    for number in range(4):
        # As large as the buyer can still pay for, at the largest price; then everything back.
        money = run.exchange.accounts["buyer"].money("USD").available
        coins = run.exchange.accounts["seller"].money("BTC").available
        qty = min(grid.max_qty, money // (2 * grid.max_price * unit), coins // lot_atoms)
        if qty == 0:
            break
        first, second = (Side.SELL, Side.BUY) if number % 2 else (Side.BUY, Side.SELL)
        owner = {Side.BUY: "buyer", Side.SELL: "seller"}
        run.order(owner[first], first, qty, grid.max_price)
        events = run.order(owner[second], second, qty, grid.max_price)
        assert {type(event).__name__ for event in events} == {"OrderAccepted", "OrderFilled"}
        run.keep()
        run.bring_back("seller", "USD", "buyer")
        run.bring_back("buyer", "BTC", "seller")
        run.keep()
    assert run.cash > 0
    with run.history.connect() as connection:
        day = connection.execute(
            select(schema.candles).where(schema.candles.c.interval_us == DAY_US)
        ).one()
    assert (2 * day.cash, 2 * day.qty) == (run.cash, run.qty)
    run.journal.close()
    run.history.dispose()
    again = LocalJournal(tmp_path / "journal")
    restored, _ = recover(again, tmp_path / "journal" / "snapshots", pytest.fail, lambda *a: None)
    assert restored.state_hash() == run.exchange.state_hash()
    again.close()


def test_N5_the_fee_weight_of_the_largest_order_passes_64_bits_and_is_kept(
    tmp_path: Path, url: str
) -> None:
    run = Run(tmp_path, url, GRIDS["demo"], 500, 1_000)
    qty = GRIDS["demo"].max_qty // 2
    run.order("seller", Side.SELL, qty, GRIDS["demo"].max_price)
    run.order("buyer", Side.BUY, qty, GRIDS["demo"].max_price)
    assert max(order.fee_weight for order in run.exchange.orders.values()) > 2**64
    run.keep()
    assert max(order.fee_weight for order in run.exchange.orders.values()) > 2**64


def test_N5_what_may_come_back_and_what_is_awaited_count_towards_the_total(
    tmp_path: Path, url: str
) -> None:
    run = Run(tmp_path, url, GRIDS["demo"], 0, 0)

    def refused(amount: int, deposit_id: str) -> bool:
        events = run.do(Deposit(ENGINE, deposit_id, "buyer", "USD", amount, "wire"))
        return isinstance(events[0], Refused) and events[0].reason is RejectReason.INVALID_FIELD

    assert refused(1, "over")
    run.do(RequestWithdrawal(Origin("api:buyer"), "buyer", "w1", "USD", "wire", "a", 1_000))
    for state in (5, 6):
        run.do(AdvanceWithdrawal(ENGINE, 1, state))
    run.keep()
    assert refused(1, "while it may come back")
    for state in (5, 10):  # The network lost it, and it failed: the money is there again.
        run.do(AdvanceWithdrawal(ENGINE, 1, state))
    assert run.exchange.house.settlement["USD"] == -INT64_MAX
    run.do(RequestWithdrawal(Origin("api:buyer"), "buyer", "w2", "USD", "wire", "a", 1_000))
    for state in (5, 6, 7):
        run.do(AdvanceWithdrawal(ENGINE, 2, state))
    run.keep()
    assert not refused(600, "awaited")  # One confirmation is needed and none is there.
    assert refused(401, "beside what is awaited")
    run.keep()
    assert refused(401, "beside what is awaited")
    assert not refused(400, "fits")


def test_N5_an_instrument_cannot_grow_past_what_an_open_order_allows(
    tmp_path: Path, url: str
) -> None:
    run = Run(tmp_path, url, GRIDS["one-to-one"], 0, 0)
    largest = GRIDS["one-to-one"].max_qty
    run.order("seller", Side.SELL, largest, 1)
    define = DefineInstrument(ENGINE, SYMBOL, "BTC", "USD", "1", "1", 1, 10, largest // 10)
    (event,) = run.do(define)
    assert isinstance(event, Refused) and "lower max_price" in event.text
    assert run.exchange.books[SYMBOL].max_qty == largest
