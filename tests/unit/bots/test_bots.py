"""What the bots decide, without a venue: the same from the same seed, within its bounds."""

from __future__ import annotations

import itertools
import random
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.appetite import Appetite
from bots.book import Best, best_of
from bots.grid import Grid, traded
from bots.quotes import OPERATIONS_MAX, Quote, Resting, ladder, operations
from bots.walk import Prices
from tandem_client import Book, Level
from tandem_client.document import convert
from tandem_client.generated.models import InstrumentView

BTC = Grid("BTC-USD", "BTC", "USD", Decimal("0.01"), Decimal("0.00001"), 10**8, 10**9)
ETH = Grid("ETH-USD", "ETH", "USD", Decimal("0.01"), Decimal("0.0001"), 10**7, 10**9)
CROSS = Grid("ETH-BTC", "ETH", "BTC", Decimal("0.00001"), Decimal("0.001"), 10**8, 10**8)
GRIDS = {grid.symbol: grid for grid in (BTC, ETH, CROSS)}
ANCHORS = {"BTC-USD": 6_000_000, "ETH-USD": 300_000}


def prices(seed: int = 1) -> Prices:
    return Prices(seed, GRIDS, ANCHORS)


def test_a_grid_counts_in_whole_steps_and_writes_plain_decimals() -> None:
    row = {
        "symbol": "BTC-USD", "base": "BTC", "quote": "USD", "tick": "0.01", "lot": "0.00001",
        "max_price": "1000000", "max_quantity": "10000",
    }  # fmt: skip
    more = {"min_quantity": "0", "status": "open", "last_price": None, "band": None,
            "reference_price": None, "band_low": None, "band_high": None}  # fmt: skip
    assert Grid.of(convert(row | more, InstrumentView)) == BTC
    simulated = row | more | {"symbol": "SIM-USD", "base": "SIM"}
    rows = [convert(one, InstrumentView) for one in (simulated, row | more)]
    assert traded(rows) == {"BTC-USD": BTC}, "takers trade in the simulated symbol"
    assert (BTC.ticks("60000.01"), BTC.price_text(6_000_001)) == (6_000_001, "60000.01")
    assert (BTC.lots("0.00003"), BTC.quantity_text(3)) == (3, "0.00003")


def test_the_walk_is_the_same_from_the_same_seed_and_another_from_another() -> None:
    def path(seed: int) -> list[int]:
        one, found = prices(seed), []
        for _ in range(100):
            one.step()
            found.append(one.middle("BTC-USD"))
        return found

    assert path(1) == path(1) != path(2)
    assert len(set(path(1))) > 50


def test_prices_stay_sane_however_long_they_walk_and_whatever_was_last() -> None:
    one = prices()
    for last in (1, 6_000_000, 10**8):
        one.resume("BTC-USD", last)
        one.resume("ETH-BTC", last)
        for _ in range(2_000):
            one.step()
            assert 4_800_000 <= one.middle("BTC-USD") <= 7_200_000
            assert 240_000 <= one.middle("ETH-USD") <= 360_000


def test_a_cross_leaves_nothing_to_earn_on_a_round_trip() -> None:
    one = prices()
    assert sorted(one.symbols) == sorted(GRIDS)
    for _ in range(200):
        one.step()
        direct = one.middle("ETH-BTC") * CROSS.tick
        through = (one.middle("ETH-USD") * ETH.tick) / (one.middle("BTC-USD") * BTC.tick)
        assert 0 <= through - direct < CROSS.tick


@given(st.integers(1, 10**8), st.integers(1, 10**6), st.integers(1, 8), st.integers(0, 99))
def test_a_ladder_never_crosses_itself(middle: int, quantity: int, levels: int, seed: int) -> None:
    found = ladder(BTC, middle, quantity, levels, random.Random(seed))
    bids = [quote.price for (_, side, _), quote in found.items() if side == "buy"]
    asks = [quote.price for (_, side, _), quote in found.items() if side == "sell"]
    assert bids == sorted(set(bids), reverse=True) and asks == sorted(set(asks))
    assert all(0 < price < middle for price in bids)
    assert all(middle < price <= BTC.max_price for price in asks)
    assert all(1 <= quote.lots <= BTC.max_lots for quote in found.values())


