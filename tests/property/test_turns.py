"""However small the pieces, the trades are those of one turn (rule M-10).

Random arrivals go to an exchange whose commands may do everything at once, and to one whose
commands may do next to nothing, with Ticks in between at random. Each instrument must see the
same trades in the same order, and the same orders rest in the end.

Where an instrument has a price band, which orders it accepts depends on the last trade, and so on
how far the work is (P-3, P-4). There the whole exchange has no bands and is given what the other
one accepted, an order without a price with the end of the band at its arrival as its limit: the
band is judged on arrival, and nothing else may differ.

TANDEM_PROPERTY_COMMANDS sets how many commands a flow has (default 1,500).
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from engine.core.commands import DefineInstrument, DefineVenue, NewOrder, Tick
from engine.core.events import Event, OrderAccepted, OrderCanceled, OrderFilled, OrderRejected
from engine.core.types import CancelReason, Liquidity, OrdType, RejectReason, Side, TimeInForce
from tests.support.strategies import ENGINE, Flow, profile_of
from tests.support.venue import new_exchange, violations

COMMANDS = int(os.environ.get("TANDEM_PROPERTY_COMMANDS", "1500"))
FIRST_SEED = int(os.environ.get("TANDEM_SEED", "1"))
SEEDS = range(FIRST_SEED, FIRST_SEED + 8)
LASTING = (TimeInForce.GTC, TimeInForce.DAY)
NO_BANDS = (0, 0, 0)
BANDS = (200_000, 0, 500_000)


class Venue:
    """One of the two exchanges and what was traded on it."""

    def __init__(self, work_max: int) -> None:
        self.exchange = new_exchange()
        self.work_max = work_max
        self.trades: dict[str, list[tuple[str, int, int, int]]] = {}
        self.interrupted = 0
        self.refused = 0

    def accepts(self, now: int, order: NewOrder) -> bool:
        """Enter an order; whether it is accepted. Nothing but a band may refuse one."""
        first = self.do(now, order)[0]
        if isinstance(first, OrderRejected):
            assert first.reason is RejectReason.PRICE_OUTSIDE_BAND
            self.refused += 1
            return False
        assert isinstance(first, OrderAccepted)
        return True

    def do(self, now: int, command: Any) -> Sequence[Event]:
        if isinstance(command, DefineVenue):
            command = command._replace(work_max=self.work_max)
        events: Sequence[Event] = self.exchange.apply(self.exchange.seq + 1, now, command)
        for e in events:
            if isinstance(e, OrderFilled):
                row = (e.order.client_order_id, int(e.liquidity), e.last_qty, e.last_price)
                self.trades.setdefault(e.order.symbol, []).append(row)
            if isinstance(e, OrderCanceled):
                assert e.reason is not CancelReason.UNFUNDED
        self.interrupted += any(
            e.liquidity is Liquidity.TAKER for e in events if isinstance(e, OrderFilled)
        ) and isinstance(command, Tick)
        return events

    def resting(self) -> dict[str, list[list[tuple[str, int, int]]]]:
        found: dict[str, list[list[tuple[str, int, int]]]] = {}
        for symbol, book in self.exchange.books.items():
            sides = found[symbol] = []
            for side in (book.bids, book.asks):
                rows = []
                for key in side.keys:
                    order = side.levels[abs(key)].head
                    while order is not None:
                        rows.append((order.terms.client_order_id, order.leaves, order.display))
                        order = order.behind
                sides.append(rows)
        return found


def arrivals(seed: int, bands: tuple[int, int, int]) -> Flow:
    profile = profile_of(seed)._replace(
        types=(15, 85, 0, 0), odd=0.0, lots_of_money=10**6, open_orders_max=10**6, width=9,
        bands=bands,
    )  # fmt: skip
    return Flow(seed, profile)


def plain(flow: Flow) -> NewOrder:
    """An arrival whose outcome depends on nothing but the book at its turn."""
    order = flow.new(flow.account())
    tif = order.tif if order.tif in (*LASTING, TimeInForce.IOC) else TimeInForce.GTC
    if order.cash_qty:
        order = order._replace(cash_qty=0, qty=7)
    if order.ord_type is OrdType.MARKET:
        tif = TimeInForce.IOC
    valid = order.origin._replace(valid_until=0)
    return order._replace(
        tif=tif, min_qty=0, expire_at=0, post_only=False, origin=valid,
        display_qty=order.display_qty if tif in LASTING else 0,
    )  # fmt: skip


def run(seed: int, flow: Flow, bare: Callable[[Any], Any]) -> tuple[Venue, Venue]:
    """The two exchanges after the flow.

    The one of whole turns is told of definitions as ``bare`` has them and of what the other one
    accepted, as an order that no band bounds.
    """
    chance = random.Random(f"ticks {seed}")
    whole, pieces = Venue(10**6), Venue(1 + seed % 4)
    for command in flow.definitions():
        pieces.do(flow.now, command)
        whole.do(flow.now, bare(command))
    for _ in range(COMMANDS):
        order = plain(flow)
        worst = pieces.exchange.books[order.symbol].worst(order.side is Side.BUY)
        if pieces.accepts(flow.now, order):
            if worst and not order.price:
                order = order._replace(ord_type=OrdType.LIMIT, price=worst)
            assert whole.accepts(flow.now, order)
        while pieces.exchange.next_timer() == flow.now and chance.random() < 0.6:
            pieces.do(flow.now, Tick(ENGINE))
    while pieces.exchange.busy:
        pieces.do(flow.now, Tick(ENGINE))
    assert pieces.interrupted > 10, "turns went on in Ticks all the time"
    assert pieces.trades == whole.trades
    assert pieces.resting() == whole.resting()
    assert violations(pieces.exchange) == []
    return whole, pieces


@pytest.mark.timeout(max(120, COMMANDS // 20))
@pytest.mark.parametrize("seed", SEEDS)
def test_M10_the_trades_of_small_pieces_are_those_of_one_turn(seed: int) -> None:
    whole, pieces = run(seed, arrivals(seed, NO_BANDS), lambda command: command)
    assert pieces.refused == whole.refused == 0


@pytest.mark.timeout(max(120, COMMANDS // 20))
@pytest.mark.parametrize("seed", SEEDS)
def test_M10_a_band_is_judged_on_arrival_and_bounds_nothing_later(seed: int) -> None:
    def bare(command: Any) -> Any:
        return command._replace(band_ppm=0) if isinstance(command, DefineInstrument) else command

    _, pieces = run(seed, arrivals(seed, BANDS), bare)
    assert pieces.refused > 10, "the bands are too wide to matter"