def ids() -> Any:
    return (f"id{number}" for number in itertools.count(1))


def test_quotes_are_created_once_and_then_replaced_where_they_moved() -> None:
    wanted = ladder(BTC, 6_000_000, 50_000, 3, random.Random(1))
    made = operations(wanted, {}, GRIDS, ids())
    assert len(made) == 6
    for slot, operation in made:
        assert operation["op"] == "create" and operation["post_only"]
        assert operation["price"] == BTC.price_text(wanted[slot].price)
    resting = {
        slot: Resting(f"c{index}", quote.price, quote.lots, 0)
        for index, (slot, quote) in enumerate(wanted.items())
    }
    assert operations(wanted, resting, GRIDS, ids()) == []
    near = {slot: Quote(quote.price + 200, quote.lots) for slot, quote in wanted.items()}
    assert operations(near, resting, GRIDS, ids()) == []
    higher = {slot: Quote(quote.price + 1_000, quote.lots) for slot, quote in wanted.items()}
    moved = operations(higher, resting, GRIDS, ids())
    assert [slot[1] for slot, _ in moved] == ["sell"] * 3 + ["buy"] * 3
    assert [slot[2] for slot, _ in moved] == [2, 1, 0, 0, 1, 2]
    assert all(operation["op"] == "replace" for _, operation in moved)


def test_a_quote_that_is_mostly_eaten_is_filled_up_and_counts_what_was_executed() -> None:
    wanted = ladder(BTC, 6_000_000, 50_000, 1, random.Random(1))
    (slot, quote), *_ = wanted.items()
    eaten = {slot: Resting("c1", quote.price, quote.lots // 4, 1_000)}
    (_, operation), = operations({slot: quote}, eaten, GRIDS, ids())
    assert operation["order"] == "client:c1"
    assert operation["quantity"] == BTC.quantity_text(1_000 + quote.lots)


def test_a_batch_is_never_longer_than_the_venue_takes() -> None:
    wanted = {}
    for grid in GRIDS.values():
        wanted |= ladder(grid, 100_000, 1_000, 20, random.Random(1))
    assert len(wanted) > OPERATIONS_MAX == len(operations(wanted, {}, GRIDS, ids()))


def test_takers_come_home_and_keep_their_pace() -> None:
    appetite = Appetite("seed", 60)
    pauses = [appetite.pause_s() for _ in range(2_000)]
    assert 0.9 < sum(pauses) / len(pauses) < 1.1 and max(pauses) <= 30
    assert Appetite("seed", 60).pause_s() == pauses[0]
    appetite.filled("BTC-USD", "buy", 10**9)
    sides = [appetite.side(BTC, 50_000) for _ in range(600)]
    assert sides.count("sell") > 330
    sizes = [appetite.lots(BTC, 50_000) for _ in range(600)]
    assert 1 <= min(sizes) and max(sizes) <= 100_000


@pytest.mark.parametrize(
    ("bid", "ask", "side", "limit"),
    [
        (1_000_000, 1_000_100, "buy", 1_001_600),
        (1_000_000, 1_000_100, "sell", 998_500),
        (0, 1_000_100, "buy", 0),
        (1_000_000, 0, "sell", 0),
        (1_000_000, 1_200_000, "buy", 0),
    ],
)
def test_a_taker_takes_near_the_best_price_and_from_no_broken_book(
    bid: int, ask: int, side: str, limit: int
) -> None:
    assert Best(bid, ask).limit(side) == limit
    book = Book("BTC-USD")
    sides = [[Level(price * BTC.tick, Decimal(1), 1)] if price else [] for price in (bid, ask)]
    book.replace("open", *sides, seq=1)
    assert best_of(book, BTC) == Best(bid, ask)
